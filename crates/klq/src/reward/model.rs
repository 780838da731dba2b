//! A language model with a scalar head that says what an answer is worth.

use std::{fs, path::Path};

use causal_lm::{
    CausalLm,
    classifier::{Classifier, read_tokens},
    heads::ScalarHead,
    lora::LoraAdapter,
    model::Layout,
    tokenizer::Tokenizer,
};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Answer, Reward};
use crate::Error;

const HEAD_FILE: &str = "head.safetensors";
const SCALE_FILE: &str = "reward_model.json";
const ADAPTER_FOLDER: &str = "adapter";

/// A linear change of scale: a reward is `(number of the head − shift) · factor`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Taken off.
    pub shift: f64,
    /// Multiplied by.
    pub factor: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Self { shift: 0.0, factor: 1.0 }
    }
}

impl Scale {
    /// The change that gives these numbers mean 0 and standard deviation 1, or only mean 0 where
    /// they are all equal.
    pub fn standardizing(numbers: &[f64]) -> Self {
        let n = numbers.len().max(1) as f64;
        let shift = numbers.iter().sum::<f64>() / n;
        let variance =
            numbers.iter().map(|x| (x - shift).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let factor = if variance > 0.0 { variance.sqrt().recip() } else { 1.0 };
        Self { shift, factor }
    }

    fn apply(self, number: f64) -> f64 {
        (number - self.shift) * self.factor
    }
}

/// A reward model: the head's number at the last token of prompt and answer.
#[derive(Debug)]
pub struct RewardModel {
    pub(super) lm: CausalLm,
    pub(super) head: ScalarHead,
    /// Not read at a text's end, as [`read_tokens`] says.
    pad: Option<u32>,
    /// Change of scale, so that rewards are of order 1 whatever the head's scale.
    pub scale: Scale,
    /// Tokens of a forward pass, padding counted.
    pub pass_tokens: usize,
}

impl RewardModel {
    /// A model whose head reads the states of `lm`.
    pub fn new(lm: CausalLm, head: ScalarHead) -> Self {
        Self { lm, head, pad: None, scale: Scale::default(), pass_tokens: 4096 }
    }

    /// A published classifier as a reward, of answers in the tokens of `policy`.
    ///
    /// Rewards are its numbers, on its own scale.
    ///
    /// # Errors
    /// [`Error::Token`] if its tokenizer means something else by a token of the policy's, or has no
    /// such token; without a tokenizer, [`Error::Vocabulary`] if it has not as many tokens as `vocab`,
    /// the size of the policy's embedding.
    pub fn from_classifier(
        classifier: Classifier,
        policy: &Tokenizer,
        vocab: usize,
    ) -> Result<Self, Error> {
        let Classifier { lm, head, tokenizer } = classifier;
        let what = "the reward model";
        match tokenizer {
            Some(tokenizer) => same_tokens(what, policy, &tokenizer)?,
            None if lm.config().vocab != vocab => {
                return Err(Error::Vocabulary { what, policy: vocab, found: lm.config().vocab });
            }
            None => {}
        }
        Ok(Self { pad: lm.config().pad, ..Self::new(lm, head) })
    }

    /// Tokens of its vocabulary.
    pub fn vocab(&self) -> usize {
        self.lm.config().vocab
    }

    /// Reads what [`RewardModel::save`] wrote: head, scale, and the adapter for `base`.
    ///
    /// # Errors
    /// [`Error::Lm`], [`Error::Io`] or [`Error::Format`].
    pub fn load(folder: &Path, base: &CausalLm) -> Result<Self, Error> {
        let path = folder.join(SCALE_FILE);
        let text = fs::read_to_string(&path).map_err(|source| Error::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let scale = serde_json::from_str(&text)
            .map_err(|e| Error::Format { path, message: e.to_string() })?;
        let adapter = LoraAdapter::load(&folder.join(ADAPTER_FOLDER), base.config())?;
        let lm = base.with_adapter(Some(adapter.to_device(base.device())))?.merged();
        let head = ScalarHead::load(&folder.join(HEAD_FILE), base.config().hidden)?;
        let head = head.to_device(base.device());
        Ok(Self { scale, ..Self::new(lm, head) })
    }

    /// Writes head, scale and adapter into a folder that is there.
    ///
    /// # Errors
    /// [`Error::Lm`] or [`Error::Io`].
    pub fn save(&self, folder: &Path, base_model: &str) -> Result<(), Error> {
        if let Some(adapter) = self.lm.adapter() {
            adapter.save(&folder.join(ADAPTER_FOLDER), self.lm.config(), base_model)?;
        }
        self.head.save(&folder.join(HEAD_FILE))?;
        let path = folder.join(SCALE_FILE);
        // Two numbers, which JSON can hold.
        let text = serde_json::to_string_pretty(&self.scale).unwrap_or_default();
        fs::write(&path, text).map_err(|source| Error::Io { action: "write", path, source })
    }

    /// Rewards of whole texts, without gradient.
    ///
    /// # Errors
    /// [`Error::Lm`] for an empty text, one longer than the context, or a token outside the
    /// vocabulary.
    pub fn rewards(&self, texts: &[Vec<u32>]) -> Result<Vec<f64>, Error> {
        let _guard = tch::no_grad_guard();
        let read: Vec<Vec<u32>> =
            texts.iter().map(|text| read_tokens(text, self.pad).to_vec()).collect();
        let numbers = last_numbers(&self.lm, &self.head, &read, self.pass_tokens)?;
        let numbers: Vec<f64> =
            numbers.iter().map(|(i, x)| (*i, x)).fold(vec![0.0; texts.len()], |mut out, (i, x)| {
                out[i] = self.scale.apply(x.double_value(&[]));
                out
            });
        Ok(numbers)
    }
}

impl Reward for RewardModel {
    fn name(&self) -> &'static str {
        "reward-model"
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Vec<Result<f64, String>> {
        let texts: Vec<Vec<u32>> =
            answers.iter().map(|a| [&a.prompt.ids[..], a.ids].concat()).collect();
        match self.rewards(&texts) {
            Ok(rewards) => rewards.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error.to_string()); answers.len()],
        }
    }
}

/// Refuses a tokenizer that does not mean the same by every token of the policy's; it may have more.
fn same_tokens(what: &'static str, policy: &Tokenizer, other: &Tokenizer) -> Result<(), Error> {
    for id in 0..u32::try_from(policy.vocab()).unwrap_or(u32::MAX) {
        let (expected, found) = (policy.token(id), other.token(id));
        if expected.is_some() && expected != found {
            let shown = |token: Option<String>| {
                token.map_or_else(|| "none".to_owned(), |token| format!("{token:?}"))
            };
            let (expected, found) = (shown(expected), shown(found));
            return Err(Error::Token { what, id, expected, found });
        }
    }
    Ok(())
}

/// The head's number at the last token of each text, with the text's index; passes are of texts of
/// like length.
pub(super) fn last_numbers(
    lm: &CausalLm,
    head: &ScalarHead,
    texts: &[Vec<u32>],
    pass_tokens: usize,
) -> Result<Vec<(usize, Tensor)>, Error> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(texts[i].len()));
    let mut out = Vec::with_capacity(texts.len());
    let mut rest = &order[..];
    while let Some(&first) = rest.first() {
        let seq = texts[first].len();
        let (pass, later) = rest.split_at((pass_tokens / seq.max(1)).clamp(1, rest.len()));
        let lengths: Vec<usize> = pass.iter().map(|&i| texts[i].len()).collect();
        let ids: Vec<i64> = pass
            .iter()
            .flat_map(|&i| {
                let padding = std::iter::repeat_n(0, seq - texts[i].len());
                texts[i].iter().map(|&id| i64::from(id)).chain(padding)
            })
            .collect();
        let vocab = lm.config().vocab as i64;
        if let Some(id) = ids.iter().find(|&&id| id >= vocab) {
            let found = format!("the token {id}");
            return Err(causal_lm::Error::Prompt {
                request: first,
                expected: format!("token ids below {vocab}, as the reward model has them"),
                found,
            }
            .into());
        }
        let ids = Tensor::from_slice(&ids).view([pass.len() as i64, seq as i64]);
        let layout = Layout::RightPadded(lengths.clone());
        let hidden = lm.hidden(&ids.to_device(lm.device()), &layout)?; // [rows, seq, hidden]
        let numbers = head.last(&hidden, &lengths)?; // [rows]
        out.extend(pass.iter().copied().zip(numbers.unbind(0)));
        rest = later;
    }
    Ok(out)
}
