//! Whole runs: what they reach, and that they go on to the bit.

use causal_lm::model::Layout;
use klq::{
    Algorithm, HeldOut, Iteration, LengthLimit, TrainConfig, Trainer,
    algorithm::{GrpoConfig, KlqConfig, PpoConfig, Refresh, RlooConfig},
    evaluate::{EvaluateConfig, evaluate},
    policy::{Policy, PolicyConfig, ValueTrunk},
    reward::{Answer, MissingEnd, Prompt, Rule},
};
use rl_core::{
    monitor::{Monitor, MonitorError},
    optim::{Decay, Schedule},
};
use tch::{Kind, Tensor};

use crate::trainer::common::{algorithms, config, prompts, tiny, tokenizer};

const TAU: f64 = 0.5;

/// Worth of the one token of an answer.
fn worth(id: u32) -> f64 {
    (f64::from(id) * 2.1).sin()
}

/// `J* − J(π)` of a policy that answers `prompt` with one token, exactly: with one step,
/// `J(π) = E[R] − τ KL(π‖π_ref)` and `J* = τ log Σ π_ref exp(R/τ)`.
fn gap(trainer: &Trainer<'_>, prompt: &[u32]) -> f64 {
    let _guard = tch::no_grad_guard();
    let log_probs = |lm: &causal_lm::CausalLm| {
        let ids: Vec<i64> = prompt.iter().map(|&id| i64::from(id)).collect();
        let hidden = lm.hidden(&Tensor::from_slice(&ids).unsqueeze(0), &Layout::Dense).unwrap();
        lm.logits(&hidden.select(1, -1)).to_kind(Kind::Double).log_softmax(-1, Kind::Double).get(0)
    };
    let (policy, reference) =
        (log_probs(&trainer.policy().model()), log_probs(trainer.policy().reference()));
    let rewards: Vec<f64> = (0..policy.numel() as u32).map(worth).collect();
    let rewards = Tensor::from_slice(&rewards);
    let best = (&reference + &rewards / TAU).logsumexp([-1], false).double_value(&[]) * TAU;
    let regularized = rewards - (&policy - reference) * TAU;
    best - (policy.exp() * regularized).sum(Kind::Double).double_value(&[])
}

fn one_token(algorithm: Algorithm, iterations: u64) -> TrainConfig {
    let group = if algorithm.needs_groups() { 8 } else { 1 };
    let mut config = TrainConfig {
        kl_coef: TAU,
        iterations,
        prompts: 64 / group,
        group,
        missing_end: MissingEnd::Keep,
        lr: 1e-2,
        value_lr: 3e-2,
        schedule: Schedule { decay: Decay::Linear, ..Schedule::default() },
        ..config(algorithm)
    };
    config.rollout.max_new_tokens = 1;
    config
}

/// The closed form is reached: one prompt, answers of one token.
#[test]
fn one_step_problems_are_solved() {
    let ppo = PpoConfig { whiten_advantages: false, vf_coef: 1.0, ..PpoConfig::default() };
    for (algorithm, iterations) in [
        (Algorithm::Klq(KlqConfig::default()), 120),
        (Algorithm::Klq(KlqConfig { alpha: 0.5, ..KlqConfig::default() }), 120),
        (Algorithm::Ppo(ppo), 120),
        (Algorithm::Rloo(RlooConfig::default()), 120),
    ] {
        let name = algorithm.name();
        let tokenizer = tokenizer();
        let prompt =
            Prompt { id: "0".into(), text: "abc".into(), ids: vec![0, 1, 2], source: None };
        let config = one_token(algorithm, iterations);
        let mut trainer = Trainer::new(&tiny(3), &tokenizer, vec![prompt], &config).unwrap();
        let mut reward = Rule::new("worth", |a: &Answer<'_>| Ok(worth(a.ids[0])));
        let before = gap(&trainer, &[0, 1, 2]);
        while !trainer.is_done() {
            trainer.iterate(&mut reward).unwrap();
        }
        let after = gap(&trainer, &[0, 1, 2]);
        assert!(before > 0.2 && (-1e-9..0.02).contains(&after), "{name}: {before} to {after}");
    }
}

/// Every algorithm, trunk and option raises the reward of a longer task.
#[test]
fn rewards_rise() {
    let klq = |refresh| Algorithm::Klq(KlqConfig { refresh, ..KlqConfig::default() });
    let adapter = PolicyConfig::default();
    let full = |value_trunk| PolicyConfig { adapter: None, value_trunk };
    for (algorithm, policy) in [
        (klq(Refresh::Never), full(ValueTrunk::Shared)),
        (klq(Refresh::Never), full(ValueTrunk::Own)),
        (klq(Refresh::EachEpoch { retrace_clip: 1.0 }), full(ValueTrunk::Detached)),
        (klq(Refresh::Never), PolicyConfig { value_trunk: ValueTrunk::Own, ..adapter.clone() }),
        (Algorithm::Ppo(PpoConfig::default()), full(ValueTrunk::Detached)),
        (
            Algorithm::Ppo(PpoConfig {
                dual_clip: Some(3.0),
                whiten_rewards: true,
                target_kl: Some(0.05),
                ..PpoConfig::default()
            }),
            adapter,
        ),
        (Algorithm::Rloo(RlooConfig::default()), full(ValueTrunk::Detached)),
        (Algorithm::Grpo(GrpoConfig::default()), full(ValueTrunk::Detached)),
    ] {
        let name = format!("{} {policy:?}", algorithm.name());
        let tokenizer = tokenizer();
        let lr = if policy.adapter.is_some() { 3e-2 } else { 3e-3 };
        let config = TrainConfig {
            policy,
            kl_coef: 0.05,
            iterations: 25,
            prompts: 16,
            lr,
            value_lr: 1e-2,
            ..config(algorithm)
        };
        let mut trainer = Trainer::new(&tiny(4), &tokenizer, prompts(20), &config).unwrap();
        // The share of one letter.
        let mut reward = Rule::new("letters", |a: &Answer<'_>| {
            Ok(a.text.matches('c').count() as f64 / a.ids.len() as f64)
        });
        let objectives: Vec<f64> = (0..config.iterations)
            .map(|_| trainer.iterate(&mut reward).unwrap().report.objective)
            .collect();
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let (first, last) = (mean(&objectives[..3]), mean(&objectives[22..]));
        assert!(last > first + 0.2, "{name}: {first} to {last}");
    }
}

#[test]
fn the_first_step_checks_itself() {
    let tokenizer = tokenizer();
    for temperature in [1.0, 0.7] {
        let mut config = config(Algorithm::default());
        config.rollout.temperature = temperature;
        let mut trainer = Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
        let mut reward = Rule::new("one", |_: &Answer<'_>| Ok(1.0));
        let first = trainer.iterate(&mut reward).unwrap();
        let check = first.check.unwrap();
        assert!(check.sampler_gap < 1e-4 && check.ratio_gap < 1e-4, "{check}");
        assert_eq!(check.reference_gap, Some(0.0), "{check}");
        assert!(check.warnings().is_empty());
        assert!(first.report.kl.abs() < 1e-12);
        assert!(trainer.iterate(&mut reward).unwrap().check.is_none());
    }
}

/// All that is trained, bit by bit.
fn bits(trainer: &Trainer<'_>) -> Vec<u32> {
    let all = trainer.parameters().into_iter().map(|(_, t)| t.detach().flatten(0, -1));
    let flat: Vec<f32> = Vec::try_from(Tensor::cat(&all.collect::<Vec<_>>(), 0)).unwrap();
    flat.into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_restored_run_goes_on_to_the_bit() {
    for algorithm in algorithms() {
        let tokenizer = tokenizer();
        let config = config(algorithm);
        let make = || Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
        let mut reward = Rule::new("length", |a: &Answer<'_>| Ok(a.text.len() as f64));
        let folder = tempfile::tempdir().unwrap();
        let mut whole = make();
        for step in 0..config.iterations {
            if step == 2 {
                whole.save(folder.path()).unwrap();
            }
            whole.iterate(&mut reward).unwrap();
        }
        let mut resumed = make();
        resumed.restore(folder.path()).unwrap();
        assert_eq!(resumed.iterations(), 2);
        while !resumed.is_done() {
            resumed.iterate(&mut reward).unwrap();
        }
        assert_eq!(bits(&resumed), bits(&whole));
        // Another run's checkpoint is refused.
        let other = TrainConfig { lr: 1.0, ..config.clone() };
        let mut other = Trainer::new(&tiny(1), &tokenizer, prompts(9), &other).unwrap();
        let message = other.restore(folder.path()).unwrap_err().to_string();
        assert!(message.contains("a checkpoint of this model"), "{message}");
    }
}

/// With λ on its way to 0, the last iteration's targets are one-step targets, the first one's are not.
#[test]
fn a_run_ends_with_the_last_lambda() {
    let step = |gae_lambda, final_gae_lambda, iterations| {
        let tokenizer = tokenizer();
        let config = TrainConfig {
            iterations,
            lr: 0.0,
            value_lr: 1e-1,
            ..config(Algorithm::Klq(KlqConfig {
                gae_lambda,
                final_gae_lambda,
                ..KlqConfig::default()
            }))
        };
        let mut trainer = Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
        let mut reward = Rule::new("length", |a: &Answer<'_>| Ok(a.text.len() as f64));
        (0..iterations)
            .map(|_| trainer.iterate(&mut reward).unwrap().report.loss)
            .collect::<Vec<_>>()
    };
    let annealed = step(1.0, Some(0.0), 2);
    let constant = step(1.0, None, 2);
    assert_eq!(annealed[..1], constant[..1]);
    assert_ne!(annealed[1..], constant[1..]);
    // The first iteration is the same in all but its targets, and there is only one here.
    assert_eq!(step(0.0, Some(1.0), 1), step(0.0, None, 1));
}

/// With λ = γ = 1 at the reference, every token of an answer aims at one number: its score, or where
/// the limit is no end, the value of the state that a cut-off answer leads to. All from scratch.
#[test]
fn a_limit_that_is_no_end_is_looked_past() {
    const SCORE: f64 = 2.0;
    let tokenizer = tokenizer();
    for length_limit in [LengthLimit::Terminates, LengthLimit::Bootstraps] {
        let mut config = TrainConfig {
            missing_end: MissingEnd::Keep,
            length_limit,
            epochs: 1,
            lr: 0.0,
            ..config(Algorithm::Klq(KlqConfig { gae_lambda: 1.0, ..KlqConfig::default() }))
        };
        config.rollout.max_new_tokens = 3;
        let mut trainer = Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
        let head: Vec<f32> = (0..33_u8).map(|i| f32::from(i).sin()).collect();
        let head = Tensor::from_slice(&head);
        for (name, mut tensor) in trainer.parameters() {
            let _guard = tch::no_grad_guard();
            match name.as_str() {
                "value.head.weight" => tensor.copy_(&head.narrow(0, 0, 32).unsqueeze(0)),
                "value.head.bias" => tensor.copy_(&head.narrow(0, 32, 1)),
                _ => {}
            }
        }
        let mut reward = Rule::new("score", |_: &Answer<'_>| Ok(SCORE));
        let Iteration { report, rollouts, .. } = trainer.iterate(&mut reward).unwrap();
        assert_eq!(report.score.to_bits(), SCORE.to_bits(), "what is reported is the score");
        assert!(report.eos_rate > 0.0 && report.eos_rate < 1.0, "{}", report.eos_rate);
        let lm = trainer.policy().model();
        let (mut squares, mut tokens) = (0.0, 0.0);
        for rollout in &rollouts {
            let _guard = tch::no_grad_guard();
            let prompt = &trainer.prompts()[rollout.prompt].ids;
            let ids: Vec<i64> = prompt.iter().chain(&rollout.ids).map(|&id| id.into()).collect();
            let hidden =
                lm.hidden(&Tensor::from_slice(&ids).unsqueeze(0), &Layout::Dense).unwrap().get(0);
            let values = hidden.matmul(&head.narrow(0, 0, 32)) + head.get(32);
            let values: Vec<f64> = Vec::try_from(values.to_kind(Kind::Double)).unwrap();
            let (after, before) = values[prompt.len() - 1..].split_last().unwrap();
            let looked_past = length_limit == LengthLimit::Bootstraps && !rollout.ended;
            let aim = if looked_past { *after } else { SCORE };
            squares += before.iter().map(|v| (v - aim).powi(2)).sum::<f64>();
            tokens += before.len() as f64;
        }
        // Half the square, over ατ.
        let expected = 0.5 * squares / tokens / config.kl_coef;
        let off = (report.loss - expected).abs() / expected;
        assert!(off < 1e-4, "{length_limit:?}: {} {expected}", report.loss);
    }
}

/// The evaluation along the way is [`evaluate`] of the policy as it is then, and training does not
/// notice it; a monitor that fails is counted and keeps nothing up.
#[test]
fn monitors_measure_and_leave_alone() {
    struct Broken;
    impl Monitor<Policy> for Broken {
        fn every(&self) -> u64 {
            1
        }
        fn name(&self) -> &'static str {
            "broken"
        }
        fn measure(&mut self, _: u64, _: &Policy) -> Result<Vec<(String, f64)>, MonitorError> {
            Err(MonitorError::new("no"))
        }
    }
    let length = || Rule::new("length", |a: &Answer<'_>| Ok(a.text.len() as f64));
    let tokenizer = tokenizer();
    let config = config(Algorithm::default());
    let held_out = prompts(16)[9..].to_vec();
    let settings = EvaluateConfig { rollout: config.rollout.clone(), ..EvaluateConfig::default() };
    let mut plain = Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
    let mut watched = Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
    watched.monitor(Broken);
    let make = |every, prompts| {
        HeldOut::new(every, &tokenizer, prompts, Box::new(length()), settings.clone())
    };
    watched.monitor(make(2, held_out.clone()).unwrap());
    for step in 1..=config.iterations {
        let without = plain.iterate(&mut length()).unwrap();
        assert!(without.monitored.is_empty());
        let with = watched.iterate(&mut length()).unwrap();
        assert_eq!(with.rollouts, without.rollouts);
        if step % 2 == 1 {
            assert!(with.monitored.is_empty(), "{step}");
            continue;
        }
        let (policy, mut reward) = (watched.policy(), length());
        let lm = policy.model();
        let made = evaluate(&lm, policy.reference(), &tokenizer, &held_out, &mut reward, &settings);
        let expected = made.unwrap().summary().unwrap();
        for (name, value) in [
            ("objective", expected.objective.value),
            ("objective_low", expected.objective.interval[0]),
            ("objective_high", expected.objective.interval[1]),
            ("reward", expected.reward.value),
            ("score", expected.score.value),
            ("kl", expected.kl.value),
            ("entropy", expected.entropy.value),
            ("length", expected.length.value),
            ("eos_rate", expected.eos_rate.value),
        ] {
            let name = format!("held_out/{name}");
            let found = with.monitored.iter().find(|(n, _)| *n == name).unwrap();
            assert_eq!(found.1.to_bits(), value.to_bits(), "{name}");
        }
        assert_eq!(with.monitored.len(), 9);
    }
    assert_eq!(bits(&plain), bits(&watched));
    assert!(make(0, held_out).is_err());
    assert!(make(1, prompts(1)).is_err());
}

#[test]
fn settings_out_of_range_are_refused() {
    let tokenizer = tokenizer();
    let refuse = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = config(Algorithm::default());
        change(&mut config);
        Trainer::new(&tiny(1), &tokenizer, prompts(3), &config).unwrap_err().to_string()
    };
    assert!(refuse(&|c| c.kl_coef = 0.0).starts_with("kl_coef: expected a number above 0"));
    assert!(
        refuse(&|c| c.length_limit = LengthLimit::Bootstraps)
            .starts_with("length_limit: expected terminates unless missing_end is keep")
    );
    assert!(
        refuse(&|c| {
            c.algorithm = Algorithm::Rloo(RlooConfig::default());
            c.length_limit = LengthLimit::Bootstraps;
        })
        .starts_with("length_limit: expected terminates without a value function")
    );
    assert!(refuse(&|c| c.minibatches = 13).contains("at most 12"));
    assert!(refuse(&|c| c.rollout.temperature = 0.0).contains("temperature"));
    assert!(
        refuse(&|c| {
            c.algorithm = Algorithm::Grpo(GrpoConfig::default());
            c.group = 1;
        })
        .starts_with("group: expected at least 2")
    );
    assert!(
        refuse(&|c| c.algorithm = Algorithm::Klq(KlqConfig { alpha: 1.5, ..KlqConfig::default() }))
            .starts_with("alpha: expected a number in (0, 1], found 1.5")
    );
    assert!(
        Trainer::new(&tiny(1), &tokenizer, Vec::new(), &config(Algorithm::default()))
            .unwrap_err()
            .to_string()
            .starts_with("prompts: expected at least one")
    );
}
