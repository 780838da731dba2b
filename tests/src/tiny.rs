//! A model that is small enough to be trained and killed many times.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The checkpoint of random weights that causal-lm is tested with, and a tokenizer of the printable
/// characters for it.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/causal-lm/tests/golden/llama");

/// After the 95 characters.
const END: u32 = 95;

/// A folder with a tiny model in `model/`, and room for what is made of it.
#[derive(Debug)]
pub struct Tiny {
    folder: TempDir,
}

impl Default for Tiny {
    fn default() -> Self {
        Self::new()
    }
}

impl Tiny {
    /// Lays it out.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(this.at("model")).unwrap();
        let weights = Path::new(GOLDEN).join("model.safetensors");
        fs::copy(weights, this.at("model/model.safetensors")).unwrap();
        let config = fs::read_to_string(Path::new(GOLDEN).join("config.json")).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["eos_token_id"] = json!(END);
        this.write("model/config.json", &config.to_string());
        this.write("model/tokenizer.json", &tokenizer().to_string());
        this.write(
            "model/chat_template.jinja",
            "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}\
             {% if add_generation_prompt %}assistant: {% endif %}",
        );
        let example =
            |i: u32| json!({ "prompt": format!("{i} + 1 ="), "completion": format!(" {}", i + 1) });
        let examples: Vec<String> = (0..40).map(|i| example(i).to_string()).collect();
        this.write("train.jsonl", &(examples.join("\n") + "\n"));
        this
    }

    /// A path in the folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the folder, as an argument.
    ///
    /// # Panics
    /// If the system's folder for temporary files has an odd name.
    pub fn arg(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// Writes a file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    /// Changes the model's `config.json`.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn configure(&self, key: &str, value: Value) {
        let text = fs::read_to_string(self.at("model/config.json")).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config[key] = value;
        self.write("model/config.json", &config.to_string());
    }
}

/// Every printable character is a token.
fn tokenizer() -> Value {
    let vocab: serde_json::Map<String, Value> =
        (' '..='~').enumerate().map(|(id, c)| (c.to_string(), json!(id))).collect();
    json!({
        "version": "1.0",
        "added_tokens": [{
            "id": END, "content": "<|end|>", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        }],
        "decoder": { "type": "Fuse" },
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
    })
}
