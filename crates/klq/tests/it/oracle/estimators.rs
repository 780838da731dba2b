use klq::oracle::{
    Policy,
    estimators::{Estimator, forward_kl_gradient, kl_gradient},
    soft,
};
use proptest::prelude::*;

use crate::oracle::common::{
    DIFFERENCES, EXACT, differences, distance, fixed, mdps, parameters, policy,
};

proptest! {
    #[test]
    fn k1_and_k3_are_unbiased(mdp in mdps(), seed: u64) {
        let policy = policy(&mdp, seed);
        let kl = soft::sequence_kl(&mdp, &policy, mdp.reference()).unwrap();
        for estimator in [Estimator::K1, Estimator::K3] {
            let mean = estimator.expected(&mdp, &policy).unwrap();
            prop_assert!((mean - kl).abs() < EXACT, "{estimator:?}: {mean} {kl}");
        }
    }

    #[test]
    fn gradients_in_expectation_are_those_of_divergences(mdp in mdps(), seed: u64) {
        let policy = policy(&mdp, seed);
        let [k1, k2, k3] = [Estimator::K1, Estimator::K2, Estimator::K3]
            .map(|estimator| estimator.loss_gradient(&mdp, &policy).unwrap());
        let reverse = kl_gradient(&mdp, &policy).unwrap();
        prop_assert!(distance(&k1, &vec![0.0; mdp.pairs()]) < EXACT);
        prop_assert!(distance(&k2, &reverse) < EXACT);
        prop_assert!(distance(&k3, &forward_kl_gradient(&mdp, &policy).unwrap()) < EXACT);
        let in_reward = Estimator::K1.reward_gradient(&mdp, &policy).unwrap();
        prop_assert!(distance(&in_reward, &reverse) < EXACT);
    }

    #[test]
    fn gradients_of_divergences_agree_with_differences(mdp in mdps(), seed: u64) {
        let parameters = parameters(&mdp, seed);
        let policy = parameters.policy(&mdp).unwrap();
        let of = |logits: &[f64]| Policy::from_logits(&mdp, logits).unwrap();
        let reverse = |x: &[f64]| soft::sequence_kl(&mdp, &of(x), mdp.reference()).unwrap();
        let forward = |x: &[f64]| soft::sequence_kl(&mdp, mdp.reference(), &of(x)).unwrap();
        let found = kl_gradient(&mdp, &policy).unwrap();
        prop_assert!(distance(&found, &differences(reverse, parameters.logits())) < DIFFERENCES);
        let found = forward_kl_gradient(&mdp, &policy).unwrap();
        prop_assert!(distance(&found, &differences(forward, parameters.logits())) < DIFFERENCES);
    }

    #[test]
    fn derivatives_agree_with_differences(log_ratio in -3.0..3.0) {
        for estimator in [Estimator::K1, Estimator::K2, Estimator::K3] {
            let numeric = differences(|x| estimator.value(x[0]), &[log_ratio]);
            prop_assert!((estimator.derivative(log_ratio) - numeric[0]).abs() < DIFFERENCES);
        }
    }
}

#[test]
fn k2_is_biased_and_k3_in_the_reward_has_another_gradient() {
    let mdp = fixed(1);
    let policy = policy(&mdp, 1);
    let kl = soft::sequence_kl(&mdp, &policy, mdp.reference()).unwrap();
    let mean = Estimator::K2.expected(&mdp, &policy).unwrap();
    assert!((mean - kl).abs() > 0.01 * kl, "{mean} {kl}");
    let in_reward = Estimator::K3.reward_gradient(&mdp, &policy).unwrap();
    assert!(distance(&in_reward, &kl_gradient(&mdp, &policy).unwrap()) > 1e-3);
}
