//! Checkpoints in and out, and what happens when they are damaged.

use causal_lm::{
    CausalLm, LoadOptions, Pretrained,
    config::{from_hf, parse_hf},
    gguf::Gguf,
    weights::{RandomSource, SafetensorsSource, TensorSource as _, save_safetensors, save_sharded},
};
use tch::{Device, Kind};

use crate::common::{TINY, contents, golden, smollm2_path, tiny, tiny_config};

#[test]
fn saved_tensors_are_the_published_ones_to_the_bit() {
    for name in TINY {
        let folder = tempfile::tempdir().unwrap();
        save_sharded(folder.path(), &tiny(name, Kind::Float).named_tensors(), 20_000).unwrap();
        assert!(folder.path().join("model.safetensors.index.json").exists());
        let saved = SafetensorsSource::open_folder(folder.path()).unwrap();
        let published = SafetensorsSource::open_folder(&golden(name)).unwrap();
        assert_eq!(contents(&saved), contents(&published), "{name}");
    }
}

#[test]
fn configurations_survive_the_way_out_and_back() {
    for name in TINY {
        let config = tiny_config(name);
        let again = parse_hf(&config.to_hf().to_string(), "again").unwrap();
        assert_eq!(config, again, "{name}");
    }
}

#[test]
fn the_default_model_survives_the_way_out_and_back() {
    let options = LoadOptions { kind: Kind::BFloat16, device: Device::Cpu };
    let model = Pretrained::load(&smollm2_path(), &options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("hf");
    model.save(&out).unwrap();
    let again = Pretrained::load(&out, &options).unwrap();
    assert_eq!(model.lm.config(), again.lm.config());
    for ((name, a), (again_name, b)) in
        model.lm.named_tensors().iter().zip(again.lm.named_tensors())
    {
        assert_eq!(name, &again_name);
        assert_eq!(*a, b, "{name}");
    }
    let text = "Numbers 12345, \u{1f642} and\tspace.";
    assert_eq!(model.tokenizer.encode(text).unwrap(), again.tokenizer.encode(text).unwrap());
    let source = |m: &Pretrained| m.chat_template.as_ref().map(|t| t.source().to_owned());
    assert_eq!(source(&model), source(&again));
    let refused = model.save(&out).unwrap_err().to_string();
    assert!(refused.contains("expected a new or empty folder"), "{refused}");
}

#[test]
fn random_weights_have_the_published_names() {
    for name in TINY {
        let config = tiny_config(name);
        let source = RandomSource::new(&config, 0.02, 7);
        CausalLm::from_source(&config, &source, Kind::Float, Device::Cpu).unwrap();
        let mut random = source.names();
        let mut published = SafetensorsSource::open_folder(&golden(name)).unwrap().names();
        random.sort();
        published.sort();
        assert_eq!(random, published, "{name}");
    }
}

#[test]
fn missing_extra_and_misshaped_tensors_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let config = tiny_config("llama");
    let tensors = || tiny("llama", Kind::Float).named_tensors();
    let load = |tensors: Vec<(String, tch::Tensor)>| {
        save_safetensors(&file, &tensors).unwrap();
        let source = SafetensorsSource::open(&file).unwrap();
        CausalLm::from_source(&config, &source, Kind::Float, Device::Cpu).unwrap_err().to_string()
    };
    let mut missing = tensors();
    missing.retain(|(n, _)| n != "model.layers.1.mlp.up_proj.weight");
    let message = load(missing);
    assert!(message.ends_with("tensor model.layers.1.mlp.up_proj.weight is missing"), "{message}");
    let mut extra = tensors();
    extra.push(("model.layers.0.surprise.weight".into(), tch::Tensor::from_slice(&[1.0_f32])));
    let message = load(extra);
    assert!(message.contains("tensor model.layers.0.surprise.weight is not part"), "{message}");
    let mut wrong = tensors();
    wrong[3].1 = wrong[3].1.transpose(0, 1).contiguous().narrow(0, 0, 5);
    let message = load(wrong);
    assert!(message.contains("expected [") && message.contains("found [5"), "{message}");
}

/// Every truncation and many single-byte changes of real files: refused in one sentence, or read.
#[test]
fn damaged_files_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let whole = std::fs::read(golden("llama").join("model.safetensors")).unwrap();
    let config_path = folder.path().join("config.json");
    let config = std::fs::read(golden("olmo3").join("config.json")).unwrap();
    for i in 0..300_usize {
        let at = i * 7919 % 4000;
        let mut bytes = whole.clone();
        if i % 2 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (i % 8);
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Err(e) = SafetensorsSource::open(&path) {
            assert!(!e.to_string().contains('\n'), "{e}");
        }
        let mut text = config.clone();
        let at = i * 31 % text.len();
        if i % 2 == 0 {
            text.truncate(at);
        } else {
            text[at] ^= 1 << (i % 7);
        }
        std::fs::write(&config_path, &text).unwrap();
        if let Err(e) = from_hf(&config_path) {
            assert!(!e.to_string().contains('\n'), "{e}");
        }
    }
}

#[test]
fn damaged_gguf_headers_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut head = vec![0; 1 << 16];
    let mut file = std::fs::File::open(smollm2_path()).unwrap();
    std::io::Read::read_exact(&mut file, &mut head).unwrap();
    for i in 0..200_usize {
        let mut bytes = head.clone();
        let at = i * 7919 % 2000;
        if i % 2 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (i % 8);
        }
        std::fs::write(&path, &bytes).unwrap();
        // The head alone is truncated, so that there is always something to refuse.
        let message = Gguf::open(&path).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn unknown_settings_are_refused() {
    let text = std::fs::read_to_string(golden("llama").join("config.json")).unwrap();
    let refuse = |from: &str, to: &str| {
        assert!(text.contains(from));
        parse_hf(&text.replace(from, to), "config.json").unwrap_err().to_string()
    };
    assert_eq!(
        refuse("\"use_cache\"", "\"quantization_config\""),
        "config.json: quantization_config: expected a key that this family is known to have, found true"
    );
    assert!(refuse("\"rope_type\": \"default\"", "\"rope_type\": \"magic\"").contains("rope_type"));
    assert!(refuse("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3").contains("divisor"));
    assert!(refuse("\"hidden_size\": 32", "\"hidden_size\": -1").contains("hidden_size"));
    assert!(refuse("\"silu\"", "\"relu\"").contains("hidden_act"));
}
