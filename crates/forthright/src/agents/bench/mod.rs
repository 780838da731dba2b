//! `forthright agents bench`: the harness beside Inspect, its memory, its sandbox.

mod worker;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rl_core::run::{Claim, Statement};
use serde::{Deserialize, Serialize};
use serde_json::json;
pub(crate) use worker::BenchWorker;

use crate::{
    bench::{OpenMp, Side, cell, cell_with_interval, chosen, counted, estimate, median},
    session::Session,
    terminal::{note, print},
};

/// What Inspect runs.
const PEER: &str = include_str!("../../../peers/agents.py");

/// The harness's own cost: per turn, beside Inspect; of many samples at a time; of a sandboxed command
///
/// A scripted model answers at once and calls one tool that is a function, so that nothing is
/// measured but the harness: the loop, the journal or log on the disk, the scorer. Both sides are
/// processes of their own that take turns; the first turn warms up and does not count.
#[derive(Args)]
pub(crate) struct Bench {
    /// A Python that has what peers/requirements.txt lists: measure Inspect too
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Only cases whose name contains this: turns, memory, sandbox
    #[arg(long)]
    filter: Option<String>,
    /// Turns that count
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Samples of the case turns
    #[arg(long, default_value_t = 1000)]
    samples: usize,
    /// Samples of the peer's, which need longer [default: as ours]
    #[arg(long, requires = "peer")]
    peer_samples: Option<usize>,
    /// Samples at a time of the case memory
    #[arg(long, default_value_t = 10_000)]
    crowd: usize,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    Turns,
    Memory,
    Sandbox,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::Memory => "memory",
            Self::Sandbox => "sandbox",
        }
    }
}

/// What is done in a turn of the benchmark.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    /// Samples.
    samples: usize,
    /// Calls of the tool in each sample; one turn more says that it is done.
    calls: usize,
    /// Samples at a time.
    concurrent: usize,
    /// Milliseconds that the model waits before each answer.
    wait_ms: u64,
    /// Commands in a sandbox.
    commands: usize,
}

/// What a worker says of one turn.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Turn {
    seconds: f64,
    cpu_seconds: f64,
    samples: usize,
    turns: u64,
    /// Mean score; both sides must have done the same.
    score: f64,
    log_bytes: u64,
    peak_bytes: Option<u64>,
    /// The most samples that were running at a time.
    crowd: u64,
    /// Milliseconds of one sandboxed command, the middle one.
    command_ms: Option<f64>,
    library: Option<String>,
}

impl Turn {
    fn cpu_ms(&self) -> f64 {
        self.cpu_seconds * 1e3 / self.turns.max(1) as f64
    }

    fn rate(&self) -> f64 {
        self.samples as f64 / self.seconds
    }
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let counts = [("repeats", self.repeats), ("samples", self.samples), ("crowd", self.crowd)];
        counted(counts.map(|(flag, count)| (flag, count as u64)))?;
        let cases = chosen(Case::value_variants(), Case::name, self.filter.as_deref())?;
        let works: Vec<(Case, Work)> = cases.iter().map(|case| (*case, self.work(*case))).collect();
        let config: std::collections::BTreeMap<&str, &Work> =
            works.iter().map(|(case, work)| (case.name(), work)).collect();
        let session = Session::open(&self.out, &config, 0, "cpu")?;
        let mut metrics = session.dir.lines("metrics.jsonl")?;
        let mut claims = Vec::new();
        for (case, work) in &works {
            let (ours, peer) = self.measure(*case, work)?;
            for (side, turns) in [("ours", &ours), ("peer", &peer)] {
                if !turns.is_empty() {
                    metrics.push(&json!({ "case": case.name(), "side": side, "turns": turns }))?;
                }
            }
            report(*case, &ours, &peer, &mut claims)?;
        }
        session.conclude(&claims)
    }

    fn work(&self, case: Case) -> Work {
        let none = Work { samples: 0, calls: 10, concurrent: 1000, wait_ms: 0, commands: 0 };
        match case {
            Case::Turns => Work { samples: self.samples, ..none },
            // Waits long enough for all to have begun, in their first turn.
            Case::Memory => {
                Work { samples: self.crowd, concurrent: self.crowd, wait_ms: 1000, ..none }
            }
            Case::Sandbox => Work { commands: 200, ..none },
        }
    }

    /// All turns that count, of ours and of the peer's.
    fn measure(&self, case: Case, work: &Work) -> anyhow::Result<(Vec<Turn>, Vec<Turn>)> {
        let asked = serde_json::to_string(work)?;
        let folder = self.out.join("work");
        let mut ours = Side::ours(
            ["agents", "bench-worker", case.name(), &folder.display().to_string()],
            OpenMp::Chosen,
        )?;
        let mut peer = match (&self.peer, case) {
            (Some(python), Case::Turns) => {
                Some(Side::peer(python, PEER, [folder.join("peer")], OpenMp::Chosen)?)
            }
            _ => None,
        };
        let of_peer = Work { samples: self.peer_samples.unwrap_or(work.samples), ..work.clone() };
        let of_peer = serde_json::to_string(&of_peer)?;
        let (mut all_ours, mut all_peer) = (Vec::new(), Vec::new());
        for turn in 0..=self.repeats {
            let counts = turn > 0;
            let answer: Turn = ours.ask(&asked)?;
            all_ours.extend(counts.then_some(answer));
            // What warms the peer up is over with a few samples.
            let small = serde_json::to_string(&Work { samples: 20, ..work.clone() })?;
            if let Some(peer) = &mut peer {
                let answer: Turn = peer.ask(if counts { &of_peer } else { &small })?;
                all_peer.extend(counts.then_some(answer));
            }
            let turn = if counts { format!("turn {turn}") } else { "warm-up".into() };
            note(format_args!("{}: {turn} of {} measured", case.name(), self.repeats));
        }
        drop((ours, peer));
        remove(&folder);
        Ok((all_ours, all_peer))
    }
}

/// What the workers wrote; that it is gone already is as well.
fn remove(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}

fn report(case: Case, ours: &[Turn], peer: &[Turn], claims: &mut Vec<Claim>) -> anyhow::Result<()> {
    let mut push = |id: &str, says: &str, target: &str, values: &[f64]| -> anyhow::Result<()> {
        if let Some((value, interval)) = estimate(values)? {
            let statement = Statement { id, says, source: "ours", target };
            let claim = Claim::measured(statement, value, Some(interval), values.len(), "bench")?;
            claims.push(claim);
        }
        Ok(())
    };
    let gigabytes = |turns: &[Turn]| {
        turns.iter().filter_map(|t| t.peak_bytes).map(|b| b as f64 / 1e9).collect::<Vec<f64>>()
    };
    match case {
        Case::Turns => {
            for (ours, peer) in ours.iter().zip(peer) {
                anyhow::ensure!(
                    (ours.score - peer.score).abs() < 1e-9,
                    "expected the peer's mean score {}, found {}",
                    peer.score,
                    ours.score
                );
            }
            let cpu: Vec<f64> = ours.iter().map(Turn::cpu_ms).collect();
            let ratios: Vec<f64> =
                ours.iter().zip(peer).map(|(a, b)| a.rate() / b.rate()).collect();
            let of_cpu: Vec<f64> =
                ours.iter().zip(peer).map(|(a, b)| b.cpu_ms() / a.cpu_ms()).collect();
            print(turns_table(ours, peer, &ratios)?)?;
            push("agents.cpu", "milliseconds of CPU a turn", "<= 0.2", &cpu)?;
            push("agents.speed", "samples a second over those of Inspect", ">= 20", &ratios)?;
            push("agents.cpu_ratio", "CPU a turn of Inspect over ours", ">= 20", &of_cpu)?;
        }
        Case::Memory => {
            let crowd = ours.iter().map(|t| t.crowd).min().unwrap_or(0);
            let says = format!("peak memory in GB of {crowd} samples at a time");
            push("agents.memory", &says, "< 2", &gigabytes(ours))?;
        }
        Case::Sandbox => {
            let times: Vec<f64> = ours.iter().filter_map(|t| t.command_ms).collect();
            let says = "milliseconds of a sandboxed command, median of 200";
            push("agents.sandbox", says, "< 15", &times)?;
        }
    }
    Ok(())
}

fn turns_table(ours: &[Turn], peer: &[Turn], ratios: &[f64]) -> anyhow::Result<comfy_table::Table> {
    let mut table = crate::terminal::table([
        "side",
        "samples",
        "CPU ms a turn",
        "samples/s",
        "turns/s",
        "peak GB",
        "log MB",
        "times as fast [95 %]",
    ]);
    let library = peer.first().and_then(|t| t.library.clone()).unwrap_or("peer".to_owned());
    for (name, turns, ratio) in [("ours", ours, estimate(ratios)?), (library.as_str(), peer, None)]
    {
        let Some(first) = turns.first() else { continue };
        let middle = |of: &dyn Fn(&Turn) -> f64| median(turns.iter().map(of));
        table.add_row([
            name.to_owned(),
            first.samples.to_string(),
            cell(middle(&Turn::cpu_ms), 4),
            cell(middle(&Turn::rate), 1),
            cell(middle(&|t| t.turns as f64 / t.seconds), 0),
            cell(turns.last().and_then(|t| t.peak_bytes).map(|b| b as f64 / 1e9), 3),
            cell(middle(&|t| t.log_bytes as f64 / 1e6), 2),
            cell_with_interval(ratio),
        ]);
    }
    Ok(table)
}
