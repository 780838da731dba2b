//! `forthright cot bench`: our measurements beside the same written with the reference library, the
//! memory of scoring, and what the monitor takes of a training.

mod summary;
mod watched;
mod work;
mod worker;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tch::Kind;
use work::Work;
pub(crate) use worker::BenchWorker;

use crate::{
    bench::{OpenMp, Side, chosen, counted},
    lm::model::{Dtype, path_or_default},
    session::Session,
    terminal::{note, print},
};

/// What the reference library runs.
const PEER: &str = include_str!("../../../peers/cot.py");

/// All three metrics beside the same written plainly with transformers; memory; the monitor's share
///
/// Of each example the model generates a chain of a fixed length, and a recorded answer is scored after
/// the original text and three edited ones. Ours makes the edits too, which the peer is given. Both sides
/// are processes of their own with the same OpenMP settings, from the same prompts and texts; they take
/// turns, so that what the machine does meanwhile meets both, and the first turn warms up and does not
/// count. Times are medians, ratios are medians over turns with bootstrap intervals. The log-probabilities
/// must agree. The case memory scores recorded chains and reports the most memory held beyond the loaded
/// model; the case monitor trains a small model with the monitor at its default settings.
#[derive(Args)]
pub(crate) struct Bench {
    /// A .gguf file [default: the model that `cargo xtask setup` fetched]
    #[arg(long)]
    model: Option<PathBuf>,
    /// Type of the weights, on both sides
    #[arg(long, value_enum, default_value_t = Dtype::Bf16)]
    dtype: Dtype,
    /// A Python that has what peers/requirements.txt lists: measure the reference library too
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Only cases whose name contains this: speed, speed-batched, memory, monitor
    #[arg(long)]
    filter: Option<String>,
    /// Turns that count
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Examples of a turn
    #[arg(long, default_value_t = 16)]
    examples: usize,
    /// Tokens of a rollout
    #[arg(long, default_value_t = 96)]
    tokens: usize,
    /// Recorded examples of the case memory
    #[arg(long, default_value_t = 1000)]
    recorded: usize,
    /// Steps of the training of the case monitor
    #[arg(long, default_value_t = 60)]
    iterations: u64,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    Speed,
    SpeedBatched,
    Memory,
    Monitor,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::SpeedBatched => "speed-batched",
            Self::Memory => "memory",
            Self::Monitor => "monitor",
        }
    }

    /// What the peer is asked for, where it has it.
    fn peer(self) -> Option<&'static str> {
        match self {
            Self::Speed => Some("plain"),
            Self::SpeedBatched => Some("batched"),
            Self::Memory | Self::Monitor => None,
        }
    }
}

/// What a worker says of one turn.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Turn {
    seconds: f64,
    generation: f64,
    scoring: f64,
    examples: usize,
    /// Tokens of each rollout.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    said: Vec<Vec<u32>>,
    /// Of each example the log-probability of its answer after each text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log_probs: Vec<Vec<f64>>,
    peak_bytes: Option<u64>,
    /// Beyond those of the loaded model.
    beyond_bytes: Option<u64>,
    /// Seconds that a monitor took of them.
    monitoring: f64,
    /// How often it measured.
    measurements: usize,
    library: Option<String>,
}

/// The turns of a case that count.
struct Measured {
    case: Case,
    dtype: Kind,
    ours: Vec<Turn>,
    peer: Vec<Turn>,
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let counts = [
            ("repeats", self.repeats),
            ("examples", self.examples),
            ("tokens", self.tokens),
            ("recorded", self.recorded),
            ("iterations", self.iterations as usize),
        ];
        counted(counts.map(|(flag, count)| (flag, count as u64)))?;
        let cases = chosen(Case::value_variants(), Case::name, self.filter.as_deref())?;
        let file = path_or_default(self.model.as_deref())?;
        // Only what is compared needs answers of the model.
        let compared = cases.iter().any(|case| case.peer().is_some());
        let examples = if compared { self.examples } else { 0 };
        let work = Work {
            recorded: self.recorded,
            iterations: self.iterations,
            ..Work::new(&file, self.dtype.kind(), examples, self.tokens)?
        };
        let session = Session::open(&self.out, &work.settings(), 0, "cpu")?;
        let path = session.dir.path().join("work.json");
        session.dir.write("work.json", &serde_json::to_string(&work)?)?;
        let mut metrics = session.dir.lines("metrics.jsonl")?;
        let mut claims = Vec::new();
        let mut table = summary::table();
        for case in cases {
            let measured = self.measure(&path, case)?;
            measured.report(&mut table, &mut metrics, &mut claims)?;
        }
        print(table)?;
        session.conclude(&claims)
    }

    fn measure(&self, work: &Path, case: Case) -> anyhow::Result<Measured> {
        let args = ["cot", "bench-worker"].map(OsStr::new);
        let args = [args[0], args[1], work.as_os_str(), OsStr::new(case.name())];
        let mut ours = Side::ours(args, OpenMp::Chosen)?;
        let peer = self.peer.as_ref().zip(case.peer()).map(|(python, how)| {
            Side::peer(python, PEER, [work.as_os_str(), OsStr::new(how)], OpenMp::Chosen)
        });
        let mut peer = peer.transpose()?;
        let mut measured = Measured { case, dtype: self.dtype.kind(), ours: vec![], peer: vec![] };
        // Peaks and shares need no warming up, and a long measurement of a peak is taken once.
        let first = usize::from(case.peer().is_none());
        let last = if case == Case::Memory { 1 } else { self.repeats };
        for turn in first..=last {
            let counts = turn > 0;
            let answer = ours.ask("next")?;
            measured.ours.extend(counts.then_some(answer));
            if let Some(peer) = &mut peer {
                let answer = peer.ask("next")?;
                measured.peer.extend(counts.then_some(answer));
            }
            let turn = if counts { format!("turn {turn}") } else { "warm-up".into() };
            note(format_args!("{}: {turn} of {last} measured", case.name()));
        }
        Ok(measured)
    }
}
