//! A model with its tokenizer and chat template, from and to the published layouts.

use std::{path::Path, sync::Arc};

use serde_json::{Value as Json, json};
use tch::{Device, Kind};

use crate::{
    CausalLm, Error,
    chat::{ChatTemplate, SpecialTokens},
    config::{ModelConfig, from_gguf, from_hf},
    gguf::{Gguf, Value},
    tokenizer::Tokenizer,
    weights::{GgufSource, SafetensorsSource, save_sharded, write_text},
};

/// Shards beyond this size are split, as published checkpoints are.
const SHARD_BYTES: usize = 5_000_000_000;

/// How weights are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Type of the weights.
    pub kind: Kind,
    /// Where they are kept.
    pub device: Device,
}

impl Default for LoadOptions {
    /// f32 on the CPU: exact.
    fn default() -> Self {
        Self { kind: Kind::Float, device: Device::Cpu }
    }
}

/// Everything a checkpoint holds.
#[derive(Debug)]
pub struct Pretrained {
    /// The model.
    pub lm: CausalLm,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its chat template, if it has one.
    pub chat_template: Option<ChatTemplate>,
}

impl Pretrained {
    /// Loads a Hugging Face folder or a `.gguf` file.
    ///
    /// # Errors
    /// One that names file, tensor or field, what was found and what was expected.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::load_folder(path, options);
        }
        let file = Arc::new(Gguf::open(path)?);
        let config = from_gguf(&file)?;
        let tokenizer = Tokenizer::from_gguf(&file)?;
        tokenizer.check_ids(config.vocab)?;
        let special = |key: &str| {
            let id = file.value(&format!("tokenizer.ggml.{key}_token_id"))?.as_usize()?;
            tokenizer.token(u32::try_from(id).ok()?)
        };
        let special = SpecialTokens {
            bos_token: special("bos"),
            eos_token: special("eos"),
            pad_token: special("padding"),
            unk_token: special("unknown"),
        };
        let chat_template = file
            .value("tokenizer.chat_template")
            .and_then(Value::as_str)
            .map(|source| ChatTemplate::parse(source, special, &path.display().to_string()))
            .transpose()?;
        let source = GgufSource::new(Arc::clone(&file), &config)?;
        let lm = CausalLm::from_source(&config, &source, options.kind, options.device)?;
        Ok(Self { lm, tokenizer, chat_template })
    }

    fn load_folder(folder: &Path, options: &LoadOptions) -> Result<Self, Error> {
        let mut config = from_hf(&folder.join("config.json"))?;
        merge_generation_config(&mut config, &folder.join("generation_config.json"))?;
        let tokenizer = Tokenizer::from_file(&folder.join("tokenizer.json"))?;
        tokenizer.check_ids(config.vocab)?;
        let chat_template = ChatTemplate::from_folder(folder)?;
        let source = SafetensorsSource::open_folder(folder)?;
        let lm = CausalLm::from_source(&config, &source, options.kind, options.device)?;
        Ok(Self { lm, tokenizer, chat_template })
    }

    /// Writes the published layout into `folder`, which must be new or empty.
    ///
    /// # Errors
    /// [`Error::Setting`] if the folder holds anything; [`Error::Io`] if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let occupied = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            return Err(Error::Setting {
                name: folder.display().to_string(),
                expected: "a new or empty folder".into(),
                found: "files, which are not overwritten".into(),
            });
        }
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let text = |name: &str, content: String| write_text(&folder.join(name), &content);
        let config = self.lm.config();
        let mut described = config.to_hf();
        let dtype = match self.lm.kind() {
            Kind::BFloat16 => "bfloat16",
            Kind::Half => "float16",
            _ => "float32",
        };
        described["torch_dtype"] = json!(dtype);
        text("config.json", format!("{described:#}\n"))?;
        let generation = json!({
            "bos_token_id": config.bos, "eos_token_id": config.eos, "pad_token_id": config.pad,
        });
        text("generation_config.json", format!("{generation:#}\n"))?;
        text("tokenizer.json", self.tokenizer.to_json()?)?;
        let mut described = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.max_context,
            "clean_up_tokenization_spaces": false,
        });
        if let Some(template) = &self.chat_template {
            for (name, token) in template.special_tokens().spelled() {
                described[name] = json!(token);
            }
            template.save(folder)?;
        }
        text("tokenizer_config.json", format!("{described:#}\n"))?;
        save_sharded(folder, &self.lm.named_tensors(), SHARD_BYTES)
    }
}

/// Stop tokens that only `generation_config.json` names count too.
fn merge_generation_config(config: &mut ModelConfig, path: &Path) -> Result<(), Error> {
    let Some(json) = read_json(path)? else { return Ok(()) };
    let ids: Vec<&Json> = match &json["eos_token_id"] {
        Json::Array(ids) => ids.iter().collect(),
        Json::Null => Vec::new(),
        single => vec![single],
    };
    for id in ids {
        let known = id.as_u64().filter(|&id| id < config.vocab as u64).map(|id| id as u32);
        let id = known.ok_or_else(|| {
            let expected = format!("token ids below {}", config.vocab);
            Error::format(path.display(), "eos_token_id", expected, id.to_string())
        })?;
        if !config.eos.contains(&id) {
            config.eos.push(id);
        }
    }
    Ok(())
}

/// The content of a JSON file, or nothing where there is no such file.
pub(crate) fn read_json(path: &Path) -> Result<Option<Json>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| Error::format(path.display(), "content", "JSON", e.to_string()))
}
