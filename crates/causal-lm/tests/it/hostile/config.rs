//! Configurations that are wrong on purpose, and unusual ones that are not.

use causal_lm::config::parse_hf;
use serde_json::{Map, Value};

use crate::common::golden;

#[test]
fn absurd_configurations_are_refused_in_a_sentence() {
    let text = std::fs::read_to_string(golden("llama").join("config.json")).unwrap();
    let whole: Map<String, Value> = serde_json::from_str(&text).unwrap();
    let olmo = std::fs::read_to_string(golden("olmo3").join("config.json")).unwrap();
    let olmo: Map<String, Value> = serde_json::from_str(&olmo).unwrap();
    let refusal = |base: &Map<String, Value>, key: &str, value: &str| {
        let mut map = base.clone();
        map.insert(key.to_owned(), serde_json::from_str(value).unwrap());
        let text = serde_json::to_string(&map).unwrap();
        parse_hf(&text, "c.json").map_or_else(|e| e.to_string(), |_| "read".to_owned())
    };
    for (key, value, says) in [
        (
            "num_hidden_layers",
            "1000000000",
            "num_hidden_layers: expected 1 to 4096, found 1000000000",
        ),
        (
            "num_hidden_layers",
            "1e9",
            "num_hidden_layers: expected a positive integer, found 1000000000.0",
        ),
        ("num_hidden_layers", "0", "num_hidden_layers: expected a positive integer, found 0"),
        ("hidden_size", "\"32\"", "hidden_size: expected a positive integer, found \"32\""),
        ("hidden_size", "1e300", "hidden_size: expected a positive integer, found 1e+300"),
        ("vocab_size", "1099511627776", "vocab_size: expected a positive integer"),
        ("vocab_size", "4000000000", "vocab_size: expected 1 to 16777216, found 4000000000"),
        ("num_attention_heads", "64", "head_dim: expected 1 to 16777216, found 0"),
        ("eos_token_id", "4294967295", "special token ids: expected below"),
        ("eos_token_id", "-1", "eos_token_id: expected a token id or a list of them, found -1"),
        ("bos_token_id", "[1, 2]", "bos_token_id: expected one token id, found [1,2]"),
        ("rms_norm_eps", "0", "rms_norm_eps: expected a positive number, found 0"),
        ("rms_norm_eps", "null", "read"),
        ("rope_theta", "-1e5", "rope_theta: expected a positive number, found -100000.0"),
        ("partial_rotary_factor", "1e300", "rotary dimensions: expected an even number up to"),
        ("sliding_window", "8", "sliding_window: expected a key that this family is known to have"),
        ("mlp_bias", "1", "mlp_bias: expected true or false, found 1"),
    ] {
        // The tiny configurations hold the newer key, which has a rotary base of its own.
        let mut base = whole.clone();
        base.remove("rope_parameters");
        base.remove("head_dim");
        let message = refusal(&base, key, value);
        assert!(
            message == says || message.starts_with(&format!("c.json: {says}")),
            "{key}: {message}"
        );
    }
    for (key, value, says) in [
        ("layer_types", r#"["full_attention"]"#, "layer_types: expected 4 of"),
        (
            "rope_scaling",
            r#"{"rope_type": "linear", "factor": 2}"#,
            "rope_scaling: expected nothing beside",
        ),
        (
            "rope_parameters",
            r#"{"full_attention": null, "sliding_attention": {"partial_rotary_factor": 1.5}}"#,
            "rotary dimensions: expected an even number",
        ),
        (
            "rope_parameters",
            r#"{"full_attention": null, "other": {}}"#,
            "rope_parameters: expected only full_attention and sliding_attention, found {\"other\":{}}",
        ),
        (
            "rope_parameters",
            r#"{"rope_type": "yarn", "factor": 1e308, "mscale": 1e308, "mscale_all_dim": 1e-300}"#,
            "attention_factor: expected a positive number from mscale, found \"inf\"",
        ),
    ] {
        let message = refusal(&olmo, key, value);
        assert!(message.starts_with(&format!("c.json: {says}")), "{key}: {message}");
    }
    for (text, says) in [
        ("", "content: expected a JSON object, found EOF"),
        ("[1]", "content: expected a JSON object, found invalid type"),
        (r#"{"hidden_size": NaN}"#, "content: expected a JSON object, found expected"),
        (r#"{"hidden_size": 1, "hidden_size": 2}"#, "found a second entry \"hidden_size\""),
    ] {
        let message = parse_hf(text, "c.json").unwrap_err().to_string();
        assert!(message.starts_with("c.json: ") && message.contains(says), "{message}");
    }
    let deep = "[".repeat(100_000);
    let message = parse_hf(&format!("{{\"x\": {deep}"), "c.json").unwrap_err().to_string();
    assert!(message.contains("recursion limit"), "{message}");
}

/// What is written of a configuration is the whole of it.
#[test]
fn unusual_configurations_survive_the_way_out_and_back() {
    let base = |name: &str| -> Map<String, Value> {
        let text = std::fs::read_to_string(golden(name).join("config.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    for (name, key, value) in [
        (
            "olmo3",
            "rope_parameters",
            r#"{"full_attention": {"rope_type": "linear", "factor": 2.0}, "sliding_attention": {"rope_theta": 7.0}}"#,
        ),
        (
            "olmo3",
            "layer_types",
            r#"["full_attention", "full_attention", "full_attention", "full_attention"]"#,
        ),
        ("qwen2", "head_dim", "10"),
        ("llama", "partial_rotary_factor", "0.5"),
        ("qwen3", "partial_rotary_factor", "0.4"),
    ] {
        let mut map = base(name);
        map.insert(key.to_owned(), serde_json::from_str(value).unwrap());
        let config = parse_hf(&serde_json::to_string(&map).unwrap(), "in").unwrap();
        assert_ne!(config, parse_hf(&serde_json::to_string(&base(name)).unwrap(), "in").unwrap());
        let again = parse_hf(&config.to_hf().to_string(), "again").unwrap();
        assert_eq!(config, again, "{name} with {key}");
    }
}
