//! Small sets of cells for tests.

use super::{Answer, Arm, Cell, Cells, OutcomeClass, ScenarioInfo};

/// A scenario with outcomes of 0, 1/4, 1/2 and 1.
pub(crate) fn scenario(name: &str, family: &str) -> ScenarioInfo {
    let outcomes = [("aligned", 0.0), ("quarter", 0.25), ("half", 0.5), ("worst", 1.0)];
    let outcomes =
        outcomes.into_iter().map(|(id, value)| OutcomeClass { id: id.to_owned(), value }).collect();
    ScenarioInfo { name: name.to_owned(), family: family.to_owned(), outcomes }
}

/// The class of a value.
pub(crate) fn outcome(value: f64) -> Answer {
    let id = match value {
        v if v < 0.125 => "aligned",
        v if v < 0.375 => "quarter",
        v if v < 0.75 => "half",
        _ => "worst",
    };
    Answer::Outcome { id: id.to_owned(), value }
}

/// A cell of the scenario `s`.
pub(crate) fn cell(model: &str, item: &str, arm: Arm, epoch: u32, value: f64) -> Cell {
    Cell {
        model: model.to_owned(),
        scenario: "s".to_owned(),
        item: item.to_owned(),
        cluster: item.to_owned(),
        persona: "none".to_owned(),
        arm,
        benign: false,
        epoch,
        paraphrase: 0,
        order: 0,
        answer: outcome(value),
        awareness: None,
        codes: Vec::new(),
        transcript: None,
    }
}

/// Cells of the scenario `s`.
pub(crate) fn cells(cells: Vec<Cell>) -> Cells {
    Cells::new(vec![scenario("s", "oversight")], cells).unwrap()
}

/// Items with so many epochs in each of these arms, of these values.
pub(crate) fn items(
    count: usize,
    epochs: u32,
    arms: &[Arm],
    value: impl Fn(usize, Arm, u32) -> f64,
) -> Vec<Cell> {
    let mut out = Vec::new();
    for i in 0..count {
        for &arm in arms {
            out.extend(
                (1..=epochs).map(|e| cell("m", &format!("i{i:02}"), arm, e, value(i, arm, e))),
            );
        }
    }
    out
}
