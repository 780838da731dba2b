//! Sequence classifiers against the reference implementation.

use std::fs;

use causal_lm::{
    LoadOptions,
    classifier::{Classifier, read_tokens},
    model::Layout,
    weights::{SafetensorsSource, TensorSource as _, save_safetensors},
};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::common::{Golden, golden, ids_tensor};

/// Rounding of f32 sums in another order.
const TOLERANCE: f64 = 1e-4;

fn load(name: &str) -> (Classifier, Golden) {
    let folder = golden("classifier").join(name);
    let classifier = Classifier::load(&folder, &LoadOptions::default()).unwrap();
    (classifier, Golden::open(&folder.join("golden.safetensors")))
}

#[test]
fn numbers_equal_the_reference() {
    for name in ["llama", "qwen2", "gpt_neox"] {
        let (classifier, golden) = load(name);
        assert_eq!(golden.prompts(), 4);
        for k in 0..4 {
            let ids = golden.ids(&format!("ids.{k}"));
            let length = read_tokens(&ids, classifier.lm.config().pad).len();
            assert_eq!(ids.len() - length, if k == 3 { 2 } else { 0 });
            let hidden = classifier.lm.hidden(&ids_tensor(&ids), &Layout::Dense).unwrap();
            let number = classifier.head.last(&hidden, &[length]).unwrap().double_value(&[0]);
            let expected = golden.get(&format!("number.{k}")).double_value(&[0]);
            assert!((number - expected).abs() < TOLERANCE, "{name}, {k}: {number}, {expected}");
        }
    }
}

#[test]
fn texts_are_read_to_their_last_token_that_is_no_padding() {
    assert_eq!(read_tokens(&[1, 95, 2, 95, 95], Some(95)), [1, 95, 2]);
    assert_eq!(read_tokens(&[1, 95], None), [1, 95]);
    assert_eq!(read_tokens(&[95, 95], Some(95)), [95]);
    assert!(read_tokens(&[], Some(95)).is_empty());
}

/// A copy of a golden classifier that a test may spoil.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(golden("classifier/llama").join(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// Replaces or adds tensors.
fn change(folder: &tempfile::TempDir, changes: &[(&str, Option<Tensor>)]) {
    let path = folder.path().join("model.safetensors");
    let source = SafetensorsSource::open(&path).unwrap();
    let mut tensors: Vec<(String, Tensor)> = source
        .names()
        .into_iter()
        .filter(|name| changes.iter().all(|(changed, _)| changed != name))
        .map(|name| {
            let tensor = source.load(&name, Kind::Float, Device::Cpu).unwrap().copy();
            (name, tensor)
        })
        .collect();
    let added =
        changes.iter().filter_map(|(name, t)| Some(((*name).to_owned(), t.as_ref()?.copy())));
    tensors.extend(added);
    save_safetensors(&path, &tensors).unwrap();
}

fn message(folder: &tempfile::TempDir) -> String {
    Classifier::load(folder.path(), &LoadOptions::default()).unwrap_err().to_string()
}

#[test]
fn what_is_no_classifier_of_one_label_is_refused() {
    let options = (Kind::Float, Device::Cpu);
    let folder = copy();
    change(&folder, &[("score.weight", Some(Tensor::zeros([2, 32], options)))]);
    assert!(message(&folder).contains("expected [1, 32], found [2, 32]"));
    let folder = copy();
    change(&folder, &[("score.weight", None)]);
    assert!(message(&folder).ends_with("tensor score.weight is missing"));
    let folder = copy();
    change(&folder, &[("dense.weight", Some(Tensor::zeros([32, 32], options)))]);
    assert!(message(&folder).contains("tensor dense.weight is not part of such a model"));
    let folder = copy();
    let mut config: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("config.json")).unwrap())
            .unwrap();
    config["vocab_size"] = json!(97);
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    assert!(message(&folder).contains("expected [97, 32], found [96, 32]"));
}
