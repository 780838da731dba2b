//! From measurements to claims.

use rl_core::{run::Statement, stats::Estimate};

use super::{
    PAPER, Run,
    config::{Stage, System},
    front::area_of,
    measures::{Operating, Record},
};
use crate::early_exit::{
    measure::{correlation, resampled},
    timing::Timing,
};

/// Least share of the work saved that time must show.
const OF_WORK: &str = ">= 0.8";
/// Work saved below which a ratio of time to it says nothing.
const LEAST_WORK: f64 = 0.05;

impl Run<'_> {
    /// All claims of a system whose stages have been measured.
    pub(super) fn conclude(
        &mut self,
        name: &'static str,
        system: &System,
        records: &[Record],
    ) -> anyhow::Result<()> {
        let last = operating(records, system.last());
        let n = last.first().map_or(0, |at| at.full.right.len());
        for speed in records.iter().filter_map(|record| record.speed.as_ref()) {
            for (exits, timing) in &speed.exits {
                self.timed(name, exits, timing)?;
            }
            if let Some(ratio) = &speed.off {
                self.off_time(name, ratio)?;
            }
        }
        let gaps = self.sampler_gaps.get(name).cloned().unwrap_or_default();
        if !gaps.is_empty() {
            // What is no number stays the largest.
            let worst =
                gaps.iter().copied().fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a });
            let allowed = system.stages.iter().filter_map(|s| s.train.as_ref());
            let allowed = allowed.map(|train| train.max_sampler_gap).fold(0.0, f64::max);
            let statement = Statement {
                id: &format!("early_exit.{name}.sampler_gap"),
                says: "largest difference between sampler and scorer before an update, root mean square over tokens and exits, in nats",
                source: "ours; in the published code the floor under the gates is the sampler's alone",
                target: &format!("<= {allowed}"),
            };
            self.claims.measured(statement, worst, None, gaps.len())?;
        }
        let lossless = last.iter().map(|at| at.lossless).fold(1.0, f64::min);
        let statement = Statement {
            id: &format!("early_exit.{name}.lossless"),
            says: "share of greedy answers that are the plain model's when gates are asked and nobody may leave, ties within 0.125 nats aside",
            source: "ours",
            target: ">= 0.99",
        };
        self.claims.measured(statement, lossless, None, n * last.len())?;
        if !self.compare {
            return Ok(());
        }
        self.reached(name, system, &last)?;
        for stage in &system.stages {
            for other in &stage.against {
                self.contribution(name, stage, other, records)?;
            }
        }
        Ok(())
    }

    /// What the pipeline ends with.
    fn reached(&mut self, name: &str, system: &System, last: &[&Operating]) -> anyhow::Result<()> {
        let (seeds, stage) = (last.len(), system.last());
        let n = last.first().map_or(0, |at| at.full.right.len());
        let mean = |of: &dyn Fn(&Operating, &[usize]) -> f64| -> anyhow::Result<Estimate> {
            let statistic =
                |chosen: &[usize]| last.iter().map(|at| of(at, chosen)).sum::<f64>() / seeds as f64;
            Ok(resampled(n, statistic, self.seed.derive("bootstrap", 0))?)
        };
        let saved = mean(&|at, of| 1.0 - at.exits.depth(of))?;
        let accuracy = mean(&|at, of| at.exits.accuracy(of) - at.full.accuracy(of))?;
        let random = mean(&|at, of| at.random.accuracy(of) - at.exits.accuracy(of))?;
        let off = mean(&|at, of| at.off.accuracy(of) - at.full.accuracy(of))?;
        let over = format!("over {n} held-out problems and {seeds} training seeds");
        for (what, says, target, value, estimate) in [
            (
                "saved",
                format!(
                    "share of block executions saved after `{stage}`, at a threshold chosen on other problems, {over}"
                ),
                format!(">= {}", system.saved),
                saved.value,
                saved,
            ),
            (
                "accuracy",
                format!("accuracy there less that of the base model at full depth, {over}"),
                ">= -0.01".into(),
                accuracy.value,
                accuracy,
            ),
            (
                "random",
                format!(
                    "upper end of the interval of the accuracy of random exits with the same histogram less that of the gates', {over}"
                ),
                "< -0.05".into(),
                random.interval[1],
                random,
            ),
            (
                "exits_off",
                format!(
                    "accuracy after `{stage}` with exits off less that of the base model, {over}; training under exits tends to lower it"
                ),
                ">= -0.1".into(),
                off.value,
                off,
            ),
        ] {
            let id = format!("early_exit.{name}.{what}");
            let statement = Statement { id: &id, says: &says, source: "ours", target: &target };
            self.claims.measured(statement, value, Some(estimate.interval), estimate.n)?;
        }
        let id = format!("early_exit.{name}.surprisal");
        let statement = Statement {
            id: &id,
            says: "lower end of the interval of Spearman's correlation of a token's depth with its surprisal under the base model, resampling answers",
            source: PAPER,
            target: "> 0",
        };
        let pairs: Vec<_> = last.iter().map(|at| at.pairs.clone()).collect();
        match correlation(&pairs, self.seed.derive("bootstrap", 1))? {
            Some(found) => {
                self.claims.measured(statement, found.interval[0], Some(found.interval), found.n)
            }
            None => self.claims.open(statement, "all tokens have one depth"),
        }
    }

    /// What a stage adds to the front of another.
    fn contribution(
        &mut self,
        name: &str,
        stage: &Stage,
        other: &str,
        records: &[Record],
    ) -> anyhow::Result<()> {
        let of = |stage: &str| -> Vec<&Record> {
            records.iter().filter(|record| record.stage == stage).collect()
        };
        let (ours, theirs) = (of(&stage.name), of(other));
        let n = ours.first().and_then(|r| r.front.first()).map_or(0, |tally| tally.right.len());
        let statistic = |chosen: &[usize]| {
            let pairs = ours.iter().filter_map(|a| {
                let b = theirs.iter().find(|b| b.seed == a.seed)?;
                Some(area_of(&a.front, chosen) - area_of(&b.front, chosen))
            });
            pairs.sum::<f64>() / ours.len().max(1) as f64
        };
        let found = resampled(n, statistic, self.seed.derive("bootstrap", 2))?;
        let says = format!(
            "lower end of the interval of the area under the front of accuracy over depth after `{}` less that of `{other}`, over {n} held-out problems and {} training seeds",
            stage.name,
            ours.len()
        );
        let id = format!("early_exit.{name}.{}_over_{other}", stage.name);
        let source = if stage.train.is_some() { PAPER } else { "ours" };
        let statement = Statement { id: &id, says: &says, source, target: "> 0" };
        self.claims.measured(statement, found.interval[0], Some(found.interval), found.n)
    }

    /// Time saved as a share of the work saved.
    fn timed(&mut self, name: &str, exits: &str, timing: &Timing) -> anyhow::Result<()> {
        let Timing { batch, time_saved, flops_saved, .. } = timing;
        let id = format!("early_exit.{name}.speed_{exits}_{batch}");
        let says = format!(
            "decoding time saved as a share of the work saved, {batch} rows, exits {}",
            if exits == "gates" {
                "by the gates"
            } else {
                "drawn for each token from all sites alike"
            }
        );
        let statement = Statement { id: &id, says: &says, source: "ours", target: OF_WORK };
        if *flops_saved < LEAST_WORK {
            // Gates that hardly save are a finding of `saved`, not of speed.
            return Ok(());
        }
        let interval = time_saved.interval.map(|end| end / flops_saved);
        self.claims.measured(
            statement,
            time_saved.value / flops_saved,
            Some(interval),
            time_saved.n,
        )
    }

    /// Time with exits off.
    fn off_time(&mut self, name: &str, ratio: &Estimate) -> anyhow::Result<()> {
        let id = format!("early_exit.{name}.off_time");
        let statement = Statement {
            id: &id,
            says: "decoding time of the engine with exits off as a multiple of the plain model's, one row",
            source: "ours",
            target: "<= 1.02",
        };
        self.claims.measured(statement, ratio.value, Some(ratio.interval), ratio.n)
    }
}

/// A stage of all seeds at its threshold.
fn operating<'a>(records: &'a [Record], stage: &str) -> Vec<&'a Operating> {
    records.iter().filter(|r| r.stage == stage).filter_map(|r| r.at.as_ref()).collect()
}
