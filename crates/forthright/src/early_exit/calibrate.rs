//! `forthright early-exit calibrate`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{
    Pretrained,
    finetune::Example,
    generate::{Flow, GenerateConfig, Request, generate},
};
use clap::{Args, ValueEnum};
use early_exit_model::{
    EarlyExitModel, ExitConfig,
    calibrate::{CalibrateConfig, Calibration, Recipe},
};
use lm_tasks::{Split, reasoning::Task};
use rl_core::{
    device,
    run::{read_lines, write_whole},
    seed::Seed,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    store,
    task::{TaskConfig, example},
};
use crate::{
    lm::model::{Dtype, Model},
    session::Session,
    terminal::note,
    training::{self, Checkpoints, Outcome, Start, Training},
};

/// The teacher's answers in the folder of a run, so that one that goes on learns from the same.
const TEXTS: &str = "texts.jsonl";

/// Teach gates, and the model behind them, where a token may leave
///
/// Three recipes: as published, by targets of the teacher's early predictions; refreshed, by those of
/// the student's own states, which are trained to predict; supervised, by right answers under exits
/// that the gates draw. Writes a run directory: metrics.jsonl, checkpoints, and at the end exits/.
/// Ctrl-C writes a checkpoint first; --resume goes on from the last one.
#[derive(Args)]
pub(crate) struct Calibrate {
    #[command(flatten)]
    model: Model,
    /// Exits to begin with, as `calibrate` or `train` wrote them [default: fresh ones]
    #[arg(long)]
    exits: Option<PathBuf>,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
    /// Settings in TOML, all optional; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// Go on from the last checkpoint in --out, with the settings of that run
    #[arg(long, conflicts_with_all = ["config", "exits", "recipe", "sites", "kappa", "task", "texts", "steps", "lr", "seed"])]
    resume: bool,
    /// The recipe, with its usual settings
    #[arg(long, value_enum)]
    recipe: Option<Name>,
    /// Blocks before which a token may leave, such as 5,10,15
    #[arg(long, value_delimiter = ',')]
    sites: Vec<usize>,
    /// Sharpness of the law of exits; of a refreshed one at the last step
    #[arg(long)]
    kappa: Option<f64>,
    /// Name of the task, with its usual settings
    #[arg(long)]
    task: Option<String>,
    /// Problems to learn from
    #[arg(long)]
    texts: Option<usize>,
    /// Steps of the optimizer
    #[arg(long)]
    steps: Option<u64>,
    /// Learning rate of adapter or weights
    #[arg(long)]
    lr: Option<f64>,
    /// Root seed
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON document at the end
    #[arg(long)]
    json: bool,
}

/// A recipe by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Published,
    Refreshed,
    Supervised,
}

impl Name {
    fn recipe(self) -> Recipe {
        match self {
            Self::Published => Recipe::Published { kappa: 1.0, patterns: 4 },
            Self::Refreshed => {
                Recipe::Refreshed { kappa: [4.0, 16.0], readout: [1.0, 0.1], patterns: 1 }
            }
            Self::Supervised => Recipe::Supervised,
        }
    }
}

/// All that a run depends on, beside the model's flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Steps between two checkpoints.
    pub(crate) checkpoint_every: u64,
    /// Checkpoints that stay.
    pub(crate) keep_checkpoints: usize,
    /// What is learned.
    pub(crate) task: TaskConfig,
    /// Problems to learn from.
    pub(crate) texts: usize,
    /// Longest answer of the teacher, in tokens.
    pub(crate) max_new_tokens: usize,
    /// Whether only right answers of the teacher are learned from.
    pub(crate) only_right: bool,
    /// Where exits are, and what is trained; of those that it begins with, if there are any.
    pub(crate) exits: ExitConfig,
    /// Exits that it begins with.
    pub(crate) from: Option<PathBuf>,
    /// The calibration itself.
    pub(crate) calibrate: CalibrateConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checkpoint_every: 50,
            keep_checkpoints: 2,
            task: TaskConfig::default(),
            texts: 512,
            max_new_tokens: 64,
            only_right: false,
            exits: ExitConfig::default(),
            from: None,
            calibrate: CalibrateConfig::default(),
        }
    }
}

impl Calibrate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.resolve()?;
        self.start().check(config.checkpoint_every)?;
        config.calibrate.validate()?;
        let model = self.model.load(Dtype::F32)?;
        let exits = config.begin(&model, !self.sites.is_empty())?;
        let device = device::name(model.lm.device());
        let session = Session::open(&self.out, &config, config.calibrate.seed, &device)?;
        let made = calibrate(&model, exits, &config, &session, self.resume)?;
        self.start().end(made, session, |model| store::save(&model, &self.out))
    }

    fn start(&self) -> Start<'_> {
        let Self { model, out, resume, json, .. } = self;
        Start { command: "early-exit calibrate", model, out, resume: *resume, json: *json }
    }

    fn resolve(&self) -> anyhow::Result<Config> {
        let mut config: Config = self.start().settings(self.config.as_deref())?;
        if self.resume {
            return Ok(config);
        }
        if let Some(from) = &self.exits {
            config.from = Some(std::path::absolute(from)?);
        }
        if let Some(name) = &self.task {
            config.task.problem = Task::named(name)?;
        }
        if !self.sites.is_empty() {
            config.exits.sites.clone_from(&self.sites);
        }
        config.texts = self.texts.unwrap_or(config.texts);
        let calibrate = &mut config.calibrate;
        calibrate.recipe = self.recipe.map_or(calibrate.recipe, Name::recipe);
        match (&mut calibrate.recipe, self.kappa) {
            (Recipe::Published { kappa, .. }, Some(asked)) => *kappa = asked,
            (Recipe::Refreshed { kappa, .. }, Some(asked)) => kappa[1] = asked,
            (Recipe::Supervised, Some(_)) => {
                anyhow::bail!("--kappa: expected a recipe that distills, found supervised")
            }
            (_, None) => {}
        }
        calibrate.steps = self.steps.unwrap_or(calibrate.steps);
        calibrate.lr = self.lr.unwrap_or(calibrate.lr);
        calibrate.seed = self.seed.unwrap_or(calibrate.seed);
        Ok(config)
    }
}

impl Config {
    /// The exits that a run begins with; `asked` says that its sites are the user's, which those
    /// that it begins with must then have.
    fn begin(&self, model: &Pretrained, asked: bool) -> anyhow::Result<EarlyExitModel> {
        let sites = || self.exits.sites(model.lm.config().num_layers);
        if let Some(from) = &self.from {
            return store::load(from, &model.lm, asked.then(sites).transpose()?.as_ref());
        }
        let seed = Seed::new(self.calibrate.seed).derive("exits", 0);
        Ok(EarlyExitModel::new(&model.lm, &self.exits, seed)?)
    }
}

/// Calibrates until the end, or until the user asks to stop.
pub(crate) fn calibrate(
    model: &Pretrained,
    exits: EarlyExitModel,
    config: &Config,
    session: &Session,
    resume: bool,
) -> anyhow::Result<Outcome<EarlyExitModel>> {
    let texts = texts(model, config, session.dir.path(), resume)?;
    note(format_args!(
        "{} texts, {} steps, exits {}",
        texts.len(),
        config.calibrate.steps,
        exits.sites()
    ));
    let mut run = Run { calibration: Calibration::new(exits, texts, &config.calibrate)?, config };
    training::restore(&session.dir, resume, |path| run.calibration.restore(path))?;
    let (every, keep) = (config.checkpoint_every, config.keep_checkpoints);
    training::train(&mut run, &session.dir, Checkpoints { every, keep })?;
    let (steps, done) = (run.calibration.steps(), run.calibration.is_done());
    Ok(Outcome { model: run.calibration.into_model(), steps, done })
}

/// What is learned from: right answers, or the teacher's own, which are kept in the run's folder.
fn texts(
    model: &Pretrained,
    config: &Config,
    run: &Path,
    resume: bool,
) -> anyhow::Result<Vec<Example>> {
    if config.calibrate.recipe == Recipe::Supervised {
        let problems = config.task.problems(Split::Train, config.texts)?;
        return problems.iter().map(|p| example(model, p, &p.completion())).collect();
    }
    let path = run.join(TEXTS);
    let kept = read_lines(&path)?.filter(|_| resume);
    let pairs: Vec<(Vec<u32>, Vec<u32>)> = if let Some(lines) = kept {
        let pairs = lines.into_iter().map(serde_json::from_value);
        pairs.collect::<Result<_, _>>().with_context(|| path.display().to_string())?
    } else {
        let pairs = teacher(model, config)?;
        let lines: Vec<String> = pairs.iter().map(|pair| json!(pair).to_string()).collect();
        write_whole(&path, &(lines.join("\n") + "\n"))?;
        pairs
    };
    Ok(pairs.iter().map(|(prompt, answer)| Example::completion(prompt, answer)).collect())
}

/// The model's own most probable answers, at full depth.
fn teacher(model: &Pretrained, config: &Config) -> anyhow::Result<Vec<(Vec<u32>, Vec<u32>)>> {
    let asked = config.task.asked(model, Split::Train, config.texts, config.max_new_tokens)?;
    note(format_args!("{} answers of the teacher", asked.len()));
    let requests: Vec<Request> =
        asked.iter().map(|asked| Request { prompt: asked.prompt.clone(), seed: 0 }).collect();
    let settings = GenerateConfig {
        max_new_tokens: config.max_new_tokens,
        stop_tokens: model.lm.config().eos.clone(),
        ..GenerateConfig::default()
    };
    let made = generate(&model.lm.packed(), &requests, &settings, &mut |_| Flow::Continue)?;
    let mut pairs = Vec::new();
    for (asked, made) in asked.into_iter().zip(made) {
        let text = model.tokenizer.decode_text(&made.ids)?;
        if !config.only_right || asked.problem.verify(&text).is_right() {
            pairs.push((asked.prompt, made.ids));
        }
    }
    anyhow::ensure!(
        !pairs.is_empty(),
        "texts: expected a right answer of the teacher, found none of {}",
        config.texts
    );
    Ok(pairs)
}

struct Run<'a> {
    calibration: Calibration,
    config: &'a Config,
}

impl Training for Run<'_> {
    fn steps(&self) -> u64 {
        self.calibration.steps()
    }

    fn total_steps(&self) -> u64 {
        self.config.calibrate.steps
    }

    fn step(&mut self) -> anyhow::Result<(Value, String)> {
        let report = self.calibration.step()?;
        let depth = report.depth / self.calibration.model().sites().num_layers() as f64;
        let mut metrics = json!({
            "step": report.step, "depth": depth, "grad_norm": report.grad_norm,
        });
        let message = if self.config.calibrate.recipe == Recipe::Supervised {
            metrics["nll"] = json!(report.nll);
            format!("loss {:.4}  depth {depth:.3}", report.nll)
        } else {
            for (name, value) in [
                ("kl", report.kl),
                ("exit_nll", report.exit_nll),
                ("readout", report.readout),
                ("kappa", report.kappa),
            ] {
                metrics[name] = json!(value);
            }
            let (kl, nll) = (report.kl, report.exit_nll);
            format!("kl {kl:.4}  exits {nll:.3}  readout {:.3}  depth {depth:.3}", report.readout)
        };
        Ok((metrics, message))
    }

    fn save(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(self.calibration.save(folder)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back() {
        for name in Name::value_variants() {
            let mut config = Config { from: Some("a".into()), ..Config::default() };
            config.calibrate.recipe = name.recipe();
            config.calibrate.validate().unwrap();
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        }
    }
}
