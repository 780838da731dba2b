//! The models of a pipeline, each made in a folder of its own or taken from there.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{LoadOptions, Pretrained};
use early_exit_model::{EarlyExitModel, rl::RlConfig};
use rl_core::{
    run::{RunInfo, read_json, read_lines},
    seed::Seed,
};
use serde::Serialize;
use serde_json::{Value, json};
use tch::Kind;

use super::{
    Run,
    config::{Stage, System},
};
use crate::{
    early_exit::{
        calibrate,
        pretrain::{self, MODEL},
        store,
        task::TaskConfig,
        train,
    },
    session::Session,
    terminal::note,
};

/// One seed of one system.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Such as `toy`.
    pub(super) name: &'static str,
    pub(super) system: &'a System,
    pub(super) seed: u64,
}

impl Place<'_> {
    /// Such as `toy-0/rl`.
    pub(super) fn series(&self, stage: &str) -> String {
        format!("{}-{}/{stage}", self.name, self.seed)
    }

    /// Root of all that this seed of the system draws.
    pub(super) fn root(&self, run: &Run<'_>) -> Seed {
        run.seed.derive(self.name, self.seed)
    }

    /// The task with problems of this seed.
    fn task(&self, run: &Run<'_>) -> TaskConfig {
        let seed = self.root(run).derive("problems", 0).value();
        TaskConfig { seed, ..self.system.task.clone() }
    }
}

impl Run<'_> {
    pub(super) fn folder(&self, place: Place<'_>, stage: &str) -> PathBuf {
        let name = format!("{}-{}", place.name, place.seed);
        self.session.dir.path().join("stages").join(name).join(stage)
    }

    /// Runs a stage in its folder, unless it has ended there with the same settings. `work` is told
    /// whether it goes on with what is there, and says whether it has come to its end.
    ///
    /// A stage that begins anew takes with it what was made of its last outcome, first, so that a run
    /// that is killed does not take the one for made of the other.
    fn stage<C: Serialize>(
        &self,
        folder: &Path,
        config: &C,
        seed: u64,
        made_of_it: &[PathBuf],
        work: impl FnOnce(&Session, bool) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let found = std::fs::read_to_string(folder.join("config.toml")).ok();
        let same = self.resume && found.is_some() && found == toml::to_string(config).ok();
        let info: Option<RunInfo> = read_json(&folder.join("run.json")).ok().flatten();
        if same && info.is_some_and(|info| info.end.is_some()) {
            return Ok(());
        }
        let old = if same { &[][..] } else { made_of_it };
        for folder in old.iter().map(PathBuf::as_path).chain((!same).then_some(folder)) {
            if folder.exists() {
                std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
            }
        }
        note(folder.display());
        let session = Session::open(folder, config, seed, &self.device)?;
        let done = work(&session, same)?;
        anyhow::ensure!(
            done,
            crate::Unfinished("stopped: the same command with --resume goes on".into())
        );
        session.end()
    }

    /// Folders of the stages that go on from one, or from the base.
    fn made_of(&self, place: Place<'_>, stage: Option<&str>) -> Vec<PathBuf> {
        let after = place.system.stages.iter().filter(|other| other.from.as_deref() == stage);
        after.map(|other| self.folder(place, &other.name)).collect()
    }

    /// The base model; `given` is that of the flags.
    pub(super) fn base(
        &mut self,
        place: Place<'_>,
        given: &mut dyn FnMut() -> anyhow::Result<Pretrained>,
    ) -> anyhow::Result<Pretrained> {
        let Some(base) = &place.system.base else {
            return given();
        };
        let mut config = pretrain::Config { task: place.task(self), ..base.clone() };
        config.train.seed = place.root(self).derive("base", 0).value();
        let folder = self.folder(place, "base");
        let options = match config.begin {
            pretrain::Begin::Scratch(_) => {
                LoadOptions { kind: Kind::Float, device: self.options.device }
            }
            pretrain::Begin::Model => self.options,
        };
        let after = self.made_of(place, None);
        self.stage(&folder, &config, config.train.seed, &after, |session, resume| {
            let model = config.begin(options.device, given)?;
            let made = pretrain::pretrain(model, &config, session, resume)?;
            if made.done {
                pretrain::save(&made.model, session.dir.path())?;
            }
            Ok(made.done)
        })?;
        self.curves(place, "base", "pretrain", &["loss"])?;
        // Read back, so that it is the same model whether it was made now or before.
        Ok(Pretrained::load(&folder.join(MODEL), &options)?)
    }

    /// The model of a stage, from the base or from the stage before it.
    pub(super) fn make(
        &mut self,
        place: Place<'_>,
        stage: &Stage,
        base: &Pretrained,
    ) -> anyhow::Result<EarlyExitModel> {
        let folder = self.folder(place, &stage.name);
        let lm = &base.lm;
        let root = place.root(self);
        let seed = root.derive(&stage.name, 0).value();
        let begin = || {
            if let Some(from) = &stage.from {
                return store::load(&self.folder(place, from), lm, None);
            }
            Ok(EarlyExitModel::new(lm, &place.system.exits, root.derive("exits", 0))?)
        };
        let after = self.made_of(place, Some(&stage.name));
        let (kind, names): (_, &[&str]) = if let Some(settings) = &stage.calibrate {
            let config = calibrate::Config {
                task: place.task(self),
                texts: stage.problems,
                max_new_tokens: place.system.max_new_tokens,
                exits: place.system.exits.clone(),
                from: stage.from.as_ref().map(PathBuf::from),
                calibrate: early_exit_model::calibrate::CalibrateConfig {
                    seed,
                    ..settings.clone()
                },
                ..calibrate::Config::default()
            };
            self.stage(&folder, &config, seed, &after, |session, resume| {
                let made = calibrate::calibrate(base, begin()?, &config, session, resume)?;
                if made.done {
                    store::save(&made.model, session.dir.path())?;
                }
                Ok(made.done)
            })?;
            ("calibrate", &["kl", "exit_nll", "readout", "nll", "depth"])
        } else {
            let settings = stage.train.clone().unwrap_or_default();
            let config = train::Config {
                task: place.task(self),
                problems: stage.problems,
                reward: place.system.reward,
                from: stage.from.as_ref().map(PathBuf::from),
                gate_shift: stage.gate_shift,
                train: RlConfig { seed, ..settings },
                ..train::Config::default()
            };
            self.stage(&folder, &config, seed, &after, |session, resume| {
                let asked = train::problems(base, &config)?;
                let made = train::train(base, begin()?, &asked, &config, session, resume)?;
                if made.done {
                    store::save(&made.model, session.dir.path())?;
                }
                Ok(made.done)
            })?;
            ("rl", &["score", "depth", "kl", "length", "eos_rate", "sampler_gap"])
        };
        let lines = self.curves(place, &stage.name, kind, names)?;
        let gaps = lines.iter().filter_map(|line| line["sampler_gap"].as_f64());
        self.sampler_gaps.entry(place.name).or_default().extend(gaps);
        store::load(&folder, lm, None)
    }

    /// The metrics of a stage among those of the run.
    fn curves(
        &mut self,
        place: Place<'_>,
        stage: &str,
        kind: &str,
        names: &[&str],
    ) -> anyhow::Result<Vec<Value>> {
        let path = self.folder(place, stage).join("metrics.jsonl");
        let lines = read_lines(&path)?.unwrap_or_default();
        for line in &lines {
            let mut out = json!({ "series": place.series(stage), "step": line["step"] });
            for name in names.iter().filter(|name| !line[**name].is_null()) {
                out[format!("{kind}/{name}")] = line[*name].clone();
            }
            self.metrics.push(&out)?;
        }
        Ok(lines)
    }
}
