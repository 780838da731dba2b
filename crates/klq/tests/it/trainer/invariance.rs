//! How the work is cut changes nothing: passes, padding, batch mates.

use klq::{Algorithm, TrainConfig, Trainer, reward::Rule};
use rl_core::optim::AdamWConfig;
use tch::{Kind, Tensor};

use crate::trainer::common::{algorithms, config, prompts, tiny, tokenizer};

/// Differences of f32 sums in another order.
const ROUNDING: f64 = 1e-5;

/// All weights after one iteration of one step, whose size is proportional to the gradient.
fn after_one_step(algorithm: Algorithm, change: impl FnOnce(&mut TrainConfig)) -> Vec<Tensor> {
    let mut config = TrainConfig {
        epochs: 1,
        lr: 1.0,
        value_lr: 1.0,
        optimizer: AdamWConfig { eps: 1e3, max_grad_norm: None, ..AdamWConfig::default() },
        ..config(algorithm)
    };
    change(&mut config);
    let tokenizer = tokenizer();
    let mut trainer = Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
    let mut reward = Rule::new("length", |a: &klq::reward::Answer<'_>| Ok(a.text.len() as f64));
    trainer.iterate(&mut reward).unwrap();
    trainer.parameters().into_iter().map(|(_, t)| t.detach().to_kind(Kind::Double)).collect()
}

fn farthest(a: &[Tensor], b: &[Tensor]) -> f64 {
    let gaps = a.iter().zip(b).map(|(a, b)| (a - b).abs().max().double_value(&[]));
    gaps.fold(0.0, f64::max)
}

#[test]
fn passes_do_not_change_the_step() {
    let start: Vec<Tensor> = {
        let tokenizer = tokenizer();
        let config = config(Algorithm::default());
        let trainer = Trainer::new(&tiny(1), &tokenizer, prompts(9), &config).unwrap();
        trainer.parameters().into_iter().map(|(_, t)| t.detach().to_kind(Kind::Double)).collect()
    };
    for algorithm in algorithms() {
        let name = algorithm.name();
        let whole = after_one_step(algorithm.clone(), |c| c.pass_tokens = 10_000);
        if name == "klq" {
            assert!(farthest(&whole, &start) > 100.0 * ROUNDING, "nothing was learned");
        }
        for pass_tokens in [1, 20, 33] {
            let cut = after_one_step(algorithm.clone(), |c| c.pass_tokens = pass_tokens);
            let gap = farthest(&whole, &cut);
            assert!(gap < ROUNDING, "{name}: {pass_tokens} tokens a pass: {gap}");
        }
        let cut = after_one_step(algorithm, |c| c.logit_rows = 3);
        assert!(farthest(&whole, &cut) < ROUNDING, "{name}: logits in chunks");
    }
}

#[test]
fn batch_mates_of_generation_do_not_change_the_step() {
    for algorithm in algorithms() {
        let together = after_one_step(algorithm.clone(), |c| c.rollout.batch_size = 64);
        let apart = after_one_step(algorithm, |c| c.rollout.batch_size = 1);
        assert!(farthest(&together, &apart) < ROUNDING);
    }
}
