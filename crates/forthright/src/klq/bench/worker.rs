//! Our side of the comparison: every line of standard input asks for one iteration.

use std::{path::PathBuf, time::Instant};

use clap::Args;
use klq::{
    Trainer,
    reward::{Answer as Said, Rule},
};
use rl_core::{advantages::gae, returns::Steps};
use tch::Kind;

use super::{
    Case, Turn,
    work::{Advantages, Work, load},
};
use crate::{
    bench::{median, serve},
    klq::train::Name,
};

/// One side of `klq bench`, for that command's use.
#[derive(Args)]
pub(crate) struct BenchWorker {
    work: PathBuf,
    #[arg(value_enum)]
    case: Case,
}

impl BenchWorker {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let work = Work::read(&self.work)?;
        match self.case.algorithm() {
            Some(algorithm) => iterate(&work, algorithm),
            None => advantages(&work.gae),
        }
    }
}

fn iterate(work: &Work, algorithm: Name) -> anyhow::Result<()> {
    let model = load(&work.model)?;
    let config = work.train_config(algorithm);
    let mut trainer = Trainer::new(&model.lm, &model.tokenizer, work.prompts(), &config)?;
    // The same rule as the peer's: characters, in hundreds.
    let mut reward =
        Rule::new("length", |answer: &Said<'_>| Ok(answer.text.chars().count() as f64 / 100.0));
    serve(|_| {
        let start = Instant::now();
        let done = trainer.iterate(&mut reward)?;
        Ok(Turn {
            seconds: start.elapsed().as_secs_f64(),
            episodes: done.rollouts.len(),
            answer_tokens: done.rollouts.iter().map(|rollout| rollout.ids.len()).sum(),
            parts: Some(done.report.seconds),
            peak_bytes: rl_core::memory::peak_bytes(),
            ..Turn::default()
        })
    })
}

fn advantages(work: &Advantages) -> anyhow::Result<()> {
    let [rewards, values] = work.inputs();
    let mask = rewards.ones_like().to_kind(Kind::Bool);
    let steps = Steps::new(&rewards, &values, &mask);
    serve(|_| {
        let (mut times, mut mean_square) = (Vec::new(), None);
        for _ in 0..work.passes {
            let start = Instant::now();
            let out = gae(&steps, work.gamma, work.gae_lambda)?;
            times.push(start.elapsed().as_secs_f64());
            mean_square = Some(out.to_kind(Kind::Double).square().mean(None).double_value(&[]));
        }
        let seconds = median(times.into_iter()).unwrap_or(f64::NAN);
        Ok(Turn { seconds, mean_square, ..Turn::default() })
    })
}
