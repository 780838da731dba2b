//! Scores against enumeration, by hand, and across ways to compute them.

use causal_lm::{
    finetune::Packing,
    lora::{LoraAdapter, LoraConfig, Target},
};
use cot_metrics::{
    Error,
    scoring::{ArmScore, Before, Case, Cut, Marker, RolloutConfig, ScoreConfig, rollouts, score},
};
use tch::{Kind, Tensor};

use crate::models::{bigram, changed, config, random};

/// Sums of a few f32 logarithms of about 3.
const ROUNDING: f64 = 1e-4;

fn before(prompt: &[u32], chain: &[u32], bridge: &[u32]) -> Before {
    Before { prompt: prompt.to_vec(), chain: chain.to_vec(), bridge: bridge.to_vec() }
}

fn log_probs(scores: &[ArmScore]) -> Vec<f64> {
    scores.iter().map(|score| score.log_prob().unwrap()).collect()
}

fn table() -> Vec<Vec<f64>> {
    vec![
        vec![0.1, 0.2, 0.3, 0.4],
        vec![0.25, 0.25, 0.125, 0.375],
        vec![0.7, 0.1, 0.1, 0.1],
        vec![0.05, 0.05, 0.8, 0.1],
    ]
}

#[test]
fn a_bigram_model_scores_what_is_worked_out_by_hand() {
    let lm = bigram(&table(), 32);
    let arms = vec![before(&[0], &[1, 2], &[3]), before(&[0], &[], &[1]), before(&[2], &[], &[])];
    let case = Case { id: "a".into(), arms, answer: vec![2, 0, 3] };
    let scores = score(&lm, &[case], &ScoreConfig::default()).unwrap();
    let then = 0.7_f64.ln() + 0.4_f64.ln();
    let expected = [0.8_f64.ln() + then, 0.125_f64.ln() + then, 0.1_f64.ln() + then];
    for (found, expected) in log_probs(&scores[0]).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    assert!(matches!(scores[0][0], ArmScore::Scored { tokens: 3, .. }));
}

#[test]
fn probabilities_of_all_answers_of_a_length_sum_to_one() {
    let lm = random(&config(6, 8, 32), Kind::Float);
    let cases: Vec<Case> = (0..6 * 6 * 6)
        .map(|i| Case {
            id: i.to_string(),
            arms: vec![before(&[1, 4], &[2, 2, 5], &[0]), before(&[3], &[], &[])],
            answer: vec![i / 36, i / 6 % 6, i % 6],
        })
        .collect();
    let scores = score(&lm, &cases, &ScoreConfig::default()).unwrap();
    for arm in 0..2 {
        let sum: f64 = scores.iter().map(|s| s[arm].log_prob().unwrap().exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}

/// Cases of mixed lengths whose arms begin alike in different ways.
fn mixed() -> Vec<Case> {
    (0..7_u32)
        .map(|i| {
            let prompt: Vec<u32> = (0..=i).map(|t| (3 * t + i) % 11).collect();
            let chain: Vec<u32> = (0..2 * i).map(|t| (t * t + 1) % 11).collect();
            let other: Vec<u32> = chain.iter().map(|t| (t + 5) % 11).collect();
            let asked: Vec<u32> = prompt.iter().copied().chain([10]).collect();
            Case {
                id: i.to_string(),
                arms: vec![
                    before(&prompt, &chain, &[9]),
                    before(&asked, &[], &[9]),
                    before(&asked, &chain, &[9]),
                    before(&prompt, &other, &[9]),
                ],
                answer: (0..=i % 3).map(|t| (t + i) % 11).collect(),
            }
        })
        .collect()
}

#[test]
fn passes_padding_and_sharing_change_nothing() {
    let lm = random(&config(11, 16, 64), Kind::Float);
    let cases = mixed();
    let plain = ScoreConfig { cases: 1, pass_tokens: 1, packing: Packing::Padded, logit_rows: 1 };
    let expected = score(&lm, &cases, &plain).unwrap();
    for packing in [Packing::Padded, Packing::Packed, Packing::Shared] {
        for (cases_at_once, pass_tokens) in [(1, 64), (7, 24), (7, 4096)] {
            let settings =
                ScoreConfig { cases: cases_at_once, pass_tokens, packing, logit_rows: 3 };
            let found = score(&lm, &cases, &settings).unwrap();
            for (found, expected) in found.concat().iter().zip(expected.concat()) {
                let (found, expected) = (found.log_prob().unwrap(), expected.log_prob().unwrap());
                assert!((found - expected).abs() < ROUNDING, "{packing:?} {found} {expected}");
            }
        }
    }
    // The order of the cases is that of the answers, whatever is planned together.
    let mut turned = cases.clone();
    turned.reverse();
    let mut found = score(&lm, &turned, &ScoreConfig::default()).unwrap();
    found.reverse();
    for (found, expected) in found.concat().iter().zip(expected.concat()) {
        assert!((found.log_prob().unwrap() - expected.log_prob().unwrap()).abs() < ROUNDING);
    }
}

#[test]
fn an_edit_that_changes_nothing_scores_exactly_the_same() {
    let lm = random(&config(11, 16, 64), Kind::BFloat16);
    let mut cases = mixed();
    for case in &mut cases {
        case.arms = vec![case.arms[0].clone(), case.arms[3].clone(), case.arms[0].clone()];
    }
    for scores in score(&lm, &cases, &ScoreConfig::default()).unwrap() {
        assert_eq!(scores[0], scores[2]);
    }
}

#[test]
fn log_probabilities_of_bf16_logits_are_f32() {
    // Probabilities near certainty: in bf16, 1 − 2⁻¹² and 1 are one number, and its logarithm 0.
    let near = 1.0 - 2.0_f64.powi(-12);
    let rest = (1.0 - near) / 3.0;
    let rows: Vec<Vec<f64>> =
        (0..4).map(|i| (0..4).map(|j| if i == j { near } else { rest }).collect()).collect();
    let lm = bigram(&rows, 16).to_kind(Kind::BFloat16);
    let case = Case { id: "a".into(), arms: vec![before(&[2], &[], &[])], answer: vec![2] };
    let found = log_probs(&score(&lm, &[case], &ScoreConfig::default()).unwrap()[0])[0];
    assert!(found < 0.0 && found > -1e-3, "{found}");
}

#[test]
fn spans_that_cannot_be_scored_are_errors_or_flagged() {
    let lm = random(&config(11, 16, 8), Kind::Float);
    let case = |arm: Before, answer: &[u32]| Case {
        id: "case 7".into(),
        arms: vec![arm],
        answer: answer.to_vec(),
    };
    let settings = ScoreConfig::default();
    for (case, says) in [
        (case(before(&[1], &[], &[]), &[]), "case 7: answer: expected at least one token"),
        (case(before(&[], &[], &[]), &[1]), "before the answer in arm 0: expected at least one"),
        (case(before(&[11], &[], &[]), &[1]), "case 7: tokens: expected ids below 11, found 11"),
        (case(before(&[1], &[], &[]), &[12]), "case 7: tokens: expected ids below 11, found 12"),
    ] {
        let error = score(&lm, &[case], &settings).unwrap_err();
        assert!(matches!(error, Error::Span { .. }));
        assert!(error.to_string().contains(says), "{error}");
    }
    let long = case(before(&[1; 4], &[2; 4], &[3]), &[1]);
    let fits = case(before(&[1; 4], &[2; 2], &[3]), &[1]);
    let scores = score(&lm, &[long, fits], &settings).unwrap();
    assert_eq!(scores[0], [ArmScore::TooLong { tokens: 10, limit: 8 }]);
    assert!(scores[1][0].log_prob().unwrap() < 0.0);
    let bad = ScoreConfig { logit_rows: 0, ..settings };
    assert_eq!(
        score(&lm, &[], &bad).unwrap_err().to_string(),
        "logit_rows: expected at least 1, found 0"
    );
}

#[test]
fn an_adapter_that_adds_nothing_changes_no_bit() {
    let lm = random(&config(11, 16, 64), Kind::Float);
    let adapter = LoraAdapter::new(lm.config(), &LoraConfig::default(), 3).unwrap();
    let adapted = lm.with_adapter(Some(adapter)).unwrap();
    let settings = ScoreConfig::default();
    assert_eq!(
        score(&lm, &mixed(), &settings).unwrap(),
        score(&adapted, &mixed(), &settings).unwrap()
    );
}

/// A model in which nothing but what the blocks write reaches the head, and an adapter that cancels
/// all of it: every token is then equally likely.
#[test]
fn an_adapter_that_cancels_what_reaches_the_head_gives_uniform_answers() {
    const WIDTH: i64 = 16;
    let half = WIDTH / 2;
    let sizes = config(11, WIDTH as usize, 64);
    // Embeddings are in the first half of the stream, and blocks write into the second.
    let lm = changed(&sizes, Kind::Float, |name, tensor| {
        if name.contains("o_proj") || name.contains("down_proj") {
            let _ = tensor.narrow(0, 0, half).zero_();
        } else if name.contains("embed_tokens") {
            let _ = tensor.narrow(1, half, half).zero_();
        } else if name.contains("lm_head") {
            let _ = tensor.narrow(1, 0, half).zero_();
        }
        tensor
    });
    let targets = vec![Target::OProj, Target::DownProj];
    let lora = LoraConfig { rank: WIDTH as usize, alpha: WIDTH as f64, targets };
    let adapter = LoraAdapter::new(&sizes, &lora, 0).unwrap();
    for (i, block) in lm.blocks().iter().enumerate() {
        let layer = adapter.layer(i);
        for (pair, linear) in
            [(&layer.o, &block.attention.out), (&layer.down, &block.feed_forward.down)]
        {
            let pair = pair.as_ref().unwrap();
            let weight = &linear.weight;
            pair.a.shallow_clone().copy_(&Tensor::eye(WIDTH, (Kind::Float, tch::Device::Cpu)));
            pair.b.shallow_clone().copy_(&-weight);
        }
    }
    let adapted = lm.with_adapter(Some(adapter)).unwrap();
    let settings = ScoreConfig::default();
    let (with, without) =
        (score(&adapted, &mixed(), &settings).unwrap(), score(&lm, &mixed(), &settings).unwrap());
    for (case, (with, without)) in mixed().iter().zip(with.iter().zip(&without)) {
        let uniform = -(case.answer.len() as f64) * 11_f64.ln();
        for (with, without) in log_probs(with).iter().zip(log_probs(without)) {
            assert!((with - uniform).abs() < 1e-5, "{with} {uniform}");
            assert!((without - uniform).abs() > 1e-2, "a forgotten adapter would not be seen");
        }
    }
}

#[test]
fn a_model_answers_with_a_chain_of_its_own() {
    // 0 → 1 → 2 (the marker) → 3 → 7 (the end): the likeliest way.
    let likely =
        |next: usize| -> Vec<f64> { (0..8).map(|j| if j == next { 0.93 } else { 0.01 }).collect() };
    let lm = bigram(&[1, 2, 3, 7, 0, 0, 0, 0].map(likely), 16);
    let settings = RolloutConfig { max_new_tokens: 6, ..RolloutConfig::default() };
    let marker = Marker::Tokens(vec![2]);
    let made = rollouts(&lm, None, &[vec![4, 0], vec![2]], &marker, &settings).unwrap();
    let (chain, bridge, answer) = (vec![1], vec![2], vec![3]);
    assert_eq!(made[0].cut, Cut::Whole { chain, bridge, answer });
    assert_eq!((made[0].end, made[0].scored_answer()), (Some(7), Some(vec![3, 7])));
    // It answers at once and never says where its chain ends.
    assert_eq!((&made[1].cut, made[1].scored_answer()), (&Cut::Unmarked, None));
    let short = RolloutConfig { max_new_tokens: 3, ..settings.clone() };
    let made = rollouts(&lm, None, &[vec![4, 0]], &marker, &short).unwrap();
    assert_eq!((made[0].end, made[0].scored_answer()), (None, None), "the limit cut it off");
    let cold = RolloutConfig { temperature: -1.0, ..settings };
    assert!(rollouts(&lm, None, &[vec![0]], &marker, &cold).is_err());
}

/// Text and scores come from the same model: each token of a rollout is the one that the scorer, with the
/// adapter, finds likeliest after those before it.
#[test]
fn a_rollout_is_of_the_model_with_its_adapter() {
    let lm = random(&config(11, 16, 32), Kind::Float);
    let adapter = LoraAdapter::new(lm.config(), &LoraConfig::default(), 3).unwrap();
    tch::manual_seed(5);
    for i in 0..lm.blocks().len() {
        let layer = adapter.layer(i);
        for pair in [&layer.q, &layer.o, &layer.down].into_iter().flatten() {
            let _ = pair.b.shallow_clone().normal_(0.0, 0.5);
        }
    }
    let adapted = lm.with_adapter(Some(adapter)).unwrap();
    let prompts: Vec<Vec<u32>> = (0..6).map(|i| vec![i, 3, 2 * i % 5]).collect();
    let settings = RolloutConfig { max_new_tokens: 6, ..RolloutConfig::default() };
    let said = |lm: &causal_lm::CausalLm| -> Vec<Vec<u32>> {
        let made = rollouts(lm, None, &prompts, &Marker::Tokens(vec![9]), &settings).unwrap();
        made.into_iter().map(|made| made.ids.into_iter().chain(made.end).collect()).collect()
    };
    let found = said(&adapted);
    for (prompt, ids) in prompts.iter().zip(&found) {
        for (at, &id) in ids.iter().enumerate() {
            let before = before(prompt, &ids[..at], &[]);
            let cases: Vec<Case> = (0..11)
                .map(|token| Case {
                    id: token.to_string(),
                    arms: vec![before.clone()],
                    answer: vec![token],
                })
                .collect();
            let scores =
                log_probs(&score(&adapted, &cases, &ScoreConfig::default()).unwrap().concat());
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert!(scores[id as usize] > most - ROUNDING, "{ids:?} at {at}: {scores:?}");
        }
    }
    assert_ne!(found, said(&lm), "the adapter would not be missed");
}

/// What all logits of these answers would take is several times what may be held.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_number_of_examples() {
    const VOCAB: u32 = 20_000;
    const ALLOWED: u64 = 200 << 20;
    let lm = random(&config(VOCAB as usize, 16, 64), Kind::Float);
    let case = |i: u32| Case {
        id: i.to_string(),
        arms: vec![before(&[i, 1, 2], &[3; 4], &[5]), before(&[i, 1, 9], &[], &[5])],
        answer: (0..8).map(|t| (i * 8 + t) % VOCAB).collect(),
    };
    let cases: Vec<Case> = (0..1_000).map(case).collect();
    let settings = ScoreConfig { logit_rows: 64, ..ScoreConfig::default() };
    // What libtorch takes once is not to count.
    score(&lm, &cases[..20], &settings).unwrap();
    let before = rl_core::memory::peak_bytes().unwrap();
    let scores = score(&lm, &cases, &settings).unwrap();
    let grown = rl_core::memory::peak_bytes().unwrap() - before;
    let all = u64::from(VOCAB) * 4 * 8 * 2 * 1_000;
    assert!(scores.len() == 1_000 && grown < ALLOWED, "{grown} of {all} bytes");
}
