//! Reinforcement learning of exits.

use causal_lm::model::Layout;
use early_exit_model::{
    EarlyExitModel, ExitConfig,
    rl::{Answer, Baseline, DepthReward, RlConfig, RolloutConfig, Trainer},
};
use rl_core::{
    advantages::leave_one_out,
    optim::{AdamW, ParameterGroup},
    seed::Seed,
};
use tch::{Kind, Tensor};

use crate::common::{ROUNDING, VOCAB, ids, max_abs_diff, model, tensor, tiny};

fn prompts() -> Vec<Vec<u32>> {
    (0..5).map(|i| ids(2 + i % 3, 60 + i as u64)).collect()
}

fn config() -> RlConfig {
    RlConfig {
        iterations: 4,
        prompts: 3,
        group: 4,
        rollout: RolloutConfig { max_new_tokens: 6, ..RolloutConfig::default() },
        depth_ramp: 0,
        ..RlConfig::default()
    }
}

/// Pays for small tokens.
#[expect(clippy::unnecessary_wraps, reason = "a verifier's signature")]
fn small(answer: &Answer<'_>) -> Result<f64, String> {
    let small = answer.ids.iter().filter(|&&id| (id as usize) < VOCAB / 2).count();
    Ok(small as f64 / answer.ids.len() as f64)
}

fn copies(model: &EarlyExitModel) -> Vec<Tensor> {
    model.named_parameters().iter().map(|(_, t)| t.detach().copy()).collect()
}

/// Property 13: answers of equal rewards teach nothing, to the bit.
#[test]
fn equal_rewards_give_no_gradient() {
    let lm = tiny("llama", 1);
    for baseline in [Baseline::FlooredStd(0.1), Baseline::Std, Baseline::LeaveOneOut] {
        let config = RlConfig { depth_coef: 0.0, kl_coef: 0.0, baseline, ..config() };
        let mut trainer = Trainer::new(model(&lm, true), prompts(), &config).unwrap();
        let made = trainer.iterate(&mut |_: &Answer<'_>| Ok(0.7)).unwrap();
        assert_eq!((made.report.grad_norm, made.report.loss), (0.0, 0.0));
        assert_eq!(made.report.ties, 1.0);
    }
}

/// Property 13: with λ = 0 and gates shut, the update is that of plain RLOO.
#[test]
fn shut_gates_and_no_lambda_are_plain_rloo() {
    let lm = tiny("llama", 1);
    let config =
        RlConfig { depth_coef: 0.0, kl_coef: 0.0, baseline: Baseline::LeaveOneOut, ..config() };
    let shut = || {
        let model = model(&lm, true);
        model.gates().shift(-80.0);
        model
    };
    let mut trainer = Trainer::new(shut(), prompts(), &config).unwrap();
    let made = trainer.iterate(&mut small).unwrap();
    assert_eq!(made.report.depth, 1.0);

    let plain = shut();
    let scores: Vec<f64> = made
        .rollouts
        .iter()
        .map(|r| small(&Answer { prompt: r.prompt, ids: &r.ids, ended: r.ended, exits: &r.exits }))
        .collect::<Result<_, _>>()
        .unwrap();
    let advantages = leave_one_out(&Tensor::from_slice(&scores), config.group).unwrap();
    let advantages: Vec<f64> = Vec::try_from(advantages).unwrap();
    let prompts = prompts();
    for (rollout, advantage) in made.rollouts.iter().zip(advantages) {
        let prompt = &prompts[rollout.prompt];
        let row: Vec<u32> = prompt.iter().chain(&rollout.ids).copied().collect();
        let computing = plain.computing();
        let hidden = computing.hidden(&tensor(&[row]), &Layout::Dense).unwrap().get(0);
        let states = hidden.narrow(0, prompt.len() as i64 - 1, rollout.ids.len() as i64);
        let targets: Vec<i64> = rollout.ids.iter().map(|&id| i64::from(id)).collect();
        let log_probs = computing.logits(&states).log_softmax(-1, Kind::Float).gather(
            1,
            &Tensor::from_slice(&targets).unsqueeze(1),
            false,
        );
        let loss = log_probs.mean(Kind::Float) * (-advantage / made.rollouts.len() as f64);
        loss.backward();
    }
    let (gates, trained): (Vec<_>, Vec<_>) =
        plain.named_parameters().into_iter().partition(|(name, _)| name.starts_with("gate."));
    let mut groups = ParameterGroup::by_rank(trained, config.lr, 0.0);
    groups.extend(ParameterGroup::by_rank(gates, config.gate_lr, 0.0));
    let norm = AdamW::new(config.optimizer, groups).unwrap().step(1.0).unwrap();
    assert!((norm - made.report.grad_norm).abs() < 1e-3 * norm, "{norm} {}", made.report.grad_norm);
    for ((name, a), (_, b)) in
        plain.named_parameters().iter().zip(trainer.model().named_parameters())
    {
        // Adam's first step is the learning rate times the gradient's sign.
        let gap = (a - b).abs().mean(Kind::Double).double_value(&[]);
        assert!(gap < 0.05 * config.lr, "{name}: {gap}");
    }
}

/// Property 13: padding enters nothing.
#[test]
fn passes_of_any_size_give_the_same() {
    let lm = tiny("llama", 1);
    // Stop tokens make answers of different lengths.
    let base = RlConfig { pass_tokens: 4096, ..config() };
    let cut = RlConfig { pass_tokens: 1, logit_rows: 2, ..base.clone() };
    for depth_reward in [DepthReward::Every, DepthReward::Correct(0.5), DepthReward::Own] {
        let run = |config: &RlConfig| {
            let config = RlConfig { depth_reward, ..config.clone() };
            let mut trainer = Trainer::new(model(&lm, true), prompts(), &config).unwrap();
            trainer.iterate(&mut small).unwrap()
        };
        let (a, b) = (run(&base), run(&cut));
        assert_eq!(a.rollouts, b.rollouts);
        for (a, b) in [
            (a.report.kl, b.report.kl),
            (a.report.loss, b.report.loss),
            (a.report.grad_norm, b.report.grad_norm),
        ] {
            assert!((a - b).abs() < ROUNDING * (1.0 + a.abs()), "{depth_reward:?}: {a} {b}");
        }
    }
}

/// Sampler and scorer are one law, and a difference stops the run before anything is changed.
#[test]
fn a_scorer_that_disagrees_stops_the_run() {
    let lm = tiny("llama", 1);
    let mut trainer = Trainer::new(model(&lm, true), prompts(), &config()).unwrap();
    let made = trainer.iterate(&mut small).unwrap();
    assert!(made.report.sampler_gap < 1e-4, "{}", made.report.sampler_gap);
    assert!(made.report.depth < 1.0);

    let strict = RlConfig { max_sampler_gap: 1e-12, ..config() };
    let mut trainer = Trainer::new(model(&lm, true), prompts(), &strict).unwrap();
    let before = copies(trainer.model());
    let message = trainer.iterate(&mut small).unwrap_err().to_string();
    assert!(message.starts_with("sampler and scorer differ by"), "{message}");
    let after = copies(trainer.model());
    assert!(before.iter().zip(&after).all(|(a, b)| max_abs_diff(a, b) == 0.0));
}

/// Property 13: with one state, the shallowest exit that keeps the reward is learned.
#[test]
fn a_bandit_learns_the_shallowest_exit_that_pays() {
    let lm = tiny("llama", 1);
    let exits = ExitConfig { sites: vec![1, 3, 5], ..ExitConfig::default() };
    for (baseline, depth_reward) in [
        (Baseline::FlooredStd(0.1), DepthReward::Every),
        (Baseline::FlooredStd(0.1), DepthReward::Correct(1.0)),
        (Baseline::LeaveOneOut, DepthReward::Own),
    ] {
        let config = RlConfig {
            iterations: 150,
            prompts: 2,
            group: 8,
            rollout: RolloutConfig { max_new_tokens: 2, ..RolloutConfig::default() },
            depth_coef: 0.5,
            depth_ramp: 0,
            kl_coef: 0.0,
            baseline,
            depth_reward,
            lr: 0.0,
            gate_lr: 0.02,
            ..RlConfig::default()
        };
        let start = EarlyExitModel::new(&lm, &exits, Seed::new(1)).unwrap();
        start.gates().shift(2.0);
        let mut trainer = Trainer::new(start, vec![vec![7, 8]], &config).unwrap();
        // Less than three blocks are not enough.
        let mut pays = |answer: &Answer<'_>| {
            Ok(f64::from(u8::from(answer.exits.iter().all(|exit| exit.blocks >= 3))))
        };
        let mut last = Vec::new();
        while !trainer.is_done() {
            let made = trainer.iterate(&mut pays).unwrap();
            last.push(made);
        }
        let late: Vec<usize> = last[130..]
            .iter()
            .flat_map(|made| made.rollouts.iter().flat_map(|r| r.exits.iter().map(|e| e.blocks)))
            .collect();
        let right = late.iter().filter(|&&blocks| blocks == 3).count() as f64 / late.len() as f64;
        assert!(right > 0.9, "{baseline:?} {depth_reward:?}: {right}");
    }
}

#[test]
fn a_restored_run_goes_on_to_the_bit() {
    let lm = tiny("llama", 1);
    let mut whole = Trainer::new(model(&lm, true), prompts(), &config()).unwrap();
    let reports: Vec<_> = (0..4).map(|_| whole.iterate(&mut small).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut first = Trainer::new(model(&lm, true), prompts(), &config()).unwrap();
    for _ in 0..2 {
        first.iterate(&mut small).unwrap();
    }
    first.save(folder.path()).unwrap();
    let mut second = Trainer::new(model(&lm, true), prompts(), &config()).unwrap();
    second.restore(folder.path()).unwrap();
    assert_eq!(second.iterations(), 2);
    for report in &reports[2..] {
        assert_eq!(second.iterate(&mut small).unwrap(), *report);
    }
    assert!(second.is_done());
    let (a, b) = (copies(whole.model()), copies(second.model()));
    assert!(a.iter().zip(&b).all(|(a, b)| max_abs_diff(a, b) == 0.0));
    let other = RlConfig { seed: 9, ..config() };
    let mut other = Trainer::new(model(&lm, true), prompts(), &other).unwrap();
    assert!(other.restore(folder.path()).is_err());
    let state = folder.path().join("trainer.safetensors");
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    assert!(second.restore(folder.path()).unwrap_err().to_string().contains("trainer.safetensors"));
}

#[test]
fn failing_verifiers_and_bad_settings_are_told() {
    let lm = tiny("llama", 1);
    let mut trainer = Trainer::new(model(&lm, true), prompts(), &config()).unwrap();
    let before = copies(trainer.model());
    let message = trainer
        .iterate(&mut |_: &Answer<'_>| Err("no verdict".to_owned()))
        .unwrap_err()
        .to_string();
    let expected =
        "12 of 12 answers could not be scored, more than the allowed 1; the first: no verdict";
    assert_eq!(message, expected);
    let mut calls = 0;
    let mut one_fails = |answer: &Answer<'_>| {
        calls += 1;
        if calls == 6 { Ok(f64::NAN) } else { small(answer) }
    };
    let unchanged = copies(trainer.model());
    assert!(before.iter().zip(&unchanged).all(|(a, b)| max_abs_diff(a, b) == 0.0));
    // Its prompt's answers go with it.
    let made = trainer.iterate(&mut one_fails).unwrap();
    assert_eq!((made.report.unscored, made.rollouts.len()), (4, 8));

    let refused = |config: RlConfig| {
        Trainer::new(model(&lm, true), prompts(), &config).unwrap_err().to_string()
    };
    let bad = RlConfig { group: 1, ..config() };
    assert_eq!(refused(bad), "group: expected at least 2, which are compared, found 1");
    let bad = RlConfig { baseline: Baseline::FlooredStd(0.0), ..config() };
    assert_eq!(refused(bad), "floored_std: expected a number above 0, found 0");
    let bad = RlConfig { depth_coef: f64::NAN, ..config() };
    assert_eq!(refused(bad), "depth_coef: expected a number, not below 0, found NaN");
    let long = vec![ids(60, 1)];
    let mut trainer = Trainer::new(model(&lm, true), long, &config()).unwrap();
    let message = trainer.iterate(&mut small).unwrap_err().to_string();
    assert!(message.contains("at most 58 tokens"), "{message}");
    let text = toml::to_string(&config()).unwrap();
    assert_eq!(toml::from_str::<RlConfig>(&text).unwrap(), config());
}
