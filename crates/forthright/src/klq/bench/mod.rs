//! `forthright klq bench`: our trainer beside that of the reference library.

mod summary;
mod work;
mod worker;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use klq::Seconds;
use serde::{Deserialize, Serialize};
use work::Work;
pub(crate) use worker::BenchWorker;

use super::train::Name;
use crate::{
    bench::{OpenMp, Side, chosen, counted},
    lm::model::path_or_default,
    session::Session,
    terminal::{note, print},
};

/// What the reference library runs.
const PEER: &str = include_str!("../../../peers/klq.py");

/// One iteration of RLHF beside TRL's RLOO trainer, and GAE beside a loop over time
///
/// All algorithms and the peer are processes of their own with the same OpenMP settings, from the
/// same prompts, as many answers a batch, the same adapter and the same rule as reward. They take
/// turns, iteration by iteration, so that what the machine does meanwhile meets all; the first turn
/// warms up and does not count. Times are medians, ratios are medians over turns with bootstrap
/// intervals. Memory is the peak of the whole process.
#[derive(Args)]
pub(crate) struct Bench {
    /// A Hugging Face folder or a .gguf file [default: the model that `cargo xtask setup` fetched]
    #[arg(long)]
    model: Option<PathBuf>,
    /// A Python that has what peers/requirements.txt lists: measure the reference library too
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Let the peer compute activations twice rather than keep them, as it does by default: slower,
    /// with less memory
    #[arg(long, requires = "peer")]
    peer_checkpointing: bool,
    /// Only cases whose name contains this: klq, ppo, rloo, gae
    #[arg(long)]
    filter: Option<String>,
    /// Turns that count
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Answers of a batch
    #[arg(long, default_value_t = 32)]
    prompts: usize,
    /// Tokens of an answer, at most
    #[arg(long, default_value_t = 48)]
    tokens: usize,
    /// Passes over a batch
    #[arg(long, default_value_t = 4)]
    epochs: usize,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    Klq,
    Ppo,
    Rloo,
    Gae,
}

impl Case {
    fn name(self) -> &'static str {
        self.algorithm().map_or("gae", Name::name)
    }

    fn algorithm(self) -> Option<Name> {
        match self {
            Self::Klq => Some(Name::Klq),
            Self::Ppo => Some(Name::Ppo),
            Self::Rloo => Some(Name::Rloo),
            Self::Gae => None,
        }
    }
}

/// What a worker says of one turn.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Turn {
    seconds: f64,
    parts: Option<Seconds>,
    episodes: usize,
    answer_tokens: usize,
    peak_bytes: Option<u64>,
    /// Of the advantages: both sides should have computed the same.
    mean_square: Option<f64>,
    library: Option<String>,
}

/// Cases that are measured in the same turns, and their peer.
struct Measured {
    ours: Vec<(Case, Vec<Turn>)>,
    peer: Vec<Turn>,
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let counts = [("repeats", self.repeats), ("tokens", self.tokens), ("epochs", self.epochs)];
        counted(counts.map(|(flag, count)| (flag, count as u64)))?;
        let cases = chosen(Case::value_variants(), Case::name, self.filter.as_deref())?;
        let file = path_or_default(self.model.as_deref())?;
        let work = Work {
            peer_checkpointing: self.peer_checkpointing,
            ..Work::new(&file, self.prompts, self.tokens, self.epochs)?
        };
        let session = Session::open(&self.out, &work, 0, "cpu")?;
        let path = session.dir.path().join("work.json");
        session.dir.write("work.json", &serde_json::to_string(&work)?)?;
        let mut metrics = session.dir.lines("metrics.jsonl")?;
        let mut claims = Vec::new();
        let mut table = summary::table();
        let (training, math): (Vec<Case>, Vec<Case>) =
            cases.into_iter().partition(|case| case.algorithm().is_some());
        for (cases, peer) in [(training, Case::Rloo), (math, Case::Gae)] {
            if !cases.is_empty() {
                self.measure(&path, &cases, peer)?.report(&mut table, &mut metrics, &mut claims)?;
            }
        }
        print(table)?;
        session.conclude(&claims)
    }

    fn measure(&self, work: &Path, cases: &[Case], peer: Case) -> anyhow::Result<Measured> {
        let ours = |case: Case| {
            let verb = ["klq", "bench-worker"].map(OsStr::new);
            let args = [verb[0], verb[1], work.as_os_str(), OsStr::new(case.name())];
            Side::ours(args, OpenMp::Chosen)
        };
        let mut sides = cases.iter().map(|&case| ours(case)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut peer = self
            .peer
            .as_ref()
            .map(|python| {
                let args = [work.as_os_str(), OsStr::new(peer.name())];
                Side::peer(python, PEER, args, OpenMp::Chosen)
            })
            .transpose()?;
        let mut measured =
            Measured { ours: cases.iter().map(|&case| (case, vec![])).collect(), peer: vec![] };
        for turn in 0..=self.repeats {
            let counts = turn > 0;
            for (side, (_, answers)) in sides.iter_mut().zip(&mut measured.ours) {
                let answer = side.ask("next")?;
                answers.extend(counts.then_some(answer));
            }
            if let Some(peer) = &mut peer {
                let answer = peer.ask("next")?;
                measured.peer.extend(counts.then_some(answer));
            }
            let names: Vec<&str> = cases.iter().map(|case| case.name()).collect();
            let turn = if counts { format!("turn {turn}") } else { "warm-up".into() };
            note(format_args!("{}: {turn} of {} measured", names.join(", "), self.repeats));
        }
        Ok(measured)
    }
}
