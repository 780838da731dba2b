//! Runs that are killed at any moment and go on end as if they never had been.
#![expect(clippy::print_stderr, reason = "the moments, for when it fails")]

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use forthright_tests::{Said, Tiny, assert_same, said};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{
    cot, early_exit,
    finetune::{resume, settings, spawn, start, wait_for},
    klq,
};

/// The newest whole checkpoint, by its name.
fn newest(run: &Path) -> Option<String> {
    let names = fs::read_dir(run.join("checkpoints")).ok()?;
    let names = names.filter_map(|e| e.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("step-")).max()
}

/// Every folder that has a checkpoint's name holds one, with its tensors in a file of this name.
fn assert_whole(run: &Path, state: &str) {
    let Ok(entries) = fs::read_dir(run.join("checkpoints")) else { return };
    for path in entries.map(|e| e.unwrap().path()) {
        if path.file_name().unwrap().to_str().unwrap().starts_with("step-") {
            let bytes = fs::read(path.join(state)).unwrap();
            let tensors = safetensors::SafeTensors::deserialize(&bytes);
            assert!(tensors.is_ok_and(|t| !t.is_empty()), "{} is torn", path.display());
        }
    }
}

/// How runs of a system are started into a folder, and gone on with.
struct Runs<'a> {
    tiny: &'a Tiny,
    steps: u64,
    /// The file of a checkpoint that holds its tensors.
    state: &'a str,
    start: &'a dyn Fn(&str) -> Command,
    resume: &'a dyn Fn(&str) -> Command,
}

impl Runs<'_> {
    /// The run as a user would go on with it.
    fn go_on(&self) -> Command {
        if self.tiny.at("killed/config.toml").exists() {
            (self.resume)("killed")
        } else {
            (self.start)("killed")
        }
    }
}

/// Lets a run come past its last checkpoint, so that the kills are spread over all of it.
fn let_advance(child: &mut Child, run: &Path, before: Option<&String>) -> bool {
    loop {
        if newest(run).as_ref() > before {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// A run killed `kills` times ends as one that was not. Most kills come some steps after the run has
/// gone on, at any point of a step or of the checkpoint that is written after each; every fifth comes
/// at any point from the start of the process on.
fn killed_runs_end_alike(kills: usize, runs: &Runs<'_>, seed: u64) {
    let Runs { tiny, steps, state, start, .. } = runs;
    // Steps alone, without the start of the process: kills that wait too long outrun the run.
    let mut whole = spawn(start("whole"));
    let begun = Instant::now();
    assert!(let_advance(&mut whole, &tiny.at("whole"), None), "it ended without a checkpoint");
    let start_s = begun.elapsed().as_secs_f64();
    let whole = Said::from(whole.wait_with_output().unwrap());
    assert_eq!(whole.code, Some(0), "{}", whole.err);
    let whole_s = begun.elapsed().as_secs_f64();
    let step_s = (whole_s - start_s) / (steps - 1) as f64;
    let run = tiny.at("killed");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut done, mut ended) = (0, 0);
    let mut torn = 0;
    while done < kills {
        assert!(ended < kills, "the run is too short for so many kills");
        let before = newest(&run);
        let mut child = spawn(runs.go_on());
        let at_start = done % 5 == 4;
        let delay = Duration::from_secs_f64(if at_start {
            rng.random_range(0.0..whole_s * 0.5)
        } else {
            rng.random_range(0.0..step_s * 3.0)
        });
        if at_start || let_advance(&mut child, &run, before.as_ref()) {
            thread::sleep(delay);
        }
        child.kill().unwrap();
        let killed = Said::from(child.wait_with_output().unwrap());
        if let Some(code) = killed.code {
            // It came to its end before the kill.
            assert_eq!(code, 0, "{}", killed.err);
            ended += 1;
            continue;
        }
        done += 1;
        let remains = fs::read_dir(run.join("checkpoints")).into_iter().flatten();
        torn += remains
            .filter(|e| e.as_ref().unwrap().file_name().to_str().unwrap().starts_with(".partial"))
            .count();
        let from = if at_start { "its start" } else { "a checkpoint" };
        eprintln!(
            "kill {done}: {delay:.1?} after {from}, {before:?} before, {:?} after",
            newest(&run)
        );
        assert_whole(&run, state);
    }
    eprintln!("{torn} checkpoints were being written or deleted when the kill came");
    let last: Said = said(runs.go_on(), "");
    assert_eq!(last.code, Some(0), "{}", last.err);
    assert_same(&run, &tiny.at("whole"));
}

fn killed_finetuning_ends_alike(kills: usize, steps: u64, kind: &[&str], seed: u64) {
    let tiny = Tiny::new();
    settings(&tiny, 1);
    let runs = Runs {
        tiny: &tiny,
        steps,
        state: "trainer.safetensors",
        start: &|out| start(&tiny, out, steps, kind),
        resume: &|out| resume(&tiny, out),
    };
    killed_runs_end_alike(kills, &runs, seed);
}

#[test]
fn a_killed_adapter_run_ends_alike() {
    killed_finetuning_ends_alike(20, 150, &["--rank", "2"], 1);
}

#[test]
fn a_killed_run_of_all_weights_ends_alike() {
    killed_finetuning_ends_alike(8, 60, &["--full"], 2);
}

#[test]
fn a_killed_policy_ends_alike() {
    let tiny = Tiny::new();
    klq::settings(&tiny);
    let runs = Runs {
        tiny: &tiny,
        steps: 30,
        state: "trainer.safetensors",
        start: &|out| klq::start(&tiny, out, 30, &[]),
        resume: &|out| klq::resume(&tiny, out),
    };
    killed_runs_end_alike(10, &runs, 3);
}

#[test]
fn a_killed_organism_ends_alike() {
    let tiny = Tiny::new();
    cot::settings(&tiny);
    let runs = Runs {
        tiny: &tiny,
        steps: 30,
        state: "trainer.safetensors",
        start: &|out| cot::train(&tiny, out, 30, &[]),
        resume: &|out| cot::resume(&tiny, out),
    };
    killed_runs_end_alike(6, &runs, 6);
}

#[test]
fn a_killed_calibration_ends_alike() {
    let tiny = Tiny::new();
    early_exit::settings(&tiny);
    early_exit::pretrain(&tiny);
    let runs = Runs {
        tiny: &tiny,
        steps: 30,
        state: "calibration.safetensors",
        start: &|out| early_exit::calibrate(&tiny, out, 30, &["--recipe", "refreshed"]),
        resume: &|out| early_exit::resume(&tiny, "calibrate", out),
    };
    killed_runs_end_alike(6, &runs, 4);
}

#[test]
fn a_killed_run_that_learns_to_leave_early_ends_alike() {
    let tiny = Tiny::new();
    early_exit::settings(&tiny);
    early_exit::pretrain(&tiny);
    let calibrated = said(early_exit::calibrate(&tiny, "exits", 3, &[]), "");
    assert_eq!(calibrated.code, Some(0), "{}", calibrated.err);
    let runs = Runs {
        tiny: &tiny,
        steps: 36,
        state: "trainer.safetensors",
        start: &|out| early_exit::train(&tiny, out, "exits", 36),
        resume: &|out| early_exit::resume(&tiny, "train", out),
    };
    killed_runs_end_alike(6, &runs, 5);
}

/// Ends the step, writes a checkpoint, and says how to go on; what it says works.
#[test]
fn ctrl_c_writes_a_checkpoint_and_says_how_to_go_on() {
    let tiny = Tiny::new();
    let (steps, kind) = (400, ["--rank", "2"]);
    settings(&tiny, 1000);
    assert_eq!(said(start(&tiny, "whole", steps, &kind), "").code, Some(0));
    let mut child = spawn(start(&tiny, "run", steps, &kind));
    wait_for(&mut child, &tiny.at("run/metrics.jsonl"));
    thread::sleep(Duration::from_millis(20));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let stopped = Said::from(child.wait_with_output().unwrap());
    assert_eq!(stopped.code, Some(1), "{}", stopped.err);
    assert_eq!(stopped.out, "");
    let step = newest(&tiny.at("run")).expect("a checkpoint");
    assert!(step < format!("step-{steps:06}"), "it was stopped on the way");
    let says = stopped.err.lines().last().unwrap();
    let how = says.split_once("go on with: forthright ").expect(says).1;
    let args: Vec<&str> = how.split(' ').collect();
    let last = said(forthright_tests::command(&args), "");
    assert_eq!(last.code, Some(0), "{}", last.err);
    assert_same(&tiny.at("run/adapter"), &tiny.at("whole/adapter"));
    let metrics = |run: &str| fs::read(tiny.at(run).join("metrics.jsonl")).unwrap();
    assert!(metrics("run") == metrics("whole"), "metrics.jsonl differs");
}
