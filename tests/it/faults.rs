//! Faults that the families of commands meet alike: the cells of docs/faults.md that no other theme
//! holds.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use forthright_tests::{Said, Tiny, assert_same, command, contents, refusal, said};

use crate::{
    cot,
    disk::{limited, refusal_after_progress},
    early_exit, finetune, klq,
};

/// The market of a fraction of a second a trial.
const MARKET: &str = "compare = false\n[experiment]\ntrials = TRIALS\nburn_in = 1\nfit_after = [1]\n\
    memory = 1\ntest_epochs = 1\nloss_scales = [2000.0]\ninformed_customers = 200\n\
    planning_customers = 50\narms = [{ bids = \"structural\", way = \"myopic\" }, \
    { bids = \"structural\", way = \"table\" }]\nepoch = { customers = 100 }\n\
    published = { process_rows = 50, forest = { trees = 2 }, \
    network = { hidden = [4], learning_rate = 0.002, epochs = 2 } }\n";

/// A folder with what runs of all families need.
fn ready() -> Tiny {
    let tiny = Tiny::new();
    finetune::settings(&tiny, 1);
    klq::settings(&tiny);
    early_exit::settings(&tiny);
    cot::settings(&tiny);
    market(&tiny, 3);
    tiny
}

fn market(tiny: &Tiny, trials: usize) {
    tiny.write("market.toml", &MARKET.replace("TRIALS", &trials.to_string()));
}

fn reproduce(tiny: &Tiny, out: &str) -> Command {
    let mut command = command(&["portfolio", "reproduce", "--config"]);
    command.arg(tiny.at("market.toml")).arg("--out").arg(tiny.at(out));
    command
}

fn agents(tiny: &Tiny, verb: &str, out: &str) -> Command {
    let scenario = ["--scenario", "household_management", "--actor", "worst", "--quiet"];
    let mut command = command(&["agents", verb]);
    command.args(scenario).args(["--samples", "2", "--out"]).arg(tiny.at(out));
    command
}

/// A run of three steps of each family that trains, into `out`; and how it goes on.
struct Training {
    name: &'static str,
    /// The file of a checkpoint that holds its tensors.
    state: &'static str,
    start: fn(&Tiny, &str) -> Command,
    resume: fn(&Tiny, &str) -> Command,
}

const TRAININGS: [Training; 4] = [
    Training {
        name: "lm",
        state: "trainer.safetensors",
        start: |tiny, out| finetune::start(tiny, out, 3, &["--rank", "2"]),
        resume: finetune::resume,
    },
    Training {
        name: "klq",
        state: "trainer.safetensors",
        start: |tiny, out| klq::start(tiny, out, 3, &[]),
        resume: klq::resume,
    },
    Training {
        name: "early-exit",
        state: "trainer.safetensors",
        start: |tiny, out| early_exit::verb(tiny, "pretrain", out, &["--steps", "3"]),
        resume: |tiny, out| {
            let mut command = command(&["early-exit", "pretrain", "--resume", "--threads", "1"]);
            command.arg("--out").arg(tiny.at(out));
            command
        },
    },
    Training {
        name: "cot",
        state: "trainer.safetensors",
        start: |tiny, out| cot::train(tiny, out, 3, &[]),
        resume: cot::resume,
    },
];

fn works(name: &str, command: Command) -> Said {
    let said = said(command, "");
    assert_eq!(said.code, Some(0), "{name}: {}", said.err);
    said
}

#[test]
fn folders_that_cannot_be_written_are_named_by_all() {
    let tiny = ready();
    // A file in its place: no user may write below it, not even the one who may write everywhere.
    tiny.write("file", "mine");
    let mut commands: Vec<(&str, Command)> =
        TRAININGS.iter().map(|t| (t.name, (t.start)(&tiny, "file/run"))).collect();
    commands.push(("agents run", agents(&tiny, "run", "file/run")));
    commands.push(("agents arms", agents(&tiny, "arms", "file/run")));
    commands.push(("portfolio", reproduce(&tiny, "file/run")));
    for (name, command) in commands {
        let message = refusal(said(command, ""));
        assert!(message.contains("file/run"), "{name}: {message}");
        assert_eq!(fs::read_to_string(tiny.at("file")).unwrap(), "mine", "{name}");
    }
}

#[test]
fn two_runs_of_a_family_do_not_share_a_folder() {
    let tiny = ready();
    fs::create_dir(tiny.at("run")).unwrap();
    // What a run holds as long as it lives, whoever it is.
    let lock = File::create(tiny.at("run/.lock")).unwrap();
    lock.lock().unwrap();
    let mut commands: Vec<(&str, Command)> =
        TRAININGS.iter().map(|t| (t.name, (t.start)(&tiny, "run"))).collect();
    commands.push(("agents", agents(&tiny, "run", "run")));
    commands.push(("portfolio", reproduce(&tiny, "run")));
    for (name, command) in commands {
        let message = refusal(said(command, ""));
        assert!(message.contains("is in use by another run"), "{name}: {message}");
        assert_eq!(contents(&tiny.at("run")), [], "{name}: nothing is written");
    }
    drop(lock);
    works("agents", agents(&tiny, "run", "run"));
    let journal = File::open(tiny.at("run/journal.jsonl")).unwrap();
    journal.lock().unwrap();
    let mut resume = command(&["agents", "resume"]);
    resume.arg(tiny.at("run"));
    let message = refusal(said(resume, ""));
    assert!(message.contains("expected one writer, found another process"), "{message}");
}

#[test]
fn full_disks_cost_nothing_that_was_written() {
    let tiny = ready();
    for Training { name, start, resume, state } in TRAININGS {
        // Room for all but a checkpoint.
        let message = refusal_after_progress(&said(limited(8, &start(&tiny, name)), ""));
        let names = message.contains(state) || message.contains("safetensors");
        assert!(names && message.contains("File too large"), "{name}: {message}");
        let kept = contents(&tiny.at(name).join("checkpoints"));
        assert!(kept.is_empty(), "{name}: half a checkpoint is not kept");
        works(name, resume(&tiny, name));
    }
    // Room for the configuration, and not for what comes after it.
    let message = refusal_after_progress(&said(limited(4, &agents(&tiny, "run", "agents")), ""));
    assert!(message.contains("journal.jsonl") && message.contains("File too large"), "{message}");
    let mut resume = command(&["agents", "resume", "--quiet"]);
    resume.arg(tiny.at("agents"));
    works("agents", resume);
    let message = refusal_after_progress(&said(limited(8, &reproduce(&tiny, "portfolio")), ""));
    assert!(message.contains("/portfolio/") && message.contains("File too large"), "{message}");
    let mut again = reproduce(&tiny, "portfolio");
    again.arg("--resume");
    works("portfolio", again);
    let mut report = command(&["report"]);
    report.arg(tiny.at(""));
    let message = refusal_after_progress(&said(limited(4, &report), ""));
    assert!(message.contains("File too large"), "{message}");
    assert!(!tiny.at("report.html").exists(), "half a page is none");
}

#[test]
fn torn_checkpoints_are_named_and_the_one_before_goes_on() {
    let tiny = ready();
    for Training { name, state, start, resume } in TRAININGS {
        works(name, start(&tiny, name));
        let run = tiny.at(name);
        let (newest, file) = (run.join("checkpoints/step-000003"), Path::new(state));
        let bytes = fs::read(newest.join(file)).unwrap();
        let whole = contents(&run);
        for (torn, how) in [(&bytes[..bytes.len() / 2], "half of it"), (&[][..], "none of it")] {
            fs::write(newest.join(file), torn).unwrap();
            let before = contents(&run);
            let message = refusal_after_progress(&said(resume(&tiny, name), ""));
            assert!(message.contains(state), "{name}, {how}: {message}");
            assert_eq!(contents(&run), before, "{name}: nothing is lost");
        }
        fs::remove_dir_all(&newest).unwrap();
        works(name, resume(&tiny, name));
        assert!(contents(&run) == whole, "{name}: the last step is made again");
    }
}

#[test]
fn torn_trials_are_made_again() {
    let tiny = ready();
    works("portfolio", reproduce(&tiny, "run"));
    let results = |run: &str| {
        let mut files = contents(&tiny.at(run));
        files.retain(|(name, _)| {
            ["claims.json", "metrics.jsonl", "samples.jsonl"].contains(&&name[..])
        });
        files
    };
    let whole = results("run");
    let worlds = fs::read_to_string(tiny.at("run/worlds.jsonl")).unwrap();
    fs::write(tiny.at("run/worlds.jsonl"), &worlds[..worlds.len() - 40]).unwrap();
    let mut again = reproduce(&tiny, "run");
    again.arg("--resume");
    works("portfolio", again);
    assert!(results("run") == whole, "a trial is the same whenever it is made");
    assert_eq!(fs::read_to_string(tiny.at("run/worlds.jsonl")).unwrap().lines().count(), 3);
}

#[test]
fn what_a_report_cannot_read_is_named() {
    let tiny = ready();
    works("portfolio", reproduce(&tiny, "runs/portfolio"));
    let report = || {
        let mut report = command(&["report"]);
        report.arg(tiny.at("runs"));
        said(report, "")
    };
    works("report", {
        let mut report = command(&["report"]);
        report.arg(tiny.at("runs"));
        report
    });
    let page = fs::read(tiny.at("runs/report.html")).unwrap();
    let claims = fs::read(tiny.at("runs/portfolio/claims.json")).unwrap();
    fs::write(tiny.at("runs/portfolio/claims.json"), &claims[..claims.len() / 2]).unwrap();
    let message = refusal(report());
    assert!(message.contains("runs/portfolio/claims.json"), "{message}");
    assert!(fs::read(tiny.at("runs/report.html")).unwrap() == page, "the old page stays");
}

#[test]
fn clocks_that_jump_change_nothing() {
    let tiny = ready();
    let (past, future) =
        (SystemTime::UNIX_EPOCH, SystemTime::now() + Duration::from_hours(876_600));
    for Training { name, start, resume, state } in TRAININGS {
        works(name, start(&tiny, name));
        let run = tiny.at(name);
        let whole = tiny.at("whole").join(name);
        copy(&run, &whole);
        // As if it had been stopped before the last step, while the clock was set back and ahead.
        fs::remove_dir_all(run.join("checkpoints/step-000003")).unwrap();
        let earlier = run.join("checkpoints/step-000001");
        copy(&run.join("checkpoints/step-000002"), &earlier);
        // Whoever went by the time would take this one.
        fs::write(earlier.join(state), "torn").unwrap();
        for (folder, time) in [(earlier, future), (run.join("checkpoints/step-000002"), past)] {
            File::open(folder).unwrap().set_modified(time).unwrap();
        }
        let info = fs::read_to_string(run.join("run.json")).unwrap();
        let (before, after) = info.split_once("\"start\": \"").expect("when it began");
        fs::write(run.join("run.json"), format!("{before}\"start\": \"9{}", &after[1..])).unwrap();
        works(name, resume(&tiny, name));
        let _ = fs::remove_dir_all(run.join("checkpoints/step-000001"));
        let _ = fs::remove_dir_all(whole.join("checkpoints/step-000001"));
        assert_same(&run, &whole);
    }
}

/// All files below a folder, into another.
fn copy(from: &Path, to: &Path) {
    for (name, bytes) in contents(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn killed_trials_end_alike() {
    let tiny = ready();
    market(&tiny, 150);
    works("portfolio", reproduce(&tiny, "whole"));
    let mut kept = 0;
    for kill in 0..6 {
        let mut go_on = reproduce(&tiny, "killed");
        go_on.arg("--resume");
        let mut child = finetune::spawn(go_on);
        let worlds = tiny.at("killed/worlds.jsonl");
        let count = || fs::read_to_string(&worlds).map_or(0, |text| text.lines().count());
        while count() <= kept && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(Duration::from_millis(7 * kill));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.code().is_none(), "the run is too short for so many kills");
        assert!(count() > kept, "trials that had ended are still there");
        kept = count();
    }
    let mut last = reproduce(&tiny, "killed");
    last.arg("--resume");
    works("portfolio", last);
    for name in ["claims.json", "metrics.jsonl", "samples.jsonl"] {
        let of = |run: &str| fs::read(tiny.at(run).join(name)).unwrap();
        assert!(of("killed") == of("whole"), "{name} differs");
    }
}
