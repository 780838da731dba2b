//! What the settings of a run do to it.

use std::collections::BTreeSet;

use klq::{
    AdaptiveKlConfig, Algorithm, Report, TrainConfig, Trainer,
    algorithm::{GrpoConfig, PpoConfig, RlooConfig},
    reward::{Answer, MissingEnd, Rule},
};
use rl_core::{
    kl::AdaptiveKl,
    optim::{AdamWConfig, Decay, Schedule},
};
use tch::{Kind, Tensor};

use crate::trainer::common::{VOCAB, config, prompts, tiny, tokenizer};

/// All reports of a run, and how far its weights have come.
fn run(config: &TrainConfig) -> (Vec<Report>, f64) {
    let tokenizer = tokenizer();
    let mut trainer = Trainer::new(&tiny(1), &tokenizer, prompts(9), config).unwrap();
    let copies = |trainer: &Trainer<'_>| -> Vec<Tensor> {
        trainer.parameters().into_iter().map(|(_, t)| t.detach().copy()).collect()
    };
    let before = copies(&trainer);
    let mut reward = Rule::new("length", |a: &Answer<'_>| Ok(a.text.len() as f64));
    let mut reports = Vec::new();
    while !trainer.is_done() {
        reports.push(trainer.iterate(&mut reward).unwrap().report);
    }
    let moved = before
        .iter()
        .zip(copies(&trainer))
        .map(|(a, b)| (a - b).to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]));
    (reports, moved.sum::<f64>().sqrt())
}

fn ppo() -> Algorithm {
    Algorithm::Ppo(PpoConfig::default())
}

#[test]
fn epochs_end_where_the_policy_has_gone_too_far() {
    let updates = |target_kl| {
        let algorithm = Algorithm::Ppo(PpoConfig { target_kl, ..PpoConfig::default() });
        let config = TrainConfig { epochs: 3, iterations: 1, lr: 1e-2, ..config(algorithm) };
        run(&config).0[0].updates
    };
    // The first update finds the policy where it was, the second where the first has brought it.
    assert_eq!([updates(None), updates(Some(1e9)), updates(Some(1e-9))], [3, 3, 2]);
}

#[test]
fn the_objective_counts_what_a_missing_end_costs() {
    let config = TrainConfig { missing_end: MissingEnd::Subtract(5.0), lr: 1e-2, ..config(ppo()) };
    for report in run(&config).0 {
        let cut_off = 1.0 - report.eos_rate;
        assert!(cut_off > 0.0);
        assert!((report.score - 5.0 * cut_off - report.reward).abs() < 1e-9, "{report:?}");
        // A mean over tokens, of at most as much as a uniform choice has.
        assert!(report.entropy > 0.0 && report.entropy <= (VOCAB as f64).ln(), "{report:?}");
        let objective = report.reward - report.kl_coef * report.kl;
        assert!((report.objective - objective).abs() < 1e-9, "{report:?}");
    }
}

#[test]
fn only_value_functions_explain_variance() {
    for (algorithm, explains) in [
        (ppo(), true),
        (Algorithm::default(), true),
        (Algorithm::Rloo(RlooConfig::default()), false),
        (Algorithm::Grpo(GrpoConfig::default()), false),
    ] {
        let reports = run(&config(algorithm)).0;
        assert!(reports.iter().all(|r| r.explained_variance.is_some() == explains));
        if explains {
            // Values begin at 0.
            assert!(reports[0].explained_variance.unwrap().abs() < 1e-9);
        }
    }
}

#[test]
fn the_weight_of_the_kl_follows_what_is_seen() {
    let adaptive = AdaptiveKlConfig { target: 0.5, horizon: 40.0 };
    let config = TrainConfig { adaptive_kl: Some(adaptive), lr: 1e-2, ..config(ppo()) };
    let mut expected = AdaptiveKl { coef: config.kl_coef, target: 0.5, horizon: 40.0 };
    let answers = (config.prompts * config.group) as u64;
    let (reports, _) = run(&config);
    for report in &reports {
        assert_eq!(report.kl_coef.to_bits(), expected.coef.to_bits(), "step {}", report.step);
        expected.update(report.kl, answers);
    }
    // A restored run has the weight of then.
    let tokenizer = tokenizer();
    let folder = tempfile::tempdir().unwrap();
    let make = || Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
    let mut reward = Rule::new("length", |a: &Answer<'_>| Ok(a.text.len() as f64));
    let mut first = make();
    first.iterate(&mut reward).unwrap();
    first.save(folder.path()).unwrap();
    let mut resumed = make();
    resumed.restore(folder.path()).unwrap();
    let report = resumed.iterate(&mut reward).unwrap().report;
    assert_eq!(report.kl_coef.to_bits(), reports[1].kl_coef.to_bits());
    assert_ne!(report.kl_coef.to_bits(), reports[0].kl_coef.to_bits());
}

/// Adam divides by a gradient's own size, but for ε: a gradient far below it moves nothing.
#[test]
fn gradients_are_clipped() {
    let moved = |max_grad_norm| {
        let optimizer = AdamWConfig { max_grad_norm, eps: 1e-3, ..AdamWConfig::default() };
        run(&TrainConfig { optimizer, iterations: 1, ..config(ppo()) }).1
    };
    let [free, clipped] = [moved(None), moved(Some(1e-7))];
    assert!(free > 0.0 && clipped < 1e-2 * free, "{clipped} {free}");
}

#[test]
fn the_learning_rate_follows_its_schedule() {
    let schedule = Schedule { decay: Decay::Linear, ..Schedule::default() };
    let config = TrainConfig { schedule, lr: 1e-3, ..config(ppo()) };
    let rates: Vec<f64> = run(&config).0.iter().map(|r| r.lr).collect();
    let expected = [1e-3, 0.75e-3, 0.5e-3, 0.25e-3];
    assert!(rates.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
}

/// Every pass over the prompts has all of them, in an order of its own.
#[test]
fn prompts_come_in_another_order_each_time() {
    let tokenizer = tokenizer();
    let config = TrainConfig { prompts: 9, group: 1, lr: 0.0, ..config(ppo()) };
    let mut trainer = Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
    let mut reward = Rule::new("one", |_: &Answer<'_>| Ok(1.0));
    let mut orders = BTreeSet::new();
    for _ in 0..config.iterations {
        let rollouts = trainer.iterate(&mut reward).unwrap().rollouts;
        let order: Vec<usize> = rollouts.iter().map(|r| r.prompt).collect();
        assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), (0..9).collect());
        orders.insert(order);
    }
    assert_eq!(orders.len(), 4);
}
