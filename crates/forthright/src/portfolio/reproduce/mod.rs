//! `forthright portfolio reproduce`: the paper's claims that can be measured here, and ours.

mod claims;
mod golden;
mod pictures;

use std::path::Path;

use clap::Args;
use portfolio_pursuit::experiment::{Arm, ExperimentConfig, Quantity, WorldOutcome, summarize};
use rl_core::run::{LineWriter, read_json, read_lines};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::trials;
use crate::{
    claims::Claims,
    reproduce::{Flags, Resume},
    scale::Scale,
    terminal::print,
};

/// Where trials go as they end.
const WORLDS: &str = "worlds.jsonl";

/// The exact instance and the published protocol, measured and written down
///
/// A seed moves to other trials: those of seed 1 begin where those of seed 0 end.
#[derive(Args)]
pub(crate) struct Reproduce {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    going_on: Resume,
}

/// What is run, and whether it is enough to compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Whether claims about gains over rivals are judged, which takes more worlds than a smoke run has.
    pub(super) compare: bool,
    /// The protocol.
    pub(super) experiment: ExperimentConfig,
}

/// Of each scale.
const SETTINGS: [&str; 3] = [
    include_str!("../../../configs/portfolio/smoke.toml"),
    include_str!("../../../configs/portfolio/laptop.toml"),
    include_str!("../../../configs/portfolio/paper.toml"),
];

impl Config {
    /// Those of `file`, else of a scale.
    pub(super) fn read(scale: Scale, file: Option<&Path>) -> anyhow::Result<Self> {
        let config: Self = scale.settings("portfolio", &SETTINGS, file)?;
        config.experiment.validate()?;
        Ok(config)
    }
}

/// What all parts of the run need.
struct Run {
    metrics: LineWriter,
    samples: LineWriter,
    config: Config,
    claims: Claims,
}

impl Reproduce {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut config = Config::read(self.flags.scale, self.flags.config.as_deref())?;
        let experiment = &mut config.experiment;
        experiment.first_trial += self.flags.seed * experiment.trials as u64;
        if self.flags.dry_run {
            return self.say(&config);
        }
        let before = if self.going_on.resume { self.before(&config)? } else { Vec::new() };
        let session = self.flags.open("portfolio", &config, "cpu")?;
        session.dir.write("trials.json", &format!("{}\n", json!(config.experiment)))?;
        let mut run = Run {
            metrics: session.dir.lines("metrics.jsonl")?,
            samples: session.dir.lines("samples.jsonl")?,
            config,
            claims: self.flags.claims(),
        };
        run.golden()?;
        // Trials that are there stay there, whenever the process dies.
        let mut lines = match before.len() {
            0 => session.dir.lines(WORLDS)?,
            _ => session.dir.resume_lines(WORLDS, u64::MAX)?,
        };
        let worlds = trials::run_all(&run.config.experiment, before, Some(&mut lines))?;
        run.record(&worlds)?;
        run.compare(&worlds)?;
        run.pictures()?;
        print(trials::table(&worlds)?)?;
        let claims = run.claims;
        session.conclude(claims.all())
    }

    /// What a run would do and need.
    fn say(&self, config: &Config) -> anyhow::Result<()> {
        let ExperimentConfig {
            first_trial, trials, burn_in, test_epochs, arms, loss_scales, ..
        } = &config.experiment;
        print(format_args!(
            "trials {first_trial} to {}: {burn_in} epochs in which firms learn, then {test_epochs} in \
             which arms are compared",
            first_trial + *trials as u64 - 1
        ))?;
        let names: Vec<String> = arms.iter().map(Arm::name).collect();
        print(format_args!("arms: {}", names.join(", ")))?;
        print(format_args!("loss scales: {loss_scales:?} £"))?;
        print("needs nothing beside the set-up")?;
        self.flags.say_where()
    }

    /// Trials that a run with the same settings has left.
    fn before(&self, config: &Config) -> anyhow::Result<Vec<WorldOutcome>> {
        let settings: Option<ExperimentConfig> = read_json(&self.flags.out.join("trials.json"))?;
        if settings.as_ref() != Some(&config.experiment) {
            return Ok(Vec::new());
        }
        let lines = read_lines(&self.flags.out.join(WORLDS))?.unwrap_or_default();
        Ok(lines.into_iter().filter_map(|line| serde_json::from_value(line).ok()).collect())
    }
}

impl Run {
    /// Every arm at every scale, every arm less the industry's factors with the same bids, loaded as it
    /// is and not loaded, and what each trial was about.
    fn record(&mut self, worlds: &[WorldOutcome]) -> anyhow::Result<()> {
        for summary in summarize(worlds, trials::CONFIDENCE)? {
            let [reward, profit, true_profit, loss, _] = &summary.means[..] else { continue };
            self.metrics.push(&json!({
                "loss scale": summary.scale, "arm": summary.arm, "reward": reward.value,
                "se": reward.std_error, "profit": profit.value, "true profit": true_profit.value,
                "loss": loss.value, "worlds": reward.n,
            }))?;
            let Some(arm) = Arm::named(&summary.arm) else { continue };
            for against in arm.baselines() {
                let (name, scale) = (against.name(), summary.scale);
                for quantity in [Quantity::Reward, Quantity::TrueProfit, Quantity::TrueReward] {
                    let Some(gap) = trials::gap(worlds, [&summary.arm, &name], scale, quantity)
                    else {
                        continue;
                    };
                    self.metrics.push(&json!({
                        "loss scale": gap.scale, "arm": gap.arm, "less": gap.against,
                        "of": quantity, "difference": gap.difference.value,
                        "low": gap.difference.interval[0], "high": gap.difference.interval[1],
                        "median": gap.median, "d": gap.effect, "above 0": gap.above,
                    }))?;
                }
            }
        }
        for (scale, bound) in trials::bounds(worlds)? {
            self.metrics.push(&json!({
                "loss scale": scale, "arm": trials::BOUND, "reward": bound.value,
                "se": bound.std_error, "worlds": bound.n,
            }))?;
        }
        for world in worlds {
            self.samples.push(&json!({
                "trial": world.trial, "categories": world.categories, "average": world.average,
                "target": world.target, "bounds": world.bounds,
            }))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_settings_of_every_scale_hold() {
        for scale in Scale::value_variants() {
            let config = Config::read(*scale, None).unwrap();
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
        }
        let paper = Config::read(Scale::Paper, None).unwrap().experiment;
        assert_eq!(paper.published, portfolio_pursuit::models::PublishedBidsConfig::default());
        assert_eq!((paper.trials, paper.test_epochs), (24, 8));
    }
}
