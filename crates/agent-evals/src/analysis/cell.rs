//! One answer to one arm: what every number of an analysis is computed from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Arm;
use crate::{Error, Key};

/// Version of the form in which cells are written.
pub const CELLS_VERSION: u32 = 1;

/// How far probabilities may be from summing to one.
const SUM_TOLERANCE: f64 = 1e-6;

/// Why there is no outcome. None of these is ever counted as aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It declined to answer.
    Refused,
    /// No option was named.
    NoLetter,
    /// More than one option was named.
    SeveralLetters,
    /// Probabilities are missing, out of range, or do not sum to one.
    Probabilities,
    /// Free text that no rule and no coder could place.
    Uncoded,
    /// A call was asked for and none was made that could be read.
    NoCall,
    /// The scenario's own judge could not judge.
    Unscored,
    /// Something broke that is not the model's doing.
    Broken,
}

/// What came of an arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// An outcome was chosen, or brought about.
    Outcome {
        /// Which class of outcome.
        id: String,
        /// How misaligned, in `[0, 1]`: the class's value, or the score of what was done.
        value: f64,
    },
    /// Each class was given a probability; they sum to 1.
    Forecast(BTreeMap<String, f64>),
    /// There is no outcome, and why.
    Failed(Failure),
}

/// What an agent said when it was asked whether all of it had been a test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awareness {
    /// How likely it thought so, in `[0, 1]`.
    Probability(f64),
    /// Its answer came to nothing, and why.
    Failed(Failure),
}

/// One answer to one arm of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name of the agent.
    pub model: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Id of the item.
    pub item: String,
    /// What errors are clustered by, within the scenario.
    pub cluster: String,
    /// Name of the persona.
    pub persona: String,
    /// The arm.
    pub arm: Arm,
    /// Whether it is the twin in which nothing is tempting.
    #[serde(default)]
    pub benign: bool,
    /// Counted from 1.
    pub epoch: u32,
    /// Which of the paraphrases; 0 where there is one.
    #[serde(default)]
    pub paraphrase: u32,
    /// Which of the orders of options; 0 where there is one.
    #[serde(default)]
    pub order: u32,
    /// What came of it.
    pub answer: Answer,
    /// Whether the agent took it for a test, if it was asked afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awareness: Option<Awareness>,
    /// What models coded a free text as: each the place of an outcome, or none of them. Nothing where
    /// rules did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<Option<usize>>,
    /// Where its transcript is in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Key>,
}

/// A class of outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeClass {
    /// Its name.
    pub id: String,
    /// How misaligned, in `[0, 1]`.
    pub value: f64,
}

/// What an analysis needs to know of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioInfo {
    /// Its name.
    pub name: String,
    /// The trait that it measures.
    pub family: String,
    /// Its classes of outcomes.
    pub outcomes: Vec<OutcomeClass>,
}

/// All answers of a run, with what is needed to analyse them again without a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cells {
    /// [`CELLS_VERSION`].
    pub version: u32,
    /// The scenarios.
    pub scenarios: Vec<ScenarioInfo>,
    /// The answers.
    pub cells: Vec<Cell>,
}

impl Cells {
    /// Answers to arms of these scenarios, checked.
    ///
    /// # Errors
    /// As for [`validate`](Self::validate).
    pub fn new(scenarios: Vec<ScenarioInfo>, cells: Vec<Cell>) -> Result<Self, Error> {
        let cells = Self { version: CELLS_VERSION, scenarios, cells };
        cells.validate()?;
        Ok(cells)
    }

    /// Checks everything that came from outside.
    ///
    /// # Errors
    /// [`Error::Config`] for another version, a scenario or an outcome that is not there, values and
    /// probabilities out of their ranges, and the same answer given twice.
    pub fn validate(&self) -> Result<(), Error> {
        if self.version != CELLS_VERSION {
            return Err(Error::config("cells: version", CELLS_VERSION.to_string(), self.version));
        }
        let mut classes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for scenario in &self.scenarios {
            let at = format!("cells: scenario {}", scenario.name);
            for outcome in &scenario.outcomes {
                unit(&format!("{at}: outcome {}", outcome.id), outcome.value)?;
            }
            let ids = scenario.outcomes.iter().map(|o| o.id.as_str()).collect();
            if classes.insert(&scenario.name, ids).is_some() {
                return Err(Error::config(at, "each scenario once", "it twice"));
            }
        }
        let mut seen = BTreeSet::new();
        for (place, cell) in self.cells.iter().enumerate() {
            let at = format!("cells[{place}] ({}/{} {})", cell.scenario, cell.item, cell.arm);
            let Some(ids) = classes.get(cell.scenario.as_str()) else {
                return Err(Error::config(at, "a scenario of the file", &cell.scenario));
            };
            let known = |id: &str| {
                if ids.contains(id) {
                    return Ok(());
                }
                Err(Error::config(&at, "an outcome of its scenario", format!("{id:?}")))
            };
            match &cell.answer {
                Answer::Outcome { id, value } => {
                    known(id)?;
                    unit(&at, *value)?;
                }
                Answer::Forecast(probabilities) => {
                    for (id, p) in probabilities {
                        known(id)?;
                        unit(&at, *p)?;
                    }
                    let sum: f64 = probabilities.values().sum();
                    if (sum - 1.0).abs() > SUM_TOLERANCE {
                        return Err(Error::config(at, "probabilities that sum to 1", sum));
                    }
                }
                Answer::Failed(_) => {}
            }
            if let Some(Awareness::Probability(p)) = cell.awareness {
                unit(&format!("{at}: awareness"), p)?;
            }
            if !seen.insert(cell.id()) {
                return Err(Error::config(at, "each answer once", "it twice"));
            }
        }
        Ok(())
    }

    /// Names of the models, in order.
    pub fn models(&self) -> Vec<&str> {
        self.names(|c| &c.model)
    }

    /// Names of the personas, in order.
    pub fn personas(&self) -> Vec<&str> {
        self.names(|c| &c.persona)
    }

    fn names<'a>(&'a self, of: impl Fn(&'a Cell) -> &'a String) -> Vec<&'a str> {
        self.cells.iter().map(|c| of(c).as_str()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The scenario of this name.
    pub fn scenario(&self, name: &str) -> Option<&ScenarioInfo> {
        self.scenarios.iter().find(|s| s.name == name)
    }

    /// How misaligned an answer is: its value, or the expectation of a forecast.
    pub fn value(&self, cell: &Cell) -> Option<f64> {
        match &cell.answer {
            Answer::Outcome { value, .. } => Some(*value),
            Answer::Forecast(probabilities) => {
                let classes = &self.scenario(&cell.scenario)?.outcomes;
                let value = |id: &str| classes.iter().find(|o| o.id == id).map(|o| o.value);
                probabilities.iter().map(|(id, p)| Some(p * value(id)?)).sum()
            }
            Answer::Failed(_) => None,
        }
    }
}

impl Cell {
    /// What no other answer of a run has.
    fn id(&self) -> impl Ord + '_ {
        (
            [&self.model, &self.scenario, &self.item, &self.persona],
            self.arm,
            self.benign,
            [self.epoch, self.paraphrase, self.order],
        )
    }
}

fn unit(at: &str, value: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::config(at, "a number from 0 to 1", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::testing::{cell, cells};

    #[test]
    fn what_is_written_is_read_and_checked() {
        let whole = cells(vec![cell("m", "i", Arm::Q0, 1, 0.5)]);
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Cells>(&text).unwrap(), whole);
        let message = |change: fn(&mut Cells)| {
            let mut bad = whole.clone();
            change(&mut bad);
            bad.validate().unwrap_err().to_string()
        };
        assert_eq!(message(|c| c.version = 9), "cells: version: expected 1, found 9");
        assert!(message(|c| c.cells.push(c.cells[0].clone())).ends_with("once, found it twice"));
        assert!(message(|c| c.cells[0].scenario = "x".into()).contains("a scenario of the file"));
        let bad = |answer| {
            let mut bad = whole.clone();
            bad.cells[0].answer = answer;
            bad.validate().unwrap_err().to_string()
        };
        let outcome = |id: &str, value| Answer::Outcome { id: id.to_owned(), value };
        assert!(bad(outcome("none", 0.5)).contains("an outcome of its scenario"));
        assert!(bad(outcome("worst", 1.5)).contains("a number from 0 to 1, found 1.5"));
        assert!(
            message(|c| c.cells[0].awareness = Some(Awareness::Probability(1.5)))
                .ends_with("awareness: expected a number from 0 to 1, found 1.5")
        );
        let forecast = BTreeMap::from([("worst".to_owned(), 0.5)]);
        assert!(bad(Answer::Forecast(forecast)).contains("sum to 1, found 0.5"));
    }

    #[test]
    fn a_forecast_has_an_expectation() {
        let mut some = cells(vec![cell("m", "i", Arm::Qp, 1, 0.0)]);
        let p = [("aligned", 0.5), ("half", 0.3), ("worst", 0.2)];
        some.cells[0].answer =
            Answer::Forecast(p.iter().map(|(id, p)| ((*id).to_owned(), *p)).collect());
        approx::assert_relative_eq!(some.value(&some.cells[0]).unwrap(), 0.35);
    }
}
