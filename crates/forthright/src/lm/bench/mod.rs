//! `forthright lm bench`: our speed beside that of the reference library, and beside the floors.

mod neighbor;
mod worker;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::Args;
use rl_core::run::{Claim, Statement};
use serde::{Deserialize, Serialize};
use serde_json::json;
pub(crate) use worker::BenchWorker;

use super::model::Model;
use crate::{
    bench::{OpenMp, Side, cell, cell_with_interval, chosen, counted, estimate, median},
    session::Session,
};

/// What the reference library runs.
const PEER: &str = include_str!("../../../peers/lm.py");

/// Length of the prompts and of the completions, in tokens.
const PROMPT_TOKENS: usize = 16;
const TOKENS: usize = 64;

/// The reference library takes a good part of a minute to load; more tells no more.
const LOADS: usize = 2;

/// Our speed beside the floors that the machine sets, and beside the reference library's
///
/// Both sides are processes of their own with the same OpenMP settings and do every case in turn, so
/// that what the machine does meanwhile meets both. Times are medians, ratios are medians of pairs
/// with bootstrap intervals.
#[derive(Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    model: Model,
    /// A Python that has what peers/requirements.txt lists: measure the reference library too
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Only cases whose name contains this, such as bfloat16/generate
    #[arg(long)]
    filter: Option<String>,
    /// Times every case is measured
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
}

/// What a worker says of a case.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Answer {
    seconds: f64,
    tokens: usize,
    peak_bytes: Option<u64>,
    read_bytes_s: Option<f64>,
    flops: Option<f64>,
    parameters: Option<usize>,
    library: Option<String>,
}

/// A case, how fast it should be beside the peer, and what it must at least do.
struct Case {
    dtype: &'static str,
    name: &'static str,
    target: f64,
    work: Work,
}

/// What the floor of a case is made of.
enum Work {
    /// All weights are read at every step, and every row is multiplied with them.
    Decode { batch: usize },
    /// Every weight is used three times for every token.
    Train { tokens: usize },
    /// The file is read; no floor is given.
    Load,
}

const CASES: [Case; 8] = [
    Case { dtype: "bfloat16", name: "load", target: 5.0, work: Work::Load },
    Case { dtype: "bfloat16", name: "generate:1", target: 1.6, work: Work::Decode { batch: 1 } },
    Case { dtype: "bfloat16", name: "generate:16", target: 2.4, work: Work::Decode { batch: 16 } },
    Case { dtype: "bfloat16", name: "generate:64", target: 4.0, work: Work::Decode { batch: 64 } },
    Case {
        dtype: "bfloat16",
        name: "train:4x256",
        target: 1.2,
        work: Work::Train { tokens: 1024 },
    },
    Case { dtype: "float32", name: "generate:1", target: 1.5, work: Work::Decode { batch: 1 } },
    Case { dtype: "float32", name: "generate:16", target: 1.5, work: Work::Decode { batch: 16 } },
    Case { dtype: "float32", name: "train:4x256", target: 1.2, work: Work::Train { tokens: 1024 } },
];

impl Case {
    fn id(&self) -> String {
        format!("{}/{}", self.dtype, self.name)
    }

    /// Seconds that the machine needs at best.
    fn floor_s(&self, floors: &Answer) -> Option<f64> {
        let bytes_each = if self.dtype == "bfloat16" { 2.0 } else { 4.0 };
        let (read, flops) = (floors.read_bytes_s?, floors.flops?);
        let parameters = floors.parameters? as f64;
        match self.work {
            Work::Load => None,
            Work::Train { tokens } => Some(6.0 * parameters * tokens as f64 / flops),
            Work::Decode { batch } => {
                let products = 2.0 * parameters * batch as f64 / flops;
                let step = (parameters * bytes_each / read).max(products);
                Some(step * TOKENS as f64 + products * (PROMPT_TOKENS - 1) as f64)
            }
        }
    }
}

/// Both sides' times of one case, pair by pair.
struct Measured<'a> {
    case: &'a Case,
    ours: Vec<Answer>,
    peer: Vec<Answer>,
    floors_s: Vec<Option<f64>>,
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        counted([("repeats", self.repeats as u64)])?;
        let all: Vec<&Case> = CASES.iter().collect();
        let cases = chosen(&all, Case::id, self.filter.as_deref())?;
        let file = self.model.path()?;
        let config = json!({ "repeats": self.repeats, "prompt_tokens": PROMPT_TOKENS, "new_tokens": TOKENS });
        let session = Session::open(&self.out, &config, 0, "cpu")?;
        let mut metrics = session.dir.lines("metrics.jsonl")?;
        let mut claims = Vec::new();
        let mut table = crate::terminal::table([
            "case",
            "ours, s",
            "tokens/s",
            "floor, s",
            "of floor",
            "peer, s",
            "ratio [95 %]",
            "target",
            "peak GB, ours",
            "peer",
        ]);
        for dtype in ["bfloat16", "float32"] {
            let of_type: Vec<&Case> = cases.iter().copied().filter(|c| c.dtype == dtype).collect();
            for measured in self.measure(&file, dtype, &of_type)? {
                let row = measured.summary(&mut claims)?;
                table.add_row(row.cells());
                metrics.push(&row.object(&measured))?;
            }
        }
        if self.filter.is_none() {
            neighbor::measure(&file, &mut claims, &mut metrics)?;
        }
        crate::terminal::print(table)?;
        session.conclude(&claims)
    }

    fn measure<'a>(
        &self,
        file: &Path,
        dtype: &str,
        cases: &[&'a Case],
    ) -> anyhow::Result<Vec<Measured<'a>>> {
        let mut out: Vec<Measured<'_>> = cases
            .iter()
            .map(|&case| Measured { case, ours: vec![], peer: vec![], floors_s: vec![] })
            .collect();
        // Each case has processes of its own, so that peaks of memory are its own too.
        for measured in &mut out {
            let case = measured.case;
            let mut ours = ours(file, dtype, OpenMp::Chosen)?;
            let mut peer = self
                .peer
                .as_ref()
                .map(|python| {
                    let args = [file.as_os_str(), OsStr::new(dtype)];
                    Side::peer(python, PEER, args, OpenMp::Chosen)
                })
                .transpose()?;
            let loading = matches!(case.work, Work::Load);
            if !loading {
                let _: Answer = ours.ask("load")?;
                let _: Option<Answer> = peer.as_mut().map(|p| p.ask("load")).transpose()?;
            }
            let repeats = if loading { self.repeats.min(LOADS) } else { self.repeats };
            for _ in 0..repeats {
                measured.ours.push(ours.ask(case.name)?);
                if let Some(peer) = &mut peer {
                    measured.peer.push(peer.ask(case.name)?);
                }
                if !loading {
                    // After the answer: what floors need is not in its peak of memory.
                    measured.floors_s.push(case.floor_s(&ours.ask("floors")?));
                }
            }
            crate::terminal::note(format_args!("{}: measured", case.id()));
        }
        Ok(out)
    }
}

/// Our side.
fn ours(file: &Path, dtype: &str, openmp: OpenMp) -> anyhow::Result<Side> {
    let verb = ["lm", "bench-worker"].map(OsStr::new);
    Side::ours([verb[0], verb[1], file.as_os_str(), OsStr::new(dtype)], openmp)
}

/// One line of the table.
struct Row {
    id: String,
    seconds: f64,
    tokens_per_s: f64,
    floor_s: Option<f64>,
    of_floor: Option<f64>,
    peer_s: Option<f64>,
    ratio: Option<(f64, [f64; 2])>,
    target: f64,
    peak_gb: Option<f64>,
    peer_peak_gb: Option<f64>,
}

impl Measured<'_> {
    fn summary(&self, claims: &mut Vec<Claim>) -> anyhow::Result<Row> {
        let seconds = |answers: &[Answer]| median(answers.iter().map(|a| a.seconds));
        let gb = |answers: &[Answer]| {
            // The first answer comes before floors were measured.
            answers.first().and_then(|a| a.peak_bytes).map(|bytes| bytes as f64 / 1e9)
        };
        let ours_s = seconds(&self.ours).unwrap_or(f64::NAN);
        let pairs: Vec<f64> =
            self.ours.iter().zip(&self.peer).map(|(a, b)| b.seconds / a.seconds).collect();
        let ratio = estimate(&pairs)?;
        let fractions: Vec<f64> = self
            .ours
            .iter()
            .zip(&self.floors_s)
            .filter_map(|(a, floor)| Some((*floor)? / a.seconds))
            .collect();
        let of_floor = estimate(&fractions)?;
        let row = Row {
            id: self.case.id(),
            seconds: ours_s,
            tokens_per_s: self.ours.first().map_or(0.0, |a| a.tokens as f64) / ours_s,
            floor_s: median(self.floors_s.iter().flatten().copied()),
            of_floor: of_floor.map(|(value, _)| value),
            peer_s: seconds(&self.peer),
            ratio,
            target: self.case.target,
            peak_gb: gb(&self.ours),
            peer_peak_gb: gb(&self.peer),
        };
        let id = self.case.id().replace('/', ".");
        let mut push = |name: &str, says: &str, target: &str, value: f64, interval, n| {
            let (id, says) = (format!("lm.{name}.{id}"), format!("{}: {says}", self.case.id()));
            let statement = Statement { id: &id, says: &says, source: "ours", target };
            Claim::measured(statement, value, interval, n, "bench").map(|claim| claims.push(claim))
        };
        if let Some((value, interval)) = ratio {
            let target = format!(">= {}", self.case.target);
            let says = "times as fast as the reference library";
            push("speed", says, &target, value, Some(interval), pairs.len())?;
        }
        if let Some((value, interval)) = of_floor {
            let says = "fraction of the speed that reading and multiplying allow";
            push("floor", says, ">= 0.7", value, Some(interval), fractions.len())?;
        }
        if let (Some(ours), Some(peer)) = (row.peak_gb, row.peer_peak_gb) {
            let says = "peak memory as a fraction of the reference library's";
            push("memory", says, "< 1", ours / peer, None, 1)?;
        }
        Ok(row)
    }
}

impl Row {
    fn cells(&self) -> [String; 10] {
        [
            self.id.clone(),
            cell(Some(self.seconds), 3),
            if self.tokens_per_s > 0.0 { cell(Some(self.tokens_per_s), 0) } else { "–".into() },
            cell(self.floor_s, 3),
            cell(self.of_floor, 2),
            cell(self.peer_s, 3),
            cell_with_interval(self.ratio),
            format!("{}", self.target),
            cell(self.peak_gb, 2),
            cell(self.peer_peak_gb, 2),
        ]
    }

    fn object(&self, measured: &Measured<'_>) -> serde_json::Value {
        let times = |answers: &[Answer]| answers.iter().map(|a| a.seconds).collect::<Vec<_>>();
        json!({
            "case": self.id, "ours_s": times(&measured.ours), "peer_s": times(&measured.peer),
            "floors_s": measured.floors_s, "peak_gb": self.peak_gb,
            "peer_peak_gb": self.peer_peak_gb,
            "peer": measured.peer.first().and_then(|a| a.library.clone()),
        })
    }
}
