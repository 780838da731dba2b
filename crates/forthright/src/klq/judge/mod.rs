//! `forthright klq judge`.

mod who;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{CausalLm, Pretrained};
use clap::Args;
use klq::{
    judge::{Judged, Verdict, WinRate, compare_rollouts, win_rate},
    reward::Prompt,
    rollout::{Rollout, sample},
};
use lm_tasks::Split;
use rl_core::{seed::Seed, stats::Estimate};
use serde_json::{Value, json};

use super::{
    evaluate::with_adapter,
    train::{Config, read_config},
};
use crate::{
    Unfinished,
    lm::model::{Dtype, Model},
    terminal::{note, print},
};

/// Names the model itself where an adapter's folder is asked for.
const START: &str = "start";

/// How often the answers of one policy win against another's, as a third model sees it
///
/// Both answer the same held-out prompts with the same random numbers; every match is judged with
/// each of them shown first. A match without a verdict in both orders counts for neither.
#[derive(Args)]
pub(crate) struct JudgeCommand {
    #[command(flatten)]
    model: Model,
    /// Policy A: the folder of an adapter over --model, as `klq train` writes it, or `start` for the model itself
    #[arg(long)]
    a: PathBuf,
    /// Policy B, likewise
    #[arg(long)]
    b: PathBuf,
    #[command(flatten)]
    who: who::Who,
    /// Settings of a run, such as its config.toml: task and rollouts
    #[arg(long)]
    config: Option<PathBuf>,
    /// What is to be answered
    #[arg(long, value_enum, conflicts_with = "config")]
    task: Option<super::task::Kind>,
    /// Prompts of your own, in any layout that lm-tasks reads
    #[arg(long)]
    data: Option<PathBuf>,
    /// Answers to each prompt, of each policy
    #[arg(long, default_value_t = 1)]
    group: usize,
    /// Prompts at most
    #[arg(long)]
    limit: Option<usize>,
    /// Seed of the answers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON document with every match
    #[arg(long)]
    json: bool,
}

impl JudgeCommand {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.group > 0, "--group: expected at least 1, found 0");
        self.who.check()?;
        let config = self.resolve()?;
        let model = self.model.load(Dtype::Bf16)?;
        let policies = [policy(&model, &self.a)?, policy(&model, &self.b)?];
        let mut prompts = config.task.prompts(&model, Split::Evaluation)?;
        prompts.truncate(self.limit.unwrap_or(usize::MAX));
        // Before the answers, which take long: what is wrong with the judge shows here.
        let mut judge = self.who.open(&self.model, &model, config.task.kind)?;
        note(format_args!(
            "{} prompts, {} answers of each policy to each",
            prompts.len(),
            self.group
        ));
        let [a, b] = policies.map(|lm| self.answers(&lm, &model, &prompts, &config));
        let (a, b) = (a?, b?);
        note(format_args!("judging by {}", judge.name()));
        let judged = compare_rollouts(&a, &b, &prompts, judge.as_mut());
        let rate = win_rate(&judged);
        if self.json {
            print(self.document(judge.name(), &judged, rate.as_ref().ok(), [&a, &b], &prompts))?;
        } else if let Ok(rate) = &rate {
            lines(rate).into_iter().try_for_each(print)?;
        }
        let reason = first_reason(&judged);
        match (rate, reason) {
            (Ok(_), None) => Ok(()),
            (Ok(rate), Some(reason)) => {
                let WinRate { unscored, .. } = rate;
                note(format_args!("warning: {unscored} matches without verdict; one: {reason}"));
                Ok(())
            }
            (Err(_), Some(reason)) => {
                anyhow::bail!(Unfinished(format!("too few matches could be judged: {reason}")))
            }
            (Err(error), None) => {
                anyhow::bail!(Unfinished(format!("too few matches for an interval: {error}")))
            }
        }
    }

    fn resolve(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => read_config(path)?,
            None => Config::default(),
        };
        if let Some(kind) = self.task {
            config.task = kind.usual();
        }
        if let Some(data) = &self.data {
            config.task.data = Some(data.clone());
        }
        Ok(config)
    }

    /// Equal seeds give both policies equal random numbers.
    fn answers(
        &self,
        lm: &CausalLm,
        model: &Pretrained,
        prompts: &[Prompt],
        config: &Config,
    ) -> anyhow::Result<Vec<Rollout>> {
        let all: Vec<usize> = (0..prompts.len()).collect();
        let seed = Seed::new(self.seed).derive("evaluation", 0);
        let rollout = &config.train.rollout;
        Ok(sample(lm, &model.tokenizer, prompts, &all, self.group, rollout, seed)?)
    }

    fn document(
        &self,
        judge: &str,
        judged: &[Judged],
        rate: Option<&WinRate>,
        answers: [&[Rollout]; 2],
        prompts: &[Prompt],
    ) -> Value {
        let one = |of: &Judged| {
            let [a, b] = of.answers;
            json!({
                "prompt": prompts[of.prompt].id, "a": answers[0][a].text, "b": answers[1][b].text,
                "verdicts": of.verdicts, "score": of.score(),
            })
        };
        let matches: Vec<Value> = judged.iter().map(one).collect();
        json!({
            "version": 1, "a": self.a, "b": self.b, "judge": judge, "win_rate": rate,
            "unscored": judged.iter().filter(|of| of.score().is_none()).count(),
            "matches": matches,
        })
    }
}

/// A policy from its folder.
fn policy(model: &Pretrained, folder: &Path) -> anyhow::Result<CausalLm> {
    if folder == Path::new(START) {
        return Ok(model.lm.base());
    }
    with_adapter(model, folder).with_context(|| folder.display().to_string())
}

/// Why the first match without verdict has none.
fn first_reason(judged: &[Judged]) -> Option<&str> {
    judged.iter().flat_map(|of| &of.verdicts).find_map(|verdict| match verdict {
        Verdict::Unscored(reason) => Some(reason.as_str()),
        _ => None,
    })
}

fn lines(rate: &WinRate) -> [String; 4] {
    let WinRate { rate: Estimate { value, interval: [low, high], n, .. }, .. } = rate;
    let all = rate.judged + rate.unscored;
    [
        format!(
            "A wins         {value:.3}  [{low:.3}, {high:.3}]  n = {n} prompts, a tie counts half"
        ),
        format!("ties           {} of {} judged matches", rate.ties, rate.judged),
        format!("no verdict     {} of {all} matches", rate.unscored),
        format!("orders agree   {:.3}", rate.consistent),
    ]
}
