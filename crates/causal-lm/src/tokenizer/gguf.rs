//! The `tokenizer.json` that a GGUF file's metadata amounts to: byte-level BPE with the
//! pre-tokenizer that the file names.

use serde_json::{Map, Value as Json, json};

use crate::{
    Error,
    gguf::{Gguf, Value},
};

/// Token types of GGUF that matter here.
const CONTROL: usize = 3;
const USER_DEFINED: usize = 4;

/// How the pieces that BPE works on are found.
enum Split {
    /// Single digits, then GPT-2's pattern.
    DigitsThenGpt2,
    /// GPT-2's pattern.
    Gpt2,
    /// A pattern of its own.
    Pattern(&'static str),
}

/// Llama 3's pattern: numbers in groups of up to three digits.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2's pattern: single digits.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What a GGUF file leaves to the name of its pre-tokenizer: settings of the published
/// `tokenizer.json` of the models that have that name.
struct Kind {
    split: Split,
    /// Text is composed first: Unicode's normalization form C.
    nfc: bool,
    /// A piece that is a token is taken as it is, whatever the merges say.
    whole_words: bool,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        let (split, nfc, whole_words) = match name {
            "smollm" => (Split::DigitsThenGpt2, false, false),
            "gpt-2" => (Split::Gpt2, false, false),
            // GPT-NeoX's, which the first OLMo and Pythia share.
            "olmo" => (Split::Gpt2, true, false),
            // The name that OLMo 2 and 3 go by.
            "dbrx" => (Split::Pattern(LLAMA3), false, false),
            "llama-bpe" | "llama3" => (Split::Pattern(LLAMA3), false, true),
            "qwen2" => (Split::Pattern(QWEN2), true, false),
            "deepseek-r1-qwen" => (Split::Pattern(QWEN2), false, false),
            _ => return None,
        };
        Some(Self { split, nfc, whole_words })
    }
}

/// Builds the JSON.
///
/// # Errors
/// [`Error::Format`] naming the key that is missing, wrong or unsupported.
pub(super) fn tokenizer_json(file: &Gguf) -> Result<Json, Error> {
    let text = |key: &str| file.value(key).and_then(Value::as_str);
    match text("tokenizer.ggml.model") {
        Some("gpt2") => {}
        other => {
            let found = other.unwrap_or("nothing");
            return Err(file.bad("tokenizer.ggml.model", "gpt2 (byte-level BPE)", found));
        }
    }
    let pre = text("tokenizer.ggml.pre").unwrap_or("nothing");
    let kind = Kind::named(pre).ok_or_else(|| {
        let expected = "smollm, gpt-2, olmo, dbrx, llama-bpe, qwen2 or deepseek-r1-qwen";
        file.bad("tokenizer.ggml.pre", expected, pre)
    })?;
    let tokens = strings(file, "tokenizer.ggml.tokens")?;
    let merges = strings(file, "tokenizer.ggml.merges")?;
    let types = token_types(file, tokens.len())?;
    let vocab: Map<String, Json> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    if vocab.len() != tokens.len() {
        let found = format!("{} of {} distinct", vocab.len(), tokens.len());
        return Err(file.bad("tokenizer.ggml.tokens", "distinct tokens", found));
    }
    let merges = merges
        .iter()
        .map(|merge| match merge.split_once(' ') {
            Some(pair) => Ok(json!([pair.0, pair.1])),
            None => Err(file.bad("tokenizer.ggml.merges", "two tokens and a space", *merge)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let added: Vec<Json> = types
        .iter()
        .enumerate()
        .filter(|&(_, &kind)| kind == CONTROL || kind == USER_DEFINED)
        .map(|(id, &kind)| {
            json!({
                "id": id, "content": tokens[id], "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": kind == CONTROL,
            })
        })
        .collect();
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": if kind.nfc { json!({ "type": "NFC" }) } else { Json::Null },
        "pre_tokenizer": pre_tokenizer(&kind.split),
        "post_processor": post_processor(file, &tokens),
        "decoder": byte_level(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": kind.whole_words,
            "vocab": vocab, "merges": merges,
        },
    }))
}

fn byte_level(use_regex: bool) -> Json {
    json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex,
    })
}

fn pre_tokenizer(split: &Split) -> Json {
    let first = match split {
        Split::Gpt2 => return byte_level(true),
        Split::DigitsThenGpt2 => json!({ "type": "Digits", "individual_digits": true }),
        Split::Pattern(pattern) => json!({
            "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false,
        }),
    };
    let own_pattern = matches!(split, Split::Pattern(_));
    json!({ "type": "Sequence", "pretokenizers": [first, byte_level(!own_pattern)] })
}

/// A beginning-of-sequence token before every text, where the file asks for one.
fn post_processor(file: &Gguf, tokens: &[&str]) -> Json {
    let flag = file.value("tokenizer.ggml.add_bos_token").and_then(Value::as_bool);
    let bos = file.value("tokenizer.ggml.bos_token_id").and_then(Value::as_usize);
    let (Some(true), Some(id)) = (flag, bos) else { return Json::Null };
    let Some(&token) = tokens.get(id) else { return Json::Null };
    let special = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let sequence =
        |name: &str, type_id: u32| json!({ "Sequence": { "id": name, "type_id": type_id } });
    json!({
        "type": "TemplateProcessing",
        "single": [special, sequence("A", 0)],
        "pair": [special, sequence("A", 0), sequence("B", 1)],
        "special_tokens": { token: { "id": token, "ids": [id], "tokens": [token] } },
    })
}

fn strings<'a>(file: &'a Gguf, key: &str) -> Result<Vec<&'a str>, Error> {
    let value = file.value(key).ok_or_else(|| file.bad(key, "an array of strings", "nothing"))?;
    value
        .as_array()
        .and_then(|items| items.iter().map(Value::as_str).collect())
        .ok_or_else(|| file.bad(key, "an array of strings", value.to_string()))
}

fn token_types(file: &Gguf, tokens: usize) -> Result<Vec<usize>, Error> {
    let key = "tokenizer.ggml.token_type";
    let Some(value) = file.value(key) else { return Ok(vec![1; tokens]) };
    let types: Option<Vec<usize>> =
        value.as_array().and_then(|items| items.iter().map(Value::as_usize).collect());
    types
        .filter(|t| t.len() == tokens)
        .ok_or_else(|| file.bad(key, &format!("{tokens} integers"), value.to_string()))
}
