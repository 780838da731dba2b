//! What is said of exits.

use causal_lm::generate::{Flow, GenerateConfig, Request, Sampling, Truncation};
use early_exit_model::{
    Engine, Rule, Skipped,
    cost::Cost,
    evaluate::{Depths, depth_correlation, divergence_from_full, surprisals},
};

use crate::common::{LAYERS, ROUNDING, ids, model, tiny};

fn made(
    engine: &Engine,
    rule: &Rule,
) -> (Vec<Vec<u32>>, Vec<early_exit_model::engine::ExitCompletion>) {
    let prompts: Vec<Vec<u32>> = (0..3).map(|i| ids(3 + i, 30 + i as u64)).collect();
    let requests: Vec<Request> =
        prompts.iter().map(|p| Request { prompt: p.clone(), seed: p.len() as u64 }).collect();
    let config = GenerateConfig {
        max_new_tokens: 9,
        sampling: Sampling::Random(Truncation::default()),
        log_probs: true,
        ..GenerateConfig::default()
    };
    (prompts, engine.generate(&requests, &config, rule, &mut |_| Flow::Continue).unwrap())
}

/// Work counted by hand: two operations a weight, the keys and values of skipped blocks among them.
#[test]
fn work_by_hand() {
    let lm = tiny("llama", 1);
    let exits = model(&lm, false);
    let cost = Cost::new(lm.config(), exits.sites(), exits.gates().kind(), Skipped::default());
    // q and out: 64 × 64 each; k and v: 32 × 64 each; three matrices of 96 × 64; heads see 10.
    let [q_out, kv, wide] = [2 * 64 * 64, 2 * 32 * 64, 3 * 96 * 64].map(|n| 2.0 * f64::from(n));
    let seen = 2.0 * 2.0 * 64.0 * 10.0;
    let block = q_out + kv + wide + seen;
    assert_eq!(cost.blocks(6, 10, false), 6.0 * block);
    assert_eq!(cost.blocks(3, 10, false), 3.0 * block + 3.0 * kv);
    let gate = 2.0 * f64::from(2 * 64 * 64 + 2 * 64);
    assert_eq!(cost.blocks(3, 10, true), 3.0 * block + 3.0 * kv + 2.0 * gate);
    assert_eq!(cost.head(), 2.0 * 64.0 * 40.0);
    let saved = 3.0 * (block - kv) / (6.0 * block + cost.head());
    assert!((cost.saved(3, 10, false) - saved).abs() < 1e-12);
}

#[test]
fn depths_are_counted() {
    let lm = tiny("llama", 1);
    let engine = Engine::new(&model(&lm, false), true);
    let rule = Rule::Prescribed(vec![vec![1; 8], vec![3; 8], vec![6, 6, 6, 6, 5, 5, 5, 5]]);
    let (prompts, made) = made(&engine, &rule);
    let lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
    let depths = Depths::of(&engine, &rule, &lengths, &made).unwrap();
    assert_eq!(depths.tokens, 24);
    let blocks = (8.0 + 24.0 + 24.0 + 20.0) / 24.0;
    assert!((depths.blocks - blocks).abs() < 1e-12 && (depths.share - blocks / 6.0).abs() < 1e-12);
    let third = 1.0 / 3.0;
    assert_eq!(depths.histogram, [third, 0.0, third, 0.0, third / 2.0, third / 2.0]);
    assert!(depths.flops_saved > 0.3 && depths.flops_saved < 1.0 - depths.share);
    let expected = Rule::Random(vec![third, third, third / 2.0, third / 2.0]);
    assert_eq!(depths.random_control(&engine), expected);
    assert!(Depths::of(&engine, &rule, &[], &[]).is_none());
}

#[test]
fn exits_change_predictions_and_full_depth_does_not() {
    let lm = tiny("llama", 1);
    let model = model(&lm, true);
    let engine = Engine::new(&model, true);
    for (rule, changes) in [(Rule::Forced(LAYERS), false), (Rule::Forced(3), true)] {
        let (prompts, made) = made(&engine, &rule);
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        for (tokens, rows) in [(1000, 100), (1, 2)] {
            let found = divergence_from_full(&model, &prompts, &made, tokens, rows).unwrap();
            assert!(found.iter().all(|of_row| of_row.len() == 8));
            assert!(found.iter().flatten().all(|kl| (*kl > 1e-4) == changes), "{found:?}");
        }
        // At full depth the sampler's own log-probabilities are the surprisals.
        if !changes {
            let found = surprisals(&model.model(), &prompts, &made).unwrap();
            for (found, made) in found.iter().zip(&made) {
                for (s, log_prob) in found.iter().zip(&made.completion.log_probs[1..]) {
                    assert!((s + f64::from(*log_prob)).abs() < ROUNDING);
                }
            }
        }
    }
    let (_, made) = made(&engine, &Rule::Prescribed(vec![vec![1, 3, 5, 6]]));
    let rising: Vec<Vec<f64>> =
        made.iter().map(|m| m.exits.iter().map(|e| (e.blocks as f64).exp()).collect()).collect();
    assert!((depth_correlation(&made, &rising, 0.95).unwrap().value - 1.0).abs() < 1e-12);
}
