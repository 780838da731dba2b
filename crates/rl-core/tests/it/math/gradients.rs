//! Gradients against finite differences and closed forms, in f64.

use rand_chacha::rand_core::Rng as _;
use rl_core::{
    kl::{entropy, exact, k1, k2, k3},
    losses::{policy_gradient, ppo_policy, ppo_policy_dual_clip, ppo_value},
    masked::{self, Mean, keep, whiten},
    seed::Seed,
};
use tch::{Device, Kind, Tensor};

/// Central differences: truncation of 1e-10, rounding of sums of a hundred of 1e-9.
const STEP: f64 = 1e-5;
const DIFFERENCE_TOLERANCE: f64 = 1e-8;
/// Closed forms on both sides.
const EXACT_TOLERANCE: f64 = 1e-13;

fn random(purpose: &str, shape: &[i64]) -> Tensor {
    let mut rng = Seed::new(11).derive(purpose, 0).rng();
    let n: i64 = shape.iter().product();
    let unit = |x: u64| (x >> 11) as f64 / (1_u64 << 53) as f64;
    let values: Vec<f64> = (0..n).map(|_| 4.0 * unit(rng.next_u64()) - 2.0).collect();
    Tensor::from_slice(&values).view(shape)
}

fn gradient(x: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let x = x.detach().copy().set_requires_grad(true);
    f(&x).sum(Kind::Double).backward();
    x.grad()
}

fn worst(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[track_caller]
fn assert_gradient(x: &Tensor, f: impl Fn(&Tensor) -> Tensor) {
    let found = gradient(x, &f).flatten(0, -1);
    let flat = x.detach().flatten(0, -1);
    for i in 0..flat.numel() as i64 {
        let moved = |by: f64| {
            let moved = flat.copy();
            let _ = moved.get(i).g_add_scalar_(by);
            f(&moved.view_as(x)).sum(Kind::Double).double_value(&[])
        };
        let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        let found = found.double_value(&[i]);
        assert!((found - expected).abs() < DIFFERENCE_TOLERANCE, "{i}: {found} {expected}");
    }
}

#[test]
fn losses_have_the_slopes_of_their_values() {
    const N: i64 = 64;
    let [new, old] = ["new", "old"].map(|name| random(name, &[N]) * 0.5);
    let [advantages, values, old_values, returns] =
        ["advantages", "values", "old values", "returns"].map(|name| random(name, &[N]));
    assert_gradient(&new, |x| policy_gradient(x, &advantages).unwrap());
    // Tokens on both sides of each clip: no difference may step over a corner.
    let ratio = (&new - &old).exp();
    for corner in [0.8, 1.2, 2.0] {
        assert!((&ratio - corner).abs().min().double_value(&[]) > 10.0 * STEP);
        assert!(ratio.gt(corner).any().int64_value(&[]) == 1);
        assert!(ratio.lt(corner).any().int64_value(&[]) == 1);
    }
    assert_gradient(&new, |x| ppo_policy(x, &old, &advantages, 0.2).unwrap());
    assert_gradient(&new, |x| ppo_policy_dual_clip(x, &old, &advantages, 0.2, 2.0).unwrap());
    assert_gradient(&values, |x| ppo_value(x, &old_values, &returns, None).unwrap());
    assert_gradient(&values, |x| ppo_value(x, &old_values, &returns, Some(0.5)).unwrap());
}

#[test]
fn the_first_step_of_ppo_is_the_policy_gradient() {
    let [new, advantages] = ["new", "advantages"].map(|name| random(name, &[3, 8]));
    let plain = gradient(&new, |x| policy_gradient(x, &advantages).unwrap());
    let ppo = gradient(&new, |x| ppo_policy(x, &new, &advantages, 0.2).unwrap());
    assert!(worst(&plain, &ppo) < EXACT_TOLERANCE);
}

#[test]
fn divergences_and_moments_have_the_slopes_of_their_values() {
    let [logits, ref_logits] = ["logits", "reference"].map(|name| random(name, &[3, 7]));
    let weights = random("weights", &[3, 7]);
    let mask = random("mask", &[3, 7]).gt(-1.0);
    assert_gradient(&logits, |x| exact(x, &ref_logits).unwrap());
    assert_gradient(&logits, |x| entropy(x).unwrap());
    for k in [k1, k2, k3] {
        assert_gradient(&logits, k);
    }
    assert_gradient(&logits, |x| masked::mean(x, &mask).unwrap());
    assert_gradient(&logits, |x| masked::var(x, &mask).unwrap());
    for shift in [Mean::Remove, Mean::Keep] {
        assert_gradient(&logits, |x| whiten(x, &mask, shift, 1e-8).unwrap() * &weights);
    }
}

/// The mean of ∇k over π by enumeration of all actions: what a trainer's loss follows on average.
#[test]
fn estimators_follow_the_divergences_they_should() {
    let [logits, ref_logits] = ["logits", "reference"].map(|name| random(name, &[5]));
    let log_ref = ref_logits.log_softmax(-1, Kind::Double);
    let probs = logits.softmax(-1, Kind::Double);
    let expected = |k: fn(&Tensor) -> Tensor| {
        gradient(&logits, |x| &probs * k(&(x.log_softmax(-1, Kind::Double) - &log_ref)))
    };
    let forward = gradient(&logits, |x| exact(x, &ref_logits).unwrap());
    let backward =
        gradient(&logits, |x| log_ref.exp() * (&log_ref - x.log_softmax(-1, Kind::Double)));
    assert!(expected(k1).abs().max().double_value(&[]) < EXACT_TOLERANCE);
    assert!(worst(&expected(k2), &forward) < EXACT_TOLERANCE);
    assert!(worst(&expected(k3), &backward) < EXACT_TOLERANCE);
    assert!(worst(&forward, &backward) > 0.01, "the two can be told apart");
}

#[test]
fn only_the_first_argument_learns() {
    let leaf = |name: &str| random(name, &[4]).set_requires_grad(true);
    let [first, second, third] = ["first", "second", "third"].map(leaf);
    for loss in [
        policy_gradient(&first, &second),
        ppo_policy(&first, &second, &third, 0.2),
        ppo_policy_dual_clip(&first, &second, &third, 0.2, 3.0),
        ppo_value(&first, &second, &third, Some(0.2)),
        exact(&first, &second),
    ] {
        loss.unwrap().sum(Kind::Double).backward();
        assert!(first.grad().defined() && !second.grad().defined() && !third.grad().defined());
    }
}

/// With NaN under the mask, gradients are those of the tokens that are left.
#[test]
fn what_is_masked_sends_no_gradient() {
    const N: i64 = 12;
    let mask = random("mask", &[N]).gt(0.0);
    let at = mask.nonzero().squeeze_dim(1);
    let spoil = |x: &Tensor| x.masked_fill(&mask.logical_not(), f64::NAN);
    let [new, old, advantages] =
        ["new", "old", "advantages"].map(|name| spoil(&random(name, &[N])));
    let all = gradient(&new, |x| {
        let [x, old, advantages] = [x, &old, &advantages].map(|t| keep(t, &mask).unwrap());
        let loss = ppo_policy(&x, &old, &advantages, 0.2).unwrap() + k3(&(x - old));
        masked::mean(&loss, &mask).unwrap()
    });
    let pick = |x: &Tensor| x.index_select(0, &at);
    let [new, old, advantages] = [&new, &old, &advantages].map(pick);
    let few = gradient(&new, |x| {
        let loss = ppo_policy(x, &old, &advantages, 0.2).unwrap() + k3(&(x - &old));
        loss.mean(Kind::Double)
    });
    assert!(worst(&pick(&all), &few) < EXACT_TOLERANCE);
    assert!(all.masked_select(&mask.logical_not()).eq(0.0).all().int64_value(&[]) == 1);
    for f in [masked::sum, masked::mean, masked::var] {
        let found = gradient(&spoil(&random("x", &[N])), |x| f(x, &mask).unwrap());
        assert!(found.isfinite().all().int64_value(&[]) == 1);
    }
    let white = |x: &Tensor| whiten(x, &mask, Mean::Keep, 1e-8).unwrap();
    assert!(gradient(&spoil(&random("x", &[N])), white).isfinite().all().int64_value(&[]) == 1);
}

#[test]
fn excluded_tokens_send_finite_gradients() {
    let logits = Tensor::from_slice(&[0.3, -1.0, f64::NEG_INFINITY, 0.7]);
    let ref_logits = Tensor::from_slice(&[0.1, 0.0, f64::NEG_INFINITY, f64::NEG_INFINITY]);
    let found = gradient(&logits, |x| entropy(x).unwrap());
    assert!(found.isfinite().all().int64_value(&[]) == 1);
    let same = Tensor::zeros([4], (Kind::Double, Device::Cpu));
    let kept = [0.3, -1.0, 0.7];
    let found = gradient(&logits, |x| exact(x, &same).unwrap());
    assert!(found.isfinite().all().int64_value(&[]) == 1);
    // Excluded tokens leave the others' gradients as if they were not there.
    let few = gradient(&Tensor::from_slice(&kept), |x| {
        exact(x, &Tensor::zeros([3], (Kind::Double, Device::Cpu))).unwrap()
    });
    let at = Tensor::from_slice(&[0_i64, 1, 3]);
    assert!(worst(&found.index_select(0, &at), &few) < EXACT_TOLERANCE);
    assert!(exact(&logits, &ref_logits).unwrap().double_value(&[]).is_infinite());
}
