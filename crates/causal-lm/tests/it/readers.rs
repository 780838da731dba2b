//! Every reader of foreign files, given bytes: the fuzz targets, and what their findings are
//! replayed with.
//!
//! A target takes anything, follows what is sound as deep as reading goes, and checks that what is
//! not is refused in one short line. It panics where that does not hold.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use causal_lm::{
    CausalLm, Error, LoadOptions, Pretrained,
    chat::{ChatTemplate, Message, Prompt, SpecialTokens},
    config::{from_gguf, parse_hf},
    gguf::{Gguf, Value},
    tokenizer::Tokenizer,
    weights::{GgufSource, SafetensorsSource, TensorSource},
};
use tch::{Device, Kind};

/// A target takes a file's bytes.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("gguf", gguf),
    ("safetensors", safetensors),
    ("config", config),
    ("tokenizer", tokenizer),
    ("chat", chat),
];

/// Stands between the files of an input that holds several.
pub const CUT: &[u8] = b"\n--8<--\n";

/// Texts that reach most of a tokenizer: words, numbers, white space, special tokens, other scripts.
const TEXTS: [&str; 3] = [
    "",
    "It's 12345  tokens,\n\n\tDON'T you think? <|im_start|>user<s>[INST]</s>",
    "na\u{ef}ve \u{4f60}\u{597d} \u{1f642}\u{200d}\u{301}\u{fb01} \u{2581}x\u{0}y \u{a0}\r\n",
];

/// A GGUF file: metadata, tensors to the last number, configuration, tokenizer, template, model.
pub fn gguf(bytes: &[u8]) {
    let Some(file) = sound(Gguf::from_bytes(bytes.to_vec(), Path::new("hostile.gguf"))) else {
        return;
    };
    let file = Arc::new(file);
    for (name, info) in file.tensors() {
        let values = file.dequantize(name).expect("a listed tensor");
        assert_eq!(values.len(), info.shape.iter().product::<usize>(), "{name}");
    }
    if let Some(tokenizer) = sound(Tokenizer::from_gguf(&file)) {
        use_tokenizer(&tokenizer);
    }
    if let Some(source) = file.value("tokenizer.chat_template").and_then(Value::as_str) {
        use_template(source, SpecialTokens::default());
    }
    let Some(config) = sound(from_gguf(&file)) else { return };
    let Some(source) = sound(GgufSource::new(file, &config)) else { return };
    load_all(&source);
    sound(CausalLm::from_source(&config, &source, Kind::BFloat16, Device::Cpu));
}

/// One safetensors file; or, cut into parts, an index and its shards `a` and `b`.
pub fn safetensors(bytes: &[u8]) {
    let parts = split(bytes);
    let source = if let [single] = parts[..] {
        SafetensorsSource::from_bytes(single.to_vec(), Path::new("hostile"))
    } else {
        let folder = Folder::new();
        for (name, part) in ["model.safetensors.index.json", "a", "b"].iter().zip(&parts) {
            folder.write(name, part);
        }
        SafetensorsSource::open_folder(folder.path())
    };
    if let Some(source) = sound(source) {
        load_all(&source);
    }
}

/// A `config.json`; or, cut into parts, that with `generation_config.json`,
/// `tokenizer_config.json`, `tokenizer.json` and `chat_template.jinja` in a folder.
pub fn config(bytes: &[u8]) {
    let parts = split(bytes);
    let config = std::str::from_utf8(parts[0]).ok();
    if let Some(config) = config.and_then(|text| sound(parse_hf(text, "config.json"))) {
        let written = config.to_hf().to_string();
        let again = parse_hf(&written, "again").unwrap_or_else(|e| panic!("{e}: {written}"));
        assert_eq!(config, again, "{written}");
    }
    if parts.len() > 1 {
        let folder = Folder::new();
        let names = [
            "config.json",
            "generation_config.json",
            "tokenizer_config.json",
            "tokenizer.json",
            "chat_template.jinja",
        ];
        for (name, part) in names.iter().zip(&parts) {
            folder.write(name, part);
        }
        // There are no weights, so that there is always something to refuse.
        let refused = sound(Pretrained::load(folder.path(), &LoadOptions::default()));
        assert!(refused.is_none(), "a model without weights");
    }
}

/// A `tokenizer.json`.
pub fn tokenizer(bytes: &[u8]) {
    if let Some(tokenizer) = sound(Tokenizer::from_bytes(bytes, "tokenizer.json")) {
        use_tokenizer(&tokenizer);
        if let Some(text) = sound(tokenizer.to_json()) {
            sound(Tokenizer::from_bytes(text.as_bytes(), "again"));
        }
    }
}

/// A chat template.
pub fn chat(bytes: &[u8]) {
    if let Ok(source) = std::str::from_utf8(bytes) {
        let token = |text: &str| Some(text.to_owned());
        use_template(
            source,
            SpecialTokens {
                bos_token: token("<s>"),
                eos_token: token("</s>"),
                pad_token: token("<pad>"),
                unk_token: None,
            },
        );
    }
}

fn use_tokenizer(tokenizer: &Tokenizer) {
    for text in TEXTS {
        if let Some(ids) = sound(tokenizer.encode(text)) {
            sound(tokenizer.decode(&ids));
        }
        sound(tokenizer.encode_with_special_tokens(text));
    }
    let vocab = tokenizer.vocab();
    assert!(vocab < 1 << 40, "{vocab} tokens");
    let ids: Vec<u32> = (0..24).chain([65_536, u32::MAX]).collect();
    sound(tokenizer.decode_text(&ids));
    let mut stream = tokenizer.stream();
    for id in ids {
        sound(stream.push(id));
        if let Some(token) = tokenizer.token(id) {
            tokenizer.id(&token);
        }
    }
    sound(stream.finish());
}

fn use_template(source: &str, special: SpecialTokens) {
    let Some(template) = sound(ChatTemplate::parse(source, special, "chat_template.jinja")) else {
        return;
    };
    let messages = [
        Message::new("system", "You are terse."),
        Message::user("What is 2 + 2?\nThink <b>first</b>."),
        Message::assistant("<think>\nsum\n</think>\n\n4"),
        Message::user("  Danke, \u{1f642}  "),
        Message::assistant("Bitte."),
    ];
    for conversation in [&messages[..], &messages[1..2], &[]] {
        sound(template.render(conversation, Prompt::Open));
    }
    sound(template.render_spans(&messages));
}

fn load_all(source: &dyn TensorSource) {
    for name in source.names() {
        let shape = source.shape(&name).expect("a listed tensor");
        if let Some(tensor) = sound(source.load(&name, Kind::Float, Device::Cpu)) {
            let found: Vec<usize> = tensor.size().iter().map(|&d| d as usize).collect();
            assert_eq!(found, shape, "{name}");
        }
    }
}

/// What was read, if it was; else checks what the user is told.
fn sound<T>(result: Result<T, Error>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error.to_string(),
    };
    assert!(!error.contains(['\n', '\r', '\0']), "more than a line: {error:?}");
    assert!((10..2000).contains(&error.len()), "{} bytes of message: {error}", error.len());
    None
}

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(CUT.len()).position(|w| w == CUT) {
        parts.push(&rest[..at]);
        rest = &rest[at + CUT.len()..];
    }
    parts.push(rest);
    parts
}

/// A folder for one input, in memory where the system has such a place.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        Self(tempfile::tempdir_in(base).expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).expect("a file in a temporary folder");
    }
}
