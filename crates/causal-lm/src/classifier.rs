//! Published sequence classifiers of one label: reward models.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::{
    CausalLm, Error, LoadOptions,
    config::from_hf,
    heads::ScalarHead,
    tokenizer::Tokenizer,
    weights::{SafetensorsSource, TensorSource},
};

/// Names of the head's tensors.
const HEAD: &str = "score.";

/// A language model without a head for tokens, and a linear map from the state of a text's last token
/// to one number.
///
/// What the published layout calls `LlamaForSequenceClassification` and the like, for every family of
/// this crate. The number is the logit as published: there is no sigmoid over it.
#[derive(Debug)]
pub struct Classifier {
    /// The model; only its states mean anything.
    pub lm: CausalLm,
    /// The map.
    pub head: ScalarHead,
    /// Its tokenizer, where the folder has one.
    pub tokenizer: Option<Tokenizer>,
}

impl Classifier {
    /// Loads a Hugging Face folder.
    ///
    /// # Errors
    /// One that names file, tensor or field, what was found and what was expected: among others for
    /// a classifier of more than one label, or a checkpoint that is none.
    pub fn load(folder: &Path, options: &LoadOptions) -> Result<Self, Error> {
        let mut config = from_hf(&folder.join("config.json"))?;
        // There is no matrix of logits; so there is none to ask the file for.
        config.tie_embeddings = true;
        let source = SafetensorsSource::open_folder(folder)?;
        let head = ScalarHead::from_source(&source, config.hidden)?.to_device(options.device);
        let trunk = Trunk(&source);
        let lm = CausalLm::from_source(&config, &trunk, options.kind, options.device)?;
        let path = folder.join("tokenizer.json");
        let tokenizer = if path.exists() { Some(Tokenizer::from_file(&path)?) } else { None };
        if let Some(tokenizer) = &tokenizer {
            tokenizer.check_ids(config.vocab)?;
        }
        Ok(Self { lm, head, tokenizer })
    }
}

/// Tokens of a text up to the one that its number is read at: the last that is not padding.
///
/// Where a checkpoint's padding is also its end of text, as is common, that end is not read; so does
/// the reference library. Of nothing but padding, the first token is read.
pub fn read_tokens(text: &[u32], pad: Option<u32>) -> &[u32] {
    let last = text.iter().rposition(|&id| Some(id) != pad);
    &text[..last.map_or(text.len().min(1), |last| last + 1)]
}

/// The tensors of a checkpoint but those of the head.
struct Trunk<'a>(&'a SafetensorsSource);

impl TensorSource for Trunk<'_> {
    fn names(&self) -> Vec<String> {
        self.0.names().into_iter().filter(|name| !name.starts_with(HEAD)).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.shape(name)
    }

    fn load(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor, Error> {
        self.0.load(name, kind, device)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}
