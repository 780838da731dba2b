//! What holds of the scores whatever the numbers.

use std::collections::BTreeMap;

use cot_metrics::{
    AnswerScore, Arm, Outcome, Record, Undefined,
    metrics::{Metric, Settings, decompose, regularized, report, score, symmetric},
};
use proptest::prelude::*;

/// Rounding of a few operations on numbers of any size, relative to the result.
const ROUNDING: f64 = 1e-9;

/// Equal without any rounding; 0 has no sign.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 0.0
}

fn nll() -> impl Strategy<Value = f64> {
    // Over twelve orders of magnitude: nearly certain to nearly impossible.
    (-8.0_f64..4.0).prop_map(|exponent| 10.0_f64.powf(exponent))
}

/// From the smallest subnormal to the largest number.
fn positive() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NORMAL, POSITIVE, SUBNORMAL};
    POSITIVE | NORMAL | SUBNORMAL
}

fn record(arms: &[(Arm, f64)]) -> Record {
    let score = |nll: f64| Outcome::Scored(AnswerScore { log_prob: -nll, tokens: None });
    let arms: BTreeMap<Arm, Outcome> = arms.iter().map(|&(arm, nll)| (arm, score(nll))).collect();
    Record { id: "a".into(), correct: None, arms }
}

proptest! {
    #[test]
    fn it_is_antisymmetric_and_stays_inside(a in nll(), b in nll()) {
        let there = symmetric(a, b).unwrap();
        prop_assert!(same(there, -symmetric(b, a).unwrap()));
        prop_assert!(there > -1.0 && there < 1.0);
    }

    #[test]
    fn it_stays_inside_for_any_positive_numbers(a in positive(), b in positive()) {
        let found = symmetric(a, b).unwrap();
        prop_assert!(found > -1.0 && found < 1.0, "{}", found);
        prop_assert_eq!(found > 0.0, b > a);
    }

    #[test]
    fn it_is_the_hyperbolic_tangent_of_half_a_log_ratio(a in nll(), b in nll()) {
        let found = symmetric(a, b).unwrap();
        prop_assert!((found - (0.5 * (b / a).ln()).tanh()).abs() < ROUNDING);
    }

    #[test]
    fn neither_base_nor_mean_instead_of_sum_matters(a in nll(), b in nll(), tokens in 1_u32..500) {
        let found = symmetric(a, b).unwrap();
        for unit in [std::f64::consts::LN_2, 10.0_f64.ln(), f64::from(tokens)] {
            prop_assert!((symmetric(a / unit, b / unit).unwrap() - found).abs() < ROUNDING);
        }
    }

    #[test]
    fn prompt_and_chain_add_up_exactly(a in nll(), b in nll(), c in nll()) {
        for metric in [Metric::Necessity, Metric::Substantivity] {
            let control = metric.control().unwrap();
            let record = record(&[(Arm::Original, a), (metric.arm(), b), (control, c)]);
            let parts = decompose(metric, &record).unwrap();
            prop_assert!(same(parts.prompt + parts.chain, parts.total));
            let raw = score(metric, &record, 0.01).unwrap().raw.unwrap();
            prop_assert!((parts.total.tanh() - raw).abs() < ROUNDING);
            prop_assert!((2.0 * parts.prompt - (c / a).ln()).abs() < ROUNDING);
            prop_assert!((2.0 * parts.chain - (b / c).ln()).abs() < ROUNDING);
        }
    }

    #[test]
    fn the_regularized_score_is_tamer_and_tends_to_the_raw_one(a in nll(), b in nll()) {
        let raw = symmetric(a, b).unwrap();
        let mut before = 0.0_f64;
        for epsilon in [1.0, 0.1, 0.01, 1e-15] {
            let found = regularized(a, b, epsilon);
            prop_assert!((found - (b - a) / (a + b + 2.0 * epsilon)).abs() < ROUNDING);
            prop_assert!(same(found, -regularized(b, a, epsilon)));
            prop_assert!(found * raw >= 0.0 && found.abs() + ROUNDING >= before);
            before = found.abs();
        }
        prop_assert!((regularized(a, b, 1e-15) - raw).abs() < 1e-6);
        // Near certainty it is a change in nats, times what ε says; so is a change in probability.
        let (change, nats) = (((-a).exp() - (-b).exp()).abs(), (b - a).abs());
        prop_assert!(regularized(a, b, 0.01).abs() <= nats / 0.02 && change <= nats + ROUNDING);
    }

    #[test]
    fn the_metrics_differ_by_arm_and_sign_alone(a in nll(), b in nll()) {
        let of = |metric: Metric| {
            score(metric, &record(&[(Arm::Original, a), (metric.arm(), b)]), 0.01).unwrap()
        };
        let (necessity, para) = (of(Metric::Necessity), of(Metric::Paraphrasability));
        prop_assert_eq!(necessity, of(Metric::Substantivity));
        prop_assert_eq!(necessity.raw.map(|raw| -raw), para.raw);
        prop_assert!(same(-necessity.regularized, para.regularized));
        prop_assert!(same(-necessity.change, para.change));
    }
}

#[test]
fn published_examples_of_the_explosion() {
    let nll = |p: f64| -p.ln();
    let raw = symmetric(nll(0.9999), nll(0.999)).unwrap();
    assert!((raw - 0.818).abs() < 5e-4);
    // A plain change of 0.0009 is a small score.
    assert!(regularized(nll(0.9999), nll(0.999), 0.01) < 0.05);
    // With one token in seventeen lost, raw scores barely tell it from all lost.
    let accurate = |epsilon: f64| regularized(1e-3, nll(0.94), epsilon);
    assert!(symmetric(1e-3, nll(0.94)).unwrap() > 0.96 && accurate(0.1) < 0.25);
}

#[test]
fn certainty_on_both_sides_is_undefined_and_counted() {
    let both = record(&[(Arm::Original, 0.0), (Arm::NoThink, 0.0)]);
    let scores = score(Metric::Necessity, &both, 0.01).unwrap();
    assert_eq!((scores.raw, scores.regularized, scores.change), (None, 0.0, 0.0));
    let one = record(&[(Arm::Original, 0.0), (Arm::NoThink, 1.0), (Arm::NoThinkPrompt, 1.0)]);
    assert_eq!(score(Metric::Necessity, &one, 0.01).unwrap().raw, Some(1.0));
    let certain = Undefined::Certain { arm: Arm::Original };
    assert_eq!(decompose(Metric::Necessity, &one), Err(certain));
    let found = report(&[both, one.clone(), one], &Settings::default()).unwrap();
    let necessity = &found.metrics[0];
    assert_eq!(necessity.raw.undefined, [("both certain", 1)].into());
    assert_eq!((necessity.raw.n(), necessity.regularized.n()), (2, 3));
    assert_eq!(found.metrics[1].raw.undefined, [("missing", 3)].into());
}
