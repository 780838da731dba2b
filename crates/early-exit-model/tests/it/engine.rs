//! Decoding with exits.

use causal_lm::{
    cache::KvCache,
    generate::{Completion, Flow, GenerateConfig, Request, Sampling, Truncation, generate},
    model::{FrozenKv, Layout, StepPass},
};
use early_exit_model::{
    EarlyExitModel, Engine, ExitConfig, Exits, Rule, Sequences, Skipped,
    engine::{ExitCompletion, LeftRows},
};
use rl_core::seed::Seed;
use tch::{Kind, Tensor};

use crate::{
    common::{FAMILIES, LAYERS, ROUNDING, ids, max_abs_diff, model, places, tensor, tiny},
    naive,
};

/// Prompts of different lengths, two of them equal.
fn requests() -> Vec<Request> {
    [5, 3, 5, 8]
        .iter()
        .enumerate()
        .map(|(i, &n)| Request { prompt: ids(n, 20 + n as u64), seed: 40 + i as u64 })
        .collect()
}

fn config(new: usize) -> GenerateConfig {
    GenerateConfig {
        max_new_tokens: new,
        sampling: Sampling::Random(Truncation::default()),
        log_probs: true,
        ..GenerateConfig::default()
    }
}

fn run(engine: &Engine, rule: &Rule, new: usize) -> Vec<ExitCompletion> {
    engine.generate(&requests(), &config(new), rule, &mut |_| Flow::Continue).unwrap()
}

fn with_skipped(lm: &causal_lm::CausalLm, skipped: Skipped) -> EarlyExitModel {
    let base = model(lm, false);
    let config = ExitConfig { skipped, ..base.config().clone() };
    let other = EarlyExitModel::new(lm, &config, Seed::new(3)).unwrap();
    let _guard = tch::no_grad_guard();
    for ((_, mut to), (_, from)) in
        other.named_parameters().into_iter().zip(base.named_parameters())
    {
        to.copy_(&from);
    }
    other
}

/// Scores a completion in one parallel pass with its exits prescribed: log-probabilities of tokens
/// and exits.
fn replay(model: &EarlyExitModel, request: &Request, made: &ExitCompletion) -> [Tensor; 2] {
    let _guard = tch::no_grad_guard();
    let prompt = request.prompt.len();
    let made_ids = &made.completion.ids;
    let row: Vec<u32> =
        request.prompt.iter().chain(&made_ids[..made_ids.len() - 1]).copied().collect();
    let tokens = tensor(std::slice::from_ref(&row));
    let free = places(&(prompt..row.len()).collect::<Vec<_>>());
    let exits: Vec<i64> = made.exits.iter().map(|exit| exit.blocks as i64).collect();
    let exits = Tensor::from_slice(&exits);
    let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
    let traced = model.forward(&sequences, Exits::Prescribed(&exits)).unwrap();
    let states = traced.hidden.get(0).narrow(0, prompt as i64 - 1, made_ids.len() as i64);
    let targets: Vec<i64> = made_ids.iter().map(|&id| i64::from(id)).collect();
    let log_probs = model
        .model()
        .logits(&states)
        .log_softmax(-1, Kind::Float)
        .gather(1, &Tensor::from_slice(&targets).unsqueeze(1), false)
        .squeeze_dim(1);
    let sites = traced.log_prob(model.sites());
    [log_probs, sites.unwrap_or_else(|_| Tensor::zeros([0], (Kind::Float, tch::Device::Cpu)))]
}

/// Property 7, for every family, with and without packed kernels, adapter and ablations.
#[test]
fn a_rollout_replayed_in_parallel_is_the_same() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        for (skipped, adapter) in [
            (Skipped::Propagate, true),
            (Skipped::Propagate, false),
            (Skipped::Backfill, false),
            (Skipped::Hide, false),
        ] {
            let exits = if adapter { model(&lm, true) } else { with_skipped(&lm, skipped) };
            for packed in [true, false] {
                let engine = Engine::new(&exits, packed);
                let made = run(&engine, &Rule::Sample, 12);
                let mut depths = std::collections::BTreeSet::new();
                for (request, made) in requests().iter().zip(&made) {
                    depths.extend(made.exits.iter().map(|exit| exit.blocks));
                    assert_eq!(made.exits.len(), made.completion.ids.len() - 1);
                    let [tokens, gates] = replay(&exits, request, made);
                    let said: Vec<f32> = made.exits.iter().map(|exit| exit.log_prob).collect();
                    let gap =
                        max_abs_diff(&tokens, &Tensor::from_slice(&made.completion.log_probs));
                    assert!(gap < ROUNDING, "{family} {skipped:?} {adapter} {packed}: {gap}");
                    let gap = max_abs_diff(&gates, &Tensor::from_slice(&said));
                    assert!(gap < ROUNDING, "{family} {skipped:?} {adapter} {packed}: exits {gap}");
                }
                assert!(depths.len() > 2, "{depths:?}");
            }
        }
    }
}

/// Property 6 and the controls: every depth, forced or prescribed, is that of the parallel pass.
#[test]
fn forced_depths_are_those_of_the_parallel_pass() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let exits = model(&lm, false);
        let engine = Engine::new(&exits, true);
        for blocks in 1..=LAYERS {
            for (request, made) in requests().iter().zip(run(&engine, &Rule::Forced(blocks), 6)) {
                assert!(made.exits.iter().all(|exit| exit.blocks == blocks));
                assert_eq!(made.depth(), Some(blocks as f64));
                let [tokens, _] = replay(&exits, request, &made);
                let gap = max_abs_diff(&tokens, &Tensor::from_slice(&made.completion.log_probs));
                assert!(gap < ROUNDING, "{family} {blocks}: {gap}");
            }
        }
        let wanted: Vec<Vec<usize>> =
            (0..4).map(|r| (0..5).map(|t| 1 + (r + 2 * t) % 6).collect()).collect();
        for (r, (request, made)) in
            requests().iter().zip(run(&engine, &Rule::Prescribed(wanted.clone()), 8)).enumerate()
        {
            let found: Vec<usize> = made.exits.iter().map(|exit| exit.blocks).collect();
            assert_eq!(found[..5], wanted[r]);
            assert_eq!(found[5..], [LAYERS; 2]);
            let [tokens, _] = replay(&exits, request, &made);
            let gap = max_abs_diff(&tokens, &Tensor::from_slice(&made.completion.log_probs));
            assert!(gap < ROUNDING, "{family}: {gap}");
        }
    }
}

/// Property 9: a row's tokens and exits do not depend on the rows beside it.
#[test]
fn rows_do_not_see_each_other() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let engine = Engine::new(&model(&lm, true), true);
        let stops = GenerateConfig { stop_tokens: (0..4).collect(), ..config(14) };
        for rule in
            [Rule::Sample, Rule::Random(vec![1.0, 0.0, 1.0, 2.0]), Rule::Greedy, Rule::Teacher(1.0)]
        {
            let together =
                engine.generate(&requests(), &stops, &rule, &mut |_| Flow::Continue).unwrap();
            for (request, beside) in requests().into_iter().zip(together) {
                let alone =
                    engine.generate(&[request], &stops, &rule, &mut |_| Flow::Continue).unwrap();
                assert_eq!(alone[0].completion.ids, beside.completion.ids, "{family} {rule:?}");
                let blocks = |made: &ExitCompletion| {
                    made.exits.iter().map(|exit| exit.blocks).collect::<Vec<_>>()
                };
                assert_eq!(blocks(&alone[0]), blocks(&beside), "{family} {rule:?}");
            }
        }
    }
}

/// Rows that are carried along as they are give the answers, log-probabilities and cached states of
/// rows that are dropped.
#[test]
fn what_becomes_of_rows_that_left_changes_no_answer() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        for skipped in [Skipped::Propagate, Skipped::Hide, Skipped::Backfill] {
            let model = with_skipped(&lm, skipped);
            for packed in [false, true] {
                let dropped = Engine::new(&model, packed);
                let carried = Engine::new(&model, packed).with_left_rows(LeftRows::Carried);
                for rule in [
                    Rule::Sample,
                    Rule::Random(vec![1.0, 1.0, 1.0, 1.0]),
                    Rule::Forced(1),
                    Rule::Prescribed(vec![vec![1; 9], vec![2; 9], vec![3; 9], vec![1, 3, 2]]),
                ] {
                    let [one, other] = [&dropped, &carried].map(|engine| run(engine, &rule, 10));
                    for (one, other) in one.iter().zip(&other) {
                        let what = format!("{family} {skipped:?} {packed} {rule:?}");
                        assert_eq!(one.completion.ids, other.completion.ids, "{what}");
                        let ends = one.completion.log_probs.iter().zip(&other.completion.log_probs);
                        let tokens = ends.map(|(a, b)| (a - b).abs());
                        let exits = one.exits.iter().zip(&other.exits).map(|(a, b)| {
                            assert_eq!(a.blocks, b.blocks, "{what}");
                            (a.log_prob - b.log_prob).abs()
                        });
                        let worst = tokens.chain(exits).fold(0.0, f32::max);
                        assert!(worst < 1e-4, "{what}: {worst}");
                    }
                }
            }
        }
    }
}

/// Properties 1 and 14: rules that never let go, and back-filling ones under which all tokens are
/// computed in full, give the plain model's text.
#[test]
fn lossless_modes_give_the_plain_text() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let exits = model(&lm, false);
        let plain: Vec<Completion> =
            generate(&lm.packed(), &requests(), &config(12), &mut |_| Flow::Continue).unwrap();
        let engine = Engine::new(&exits, true);
        let never = Rule::Random(vec![0.0, 0.0, 0.0, 1.0]);
        for rule in [Rule::Off, Rule::Threshold(1.0), Rule::Forced(LAYERS), never] {
            for (made, plain) in run(&engine, &rule, 12).iter().zip(&plain) {
                assert_eq!(made.completion.ids, plain.ids, "{family} {rule:?}");
                assert!(made.exits.iter().all(|exit| exit.blocks == LAYERS));
                assert_eq!(made.depth(), Some(LAYERS as f64));
            }
        }
        // To the bit where no rule is asked.
        for (made, plain) in run(&engine, &Rule::Off, 12).iter().zip(&plain) {
            assert_eq!(made.completion, *plain);
        }
    }
}

/// Property 8: keys and values of skipped blocks are those of the unchanged state, projected block
/// by block.
#[test]
fn skipped_blocks_have_the_frozen_states_keys() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let row = ids(9, 2);
        // Tokens 5 to 8 are decoded and leave before blocks 2, 6 (never), 1 and 4.
        let exits = [6, 6, 6, 6, 6, 2, 6, 1, 4];
        let expected = naive::forward(&lm, &row, &exits, Skipped::Propagate);
        for packed in [false, true] {
            let _guard = tch::no_grad_guard();
            let frozen = FrozenKv::new(&lm, packed);
            let lm = if packed { lm.packed() } else { lm.shallow_clone() };
            let mut cache = KvCache::new(lm.config(), vec![0], 9, lm.kind(), lm.device()).unwrap();
            let _ = lm.hidden_cached(&tensor(&[row[..5].to_vec()]), &mut cache).unwrap();
            for token in 5..9 {
                let mut pass =
                    StepPass::new(&lm, &tensor(&[vec![row[token]]]), &mut cache, None).unwrap();
                pass.run_to(exits[token]);
                let left = pass.leave(&[0]);
                assert!(pass.rows().is_empty());
                pass.run_to(LAYERS);
                pass.finish(Some(&frozen));
                let state = &expected.states[LAYERS][token];
                assert!(max_abs_diff(&left.get(0), state) < ROUNDING, "{family} {token}");
            }
            for block in 0..LAYERS {
                let [keys, values] = cache.written(block);
                for token in 0..9 {
                    let at = |t: &Tensor| t.get(0).select(1, token as i64);
                    let gap = max_abs_diff(&at(&keys), &expected.keys[block][token])
                        .max(max_abs_diff(&at(&values), &expected.values[block][token]));
                    assert!(gap < ROUNDING, "{family} {packed} block {block} token {token}: {gap}");
                }
            }
        }
    }
}

/// Left padding and ragged exits, without packed kernels and with them, against single rows.
#[test]
fn the_random_control_follows_its_histogram() {
    let lm = tiny("llama", 1);
    let engine = Engine::new(&model(&lm, false), true);
    let made = run(&engine, &Rule::Random(vec![1.0, 0.0, 1.0, 0.0]), 40);
    let exits: Vec<usize> = made.iter().flat_map(|m| m.exits.iter().map(|e| e.blocks)).collect();
    assert!(exits.iter().all(|blocks| [1, 5].contains(blocks)));
    let early = exits.iter().filter(|&&blocks| blocks == 1).count() as f64;
    let n = exits.len() as f64;
    // Four standard deviations.
    assert!((early - n / 2.0).abs() < 2.0 * n.sqrt(), "{early} of {n}");
}

#[test]
fn rules_that_do_not_fit_are_refused() {
    let lm = tiny("llama", 1);
    let engine = Engine::new(&model(&lm, false), false);
    for (rule, expected) in [
        (Rule::Forced(0), "forced: expected 1 to 6 blocks, found 0"),
        (Rule::Forced(7), "forced: expected 1 to 6 blocks, found 7"),
        (Rule::Threshold(-0.1), "threshold: expected a probability, found -0.1"),
        (Rule::Teacher(0.0), "kappa: expected a number above 0, found 0"),
        (Rule::Prescribed(vec![vec![9]]), "prescribed: expected 1 to 6 blocks, found 9"),
        (
            Rule::Random(vec![1.0]),
            "random: expected 4 weights, not below 0, not all 0, found [1.0]",
        ),
    ] {
        assert_eq!(engine.decoder(&rule).unwrap_err().to_string(), expected);
    }
    let long = Request { prompt: ids(60, 1), seed: 0 };
    let found = engine.generate(&[long], &config(10), &Rule::Sample, &mut |_| Flow::Continue);
    assert!(found.unwrap_err().to_string().contains("at most 54 tokens"));
}
