//! How free text was coded, and how far coders agree.

use rl_core::stats::{self, CodeDistance};
use serde::Serialize;

use super::{Answer, Arm, Cells};

/// How the free text of a model was coded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coding {
    /// Texts.
    pub texts: usize,
    /// Those that rules placed.
    pub by_rules: usize,
    /// Those that models placed.
    pub by_models: usize,
    /// Krippendorff's α of the models, where two or more coded; a text that fits no outcome is a
    /// category.
    pub alpha: Option<f64>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// How the answers to Q0f were coded; none if there are none.
pub fn coding(cells: &Cells, model: &str) -> Option<Coding> {
    let mut found = Coding { texts: 0, by_rules: 0, by_models: 0, alpha: None, reason: None };
    let mut codes = Vec::new();
    for cell in cells.cells.iter().filter(|c| c.model == model && c.arm == Arm::Q0f) {
        found.texts += 1;
        let placed = usize::from(matches!(cell.answer, Answer::Outcome { .. }));
        if cell.codes.is_empty() {
            found.by_rules += placed;
        } else {
            found.by_models += placed;
        }
        codes.extend((cell.codes.len() > 1).then(|| cell.codes.clone()));
    }
    if codes.is_empty() {
        found.reason = Some("no text was coded by two models".to_owned());
    } else {
        match agreement(&codes) {
            Ok(alpha) => found.alpha = Some(alpha),
            Err(error) => found.reason = Some(error.to_string()),
        }
    }
    (found.texts > 0).then_some(found)
}

/// Krippendorff's alpha of several coders' codes of texts, each a place or none; a missing code is a
/// category of its own, since "fits none" is a judgement.
///
/// # Errors
/// The statistics' own, such as if all codes are the same.
pub fn agreement(codes: &[Vec<Option<usize>>]) -> Result<f64, stats::Error> {
    let units: Vec<Vec<f64>> = codes
        .iter()
        .map(|unit| unit.iter().map(|code| code.map_or(-1.0, |c| c as f64)).collect())
        .collect();
    stats::krippendorff_alpha(&units, CodeDistance::Nominal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Failure, testing};

    #[test]
    fn coders_agree_beyond_chance() {
        let codes = vec![vec![Some(0), Some(0)], vec![None, None], vec![Some(0), None]];
        assert!((agreement(&codes).unwrap() - 4.0 / 9.0).abs() < 1e-12);
        assert!(agreement(&[vec![Some(0), Some(0)]]).is_err());
    }

    #[test]
    fn coders_are_counted_and_compared() {
        let mut list = testing::items(5, 1, &[Arm::Q0f], |_, _, _| 0.5);
        let codes = [vec![], vec![Some(2), Some(2)], vec![None, None], vec![Some(2), None], vec![]];
        for (cell, codes) in list.iter_mut().zip(codes) {
            if codes.first() != codes.last() || codes.first() == Some(&None) {
                cell.answer = Answer::Failed(Failure::Uncoded);
            }
            cell.codes = codes;
        }
        let found = coding(&testing::cells(list), "m").unwrap();
        assert_eq!((found.texts, found.by_rules, found.by_models), (5, 2, 1));
        approx::assert_relative_eq!(found.alpha.unwrap(), 4.0 / 9.0, max_relative = 1e-12);
        // One coder agrees with nobody.
        let mut list = testing::items(2, 1, &[Arm::Q0f], |_, _, _| 0.5);
        for (cell, code) in list.iter_mut().zip([Some(2), None]) {
            cell.codes = vec![code];
        }
        let found = coding(&testing::cells(list), "m").unwrap();
        assert_eq!(found.reason.unwrap(), "no text was coded by two models");
        let list = testing::items(2, 1, &[Arm::Q0f], |_, _, _| 0.5);
        let found = coding(&testing::cells(list), "m").unwrap();
        assert_eq!((found.alpha, found.by_rules), (None, 2));
        assert!(coding(&testing::cells(vec![]), "m").is_none());
    }
}
