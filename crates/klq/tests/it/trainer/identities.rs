//! What the algorithms are to each other, and to their definitions, over random batches.

use klq::{
    Algorithm,
    algorithm::{Huber, KlqClip, KlqConfig, Measured, PpoConfig, Targets, Tokens},
};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::trainer::common::{algorithms, measured, rows};

/// f32 over a few dozen sums.
const ROUNDING: f64 = 2e-4;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= ROUNDING * (1.0 + a.abs().max(b.abs()))
}

fn all_close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(*a, *b))
}

/// Lengths of answers.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..9, 1..6)
}

/// `Q_old` of every token.
fn action_values(m: &Measured, tau: f64) -> Vec<Vec<f64>> {
    let q = m.log_ratio() * tau + &m.values;
    rows(&m.grid, &q)
}

/// The temporal differences (14) as a double sum, in f64.
fn brute_force(m: &Measured, tau: f64, gamma: f64, lambda: f64) -> Vec<Vec<f64>> {
    let q = action_values(m, tau);
    let v = rows(&m.grid, &m.values);
    q.iter()
        .zip(&v)
        .zip(m.scores.iter().zip(&m.after))
        .map(|((q, v), (score, after))| {
            let n = q.len();
            let delta = |t: usize| {
                let (reward, next) = if t + 1 == n { (*score, *after) } else { (0.0, v[t + 1]) };
                reward + gamma * next - q[t]
            };
            let sum = |t: usize| -> f64 {
                (t..n).map(|k| (gamma * lambda).powi((k - t) as i32) * delta(k)).sum()
            };
            (0..n).map(sum).collect()
        })
        .collect()
}

/// All tokens of a batch, and leaves for what the losses are differentiated in.
fn all_tokens(m: &Measured, targets: &Targets) -> (Tokens, [Tensor; 2]) {
    let every: Vec<usize> = (0..m.grid.batch()).collect();
    let tokens = Tokens::select(m, targets, &m.grid.cells(&every), Device::Cpu);
    let leaf = |x: &Tensor| x.copy().set_requires_grad(true);
    let leaves = [leaf(&tokens.old_log_probs), leaf(&tokens.old_values)];
    (tokens, leaves)
}

/// Gradients of the summed loss in log-probabilities and values, where they are the old ones.
fn gradients(algorithm: &Algorithm, m: &Measured, tau: f64) -> [Vec<f64>; 2] {
    let targets = algorithm.targets(m, tau).unwrap();
    let (tokens, leaves) = all_tokens(m, &targets);
    let loss = algorithm.loss(&leaves[0], &leaves[1], &tokens, tau).unwrap();
    loss.sum(Kind::Float).backward();
    leaves.map(|leaf| {
        // Algorithms without a value function leave the values alone.
        let gradient = if leaf.grad().defined() { leaf.grad() } else { leaf.zeros_like() };
        Vec::try_from(gradient.to_kind(Kind::Double)).unwrap()
    })
}

fn klq(gamma: f64, gae_lambda: f64, alpha: f64) -> KlqConfig {
    KlqConfig { gamma, gae_lambda, alpha, ..KlqConfig::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Δ is PPO's advantage of rewards less the KL, and the λ-sum of (14), whatever the mask.
    #[test]
    fn delta_is_the_generalized_advantage(
        lengths in lengths(), seed in 0_u64..1000, tau in 0.01..1.0_f64,
        gamma in 0.0..=1.0_f64, lambda in 0.0..=1.0_f64, alpha in 0.1..=1.0_f64,
    ) {
        let m = measured(&lengths, 1, seed);
        let ours = Algorithm::Klq(klq(gamma, lambda, alpha)).targets(&m, tau).unwrap();
        let ppo = PpoConfig { gamma, gae_lambda: lambda, whiten_advantages: false, ..PpoConfig::default() };
        let theirs = Algorithm::Ppo(ppo).targets(&m, tau).unwrap();
        let delta = rows(&m.grid, &ours.advantages);
        let exact = brute_force(&m, tau, gamma, lambda);
        let q = action_values(&m, tau);
        for (row, delta) in delta.iter().enumerate() {
            prop_assert!(all_close(delta, &rows(&m.grid, &theirs.advantages)[row]));
            prop_assert!(all_close(delta, &exact[row]), "{delta:?} {:?}", exact[row]);
            // (7).
            let target: Vec<f64> = q[row].iter().zip(delta).map(|(q, d)| q + alpha * d).collect();
            prop_assert!(all_close(&rows(&m.grid, &ours.returns)[row], &target));
        }
    }

    /// At the old policy, KLQ's gradient over ατ is PPO's with value weight 1/τ, token by token,
    /// clipped or not.
    #[test]
    fn gradients_meet_at_the_old_policy(
        lengths in lengths(), seed in 0_u64..1000, tau in 0.01..1.0_f64,
        gamma in 0.0..=1.0_f64, lambda in 0.0..=1.0_f64, alpha in 0.1..=1.0_f64, clip: bool,
    ) {
        let m = measured(&lengths, 1, seed);
        let ours = gradients(&Algorithm::Klq(klq(gamma, lambda, alpha)), &m, tau);
        let ppo = PpoConfig {
            gamma,
            gae_lambda: lambda,
            clip_coef: if clip { 0.2 } else { 1e6 },
            value_clip: clip.then_some(0.2),
            vf_coef: 1.0 / tau,
            whiten_advantages: false,
            ..PpoConfig::default()
        };
        let theirs = gradients(&Algorithm::Ppo(ppo), &m, tau);
        prop_assert!(all_close(&ours[0], &theirs[0]), "{:?} {:?}", ours[0], theirs[0]);
        prop_assert!(all_close(&ours[1], &theirs[1]), "{:?} {:?}", ours[1], theirs[1]);
    }

    /// λ = 0 looks one step ahead; λ = γ = α = 1 looks to the end, and the values cancel.
    #[test]
    fn targets_telescope(lengths in lengths(), seed in 0_u64..1000, tau in 0.01..1.0_f64) {
        let m = measured(&lengths, 1, seed);
        let v = rows(&m.grid, &m.values);
        let log_ratio = rows(&m.grid, &m.log_ratio());
        let one = Algorithm::Klq(klq(0.9, 0.0, 1.0)).targets(&m, tau).unwrap();
        let all = Algorithm::Klq(klq(1.0, 1.0, 1.0)).targets(&m, tau).unwrap();
        let (one, all) = (rows(&m.grid, &one.returns), rows(&m.grid, &all.returns));
        for (row, (score, after)) in m.scores.iter().zip(&m.after).enumerate() {
            let n = v[row].len();
            let last = score + 0.9 * after;
            let ahead: Vec<f64> =
                (0..n).map(|t| if t + 1 == n { last } else { 0.9 * v[row][t + 1] }).collect();
            prop_assert!(all_close(&one[row], &ahead));
            let end = score + after;
            let to_end: Vec<f64> =
                (0..n).map(|t| end - tau * log_ratio[row][t + 1..].iter().sum::<f64>()).collect();
            prop_assert!(all_close(&all[row], &to_end), "{:?} {to_end:?}", all[row]);
        }
    }

    /// Clipping only ever adds to the loss, and does nothing at the old policy; Huber's loss is the
    /// square near 0 and below it elsewhere.
    #[test]
    fn options_bound_the_plain_loss(
        lengths in lengths(), seed in 0_u64..1000, tau in 0.05..1.0_f64, move_by in -1.0..1.0_f64,
    ) {
        let m = measured(&lengths, 1, seed);
        let loss = |huber: Huber, clip: KlqClip, step: f64| -> Vec<f64> {
            let config = KlqConfig { huber, clip, ..KlqConfig::default() };
            let algorithm = Algorithm::Klq(config);
            let targets = algorithm.targets(&m, tau).unwrap();
            let (tokens, [log_probs, values]) = all_tokens(&m, &targets);
            let moved = (log_probs.detach() + step, values.detach() + step);
            let loss = algorithm.loss(&moved.0, &moved.1, &tokens, tau).unwrap();
            Vec::try_from(loss.to_kind(Kind::Double)).unwrap()
        };
        let plain = loss(Huber::Off, KlqClip::Off, move_by);
        let both = KlqClip::Both { q: 0.1, log_ratio: 0.2 };
        let [of_q, of_log_ratio, of_both] = [KlqClip::Q(0.1), KlqClip::LogRatio(0.2), both]
            .map(|clip| loss(Huber::Off, clip, move_by));
        let larger: Vec<f64> = of_q.iter().zip(&of_log_ratio).map(|(a, b)| a.max(*b)).collect();
        prop_assert!(all_close(&of_both, &larger));
        for clip in [KlqClip::Q(0.1), KlqClip::LogRatio(0.1), both] {
            let clipped = loss(Huber::Off, clip, move_by);
            prop_assert!(clipped.iter().zip(&plain).all(|(c, p)| c >= p || close(*c, *p)));
            let (still, free) = (loss(Huber::Off, clip, 0.0), loss(Huber::Off, KlqClip::Off, 0.0));
            prop_assert!(all_close(&still, &free));
        }
        let huber = loss(Huber::Beyond(0.5), KlqClip::Off, move_by);
        prop_assert!(huber.iter().zip(&plain).all(|(h, p)| h <= p || close(*h, *p)));
        prop_assert!(all_close(&loss(Huber::Beyond(1e6), KlqClip::Off, move_by), &plain));
    }

    /// What stands beyond an answer, NaN here, never reaches a target.
    #[test]
    fn garbage_reaches_no_target(seed in 0_u64..1000, ends in 1_usize..9) {
        let m = measured(&[3, ends, 8, 1], 2, seed);
        for algorithm in algorithms() {
            let targets = algorithm.targets(&m, 0.1).unwrap();
            for x in [&targets.advantages, &targets.returns] {
                let valid = rows(&m.grid, x).concat();
                prop_assert!(valid.iter().all(|x| x.is_finite()), "{}", algorithm.name());
            }
            let [policy, values] = gradients(&algorithm, &m, 0.1);
            prop_assert!(policy.iter().chain(&values).all(|x| x.is_finite()));
        }
    }
}

/// λ goes on a straight line from its first to its last value, for both algorithms that have one.
#[test]
fn lambda_is_annealed_along_the_run() {
    let m = measured(&[4, 7, 2], 1, 2);
    let deltas = |algorithm: &Algorithm| {
        let targets = algorithm.targets(&m, 0.2).unwrap();
        rows(&m.grid, &targets.advantages).concat()
    };
    let klq = |gae_lambda, final_gae_lambda| {
        Algorithm::Klq(KlqConfig { gae_lambda, final_gae_lambda, ..KlqConfig::default() })
    };
    let ppo = |gae_lambda, final_gae_lambda| {
        Algorithm::Ppo(PpoConfig { gae_lambda, final_gae_lambda, ..PpoConfig::default() })
    };
    for make in [&klq as &dyn Fn(f64, Option<f64>) -> Algorithm, &ppo] {
        for (progress, lambda) in [(0.0, 1.0), (0.25, 0.85), (1.0, 0.4)] {
            let annealed = deltas(&make(1.0, Some(0.4)).at(progress));
            assert!(all_close(&annealed, &deltas(&make(lambda, None))), "{progress}");
            assert_eq!(make(0.9, None).at(progress), make(0.9, None));
        }
    }
}

/// Where the policy is its reference, the action value is the value.
#[test]
fn the_start_has_no_divergence() {
    let mut m = measured(&[4, 2], 1, 1);
    m.ref_log_probs = m.old_log_probs.shallow_clone();
    let q = action_values(&m, 0.3);
    assert_eq!(q, rows(&m.grid, &m.values));
}

/// Whitened targets have mean 0 and variance 1 over the tokens, scaled ones keep their signs.
#[test]
fn whitening_counts_tokens_only() {
    let m = measured(&[5, 1, 8], 1, 3);
    let targets = |config: KlqConfig| {
        let targets = Algorithm::Klq(config).targets(&m, 0.2).unwrap();
        rows(&m.grid, &targets.advantages).concat()
    };
    let moments = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        (mean, x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64)
    };
    let plain = targets(KlqConfig::default());
    let (mean, variance) = moments(&targets(KlqConfig { whiten: true, ..KlqConfig::default() }));
    assert!(close(mean, 0.0) && close(variance, 1.0), "{mean} {variance}");
    let scaled = targets(KlqConfig { scale_targets: true, ..KlqConfig::default() });
    let deviation = moments(&plain).1.sqrt();
    let divided: Vec<f64> = plain.iter().map(|x| x / deviation).collect();
    assert!(all_close(&scaled, &divided), "{scaled:?} {divided:?}");
}
