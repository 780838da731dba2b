//! What a run came to, in numbers.

use std::{collections::BTreeMap, path::Path};

use agent_evals::{Index, Key, Score, Verdict};
use comfy_table::{CellAlignment, Table};
use rl_core::stats::{Estimate, cluster_mean};
use serde::Serialize;

/// How sure intervals are.
const CONFIDENCE: f64 = 0.95;

/// What one scorer says of one agent as one persona in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Cell {
    pub(super) scenario: String,
    pub(super) agent: String,
    pub(super) persona: String,
    pub(super) scorer: String,
    /// Mean of what is scored, its error clustered by item; none if nothing is.
    pub(super) mean: Option<f64>,
    /// None if there is one cluster alone.
    pub(super) interval: Option<[f64; 2]>,
    pub(super) scored: usize,
    pub(super) unscored: usize,
    pub(super) errors: usize,
}

/// Scores of a cell as they come.
#[derive(Default)]
struct Scores {
    values: Vec<f64>,
    clusters: Vec<String>,
    unscored: usize,
    errors: usize,
}

/// Sums up finished samples.
#[derive(Default)]
pub(super) struct Results(BTreeMap<[String; 4], Scores>);

impl Results {
    /// The finished samples of a journal, each once.
    pub(super) fn read(journal: &Path) -> anyhow::Result<Self> {
        Ok(Self::of(&Index::read(journal)?))
    }

    /// Those of a journal that has been read.
    pub(super) fn of(index: &Index) -> Self {
        let mut results = Self::default();
        for attempt in index.latest().into_values() {
            if let Some(finish) = &attempt.finish {
                let start = &attempt.start;
                results.add(&start.key, start.sample.cluster(), &finish.scores);
            }
        }
        results
    }

    /// One more sample.
    pub(super) fn add(&mut self, key: &Key, cluster: &str, scores: &BTreeMap<String, Score>) {
        for (scorer, score) in scores {
            let [scenario, agent, persona] = [&key.scenario, &key.agent, &key.persona];
            let cell = [scenario, agent, persona, scorer].map(Clone::clone);
            let cell = self.0.entry(cell).or_default();
            match &score.verdict {
                Verdict::Scored(value) => {
                    cell.values.push(*value);
                    cell.clusters.push(cluster.to_owned());
                }
                Verdict::Unscored(_) => cell.unscored += 1,
                Verdict::Error(_) => cell.errors += 1,
            }
        }
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        let cell = |([scenario, agent, persona, scorer], scores): (&[String; 4], &Scores)| {
            let estimate = estimate(&scores.values, &scores.clusters);
            Cell {
                scenario: scenario.clone(),
                agent: agent.clone(),
                persona: persona.clone(),
                scorer: scorer.clone(),
                mean: (!scores.values.is_empty())
                    .then(|| scores.values.iter().sum::<f64>() / scores.values.len() as f64),
                interval: estimate.map(|e| e.interval),
                scored: scores.values.len(),
                unscored: scores.unscored,
                errors: scores.errors,
            }
        };
        self.0.iter().map(cell).collect()
    }
}

/// The mean with its interval over clusters; none of fewer than two.
pub(super) fn estimate(values: &[f64], clusters: &[String]) -> Option<Estimate> {
    cluster_mean(values, clusters, CONFIDENCE).ok()
}

/// The cells as a table.
pub(super) fn table(cells: &[Cell]) -> Table {
    let mut table = crate::terminal::table([
        "scenario",
        "agent",
        "persona",
        "scorer",
        "mean",
        "95% interval",
        "n",
        "unscored",
        "errors",
    ]);
    for cell in cells {
        let interval = cell.interval.map_or("–".to_owned(), |[l, h]| format!("[{l:.3}, {h:.3}]"));
        table.add_row([
            cell.scenario.clone(),
            cell.agent.clone(),
            cell.persona.clone(),
            cell.scorer.clone(),
            cell.mean.map_or("–".to_owned(), |m| format!("{m:.3}")),
            interval,
            cell.scored.to_string(),
            cell.unscored.to_string(),
            cell.errors.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_counted_and_not_averaged() {
        let key = |sample: &str| Key {
            scenario: "s".to_owned(),
            agent: "a".to_owned(),
            persona: "none".to_owned(),
            sample: sample.to_owned(),
            epoch: 1,
        };
        let mut results = Results::default();
        // The sheet's check of clustered errors.
        for (cluster, value) in
            [("x", 1.0), ("x", 1.0), ("y", 0.0), ("y", 0.0), ("z", 1.0), ("z", 0.0)]
        {
            let scores = BTreeMap::from([("r".to_owned(), Score::number(value))]);
            results.add(&key(cluster), cluster, &scores);
        }
        for score in [Score::unscored("u"), Score::error("e"), Score::error("f")] {
            results.add(&key("w"), "w", &BTreeMap::from([("r".to_owned(), score)]));
        }
        let cells = results.cells();
        let [cell] = &cells[..] else { panic!("{cells:?}") };
        assert_eq!((cell.scored, cell.unscored, cell.errors), (6, 1, 2));
        assert_eq!(cell.mean, Some(0.5));
        let [low, high] = cell.interval.unwrap();
        // 4.302653 is the 97.5% point of t with 2 degrees of freedom.
        assert!((high - 0.5 - 0.288_675 * 4.302_653).abs() < 1e-4, "{low} {high}");
    }
}
