//! `cargo xtask reproduce`: builds the command and runs whole pipelines, then the report.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{Outcome, program, setup, shell};

/// Of pipelines that go on in the middle.
const RESUME: &str = "--resume";

/// Runs pipelines on real input and writes summary.json and report.html
///
/// Exit codes: 0, all ran; 1, something was not computed, or Ctrl-C; 2, bad input.
#[derive(Args)]
pub(crate) struct Reproduce {
    /// Which pipeline
    #[arg(value_enum, default_value_t = Pipeline::All)]
    pipeline: Pipeline,
    /// How much is done: minutes, hours, or as published, on a GPU
    #[arg(long, value_enum, default_value_t = Scale::Smoke)]
    scale: Scale,
    /// Folder of the runs [default: runs/reproduce-SCALE]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Root seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Pass over pipelines that have ended in this folder with the same settings
    #[arg(long)]
    resume: bool,
    /// Only say what would run, and what it would need
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pipeline {
    All,
    Lm,
    Klq,
    EarlyExit,
    Cot,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scale {
    Smoke,
    Laptop,
    Paper,
}

impl Pipeline {
    fn each(self) -> Vec<Self> {
        let all = Self::value_variants().iter().copied().filter(|&p| p != Self::All);
        if self == Self::All { all.collect() } else { vec![self] }
    }

    /// What the published scale needs beside the set-up; none where no paper stands behind it, and
    /// laptop is the greatest scale.
    fn published(self) -> Option<&'static str> {
        match self {
            Self::All | Self::Lm => None,
            Self::Klq => Some(
                "needs a GPU, a checkpoint and its data: the published runs take models of Pythia's \
                 size, TL;DR or HH, and 75,000 answers each; give them to forthright klq reproduce \
                 with --model and --config, whose tasks name the files",
            ),
            Self::EarlyExit => Some(
                "needs a GPU, a checkpoint and its data: DeepSeek-R1-Distill-Qwen-1.5B or Qwen3-4B, \
                 and GSM8K; give them to forthright early-exit reproduce with --model and --data, \
                 whose --dry-run says what they are",
            ),
            Self::Cot => Some(
                "needs a GPU and a checkpoint that thinks before it answers: Olmo-3-7B-Think or \
                 Qwen3-4B; give it to forthright cot reproduce with --model",
            ),
        }
    }

    fn scale(self, asked: Scale) -> Scale {
        let none = asked == Scale::Paper && self.published().is_none();
        if none { Scale::Laptop } else { asked }
    }

    fn needs(self, asked: Scale) -> String {
        let scale = name(self.scale(asked));
        match (asked, self.published()) {
            (Scale::Paper, Some(needs)) => needs.to_owned(),
            (Scale::Paper, None) => {
                format!(
                    "no paper stands behind it, so it runs at scale {scale}; needs nothing more"
                )
            }
            _ => format!("scale {scale}; needs nothing beside the set-up"),
        }
    }
}

impl Reproduce {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        let out =
            program::out(self.out.as_deref(), &format!("runs/reproduce-{}", name(self.scale)))?;
        if self.dry_run {
            for pipeline in self.pipeline.each() {
                let args = self.args(pipeline, &out)?;
                crate::say(&format!("{}: {}", name(pipeline), pipeline.needs(self.scale)));
                let state =
                    if self.is_done(&out, &args) { "has ended already" } else { "would run" };
                crate::say(&format!("  {state}: forthright {}", args.join(" ")));
            }
            crate::say(&format!("writes {}", out.display()));
            return Ok(Outcome::Fine);
        }
        setup::ensure()?;
        let Some(program) = program::build()? else { return Ok(Outcome::Failed) };
        let mut worst = Outcome::Fine;
        for pipeline in self.pipeline.each() {
            let args = self.args(pipeline, &out)?;
            if self.is_done(&out, &args) {
                crate::report(&format!("{}: has ended already", name(pipeline)));
                continue;
            }
            let outcome = program::run(&program, &self.resuming(pipeline, &args))?;
            if shell::asked() {
                crate::report("stopped: the same command with --resume goes on");
                return Ok(outcome);
            }
            match outcome {
                Outcome::Fine => {}
                // It ran, and what it has goes into the report; so do the others.
                Outcome::Failed | Outcome::Code(1) => worst = Outcome::Failed,
                Outcome::Code(_) => return Ok(outcome),
            }
        }
        match program::run(&program, &["report".into(), program::text(&out)?.into()])? {
            Outcome::Fine => Ok(worst),
            outcome => Ok(outcome),
        }
    }

    fn args(&self, pipeline: Pipeline, out: &Path) -> anyhow::Result<Vec<String>> {
        let system = name(pipeline);
        let folder = out.join(&system);
        let scale = name(pipeline.scale(self.scale));
        let seed = self.seed.to_string();
        let args = [
            &system,
            "reproduce",
            "--scale",
            &scale,
            "--seed",
            &seed,
            "--out",
            program::text(&folder)?,
        ];
        Ok(args.map(str::to_owned).to_vec())
    }

    /// The arguments of the run itself: some pipelines go on in the middle.
    fn resuming(&self, pipeline: Pipeline, args: &[String]) -> Vec<String> {
        let mut args = args.to_vec();
        if self.resume && pipeline != Pipeline::Lm {
            args.insert(2, RESUME.into());
        }
        args
    }

    fn is_done(&self, out: &Path, args: &[String]) -> bool {
        self.resume && has_ended(&out.join(&args[0]).join("run.json"), args)
    }
}

/// Whether a run has come to its end with these arguments; a moved folder is still the same run.
fn has_ended(info: &Path, args: &[String]) -> bool {
    let Ok(text) = fs::read_to_string(info) else { return false };
    let Ok(info) = serde_json::from_str::<Value>(&text) else { return false };
    let command = info["command"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // A run that went on in the middle is the same run.
    let command: Vec<&str> = command.filter(|arg| *arg != RESUME).collect();
    // The last argument is the folder.
    let same = command.len() == args.len() + 1
        && command[1..].iter().zip(&args[..args.len() - 1]).all(|(found, asked)| found == asked);
    same && info["end"].is_string()
}

/// As the user types it.
fn name(value: impl ValueEnum + Copy) -> String {
    value.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(seed: u64) -> Reproduce {
        let (pipeline, scale) = (Pipeline::All, Scale::Smoke);
        Reproduce { pipeline, scale, out: None, seed, resume: true, dry_run: false }
    }

    #[test]
    fn only_what_has_ended_with_the_same_settings_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        fs::create_dir(out.join("lm")).unwrap();
        let args = asked(1).args(Pipeline::Lm, out).unwrap();
        assert!(!asked(1).is_done(out, &args), "there is none");
        let command: Vec<&str> =
            ["forthright"].into_iter().chain(args.iter().map(String::as_str)).collect();
        let mut info = json!({ "command": command, "end": null });
        let write = |info: &Value| fs::write(out.join("lm/run.json"), info.to_string()).unwrap();
        write(&info);
        assert!(!asked(1).is_done(out, &args), "it was killed");
        info["end"] = json!("2026-01-01T00:00:00Z");
        info["command"][8] = json!("/where/it/was/lm");
        write(&info);
        assert!(asked(1).is_done(out, &args));
        info["command"].as_array_mut().unwrap().insert(3, json!(RESUME));
        write(&info);
        assert!(asked(1).is_done(out, &args), "it went on in the middle");
        let other = asked(2).args(Pipeline::Lm, out).unwrap();
        assert!(!asked(2).is_done(out, &other), "another seed");
        let fresh = Reproduce { resume: false, ..asked(1) };
        assert!(!fresh.is_done(out, &args), "not asked for");
    }

    #[test]
    fn all_means_each() {
        let names: Vec<String> = Pipeline::All.each().into_iter().map(name).collect();
        assert_eq!(names, ["lm", "klq", "early-exit", "cot"]);
        assert_eq!(name(Pipeline::Lm.scale(Scale::Paper)), "laptop");
        assert!(Pipeline::Lm.needs(Scale::Paper).contains("no paper stands behind it"));
    }
}
