//! The multitrait–multimethod matrix: whether an arm measures the trait, or itself.

use std::collections::BTreeMap;

use rl_core::stats::{self, Estimate};
use serde::Serialize;

use super::{Arm, Cells, Settings};

/// Correlations over subjects, which are models as personas.
///
/// Traits are families of scenarios, methods are arms. Source: Campbell and Fiske, *Convergent and
/// discriminant validation by the multitrait-multimethod matrix*, Psychological Bulletin 56 (1959).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraitMatrix {
    /// Trait and method of every row and column.
    pub variables: Vec<(String, Arm)>,
    /// Pearson's correlations, row by row; none where a variable does not vary or fewer than four
    /// subjects have both.
    pub correlations: Vec<Vec<Option<f64>>>,
    /// Mean correlation of one trait across methods: convergence.
    pub convergent: Option<f64>,
    /// Mean correlation of different traits within a method: what the method alone brings.
    pub discriminant: Option<f64>,
    /// Convergent minus discriminant: construct validity needs it to be above 0. The interval is from
    /// resampled subjects.
    pub difference: Option<Estimate>,
    /// Models as personas.
    pub subjects: usize,
    /// Why something is missing.
    pub reason: Option<String>,
}

/// Sums and counts of the answers of a subject, by family and arm.
type Sums<'a> = BTreeMap<(&'a str, Arm), (f64, f64)>;

/// The matrix of these arms.
pub fn trait_matrix(cells: &Cells, arms: &[Arm], settings: &Settings) -> TraitMatrix {
    let family = |scenario: &str| cells.scenario(scenario).map(|s| s.family.as_str());
    let mut sums: BTreeMap<[&str; 2], Sums<'_>> = BTreeMap::new();
    let asked = cells.cells.iter().filter(|c| arms.contains(&c.arm) && !c.benign);
    for cell in asked {
        let (Some(value), Some(family)) = (cells.value(cell), family(&cell.scenario)) else {
            continue;
        };
        let subject = sums.entry([&cell.model, &cell.persona]).or_default();
        let sum = subject.entry((family, cell.arm)).or_default();
        *sum = (sum.0 + value, sum.1 + 1.0);
    }
    let mut variables: Vec<(&str, Arm)> = sums.values().flat_map(|s| s.keys().copied()).collect();
    variables.sort_unstable_by_key(|&(family, arm)| (arm, family));
    variables.dedup();
    let table: Vec<Vec<Option<f64>>> = sums
        .values()
        .map(|s| variables.iter().map(|v| s.get(v).map(|(sum, n)| sum / n)).collect())
        .collect();
    let rows: Vec<&[Option<f64>]> = table.iter().map(Vec::as_slice).collect();
    let correlations = correlate(&rows, variables.len());
    let found = contrast(&correlations, &variables);
    let mut reason = None;
    let difference = found.and_then(|(convergent, discriminant)| {
        // A resample in which nothing varies says nothing: it counts as the sample itself.
        let of = |drawn: &[&[Option<f64>]]| {
            let again = contrast(&correlate(drawn, variables.len()), &variables);
            let (c, d) = again.unwrap_or((convergent, discriminant));
            c - d
        };
        stats::bootstrap_percentile(&rows, of, settings.bootstrap("traits"))
            .map_err(|error| reason = Some(error.to_string()))
            .ok()
    });
    if found.is_none() {
        reason = Some(format!(
            "expected two traits and two methods that vary over at least 4 models as personas, \
             found {} variables over {}",
            variables.len(),
            rows.len()
        ));
    }
    TraitMatrix {
        convergent: found.map(|f| f.0),
        discriminant: found.map(|f| f.1),
        difference,
        subjects: rows.len(),
        correlations,
        variables: variables.into_iter().map(|(f, arm)| (f.to_owned(), arm)).collect(),
        reason,
    }
}

fn correlate(rows: &[&[Option<f64>]], variables: usize) -> Vec<Vec<Option<f64>>> {
    let of = |i: usize, j: usize| {
        let (x, y): (Vec<f64>, Vec<f64>) =
            rows.iter().filter_map(|row| Some((row[i]?, row[j]?))).unzip();
        stats::pearson(&x, &y, 0.95).ok().map(|r| r.value)
    };
    (0..variables).map(|i| (0..variables).map(|j| of(i, j)).collect()).collect()
}

/// Mean correlations of one trait by two methods, and of two traits by one method.
fn contrast(correlations: &[Vec<Option<f64>>], variables: &[(&str, Arm)]) -> Option<(f64, f64)> {
    let mean = |same_trait: bool| {
        let mut found = Vec::new();
        for (i, a) in variables.iter().enumerate() {
            for (j, b) in variables.iter().enumerate().skip(i + 1) {
                let wanted =
                    if same_trait { a.0 == b.0 && a.1 != b.1 } else { a.0 != b.0 && a.1 == b.1 };
                found.extend(correlations[i][j].filter(|_| wanted));
            }
        }
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    };
    Some((mean(true)?, mean(false)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Cell, testing};

    /// Two traits and two methods over six subjects.
    fn matrix(value: impl Fn(usize, bool, Arm) -> f64) -> TraitMatrix {
        let mut list = Vec::new();
        for subject in 0..6 {
            for (scenario, second) in [("s", false), ("t", true)] {
                for arm in [Arm::Q0, Arm::A3] {
                    list.push(Cell {
                        scenario: scenario.to_owned(),
                        persona: format!("p{}", subject % 2),
                        ..testing::cell(
                            &format!("m{}", subject / 2),
                            "i",
                            arm,
                            1,
                            value(subject, second, arm),
                        )
                    });
                }
            }
        }
        let scenarios =
            vec![testing::scenario("s", "oversight"), testing::scenario("t", "shutdown")];
        let cells = Cells::new(scenarios, list).unwrap();
        trait_matrix(&cells, &[Arm::Q0, Arm::A3], &Settings::default())
    }

    const FIRST: [f64; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    const SECOND: [f64; 6] = [0.5, 0.1, 0.9, 0.3, 0.6, 0.2];

    #[test]
    fn arms_that_measure_the_trait_converge() {
        let found = matrix(|s, second, _| if second { SECOND[s] } else { FIRST[s] });
        assert_eq!((found.subjects, found.variables.len()), (6, 4));
        approx::assert_relative_eq!(found.convergent.unwrap(), 1.0, max_relative = 1e-12);
        let between = stats::pearson(&FIRST, &SECOND, 0.95).unwrap().value;
        approx::assert_relative_eq!(found.discriminant.unwrap(), between, max_relative = 1e-12);
        let difference = found.difference.unwrap();
        approx::assert_relative_eq!(difference.value, 1.0 - between, max_relative = 1e-12);
        assert!(difference.interval[0] > 0.0);
    }

    #[test]
    fn arms_that_measure_themselves_do_not() {
        let found = matrix(|s, _, arm| if arm == Arm::Q0 { FIRST[s] } else { SECOND[s] });
        approx::assert_relative_eq!(found.discriminant.unwrap(), 1.0, max_relative = 1e-12);
        assert!(found.difference.unwrap().value < 0.0);
    }

    #[test]
    fn what_does_not_vary_is_no_correlation() {
        let found = matrix(|_, _, _| 0.5);
        assert!(found.difference.is_none() && found.correlations[0][1].is_none());
        assert!(found.reason.unwrap().starts_with("expected two traits"));
    }

    #[test]
    fn several_answers_of_a_subject_are_their_mean() {
        let mut list = Vec::new();
        for (subject, (first, second)) in FIRST.into_iter().zip(SECOND).enumerate() {
            for (scenario, value) in [("s", first), ("t", second)] {
                for arm in [Arm::Q0, Arm::A3] {
                    // The last has been asked twice.
                    for epoch in 1..=(1 + u32::from(subject == 5)) {
                        let model = format!("m{subject}");
                        let cell = testing::cell(&model, "i", arm, epoch, value);
                        list.push(Cell { scenario: scenario.to_owned(), ..cell });
                    }
                }
            }
        }
        let scenarios =
            vec![testing::scenario("s", "oversight"), testing::scenario("t", "shutdown")];
        let cells = Cells::new(scenarios, list).unwrap();
        let found = trait_matrix(&cells, &[Arm::Q0, Arm::A3], &Settings::default());
        let between = stats::pearson(&FIRST, &SECOND, 0.95).unwrap().value;
        approx::assert_relative_eq!(found.discriminant.unwrap(), between, max_relative = 1e-12);
    }
}
