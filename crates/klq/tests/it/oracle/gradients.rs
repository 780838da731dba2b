use klq::oracle::{
    TokenMdp,
    learner::{
        Advantages, Clip, Corrections, Klq, Method, Parameters, Penalty, Ppo, Replay, Sample,
        TargetScale, sample,
    },
};
use rl_core::seed::Seed;

use crate::oracle::common::{DIFFERENCES, differences, distance, fixed, parameters, policy};

/// Samples frozen at one place, and another place where clips and penalties are at work.
fn moved(mdp: &TokenMdp, method: &impl Method, seed: u64) -> (Vec<Sample>, Parameters) {
    let old = parameters(mdp, seed);
    let stale = sample(mdp, &policy(mdp, seed + 100), 8, &mut Seed::new(seed).rng()).unwrap();
    let fresh = sample(mdp, &old.policy(mdp).unwrap(), 8, &mut Seed::new(seed).rng()).unwrap();
    let samples = method.freeze(mdp, &old, &[&stale, &fresh], 0.9).unwrap();
    let noise = parameters(mdp, seed + 200);
    let near = |(x, n): (&f64, &f64)| x + 0.3 * n;
    let logits: Vec<f64> = old.logits().iter().zip(noise.logits()).map(near).collect();
    let values: Vec<f64> = old.values().iter().zip(noise.values()).map(near).collect();
    (samples, Parameters::new(mdp, &logits, &values).unwrap())
}

fn check(method: &impl Method) {
    method.validate().unwrap();
    for seed in 0..8 {
        let mdp = fixed(seed);
        let (samples, parameters) = moved(&mdp, method, seed);
        let mut found = vec![0.0; parameters.flat().len()];
        let loss = method.loss(&mdp, &parameters, &samples, &mut found);
        let value = |flat: &[f64]| {
            let mut at = parameters.clone();
            at.flat_mut().copy_from_slice(flat);
            method.loss(&mdp, &at, &samples, &mut vec![0.0; flat.len()])
        };
        assert!((value(parameters.flat()) - loss).abs() < 1e-15);
        let numeric = differences(value, parameters.flat());
        assert!(distance(&found, &numeric) < DIFFERENCES, "{seed}: {found:?} {numeric:?}");
        assert!(distance(&found, &vec![0.0; found.len()]) > 1e-3, "{seed}: {found:?}");
    }
}

#[test]
fn gradients_of_klq_agree_with_differences() {
    let base = Klq { alpha: 0.7, ..Klq::default() };
    check(&base);
    let penalty = Penalty::Huber { delta: 0.4 };
    let clips = [Clip::Q { by: 0.1 }, Clip::Ratio { by: 0.15 }, Clip::Both { q: 0.1, ratio: 0.15 }];
    for clip in clips {
        check(&Klq { clip, ..base.clone() });
        check(&Klq { clip, penalty, target_scale: TargetScale::TargetStd, ..base.clone() });
    }
    check(&Klq { penalty, ..base.clone() });
    check(&Klq { target_scale: TargetScale::TargetStd, ..base.clone() });
    check(&Klq { corrections: Corrections::Whitened, ..base.clone() });
    check(&Klq { replay: Some(Replay { batches: 1, trace_clip: 1.0 }), ..base });
}

#[test]
fn gradients_of_ppo_agree_with_differences() {
    check(&Ppo::default());
    check(&Ppo { clip_coef: None, value_clip: None, ..Ppo::default() });
    check(&Ppo { clip_coef: Some(0.05), advantages: Advantages::Whitened, ..Ppo::default() });
}

#[test]
fn clips_never_lower_a_loss_and_sometimes_raise_it() {
    let loss = |method: &dyn Fn(&TokenMdp, &Parameters, &[Sample]) -> f64, seed: u64| {
        let mdp = fixed(seed);
        let (samples, parameters) = moved(&mdp, &Klq::default(), seed);
        method(&mdp, &parameters, &samples)
    };
    let klq = |clip| {
        move |mdp: &TokenMdp, parameters: &Parameters, samples: &[Sample]| {
            let mut gradient = vec![0.0; parameters.flat().len()];
            Klq { clip, ..Klq::default() }.loss(mdp, parameters, samples, &mut gradient)
        }
    };
    for clip in
        [Clip::Q { by: 0.05 }, Clip::Ratio { by: 0.05 }, Clip::Both { q: 0.05, ratio: 0.05 }]
    {
        let raised = (0..8).map(|seed| loss(&klq(clip), seed) - loss(&klq(Clip::Off), seed));
        let raised: Vec<f64> = raised.collect();
        assert!(raised.iter().all(|x| *x >= 0.0) && raised.iter().any(|x| *x > 1e-3), "{raised:?}");
    }
}

/// The scalar loss of a sample as the definition writes it, for options that enter at one place.
#[test]
fn options_do_what_they_say() {
    let mdp = fixed(3);
    let (samples, parameters) = moved(&mdp, &Klq::default(), 3);
    let tau = mdp.config().tau;
    let q = parameters.action_values(&mdp).unwrap();
    let mut gradient = vec![0.0; parameters.flat().len()];
    for s in &samples {
        let q = q[mdp.index(s.state, s.action)];
        let old = tau * (s.old_log_prob - s.ref_log_prob) + s.old_value;
        let square = |x: f64| 0.5 * (x - s.target) * (x - s.target);
        let mut loss = |klq: Klq| klq.loss(&mdp, &parameters, &[*s], &mut gradient);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");

        near(loss(Klq::default()), square(q));
        let clipped = q.max(old - 0.1).min(old + 0.1);
        near(
            loss(Klq { clip: Clip::Q { by: 0.1 }, ..Klq::default() }),
            square(q).max(square(clipped)),
        );
        let log_ratio = (q - parameters.values()[s.state]) / tau;
        let old_log_ratio = s.old_log_prob - s.ref_log_prob;
        let inside = log_ratio.max(old_log_ratio - 0.2).min(old_log_ratio + 0.2);
        near(
            loss(Klq { clip: Clip::Ratio { by: 0.2 }, ..Klq::default() }),
            square(q).max(square(q + tau * (inside - log_ratio))),
        );
        let error = (q - s.target).abs();
        let huber = if error <= 0.3 { 0.5 * error * error } else { 0.3 * (error - 0.15) };
        near(loss(Klq { penalty: Penalty::Huber { delta: 0.3 }, ..Klq::default() }), huber);
    }
    let scaled = Klq { target_scale: TargetScale::TargetStd, ..Klq::default() };
    let old = self::parameters(&mdp, 3);
    let fresh = sample(&mdp, &old.policy(&mdp).unwrap(), 32, &mut Seed::new(1).rng()).unwrap();
    let samples = scaled.freeze(&mdp, &old, &[&fresh], 0.95).unwrap();
    let n = samples.len() as f64;
    let mean = samples.iter().map(|s| s.target).sum::<f64>() / n;
    let var = samples.iter().map(|s| (s.target - mean).powi(2)).sum::<f64>() / (n - 1.0);
    assert!(samples.iter().all(|s| (s.error_scale * var.sqrt() - 1.0).abs() < 1e-6));
}

#[test]
fn parts_of_the_loss_of_ppo_are_what_they_say() {
    let mdp = fixed(3);
    let ppo = Ppo { clip_coef: Some(0.1), value_clip: Some(0.1), ..Ppo::default() };
    let (samples, parameters) = moved(&mdp, &ppo, 3);
    let policy = parameters.policy(&mdp).unwrap();
    let mut gradient = vec![0.0; parameters.flat().len()];
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    let (mut outside, mut raised) = (0.0, 0);
    for s in &samples {
        let rho = (policy.row(s.state)[s.action] - s.old_log_prob).exp();
        let clipped = rho.clamp(0.9, 1.1);
        let value = parameters.values()[s.state];
        let near_value = value.max(s.old_value - 0.1).min(s.old_value + 0.1);
        let square = |x: f64| 0.5 * (x - s.target) * (x - s.target);
        let parts = ppo.loss_parts(&mdp, &parameters, &[*s], &mut gradient);
        near(parts.policy_loss, -(rho * s.correction).min(clipped * s.correction));
        near(parts.value_loss, square(value).max(square(near_value)));
        near(parts.loss, parts.policy_loss + 0.1 * parts.value_loss);
        near(parts.approx_kl, rho - 1.0 - rho.ln());
        near(parts.ratio, rho);
        outside += parts.clip_frac;
        raised += usize::from(square(near_value) > square(value));
    }
    let all = ppo.loss_parts(&mdp, &parameters, &samples, &mut gradient);
    near(all.clip_frac, outside / samples.len() as f64);
    assert!(raised > 0 && all.clip_frac > 0.1, "{raised} {all:?}");
}
