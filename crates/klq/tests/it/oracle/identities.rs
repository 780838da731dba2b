use klq::oracle::{
    Ending, Sequence,
    learner::{
        Corrections, Klq, Method as _, Ppo, Replay, corrections, gae, retrace_corrections, sample,
        shaped_rewards, targets, td_errors,
    },
};
use proptest::prelude::*;
use rl_core::seed::Seed;

use crate::oracle::common::{EXACT, Path, distance, mdps, parameters, paths, policy};

/// GAE of one trajectory as its paper writes it: a double sum over the steps that count.
fn gae_by_sums(rewards: &[f64], values: &[f64], gamma: f64, lambda: f64) -> Vec<f64> {
    let delta =
        |t: usize| rewards[t] + gamma * values.get(t + 1).copied().unwrap_or(0.0) - values[t];
    (0..rewards.len())
        .map(|t| (t..rewards.len()).map(|k| (gamma * lambda).powi((k - t) as i32) * delta(k)).sum())
        .collect()
}

/// Entries that count.
fn kept(column: &[f64], mask: &[bool]) -> Vec<f64> {
    column.iter().zip(mask).filter(|(_, m)| **m).map(|(x, _)| *x).collect()
}

proptest! {
    #[test]
    fn corrections_are_advantages_with_the_divergence_in_the_reward(
        path in paths(), gamma in 0.0..=1.0, lambda in 0.0..=1.0, tau in 0.01..2.0,
    ) {
        let found = corrections(path.steps(), gamma, lambda, tau).unwrap();
        let shaped: Vec<f64> =
            path.rewards.iter().zip(&path.log_ratios).map(|(r, l)| r - tau * l).collect();
        let expected = gae_by_sums(
            &kept(&shaped, &path.mask), &kept(&path.values, &path.mask), gamma, lambda,
        );
        prop_assert!(distance(&kept(&found, &path.mask), &expected) < EXACT);
        let masked = found.iter().zip(&path.mask).filter(|(_, m)| !**m);
        prop_assert!(masked.map(|(x, _)| *x).all(|x| x == 0.0));

        let ours = shaped_rewards(path.steps(), tau).unwrap();
        let advantages = gae(&ours, &path.values, &path.mask, gamma, lambda).unwrap();
        prop_assert!(distance(&found, &advantages) < EXACT);
    }

    #[test]
    fn retrace_of_the_own_policy_is_plain(
        path in paths(), gamma in 0.0..=1.0, lambda in 0.0..=1.0, tau in 0.01..2.0,
    ) {
        let plain = corrections(path.steps(), gamma, lambda, tau).unwrap();
        let log_rhos: Vec<f64> = path.mask.iter().map(|m| if *m { 0.0 } else { f64::NAN }).collect();
        let found = retrace_corrections(path.steps(), &log_rhos, 1.0, gamma, lambda, tau).unwrap();
        prop_assert_eq!(plain, found);
    }

    #[test]
    fn retrace_weighs_an_error_by_the_clipped_ratios_before_it(
        path in paths(), seed: u64, clip in 0.5..2.0,
        gamma in 0.0..=1.0, lambda in 0.0..=1.0, tau in 0.01..2.0,
    ) {
        let log_rhos: Vec<f64> =
            (0..path.mask.len()).map(|t| ((seed >> t) & 7) as f64 / 4.0 - 0.8).collect();
        let found =
            retrace_corrections(path.steps(), &log_rhos, clip, gamma, lambda, tau).unwrap();
        let errors = kept(&td_errors(path.steps(), gamma, tau).unwrap(), &path.mask);
        let traces = kept(&log_rhos, &path.mask);
        let expected: Vec<f64> = (0..errors.len())
            .map(|t| {
                (t..errors.len())
                    .map(|k| {
                        let weights = traces[t + 1..=k].iter();
                        let weight: f64 =
                            weights.map(|l| gamma * lambda * l.exp().min(clip)).product();
                        weight * errors[k]
                    })
                    .sum()
            })
            .collect();
        prop_assert!(distance(&kept(&found, &path.mask), &expected) < EXACT);
    }

    #[test]
    fn targets_telescope(path in paths(), gamma in 0.0..=1.0, tau in 0.01..2.0) {
        let (rewards, values) = (kept(&path.rewards, &path.mask), kept(&path.values, &path.mask));
        let log_ratios = kept(&path.log_ratios, &path.mask);
        let found = |gamma: f64, lambda: f64| {
            let deltas = corrections(path.steps(), gamma, lambda, tau).unwrap();
            kept(&targets(path.steps(), &deltas, 1.0, tau).unwrap(), &path.mask)
        };
        // λ = 0: r + γ V(s').
        let one_step: Vec<f64> = (0..rewards.len())
            .map(|t| rewards[t] + gamma * values.get(t + 1).copied().unwrap_or(0.0))
            .collect();
        prop_assert!(distance(&found(gamma, 0.0), &one_step) < EXACT);
        // λ = γ = 1: all rewards to come, less the divergence of later steps; no value.
        let to_the_end: Vec<f64> = (0..rewards.len())
            .map(|t| {
                rewards[t..].iter().sum::<f64>() - tau * log_ratios[t + 1..].iter().sum::<f64>()
            })
            .collect();
        prop_assert!(distance(&found(1.0, 1.0), &to_the_end) < EXACT);
    }

    #[test]
    fn gradients_of_klq_and_ppo_agree_where_the_batch_was_sampled(
        mdp in mdps(), seed: u64, lambda in 0.0..=1.0, alpha in 0.05..=1.0,
        clip in prop_oneof![Just(None), (0.05..0.5).prop_map(Some)],
    ) {
        let (parameters, tau) = (parameters(&mdp, seed), mdp.config().tau);
        let policy = parameters.policy(&mdp).unwrap();
        let rollouts = sample(&mdp, &policy, 8, &mut Seed::new(seed).rng()).unwrap();
        let klq = Klq { alpha, ..Klq::default() };
        let ppo = Ppo { clip_coef: clip, value_clip: clip, vf_coef: 1.0 / tau, ..Ppo::default() };
        let ours = klq.freeze(&mdp, &parameters, &[&rollouts], lambda).unwrap();
        let theirs = ppo.freeze(&mdp, &parameters, &[&rollouts], lambda).unwrap();
        prop_assert_eq!(ours.len(), theirs.len());
        for (one, other) in ours.iter().zip(&theirs) {
            prop_assert_eq!((one.state, one.action), (other.state, other.action));
            let mut gradients = [(); 2].map(|()| vec![0.0; parameters.flat().len()]);
            klq.loss(&mdp, &parameters, &[*one], &mut gradients[0]);
            ppo.loss(&mdp, &parameters, &[*other], &mut gradients[1]);
            gradients[0].iter_mut().for_each(|g| *g /= alpha * tau);
            prop_assert!(distance(&gradients[0], &gradients[1]) < EXACT);
        }
    }

    #[test]
    fn replayed_sequences_are_corrected_by_retrace(
        mdp in mdps(), seed: u64, lambda in 0.0..=1.0, trace_clip in 0.5..2.0,
    ) {
        let parameters = parameters(&mdp, seed);
        let (own, other) = (parameters.policy(&mdp).unwrap(), policy(&mdp, seed ^ 1));
        let stale = sample(&mdp, &other, 8, &mut Seed::new(seed).rng()).unwrap();
        let klq = Klq { replay: Some(Replay { batches: 1, trace_clip }), ..Klq::default() };
        let found = klq.freeze(&mdp, &parameters, &[&stale], lambda).unwrap();
        let (gamma, tau) = (mdp.config().gamma, mdp.config().tau);
        let mut expected = Vec::new();
        for episode in 0..8 {
            let cells = (episode * stale.horizon..(episode + 1) * stale.horizon)
                .filter(|&cell| stale.mask[cell]);
            let steps: Vec<_> =
                cells.map(|cell| (stale.states[cell], stale.actions[cell])).collect();
            let log_rhos: Vec<f64> =
                steps.iter().map(|&(s, a)| own.row(s)[a] - other.row(s)[a]).collect();
            let y = Sequence { steps, ending: Ending::Eos };
            let path = Path::new(&mdp, &y, &own, parameters.values());
            let steps = path.steps();
            expected.extend(
                retrace_corrections(steps, &log_rhos, trace_clip, gamma, lambda, tau).unwrap(),
            );
        }
        let found: Vec<f64> = found.iter().map(|s| s.correction).collect();
        prop_assert!(distance(&found, &expected) < EXACT);
    }

    #[test]
    fn whitening_moves_targets_by_what_it_does_to_corrections(mdp in mdps(), seed: u64) {
        let parameters = parameters(&mdp, seed);
        let policy = parameters.policy(&mdp).unwrap();
        let rollouts = sample(&mdp, &policy, 8, &mut Seed::new(seed).rng()).unwrap();
        let klq = Klq { alpha: 0.5, corrections: Corrections::Whitened, ..Klq::default() };
        let samples = klq.freeze(&mdp, &parameters, &[&rollouts], 0.95).unwrap();
        let mean = samples.iter().map(|s| s.correction).sum::<f64>() / samples.len() as f64;
        prop_assert!(mean.abs() < 1e-6, "{mean}");
        let tau = mdp.config().tau;
        for s in &samples {
            let q = tau * (s.old_log_prob - s.ref_log_prob) + s.old_value;
            prop_assert!((s.target - (q + 0.5 * s.correction)).abs() < EXACT);
        }
    }
}

#[test]
fn a_path_along_a_sequence_has_its_length() {
    let mdp = crate::oracle::common::fixed(2);
    for y in mdp.sequences() {
        let path = Path::new(&mdp, &y, mdp.reference(), &vec![0.0; mdp.states()]);
        // At the reference with values 0, λ = 1: what is left of the reward.
        let found = corrections(path.steps(), 1.0, 1.0, 0.3).unwrap();
        assert!(found.iter().all(|x| (x - y.discounted_reward(&mdp)).abs() < EXACT));
    }
}
