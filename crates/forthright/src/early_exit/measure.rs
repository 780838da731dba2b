//! Answers under a rule, and what can be said of them.

use causal_lm::{
    Pretrained,
    generate::{Finish, Flow, GenerateConfig, Request, Sampling},
};
use early_exit_model::{
    EarlyExitModel, Engine, Rule,
    engine::ExitCompletion,
    evaluate::{Depths, divergence_from_full, surprisals},
};
use rl_core::{
    seed::Seed,
    stats::{
        Bootstrap, Error as StatsError, Estimate, Proportion, bootstrap_percentile, spearman,
        wilson,
    },
};
use serde::{Deserialize, Serialize};

use super::{rule, task::Asked};

/// Confidence of all intervals.
pub(crate) const CONFIDENCE: f64 = 0.95;
const RESAMPLES: usize = 1000;
/// Answers that rank correlations are taken of.
const RANKED: usize = 128;
/// Tokens of a forward pass and positions whose logits are held at once.
const PASS_TOKENS: usize = 2048;
const LOGIT_ROWS: usize = 256;

/// How answers are made.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) max_new_tokens: usize,
    pub(crate) sampling: Sampling,
    pub(crate) batch: usize,
    pub(crate) seed: Seed,
}

/// Answers to problems under a rule.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) rule: Rule,
    pub(crate) made: Vec<ExitCompletion>,
    pub(crate) texts: Vec<String>,
    pub(crate) tally: Tally,
    /// None where no token could leave.
    pub(crate) depths: Option<Depths>,
}

/// What of each answer goes into accuracy and depth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) right: Vec<bool>,
    /// Shares of blocks run, summed over tokens that may leave.
    pub(crate) run: Vec<f64>,
    /// Tokens that may leave.
    pub(crate) tokens: Vec<f64>,
}

impl Tally {
    /// Share of these answers that are right.
    pub(crate) fn accuracy(&self, of: &[usize]) -> f64 {
        of.iter().filter(|&&i| self.right[i]).count() as f64 / of.len().max(1) as f64
    }

    /// Share of the blocks that ran for these answers' tokens.
    pub(crate) fn depth(&self, of: &[usize]) -> f64 {
        let sum = |values: &[f64]| of.iter().map(|&i| values[i]).sum::<f64>();
        let tokens = sum(&self.tokens);
        if tokens > 0.0 { sum(&self.run) / tokens } else { 1.0 }
    }

    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.right.len()).collect()
    }
}

/// Answers to all problems under a rule.
pub(crate) fn answer(
    engine: &Engine,
    model: &Pretrained,
    asked: &[Asked],
    settings: &Settings,
    rule: &Rule,
) -> anyhow::Result<Answered> {
    let requests: Vec<Request> = asked
        .iter()
        .enumerate()
        .map(|(i, asked)| {
            let seed = settings.seed.derive("answer", i as u64).value();
            Request { prompt: asked.prompt.clone(), seed }
        })
        .collect();
    let config = GenerateConfig {
        max_new_tokens: settings.max_new_tokens,
        sampling: settings.sampling,
        stop_tokens: model.lm.config().eos.clone(),
        batch_size: settings.batch,
        ..GenerateConfig::default()
    };
    let made = engine.generate(&requests, &config, rule, &mut |_| Flow::Continue)?;
    let lengths: Vec<usize> = asked.iter().map(|asked| asked.prompt.len()).collect();
    let depths = Depths::of(engine, rule, &lengths, &made);
    let all = engine.sites().num_layers() as f64;
    let (mut tally, mut texts) = (Tally::default(), Vec::new());
    for (asked, made) in asked.iter().zip(&made) {
        let text = asked.whole(&model.tokenizer.decode_text(&made.completion.ids)?);
        tally.right.push(asked.problem.verify(&text).is_right());
        tally.run.push(made.exits.iter().map(|exit| exit.blocks as f64 / all).sum());
        tally.tokens.push(made.exits.len() as f64);
        texts.push(text);
    }
    Ok(Answered { rule: rule.clone(), made, texts, tally, depths })
}

/// All that is said of answers under one rule.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) rule: String,
    /// Share of right answers.
    pub(crate) accuracy: Estimate,
    /// How deep tokens went; none where no token could leave.
    pub(crate) depths: Option<Depths>,
    /// Share of tokens that left at each site, the last that of never.
    pub(crate) exit_rates: Vec<f64>,
    /// `KL(full depth‖exits)` of a token, nats, in the mean over answers.
    pub(crate) kl: Option<f64>,
    /// Tokens of an answer, in the mean.
    pub(crate) length: f64,
    /// Share of answers that a stop token ended.
    pub(crate) ended: f64,
    /// Rank correlation of depth with the surprisal of the token under the base model; none where
    /// all tokens have one depth.
    pub(crate) depth_surprisal: Option<Estimate>,
}

/// What can be said of answers; with `model`, also what needs further passes of it.
pub(crate) fn summarize(
    engine: &Engine,
    model: Option<&EarlyExitModel>,
    asked: &[Asked],
    answered: &Answered,
    seed: Seed,
) -> anyhow::Result<Summary> {
    let n = answered.made.len();
    let successes = answered.tally.right.iter().filter(|right| **right).count();
    let accuracy = wilson(Proportion { successes, trials: n }, CONFIDENCE)?;
    let exit_rates = answered.depths.as_ref().map_or_else(Vec::new, |depths| {
        engine.sites().executed().iter().map(|&blocks| depths.histogram[blocks - 1]).collect()
    });
    let (mut kl, mut depth_surprisal) = (None, None);
    if let Some(model) = model.filter(|_| answered.depths.is_some()) {
        let prompts: Vec<&[u32]> = asked.iter().map(|asked| asked.prompt.as_slice()).collect();
        if answered.rule != Rule::Off {
            let found =
                divergence_from_full(model, &prompts, &answered.made, PASS_TOKENS, LOGIT_ROWS)?;
            let means: Vec<f64> = found
                .iter()
                .filter(|of_answer| !of_answer.is_empty())
                .map(|of_answer| of_answer.iter().sum::<f64>() / of_answer.len() as f64)
                .collect();
            kl = Some(means.iter().sum::<f64>() / means.len().max(1) as f64);
        }
        let pairs = depth_and_surprisal(model, asked, answered)?;
        depth_surprisal = correlation(&[pairs], seed)?;
    }
    let mean = |of: &dyn Fn(&ExitCompletion) -> f64| {
        answered.made.iter().map(of).sum::<f64>() / n.max(1) as f64
    };
    Ok(Summary {
        rule: rule::name(&answered.rule),
        accuracy,
        depths: answered.depths.clone(),
        exit_rates,
        kl,
        length: mean(&|made| made.completion.ids.len() as f64),
        ended: mean(&|made| f64::from(u8::from(made.completion.finish == Finish::StopToken))),
        depth_surprisal,
    })
}

/// Depth and surprisal under the base model of each token that may leave, by answer, of the first
/// answers.
pub(crate) fn depth_and_surprisal(
    model: &EarlyExitModel,
    asked: &[Asked],
    answered: &Answered,
) -> anyhow::Result<Vec<Vec<[f64; 2]>>> {
    let prompts: Vec<&[u32]> =
        asked.iter().take(RANKED).map(|asked| asked.prompt.as_slice()).collect();
    let made = &answered.made[..prompts.len()];
    let found = surprisals(model.reference(), &prompts, made)?;
    let pair = |(made, found): (&ExitCompletion, Vec<f64>)| {
        made.exits.iter().zip(found).map(|(exit, s)| [exit.blocks as f64, s]).collect()
    };
    Ok(made.iter().zip(found).map(pair).collect())
}

/// Spearman's correlation in the mean over models, with an interval by resampling answers, whose
/// tokens hang together; none where depths do not differ.
pub(crate) fn correlation(
    models: &[Vec<Vec<[f64; 2]>>],
    seed: Seed,
) -> anyhow::Result<Option<Estimate>> {
    let n = models.iter().map(Vec::len).min().unwrap_or(0);
    let of = |chosen: &[usize], model: &Vec<Vec<[f64; 2]>>| {
        let pairs: Vec<&[f64; 2]> = chosen.iter().flat_map(|&i| &model[i]).collect();
        let [depths, numbers] = [0, 1].map(|k| pairs.iter().map(|p| p[k]).collect::<Vec<f64>>());
        spearman(&depths, &numbers, CONFIDENCE).map(|found| found.value)
    };
    let all: Vec<usize> = (0..n).collect();
    if n < 2 || models.iter().any(|model| of(&all, model).is_err()) {
        return Ok(None);
    }
    let mean = |chosen: &[usize]| {
        // A resample in which all depths are equal shows no correlation.
        let sum: f64 = models.iter().map(|model| of(chosen, model).unwrap_or(0.0)).sum();
        sum / models.len() as f64
    };
    Ok(Some(resampled(n, mean, seed)?))
}

/// A statistic of all of `n` problems, given by their indices, with an interval by resampling them.
pub(crate) fn resampled(
    n: usize,
    statistic: impl Fn(&[usize]) -> f64,
    seed: Seed,
) -> Result<Estimate, StatsError> {
    let all: Vec<usize> = (0..n).collect();
    let settings = Bootstrap { resamples: RESAMPLES, confidence: CONFIDENCE, seed };
    bootstrap_percentile(&all, statistic, settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_weigh_tokens_and_problems() {
        let tally = Tally {
            right: vec![true, false, true, true],
            run: vec![1.0, 3.0, 0.5, 0.0],
            tokens: vec![2.0, 3.0, 1.0, 0.0],
        };
        assert!((tally.accuracy(&tally.all()) - 0.75).abs() < 1e-12);
        assert!((tally.accuracy(&[1, 1, 0, 1]) - 0.25).abs() < 1e-12);
        assert!((tally.depth(&tally.all()) - 4.5 / 6.0).abs() < 1e-12);
        assert!((tally.depth(&[3]) - 1.0).abs() < 1e-12, "no token could leave");
    }

    #[test]
    fn correlation_is_that_of_tokens_and_resamples_answers() {
        let rising: Vec<Vec<[f64; 2]>> = (0..6)
            .map(|i| (0..5).map(|t| [f64::from(t), f64::from(t * t + i)]).collect())
            .collect();
        let found = correlation(std::slice::from_ref(&rising), Seed::new(1)).unwrap().unwrap();
        assert!(found.value > 0.8 && found.interval[0] > 0.0 && found.n == 6, "{found:?}");
        let falling: Vec<Vec<[f64; 2]>> =
            rising.iter().map(|a| a.iter().map(|[d, s]| [*d, -s]).collect()).collect();
        let both = correlation(&[rising, falling], Seed::new(1)).unwrap().unwrap();
        assert!(both.value.abs() < 1e-9, "{both:?}");
        let flat = vec![vec![[6.0, 1.0], [6.0, 2.0]]; 4];
        assert_eq!(correlation(&[flat], Seed::new(1)).unwrap(), None);
    }
}
