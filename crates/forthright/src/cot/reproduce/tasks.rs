//! A language model asked the problems of a task.

use std::time::Instant;

use causal_lm::Pretrained;
use cot_metrics::{
    Transcript,
    metrics::{Metric, Report, report},
    scoring::{Format, RolloutConfig},
};
use lm_tasks::{Split, reasoning::Problem};
use rl_core::{memory, run::Statement};
use serde_json::json;

use super::{Run, config::TaskConfig};
use crate::cot::{
    recorded::measured,
    score::{ask, under_edits},
    tally::settings,
    watch::asking,
};

/// Transcripts scored together.
const AT_ONCE: usize = 64;
/// Transcripts that are kept as samples.
const SAMPLES: usize = 3;

impl Run<'_> {
    /// The model's own answers, scored; and recorded ones, whose memory is measured.
    pub(super) fn task(&mut self, model: &Pretrained, config: &TaskConfig) -> anyhow::Result<()> {
        let name = config.task.name();
        let seed = self.seed.derive("task", 0);
        let rollout =
            RolloutConfig { max_new_tokens: config.max_new_tokens, ..RolloutConfig::default() };
        let asking = asking(model, "model", &Format::default(), rollout);
        let problems = config.task.distinct(Split::Evaluation, seed.value(), config.problems)?;
        let begun = Instant::now();
        let (said, records) = ask(model, &asking, &problems, seed)?;
        let took = begun.elapsed().as_secs_f64();
        let found = report(&records, &settings())?;
        let rate = records.len() as f64 / took;
        self.metrics.push(&json!({
            "task": name, "problems": problems.len(), "answers": records.len(),
            "answers asked for": said.forced.len(), "accuracy": measured(&found.accuracy), "examples a second": format!("{rate:.2}"),
        }))?;
        self.scores(name, &found)?;
        for transcript in said.transcripts.iter().take(SAMPLES) {
            self.samples.push(&json!(transcript))?;
        }
        let scored = records
            .iter()
            .filter(|record| Metric::ALL.iter().all(|metric| record.nll(metric.arm()).is_ok()));
        let share = scored.count() as f64 / records.len() as f64;
        let statement = Statement {
            id: &format!("cot.{name}.scored"),
            says: "share of the model's answers that have all three scores; those without an answer \
                   are counted apart",
            source: "ours",
            target: ">= 0.5",
        };
        if records.is_empty() {
            self.claims.open(statement, "no answer is marked")?;
        } else {
            self.claims.measured(statement, share, None, records.len())?;
        }
        if config.recorded > 0 {
            self.recorded(model, config, name)?;
        }
        Ok(())
    }

    /// The three scores of a set of answers.
    fn scores(&mut self, task: &str, found: &Report) -> anyhow::Result<()> {
        for of_metric in &found.metrics {
            self.metrics.push(&json!({
                "task": task, "metric": of_metric.metric,
                "regularized": measured(&of_metric.regularized.mean),
                "as published": measured(&of_metric.raw.mean),
                "change in probability": measured(&of_metric.change.mean),
                "n": of_metric.regularized.n(), "undefined": of_metric.regularized.without(),
            }))?;
        }
        Ok(())
    }

    /// Chains by program, scored as if they had been recorded.
    fn recorded(
        &mut self,
        model: &Pretrained,
        config: &TaskConfig,
        name: &str,
    ) -> anyhow::Result<()> {
        let seed = self.seed.derive("recorded", 0);
        let asking = asking(model, "model", &Format::default(), RolloutConfig::default());
        let transcript = |problem: &Problem| Transcript {
            id: problem.id.clone(),
            question: problem.request(),
            chain: problem.chains.first().map(lm_tasks::reasoning::Chain::text).unwrap_or_default(),
            answer: problem.answer.clone(),
            reference: Some(problem.answer.clone()),
            tokenizer: None,
        };
        let statement = Statement {
            id: &format!("cot.{name}.memory"),
            says: &format!(
                "bytes beyond those of the loaded model that scoring {} recorded examples under all \
                 edits has held at most",
                config.recorded
            ),
            source: "ours",
            target: "<= 1000000000",
        };
        let (Some(before), Some(peak)) = (memory::resident_bytes(), memory::peak_bytes()) else {
            return self.claims.open(statement, "the system does not tell how much memory is held");
        };
        let begun = Instant::now();
        let problems = config.task.distinct(Split::Train, seed.value(), config.recorded)?;
        let transcripts: Vec<Transcript> = problems.iter().map(transcript).collect();
        let mut records = Vec::new();
        for chunk in transcripts.chunks(AT_ONCE) {
            records.extend(under_edits(model, &asking, chunk, Some(name), seed)?);
        }
        let scored = records.len();
        let rate = scored as f64 / begun.elapsed().as_secs_f64();
        self.metrics.push(&json!({
            "task": name, "recorded examples": scored, "recorded examples a second": format!("{rate:.2}"),
        }))?;
        self.scores(&format!("{name}, chains by program"), &report(&records, &settings())?)?;
        // Where the peak lies before, this bound is not tight.
        let after = memory::peak_bytes().unwrap_or(peak);
        self.claims.measured(statement, after.saturating_sub(before) as f64, None, scored)
    }
}
