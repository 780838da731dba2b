//! Adapters in the layout of the PEFT library, both ways.

use std::{fs, path::Path};

use causal_lm::{
    lora::{LoraAdapter, LoraConfig},
    model::Layout,
    weights::SafetensorsSource,
};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use crate::common::{Golden, contents, golden, max_abs_diff, tiny, tiny_config};

/// f32 on both sides, as for the logits of the base models.
const TOLERANCE: f64 = 2e-4;

fn logits(name: &str, adapter: LoraAdapter, ids: &Tensor) -> Tensor {
    let lm = tiny(name, Kind::Float).with_adapter(Some(adapter)).unwrap();
    tch::no_grad(|| lm.logits(&lm.hidden(ids, &Layout::Dense).unwrap()).squeeze_dim(0))
}

fn config(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("adapter_config.json")).unwrap()).unwrap()
}

#[test]
fn published_adapters_give_the_references_logits() {
    for name in ["llama", "qwen3", "gpt_neox"] {
        let folder = golden("peft").join(name);
        let adapter = LoraAdapter::load(&folder, &tiny_config(name)).unwrap();
        let golden = Golden::open(&folder.join("golden.safetensors"));
        let found = logits(name, adapter.shallow_clone(), golden.get("ids"));
        let diff = max_abs_diff(&found, golden.get("logits"));
        assert!(diff < TOLERANCE, "{name}: {diff}");
        // The same once merged into the weights.
        let merged = tiny(name, Kind::Float).with_adapter(Some(adapter)).unwrap().merged();
        assert!(merged.adapter().is_none());
        let hidden = merged.hidden(golden.get("ids"), &Layout::Dense).unwrap();
        let diff = max_abs_diff(&merged.logits(&hidden).squeeze_dim(0), golden.get("logits"));
        assert!(diff < TOLERANCE, "{name}, merged: {diff}");
    }
}

#[test]
fn what_we_write_is_what_peft_writes() {
    for name in ["llama", "qwen3"] {
        let published = golden("peft").join(name);
        let adapter = LoraAdapter::load(&published, &tiny_config(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        adapter.save(folder.path(), &tiny_config(name), name).unwrap();
        let tensors = |folder: &Path| {
            contents(&SafetensorsSource::open(&folder.join("adapter_model.safetensors")).unwrap())
        };
        assert_eq!(tensors(folder.path()), tensors(&published), "{name}");
        let again = LoraAdapter::load(folder.path(), &tiny_config(name)).unwrap();
        for ((a, x), (b, y)) in again.named_parameters().into_iter().zip(adapter.named_parameters())
        {
            assert_eq!((a, x), (b, y));
        }
        let golden = Golden::open(&published.join("golden.safetensors"));
        let diff = max_abs_diff(&logits(name, again, golden.get("ids")), golden.get("logits"));
        assert!(diff < TOLERANCE, "{name}: {diff}");
    }
    let folder = tempfile::tempdir().unwrap();
    let lora = LoraConfig { rank: 5, alpha: 2.5, ..LoraConfig::default() };
    let adapter = LoraAdapter::new(&tiny_config("llama"), &lora, 0).unwrap();
    adapter.save(folder.path(), &tiny_config("llama"), "base").unwrap();
    let written = config(folder.path());
    assert_eq!((&written["r"], &written["lora_alpha"]), (&json!(5), &json!(2.5)));
    assert_eq!(written["target_modules"].as_array().unwrap().len(), 7);
}

#[test]
fn a_fused_projection_is_split_and_joined() {
    let name = "gpt_neox";
    let published = golden("peft").join(name);
    let adapter = LoraAdapter::load(&published, &tiny_config(name)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    adapter.save(folder.path(), &tiny_config(name), name).unwrap();
    let again = LoraAdapter::load(folder.path(), &tiny_config(name)).unwrap();
    let golden = Golden::open(&published.join("golden.safetensors"));
    let diff = max_abs_diff(&logits(name, again, golden.get("ids")), golden.get("logits"));
    assert!(diff < TOLERANCE, "{diff}");
    assert_eq!(config(folder.path())["r"], 9, "three adapters of rank 3 side by side");
}

#[test]
fn what_is_not_supported_is_refused() {
    let published = golden("peft/llama");
    let changed = |key: &str, value: Value| {
        let folder = tempfile::tempdir().unwrap();
        let weights = "adapter_model.safetensors";
        fs::copy(published.join(weights), folder.path().join(weights)).unwrap();
        let mut config = config(&published);
        config[key] = value;
        fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
        let error = LoraAdapter::load(folder.path(), &tiny_config("llama")).unwrap_err();
        let message = error.to_string();
        message.split_once("adapter_config.json: ").map(|(_, m)| m.to_owned()).unwrap_or(message)
    };
    assert_eq!(
        changed("use_dora", json!(true)),
        "use_dora: expected a setting that is supported, or none, found true"
    );
    assert_eq!(changed("bias", json!("all")), "bias: expected \"none\", found \"all\"");
    assert_eq!(changed("peft_type", json!("IA3")), "peft_type: expected \"LORA\", found \"IA3\"");
    assert_eq!(changed("r", json!(0)), "r: expected a number of at least 1, found 0");
    assert!(changed("r", json!(4)).contains("expected [4, 32], found [3, 32]"));
    assert!(changed("invented", json!(1)).starts_with("invented: expected"));
    let error = LoraAdapter::load(&published, &tiny_config("gpt_neox")).unwrap_err().to_string();
    assert!(error.contains("is not part of such a model"), "{error}");
    let error = LoraAdapter::load(Path::new("nowhere"), &tiny_config("llama")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read nowhere/adapter_config.json"));
}
