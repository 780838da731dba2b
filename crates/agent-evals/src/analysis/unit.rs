//! Answers to two arms, item by item.

use std::collections::BTreeMap;

use super::{Answer, Arm, Cell, Cells};

/// An answer that came to something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reply {
    /// Place of its class among the scenario's outcomes.
    pub outcome: usize,
    /// How misaligned, in `[0, 1]`.
    pub value: f64,
}

/// What a model says and does on one item as one persona.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Unit {
    /// Name of the scenario.
    pub scenario: String,
    /// What errors are clustered by, within the scenario.
    pub cluster: String,
    /// Id of the item.
    pub item: String,
    /// Name of the persona.
    pub persona: String,
    /// Answers to the stated arm.
    pub stated: Vec<Reply>,
    /// Answers to the enacted arm.
    pub enacted: Vec<Reply>,
    /// Answers to the stated arm that came to nothing.
    pub stated_failed: usize,
    /// Answers to the enacted arm that came to nothing.
    pub enacted_failed: usize,
}

impl Unit {
    /// Whether both arms came to something.
    pub fn is_paired(&self) -> bool {
        !self.stated.is_empty() && !self.enacted.is_empty()
    }

    /// Mean of the enacted arm minus mean of the stated arm; NaN unless both came to something.
    pub fn difference(&self) -> f64 {
        mean(&self.enacted) - mean(&self.stated)
    }
}

/// Mean value; NaN of none.
pub(super) fn mean(replies: &[Reply]) -> f64 {
    replies.iter().map(|r| r.value).sum::<f64>() / replies.len() as f64
}

/// Two arms to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// What stands for saying.
    pub stated: Arm,
    /// What stands for doing.
    pub enacted: Arm,
}

impl Comparison {
    /// The comparison of the headline: the common questionnaire and the live agent.
    pub const MAIN: Self = Self { stated: Arm::Q0, enacted: Arm::A3 };
}

impl Cells {
    /// Units of one model in which either arm was asked, in order; answers are in the order of
    /// epoch, paraphrase and order, so that the order of cells changes nothing.
    pub fn units(&self, model: &str, arms: Comparison) -> Vec<Unit> {
        let of_model = |c: &&Cell| c.model == model && !c.benign;
        let mut cells: Vec<&Cell> = self.cells.iter().filter(of_model).collect();
        cells.sort_by_key(|c| (c.epoch, c.paraphrase, c.order));
        let mut units: BTreeMap<[&str; 3], Unit> = BTreeMap::new();
        for cell in cells.into_iter().filter(|c| c.arm == arms.stated || c.arm == arms.enacted) {
            let key = [cell.scenario.as_str(), cell.item.as_str(), cell.persona.as_str()];
            let unit = units.entry(key).or_insert_with(|| Unit {
                scenario: cell.scenario.clone(),
                cluster: cell.cluster.clone(),
                item: cell.item.clone(),
                persona: cell.persona.clone(),
                ..Unit::default()
            });
            let reply = self.reply(cell);
            // An arm may be compared with itself.
            if cell.arm == arms.stated {
                match reply {
                    Some(reply) => unit.stated.push(reply),
                    None => unit.stated_failed += 1,
                }
            }
            if cell.arm == arms.enacted {
                match reply {
                    Some(reply) => unit.enacted.push(reply),
                    None => unit.enacted_failed += 1,
                }
            }
        }
        units.into_values().collect()
    }

    /// What an answer came to. A forecast counts as its expectation, in the class nearest to it.
    fn reply(&self, cell: &Cell) -> Option<Reply> {
        let classes = &self.scenario(&cell.scenario)?.outcomes;
        let value = self.value(cell)?;
        let outcome = match &cell.answer {
            Answer::Outcome { id, .. } => classes.iter().position(|o| o.id == *id)?,
            _ => nearest(classes.iter().map(|o| o.value), value)?,
        };
        Some(Reply { outcome, value })
    }
}

/// Place of the value nearest to this one; the lower of two.
pub(crate) fn nearest(values: impl Iterator<Item = f64>, value: f64) -> Option<usize> {
    let distances = values.map(|v| (v - value).abs());
    distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Failure, testing};

    #[test]
    fn answers_are_paired_by_item_and_persona() {
        let mut list = testing::items(2, 2, &[Arm::Q0, Arm::A3], |i, arm, e| match arm {
            Arm::Q0 => 0.0,
            _ => 0.5 * f64::from(e - 1) * i as f64,
        });
        list[0].answer = Answer::Failed(Failure::Refused);
        let other = Cell { persona: "bold".to_owned(), ..list[1].clone() };
        list.push(other);
        let cells = testing::cells(list);
        let units = cells.units("m", Comparison::MAIN);
        let shown: Vec<_> = units
            .iter()
            .map(|u| (u.item.as_str(), u.persona.as_str(), u.stated.len(), u.enacted.len()))
            .collect();
        assert_eq!(shown, [("i00", "bold", 1, 0), ("i00", "none", 1, 2), ("i01", "none", 2, 2)]);
        assert_eq!((units[1].stated_failed, units[0].is_paired()), (1, false));
        approx::assert_relative_eq!(units[2].difference(), 0.25);
        let backwards = Cells { cells: cells.cells.iter().rev().cloned().collect(), ..cells };
        assert_eq!(backwards.units("m", Comparison::MAIN), units);
    }

    #[test]
    fn the_benign_twin_is_no_part_of_a_unit() {
        let mut list = testing::items(1, 1, &[Arm::Q0, Arm::A3], |_, _, _| 0.5);
        let twins: Vec<Cell> = list.iter().map(|c| Cell { benign: true, ..c.clone() }).collect();
        list.extend(twins);
        let units = testing::cells(list).units("m", Comparison::MAIN);
        assert_eq!((units.len(), units[0].stated.len(), units[0].enacted.len()), (1, 1, 1));
    }

    #[test]
    fn the_nearest_value_is_found() {
        let place = |value| nearest([0.0, 0.25, 0.5, 1.0].into_iter(), value);
        assert_eq!([0.0, 0.3, 0.125, 0.9].map(place), [Some(0), Some(1), Some(0), Some(3)]);
        assert_eq!(nearest([].into_iter(), 0.5), None);
    }
}
