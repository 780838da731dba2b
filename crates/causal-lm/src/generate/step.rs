//! What the generation loop asks of a model.

use tch::Tensor;

use crate::{CausalLm, Error, cache::KvCache};

/// A model that reads prompts and then one token a row at a time.
///
/// The loop in [`generate`](super::generate) knows nothing else of a model, so that one which skips
/// blocks, or runs elsewhere, generates through the same code.
pub trait StepModel {
    /// What the model remembers of the rows it is generating for.
    type State;

    /// Number of tokens; the width of the logits.
    fn vocab(&self) -> usize;

    /// Longest prompt and completion together, in tokens.
    fn max_context(&self) -> usize;

    /// Reads the prompts, with room for `max_new_tokens` more each.
    ///
    /// Returns the state and the logits that predict each row's next token, `[rows, vocab]` in f32.
    ///
    /// # Errors
    /// What the model reports.
    fn prefill(
        &self,
        prompts: &[&[u32]],
        max_new_tokens: usize,
    ) -> Result<(Self::State, Tensor), Error>;

    /// Tells the state of whom its rows are, once, after the prompts have been read and before the
    /// first step: request `requests[i]` with seed `seeds[i]` has row `i`.
    ///
    /// For models that draw random numbers of their own, or keep a record. Most have no use for it.
    fn assign(&self, _state: &mut Self::State, _requests: &[usize], _seeds: &[u64]) {}

    /// Appends one token to every row; returns the next logits, `[rows, vocab]` in f32.
    ///
    /// # Errors
    /// What the model reports.
    fn step(&self, state: &mut Self::State, tokens: &[u32]) -> Result<Tensor, Error>;

    /// Keeps the given rows in the given order; a row may be repeated.
    ///
    /// # Errors
    /// What the model reports.
    fn select(&self, state: &Self::State, rows: &[usize]) -> Result<Self::State, Error>;
}

impl StepModel for CausalLm {
    type State = KvCache;

    fn vocab(&self) -> usize {
        self.config().vocab
    }

    fn max_context(&self) -> usize {
        self.config().max_context
    }

    fn prefill(
        &self,
        prompts: &[&[u32]],
        max_new_tokens: usize,
    ) -> Result<(KvCache, Tensor), Error> {
        let longest = prompts.iter().map(|p| p.len()).max().unwrap_or(0);
        let mut starts = Vec::with_capacity(prompts.len());
        let mut ids = Vec::with_capacity(prompts.len() * longest);
        for prompt in prompts {
            let padding = longest - prompt.len();
            starts.push(padding as i64);
            // Any valid token does for padding: it is never looked at.
            ids.extend(std::iter::repeat_n(0_i64, padding));
            ids.extend(prompt.iter().map(|&t| i64::from(t)));
        }
        let ids = Tensor::from_slice(&ids)
            .view([prompts.len() as i64, longest as i64])
            .to_device(self.device());
        let capacity = longest + max_new_tokens;
        let mut cache = KvCache::new(self.config(), starts, capacity, self.kind(), self.device())?;
        let hidden = self.hidden_cached(&ids, &mut cache)?;
        let last = hidden.select(1, longest as i64 - 1);
        Ok((cache, self.logits(&last)))
    }

    fn step(&self, state: &mut KvCache, tokens: &[u32]) -> Result<Tensor, Error> {
        let ids: Vec<i64> = tokens.iter().map(|&t| i64::from(t)).collect();
        let ids = Tensor::from_slice(&ids).unsqueeze(1).to_device(self.device()); // [rows, 1]
        let hidden = self.hidden_cached(&ids, state)?;
        Ok(self.logits(&hidden.squeeze_dim(1)))
    }

    fn select(&self, state: &KvCache, rows: &[usize]) -> Result<KvCache, Error> {
        Ok(state.select(rows))
    }
}
