//! GGUF files that are wrong on purpose.

use std::{path::Path, sync::Arc};

use causal_lm::{
    CausalLm, Error, config::from_gguf, gguf::Gguf, tokenizer::Tokenizer, weights::GgufSource,
};
use tch::{Device, Kind};

use crate::foreign::{GgufFile, code, tiny_gguf};

/// What opening a GGUF file and building its model says.
fn refusal(bytes: Vec<u8>) -> String {
    let load = || -> Result<CausalLm, Error> {
        let file = Arc::new(Gguf::from_bytes(bytes, Path::new("m.gguf"))?);
        Tokenizer::from_gguf(&file)?;
        let config = from_gguf(&file)?;
        let source = GgufSource::new(file, &config)?;
        CausalLm::from_source(&config, &source, Kind::Float, Device::Cpu)
    };
    load().map_or_else(|e| e.to_string(), |_| "loaded".to_owned())
}

/// The sound file with a change.
fn with(change: impl Fn(&mut GgufFile)) -> GgufFile {
    let mut file = tiny_gguf();
    change(&mut file);
    file
}

fn check(file: &GgufFile, says: &str) {
    let message = refusal(file.build());
    assert!(message.contains(says) && message.contains("m.gguf"), "{says}\n{message}");
}

#[test]
fn wrong_gguf_headers_are_refused_in_a_sentence() {
    let file = tiny_gguf;
    assert_eq!(refusal(file().build()), "loaded");
    let q = 2;
    for (file, says) in [
        (file().u32("general.alignment", 0), "general.alignment: expected a power of two, found 0"),
        (file().u32("general.alignment", 48), "expected a power of two, found 48"),
        (file().string("general.alignment", "32"), "expected a power of two, found \"32\""),
        (
            with(|f| f.tensors[q].0 = "token_embd.weight".into()),
            "token_embd.weight: expected one tensor of this name, found a second one",
        ),
        (
            with(|f| f.values[3].0 = "general.architecture".into()),
            "general.architecture: expected one value, found a second one",
        ),
        (with(|f| f.tensors[q].3 = f.tensors[q + 1].3), "expected data from byte"),
        (with(|f| f.tensors[q].3 += 1), "at an offset divisible by 32 inside the file's"),
        (with(|f| f.tensors[q].3 = u64::MAX - 31), "found offset 18446744073709551584 after"),
        (with(|f| f.counts = Some([u64::MAX, 19])), "tensor_count: expected at most"),
        (with(|f| f.counts = Some([13, 1 << 60])), "metadata_kv_count: expected at most"),
        (
            file().array("tokenizer.ggml.scores", code::F32, 1 << 62, &[]),
            "tokenizer.ggml.scores: expected at most",
        ),
        (
            file().value("general.name", code::STRING, &u64::MAX.to_le_bytes()),
            "general.name: expected at most",
        ),
        (
            file().value("general.name", code::STRING, &[2, 0, 0, 0, 0, 0, 0, 0, 0xc3, 0x28]),
            "general.name: expected UTF-8 text, found an error at byte 0",
        ),
        (
            file().array("general.tags", code::ARRAY, 1, &[0; 12]),
            "general.tags: expected a value type from 0 to 12, found 9",
        ),
        (with(|f| f.tensors[q].1 = vec![]), "expected 1 to 4 dimensions, found 0"),
        (with(|f| f.tensors[q].1 = vec![1; 5]), "expected 1 to 4 dimensions, found 5"),
        (
            with(|f| f.tensors[q].1 = vec![32, 0]),
            "blk.0.attn_q.weight: expected rows of a positive multiple of 32 numbers, found shape [32, 0]",
        ),
        (with(|f| f.tensors[q].1 = vec![32, 33]), "positive multiple of 32 numbers"),
        (with(|f| f.tensors[q].1 = vec![1 << 60, 32]), "positive multiple of 32 numbers"),
        (with(|f| f.tensors[q].2 = 16), "found tensor type 16"),
    ] {
        check(&file, says);
    }
}

#[test]
fn wrong_gguf_contents_are_refused_in_a_sentence() {
    let file = tiny_gguf;
    let up = 7;
    for (file, says) in [
        (
            file().u32("llama.block_count", 1_000_000_000),
            "llama.block_count: expected 1 to 4096, found 1000000000",
        ),
        (file().u32("llama.block_count", 2), "tensor model.layers.1.self_attn.q_proj.weight is"),
        (file().u32("llama.attention.head_count", 64), "head_dim: expected 1 to"),
        (file().u32("llama.attention.head_count_kv", 3), "a divisor of the 2 query heads"),
        (
            file().array("llama.attention.head_count", code::U32, 1, &[2, 0, 0, 0]),
            "llama.attention.head_count: expected a count, found an array of 1 values",
        ),
        (
            file().value("llama.rope.freq_base", code::F64, &1e-300_f64.to_le_bytes()),
            "llama.rope.freq_base: expected a positive number, found",
        ),
        (
            file().f32("llama.attention.layer_norm_rms_epsilon", f32::NAN),
            "layer_norm_rms_epsilon: expected a positive number, found NaN",
        ),
        (
            file().u32("llama.rope.scaling.type", 1),
            "llama.rope.scaling.type: expected none or linear in GGUF files, found 1",
        ),
        (
            file().f32("llama.rope.scaling.factor", 4.0),
            "llama.rope.scaling.type: expected none or linear, found only a factor",
        ),
        (
            file().u32("llama.attention.value_length", 8),
            "llama.attention.value_length: expected 16, as wide as keys are, found 8",
        ),
        (
            file().u32("llama.attention.sliding_window", 8),
            "llama.attention.sliding_window: expected no such key",
        ),
        (
            file().f32("llama.logit_scale", 0.5),
            "llama.logit_scale: expected no such key: what it changes is not supported in GGUF",
        ),
        (
            file().string("llama.expert_count", "8"),
            "llama.expert_count: expected 0 (a dense model), found \"8\"",
        ),
        (
            file().value("tokenizer.ggml.eos_token_id", code::U64, &(1_u64 << 32).to_le_bytes()),
            "tokenizer.ggml.eos_token_id: expected a token id, found 4294967296",
        ),
        (file().u32("tokenizer.ggml.eos_token_id", 40), "special token ids: expected below 40"),
        (
            file().strings("tokenizer.ggml.merges", &["th"]),
            "tokenizer.ggml.merges: expected two tokens and a space, found th",
        ),
        (
            file().array("tokenizer.ggml.tokens", code::U8, 2, b"ab"),
            "tokenizer.ggml.tokens: expected an array of strings, found an array of 2 values",
        ),
        (with(|f| f.tensors[up].0 = "blk.0.ffn_moved.weight".into()), "tensor blk.0.ffn_moved"),
        (
            with(|f| f.tensors[up].0 = "blk.7.ffn_up.weight".into()),
            "tensor model.layers.0.mlp.up_proj.weight is missing",
        ),
        (
            with(|f| f.tensors[up].1 = vec![16, 64]),
            "mlp.up_proj.weight in m.gguf: expected [32, 32], found [16, 64]",
        ),
    ] {
        check(&file, says);
    }
}

#[test]
fn a_gguf_file_cut_anywhere_is_refused() {
    let whole = tiny_gguf().build();
    for end in 0..whole.len() {
        let error = Gguf::from_bytes(whole[..end].to_vec(), Path::new("m.gguf")).unwrap_err();
        assert!(error.to_string().starts_with("m.gguf: "), "{error}");
    }
}
