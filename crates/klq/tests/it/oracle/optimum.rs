use klq::oracle::{
    CutOff, MdpConfig, Policy, TokenMdp,
    estimators::Estimator,
    learner::{Klq, Method as _, Parameters, Ppo, Start, sample, td_errors},
    operators, soft,
};
use proptest::prelude::*;
use rl_core::seed::Seed;

use crate::oracle::common::{
    DIFFERENCES, EXACT, Path, differences, distance, mdps, parameters, policy, undiscounted,
};

proptest! {
    #[test]
    fn the_optimum_is_the_tilted_reference(mdp in undiscounted()) {
        let best = soft::optimum(&mdp);
        let (tau, log_z) = (mdp.config().tau, mdp.log_partition());
        prop_assert!((best.log_z - log_z).abs() < EXACT);
        prop_assert!((best.objective() - tau * log_z).abs() < EXACT);
        for y in mdp.sequences() {
            let tilted = y.log_prob(mdp.reference()) + y.discounted_reward(&mdp) / tau - log_z;
            prop_assert!((y.log_prob(&best.policy) - tilted).abs() < EXACT);
        }
    }

    #[test]
    fn the_optimum_is_the_fixed_point_and_its_own_value(mdp in mdps()) {
        let best = soft::optimum(&mdp);
        prop_assert!(distance(&operators::optimal_bellman(&mdp, &best.q).unwrap(), &best.q) < EXACT);
        let own = soft::evaluate(&mdp, &best.policy).unwrap();
        prop_assert!(distance(&own.v, &best.v) < EXACT);
        prop_assert!(distance(&own.q, &best.q) < EXACT);
        let gradient = soft::objective_gradient(&mdp, &best.policy).unwrap();
        prop_assert!(distance(&gradient, &vec![0.0; mdp.pairs()]) < EXACT);
    }

    #[test]
    fn values_are_mean_returns(mdp in mdps(), seed: u64) {
        let policy = policy(&mdp, seed);
        let (gamma, tau) = (mdp.config().gamma, mdp.config().tau);
        let regularized = |steps: &[(usize, usize)]| {
            steps.iter().rev().fold(0.0, |after, &(s, a)| {
                let log_ratio = policy.row(s)[a] - mdp.reference().row(s)[a];
                mdp.rewards()[mdp.index(s, a)] - tau * log_ratio + gamma * after
            })
        };
        let mean = mdp.expectation(&policy, |y| regularized(&y.steps)).unwrap();
        let found = soft::evaluate(&mdp, &policy).unwrap();
        prop_assert!((found.objective() - mean).abs() < EXACT);
        // The reference pays for no divergence.
        let mean = mdp.expectation(mdp.reference(), |y| y.discounted_reward(&mdp)).unwrap();
        let found = soft::evaluate(&mdp, mdp.reference()).unwrap();
        prop_assert!((found.objective() - mean).abs() < EXACT);
    }

    #[test]
    fn the_gap_is_a_divergence_of_sequences(mdp in undiscounted(), seed: u64) {
        let (best, policy) = (soft::optimum(&mdp).policy, policy(&mdp, seed));
        let gap = soft::gap(&mdp, &policy).unwrap();
        let log_ratio = |y: &klq::oracle::Sequence| y.log_prob(&policy) - y.log_prob(&best);
        let enumerated = mdp.expectation(&policy, log_ratio).unwrap();
        let chained = soft::sequence_kl(&mdp, &policy, &best).unwrap();
        prop_assert!((enumerated - chained).abs() < EXACT);
        prop_assert!((gap - mdp.config().tau * enumerated).abs() < EXACT);
    }

    #[test]
    fn the_discounted_gap_is_a_discounted_divergence(mdp in mdps(), seed: u64) {
        let (best, policy) = (soft::optimum(&mdp).policy, policy(&mdp, seed));
        let divergence = soft::discounted_kl(&mdp, &policy, &best).unwrap();
        let gap = soft::gap(&mdp, &policy).unwrap();
        prop_assert!((gap - mdp.config().tau * divergence).abs() < EXACT);
    }

    #[test]
    fn visits_and_entropies_agree_with_enumeration(mdp in mdps(), seed: u64) {
        let policy = policy(&mdp, seed);
        let visits = soft::visitation(&mdp, &policy).unwrap();
        for (state, found) in visits.iter().enumerate() {
            let through = |y: &klq::oracle::Sequence| {
                f64::from(u8::from(y.steps.iter().any(|&(s, _)| s == state)))
            };
            prop_assert!((found - mdp.expectation(&policy, through).unwrap()).abs() < EXACT);
        }
        let entropy = mdp.expectation(&policy, |y| -y.log_prob(&policy)).unwrap();
        prop_assert!((soft::sequence_entropy(&mdp, &policy).unwrap() - entropy).abs() < EXACT);
        prop_assert!((mdp.expectation(&policy, |_| 1.0).unwrap() - 1.0).abs() < EXACT);
    }

    #[test]
    fn the_value_is_the_soft_value_of_q(mdp in mdps(), seed: u64) {
        let parameters = parameters(&mdp, seed);
        let (policy, q) = (parameters.policy(&mdp).unwrap(), parameters.action_values(&mdp).unwrap());
        let found = operators::boltzmann(&mdp, &q).unwrap();
        prop_assert!(distance(&found.v, parameters.values()) < EXACT);
        prop_assert!(distance(found.policy.log_probs(), policy.log_probs()) < EXACT);
        // So both operators agree on it: V = E_π[Q] − τ D.
        let one = operators::bellman(&mdp, &policy, &q).unwrap();
        prop_assert!(distance(&one, &operators::optimal_bellman(&mdp, &q).unwrap()) < EXACT);
    }

    #[test]
    fn nothing_is_left_to_learn_at_the_optimum(mdp in mdps(), seed: u64, lambda in 0.0..=1.0) {
        let best = soft::optimum(&mdp);
        for y in mdp.sequences() {
            let path = Path::new(&mdp, &y, &best.policy, &best.v);
            let errors =
                td_errors(path.steps(), mdp.config().gamma, mdp.config().tau).unwrap();
            prop_assert!(distance(&errors, &vec![0.0; errors.len()]) < EXACT);
        }
        // Sequences of another policy.
        let rollouts = sample(&mdp, &policy(&mdp, seed), 16, &mut Seed::new(seed).rng()).unwrap();
        let parameters = Parameters::new(&mdp, best.policy.log_probs(), &best.v).unwrap();
        let none = vec![0.0; parameters.flat().len()];
        let klq = Klq::default();
        let samples = klq.freeze(&mdp, &parameters, &[&rollouts], lambda).unwrap();
        let mut gradient = none.clone();
        prop_assert!(klq.loss(&mdp, &parameters, &samples, &mut gradient) < EXACT);
        prop_assert!(distance(&gradient, &none) < EXACT);
        let samples = Ppo::default().freeze(&mdp, &parameters, &[&rollouts], lambda).unwrap();
        prop_assert!(samples.iter().all(|s| s.correction.abs() < EXACT));
    }

    #[test]
    fn training_starts_where_the_reference_is(mdp in mdps(), seed: u64) {
        let mut parameters = Parameters::start(&mdp, Start::Reference, Seed::new(seed)).unwrap();
        let values = self::parameters(&mdp, seed).values().to_vec();
        parameters.flat_mut()[mdp.pairs()..].copy_from_slice(&values);
        let q = parameters.action_values(&mdp).unwrap();
        let vocab = mdp.config().vocab;
        for (pair, q) in q.iter().enumerate() {
            prop_assert!((q - values[pair / vocab]).abs() < EXACT);
        }
        let policy = parameters.policy(&mdp).unwrap();
        for estimator in [Estimator::K1, Estimator::K2, Estimator::K3] {
            for y in mdp.sequences() {
                let log_ratio = y.log_prob(&policy) - y.log_prob(mdp.reference());
                prop_assert!(estimator.value(log_ratio).abs() < EXACT);
            }
        }
        let rollouts = sample(&mdp, &policy, 16, &mut Seed::new(seed).rng()).unwrap();
        let ppo = Ppo::default();
        let samples = ppo.freeze(&mdp, &parameters, &[&rollouts], 0.95).unwrap();
        let mut gradient = vec![0.0; parameters.flat().len()];
        let parts = ppo.loss_parts(&mdp, &parameters, &samples, &mut gradient);
        prop_assert!((parts.ratio - 1.0).abs() < EXACT && parts.approx_kl.abs() < EXACT);
        prop_assert!(parts.clip_frac < EXACT);
    }

    #[test]
    fn a_constant_in_every_score_changes_no_policy(mdp in undiscounted(), constant in -3.0..3.0) {
        // The tables hold what cut-offs are scored, so every completion is.
        let mut rewards = mdp.rewards().to_vec();
        for state in 0..mdp.states() {
            for action in 0..mdp.config().vocab {
                if mdp.ending(state, action).is_some() {
                    rewards[mdp.index(state, action)] += constant;
                }
            }
        }
        let log_probs = mdp.reference().log_probs().to_vec();
        let shifted = TokenMdp::from_tables(mdp.config().clone(), log_probs, rewards).unwrap();
        let (before, after) = (soft::optimum(&mdp), soft::optimum(&shifted));
        let moved: Vec<f64> = before.v.iter().map(|v| v + constant).collect();
        prop_assert!(distance(&after.v, &moved) < EXACT);
        prop_assert!(distance(after.policy.log_probs(), before.policy.log_probs()) < EXACT);
    }

    #[test]
    fn rewards_and_temperature_have_one_unit(mdp in mdps(), scale in 0.1_f64..10.0) {
        let rewards = mdp.rewards().iter().map(|r| scale * r).collect();
        let config = MdpConfig { tau: scale * mdp.config().tau, ..mdp.config().clone() };
        let log_probs = mdp.reference().log_probs().to_vec();
        let scaled = TokenMdp::from_tables(config, log_probs, rewards).unwrap();
        let (before, after) = (soft::optimum(&mdp), soft::optimum(&scaled));
        let moved: Vec<f64> = before.v.iter().map(|v| scale * v).collect();
        prop_assert!(distance(&after.v, &moved) < f64::max(scale, 1.0) * EXACT);
        prop_assert!(distance(after.policy.log_probs(), before.policy.log_probs()) < EXACT);
    }

    #[test]
    fn the_gradient_of_the_objective_agrees_with_differences(mdp in mdps(), seed: u64) {
        let parameters = parameters(&mdp, seed);
        let objective = |logits: &[f64]| {
            let policy = Policy::from_logits(&mdp, logits).unwrap();
            soft::evaluate(&mdp, &policy).unwrap().objective()
        };
        let policy = parameters.policy(&mdp).unwrap();
        let found = soft::objective_gradient(&mdp, &policy).unwrap();
        prop_assert!(distance(&found, &differences(objective, parameters.logits())) < DIFFERENCES);
    }
}

#[test]
fn a_sequence_that_is_cut_off_gets_what_the_setting_says() {
    let config =
        |cut_off| MdpConfig { vocab: 2, eos: 1, horizon: 2, cut_off, ..MdpConfig::default() };
    let with =
        |cut_off| TokenMdp::new(config(cut_off), |_| vec![0.5; 2], |y| y.len() as f64).unwrap();
    let last = |mdp: &TokenMdp| mdp.rewards()[mdp.index(1, 0)].to_bits();
    assert_eq!(last(&with(CutOff::Scored)), 2.0_f64.to_bits());
    assert_eq!(last(&with(CutOff::Replaced { score: -1.0 })), (-1.0_f64).to_bits());
}

#[test]
fn a_policy_of_another_process_is_refused() {
    let [small, large] = [2, 3].map(|vocab| MdpConfig { vocab, eos: 0, ..MdpConfig::default() });
    let make = |config: MdpConfig| {
        let share = 1.0 / config.vocab as f64;
        let vocab = config.vocab;
        TokenMdp::new(config, |_| vec![share; vocab], |_| 0.0).unwrap()
    };
    let (small, large) = (make(small), make(large));
    let error = soft::evaluate(&large, small.reference()).unwrap_err();
    assert_eq!(error.to_string(), "policy: expected 21 entries, found 6");
}
