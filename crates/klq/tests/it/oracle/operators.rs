use klq::oracle::{
    Policy, TokenMdp,
    learner::{corrections, retrace_corrections},
    operators, soft,
};
use proptest::prelude::*;

use crate::oracle::common::{EXACT, Path, distance, fixed, mdps, parameters, policy};

const LAMBDAS: [f64; 4] = [0.0, 0.5, 0.95, 1.0];

/// Mean over sequences of a sampler of what is found at each pair.
fn conditional_means(
    mdp: &TokenMdp,
    sampler: &Policy,
    at: impl Fn(&klq::oracle::Sequence) -> Vec<f64>,
) -> Vec<f64> {
    let (mut sums, mut weights) = (vec![0.0; mdp.pairs()], vec![0.0; mdp.pairs()]);
    for y in mdp.sequences() {
        let weight = y.log_prob(sampler).exp();
        for (&(state, action), x) in y.steps.iter().zip(at(&y)) {
            sums[mdp.index(state, action)] += weight * x;
            weights[mdp.index(state, action)] += weight;
        }
    }
    sums.iter().zip(weights).map(|(sum, weight)| sum / weight).collect()
}

proptest! {
    #[test]
    fn expected_corrections_are_means_of_sampled_ones(
        mdp in mdps(), seed: u64, lambda in 0.0..=1.0,
    ) {
        let parameters = parameters(&mdp, seed);
        let policy = parameters.policy(&mdp).unwrap();
        let (gamma, tau) = (mdp.config().gamma, mdp.config().tau);
        let means = conditional_means(&mdp, &policy, |y| {
            let path = Path::new(&mdp, y, &policy, parameters.values());
            corrections(path.steps(), gamma, lambda, tau).unwrap()
        });
        let q = parameters.action_values(&mdp).unwrap();
        let found = operators::expected_corrections(&mdp, &q, lambda).unwrap();
        prop_assert!(distance(&found, &means) < EXACT);
    }

    #[test]
    fn unclipped_retrace_corrects_for_any_sampler(
        mdp in mdps(), seed: u64, lambda in 0.0..=1.0,
    ) {
        let parameters = parameters(&mdp, seed);
        let (own, other) = (parameters.policy(&mdp).unwrap(), policy(&mdp, seed ^ 1));
        let (gamma, tau) = (mdp.config().gamma, mdp.config().tau);
        let means = conditional_means(&mdp, &other, |y| {
            let path = Path::new(&mdp, y, &own, parameters.values());
            let log_rhos: Vec<f64> =
                y.steps.iter().map(|&(s, a)| own.row(s)[a] - other.row(s)[a]).collect();
            retrace_corrections(path.steps(), &log_rhos, f64::INFINITY, gamma, lambda, tau).unwrap()
        });
        let q = parameters.action_values(&mdp).unwrap();
        let found = operators::expected_corrections(&mdp, &q, lambda).unwrap();
        prop_assert!(distance(&found, &means) < EXACT);
    }

    #[test]
    fn sweeps_with_a_full_step_end_with_the_horizon(
        mdp in mdps(), seed: u64, lambda in prop::sample::select(&LAMBDAS[..]),
    ) {
        let mut q = parameters(&mdp, seed).action_values(&mdp).unwrap();
        for _ in 0..mdp.config().horizon {
            q = operators::klq_sweep(&mdp, &q, lambda, 1.0).unwrap();
        }
        prop_assert!(distance(&q, &soft::optimum(&mdp).q) < EXACT);
    }

    #[test]
    fn sweeps_with_a_part_of_a_step_converge(
        mdp in mdps(), seed: u64, lambda in prop::sample::select(&LAMBDAS[..]), alpha in 0.2..1.0,
    ) {
        let mut q = parameters(&mdp, seed).action_values(&mdp).unwrap();
        // 0.8^300 times the fourth power of 300 is far below the tolerance.
        for _ in 0..300 {
            q = operators::klq_sweep(&mdp, &q, lambda, alpha).unwrap();
        }
        prop_assert!(distance(&q, &soft::optimum(&mdp).q) < EXACT);
    }

    #[test]
    fn without_traces_a_sweep_is_the_bellman_operator(mdp in mdps(), seed: u64) {
        let q = parameters(&mdp, seed).action_values(&mdp).unwrap();
        let swept = operators::klq_sweep(&mdp, &q, 0.0, 1.0).unwrap();
        prop_assert!(distance(&swept, &operators::optimal_bellman(&mdp, &q).unwrap()) < EXACT);
    }

    #[test]
    fn iterating_the_operator_of_a_policy_evaluates_it(mdp in mdps(), seed: u64) {
        let policy = policy(&mdp, seed);
        let mut q = parameters(&mdp, seed ^ 1).action_values(&mdp).unwrap();
        for _ in 0..mdp.config().horizon {
            q = operators::bellman(&mdp, &policy, &q).unwrap();
        }
        prop_assert!(distance(&q, &soft::evaluate(&mdp, &policy).unwrap().q) < EXACT);
    }

    #[test]
    fn a_step_of_klq_is_one_of_ppo_with_a_penalty(
        mdp in mdps(), seed: u64, lambda in 0.0..=1.0, alpha in 0.05..=1.0,
    ) {
        let parameters = parameters(&mdp, seed);
        let (old, tau) = (parameters.policy(&mdp).unwrap(), mdp.config().tau);
        let q = parameters.action_values(&mdp).unwrap();
        let deltas = operators::expected_corrections(&mdp, &q, lambda).unwrap();
        let swept = operators::klq_sweep(&mdp, &q, lambda, alpha).unwrap();
        let new = operators::boltzmann(&mdp, &swept).unwrap().policy;

        let full: Vec<f64> = q.iter().zip(&deltas).map(|(q, delta)| q + delta).collect();
        let beta = operators::ppo_penalty(tau, alpha).unwrap();
        let maximizer = operators::ppo_penalty_maximizer(&mdp, &old, &full, beta).unwrap();
        prop_assert!(distance(maximizer.log_probs(), new.log_probs()) < EXACT);

        // π_new ∝ π_old exp(α Δ̄ / τ), written out.
        let logits: Vec<f64> =
            old.log_probs().iter().zip(&deltas).map(|(p, delta)| p + alpha * delta / tau).collect();
        let tilted = Policy::from_logits(&mdp, &logits).unwrap();
        prop_assert!(distance(tilted.log_probs(), new.log_probs()) < EXACT);
    }

    #[test]
    fn the_maximizer_maximizes(mdp in mdps(), seed: u64, beta in 0.0..3.0) {
        let (old, tau) = (policy(&mdp, seed), mdp.config().tau);
        let q = parameters(&mdp, seed ^ 1).action_values(&mdp).unwrap();
        let objective = |policy: &Policy, state: usize| -> f64 {
            let row = policy.row(state).iter().enumerate();
            row.map(|(a, p)| {
                let to_reference = p - mdp.reference().row(state)[a];
                let to_old = p - old.row(state)[a];
                p.exp() * (q[mdp.index(state, a)] - tau * to_reference - beta * to_old)
            })
            .sum()
        };
        let best = operators::ppo_penalty_maximizer(&mdp, &old, &q, beta).unwrap();
        for other in [old.clone(), mdp.reference().clone(), policy(&mdp, seed ^ 2)] {
            for state in 0..mdp.states() {
                // What the other loses is exactly its divergence, so the maximum is known to be one.
                let loss = objective(&best, state) - objective(&other, state);
                let kls = soft::state_kls(&mdp, &other, &best).unwrap();
                prop_assert!((loss - (tau + beta) * kls[state]).abs() < EXACT);
            }
        }
    }
}

#[test]
fn one_sweep_less_is_not_enough() {
    let mdp = fixed(3);
    let mut q = parameters(&mdp, 1).action_values(&mdp).unwrap();
    for _ in 1..mdp.config().horizon {
        q = operators::klq_sweep(&mdp, &q, 0.95, 1.0).unwrap();
    }
    let best = soft::optimum(&mdp).q;
    assert!(distance(&q, &best) > 1e-3);
    // All states but the empty prefix are done.
    assert!(distance(&q[3..], &best[3..]) < EXACT);
}

#[test]
fn settings_are_checked() {
    let mdp = fixed(1);
    let q = vec![0.0; mdp.pairs()];
    assert!(operators::klq_sweep(&mdp, &q, 1.5, 1.0).is_err());
    assert!(operators::klq_sweep(&mdp, &q, 1.0, 0.0).is_err());
    assert!(operators::klq_sweep(&mdp, &q[1..], 1.0, 1.0).is_err());
    assert!(operators::ppo_penalty(0.1, f64::NAN).is_err());
    assert!(operators::ppo_penalty_maximizer(&mdp, mdp.reference(), &q, -1.0).is_err());
    assert!(operators::optimal_bellman(&mdp, &vec![f64::NAN; mdp.pairs()]).is_err());
}
