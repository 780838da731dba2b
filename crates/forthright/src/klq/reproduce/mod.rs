//! `forthright klq reproduce`: the paper's claims that can be measured here, and ours.

mod claims;
mod policies;

use clap::Args;
use klq::{
    TrainConfig,
    oracle::{StudyConfig, study},
};
use rl_core::{
    run::{LineWriter, Statement},
    seed::Seed,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    oracle::{CLOSED, METHODS},
    task::Kind,
    train::Name,
};
use crate::{
    claims::Claims,
    lm::model::{Dtype, Model},
    reproduce::{Flags, Resume},
    scale::Scale,
    session::Session,
    terminal::{note, print},
};

const PAPER: &str = "arXiv 2508.17000";

/// KLQ and PPO, on problems with a known optimum and on a language model, measured and written down
#[derive(Args)]
pub(crate) struct Reproduce {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    going_on: Resume,
}

/// What is trained, and how it is compared.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Random problems with a known optimum.
    problems: u64,
    /// Tasks that policies are trained on.
    tasks: Vec<Kind>,
    /// Algorithms, each from the same start.
    algorithms: Vec<Name>,
    /// Seeds of the training, from the root seed on.
    seeds: u64,
    /// Weights of the KL to the reference.
    kl_coefs: Vec<f64>,
    /// Held-out prompts.
    evaluation_prompts: usize,
    /// Answers to each of them.
    evaluation_group: usize,
    /// Whether policies are compared with their start and with each other, which takes more training
    /// than a smoke run has, and judged by a reward model that is trained for it.
    compare: bool,
    /// The training of each.
    train: TrainConfig,
}

/// Of each scale.
const SETTINGS: [&str; 3] = [
    include_str!("../../../configs/klq/smoke.toml"),
    include_str!("../../../configs/klq/laptop.toml"),
    include_str!("../../../configs/klq/paper.toml"),
];

/// What all parts of the run need.
struct Run<'a> {
    session: &'a Session,
    metrics: LineWriter,
    samples: LineWriter,
    config: Config,
    seed: Seed,
    resume: bool,
    claims: Claims,
    /// Of every policy that was trained.
    first: Vec<policies::First>,
}

impl Reproduce {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config: Config =
            self.flags.scale.settings("klq", &SETTINGS, self.flags.config.as_deref())?;
        if self.flags.dry_run {
            return self.say(&config);
        }
        self.flags.check_model(&self.model)?;
        let device = rl_core::device::name(self.model.options(Dtype::Bf16)?.device);
        let session = self.flags.open("klq", &config, &device)?;
        let mut run = Run {
            metrics: session.dir.lines("metrics.jsonl")?,
            samples: session.dir.lines("samples.jsonl")?,
            session: &session,
            config,
            seed: Seed::new(self.flags.seed),
            resume: self.going_on.resume,
            claims: self.flags.claims(),
            first: Vec::new(),
        };
        run.problems()?;
        let model = self.model.load(Dtype::Bf16)?;
        run.policies(&model)?;
        let claims = run.claims;
        session.conclude(claims.all())
    }

    /// What a run would do and need.
    fn say(&self, config: &Config) -> anyhow::Result<()> {
        print(format_args!("{} random problems with a known optimum", config.problems))?;
        let names: Vec<&str> = config.algorithms.iter().map(|a| a.name()).collect();
        let train = &config.train;
        let answers = train.iterations * (train.prompts * train.group) as u64;
        for task in &config.tasks {
            print(format_args!(
                "{}: {} seeds of {} at {} weights of the KL, {answers} answers each; {} held-out prompts",
                task.name(),
                config.seeds,
                names.join(", "),
                config.kl_coefs.len(),
                config.evaluation_prompts
            ))?;
        }
        match &self.model.model {
            Some(path) => print(format_args!("model: {}", path.display()))?,
            None if self.flags.scale == Scale::Paper => print(
                "model: --model FOLDER, of Pythia's size, a GPU for its time, and data by --config",
            )?,
            None => print("model: the default one")?,
        }
        self.flags.say_where()
    }
}

impl Run<'_> {
    /// Random problems whose optimum is known: how close each method comes.
    fn problems(&mut self) -> anyhow::Result<()> {
        let first = self.seed.value();
        let seeds: Vec<u64> = (0..self.config.problems).map(|i| first.wrapping_add(i)).collect();
        let study = study(&StudyConfig::default(), &seeds)?;
        let [klq, ppo, whitened] = study.summaries(CLOSED);
        for (name, summary) in METHODS.iter().zip([klq, ppo, whitened]) {
            note(format_args!("{name}: gap closed on {} of {}", summary.below, summary.n));
            self.metrics.push(&json!({
                "method": name, "problems": summary.n, "closed": summary.below,
                "worst_gap": summary.worst, "geometric_mean_gap": summary.geometric_mean,
            }))?;
        }
        // The mean curve over problems, on the logarithm's scale that gaps fall on.
        for (name, curve) in METHODS.iter().zip(claims::mean_curves(&study)) {
            for (step, log_gap) in curve {
                self.metrics.push(&json!({
                    "series": name, "step": step, "log10 of the exact gap": log_gap,
                }))?;
            }
        }
        let n = seeds.len();
        for (id, says, worst) in [
            (
                "klq.tabular_gap",
                "largest gap J* − J that KLQ leaves on random problems, exact",
                klq.worst,
            ),
            (
                "klq.tabular_gap_ppo",
                "largest gap J* − J that PPO leaves on the same problems, exact",
                ppo.worst,
            ),
        ] {
            let statement = Statement { id, says, source: "ours", target: "<= 0.001" };
            self.claims.measured(statement, worst, None, n)?;
        }
        let statement = Statement {
            id: "klq.whitening",
            says: "share of these problems on which KLQ with whitened Δ ends farther from the optimum than without",
            source: "the authors' code, which marks whitening as probably best off",
            target: ">= 0.9",
        };
        self.claims.measured(statement, study.whitened_higher() as f64 / n as f64, None, n)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_settings_of_every_scale_hold_for_every_algorithm() {
        for scale in Scale::value_variants() {
            let config: Config = scale.settings("klq", &SETTINGS, None).unwrap();
            for algorithm in Name::value_variants() {
                let group = if algorithm.algorithm().needs_groups() { 4 } else { 1 };
                let train =
                    TrainConfig { algorithm: algorithm.algorithm(), group, ..config.train.clone() };
                train.validate().unwrap();
            }
        }
    }
}
