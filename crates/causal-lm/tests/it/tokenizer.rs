//! Tokenizers against the reference's ids on a corpus of 1,000 texts, and what is refused.

use std::fs;

use causal_lm::{Pretrained, gguf::Gguf, tokenizer::Tokenizer};
use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::common::{golden, smollm2_path};

/// The tiny tokenizers of `golden/make_tokenizer.py`.
const TINY: [&str; 6] = ["qwen2", "deepseek_qwen", "llama3", "olmo2", "gpt_neox", "gpt2"];

fn corpus() -> Vec<String> {
    let text = fs::read_to_string(golden("tokenizer/corpus.json")).unwrap();
    let corpus: Vec<String> = serde_json::from_str(&text).unwrap();
    assert_eq!(corpus.len(), 1000);
    corpus
}

/// Numbers of a golden tensor, which tch has no type for.
fn numbers(kind: &str, name: &str) -> Vec<u32> {
    let bytes = fs::read(golden(&format!("tokenizer/{kind}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let pairs = tensors.tensor(name).unwrap().data().chunks_exact(2);
    pairs.map(|pair| u32::from(u16::from_le_bytes([pair[0], pair[1]]))).collect()
}

/// The reference's ids of every text.
fn expected(kind: &str) -> Vec<Vec<u32>> {
    let ids = numbers(kind, "ids");
    let mut rest = ids.as_slice();
    let lines: Vec<Vec<u32>> = numbers(kind, "lengths")
        .into_iter()
        .map(|length| rest.split_off(..length as usize).unwrap().to_vec())
        .collect();
    assert!(rest.is_empty());
    lines
}

fn tiny_json(kind: &str) -> Vec<u8> {
    fs::read(golden(&format!("tokenizer/{kind}.json"))).unwrap()
}

fn smollm2() -> Tokenizer {
    Tokenizer::from_gguf(&Gguf::open(&smollm2_path()).unwrap()).unwrap()
}

/// Compares ids of every text, and that decoding gives back what the tokenizer does not change.
fn check(tokenizer: &Tokenizer, kind: &str, changes: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for (i, (text, ids)) in corpus().iter().zip(expected(kind)).enumerate() {
        let found = tokenizer.encode(text).unwrap();
        if found != ids {
            wrong.push(format!("{i} {text:?}: expected {ids:?}, found {found:?}"));
        }
        let decoded = tokenizer.decode(&ids).unwrap();
        assert!(decoded == *text || changes(text), "{kind} {i}: {text:?} became {decoded:?}");
        let mut stream = tokenizer.stream();
        let mut streamed: String = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
        streamed += &stream.finish().unwrap();
        assert_eq!(streamed, tokenizer.decode_text(&ids).unwrap(), "{kind} {i}, streamed");
    }
    assert!(wrong.is_empty(), "{kind}: {} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// How a vocabulary of bytes spells one: itself if it can be seen, else the next free letter.
fn spelled(byte: u8) -> char {
    let seen = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let before = (0..byte).filter(|&b| !seen(b)).count() as u32;
    if seen(byte) { char::from(byte) } else { char::from_u32(0x100 + before).unwrap() }
}

/// Whether NFC, which some kinds apply, can change a text: it holds marks or compatibility forms.
fn normalizes(text: &str) -> bool {
    !text.is_ascii()
}

#[test]
fn the_default_model_has_the_references_ids() {
    let tokenizer = smollm2();
    // Its vocabulary lacks bytes of rare scripts; characters with such a byte are lost in part.
    let lacking: Vec<u8> =
        (0..=255).filter(|&byte| tokenizer.id(&spelled(byte).to_string()).is_none()).collect();
    assert!(lacking.len() < 40 && lacking.iter().all(|byte| !(b' '..=0x7f).contains(byte)));
    check(&tokenizer, "smollm2", |text| text.bytes().any(|byte| lacking.contains(&byte)));
}

#[test]
fn what_the_reference_makes_of_the_file_differs_only_before_digits() {
    let corpus = corpus();
    let differs = numbers("smollm2", "file_differs");
    assert!(!differs.is_empty() && differs.len() < 50);
    for i in differs {
        let text: Vec<char> = corpus[i as usize].chars().collect();
        let near = |pair: &[char]| {
            (pair[1].is_numeric() && !pair[0].is_alphanumeric()) || pair[0].is_numeric()
        };
        assert!(text.windows(2).any(near), "{i}: {text:?}");
    }
}

#[test]
fn each_kind_has_the_references_ids() {
    for kind in TINY {
        let changes = |text: &str| matches!(kind, "qwen2" | "gpt_neox") && normalizes(text);
        let tokenizer = Tokenizer::from_bytes(&tiny_json(kind), kind).unwrap();
        check(&tokenizer, kind, changes);
        let written = tokenizer.to_json().unwrap();
        check(&Tokenizer::from_bytes(written.as_bytes(), kind).unwrap(), kind, changes);
        let file = Gguf::open(&golden(&format!("tokenizer/{kind}.gguf"))).unwrap();
        check(&Tokenizer::from_gguf(&file).unwrap(), kind, changes);
    }
}

#[test]
fn special_tokens_in_a_text_are_recognized() {
    let tokenizer = smollm2();
    let ids = tokenizer.encode("a<|im_start|>b<|im_end|>").unwrap();
    assert_eq!((ids[1], ids[3], ids.len()), (1, 2, 4));
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a<|im_start|>b<|im_end|>");
    assert_eq!(tokenizer.decode_text(&ids).unwrap(), "ab");
    // What is not spelled exactly so is text like any other.
    for text in ["<|im_start|", "<|IM_START|>", "< |im_start|>"] {
        assert!(!tokenizer.encode(text).unwrap().contains(&1), "{text}");
    }
    // None is added unless asked for, and then only where the tokenizer has one to add.
    let text = "tide";
    assert_eq!(
        tokenizer.encode(text).unwrap(),
        tokenizer.encode_with_special_tokens(text).unwrap()
    );
    for gguf in [false, true] {
        let tokenizer = if gguf {
            Tokenizer::from_gguf(&Gguf::open(&golden("tokenizer/llama3.gguf")).unwrap()).unwrap()
        } else {
            Tokenizer::from_bytes(&tiny_json("llama3"), "llama3").unwrap()
        };
        let with = tokenizer.encode_with_special_tokens(text).unwrap();
        assert_eq!(tokenizer.token(with[0]).unwrap(), "<|begin_of_text|>");
        assert_eq!(with[1..], tokenizer.encode(text).unwrap());
    }
}

#[test]
fn any_ids_can_be_decoded_and_streamed() {
    let tokenizer = smollm2();
    // Half characters, one after the other and before whole ones.
    let euro = tokenizer.encode("🫠").unwrap();
    assert!(euro.len() > 1, "a character of several tokens");
    let half = euro[0];
    let mut ids = vec![half; 40];
    ids.extend(tokenizer.encode(" ok 🫠").unwrap());
    ids.push(half);
    let mut stream = tokenizer.stream();
    let mut streamed: String = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    streamed += &stream.finish().unwrap();
    assert!(streamed.contains(" ok 🫠") && streamed.ends_with('\u{fffd}'), "{streamed:?}");
    assert_eq!(streamed, tokenizer.decode_text(&ids).unwrap());
    // Beyond the vocabulary there is no text.
    assert_eq!(tokenizer.decode(&[u32::MAX, 49_152]).unwrap(), "");
    assert!(tokenizer.token(49_152).is_none());
}

fn failure(json: &[u8]) -> String {
    let error = Tokenizer::from_bytes(json, "tokenizer.json").unwrap_err().to_string();
    assert!(!error.contains('\n') && error.len() < 400, "{error}");
    error.strip_prefix("tokenizer.json: ").unwrap().to_owned()
}

#[test]
fn wrong_files_are_refused_in_one_sentence() {
    let good = tiny_json("qwen2");
    for length in [0, 1, 100, good.len() / 2, good.len() - 1] {
        let error = failure(&good[..length]);
        assert!(
            error.starts_with("content: expected a tokenizer's JSON object, found EOF"),
            "{error}"
        );
    }
    let error = failure(b"\xff\xfe");
    assert!(error.starts_with("content: expected a tokenizer's JSON object, found "), "{error}");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut json: Value = serde_json::from_slice(&good).unwrap();
        change(&mut json);
        failure(json.to_string().as_bytes())
    };
    let error = changed(&|json| json["model"]["vocab"]["a"] = json!(u32::MAX));
    assert!(error.starts_with("model.vocab: expected ids below "), "{error}");
    assert!(error.ends_with("for 440 tokens, found 4294967295"), "{error}");
    let error = changed(&|json| json["model"]["vocab"]["a"] = json!(-1));
    assert!(error.starts_with("tokenizer: "), "{error}");
    let error = changed(&|json| json["model"]["merges"][0] = json!(["a", "nothing"]));
    assert!(error.starts_with("tokenizer: ") && error.contains("nothing"), "{error}");
    let error = changed(&|json| json["model"]["type"] = json!("Invented"));
    assert!(error.starts_with("tokenizer: "), "{error}");
    let bad = json!({ "Regex": "(" });
    let error = changed(&|json| json["pre_tokenizer"]["pretokenizers"][0]["pattern"] = bad.clone());
    assert!(error.starts_with("tokenizer: "), "{error}");
    assert!(changed(&|json| json["model"] = json!(3)).starts_with("content: "));
}

#[test]
fn a_tokenizer_with_ids_beyond_the_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden("llama")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    fs::write(folder.path().join("tokenizer.json"), tiny_json("qwen2")).unwrap();
    let error = Pretrained::load(folder.path(), &causal_lm::LoadOptions::default());
    let error = error.unwrap_err().to_string();
    let expected = "tokenizer.json: tokenizer: expected ids below 96, as many as the model has tokens, found 96";
    assert!(error.contains(expected), "{error}");
}
