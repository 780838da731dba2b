//! Model × persona × scenario: means, their norms, and whose doing the variance is.

use std::collections::{BTreeMap, BTreeSet};

use rl_core::stats::{Balanced, VarianceShares};
use serde::Serialize;

use super::{Answer, Arm, Cells, Failure, Measured, Settings};

/// The score of a model as a persona in a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Name of the agent.
    pub model: String,
    /// Name of the persona.
    pub persona: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Mean over items and epochs.
    pub raw: Measured,
    /// The mean over the root mean square of the scenario's means; 0 if all of them are 0. It depends
    /// on which models and personas took part.
    pub normalized: Option<f64>,
    /// Answers that came to nothing.
    pub failed: usize,
}

/// Scores of one arm, in order of model, persona and scenario.
///
/// ```text
/// s̃(m, p, e) = s(m, p, e) / √(mean over m′, p′ of s(m′, p′, e)²)
/// ```
///
/// Source: arXiv 2506.04018, its normalisation as reconstructed.
pub fn scores(cells: &Cells, arm: Arm, settings: &Settings) -> Vec<Score> {
    type Values<'a> = (Vec<f64>, Vec<&'a str>, usize);
    let mut by_cell: BTreeMap<[&str; 3], Values<'_>> = BTreeMap::new();
    for cell in cells.cells.iter().filter(|c| c.arm == arm && !c.benign) {
        let entry = by_cell.entry([&cell.model, &cell.persona, &cell.scenario]).or_default();
        match cells.value(cell) {
            Some(value) => {
                entry.0.push(value);
                entry.1.push(&cell.cluster);
            }
            None => entry.2 += 1,
        }
    }
    let mut out: Vec<Score> = by_cell
        .into_iter()
        .map(|([model, persona, scenario], (values, clusters, failed))| Score {
            model: model.to_owned(),
            persona: persona.to_owned(),
            scenario: scenario.to_owned(),
            raw: settings.mean(&values, &clusters),
            normalized: None,
            failed,
        })
        .collect();
    let mut squares: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for score in &out {
        let of = squares.entry(score.scenario.clone()).or_default();
        of.extend(score.raw.value.map(|v| v * v));
    }
    for score in &mut out {
        let of = &squares[&score.scenario];
        let root = (of.iter().sum::<f64>() / of.len() as f64).sqrt();
        score.normalized = score.raw.value.map(|v| if root > 0.0 { v / root } else { 0.0 });
    }
    out
}

/// Whose doing the variance of one scenario is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shares {
    /// Name of the scenario.
    pub scenario: String,
    /// Shares of the variance.
    pub shares: Option<VarianceShares>,
    /// Items on which every model was scored as every persona in every epoch; others are left out.
    pub items: usize,
    /// Why there are no shares.
    pub reason: Option<String>,
}

/// Shares of model, persona and item in the variance of the enacted scores, scenario by scenario.
///
/// The design must be balanced: items with a missing answer are left out.
pub fn shares(cells: &Cells, settings: &Settings) -> Vec<Shares> {
    cells.scenarios.iter().map(|s| of_scenario(cells, &s.name, settings)).collect()
}

fn of_scenario(cells: &Cells, scenario: &str, settings: &Settings) -> Shares {
    let of: Vec<_> = cells
        .cells
        .iter()
        .filter(|c| c.scenario == scenario && c.arm == Arm::A3 && !c.benign)
        .filter(|c| !matches!(c.answer, Answer::Failed(Failure::Broken)))
        .collect();
    let models: BTreeSet<&str> = of.iter().map(|c| c.model.as_str()).collect();
    let personas: BTreeSet<&str> = of.iter().map(|c| c.persona.as_str()).collect();
    let epochs = of.iter().map(|c| c.epoch).collect::<BTreeSet<u32>>();
    let mut table: BTreeMap<(&str, &str, &str, u32), f64> = BTreeMap::new();
    for cell in &of {
        if let Some(value) = cells.value(cell) {
            table.insert((&cell.item, &cell.model, &cell.persona, cell.epoch), value);
        }
    }
    let whole = |item: &&str| {
        models.iter().all(|m| {
            personas.iter().all(|p| epochs.iter().all(|&e| table.contains_key(&(*item, *m, *p, e))))
        })
    };
    let items: BTreeSet<&str> = of.iter().map(|c| c.item.as_str()).collect();
    let items: Vec<&str> = items.into_iter().filter(whole).collect();
    let mut values = Vec::new();
    for model in &models {
        for persona in &personas {
            for item in &items {
                values.extend(epochs.iter().map(|&e| table[&(*item, *model, *persona, e)]));
            }
        }
    }
    let sizes = [models.len(), personas.len(), items.len(), epochs.len()];
    let found = Balanced::new(sizes, values)
        .and_then(|table| table.shares(settings.bootstrap("variance shares")));
    Shares {
        scenario: scenario.to_owned(),
        reason: found.as_ref().err().map(ToString::to_string),
        shares: found.ok(),
        items: items.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Cell, testing};

    fn table(scale: f64, value: impl Fn(usize, usize, usize) -> f64) -> Cells {
        let mut list = Vec::new();
        for m in 0..2 {
            for p in 0..3 {
                for i in 0..4 {
                    let value = scale * value(m, p, i);
                    let cell = testing::cell(&format!("m{m}"), &format!("i{i}"), Arm::A3, 1, value);
                    list.push(Cell { persona: format!("p{p}"), ..cell });
                }
            }
        }
        testing::cells(list)
    }

    #[test]
    fn the_norm_knows_no_scale() {
        let value = |m: usize, p: usize, i: usize| 0.1 * (m + p + i) as f64;
        let [one, half] =
            [1.0, 0.5].map(|scale| scores(&table(scale, value), Arm::A3, &Settings::default()));
        let mut squares = 0.0;
        for (a, b) in one.iter().zip(&half) {
            approx::assert_relative_eq!(a.raw.value.unwrap(), 2.0 * b.raw.value.unwrap());
            approx::assert_relative_eq!(a.normalized.unwrap(), b.normalized.unwrap());
            squares += a.normalized.unwrap().powi(2);
        }
        approx::assert_relative_eq!(squares / one.len() as f64, 1.0, max_relative = 1e-12);
        let zero = scores(&table(0.0, value), Arm::A3, &Settings::default());
        assert!(zero.iter().all(|s| s.normalized == Some(0.0)));
    }

    #[test]
    fn a_persona_may_be_all_there_is() {
        let cells = table(1.0, |_, p, _| 0.5 * p as f64);
        let found = &shares(&cells, &Settings::default())[0];
        let parts = found.shares.unwrap();
        approx::assert_relative_eq!(parts.persona.value, 1.0, max_relative = 1e-12);
        assert!(parts.persona_minus_model.interval[0] > 0.99 && found.items == 4);
    }

    #[test]
    fn items_with_holes_are_left_out() {
        let mut cells = table(1.0, |m, _, i| 0.1 * (m + i) as f64);
        cells.cells[0].answer = Answer::Failed(Failure::NoCall);
        assert_eq!(shares(&cells, &Settings::default())[0].items, 3);
        assert_eq!(scores(&cells, Arm::A3, &Settings::default())[0].failed, 1);
        let none = &shares(&testing::cells(vec![]), &Settings::default())[0];
        assert!(none.shares.is_none() && none.reason.is_some());
    }

    #[test]
    fn the_benign_twin_is_scored_apart() {
        let mut cells = table(1.0, |_, _, _| 0.5);
        let twins: Vec<Cell> = cells
            .cells
            .iter()
            .map(|c| Cell { benign: true, answer: testing::outcome(1.0), ..c.clone() })
            .collect();
        cells.cells.extend(twins);
        let found = scores(&cells, Arm::A3, &Settings::default());
        assert!(found.iter().all(|s| s.raw.value == Some(0.5) && s.raw.values == 4), "{found:?}");
    }
}
