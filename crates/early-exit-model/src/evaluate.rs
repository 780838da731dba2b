//! What exits do: how deep tokens go, what that saves, and what it changes.

use causal_lm::{
    CausalLm,
    finetune::Example,
    score::{ScoreConfig, Span, score},
};
use rl_core::{kl, stats};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::{
    Error,
    engine::{Engine, ExitCompletion, Rule},
    forward::Exits,
    model::EarlyExitModel,
    tokens::Answers,
};

/// Depths of many completions; means over all tokens that may leave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Depths {
    /// Tokens that may leave.
    pub tokens: usize,
    /// Blocks that ran.
    pub blocks: f64,
    /// Share of the model's blocks that ran.
    pub share: f64,
    /// Share of all work that was saved: blocks, keys and values of skipped ones, gates, attention
    /// over each token's own context, head.
    pub flops_saved: f64,
    /// Share of the tokens that ran 1, 2, … blocks; the last ran all.
    pub histogram: Vec<f64>,
}

impl Depths {
    /// Of completions that an engine made under a rule, after prompts of these lengths; none where no
    /// token could leave.
    ///
    /// # Panics
    /// If there are not as many prompts.
    pub fn of(
        engine: &Engine,
        rule: &Rule,
        prompt_tokens: &[usize],
        made: &[ExitCompletion],
    ) -> Option<Self> {
        assert_eq!(prompt_tokens.len(), made.len(), "one prompt a completion");
        let all = engine.sites().num_layers();
        let gated = matches!(rule, Rule::Sample | Rule::Greedy | Rule::Threshold(_));
        let mut histogram = vec![0.0; all];
        let (mut tokens, mut blocks) = (0_usize, 0_usize);
        let (mut spent, mut full) = (0.0, 0.0);
        for (prompt, made) in prompt_tokens.iter().zip(made) {
            for (t, exit) in made.exits.iter().enumerate() {
                tokens += 1;
                blocks += exit.blocks;
                histogram[exit.blocks - 1] += 1.0;
                let context = prompt + t + 1;
                let cost = engine.cost();
                spent += cost.blocks(exit.blocks, context, gated) + cost.head();
                full += cost.blocks(all, context, false) + cost.head();
            }
        }
        let n = tokens as f64;
        for count in &mut histogram {
            *count /= n;
        }
        (tokens > 0).then(|| Self {
            tokens,
            blocks: blocks as f64 / n,
            share: blocks as f64 / n / all as f64,
            flops_saved: 1.0 - spent / full,
            histogram,
        })
    }

    /// The weights of [`Rule::Random`] with the same histogram over the sites.
    pub fn random_control(&self, engine: &Engine) -> Rule {
        let executed = engine.sites().executed();
        Rule::Random(executed.iter().map(|&blocks| self.histogram[blocks - 1]).collect())
    }
}

/// `KL(full depth‖exits)` of the same model's predictions for every token of completions but the
/// first, in nats, by completion: what the exits changed.
///
/// # Errors
/// As for [`EarlyExitModel::forward`].
pub fn divergence_from_full(
    model: &EarlyExitModel,
    prompts: &[&[u32]],
    made: &[ExitCompletion],
    pass_tokens: usize,
    logit_rows: usize,
) -> Result<Vec<Vec<f64>>, Error> {
    let _guard = tch::no_grad_guard();
    let examples: Vec<Example> =
        prompts.iter().zip(made).map(|(p, m)| Example::completion(p, &m.completion.ids)).collect();
    let refs: Vec<&Example> = examples.iter().collect();
    let lm = model.model();
    let mut out = vec![Vec::new(); made.len()];
    for answers in Answers::plan(&refs, pass_tokens, model.device()) {
        let blocks: Vec<i64> = answers
            .rows
            .iter()
            .flat_map(|&(i, _)| made[i].exits.iter().map(|exit| exit.blocks as i64))
            .collect();
        let exits = Tensor::from_slice(&blocks).to_device(model.device());
        let sequences = answers.sequences();
        let states = |hidden: &Tensor| hidden.flatten(0, 1).index_select(0, &answers.free);
        let early = states(&model.forward(&sequences, Exits::Prescribed(&exits))?.hidden);
        let full = states(&model.forward(&sequences, Exits::Off)?.hidden);
        let mut found: Vec<f64> = Vec::with_capacity(blocks.len());
        let chunk = logit_rows.max(1) as i64;
        for (full, early) in full.split(chunk, 0).iter().zip(early.split(chunk, 0)) {
            let part = kl::exact(&lm.logits(full), &lm.logits(&early))?.to_kind(Kind::Double);
            found.extend(Vec::<f64>::try_from(part.to_device(Device::Cpu)).unwrap_or_default());
        }
        let mut at = 0;
        for &(i, count) in &answers.rows {
            out[i] = found[at..at + count - 1].to_vec();
            at += count - 1;
        }
    }
    Ok(out)
}

/// `−log p` under a model at full depth of every token of completions but the first, in nats, by
/// completion: how hard a token was to foresee.
///
/// # Errors
/// As for [`score`].
pub fn surprisals(
    lm: &CausalLm,
    prompts: &[&[u32]],
    made: &[ExitCompletion],
) -> Result<Vec<Vec<f64>>, Error> {
    let spans: Vec<Span> = prompts
        .iter()
        .zip(made)
        .map(|(prompt, made)| Span {
            context: prompt.to_vec(),
            continuation: made.completion.ids.clone(),
        })
        .collect();
    let scores = score(lm, &spans, &ScoreConfig::default())?;
    let of = |scores: Vec<f32>| scores.into_iter().skip(1).map(|s| -f64::from(s)).collect();
    Ok(scores.into_iter().map(of).collect())
}

/// Spearman's correlation of tokens' depths with numbers of the same tokens, such as
/// [`surprisals`].
///
/// Tokens of one completion hang together, so that the interval is too narrow: resample completions
/// for one that is not.
///
/// # Errors
/// [`stats::Error`] for fewer than four tokens, or if all depths are equal.
pub fn depth_correlation(
    made: &[ExitCompletion],
    numbers: &[Vec<f64>],
    confidence: f64,
) -> Result<stats::Estimate, stats::Error> {
    let depths: Vec<f64> =
        made.iter().flat_map(|m| m.exits.iter().map(|exit| exit.blocks as f64)).collect();
    stats::spearman(&depths, &numbers.concat(), confidence)
}
