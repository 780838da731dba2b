//! What must hold of the plain forms, whatever the numbers.
#![expect(clippy::float_cmp, reason = "what is compared so is equal to the bit")]

use proptest::{collection::vec, prelude::*};
use rl_core::{
    MathError,
    kl::AdaptiveKl,
    reference::{
        advantages::{gae, group_centered, group_normalized, leave_one_out, retrace, td_errors},
        kl::{entropy, exact, k1, k2, k3, log_softmax},
        losses::{
            explained_variance, policy_gradient, ppo_policy, ppo_policy_dual_clip, ppo_value,
            ratio_stats,
        },
        masked::{Mean, mean, var, whiten},
        returns::{Steps, discounted_returns, lambda_returns},
    },
};

use super::{
    assert_close,
    trajectory::{given, trajectory, unit},
};

/// Sums of forty numbers of a few units each, in another order.
const ROUNDING: f64 = 1e-11;

/// Results of a row and its log-ratios.
type Scan<'a> = dyn Fn(&Steps, &[f64]) -> Vec<f64> + 'a;

/// Whether each step goes on to the next, and δ, by definition; the row has no masked step.
fn chain(steps: &Steps, gamma: f64) -> (Vec<bool>, Vec<f64>) {
    let time = steps.rewards.len();
    let mut goes_on = vec![true; time];
    let mut deltas = vec![0.0; time];
    for t in 0..time {
        let terminated = steps.terminated.is_some_and(|flags| flags[t]);
        let cut = steps.truncated.is_some_and(|flags| flags[t]) || t + 1 == time;
        let after = match steps.bootstrap {
            _ if terminated => 0.0,
            Some(bootstrap) if cut => bootstrap[t],
            None if cut => 0.0,
            _ => steps.values[t + 1],
        };
        goes_on[t] = !terminated && !cut;
        deltas[t] = steps.rewards[t] + gamma * after - steps.values[t];
    }
    (goes_on, deltas)
}

proptest! {
    /// A_t = Σ_{k ≥ t} (Π_{t < j ≤ k} γ λ c_j) δ_k over the rest of the episode.
    #[test]
    fn scans_are_double_sums(
        row in trajectory(), given in given(), gamma in unit(), lambda in unit(), clip in 0.2..3.0_f64,
    ) {
        let row = row.deleted();
        let steps = row.steps(given);
        let (goes_on, deltas) = chain(&steps, gamma);
        let sums = |trace: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..deltas.len()).map(|t| {
                let (mut sum, mut factor) = (deltas[t], 1.0);
                let mut k = t;
                while goes_on[k] {
                    k += 1;
                    factor *= gamma * trace(k);
                    sum += factor * deltas[k];
                }
                sum
            }).collect()
        };
        assert_close(&gae(&steps, gamma, lambda).unwrap(), &sums(&|_| lambda), ROUNDING);
        let traced = |k: usize| lambda * row.log_rhos[k].exp().min(clip);
        let found = retrace(&steps, &row.log_rhos, gamma, lambda, clip).unwrap();
        // Traces up to e of forty steps: what cancels can be larger than what is left.
        let largest = found.iter().fold(1.0, |a: f64, x| a.max(x.abs()));
        assert_close(&found, &sums(&traced), ROUNDING * largest);
        assert_close(&td_errors(&steps, gamma).unwrap(), &deltas, ROUNDING);
    }

    /// G = (1 − λ) Σ_{n < N} λ^{n−1} G^{(n)} + λ^{N−1} G^{(N)}, N steps to the episode's end.
    #[test]
    fn lambda_returns_mix_n_step_returns(
        row in trajectory(), given in given(), gamma in unit(), lambda in unit(),
    ) {
        let row = row.deleted();
        let steps = row.steps(given);
        let (goes_on, deltas) = chain(&steps, gamma);
        let expected: Vec<f64> = (0..row.rewards.len()).map(|t| {
            let (mut mixed, mut weight, mut rewards, mut discount, mut k) = (0.0, 1.0, 0.0, 1.0, t);
            loop {
                rewards += discount * row.rewards[k];
                // γ V of what follows.
                let after = deltas[k] + row.values[k] - row.rewards[k];
                let n_step = rewards + discount * after;
                if !goes_on[k] {
                    break mixed + weight * n_step;
                }
                mixed += weight * (1.0 - lambda) * n_step;
                weight *= lambda;
                discount *= gamma;
                k += 1;
            }
        }).collect();
        assert_close(&lambda_returns(&steps, gamma, lambda).unwrap(), &expected, ROUNDING);
    }

    #[test]
    fn lambda_takes_advantages_from_td_errors_to_returns(
        row in trajectory(), given in given(), gamma in unit(), lambda in unit(),
    ) {
        let steps = row.steps(given);
        let errors = td_errors(&steps, gamma).unwrap();
        assert_close(&gae(&steps, gamma, 0.0).unwrap(), &errors, ROUNDING);
        let plus_values = |advantages: Vec<f64>| -> Vec<f64> {
            let values = row.values.iter().zip(&row.mask).map(|(v, &valid)| if valid { *v } else { 0.0 });
            advantages.iter().zip(values).map(|(a, v)| a + v).collect()
        };
        let returns = discounted_returns(&steps, gamma).unwrap();
        assert_close(&plus_values(gae(&steps, gamma, 1.0).unwrap()), &returns, ROUNDING);
        assert_close(&lambda_returns(&steps, gamma, 1.0).unwrap(), &returns, ROUNDING);
        let mixed = lambda_returns(&steps, gamma, lambda).unwrap();
        assert_close(&plus_values(gae(&steps, gamma, lambda).unwrap()), &mixed, ROUNDING);
    }

    #[test]
    fn masking_is_deleting(
        row in trajectory(), given in given(), gamma in unit(), lambda in unit(),
    ) {
        let (row, left) = (row.clone().spoiled(given), row.deleted());
        let (steps, fewer) = (row.steps(given), left.steps(given));
        let scans: [&Scan; 5] = [
            &|s, _| discounted_returns(s, gamma).unwrap(),
            &|s, _| lambda_returns(s, gamma, lambda).unwrap(),
            &|s, _| td_errors(s, gamma).unwrap(),
            &|s, _| gae(s, gamma, lambda).unwrap(),
            &|s, log_rhos| retrace(s, log_rhos, gamma, lambda, 1.0).unwrap(),
        ];
        for scan in scans {
            let found = scan(&steps, &row.log_rhos);
            prop_assert_eq!(row.valid(&found), scan(&fewer, &left.log_rhos));
            prop_assert!(found.iter().zip(&row.mask).all(|(x, &valid)| valid || *x == 0.0));
        }
    }

    #[test]
    fn retrace_on_policy_is_gae_and_a_cut_trace_stops_it(
        row in trajectory(), given in given(), gamma in unit(), lambda in unit(), clip in 1.0..3.0_f64,
        cut in 0..40_usize,
    ) {
        let row = row.deleted();
        let steps = row.steps(given);
        let time = row.rewards.len();
        let same = retrace(&steps, &vec![0.0; time], gamma, lambda, clip).unwrap();
        prop_assert_eq!(same, gae(&steps, gamma, lambda).unwrap());
        if cut > 0 && cut < time {
            let mut log_rhos = row.log_rhos.clone();
            log_rhos[cut] = f64::NEG_INFINITY;
            let found = retrace(&steps, &log_rhos, gamma, lambda, clip).unwrap();
            // The action at the cut was impossible: nothing from it on is heard before it, but it
            // is still corrected itself.
            prop_assert_eq!(found[cut - 1], td_errors(&steps, gamma).unwrap()[cut - 1]);
            let free = retrace(&steps, &row.log_rhos, gamma, lambda, clip).unwrap();
            prop_assert_eq!(&found[cut..], &free[cut..]);
        }
    }

    #[test]
    fn groups_are_compared_with_themselves(
        rewards in vec(-5.0..5.0_f64, 12), group in prop_oneof![Just(2_usize), Just(3), Just(4), Just(6)],
        shift in -10.0..10.0_f64, scale in 0.5..4.0_f64,
    ) {
        let moved: Vec<f64> = rewards.iter().map(|r| scale * r + shift).collect();
        let centered = group_centered(&rewards, group).unwrap();
        let ratio = group as f64 / (group as f64 - 1.0);
        let scaled: Vec<f64> = centered.iter().map(|x| ratio * x).collect();
        assert_close(&leave_one_out(&rewards, group).unwrap(), &scaled, ROUNDING);
        for rows in centered.chunks(group) {
            prop_assert!(rows.iter().sum::<f64>().abs() < ROUNDING);
        }
        let normalized = group_normalized(&rewards, group, 1e-9).unwrap();
        // A group that nearly agrees loses digits to the shift.
        assert_close(&group_normalized(&moved, group, 1e-9).unwrap(), &normalized, 1e-6);
        for (rows, original) in normalized.chunks(group).zip(rewards.chunks(group)) {
            let spread = original.iter().fold(0.0, |a: f64, r| a.max((r - original[0]).abs()));
            let squares: f64 = rows.iter().map(|x| x * x).sum();
            prop_assert!(spread < 1e-6 || (squares / (group as f64 - 1.0) - 1.0).abs() < 1e-9);
        }
        prop_assert_eq!(group_normalized(&[shift; 12], group, 1e-9).unwrap(), vec![0.0; 12]);
    }

    #[test]
    fn whitening_sees_what_counts_only(
        x in vec(-3.0..3.0_f64, 3..40), seed in vec(prop::bool::weighted(0.6), 40), scale in 0.1..9.0_f64,
    ) {
        let mut mask = seed[..x.len()].to_vec();
        mask[..2].fill(true);
        let mut x: Vec<f64> = x.iter().map(|x| scale * x).collect();
        for (x, _) in x.iter_mut().zip(&mask).filter(|(_, valid)| !**valid) {
            *x = f64::NAN;
        }
        let [center, spread] = [mean(&x, &mask).unwrap(), var(&x, &mask).unwrap()];
        prop_assume!(spread > 1e-3);
        // ε takes 1e-8 of a variance of 1, and more of a smaller one.
        let tolerance = 1e-8 / spread + ROUNDING;
        for (shift, target) in [(Mean::Remove, 0.0), (Mean::Keep, center)] {
            let white = whiten(&x, &mask, shift, 1e-8).unwrap();
            prop_assert!((mean(&white, &mask).unwrap() - target).abs() < ROUNDING);
            prop_assert!((var(&white, &mask).unwrap() - 1.0).abs() < tolerance);
            prop_assert!(white.iter().zip(&mask).all(|(x, &valid)| valid || *x == 0.0));
        }
    }

    #[test]
    fn clips_are_pessimistic(
        tokens in vec((-2.0..0.0_f64, -2.0..0.0_f64, -2.0..2.0_f64, -2.0..2.0_f64, -2.0..2.0_f64), 1..20),
        clip in 0.05..0.9_f64, dual in 1.0..5.0_f64,
    ) {
        let column = |f: fn(&(f64, f64, f64, f64, f64)) -> f64| tokens.iter().map(f).collect::<Vec<f64>>();
        let [new, old] = [column(|t| t.0), column(|t| t.1)];
        let [advantages, values, returns] = [column(|t| t.2), column(|t| t.3), column(|t| t.4)];
        let free = ppo_value(&values, &advantages, &returns, None).unwrap();
        let clipped = ppo_value(&values, &advantages, &returns, Some(clip)).unwrap();
        prop_assert!(free.iter().zip(&clipped).all(|(free, clipped)| clipped >= free));

        let loss = ppo_policy(&new, &old, &advantages, clip).unwrap();
        for (i, &loss) in loss.iter().enumerate() {
            let (a, ratio) = (advantages[i], (new[i] - old[i]).exp());
            // The definition by cases: clipped where the ratio has gone the way the advantage points.
            let expected = if a > 0.0 { -a * ratio.min(1.0 + clip) } else { -a * ratio.max(1.0 - clip) };
            prop_assert!((loss - expected).abs() < ROUNDING);
        }
        let bounded = ppo_policy_dual_clip(&new, &old, &advantages, clip, dual).unwrap();
        for i in 0..loss.len() {
            prop_assert!(bounded[i] <= loss[i]);
            prop_assert!(advantages[i] >= 0.0 || bounded[i] <= -dual * advantages[i]);
        }
        prop_assert_eq!(ppo_policy_dual_clip(&new, &old, &advantages, clip, 1e9).unwrap(), loss);
        let same = ppo_policy(&new, &new, &advantages, clip).unwrap();
        assert_close(&same, &policy_gradient(&[-1.0].repeat(new.len()), &advantages).unwrap()
            .iter().map(|x| -x).collect::<Vec<f64>>(), ROUNDING);

        let stats = ratio_stats(&new, &old, &vec![true; new.len()], clip).unwrap();
        prop_assert!(stats.approx_kl >= 0.0 && stats.variance >= 0.0 && stats.max >= stats.mean);
        let unmoved = ratio_stats(&new, &new, &vec![true; new.len()], clip).unwrap();
        prop_assert_eq!([unmoved.mean, unmoved.max, unmoved.variance], [1.0, 1.0, 0.0]);
        prop_assert_eq!([unmoved.clip_frac, unmoved.approx_kl], [0.0, 0.0]);
        prop_assert!(explained_variance(&returns, &returns, &vec![true; new.len()]).unwrap()
            .is_none_or(|share| share == 1.0));
    }

    #[test]
    fn divergence_is_never_negative_and_blind_to_shifts(
        logits in vec((-8.0..8.0_f64, -8.0..8.0_f64), 1..12), shift in -50.0..50.0_f64,
    ) {
        let (logits, reference): (Vec<f64>, Vec<f64>) = logits.into_iter().unzip();
        let shifted: Vec<f64> = logits.iter().map(|x| x + shift).collect();
        let kl = exact(&logits, &reference).unwrap();
        prop_assert!(kl >= 0.0);
        prop_assert!((exact(&shifted, &reference).unwrap() - kl).abs() < ROUNDING);
        prop_assert!((exact(&reference, &shifted).unwrap() - exact(&reference, &logits).unwrap()).abs() < ROUNDING);
        prop_assert_eq!(exact(&logits, &logits).unwrap(), 0.0);
        prop_assert!((entropy(&shifted).unwrap() - entropy(&logits).unwrap()).abs() < ROUNDING);
        let uniform = vec![0.0; logits.len()];
        let most = (logits.len() as f64).ln();
        // Entropy is what is left of its most after the divergence from the uniform distribution.
        prop_assert!((most - exact(&logits, &uniform).unwrap() - entropy(&logits).unwrap()).abs() < ROUNDING);

        // The estimators by enumeration: k1 and k3 are unbiased, k2 and k3 never negative.
        let [log_p, log_q] = [&logits, &reference].map(|x| log_softmax(x).unwrap());
        let log_ratio: Vec<f64> = log_p.iter().zip(&log_q).map(|(p, q)| p - q).collect();
        let on_average = |k: Vec<f64>| log_p.iter().zip(k).map(|(p, k)| p.exp() * k).sum::<f64>();
        prop_assert!((on_average(k1(&log_ratio)) - kl).abs() < ROUNDING);
        prop_assert!((on_average(k3(&log_ratio)) - kl).abs() < ROUNDING);
        prop_assert!(k2(&log_ratio).into_iter().chain(k3(&log_ratio)).all(|k| k >= 0.0));
    }

    #[test]
    fn adaptation_goes_the_right_way_by_a_fifth_at_most(
        coef in 1e-3..1.0_f64, target in 0.1..10.0_f64, horizon in 1.0..1e4_f64, kl in -1.0..100.0_f64,
        n in 0..20_000_u64,
    ) {
        let mut adaptive = AdaptiveKl { coef, target, horizon };
        adaptive.validate().unwrap();
        adaptive.update(kl, n);
        let reach = 0.2 * (n as f64 / horizon).min(1.0);
        prop_assert!(adaptive.coef <= coef * (1.0 + reach) * (1.0 + 1e-15));
        prop_assert!(adaptive.coef >= coef * (1.0 - reach) * (1.0 - 1e-15));
        prop_assert!((adaptive.coef - coef) * (kl - target) >= 0.0);
        adaptive.update(f64::NAN, n);
        adaptive.validate().unwrap();
        let json = serde_json::to_string(&adaptive).unwrap();
        prop_assert_eq!(serde_json::from_str::<AdaptiveKl>(&json).unwrap(), adaptive);
    }
}

#[test]
fn extremes_stay_numbers() {
    let far = [-1e4, -21.0, -20.0, 20.0, 1e4];
    let k3 = k3(&far);
    assert!(k3.iter().all(|k| k.is_finite() && *k >= 0.0), "{k3:?}");
    assert!(k3[0].to_bits() == k3[1].to_bits() && k3[1].to_bits() == k3[2].to_bits());
    assert!(k3[4] > 9e3, "only what is below is held back");
    // From 1 to 1e-9 the small difference of large numbers must not fall below nothing.
    for i in 0..1000 {
        let l = 10_f64.powf(-f64::from(i) * 0.009);
        assert!(rl_core::reference::kl::k3(&[l, -l]).iter().all(|k| *k >= 0.0));
    }
    let loss = ppo_policy(&[0.0], &[-1e4], &[0.0], 0.2).unwrap();
    assert!(loss[0].abs() < 1e-300, "an infinite ratio times no advantage");

    let excluded = [0.0, 1.0, f64::NEG_INFINITY];
    assert!((exact(&excluded, &[0.0; 3]).unwrap() - kl_of_two()).abs() < ROUNDING);
    assert!(exact(&excluded, &excluded).unwrap().abs() < ROUNDING);
    assert!(exact(&[0.0; 3], &excluded).unwrap().is_infinite());
    assert!((entropy(&excluded).unwrap() - entropy(&excluded[..2]).unwrap()).abs() < ROUNDING);
}

/// KL of (1, e)/(1 + e) over two of three tokens from the uniform distribution on three.
fn kl_of_two() -> f64 {
    let p = 1.0 / (1.0 + 1_f64.exp());
    p * (3.0 * p).ln() + (1.0 - p) * (3.0 * (1.0 - p)).ln()
}

#[test]
fn nothing_is_explained_where_nothing_varies() {
    let explained = |returns: &[f64], mask: &[bool]| {
        explained_variance(&vec![0.0; returns.len()], returns, mask).unwrap()
    };
    assert_eq!(explained(&[2.0, 2.0], &[true; 2]), None);
    assert_eq!(explained(&[2.0, 3.0], &[true, false]), None);
    assert_eq!(explained(&[2.0, 3.0], &[true; 2]), Some(0.0));
    assert_eq!(explained(&[], &[]), None);
}

#[test]
fn slices_that_do_not_fit_are_refused() {
    let steps = Steps::new(&[0.0; 3], &[0.0; 2], &[true; 3]);
    let message = gae(&steps, 1.0, 1.0).unwrap_err().to_string();
    assert_eq!(message, "values: expected 3 values, found 2");
    let steps = Steps { truncated: Some(&[true]), ..Steps::new(&[0.0], &[0.0], &[true]) };
    let message = gae(&steps, 1.0, 1.0).unwrap_err().to_string();
    assert_eq!(message, "bootstrap: expected it together with truncated, found none");
    let steps = Steps::new(&[0.0], &[0.0], &[true]);
    for (gamma, lambda) in [(1.1, 0.5), (-0.1, 0.5), (f64::NAN, 0.5), (0.5, 1.1)] {
        assert!(matches!(gae(&steps, gamma, lambda), Err(MathError::Range { .. })));
        assert!(matches!(lambda_returns(&steps, gamma, lambda), Err(MathError::Range { .. })));
    }
    let clip = |clip| retrace(&steps, &[0.0], 1.0, 1.0, clip);
    assert!(matches!(clip(0.0), Err(MathError::Range { argument: "clip", .. })));
    let message = leave_one_out(&[0.0; 5], 2).unwrap_err().to_string();
    assert_eq!(message, "rewards: expected a multiple of the group's size 2, found 5 values");
    assert!(matches!(leave_one_out(&[0.0], 1), Err(MathError::TooFew { .. })));
    assert!(matches!(group_normalized(&[0.0; 2], 2, 0.0), Err(MathError::Range { .. })));
    let message = mean(&[1.0], &[false]).unwrap_err().to_string();
    assert_eq!(message, "mask: expected at least 1 that count, found 0");
    assert!(matches!(var(&[1.0], &[true]), Err(MathError::TooFew { expected: 2, found: 1, .. })));
    assert!(matches!(entropy(&[]), Err(MathError::TooFew { .. })));
    let bad = serde_json::from_str::<AdaptiveKl>(r#"{"coeff": 1.0}"#).unwrap_err().to_string();
    assert!(bad.contains("unknown field `coeff`"), "{bad}");
    let zero = AdaptiveKl { target: 0.0, ..AdaptiveKl::default() };
    assert!(matches!(zero.validate(), Err(MathError::Range { argument: "target", .. })));
}
