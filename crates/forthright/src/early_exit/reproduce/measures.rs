//! What is measured of each model.

use causal_lm::{
    Pretrained,
    generate::Sampling,
    score::{ScoreConfig, Span, score},
};
use early_exit_model::{EarlyExitModel, Engine, Rule};
use lm_tasks::Split;
use rl_core::stats::Estimate;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Run,
    config::{Stage, UNTRAINED},
    front::choose,
    stages::Place,
};
use crate::early_exit::{
    measure::{Answered, Settings, Summary, Tally, answer, depth_and_surprisal, summarize},
    task::{Asked, TaskConfig, without_chain},
    timing::{BATCHES, Timer, Timing},
    transcript::Transcript,
};

/// Answers of the last stage that are kept as samples, of each seed.
const SAMPLES: usize = 3;
/// Groups of tokens of equal size by surprisal, whose depth is plotted.
const GROUPS: usize = 8;
/// Names of horizontal axes.
const DEPTH: &str = "share of blocks run";
const SURPRISAL: &str = "surprisal of the token in nats";

/// What claims are made from, of one model.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) stage: String,
    pub(super) seed: u64,
    /// One point a threshold, or a κ of the untrained law.
    pub(super) front: Vec<Tally>,
    /// What only trained exits have.
    pub(super) at: Option<Operating>,
    /// What only the last stage of the first seed has.
    pub(super) speed: Option<Speed>,
}

/// A base model at full depth.
#[derive(Serialize, Deserialize)]
pub(super) struct Full {
    tally: Tally,
    /// Accuracy on the problems on which thresholds are chosen.
    choice: f64,
}

/// A model at the threshold that was chosen for it.
#[derive(Serialize, Deserialize)]
pub(super) struct Operating {
    pub(super) exits: Tally,
    /// The base model at full depth.
    pub(super) full: Tally,
    /// The same model at full depth.
    pub(super) off: Tally,
    pub(super) random: Tally,
    pub(super) pairs: Vec<Vec<[f64; 2]>>,
    /// Share of answers that are the plain ones when gates are asked and nobody may leave.
    pub(super) lossless: f64,
}

/// Times.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Speed {
    /// Whose the exits were, and what was measured.
    pub(super) exits: Vec<(String, Timing)>,
    /// Time of the engine with exits off as a multiple of the plain model's.
    pub(super) off: Option<Estimate>,
}

/// What all measurements of one seed of a system share.
pub(super) struct Bench<'a> {
    pub(super) place: Place<'a>,
    pub(super) base: &'a Pretrained,
    /// Held-out problems, and problems on which thresholds are chosen.
    asked: Vec<Asked>,
    choice: Vec<Asked>,
    settings: Settings,
}

/// Nats within which two tokens are tied: sums in bf16 come out in another order.
const TIE: f64 = 0.125;

/// Share of answers of one side that are the other's, up to a first difference between two tokens that
/// are tied.
fn same_text(
    model: &EarlyExitModel,
    asked: &[Asked],
    one: &Answered,
    other: &Answered,
) -> anyhow::Result<f64> {
    let lm = model.model();
    let mut same = 0;
    for ((asked, one), other) in asked.iter().zip(&one.made).zip(&other.made) {
        let [one, other] = [one, other].map(|made| &made.completion.ids);
        let Some(at) = one.iter().zip(other).position(|(a, b)| a != b) else {
            same += usize::from(one.len() == other.len());
            continue;
        };
        let context = [&asked.prompt[..], &one[..at]].concat();
        let span = |token: u32| Span { context: context.clone(), continuation: vec![token] };
        let found = score(&lm, &[span(one[at]), span(other[at])], &ScoreConfig::default())?;
        same += usize::from(f64::from((found[0][0] - found[1][0]).abs()) <= TIE);
    }
    Ok(same as f64 / asked.len().max(1) as f64)
}

impl Run<'_> {
    /// The problems.
    pub(super) fn bench<'a>(
        &self,
        place: Place<'a>,
        base: &'a Pretrained,
    ) -> anyhow::Result<Bench<'a>> {
        let system = place.system;
        let asked = |split, purpose: &str, count| {
            // Of the root alone: every seed is measured on the same problems.
            let seed = self.seed.derive(purpose, 0).value();
            let task = TaskConfig { seed, ..system.task.clone() };
            task.asked(base, split, count, system.max_new_tokens)
        };
        let settings = Settings {
            max_new_tokens: system.max_new_tokens,
            sampling: Sampling::Greedy,
            batch: system.batch,
            seed: self.seed.derive("answers", 0),
        };
        Ok(Bench {
            place,
            base,
            asked: asked(Split::Evaluation, "evaluation", system.evaluation_problems)?,
            choice: asked(Split::Train, "choice", system.choice_problems)?,
            settings,
        })
    }

    /// The base model at full depth, and under the law of early predictions that nobody has trained.
    pub(super) fn untrained(&mut self, bench: &Bench<'_>) -> anyhow::Result<(Full, Record)> {
        let Bench { place, base, asked, choice, settings } = bench;
        let system = place.system;
        let untrained =
            EarlyExitModel::new(&base.lm, &system.exits, place.root(self).derive("exits", 0))?;
        let engine = Engine::new(&untrained, true);
        let full = answer(&engine, base, asked, settings, &Rule::Off)?;
        let on_choice = answer(&engine, base, choice, settings, &Rule::Off)?.tally;
        self.row(bench, "base", &engine, None, &full)?;
        self.probes(bench, "base", &engine, &Rule::Off)?;
        let mut front = Vec::new();
        for &kappa in &system.kappas {
            let made = answer(&engine, base, asked, settings, &Rule::Teacher(kappa))?;
            self.row(bench, UNTRAINED, &engine, None, &made)?;
            front.push(made.tally);
        }
        self.front(bench, UNTRAINED, &front);
        let full = Full { tally: full.tally, choice: on_choice.accuracy(&on_choice.all()) };
        let (stage, seed) = (UNTRAINED.into(), place.seed);
        Ok((full, Record { stage, seed, front, at: None, speed: None }))
    }

    /// A stage's front, and all else at a threshold that is chosen on other problems.
    pub(super) fn measure(
        &mut self,
        bench: &Bench<'_>,
        stage: &Stage,
        model: &EarlyExitModel,
        full: &Full,
    ) -> anyhow::Result<Record> {
        let Bench { place, base, asked, choice, settings } = bench;
        let (system, name) = (place.system, stage.name.as_str());
        let engine = Engine::new(model, true);
        let mut points = Vec::new();
        for &threshold in &system.thresholds {
            let rule = Rule::Threshold(threshold);
            let tally = answer(&engine, base, choice, settings, &rule)?.tally;
            points.push([tally.depth(&tally.all()), tally.accuracy(&tally.all())]);
        }
        let chosen = choose(&points, full.choice, system.margin);
        let mut front = Vec::new();
        let mut at = None;
        for (i, &threshold) in system.thresholds.iter().enumerate() {
            let made = answer(&engine, base, asked, settings, &Rule::Threshold(threshold))?;
            front.push(made.tally.clone());
            if i == chosen {
                at = Some(made);
            }
        }
        self.front(bench, name, &front);
        let Some(at) = at else { anyhow::bail!("{name}: no threshold was chosen") };
        let summary = self.row(bench, name, &engine, Some(model), &at)?;
        self.rates(bench, name, &engine, &summary);
        let sampled = answer(&engine, base, asked, settings, &Rule::Sample)?;
        self.row(bench, name, &engine, None, &sampled)?;
        let off = answer(&engine, base, asked, settings, &Rule::Off)?;
        self.row(bench, name, &engine, None, &off)?;
        let random = match &at.depths {
            Some(depths) => {
                let rule = depths.random_control(&engine);
                let made = answer(&engine, base, asked, settings, &rule)?;
                self.row(bench, name, &engine, None, &made)?;
                made.tally
            }
            None => at.tally.clone(),
        };
        self.probes(bench, name, &engine, &at.rule)?;
        let shut = answer(&engine, base, asked, settings, &Rule::Threshold(1.0))?;
        let lossless = same_text(model, asked, &shut, &off)?;
        let pairs = depth_and_surprisal(model, asked, &at)?;
        let mut speed = None;
        if name == system.last() {
            self.by_surprisal(bench, name, &pairs);
            self.keep(bench, name, &engine, &at)?;
            if system.time_repeats > 0 && place.seed == 0 {
                speed = Some(self.speed(bench, &engine, model, &at.rule)?);
            }
        }
        Ok(Record {
            stage: name.to_owned(),
            seed: place.seed,
            front,
            at: Some(Operating {
                exits: at.tally,
                full: full.tally.clone(),
                off: off.tally,
                random,
                pairs,
                lossless,
            }),
            speed,
        })
    }

    /// A line of the table.
    fn row(
        &mut self,
        bench: &Bench<'_>,
        stage: &str,
        engine: &Engine,
        model: Option<&EarlyExitModel>,
        made: &Answered,
    ) -> anyhow::Result<Summary> {
        let summary = summarize(engine, model, &bench.asked, made, self.seed)?;
        let [low, high] = summary.accuracy.interval;
        let none = || "-".to_owned();
        let depths = summary.depths.as_ref();
        self.lines.metrics.push(json!({
            "system": bench.place.name, "seed": bench.place.seed, "stage": stage,
            "rule": summary.rule,
            "accuracy": format!("{:.3} [{low:.3}, {high:.3}]", summary.accuracy.value),
            "blocks": depths.map_or_else(none, |d| format!("{:.2}", d.blocks)),
            "blocks saved": depths.map_or_else(none, |d| format!("{:.1} %", 100.0 * (1.0 - d.share))),
            "work saved": depths.map_or_else(none, |d| format!("{:.1} %", 100.0 * d.flops_saved)),
            "KL": summary.kl.map_or_else(none, |kl| format!("{kl:.4}")),
            "length": format!("{:.1}", summary.length), "ended": format!("{:.3}", summary.ended),
            "depth by surprisal": summary.depth_surprisal.map_or_else(none, |e| {
                format!("{:.2} [{:.2}, {:.2}]", e.value, e.interval[0], e.interval[1])
            }),
        }));
        Ok(summary)
    }

    /// What a model works out inside: forced to be shallow, and with no chain of thought.
    fn probes(
        &mut self,
        bench: &Bench<'_>,
        stage: &str,
        engine: &Engine,
        rule: &Rule,
    ) -> anyhow::Result<()> {
        let Bench { place, base, asked, settings, .. } = bench;
        let mut probe = |name: String, asked: &[Asked], rule: &Rule| -> anyhow::Result<()> {
            let tally = answer(engine, base, asked, settings, rule)?.tally;
            let all = tally.all();
            self.lines.metrics.push(json!({
                "system": place.name, "seed": place.seed, "stage": stage, "probe": name,
                "share right": tally.accuracy(&all), "share of blocks": tally.depth(&all),
                "problems": all.len(),
            }));
            Ok(())
        };
        for &blocks in engine.sites().blocks() {
            probe(format!("all tokens leave after {blocks}"), asked, &Rule::Forced(blocks))?;
        }
        let bare: Vec<Asked> =
            asked.iter().map(|a| without_chain(base, a)).collect::<anyhow::Result<_>>()?;
        probe("no chain, full depth".into(), &bare, &Rule::Off)?;
        if *rule != Rule::Off {
            probe("no chain, exits".into(), &bare, rule)?;
        }
        Ok(())
    }

    fn front(&mut self, bench: &Bench<'_>, stage: &str, front: &[Tally]) {
        let mut points: Vec<[f64; 2]> = front
            .iter()
            .map(|tally| [tally.depth(&tally.all()), tally.accuracy(&tally.all())])
            .collect();
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let name = format!("{}/accuracy", bench.place.name);
        for [depth, accuracy] in points {
            self.lines.metrics.push(json!({
                "series": bench.place.series(stage), "x": DEPTH, DEPTH: depth, &name: accuracy,
            }));
        }
    }

    fn rates(&mut self, bench: &Bench<'_>, stage: &str, engine: &Engine, summary: &Summary) {
        let name = format!("{}/share of tokens", bench.place.name);
        for (blocks, rate) in engine.sites().executed().iter().zip(&summary.exit_rates) {
            self.lines.metrics.push(json!({
                "series": bench.place.series(stage), "x": "blocks run", "blocks run": blocks,
                &name: rate,
            }));
        }
    }

    fn by_surprisal(&mut self, bench: &Bench<'_>, stage: &str, pairs: &[Vec<[f64; 2]>]) {
        let mut tokens = pairs.concat();
        tokens.sort_by(|a, b| a[1].total_cmp(&b[1]));
        let name = format!("{}/blocks run", bench.place.name);
        for group in tokens.chunks(tokens.len().div_ceil(GROUPS).max(1)) {
            let mean = |k: usize| group.iter().map(|p| p[k]).sum::<f64>() / group.len() as f64;
            self.lines.metrics.push(json!({
                "series": bench.place.series(stage), "x": SURPRISAL, SURPRISAL: mean(1),
                &name: mean(0),
            }));
        }
    }

    /// Samples, in which each token shows how deep it went.
    fn keep(
        &mut self,
        bench: &Bench<'_>,
        stage: &str,
        engine: &Engine,
        made: &Answered,
    ) -> anyhow::Result<()> {
        let all = engine.sites().num_layers();
        let answers = bench.asked.iter().zip(&made.made).zip(&made.tally.right);
        for ((asked, made), right) in answers.take(SAMPLES) {
            let exits = made.exits.iter().map(|exit| exit.blocks);
            let transcript =
                Transcript::new(&bench.base.tokenizer, &made.completion.ids, exits, all)?;
            self.lines.samples.push(json!({
                "model": bench.place.series(stage), "problem": asked.problem.prompt,
                "answer, with the blocks that each token ran": transcript.marked(),
                "right": right, "blocks": format!("{:.2} of {all}", made.depth().unwrap_or(all as f64)),
            }));
            let heading = format!("{}: {}", bench.place.series(stage), asked.problem.prompt);
            self.lines.transcripts.push((heading, transcript));
        }
        Ok(())
    }

    /// Time saved beside work saved: under the gates, and with exits that are as ragged as can be.
    fn speed(
        &mut self,
        bench: &Bench<'_>,
        engine: &Engine,
        model: &EarlyExitModel,
        rule: &Rule,
    ) -> anyhow::Result<Speed> {
        let Bench { place, base, asked, settings, .. } = bench;
        let prompts: Vec<Vec<u32>> = asked.iter().take(16).map(|a| a.prompt.clone()).collect();
        let timer = Timer {
            engine,
            prompts: &prompts,
            tokens: settings.max_new_tokens.max(2),
            repeats: place.system.time_repeats,
        };
        let ragged = Rule::Random(vec![1.0; model.sites().len() + 1]);
        let mut speed = Speed::default();
        for batch in BATCHES {
            for (name, rule) in [("ragged", &ragged), ("gates", rule)] {
                let timing = timer.compare(rule, batch)?;
                let [low, high] = timing.time_saved.interval;
                self.lines.metrics.push(json!({
                    "system": place.name, "exits": name, "rows": batch,
                    "full depth ms a token": timing.full_ms, "exits ms a token": timing.exits_ms,
                    "time saved": format!("{:.3} [{low:.3}, {high:.3}]", timing.time_saved.value),
                    "work saved": format!("{:.3}", timing.flops_saved),
                }));
                speed.exits.push((name.to_owned(), timing));
            }
        }
        speed.off = Some(timer.off(&base.lm.packed(), 1)?);
        Ok(speed)
    }
}
