//! What a short spin of OpenMP's threads costs when the machine is quiet, and what it saves beside a
//! busy process.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rl_core::run::{Claim, LineWriter, Statement};
use serde_json::json;

use super::{Answer, ours};
use crate::bench::{OpenMp, estimate, median};

/// Tokens enough for a median, few enough where a step takes a second.
const CASE: &str = "generate:1x16";
const STEPS: f64 = 16.0;
const ROUNDS: usize = 7;

/// A thread that keeps one core busy until it is dropped.
struct Neighbor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbor {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let work = move || {
            while !asked.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        Self { stop, thread: Some(std::thread::spawn(work)) }
    }
}

impl Drop for Neighbor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic.
            let _ = thread.join();
        }
    }
}

/// Measures both settings, quiet and busy, in turn.
pub(super) fn measure(
    file: &Path,
    claims: &mut Vec<Claim>,
    metrics: &mut LineWriter,
) -> anyhow::Result<()> {
    let mut sides =
        [ours(file, "bfloat16", OpenMp::Default)?, ours(file, "bfloat16", OpenMp::Chosen)?];
    for side in &mut sides {
        for case in ["load", CASE] {
            let _: Answer = side.ask(case)?;
        }
    }
    let mut rounds = || -> anyhow::Result<[Vec<f64>; 2]> {
        let mut times = [vec![], vec![]];
        for _ in 0..ROUNDS {
            for (side, times) in sides.iter_mut().zip(&mut times) {
                times.push(side.ask::<Answer>(CASE)?.seconds);
            }
        }
        Ok(times)
    };
    let [quiet_default, quiet_chosen] = rounds()?;
    let neighbor = Neighbor::start();
    let [busy_default, busy_chosen] = rounds()?;
    drop(neighbor);
    let ratios = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<f64>>();
    let mut push = |id: &str, says: &str, target: &str, ratios: &[f64]| -> anyhow::Result<()> {
        if let Some((value, interval)) = estimate(ratios)? {
            let statement = Statement { id, says, source: "ours", target };
            let n = ratios.len();
            claims.push(Claim::measured(statement, value, Some(interval), n, "bench")?);
        }
        Ok(())
    };
    push(
        "lm.openmp.quiet",
        "time of a quiet decoding step with the chosen OpenMP setting over that with the default",
        "<= 1.05",
        &ratios(&quiet_chosen, &quiet_default),
    )?;
    push(
        "lm.openmp.busy",
        "time of a decoding step with one core kept busy over that of a quiet one, chosen setting",
        "<= 5",
        &ratios(&busy_chosen, &quiet_chosen),
    )?;
    let step_ms = |times: &[f64]| median(times.iter().map(|s| s * 1e3 / STEPS));
    let settings = [
        ("openmp/default", quiet_default, busy_default),
        ("openmp/chosen", quiet_chosen, busy_chosen),
    ];
    for (name, quiet, busy) in settings {
        let (quiet_ms, busy_ms) = (step_ms(&quiet), step_ms(&busy));
        crate::terminal::print(format_args!(
            "{name}: {:.1} ms a step when quiet, {:.1} ms with one core busy",
            quiet_ms.unwrap_or(f64::NAN),
            busy_ms.unwrap_or(f64::NAN)
        ))?;
        metrics.push(&json!({
            "case": name, "quiet_step_ms": quiet_ms, "busy_step_ms": busy_ms,
            "quiet_s": quiet, "busy_s": busy,
        }))?;
    }
    Ok(())
}
