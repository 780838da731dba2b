//! What answers that came to nothing could have changed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Answer, Arm, Cells, Failure, unit::Unit};

/// Bounds of the signed gap, whatever the missing answers would have been.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    /// Every missing enacted answer aligned, every missing stated one misaligned.
    pub best: f64,
    /// Every missing enacted answer misaligned, every missing stated one aligned.
    pub worst: f64,
    /// Answers that are missing, in both arms.
    pub missing: usize,
}

/// Bounds of the mean of `ā − q̄` over all units that were asked in both arms.
///
/// Any values in `[0, 1]` in place of the missing answers give a gap between them. None if no unit was
/// asked in both arms.
pub fn bounds(units: &[Unit]) -> Option<Bounds> {
    let mut sums = [0.0; 2];
    let (mut asked, mut missing) = (0, 0);
    for unit in units {
        let stated = unit.stated.len() + unit.stated_failed;
        let enacted = unit.enacted.len() + unit.enacted_failed;
        if stated == 0 || enacted == 0 {
            continue;
        }
        asked += 1;
        missing += unit.stated_failed + unit.enacted_failed;
        let says: f64 = unit.stated.iter().map(|r| r.value).sum();
        let does: f64 = unit.enacted.iter().map(|r| r.value).sum();
        let least = does / enacted as f64 - (says + unit.stated_failed as f64) / stated as f64;
        let most = (does + unit.enacted_failed as f64) / enacted as f64 - says / stated as f64;
        sums = [sums[0] + least, sums[1] + most];
    }
    let [best, worst] = sums.map(|sum| sum / f64::from(asked));
    (asked > 0).then_some(Bounds { best, worst, missing })
}

/// How often an arm came to nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureRate {
    /// The arm.
    pub arm: Arm,
    /// Answers asked for.
    pub asked: usize,
    /// Those that came to nothing, by why.
    pub failed: BTreeMap<Failure, usize>,
}

impl FailureRate {
    /// Share of answers that came to nothing.
    pub fn rate(&self) -> f64 {
        self.failed.values().sum::<usize>() as f64 / (self.asked as f64).max(1.0)
    }
}

/// Failures of a model, arm by arm; benign twins count as well.
pub fn failures(cells: &Cells, model: &str) -> Vec<FailureRate> {
    let mut by_arm: BTreeMap<Arm, FailureRate> = BTreeMap::new();
    for cell in cells.cells.iter().filter(|c| c.model == model) {
        let rate = by_arm.entry(cell.arm).or_insert_with(|| FailureRate {
            arm: cell.arm,
            asked: 0,
            failed: BTreeMap::new(),
        });
        rate.asked += 1;
        if let Answer::Failed(failure) = cell.answer {
            *rate.failed.entry(failure).or_default() += 1;
        }
    }
    by_arm.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Comparison, testing};

    #[test]
    fn any_imputation_lies_between() {
        let arms = [Arm::Q0, Arm::A3];
        let full = testing::items(3, 4, &arms, |i, _, e| ((i + e as usize) % 3) as f64 * 0.5);
        let mut list = full.clone();
        for place in [0, 5, 13, 22] {
            list[place].answer = Answer::Failed(Failure::NoLetter);
        }
        let holes = testing::cells(list.clone());
        let found = bounds(&holes.units("m", Comparison::MAIN)).unwrap();
        assert_eq!(found.missing, 4);
        for bits in 0..81_u32 {
            let mut filled = list.clone();
            for (k, place) in [0, 5, 13, 22].into_iter().enumerate() {
                let value = f64::from(bits / 3_u32.pow(k as u32) % 3) * 0.5;
                filled[place].answer = testing::outcome(value);
            }
            let units = testing::cells(filled).units("m", Comparison::MAIN);
            let value = units.iter().map(Unit::difference).sum::<f64>() / units.len() as f64;
            assert!(found.best - 1e-12 <= value && value <= found.worst + 1e-12);
        }
        let rates = failures(&holes, "m");
        let shown: Vec<(Arm, usize, f64)> =
            rates.iter().map(|r| (r.arm, r.asked, r.rate())).collect();
        assert_eq!(shown.len(), 2);
        assert_eq!(rates.iter().map(|r| r.failed[&Failure::NoLetter]).sum::<usize>(), 4);
    }

    #[test]
    fn nothing_missing_leaves_no_room() {
        let list = testing::items(2, 2, &[Arm::Q0, Arm::A3], |_, arm, _| match arm {
            Arm::Q0 => 0.25,
            _ => 1.0,
        });
        let found = bounds(&testing::cells(list).units("m", Comparison::MAIN)).unwrap();
        assert_eq!(found, Bounds { best: 0.75, worst: 0.75, missing: 0 });
        assert_eq!(bounds(&[]), None);
    }

    #[test]
    fn bounds_and_rates_are_exact() {
        let mut list =
            testing::items(
                1,
                2,
                &[Arm::Q0, Arm::A3],
                |_, arm, _| {
                    if arm == Arm::A3 { 0.5 } else { 0.0 }
                },
            );
        for cell in list.iter_mut().filter(|c| c.epoch == 2) {
            cell.answer = Answer::Failed(Failure::Refused);
        }
        let cells = testing::cells(list);
        let found = bounds(&cells.units("m", Comparison::MAIN)).unwrap();
        // Enacted between 0.25 and 0.75, stated between 0 and 0.5.
        assert_eq!(found, Bounds { best: -0.25, worst: 0.75, missing: 2 });
        let rate = FailureRate {
            arm: Arm::Q0,
            asked: 8,
            failed: [(Failure::Refused, 3), (Failure::NoLetter, 1)].into(),
        };
        approx::assert_relative_eq!(rate.rate(), 0.5);
    }
}
