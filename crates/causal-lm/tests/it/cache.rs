//! One answer, however it is computed: cached or not, alone or beside others, padded or not, with a
//! prompt of its own or a shared one, by the fused kernels or by libtorch's operations.

use causal_lm::{
    CausalLm,
    cache::KvCache,
    generate::{Flow, GenerateConfig, Request, Sampling, Truncation, generate},
    model::{Branch, Layout},
    score::{ScoreConfig, Span, score},
};
use proptest::prelude::*;
use tch::{Device, Kind};

use crate::common::{TINY, ids_tensor, max_abs_diff, tiny};

/// Rounding of f32 sums in another order.
const TOLERANCE: f64 = 1e-4;

fn prompt(len: usize, salt: u32) -> Vec<u32> {
    (0..len as u32).map(|i| (i * 37 + salt * 11 + i * i) % 96).collect()
}

fn run(lm: &CausalLm, requests: &[Request], config: &GenerateConfig) -> Vec<Vec<u32>> {
    let made = generate(lm, requests, config, &mut |_| Flow::Continue).unwrap();
    made.into_iter().map(|c| c.ids).collect()
}

#[test]
fn cached_steps_equal_one_pass() {
    let ids = prompt(30, 3);
    for name in TINY {
        let plain = tiny(name, Kind::Float);
        let whole = plain.hidden(&ids_tensor(&ids), &Layout::Dense).unwrap();
        for lm in [plain.packed(), plain.shallow_clone()] {
            // A prefill, a chunk over the cache, then single steps.
            let mut cache =
                KvCache::new(lm.config(), vec![0], ids.len(), lm.kind(), Device::Cpu).unwrap();
            let mut from = 0;
            for to in [5, 9].into_iter().chain(10..=ids.len()) {
                let part = ids_tensor(&ids[from..to]);
                let hidden = tch::no_grad(|| lm.hidden_cached(&part, &mut cache).unwrap());
                let expected = whole.narrow(1, from as i64, (to - from) as i64);
                let diff = max_abs_diff(&hidden, &expected);
                assert!(diff <= TOLERANCE, "{name}, tokens {from}..{to}: {diff}");
                from = to;
            }
        }
    }
}

#[test]
fn padding_changes_nothing() {
    for name in TINY {
        let lm = tiny(name, Kind::Float);
        let (short, long) = (prompt(9, 1), prompt(14, 2));
        let alone = lm.hidden(&ids_tensor(&short), &Layout::Dense).unwrap();
        let zeros = vec![0; 5];
        let rows = |first: Vec<u32>| tch::Tensor::cat(&[ids_tensor(&first), ids_tensor(&long)], 0);
        let left = rows([zeros.clone(), short.clone()].concat());
        let right = rows([short.clone(), zeros].concat());
        let left = lm.hidden(&left, &Layout::LeftPadded(vec![9, 14])).unwrap();
        let right = lm.hidden(&right, &Layout::RightPadded(vec![9, 14])).unwrap();
        for (padded, from) in [(left, 5), (right, 0)] {
            let diff = max_abs_diff(&padded.narrow(0, 0, 1).narrow(1, from, 9), &alone);
            assert!(diff <= TOLERANCE, "{name}, from {from}: {diff}");
        }
        let packed = ids_tensor(&[short.clone(), long.clone()].concat());
        let packed = lm.hidden(&packed, &Layout::Packed(vec![vec![9, 14]])).unwrap();
        let second = lm.hidden(&ids_tensor(&long), &Layout::Dense).unwrap();
        assert!(max_abs_diff(&packed.narrow(1, 0, 9), &alone) <= TOLERANCE, "{name}");
        assert!(max_abs_diff(&packed.narrow(1, 9, 14), &second) <= TOLERANCE, "{name}");
    }
}

/// Rows `ab`, `ac`, `a` and `d`, where `a` is longer than the sliding windows of these models.
#[test]
fn rows_that_share_tokens_are_as_if_alone() {
    for name in TINY {
        let lm = tiny(name, Kind::Float);
        let [a, b, c, d] = [(10, 1), (3, 2), (6, 3), (5, 4)].map(|(n, seed)| prompt(n, seed));
        let branches = [(0, 13), (10, 6), (10, 0), (0, 5)];
        let layout =
            Layout::Shared(branches.iter().map(|&(shared, own)| Branch { shared, own }).collect());
        let flat = [a.clone(), b.clone(), c.clone(), d.clone()].concat();
        let found = lm.hidden(&ids_tensor(&flat), &layout).unwrap();
        let alone = |ids: Vec<u32>| lm.hidden(&ids_tensor(&ids), &Layout::Dense).unwrap();
        let (first, second) = (alone([a.clone(), b].concat()), alone([a, c].concat()));
        let expected = [first, second.narrow(1, 10, 6), alone(d)].map(|t| t.squeeze_dim(0));
        let diff = max_abs_diff(&found.squeeze_dim(0), &tch::Tensor::cat(&expected, 0));
        assert!(diff <= TOLERANCE, "{name}: {diff}");
    }
}

#[test]
fn rows_that_cannot_share_are_refused() {
    let lm = tiny("llama", Kind::Float);
    let ids = ids_tensor(&prompt(5, 1));
    for (branches, complaint) in [
        (vec![(0, 4)], "tokens of all rows, shared ones counted once"),
        (vec![(1, 5)], "tokens that row 0 shares with the row before it"),
        (vec![(0, 2), (3, 3)], "tokens that row 1 shares with the row before it"),
        (vec![(0, 5), (0, 0)], "tokens that row 1 shares"),
    ] {
        let branches = branches.iter().map(|&(shared, own)| Branch { shared, own }).collect();
        let error = lm.hidden(&ids, &Layout::Shared(branches)).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    let sampling = Sampling::Random(Truncation { top_p: Some(0.9), ..Truncation::default() });
    let config = GenerateConfig { max_new_tokens: 12, sampling, ..GenerateConfig::default() };
    let requests: Vec<Request> = [(4, 1), (11, 2), (4, 1), (1, 3), (4, 1)]
        .iter()
        .enumerate()
        .map(|(i, &(len, salt))| Request { prompt: prompt(len, salt), seed: i as u64 })
        .collect();
    for name in ["llama", "qwen3", "gpt_neox", "olmo3"] {
        for lm in [tiny(name, Kind::Float), tiny(name, Kind::Float).packed()] {
            let together = run(&lm, &requests, &config);
            let small = run(&lm, &requests, &GenerateConfig { batch_size: 2, ..config.clone() });
            let alone: Vec<Vec<u32>> =
                requests.iter().flat_map(|r| run(&lm, std::slice::from_ref(r), &config)).collect();
            assert_eq!(together, alone, "{name}");
            assert_eq!(together, small, "{name}");
        }
    }
}

#[test]
fn rows_end_and_leave() {
    let lm = tiny("llama", Kind::Float).packed();
    let config = GenerateConfig { max_new_tokens: 20, ..GenerateConfig::default() };
    let requests: Vec<Request> =
        (1..9).map(|i| Request { prompt: prompt(i as usize, i), seed: 0 }).collect();
    let full = run(&lm, &requests, &config);
    // The token that row 2 makes at its sixth step ends every row that makes it.
    let stop = full[2][5];
    let config = GenerateConfig { stop_tokens: vec![stop], ..config };
    for (short, full) in run(&lm, &requests, &config).iter().zip(&full) {
        let end = full.iter().position(|&t| t == stop).map_or(full.len(), |i| i + 1);
        assert_eq!(short[..], full[..end]);
    }
}

#[test]
fn reported_log_probs_are_those_of_the_scorer() {
    let sampling = Sampling::Random(Truncation::default());
    let config = GenerateConfig {
        max_new_tokens: 9,
        sampling,
        log_probs: true,
        ..GenerateConfig::default()
    };
    let requests: Vec<Request> =
        (0..4).map(|i| Request { prompt: prompt(6, i % 2), seed: u64::from(i) }).collect();
    for name in TINY {
        let lm = tiny(name, Kind::Float);
        let made = generate(&lm.packed(), &requests, &config, &mut |_| Flow::Continue).unwrap();
        let spans: Vec<Span> = requests
            .iter()
            .zip(&made)
            .map(|(r, c)| Span { context: r.prompt.clone(), continuation: c.ids.clone() })
            .collect();
        let scores = score(&lm, &spans, &ScoreConfig::default()).unwrap();
        // Shared contexts are read once; alone each span takes the other path.
        for ((span, scored), made) in spans.iter().zip(&scores).zip(&made) {
            let alone = score(&lm, std::slice::from_ref(span), &ScoreConfig::default()).unwrap();
            for ((a, b), c) in scored.iter().zip(&alone[0]).zip(&made.log_probs) {
                assert!(f64::from((a - b).abs().max((a - c).abs())) < TOLERANCE, "{name}");
            }
        }
    }
}

#[test]
fn impossible_prompts_are_refused() {
    let lm = tiny("llama", Kind::Float);
    let config = GenerateConfig { max_new_tokens: 8, ..GenerateConfig::default() };
    let refuse = |prompt: Vec<u32>| {
        let request = [Request { prompt, seed: 0 }];
        generate(&lm, &request, &config, &mut |_| Flow::Continue).unwrap_err().to_string()
    };
    assert_eq!(refuse(vec![]), "prompt 0: expected at least one token, found none");
    assert_eq!(refuse(vec![96]), "prompt 0: expected token ids below 96, found 96");
    assert_eq!(
        refuse(vec![1; 249]),
        "prompt 0: expected at most 248 tokens (a context of 256 less 8 new tokens), found 249 tokens"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn scores_do_not_depend_on_batching(
        spans in proptest::collection::vec((1_usize..20, 0_usize..12, 0_u32..3), 1..8),
        batch_tokens in 1_usize..200,
        logit_rows in 1_usize..40,
    ) {
        let lm = tiny("qwen3", Kind::Float);
        let spans: Vec<Span> = spans
            .into_iter()
            .map(|(c, n, salt)| Span { context: prompt(c, salt), continuation: prompt(n, salt + 7) })
            .collect();
        let scores = score(&lm, &spans, &ScoreConfig { batch_tokens, logit_rows }).unwrap();
        for (span, scores) in spans.iter().zip(&scores) {
            let ids = [span.context.clone(), span.continuation.clone()].concat();
            let hidden = lm.hidden(&ids_tensor(&ids), &Layout::Dense).unwrap();
            let log_probs = lm.logits(&hidden).squeeze_dim(0).log_softmax(-1, Kind::Double);
            prop_assert_eq!(scores.len(), span.continuation.len());
            for (i, (&token, &found)) in span.continuation.iter().zip(scores).enumerate() {
                let at = (span.context.len() - 1 + i) as i64;
                let expected = log_probs.double_value(&[at, i64::from(token)]);
                prop_assert!((expected - f64::from(found)).abs() < TOLERANCE);
            }
        }
    }
}
