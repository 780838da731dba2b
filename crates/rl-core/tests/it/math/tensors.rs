//! Tensors against the plain forms.

use proptest::prelude::*;
use rl_core::{
    MathError, advantages, kl, losses, masked,
    masked::Mean,
    reference,
    returns::{self, Steps},
    seed::Seed,
};
use tch::{Device, Kind, Tensor};

use super::{
    assert_close,
    trajectory::{Given, Trajectory, given, of_length, unit},
};

/// f64 on both sides, sums in another order.
const F64_TOLERANCE: f64 = 1e-11;
/// f32 sums of forty numbers of a few units each, whose parts may cancel.
const F32_TOLERANCE: f64 = 1e-4;

/// Trajectories of equal length as tensors.
struct Batch {
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    bootstrap: Tensor,
    log_rhos: Tensor,
}

impl Batch {
    fn new(rows: &[Trajectory], kind: Kind) -> Self {
        let shape = [rows.len() as i64, rows[0].rewards.len() as i64];
        let numbers = |get: fn(&Trajectory) -> &Vec<f64>| {
            let flat: Vec<f64> = rows.iter().flat_map(|row| get(row).clone()).collect();
            Tensor::from_slice(&flat).view(shape).to_kind(kind)
        };
        let flags = |get: fn(&Trajectory) -> &Vec<bool>| {
            let flat: Vec<bool> = rows.iter().flat_map(|row| get(row).clone()).collect();
            Tensor::from_slice(&flat).view(shape)
        };
        Self {
            rewards: numbers(|row| &row.rewards),
            values: numbers(|row| &row.values),
            mask: flags(|row| &row.mask),
            terminated: flags(|row| &row.terminated),
            truncated: flags(|row| &row.truncated),
            bootstrap: numbers(|row| &row.bootstrap),
            log_rhos: numbers(|row| &row.log_rhos),
        }
    }

    fn steps(&self, given: Given) -> Steps<'_> {
        Steps {
            terminated: given.terminated.then_some(&self.terminated),
            truncated: given.truncated.then_some(&self.truncated),
            bootstrap: given.bootstrap.then_some(&self.bootstrap),
            ..Steps::new(&self.rewards, &self.values, &self.mask)
        }
    }

    /// The same numbers in memory that is not in order.
    fn transposed(&self) -> Self {
        let turn = |x: &Tensor| x.tr().contiguous().tr();
        Self {
            rewards: turn(&self.rewards),
            values: turn(&self.values),
            mask: turn(&self.mask),
            terminated: turn(&self.terminated),
            truncated: turn(&self.truncated),
            bootstrap: turn(&self.bootstrap),
            log_rhos: turn(&self.log_rhos),
        }
    }
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

/// All scans of a batch, and of its rows one by one.
fn compare(rows: &[Trajectory], batch: &Batch, given: Given, coefs: [f64; 3], tolerance: f64) {
    let [gamma, lambda, clip] = coefs;
    let steps = batch.steps(given);
    let each = |scan: &dyn Fn(&Trajectory) -> Result<Vec<f64>, MathError>| -> Vec<f64> {
        rows.iter().flat_map(|row| scan(row).unwrap()).collect()
    };
    for (found, expected) in [
        (
            returns::discounted_returns(&steps, gamma),
            each(&|row| reference::returns::discounted_returns(&row.steps(given), gamma)),
        ),
        (
            returns::lambda_returns(&steps, gamma, lambda),
            each(&|row| reference::returns::lambda_returns(&row.steps(given), gamma, lambda)),
        ),
        (
            advantages::td_errors(&steps, gamma),
            each(&|row| reference::advantages::td_errors(&row.steps(given), gamma)),
        ),
        (
            advantages::gae(&steps, gamma, lambda),
            each(&|row| reference::advantages::gae(&row.steps(given), gamma, lambda)),
        ),
        (
            advantages::retrace(&steps, &batch.log_rhos, gamma, lambda, clip),
            each(&|row| {
                reference::advantages::retrace(
                    &row.steps(given),
                    &row.log_rhos,
                    gamma,
                    lambda,
                    clip,
                )
            }),
        ),
    ] {
        let found = found.unwrap();
        assert_eq!(found.size(), batch.rewards.size());
        assert_eq!(found.kind(), batch.rewards.kind());
        assert!(!found.requires_grad());
        assert_close(&flat(&found), &expected, tolerance);
    }
}

fn rows() -> impl Strategy<Value = Vec<Trajectory>> {
    // Around the number of rows that are scanned together.
    (1..20_usize, 1..40_usize)
        .prop_flat_map(|(batch, time)| prop::collection::vec(of_length(time), batch))
}

proptest! {
    #[test]
    fn scans_equal_the_plain_ones(
        rows in rows(), given in given(), gamma in unit(), lambda in unit(), clip in 0.3..1.2_f64,
    ) {
        let rows: Vec<Trajectory> = rows.into_iter().map(|row| row.spoiled(given)).collect();
        for (kind, tolerance) in [(Kind::Double, F64_TOLERANCE), (Kind::Float, F32_TOLERANCE)] {
            let batch = Batch::new(&rows, kind);
            compare(&rows, &batch, given, [gamma, lambda, clip], tolerance);
            compare(&rows, &batch.transposed(), given, [gamma, lambda, clip], tolerance);
        }
    }

    #[test]
    fn tokens_equal_the_plain_ones(seed in any::<u64>(), n in 2..60_usize, clip in 0.05..0.9_f64) {
        let mut draw = Draw(Seed::new(seed).rng());
        let [new, old] = [(); 2].map(|()| draw.numbers(n, -2.0, 0.0));
        let [a, v, v_old, r] = [(); 4].map(|()| draw.numbers(n, -2.0, 2.0));
        let mut mask: Vec<bool> = draw.numbers(n, 0.0, 1.0).iter().map(|x| *x < 0.6).collect();
        mask[..2].fill(true);
        let [t_new, t_old, t_a, t_v, t_v_old, t_r] =
            [&new, &old, &a, &v, &v_old, &r].map(|x| Tensor::from_slice(x));
        let t_mask = Tensor::from_slice(&mask);
        let log_ratio: Vec<f64> = new.iter().zip(&old).map(|(n, o)| 10.0 * (n - o)).collect();
        let t_log_ratio = Tensor::from_slice(&log_ratio);
        for (found, expected) in [
            (losses::policy_gradient(&t_new, &t_a), reference::losses::policy_gradient(&new, &a)),
            (losses::ppo_policy(&t_new, &t_old, &t_a, clip), reference::losses::ppo_policy(&new, &old, &a, clip)),
            (
                losses::ppo_policy_dual_clip(&t_new, &t_old, &t_a, clip, 2.0),
                reference::losses::ppo_policy_dual_clip(&new, &old, &a, clip, 2.0),
            ),
            (losses::ppo_value(&t_v, &t_v_old, &t_r, None), reference::losses::ppo_value(&v, &v_old, &r, None)),
            (
                losses::ppo_value(&t_v, &t_v_old, &t_r, Some(clip)),
                reference::losses::ppo_value(&v, &v_old, &r, Some(clip)),
            ),
            (
                masked::whiten(&t_a, &t_mask, Mean::Remove, 1e-8),
                reference::masked::whiten(&a, &mask, Mean::Remove, 1e-8),
            ),
            (
                masked::whiten(&t_a, &t_mask, Mean::Keep, 1e-8),
                reference::masked::whiten(&a, &mask, Mean::Keep, 1e-8),
            ),
            (advantages::leave_one_out(&t_a, n), reference::advantages::leave_one_out(&a, n)),
            (advantages::group_centered(&t_a, 1), reference::advantages::group_centered(&a, 1)),
            (
                advantages::group_normalized(&t_a, n, 1e-4),
                reference::advantages::group_normalized(&a, n, 1e-4),
            ),
            (Ok(kl::k1(&t_log_ratio)), Ok(reference::kl::k1(&log_ratio))),
            (Ok(kl::k2(&t_log_ratio)), Ok(reference::kl::k2(&log_ratio))),
            (Ok(kl::k3(&t_log_ratio)), Ok(reference::kl::k3(&log_ratio))),
            (kl::entropy(&t_v), reference::kl::entropy(&v).map(|x| vec![x])),
            (kl::exact(&t_v, &t_r), reference::kl::exact(&v, &r).map(|x| vec![x])),
            (masked::sum(&t_v, &t_mask), reference::masked::sum(&v, &mask).map(|x| vec![x])),
            (masked::mean(&t_v, &t_mask), reference::masked::mean(&v, &mask).map(|x| vec![x])),
            (masked::var(&t_v, &t_mask), reference::masked::var(&v, &mask).map(|x| vec![x])),
        ] {
            assert_close(&flat(&found.unwrap()), &expected.unwrap(), F64_TOLERANCE);
        }
        let counts = [masked::count(&t_mask), reference::masked::count(&mask)];
        assert_close(&counts[..1], &counts[1..], 0.0);
        let found = losses::ratio_stats(&t_new, &t_old, &t_mask, clip).unwrap();
        let expected = reference::losses::ratio_stats(&new, &old, &mask, clip).unwrap();
        let numbers = |s: losses::RatioStats| [s.mean, s.variance, s.max, s.clip_frac, s.approx_kl];
        assert_close(&numbers(found), &numbers(expected), F64_TOLERANCE);
        let explained = [
            losses::explained_variance(&t_v, &t_r, &t_mask).unwrap().unwrap(),
            reference::losses::explained_variance(&v, &r, &mask).unwrap().unwrap(),
        ];
        // The variance of two values that are nearly one may be next to nothing.
        assert_close(&explained[..1], &explained[1..], 1e-8);
    }
}

/// Numbers from one of our generators.
struct Draw(rand_chacha::ChaCha8Rng);

impl Draw {
    fn numbers(&mut self, n: usize, low: f64, high: f64) -> Vec<f64> {
        let unit = |x: u64| (x >> 11) as f64 / (1_u64 << 53) as f64;
        (0..n).map(|_| low + (high - low) * unit(self.0.next_u64())).collect()
    }
}

/// Long and many enough for blocks and threads, and rows that do not divide evenly among them.
#[test]
fn many_long_rows_equal_the_plain_ones() {
    const BATCH: usize = 523;
    const TIME: usize = 701;
    let mut draw = Draw(Seed::new(3).rng());
    let rows: Vec<Trajectory> = (0..BATCH)
        .map(|row| {
            let [rewards, values, bootstrap] = [(); 3].map(|()| draw.numbers(TIME, -1.0, 1.0));
            let [fate, draws] = [(); 2].map(|()| draw.numbers(TIME, 0.0, 1.0));
            // Rows of all kinds: whole, padded behind, with holes, and none at all.
            let valid = |t: usize| match row % 4 {
                0 => true,
                1 => t < row,
                2 => draws[t] < 0.7,
                _ => row % 8 == 3 && t > 2 * row,
            };
            Trajectory {
                mask: (0..TIME).map(valid).collect(),
                terminated: fate.iter().map(|x| *x < 0.005).collect(),
                truncated: fate.iter().map(|x| *x > 0.995).collect(),
                log_rhos: draw.numbers(TIME, -1.0, 1.0),
                rewards,
                values,
                bootstrap,
            }
        })
        .collect();
    for given in [
        Given { terminated: true, truncated: true, bootstrap: true },
        Given { terminated: false, truncated: false, bootstrap: false },
    ] {
        let rows: Vec<Trajectory> = rows.iter().map(|row| row.clone().spoiled(given)).collect();
        let batch = Batch::new(&rows, Kind::Double);
        compare(&rows, &batch, given, [0.99, 0.95, 1.0], F64_TOLERANCE);
        let batch = Batch::new(&rows, Kind::Float);
        // Hundreds of steps.
        compare(&rows, &batch, given, [0.99, 0.95, 1.0], 10.0 * F32_TOLERANCE);
    }
}

/// In f32, the recursion as it is written and in that order: to the bit, wherever a row stands.
#[test]
fn scans_round_as_the_recursion_is_written() {
    const GAMMA: f64 = 0.99;
    const LAMBDA: f64 = 0.9;
    let mut draw = Draw(Seed::new(4).rng());
    for (batch, time) in [(1, 1), (1, 300), (8, 1024), (9, 17), (27, 1008), (3, 16)] {
        let mut numbers = |n: usize| -> Vec<f32> {
            draw.numbers(n, -1.0, 1.0).into_iter().map(|x| x as f32).collect()
        };
        let (rewards, values) = (numbers(batch * time), numbers(batch * time));
        let expected = rewards.chunks(time).zip(values.chunks(time)).flat_map(|(r, v)| {
            let mut advantages = vec![0.0_f32; time];
            let mut later = 0.0;
            for t in (0..time).rev() {
                let delta = match v.get(t + 1) {
                    Some(next) => r[t] + GAMMA as f32 * next - v[t],
                    None => r[t] - v[t],
                };
                later = if t + 1 == time { delta } else { delta + (GAMMA * LAMBDA) as f32 * later };
                advantages[t] = later;
            }
            advantages
        });
        let expected: Vec<u32> = expected.map(f32::to_bits).collect();
        let shape = [batch as i64, time as i64];
        let [rewards, values] = [rewards, values].map(|x| Tensor::from_slice(&x).view(shape));
        let mask = Tensor::ones(shape, (Kind::Bool, Device::Cpu));
        let found = advantages::gae(&Steps::new(&rewards, &values, &mask), GAMMA, LAMBDA).unwrap();
        let found: Vec<f32> = Vec::try_from(found.flatten(0, -1)).unwrap();
        assert_eq!(found.into_iter().map(f32::to_bits).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn empty_batches_give_empty_results() {
    for shape in [[0, 3], [3, 0], [0, 0]] {
        let rewards = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let mask = rewards.to_kind(Kind::Bool);
        let steps = Steps::new(&rewards, &rewards, &mask);
        assert_eq!(advantages::gae(&steps, 1.0, 1.0).unwrap().size(), shape);
    }
    let none = Tensor::zeros([0], (Kind::Float, Device::Cpu));
    assert_eq!(advantages::leave_one_out(&none, 4).unwrap().size(), [0]);
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let numbers = |shape: &[i64], kind| Tensor::zeros(shape, (kind, Device::Cpu));
    let rewards = numbers(&[2, 3], Kind::Float);
    let mask = numbers(&[2, 3], Kind::Bool);
    let gae = |steps: &Steps| advantages::gae(steps, 1.0, 1.0).unwrap_err().to_string();
    let steps = Steps::new(&rewards, &rewards, &mask);

    let flat = numbers(&[6], Kind::Float);
    let message = gae(&Steps::new(&flat, &rewards, &mask));
    assert_eq!(message, "rewards: expected shape of 2 dimensions, found [6]");
    let whole = numbers(&[2, 3], Kind::Int64);
    let message = gae(&Steps::new(&whole, &rewards, &mask));
    assert_eq!(message, "rewards: expected numbers of kind Float or Double, found Int64");
    let long = numbers(&[2, 4], Kind::Float);
    let message = gae(&Steps::new(&rewards, &long, &mask));
    assert_eq!(message, "values: expected shape [2, 3], found [2, 4]");
    let double = numbers(&[2, 3], Kind::Double);
    let message = gae(&Steps::new(&rewards, &double, &mask));
    assert_eq!(message, "values: expected numbers of kind Float, found Double");
    let message = gae(&Steps::new(&rewards, &rewards, &rewards));
    assert_eq!(message, "mask: expected numbers of kind Bool, found Float");
    let message = gae(&Steps { terminated: Some(&rewards), ..steps });
    assert_eq!(message, "terminated: expected numbers of kind Bool, found Float");
    let message = gae(&Steps { truncated: Some(&mask), ..steps });
    assert_eq!(message, "bootstrap: expected it together with truncated, found none");
    let message = gae(&Steps { bootstrap: Some(&long), ..steps });
    assert_eq!(message, "bootstrap: expected shape [2, 3], found [2, 4]");

    let shape = |error| matches!(error, Err(MathError::Shape { .. }));
    assert!(shape(advantages::retrace(&steps, &long, 1.0, 1.0, 1.0)));
    assert!(shape(losses::policy_gradient(&rewards, &long)));
    assert!(shape(losses::ppo_policy(&rewards, &long, &rewards, 0.2)));
    assert!(shape(losses::ppo_value(&rewards, &rewards, &long, None)));
    assert!(shape(kl::exact(&rewards, &long)));
    assert!(shape(kl::entropy(&numbers(&[2, 0], Kind::Float))));
    assert!(shape(masked::sum(&long, &mask)));
    assert!(shape(advantages::leave_one_out(&rewards, 2)));
    let few = |error| matches!(error, Err(MathError::TooFew { argument: "mask", .. }));
    assert!(few(masked::mean(&rewards, &mask)));
    assert!(few(masked::whiten(&rewards, &mask, Mean::Keep, 1e-8)));
    assert!(losses::ratio_stats(&rewards, &rewards, &mask, 0.2).is_err());
    assert!(losses::ppo_policy_dual_clip(&rewards, &rewards, &rewards, 0.2, 0.9).is_err());
}

#[test]
fn extremes_stay_numbers() {
    let tensor = |x: &[f32]| Tensor::from_slice(x);
    let k3 = flat(&kl::k3(&tensor(&[-1e4, -21.0, -20.0])));
    assert!(k3[0].is_finite(), "{k3:?}");
    assert_eq!(k3, vec![k3[2]; 3], "what is below is held back");
    let [new, old, none] = [0.0, -1e4, 0.0].map(|x| tensor(&[x]));
    let loss = losses::ppo_policy(&new, &old, &none, 0.2).unwrap();
    assert_eq!(flat(&loss), [0.0], "an infinite ratio times no advantage");
    let stats = losses::ratio_stats(&new, &old, &none.eq(0.0), 0.2).unwrap();
    assert!(stats.mean.is_finite() && stats.approx_kl.is_finite(), "{stats:?}");
    // Three times 0.1 is not 0.3: equal rewards are equal all the same.
    let equal = tensor(&[0.1; 6]);
    for found in [
        advantages::leave_one_out(&equal, 3),
        advantages::group_centered(&equal, 3),
        advantages::group_normalized(&equal, 3, 1e-9),
    ] {
        assert_eq!(flat(&found.unwrap()), [0.0; 6]);
    }
    let mask = equal.isfinite();
    let explained = |returns: &Tensor| losses::explained_variance(&equal, returns, &mask).unwrap();
    assert_eq!(explained(&equal.full_like(2.0)), None);
    assert_eq!(explained(&tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), Some(0.0));
}

/// Logits that differ by their rounding only, and logits of 16 bits, whose numbers are f32 all the
/// same.
#[test]
fn divergences_are_summed_wide_and_never_negative() {
    let mut draw = Draw(Seed::new(5).rng());
    let logits = Tensor::from_slice(&draw.numbers(500 * 40, -8.0, 8.0)).view([500, 40]);
    let single = logits.to_kind(Kind::Float);
    let near = &single + 1e-6;
    assert!(kl::exact(&single, &near).unwrap().min().double_value(&[]) >= 0.0);
    let half = logits.to_kind(Kind::BFloat16);
    let other = half.flip([1]);
    for (found, expected) in [
        (
            kl::exact(&half, &other),
            kl::exact(&half.to_kind(Kind::Float), &other.to_kind(Kind::Float)),
        ),
        (kl::entropy(&half), kl::entropy(&half.to_kind(Kind::Float))),
    ] {
        let (found, expected) = (found.unwrap(), expected.unwrap());
        assert_eq!((found.kind(), flat(&found)), (Kind::Float, flat(&expected)));
    }
}

/// Sampled at all sizes, in f32, where rounding is coarse.
#[test]
fn k3_is_never_negative_in_f32() {
    let sizes = Tensor::linspace(-30.0, 3.0, 200_000, (Kind::Float, Device::Cpu)).exp();
    for log_ratio in [&sizes, &-&sizes] {
        let k3 = kl::k3(log_ratio);
        assert!(k3.min().double_value(&[]) >= 0.0);
        assert!(k3.isfinite().all().int64_value(&[]) == 1);
    }
}
