//! `forthright agents compare`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use agent_evals::{Index, Key, Score};
use anyhow::Context as _;
use clap::Args;
use rl_core::{
    seed::Seed,
    stats::{holm, permutation_paired},
};
use serde::Serialize;
use serde_json::json;

use super::{journal, results::estimate};
use crate::{Unfinished, terminal::print};

/// Sign flips where there are too many items for all of them.
const RESAMPLES: usize = 20_000;

/// Differences between two runs, agents or personas on the same samples
///
/// Second minus first, for each scenario and scorer: the mean over the samples that both have a
/// score of, with an interval whose error is clustered by item; p of a permutation of signs of items;
/// and the same by Holm's rule over all rows. Samples that one of them has no score of are left out
/// and counted.
#[derive(Args)]
pub(crate) struct Compare {
    /// A run's folder or journal
    first: PathBuf,
    /// Another one, to compare with
    #[arg(required_unless_present_any = ["agents", "personas"], conflicts_with_all = ["agents", "personas"])]
    second: Option<PathBuf>,
    /// Two agents of the one run
    #[arg(long, num_args = 2, value_names = ["FIRST", "SECOND"], conflicts_with = "personas")]
    agents: Vec<String>,
    /// Two personas of the one run
    #[arg(long, num_args = 2, value_names = ["FIRST", "SECOND"])]
    personas: Vec<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Scores by sample.
type Scored = BTreeMap<Key, (String, BTreeMap<String, Score>)>;

/// One scenario and scorer.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    scenario: String,
    scorer: String,
    pairs: usize,
    items: usize,
    left_out: usize,
    first: Option<f64>,
    second: Option<f64>,
    difference: Option<f64>,
    interval: Option<[f64; 2]>,
    p: Option<f64>,
    p_holm: Option<f64>,
}

impl Compare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let first = scored(&journal(&self.first))?;
        let (a, b) = match (&self.second, &self.agents[..], &self.personas[..]) {
            (Some(second), ..) => two_runs(first, scored(&journal(second))?)?,
            (None, [a, b], _) => {
                let by = |name: &str| only(&first, "agent", name, |key| &mut key.agent);
                (by(a)?, by(b)?)
            }
            (None, _, [a, b]) => {
                let by = |name: &str| only(&first, "persona", name, |key| &mut key.persona);
                (by(a)?, by(b)?)
            }
            _ => anyhow::bail!("expected a second run, --agents or --personas, found none"),
        };
        let rows = rows(&a, &b)?;
        if self.json {
            print(json!({ "version": 1, "rows": rows }))?;
        } else {
            let mut table = crate::terminal::table([
                "scenario",
                "scorer",
                "first",
                "second",
                "difference",
                "95% interval",
                "p",
                "p (Holm)",
                "pairs",
                "items",
                "left out",
            ]);
            let number = |n: Option<f64>| n.map_or("–".to_owned(), |n| format!("{n:.3}"));
            for row in &rows {
                let interval = row.interval.map(|[l, h]| format!("[{l:.3}, {h:.3}]"));
                table.add_row([
                    row.scenario.clone(),
                    row.scorer.clone(),
                    number(row.first),
                    number(row.second),
                    number(row.difference),
                    interval.unwrap_or_else(|| "–".to_owned()),
                    number(row.p),
                    number(row.p_holm),
                    row.pairs.to_string(),
                    row.items.to_string(),
                    row.left_out.to_string(),
                ]);
            }
            print(table)?;
        }
        if rows.iter().all(|row| row.pairs == 0) {
            anyhow::bail!(Unfinished("no sample has a score on both sides".to_owned()));
        }
        Ok(())
    }
}

/// All scores of finished samples.
fn scored(journal: &Path) -> anyhow::Result<Scored> {
    let index = Index::read(journal)?;
    let mut out = Scored::new();
    for (key, attempt) in index.latest() {
        if let Some(finish) = &attempt.finish {
            let cluster = attempt.start.sample.cluster().to_owned();
            out.insert(key.clone(), (cluster, finish.scores.clone()));
        }
    }
    Ok(out)
}

/// The samples of one agent or persona, whose name is then taken out of their keys.
fn only(
    all: &Scored,
    what: &'static str,
    name: &str,
    field: impl Fn(&mut Key) -> &mut String,
) -> anyhow::Result<Scored> {
    let (mut out, mut names) = (Scored::new(), BTreeSet::new());
    for (key, scores) in all {
        let mut key = key.clone();
        let of = std::mem::take(field(&mut key));
        if of == name {
            out.insert(key, scores.clone());
        }
        names.insert(of);
    }
    if out.is_empty() {
        let hint = agent_evals::nearest(name, names.iter().map(String::as_str));
        anyhow::bail!(agent_evals::Error::Unknown { what, name: name.to_owned(), hint });
    }
    Ok(out)
}

/// Samples of two runs. Where each has one agent their names need not agree.
fn two_runs(first: Scored, second: Scored) -> anyhow::Result<(Scored, Scored)> {
    let agents = |of: &Scored| of.keys().map(|key| key.agent.clone()).collect::<BTreeSet<_>>();
    let (a, b) = (agents(&first), agents(&second));
    if a.intersection(&b).next().is_some() {
        return Ok((first, second));
    }
    anyhow::ensure!(
        a.len() == 1 && b.len() == 1,
        "expected runs with an agent in common, or with one agent each, found {} and {}",
        join(&a),
        join(&b)
    );
    let nameless = |of: Scored| {
        of.into_iter().map(|(key, scores)| (Key { agent: String::new(), ..key }, scores)).collect()
    };
    Ok((nameless(first), nameless(second)))
}

fn join(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn rows(a: &Scored, b: &Scored) -> anyhow::Result<Vec<Row>> {
    /// Pairs of values by scenario and scorer, with their items, and how many have no pair.
    #[derive(Default)]
    struct Pairs {
        values: Vec<(f64, f64)>,
        items: Vec<String>,
        left_out: usize,
    }
    let mut pairs: BTreeMap<(String, String), Pairs> = BTreeMap::new();
    let keys: BTreeSet<&Key> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let both = [a.get(key), b.get(key)];
        let scorers: BTreeSet<&String> =
            both.iter().flatten().flat_map(|(_, scores)| scores.keys()).collect();
        for scorer in scorers {
            let of = pairs.entry((key.scenario.clone(), scorer.clone())).or_default();
            let value = |side: Option<&(String, BTreeMap<String, Score>)>| {
                side.and_then(|(_, scores)| scores.get(scorer)?.verdict.value())
            };
            match (value(both[0]), value(both[1]), both[0]) {
                (Some(first), Some(second), Some((cluster, _))) => {
                    of.values.push((first, second));
                    of.items.push(cluster.clone());
                }
                _ => of.left_out += 1,
            }
        }
    }
    let mut rows = Vec::new();
    for ((scenario, scorer), Pairs { values, items, left_out }) in pairs {
        let mean = |of: fn(&(f64, f64)) -> f64| {
            (!values.is_empty()).then(|| values.iter().map(of).sum::<f64>() / values.len() as f64)
        };
        let differences: Vec<f64> = values.iter().map(|(a, b)| b - a).collect();
        let mut sums: BTreeMap<&String, (f64, f64)> = BTreeMap::new();
        for (item, (a, b)) in items.iter().zip(&values) {
            let sum = sums.entry(item).or_default();
            *sum = (sum.0 + a, sum.1 + b);
        }
        let (first, second): (Vec<f64>, Vec<f64>) = sums.values().copied().unzip();
        // Of two items the smallest p is a half: with fewer there is nothing to be said.
        let p = if sums.len() < 2 {
            None
        } else {
            let test = permutation_paired(&second, &first, RESAMPLES, Seed::new(0));
            Some(test.context("comparing")?.p_value)
        };
        rows.push(Row {
            scenario,
            scorer,
            pairs: values.len(),
            items: sums.len(),
            left_out,
            first: mean(|v| v.0),
            second: mean(|v| v.1),
            difference: mean(|v| v.1 - v.0),
            interval: estimate(&differences, &items).map(|e| e.interval),
            p,
            p_holm: None,
        });
    }
    let tested: Vec<f64> = rows.iter().filter_map(|row| row.p).collect();
    if !tested.is_empty() {
        let adjusted = holm(&tested).context("adjusting")?;
        let with_p = rows.iter_mut().filter(|row| row.p.is_some());
        for (row, p) in with_p.zip(adjusted) {
            row.p_holm = Some(p);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(agent: &str, values: &[(&str, Option<f64>)]) -> Scored {
        let one = |(i, (cluster, value)): (usize, &(&str, Option<f64>))| {
            let key = Key {
                scenario: "s".to_owned(),
                agent: agent.to_owned(),
                persona: "none".to_owned(),
                sample: format!("{cluster}{i}"),
                epoch: 1,
            };
            let score = value.map_or_else(|| Score::unscored("?"), Score::number);
            (key, ((*cluster).to_owned(), BTreeMap::from([("r".to_owned(), score)])))
        };
        values.iter().enumerate().map(one).collect()
    }

    #[test]
    fn pairs_are_compared_and_the_rest_is_counted() {
        let a = side("a", &[("x", Some(0.0)), ("x", Some(0.0)), ("y", Some(0.5)), ("z", None)]);
        let b =
            side("b", &[("x", Some(1.0)), ("x", Some(1.0)), ("y", Some(0.5)), ("z", Some(1.0))]);
        let (a, b) = two_runs(a, b).unwrap();
        let rows = rows(&a, &b).unwrap();
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((row.pairs, row.items, row.left_out), (3, 2, 1));
        assert!((row.difference.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        // Of four patterns of signs all have the same or the opposite sum: the item without a
        // difference does not matter.
        assert_eq!((row.p, row.p_holm), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn runs_of_several_agents_need_one_in_common() {
        let mut a = side("a", &[("x", Some(0.0))]);
        a.extend(side("c", &[("x", Some(0.0))]));
        let error = two_runs(a, side("b", &[("x", Some(1.0))])).unwrap_err().to_string();
        assert!(error.ends_with("found a, c and b"), "{error}");
    }
}
