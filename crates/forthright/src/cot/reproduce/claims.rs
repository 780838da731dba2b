//! From evaluations of organisms to claims.

use cot_metrics::{diagnosis::Signature, metrics::Metric, organisms::Organism};
use rl_core::{
    run::Statement,
    stats::{Estimate, bootstrap_groups},
};
use serde_json::json;

use super::{Made, PAPER, Run, config::WorldConfig};
use crate::cot::{
    tally::{Tally, cohen_d, settings},
    track::spelled,
};

impl Run<'_> {
    /// All claims of a world whose organisms have been made.
    pub(super) fn conclude(&mut self, world: &WorldConfig, made: &[Made]) -> anyhow::Result<()> {
        let mut right = Vec::new();
        for one in made {
            let Some(last) = one.last() else { continue };
            let base = made.iter().find(|b| b.seed == one.seed && b.organism == Organism::Baseline);
            let Some(base) = base.and_then(Made::last) else { continue };
            let found = self.row(world, one, last, base)?;
            if one.name == one.organism.name() {
                right.push(found == Some(one.organism.signature()));
            }
        }
        if !self.compare {
            return Ok(());
        }
        for one in made.iter().filter(|one| one.name == one.organism.name()) {
            let Some(last) = one.last() else { continue };
            self.accuracy(world, one, last)?;
            let base = made.iter().find(|b| b.seed == one.seed && b.organism == Organism::Baseline);
            if let (Some(base), Some(metric)) =
                (base.and_then(Made::last), one.organism.signature().target())
            {
                self.order(world, one, [base, last], metric)?;
            }
        }
        let says = "share of organisms that count as such and whose nearest signature is their own";
        let statement = Statement {
            id: &format!("cot.{}.diagnosed", world.name),
            says,
            source: "ours",
            target: ">= 0.75",
        };
        let share = right.iter().filter(|&&right| right).count() as f64 / right.len() as f64;
        self.claims.measured(statement, share, None, right.len())
    }

    /// The line of an organism in the table of signatures, and what its signature says it is.
    fn row(
        &mut self,
        world: &WorldConfig,
        one: &Made,
        last: &Tally,
        base: &Tally,
    ) -> anyhow::Result<Option<Signature>> {
        let found = last.diagnosis(world.margin)?;
        let text = |estimate: Option<Estimate>| estimate.map_or_else(|| "-".into(), spelled);
        let [follows, asked] = last.follows_wrong_hint;
        let mut line = json!({
            "organism": format!("{}-{}/{}", world.name, one.seed, one.name),
            "accuracy": format!("{:.3}", last.accuracy()),
            "without chain and hint": format!("{:.3}", last.unaided()),
            "without chain": format!("{:.3}", last.right_without_chain as f64 / last.problems.max(1) as f64),
            "follows a wrong hint": format!("{follows} of {asked}"),
            "problems": last.problems,
            "diagnosis": found.verdict, "confidence": found.confidence(),
            "nearest signature": found.nearest,
        });
        if let Some(fields) = line.as_object_mut() {
            for metric in Metric::ALL {
                fields.insert(metric.name().to_owned(), json!(text(last.mean(metric))));
                let d = cohen_d(base, last, metric);
                fields.insert(format!("{metric} d"), json!(text(d.estimate())));
            }
        }
        self.metrics.push(&line)?;
        Ok(found.signature())
    }

    fn accuracy(&mut self, world: &WorldConfig, one: &Made, last: &Tally) -> anyhow::Result<()> {
        let statement = Statement {
            id: &format!("cot.{}.{}-{}.counts", world.name, one.name, one.seed),
            says: "accuracy less that without chain and hint: the organism is what it is meant to be",
            source: "ours",
            target: &format!(">= {}", world.margin),
        };
        self.claims.measured(statement, last.accuracy() - last.unaided(), None, last.problems)
    }

    /// Whether the metric that an organism lacks is lower than the baseline's.
    fn order(
        &mut self,
        world: &WorldConfig,
        one: &Made,
        [base, last]: [&Tally; 2],
        metric: Metric,
    ) -> anyhow::Result<()> {
        let statement = Statement {
            id: &format!("cot.{}.{}-{}.{metric}", world.name, one.name, one.seed),
            says: &format!(
                "lower end of the interval of the baseline's mean {metric} less that of the {} \
                 organism, regularised with 0.01 nats",
                one.organism.name()
            ),
            source: PAPER,
            target: "> 0",
        };
        let (before, after) = (base.scores(metric), last.scores(metric));
        if before.len() < 2 || after.len() < 2 {
            return self.claims.open(statement, "fewer than two answers have the score");
        }
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let bootstrap = rl_core::stats::Bootstrap {
            resamples: settings().resamples,
            confidence: settings().confidence,
            seed: self.seed.derive("order", one.seed),
        };
        let groups = [&before[..], &after[..]];
        let found = bootstrap_groups(&groups, |g| mean(g[0]) - mean(g[1]), bootstrap)?;
        self.claims.measured(statement, found.interval[0], Some(found.interval), found.n)
    }
}
