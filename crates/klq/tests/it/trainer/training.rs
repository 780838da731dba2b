//! Whole runs: what they reach, and that they go on to the bit.

use causal_lm::model::Layout;
use klq::{
    Algorithm, TrainConfig, Trainer,
    algorithm::{GrpoConfig, KlqConfig, PpoConfig, Refresh, RlooConfig},
    policy::{PolicyConfig, ValueTrunk},
    reward::{Answer, MissingEnd, Prompt, Rule},
};
use rl_core::optim::{Decay, Schedule};
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

#[test]
fn settings_out_of_range_are_refused() {
    let tokenizer = tokenizer();
    let refuse = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = config(Algorithm::default());
        change(&mut config);
        Trainer::new(&tiny(1), &tokenizer, prompts(3), &config).unwrap_err().to_string()
    };
    assert!(refuse(&|c| c.kl_coef = 0.0).starts_with("kl_coef: expected a number above 0"));
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
