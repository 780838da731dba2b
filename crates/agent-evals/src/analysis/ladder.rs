//! Which difference between describing and living a scenario makes saying and doing part.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Arm, Axes, Axis, Cells, Measured, Settings};

/// A gap divided among the axes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attribution {
    /// The whole gap: value with all axes on minus value with none.
    pub total: f64,
    /// What each axis adds when they are switched on in the order of the ladder.
    pub forward: [f64; 4],
    /// What each adds in the opposite order, if those combinations were run.
    pub reverse: Option<[f64; 4]>,
    /// What each adds on average over all orders whose combinations were run: Shapley's value if
    /// there are 24.
    pub average: [f64; 4],
    /// Least and most that each adds in any of these orders.
    pub range: [[f64; 2]; 4],
    /// Orders whose combinations were run, of 24.
    pub orders: usize,
}

/// Divides a gap among the axes, given the value of some combinations of them.
///
/// ```text
/// φ_axis = mean over orders of v(axes before it and itself) − v(axes before it)
/// Σ φ = v(all) − v(none), in every order and so in the mean
/// ```
///
/// An order counts if all five combinations that it passes through are there. With all sixteen these
/// are Shapley's values: *A value for n-person games*, Contributions to the Theory of Games II
/// (1953). None if the ladder itself is not whole.
pub fn attribute(values: &BTreeMap<Axes, f64>) -> Option<Attribution> {
    let along = |order: &[Axis; 4]| -> Option<[f64; 4]> {
        let mut parts = [0.0; 4];
        let mut on = Axes::NONE;
        for &axis in order {
            let before = values.get(&on)?;
            on = on.with(axis);
            parts[axis as usize] = values.get(&on)? - before;
        }
        Some(parts)
    };
    let forward = along(&Axis::ALL)?;
    let all: Vec<[f64; 4]> = orders().iter().filter_map(along).collect();
    let mut average = [0.0; 4];
    let mut range = [[f64::INFINITY, f64::NEG_INFINITY]; 4];
    for parts in &all {
        for (axis, part) in parts.iter().enumerate() {
            average[axis] += part;
            range[axis] = [range[axis][0].min(*part), range[axis][1].max(*part)];
        }
    }
    let mut backwards = Axis::ALL;
    backwards.reverse();
    Some(Attribution {
        total: values.get(&Axes::ALL)? - values.get(&Axes::NONE)?,
        forward,
        reverse: along(&backwards),
        average: average.map(|sum| sum / all.len() as f64),
        range,
        orders: all.len(),
    })
}

/// All orders of the axes.
fn orders() -> Vec<[Axis; 4]> {
    let mut out = Vec::with_capacity(24);
    for a in Axis::ALL {
        for b in Axis::ALL {
            for c in Axis::ALL {
                for d in Axis::ALL {
                    if Axes::of(&[a, b, c, d]) == Axes::ALL {
                        out.push([a, b, c, d]);
                    }
                }
            }
        }
    }
    out
}

/// A step of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rung {
    /// What is switched on.
    pub axis: Axis,
    /// The arm without it.
    pub from: Arm,
    /// The arm with it.
    pub to: Arm,
    /// What it adds, over the units that have the whole ladder.
    pub gap: Measured,
}

/// The ladder of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ladder {
    /// Mean value of each arm, over the units that have the whole ladder.
    pub levels: Vec<(Arm, f64)>,
    /// The steps; their sum is the whole gap.
    pub rungs: Vec<Rung>,
    /// The gap divided among the axes, in the order of the ladder.
    pub attribution: Option<Attribution>,
    /// The gap divided over all orders, where all combinations of the axes were run.
    pub combinations: Option<Combinations>,
    /// The gap that the reasoning makes: live agent with it switched minus without, over units that
    /// have both.
    pub reasoning: Measured,
    /// Items, each as one persona, with an answer in every arm of the ladder.
    pub units: usize,
}

/// All sixteen combinations of the axes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Combinations {
    /// Mean value of each, over the units that have all of them.
    pub levels: Vec<(Arm, f64)>,
    /// The gap divided over all orders.
    pub attribution: Attribution,
    /// Shapley's value of every axis, in the order of [`Axis::ALL`]: the mean of the values of the
    /// units, which it is since it is linear.
    pub shapley: [Measured; 4],
    /// Items, each as one persona, with an answer in every combination.
    pub units: usize,
}

/// Arms of the ladder, in order.
pub const LADDER: [Arm; 5] = [Arm::Q0, Arm::Q1, Arm::A1, Arm::A2, Arm::A3];

/// The ladder of a model, over the units that have an answer in all of its arms.
pub fn ladder(cells: &Cells, model: &str, settings: &Settings) -> Ladder {
    let means = means(cells, model);
    let whole = rows(&means, &LADDER);
    let levels = levels(&whole, &LADDER);
    let rung = |(i, axis): (usize, Axis)| Rung {
        axis,
        from: LADDER[i],
        to: LADDER[i + 1],
        gap: over(&whole, settings, |v| v[i + 1] - v[i]),
    };
    Ladder {
        rungs: Axis::ALL.into_iter().enumerate().map(rung).collect(),
        attribution: attribute(&by_axes(&levels)),
        combinations: combinations(&means, settings),
        reasoning: over(&rows(&means, &[Arm::A3, Arm::A3r]), settings, |v| v[1] - v[0]),
        units: whole.len(),
        levels,
    }
}

fn combinations(means: &ByUnit<'_>, settings: &Settings) -> Option<Combinations> {
    let arms: Vec<Arm> = LADDER.into_iter().chain(Arm::OFF_LADDER).collect();
    let whole = rows(means, &arms);
    let levels = levels(&whole, &arms);
    let attribution = attribute(&by_axes(&levels))?;
    let shapley = Axis::ALL.map(|axis| {
        over(&whole, settings, |values| {
            let of_unit: Vec<(Arm, f64)> = arms.iter().copied().zip(values.to_vec()).collect();
            attribute(&by_axes(&of_unit)).map_or(f64::NAN, |a| a.average[axis as usize])
        })
    });
    Some(Combinations { attribution, shapley, units: whole.len(), levels })
}

/// A unit's name and cluster, and its mean value in each of some arms.
type Whole<'a> = ([&'a str; 3], &'a str, Vec<f64>);

/// The units that have an answer in all of these arms.
fn rows<'a>(means: &ByUnit<'a>, arms: &[Arm]) -> Vec<Whole<'a>> {
    let row = |(unit, (cluster, by_arm)): (&[&'a str; 3], &(&'a str, BTreeMap<Arm, f64>))| {
        let values: Option<Vec<f64>> = arms.iter().map(|a| by_arm.get(a).copied()).collect();
        Some((*unit, *cluster, values?))
    };
    means.iter().filter_map(row).collect()
}

/// Mean value of each arm; nothing of no units.
fn levels(units: &[Whole<'_>], arms: &[Arm]) -> Vec<(Arm, f64)> {
    if units.is_empty() {
        return Vec::new();
    }
    let mean = |i: usize| units.iter().map(|(.., v)| v[i]).sum::<f64>() / units.len() as f64;
    arms.iter().enumerate().map(|(i, &arm)| (arm, mean(i))).collect()
}

fn by_axes(levels: &[(Arm, f64)]) -> BTreeMap<Axes, f64> {
    levels.iter().filter_map(|&(arm, value)| Some((arm.axes()?, value))).collect()
}

/// Mean of something of the units' values.
fn over(units: &[Whole<'_>], settings: &Settings, of: impl Fn(&[f64]) -> f64) -> Measured {
    let values: Vec<f64> = units.iter().map(|(.., v)| of(v)).collect();
    let clusters: Vec<(&str, &str)> = units.iter().map(|(u, c, _)| (u[0], *c)).collect();
    settings.mean(&values, &clusters)
}

type ByUnit<'a> = BTreeMap<[&'a str; 3], (&'a str, BTreeMap<Arm, f64>)>;

/// Mean value of every unit in every arm, with the unit's cluster.
fn means<'a>(cells: &'a Cells, model: &str) -> ByUnit<'a> {
    type Sums<'a> = (&'a str, BTreeMap<Arm, (f64, f64)>);
    let mut sums: BTreeMap<[&str; 3], Sums<'_>> = BTreeMap::new();
    for cell in cells.cells.iter().filter(|c| c.model == model && !c.benign) {
        let Some(value) = cells.value(cell) else { continue };
        let key = [cell.scenario.as_str(), cell.item.as_str(), cell.persona.as_str()];
        let unit = sums.entry(key).or_insert_with(|| (&cell.cluster, BTreeMap::new()));
        let sum = unit.1.entry(cell.arm).or_default();
        *sum = (sum.0 + value, sum.1 + 1.0);
    }
    let divide = |(arm, (sum, n)): (Arm, (f64, f64))| (arm, sum / n);
    sums.into_iter()
        .map(|(key, (cluster, arms))| (key, (cluster, arms.into_iter().map(divide).collect())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::testing;

    fn game(value: impl Fn(Axes) -> f64) -> BTreeMap<Axes, f64> {
        (0..16).map(|bits| (Axes(bits), value(Axes(bits)))).collect()
    }

    #[test]
    fn shapley_values_sum_to_the_gap() {
        use rand_chacha::rand_core::Rng as _;
        let mut rng = rl_core::seed::Seed::new(7).rng();
        for _ in 0..50 {
            let mut values = game(|_| 0.0);
            for value in values.values_mut() {
                *value = f64::from(rng.next_u32()) / f64::from(u32::MAX);
            }
            let found = attribute(&values).unwrap();
            assert_eq!(found.orders, 24);
            for parts in [found.forward, found.reverse.unwrap(), found.average] {
                approx::assert_abs_diff_eq!(
                    parts.iter().sum::<f64>(),
                    found.total,
                    epsilon = 1e-12
                );
            }
            // The closed form: Σ_S |S|! (3 − |S|)! / 4! (v(S ∪ i) − v(S)).
            for axis in Axis::ALL {
                let without = (0..16_u8).map(Axes).filter(|s| !s.has(axis));
                let expected: f64 = without
                    .map(|s| {
                        let weight = [6.0, 2.0, 2.0, 6.0][s.0.count_ones() as usize] / 24.0;
                        weight * (values[&s.with(axis)] - values[&s])
                    })
                    .sum();
                let part = found.average[axis as usize];
                approx::assert_abs_diff_eq!(part, expected, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn one_axis_alone_gets_it_all() {
        for axis in Axis::ALL {
            let found = attribute(&game(|on| f64::from(u8::from(on.has(axis))))).unwrap();
            for parts in [found.forward, found.reverse.unwrap(), found.average] {
                for other in Axis::ALL {
                    let expected = if other == axis { 1.0_f64 } else { 0.0 };
                    assert_eq!(parts[other as usize].to_bits(), expected.to_bits());
                }
            }
        }
        // Two that only work together share it.
        let both = |on: Axes| f64::from(u8::from(on.has(Axis::Inputs) && on.has(Axis::Format)));
        let found = attribute(&game(both)).unwrap();
        approx::assert_relative_eq!(found.average[0], 0.5, max_relative = 1e-12);
        assert_eq!(found.range[0].map(f64::to_bits), [0.0_f64, 1.0].map(f64::to_bits));
    }

    #[test]
    fn a_ladder_alone_has_one_order() {
        let list =
            testing::items(
                8,
                2,
                &[LADDER.as_slice(), &[Arm::A3r]].concat(),
                |i, arm, _| match arm {
                    Arm::Q0 => 0.0,
                    Arm::Q1 | Arm::A1 => 0.25,
                    Arm::A3r => 0.5,
                    _ => {
                        if i == 0 {
                            0.25
                        } else {
                            1.0
                        }
                    }
                },
            );
        let cells = testing::cells(list);
        let found = ladder(&cells, "m", &Settings::default());
        let attribution = found.attribution.clone().unwrap();
        assert_eq!((attribution.orders, attribution.reverse), (1, None));
        assert_eq!(attribution.average.map(f64::to_bits), attribution.forward.map(f64::to_bits));
        let steps: Vec<f64> = found.rungs.iter().map(|r| r.gap.value.unwrap()).collect();
        for (step, expected) in steps.iter().zip([0.25, 0.0, 0.75 * 7.0 / 8.0, 0.0]) {
            approx::assert_abs_diff_eq!(*step, expected, epsilon = 1e-12);
        }
        approx::assert_abs_diff_eq!(steps.iter().sum::<f64>(), attribution.total, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(
            found.reasoning.value.unwrap(),
            (0.25 - 0.5 * 7.0) / 8.0,
            epsilon = 1e-12
        );
        assert_eq!(found.units, 8);
        assert_eq!(found.rungs[0].gap.method, crate::analysis::Method::WildBootstrap);
    }

    /// All sixteen combinations, as arms.
    fn every() -> Vec<Arm> {
        LADDER.into_iter().chain(Arm::OFF_LADDER).collect()
    }

    #[test]
    fn shapley_values_of_arms_are_means_of_those_of_units() {
        // Half from inputs and format together, a quarter from consequences, in odd items alone.
        let value = |i: usize, arm: Arm, _| {
            let on = arm.axes().unwrap();
            let both = on.has(Axis::Inputs) && on.has(Axis::Format);
            let odd = i % 2 == 1 && on.has(Axis::Consequences);
            0.5 * f64::from(u8::from(both)) + 0.25 * f64::from(u8::from(odd))
        };
        let cells = testing::cells(testing::items(8, 1, &every(), value));
        let found = ladder(&cells, "m", &Settings::default());
        let all = found.combinations.unwrap();
        assert_eq!((all.units, all.levels.len(), all.attribution.orders), (8, 16, 24));
        for (axis, expected) in [0.25, 0.25, 0.0, 0.125].into_iter().enumerate() {
            approx::assert_abs_diff_eq!(
                all.shapley[axis].value.unwrap(),
                expected,
                epsilon = 1e-12
            );
            approx::assert_abs_diff_eq!(all.attribution.average[axis], expected, epsilon = 1e-12);
        }
        let sum: f64 = all.shapley.iter().filter_map(|s| s.value).sum();
        approx::assert_abs_diff_eq!(sum, all.attribution.total, epsilon = 1e-12);
        let [low, high] = all.shapley[3].interval.unwrap();
        assert!(low < 0.125 && 0.125 < high && all.shapley[3].clusters == 8);
        // On the ladder the format comes after the inputs and gets all of what they do together.
        let steps = found.attribution.unwrap().forward;
        approx::assert_abs_diff_eq!(steps[0], 0.0, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(steps[1], 0.5, epsilon = 1e-12);
        let reverse = all.attribution.reverse.unwrap();
        approx::assert_abs_diff_eq!(reverse[0], 0.5, epsilon = 1e-12);
    }

    #[test]
    fn one_combination_less_and_there_are_no_shapley_values() {
        let mut list = testing::items(1, 1, &every(), |_, _, _| 0.5);
        list.retain(|cell| cell.arm != Arm::Xtc);
        let found = ladder(&testing::cells(list), "m", &Settings::default());
        assert!(found.combinations.is_none() && found.attribution.is_some());
    }

    #[test]
    fn units_without_the_whole_ladder_are_left_out() {
        let mut list = testing::items(2, 1, &LADDER, |_, _, _| 0.5);
        list.remove(0);
        assert_eq!(ladder(&testing::cells(list), "m", &Settings::default()).units, 1);
        let none = ladder(&testing::cells(vec![]), "m", &Settings::default());
        assert!(none.levels.is_empty() && none.attribution.is_none());
        assert_eq!(none.rungs[0].gap.value, None);
    }
}
