//! From evaluations of organisms to claims.

use cot_metrics::{diagnosis::Signature, metrics::Metric, organisms::Organism};
use rl_core::{
    run::Statement,
    stats::{Estimate, bootstrap_groups},
};
use serde_json::json;

use super::{Made, PAPER, Run, config::WorldConfig};
use crate::cot::{
    tally::{Tally, cohen_d, said, settings},
    track::spelled,
};

impl Run<'_> {
    /// All claims of a world whose organisms have been made.
    pub(super) fn conclude(&mut self, world: &WorldConfig, made: &[Made]) -> anyhow::Result<()> {
        let mut right = Vec::new();
        for one in made {
            let Some(Seen { base, last, .. }) = Seen::of(made, one) else { continue };
            let found = self.row(world, one, last, base)?;
            if one.name == one.organism.name() {
                right.push(found == Some(one.organism.signature()));
            }
        }
        if !self.compare {
            return Ok(());
        }
        for organism in Organism::ALL {
            let of_kind = |one: &&Made| one.organism == organism && one.name == organism.name();
            let pairs: Vec<Seen> =
                made.iter().filter(of_kind).filter_map(|one| Seen::of(made, one)).collect();
            if pairs.is_empty() {
                continue;
            }
            self.accuracy(world, organism, &pairs)?;
            if let Some(metric) = organism.signature().target() {
                self.order(world, organism, &pairs, metric)?;
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
            "diagnosis": found.signature().map_or_else(|| said(&found), |is| is.name().into()),
            "accuracy": format!("{:.3}", last.accuracy()),
            "without chain and hint": format!("{:.3}", last.unaided()),
        });
        if let Some(fields) = line.as_object_mut() {
            for metric in Metric::ALL {
                fields.insert(metric.name().to_owned(), json!(text(last.mean(metric))));
            }
            for metric in Metric::ALL {
                let d = cohen_d(base, last, metric);
                fields.insert(format!("{metric} d"), json!(text(d.estimate())));
            }
            let hinted = last.right_without_chain as f64 / last.problems.max(1) as f64;
            fields.insert("follows a wrong hint".into(), json!(format!("{follows} of {asked}")));
            fields.insert("without chain".into(), json!(format!("{hinted:.3}")));
            fields.insert("problems".into(), json!(last.problems));
            fields.insert("nearest signature".into(), json!(found.nearest));
        }
        self.metrics.push(&line)?;
        Ok(found.signature())
    }

    fn accuracy(
        &mut self,
        world: &WorldConfig,
        organism: Organism,
        seeds: &[Seen<'_>],
    ) -> anyhow::Result<()> {
        let statement = Statement {
            id: &format!("cot.{}.{}.counts", world.name, organism.name()),
            says: "least over seeds of accuracy less that without chain and hint: the organism is what \
                   it is meant to be",
            source: "ours",
            target: &format!(">= {}", world.margin),
        };
        let gains = seeds.iter().map(|seen| seen.last.accuracy() - seen.last.unaided());
        self.claims.measured(statement, gains.fold(f64::INFINITY, f64::min), None, seeds.len())
    }

    /// Whether the metric that an organism lacks is lower than the baseline's, on every seed.
    fn order(
        &mut self,
        world: &WorldConfig,
        organism: Organism,
        seeds: &[Seen<'_>],
        metric: Metric,
    ) -> anyhow::Result<()> {
        let name = organism.name();
        let statement = Statement {
            id: &format!("cot.{}.{name}.{metric}", world.name),
            says: &format!(
                "least over seeds of the lower end of the interval of the baseline's mean {metric} less \
                 that of the {name} organism, regularised with 0.01 nats"
            ),
            source: PAPER,
            target: "> 0",
        };
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let mut least = [f64::INFINITY; 2];
        for seen in seeds {
            let (before, after) = (seen.base.scores(metric), seen.last.scores(metric));
            if before.len() < 2 || after.len() < 2 {
                let reason = format!("seed {}: fewer than two answers have the score", seen.seed);
                return self.claims.open(statement, &reason);
            }
            let bootstrap = rl_core::stats::Bootstrap {
                resamples: settings().resamples,
                confidence: settings().confidence,
                seed: self.seed.derive("order", seen.seed),
            };
            let groups = [&before[..], &after[..]];
            let found = bootstrap_groups(&groups, |g| mean(g[0]) - mean(g[1]), bootstrap)?;
            if found.interval[0] < least[0] {
                least = found.interval;
            }
        }
        self.claims.measured(statement, least[0], Some(least), seeds.len())
    }
}

/// An organism and the baseline of its seed, as they ended.
struct Seen<'a> {
    seed: u64,
    base: &'a Tally,
    last: &'a Tally,
}

impl<'a> Seen<'a> {
    fn of(made: &'a [Made], one: &'a Made) -> Option<Self> {
        let base = made.iter().find(|b| b.seed == one.seed && b.organism == Organism::Baseline);
        Some(Self { seed: one.seed, base: base?.last()?, last: one.last()? })
    }
}
