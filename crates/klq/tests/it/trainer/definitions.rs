//! Targets and losses of every algorithm against their definitions, number by number in f64.

use klq::{
    Algorithm,
    algorithm::{
        GrpoConfig, Huber, KlqClip, KlqConfig, Measured, PpoConfig, Refresh, RlooConfig, Targets,
        Tokens,
    },
};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::trainer::common::{measured, rows};

/// f32 over a few dozen sums.
const ROUNDING: f64 = 3e-4;

const TAU: f64 = 0.3;

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let near = (a - b).abs() <= ROUNDING * (1.0 + a.abs().max(b.abs()));
        assert!(near, "{i}: {a} is not {b}");
    }
}

/// All tokens of a batch in f64, row by row.
struct Plain {
    old: Vec<Vec<f64>>,
    behavior: Vec<Vec<f64>>,
    reference: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

impl Plain {
    fn new(m: &Measured) -> Self {
        let of = |x: &Tensor| rows(&m.grid, x);
        Self {
            old: of(&m.old_log_probs),
            behavior: of(&m.behavior_log_probs),
            reference: of(&m.ref_log_probs),
            values: of(&m.values),
        }
    }

    /// `log π_old − log π_ref`.
    fn log_ratio(&self, row: usize, t: usize) -> f64 {
        self.old[row][t] - self.reference[row][t]
    }

    /// λ-sums of temporal differences of `reward`, the trace of each step given.
    fn deltas(
        &self,
        m: &Measured,
        [gamma, lambda]: [f64; 2],
        reward: impl Fn(usize, usize) -> f64,
        trace: impl Fn(usize, usize) -> f64,
    ) -> Vec<f64> {
        let each = |(row, v): (usize, &Vec<f64>)| {
            let n = v.len();
            let mut out = vec![0.0; n];
            for t in (0..n).rev() {
                let (next, later) = if t + 1 == n {
                    (m.after[row], 0.0)
                } else {
                    (v[t + 1], lambda * trace(row, t + 1) * out[t + 1])
                };
                out[t] = reward(row, t) + gamma * next - v[t] + gamma * later;
            }
            out
        };
        self.values.iter().enumerate().flat_map(each).collect()
    }

    /// Score at the end, less the KL of each token.
    fn reward(&self, m: &Measured, row: usize, t: usize) -> f64 {
        let last = t + 1 == self.values[row].len();
        f64::from(u8::from(last)) * m.scores[row] - TAU * self.log_ratio(row, t)
    }
}

/// Losses where log-probabilities and values have moved by `moves` times fixed patterns; and the
/// tokens, as `(log π, log π_old, log π_ref, V, V_old, advantage, return)`.
fn losses(
    algorithm: &Algorithm,
    m: &Measured,
    targets: &Targets,
    moves: [f64; 2],
) -> (Vec<f64>, Vec<[f64; 7]>) {
    let every: Vec<usize> = (0..m.grid.batch()).collect();
    let tokens = Tokens::select(m, targets, &m.grid.cells(&every), Device::Cpu);
    let steps = Tensor::arange(tokens.old_values.numel() as i64, (Kind::Float, Device::Cpu));
    let log_probs = &tokens.old_log_probs + (&steps * 1.7).sin() * moves[0];
    let values = &tokens.old_values + (&steps * 2.3).cos() * moves[1];
    let loss = algorithm.loss(&log_probs, &values, &tokens, TAU).unwrap();
    let flat = |x: &Tensor| Vec::<f64>::try_from(x.to_kind(Kind::Double)).unwrap();
    let columns = [
        &log_probs,
        &tokens.old_log_probs,
        &tokens.ref_log_probs,
        &values,
        &tokens.old_values,
        &tokens.advantages,
        &tokens.returns,
    ]
    .map(flat);
    let tokens = (0..columns[0].len()).map(|i| columns.each_ref().map(|c| c[i])).collect();
    (flat(&loss), tokens)
}

fn clipped_policy(log_ratio: f64, advantage: f64, clip: f64) -> f64 {
    let ratio = log_ratio.exp();
    (-advantage * ratio).max(-advantage * ratio.clamp(1.0 - clip, 1.0 + clip))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn losses_of_klq(
        seed in 0_u64..1000, moves in [-1.5..1.5_f64, -1.5..1.5_f64], alpha in 0.1..=1.0_f64,
        beyond in 0.1..2.0_f64, q in 0.05..0.5_f64, log_ratio in 0.05..0.8_f64, scaled: bool,
    ) {
        let m = measured(&[3, 6, 1, 5], 1, seed);
        for huber in [Huber::Off, Huber::Beyond(beyond)] {
            for clip in [
                KlqClip::Off,
                KlqClip::Q(q),
                KlqClip::LogRatio(log_ratio),
                KlqClip::Both { q, log_ratio },
            ] {
                let (of_q, of_log_ratio) = match clip {
                    KlqClip::Off => (f64::INFINITY, f64::INFINITY),
                    KlqClip::Q(q) => (q, f64::INFINITY),
                    KlqClip::LogRatio(l) => (f64::INFINITY, l),
                    KlqClip::Both { q, log_ratio } => (q, log_ratio),
                };
                let config = KlqConfig {
                    alpha, huber, clip, policy_gradient_scale: scaled, ..KlqConfig::default()
                };
                let algorithm = Algorithm::Klq(config);
                let targets = algorithm.targets(&m, TAU).unwrap();
                let (found, tokens) = losses(&algorithm, &m, &targets, moves);
                let penalty = |error: f64| match huber {
                    Huber::Beyond(d) if error.abs() > d => d * (error.abs() - 0.5 * d),
                    _ => 0.5 * error * error,
                };
                let expected: Vec<f64> = tokens
                    .iter()
                    .map(|&[new, old, reference, v, v_old, _, aim]| {
                        let q_old = TAU * (old - reference) + v_old;
                        let q = TAU * (new - reference) + v;
                        let q_near = q_old + (q - q_old).clamp(-of_q, of_q);
                        let l_near = (old - reference) + (new - old).clamp(-of_log_ratio, of_log_ratio);
                        let worst = [q, q_near, TAU * l_near + v]
                            .map(|q| penalty(q - aim))
                            .into_iter()
                            .fold(0.0, f64::max);
                        if scaled { worst / (alpha * TAU) } else { worst }
                    })
                    .collect();
                assert_close(&found, &expected);
            }
        }
    }

    /// Traces of stale answers are cut where the policy has turned away from the next action.
    #[test]
    fn targets_of_stale_answers(
        seed in 0_u64..1000, coefs in [0.0..=1.0_f64, 0.0..=1.0_f64], cap in 0.3..2.0_f64,
    ) {
        let m = measured(&[3, 6, 1, 5], 1, seed);
        let plain = Plain::new(&m);
        let refresh = Refresh::EachEpoch { retrace_clip: cap };
        let config =
            KlqConfig { gamma: coefs[0], gae_lambda: coefs[1], refresh, ..KlqConfig::default() };
        let targets = Algorithm::Klq(config).targets(&m, TAU).unwrap();
        let trace = |row: usize, t: usize| {
            (plain.old[row][t] - plain.behavior[row][t]).exp().min(cap)
        };
        let expected = plain.deltas(&m, coefs, |row, t| plain.reward(&m, row, t), trace);
        assert_close(&rows(&m.grid, &targets.advantages).concat(), &expected);
    }

    #[test]
    fn targets_and_losses_of_ppo(
        seed in 0_u64..1000, moves in [-1.0..1.0_f64, -1.0..1.0_f64], clip_coef in 0.05..0.4_f64,
        vf_coef in 0.1..2.0_f64, value_clip in prop::option::of(0.05..0.5_f64),
        dual_clip in prop::option::of(1.1..3.0_f64), whiten_rewards: bool, whiten_advantages: bool,
    ) {
        let m = measured(&[3, 6, 1, 5], 1, seed);
        let plain = Plain::new(&m);
        let lengths = m.grid.lengths();
        let places = || (0..4).flat_map(|row| (0..lengths[row]).map(move |t| (row, t)));
        let moments = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let squares: f64 = x.iter().map(|x| (x - mean) * (x - mean)).sum();
            (mean, (squares / (x.len() - 1) as f64).sqrt())
        };
        let rewards: Vec<f64> = places().map(|(row, t)| plain.reward(&m, row, t)).collect();
        let (mean, std) = moments(&rewards);
        let reward = |row, t| {
            let reward = plain.reward(&m, row, t);
            if whiten_rewards { (reward - mean) / std + mean } else { reward }
        };
        let config = PpoConfig {
            clip_coef, vf_coef, value_clip, dual_clip, whiten_rewards, whiten_advantages,
            ..PpoConfig::default()
        };
        let deltas = plain.deltas(&m, [config.gamma, config.gae_lambda], reward, |_, _| 1.0);
        let algorithm = Algorithm::Ppo(config);
        let targets = algorithm.targets(&m, TAU).unwrap();
        let returns: Vec<f64> = deltas.iter().zip(plain.values.concat()).map(|(d, v)| d + v).collect();
        assert_close(&rows(&m.grid, &targets.returns).concat(), &returns);
        let (mean, std) = moments(&deltas);
        let white: Vec<f64> = deltas
            .iter()
            .map(|d| if whiten_advantages { (d - mean) / std } else { *d })
            .collect();
        assert_close(&rows(&m.grid, &targets.advantages).concat(), &white);
        let (found, tokens) = losses(&algorithm, &m, &targets, moves);
        let expected: Vec<f64> = tokens
            .iter()
            .map(|&[new, old, _, v, v_old, advantage, aim]| {
                let mut policy = clipped_policy(new - old, advantage, clip_coef);
                if let Some(cap) = dual_clip.filter(|_| advantage < 0.0) {
                    policy = policy.min(-cap * advantage);
                }
                let c = value_clip.unwrap_or(f64::INFINITY);
                let near = v_old + (v - v_old).clamp(-c, c);
                policy + vf_coef * 0.5 * (v - aim).powi(2).max((near - aim).powi(2))
            })
            .collect();
        assert_close(&found, &expected);
    }

    #[test]
    fn targets_and_losses_of_groups(
        seed in 0_u64..1000, moves in [-1.0..1.0_f64, 0.0..1.0_f64], clip_coef in 0.05..0.4_f64,
    ) {
        const GROUP: usize = 3;
        let m = measured(&[3, 6, 1, 5, 2, 4], GROUP, seed);
        let plain = Plain::new(&m);
        let lengths = m.grid.lengths();
        let everywhere = |of_row: Vec<f64>| -> Vec<f64> {
            of_row.iter().zip(lengths).flat_map(|(x, &n)| vec![*x; n]).collect()
        };

        let rloo = Algorithm::Rloo(RlooConfig { clip_coef });
        let targets = rloo.targets(&m, TAU).unwrap();
        let reward = |row: usize| {
            let kl: f64 = (0..lengths[row]).map(|t| plain.log_ratio(row, t)).sum();
            m.scores[row] - TAU * kl
        };
        let others = |row: usize| {
            let first = row / GROUP * GROUP;
            let sum: f64 = (first..first + GROUP).filter(|&i| i != row).map(reward).sum();
            sum / (GROUP - 1) as f64
        };
        let advantages = everywhere((0..6).map(|row| reward(row) - others(row)).collect());
        assert_close(&rows(&m.grid, &targets.advantages).concat(), &advantages);
        let (found, tokens) = losses(&rloo, &m, &targets, moves);
        let expected: Vec<f64> =
            tokens.iter().map(|t| clipped_policy(t[0] - t[1], t[5], clip_coef)).collect();
        assert_close(&found, &expected);

        let grpo = Algorithm::Grpo(GrpoConfig { clip_coef, ..GrpoConfig::default() });
        let targets = grpo.targets(&m, TAU).unwrap();
        let normalized = |row: usize| {
            let group = &m.scores[row / GROUP * GROUP..][..GROUP];
            let mean = group.iter().sum::<f64>() / GROUP as f64;
            let squares: f64 = group.iter().map(|s| (s - mean) * (s - mean)).sum();
            (m.scores[row] - mean) / (squares / (GROUP - 1) as f64).sqrt()
        };
        assert_close(
            &rows(&m.grid, &targets.advantages).concat(),
            &everywhere((0..6).map(normalized).collect()),
        );
        let (found, tokens) = losses(&grpo, &m, &targets, moves);
        let expected: Vec<f64> = tokens
            .iter()
            .map(|&[new, old, reference, _, _, advantage, _]| {
                let l = new - reference;
                clipped_policy(new - old, advantage, clip_coef) + TAU * ((-l).exp() - 1.0 + l)
            })
            .collect();
        assert_close(&found, &expected);
    }
}
