//! Published classifiers as rewards.

use std::path::Path;

use causal_lm::{LoadOptions, classifier::Classifier, tokenizer::Tokenizer};
use klq::{
    Error,
    reward::{Answer, Prompt, Reward as _, RewardModel},
};
use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

/// Padding and end of text of the golden classifiers.
const END: u32 = 95;

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../causal-lm/tests/golden/classifier/gpt_neox")
}

/// A letter for each id, as `spell` has it.
fn tokenizer(size: u32, spell: impl Fn(u32) -> char) -> Tokenizer {
    let vocab: Map<String, Value> =
        (0..size).map(|id| (spell(id).to_string(), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0", "decoder": { "type": "Fuse" },
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
    });
    Tokenizer::from_bytes(tokenizer.to_string().as_bytes(), "letters").unwrap()
}

fn letter(id: u32) -> char {
    char::from_u32(0x100 + id).unwrap()
}

fn classifier(tokenizer: Option<Tokenizer>) -> Classifier {
    tch::set_num_threads(1);
    Classifier { tokenizer, ..Classifier::load(&golden(), &LoadOptions::default()).unwrap() }
}

#[test]
fn rewards_are_the_numbers_of_the_reference() {
    let policy = tokenizer(96, letter);
    let mut reward = RewardModel::from_classifier(classifier(None), &policy, 96).unwrap();
    let golden = Tensor::read_safetensors(golden().join("golden.safetensors")).unwrap();
    let get = |name: String| &golden.iter().find(|(n, _)| *n == name).unwrap().1;
    let mut ids: Vec<Vec<u32>> = (0..4)
        .map(|k| {
            let ids: Vec<i64> =
                Vec::try_from(get(format!("ids.{k}")).to_kind(Kind::Int64)).unwrap();
            ids.into_iter().map(|id| id as u32).collect()
        })
        .collect();
    // The end that a policy says is padding here, as in the last golden text.
    ids[2].push(END);
    let prompts: Vec<Prompt> = ids
        .iter()
        .map(|ids| Prompt {
            id: "p".into(),
            text: "?".into(),
            ids: ids[..1].to_vec(),
            source: None,
        })
        .collect();
    let answers: Vec<Answer<'_>> = ids
        .iter()
        .zip(&prompts)
        .map(|(ids, prompt)| Answer { prompt, ids: &ids[1..], text: "", ended: true })
        .collect();
    for (k, score) in reward.score(&answers).into_iter().enumerate() {
        let expected = get(format!("number.{k}")).double_value(&[0]);
        assert!((score.clone().unwrap() - expected).abs() < 1e-4, "{k}: {score:?}, {expected}");
    }
}

#[test]
fn only_a_classifier_of_the_same_tokens_is_taken() {
    let policy = tokenizer(90, letter);
    let of = |other: Option<Tokenizer>| {
        RewardModel::from_classifier(classifier(other), &policy, 90).map(|_| ())
    };
    // Padding of the embedding and tokens of its own do no harm.
    assert!(of(Some(tokenizer(96, letter))).is_ok());
    let error = of(Some(tokenizer(89, letter))).unwrap_err();
    assert!(matches!(error, Error::Token { id: 89, .. }), "{error}");
    let swapped = tokenizer(90, |id| letter(if id < 2 { 1 - id } else { id }));
    let error = of(Some(swapped)).unwrap_err().to_string();
    let expected = "the reward model: token 0: expected \"Ā\", as the policy has it, found \"ā\"";
    assert_eq!(error, expected);
    // Nothing but the sizes can be compared here.
    let error = of(None).unwrap_err();
    assert!(matches!(error, Error::Vocabulary { policy: 90, found: 96, .. }), "{error}");
}
