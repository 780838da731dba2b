//! The distribution over exits.

use early_exit_model::{ExitLaw, Sites, reference};
use proptest::prelude::*;
use tch::{Kind, Tensor};

use crate::common::{max_abs_diff, uniform, vec_i64};

fn rows(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).flatten(0, -1).contiguous()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Property 10: a distribution, the plain one, and log-probabilities that stay finite.
    #[test]
    fn gates_give_a_distribution(logits in prop::collection::vec(-50.0_f32..50.0, 1..7)) {
        let sites = logits.len() as i64;
        let law = ExitLaw::of_gates(&Tensor::from_slice(&logits).view([1, sites]));
        let log_probs = law.log_probs();
        let q = rows(&log_probs.exp());
        let conditional: Vec<f64> = logits.iter().map(|&x| reference::sigmoid(x.into())).collect();
        for (found, expected) in q.iter().zip(reference::stick_breaking(&conditional)) {
            prop_assert!((found - expected).abs() < 1e-5);
        }
        prop_assert!((q.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        prop_assert!(rows(&log_probs).iter().all(|x| x.is_finite() && *x <= 0.0));
        for outcome in 0..=sites {
            let one = law.log_prob(&Tensor::from_slice(&[outcome]));
            prop_assert!(max_abs_diff(&one, &log_probs.select(1, outcome)) < 1e-4);
        }
        prop_assert_eq!(vec_i64(&law.argmax())[0], vec_i64(&log_probs.argmax(-1, false))[0]);
    }

    /// Property 11: the teacher's law is the plain one, and falls with the divergence.
    #[test]
    fn divergences_give_the_published_law(
        divergences in prop::collection::vec(0.0_f32..20.0, 1..6),
        kappa in 0.1_f64..20.0,
    ) {
        let sites = divergences.len() as i64;
        let law = ExitLaw::of_divergences(&Tensor::from_slice(&divergences).view([1, sites]), kappa);
        let conditional: Vec<f64> =
            divergences.iter().map(|&d| reference::teacher(d.into(), kappa)).collect();
        for (found, expected) in
            rows(&law.log_probs().exp()).iter().zip(reference::stick_breaking(&conditional))
        {
            prop_assert!((found - expected).abs() < 2e-5, "{} {}", found, expected);
        }
        let deeper = divergences.iter().map(|&d| reference::teacher(f64::from(d) + 0.1, kappa));
        prop_assert!(deeper.zip(&conditional).all(|(more, less)| more <= *less));
    }
}

#[test]
fn the_corners_of_the_law() {
    // Property 10: shut gates mean never.
    let shut = ExitLaw::of_gates(&Tensor::full([1, 3], -200.0, (Kind::Float, tch::Device::Cpu)));
    assert_eq!(rows(&shut.log_probs().exp()), [0.0, 0.0, 0.0, 1.0]);
    // Property 11: equal predictions mean the first site, with probability 1.
    let equal =
        ExitLaw::of_divergences(&Tensor::zeros([1, 3], (Kind::Float, tch::Device::Cpu)), 1.0);
    assert_eq!(rows(&equal.log_probs().exp()), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(vec_i64(&equal.sample(&uniform(&[1, 3], 1))), [0]);
    // The numbers of the published code.
    for (divergence, expected) in [(0.5, 0.755), (1.0, 0.538), (2.0, 0.238)] {
        assert!((reference::teacher(divergence, 1.0) - expected).abs() < 1e-3);
    }
}

#[test]
fn rules_look_at_sites_in_turn() {
    let logits = Tensor::from_slice(&[-1.0_f32, 0.5, 3.0, -9.0, -9.0, -9.0, 2.0, -1.0, -1.0]);
    let law = ExitLaw::of_gates(&logits.view([3, 3]));
    assert_eq!(vec_i64(&law.greedy()), [1, 3, 0]);
    assert_eq!(vec_i64(&law.threshold(0.9)), [2, 3, 3]);
    assert_eq!(vec_i64(&law.argmax()), [1, 3, 0]);
    let sites = Sites::new(vec![1, 3, 5], 6).unwrap();
    let expected: Vec<f64> = [[-1.0, 0.5, 3.0], [-9.0; 3], [2.0, -1.0, -1.0]]
        .iter()
        .map(|row| {
            let p: Vec<f64> = row.iter().map(|&x| reference::sigmoid(x)).collect();
            let q = reference::stick_breaking(&p);
            q.iter().zip([1.0, 3.0, 5.0, 6.0]).map(|(q, blocks)| q * blocks).sum()
        })
        .collect();
    let found = rows(&law.expected_blocks(&sites).unwrap());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
    let others = Sites::new(vec![1], 6).unwrap();
    assert!(law.expected_blocks(&others).is_err());
}

/// Property 10: draws follow the law, by Pearson's χ² with three degrees of freedom.
#[test]
fn draws_follow_the_law() {
    /// P(χ²₃ > 16.3) is one in a thousand.
    const CRITICAL: f64 = 16.3;
    let n = 20_000_i64;
    let logits = Tensor::from_slice(&[-1.0_f32, 0.3, -0.5]).view([1, 3]).expand([n, 3], false);
    let law = ExitLaw::of_gates(&logits);
    let drawn = vec_i64(&law.sample(&uniform(&[n, 3], 7)));
    let q = rows(&law.log_probs().get(0).exp());
    let chi2: f64 = (0..4)
        .map(|outcome| {
            let expected = q[outcome as usize] * n as f64;
            let found = drawn.iter().filter(|&&o| o == outcome).count() as f64;
            (found - expected).powi(2) / expected
        })
        .sum();
    assert!(chi2 < CRITICAL, "{chi2}");
}

/// Property 12: the probability of an exit does not hang on the gates behind it, whatever they say.
#[test]
fn gates_behind_the_exit_get_no_gradient() {
    let logits = Tensor::from_slice(&[0.3_f32, -0.2, 60.0]).view([1, 3]).set_requires_grad(true);
    ExitLaw::of_gates(&logits).log_prob(&Tensor::from_slice(&[1_i64])).sum(Kind::Float).backward();
    let found = rows(&logits.grad());
    let p = |x: f64| reference::sigmoid(x);
    let expected = [-p(0.3), 1.0 - p(-0.2)];
    assert!((found[0] - expected[0]).abs() < 1e-6 && (found[1] - expected[1]).abs() < 1e-6);
    assert_eq!(found[2], 0.0);
}
