//! Answers side by side in a forward pass, and which of their tokens may leave it.

use causal_lm::finetune::{Batch, Example, Packing};
use tch::{Device, Tensor};

use crate::forward::Sequences;

/// One forward pass over answers to prompts.
///
/// A position that predicts a token of an answer may leave early, unless it predicts the first: that
/// is the end of the prompt.
#[derive(Debug)]
pub struct Answers {
    /// Tokens, positions and targets; padded, never packed.
    pub batch: Batch,
    /// Places in the flattened batch of the tokens that may leave, `[m]`.
    pub free: Tensor,
    /// Their places among `batch.positions`, `[m]`.
    pub of_free: Tensor,
    /// For each example of the pass its index and its number of predicted tokens, in the order of
    /// `batch.positions`.
    pub rows: Vec<(usize, usize)>,
}

impl Answers {
    /// Forward passes over answers of at most `pass_tokens` tokens each, padding counted.
    pub fn plan(examples: &[&Example], pass_tokens: usize, device: Device) -> Vec<Self> {
        let passes = Batch::plan(examples, Packing::Padded, 0, pass_tokens, device);
        passes.into_iter().map(|batch| Self::new(batch, examples)).collect()
    }

    fn new(batch: Batch, examples: &[&Example]) -> Self {
        let rows: Vec<(usize, usize)> =
            batch.examples.iter().map(|&i| (i, examples[i].counted())).collect();
        let mut of_free = Vec::new();
        let mut at = 0;
        for &(_, counted) in &rows {
            of_free.extend((at + 1..at + counted).map(|place| place as i64));
            at += counted;
        }
        let of_free = Tensor::from_slice(&of_free).to_device(batch.positions.device());
        let free = batch.positions.index_select(0, &of_free);
        Self { batch, free, of_free, rows }
    }

    /// What a forward pass is told.
    pub fn sequences(&self) -> Sequences<'_> {
        Sequences { input_ids: &self.batch.input_ids, layout: &self.batch.layout, free: &self.free }
    }

    /// Of hidden states, those that predict the answers' tokens.
    ///
    /// # Shapes
    /// - `hidden`: `[rows, seq, hidden]`
    /// - returns: `[n, hidden]`
    pub fn predicting(&self, hidden: &Tensor) -> Tensor {
        hidden.flatten(0, 1).index_select(0, &self.batch.positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prompt_may_not_leave() {
        let examples =
            [Example::completion(&[1, 2], &[3, 4, 5]), Example::completion(&[6], &[7, 8])];
        let refs: Vec<&Example> = examples.iter().collect();
        let passes = Answers::plan(&refs, 100, Device::Cpu);
        assert_eq!(passes.len(), 1);
        let pass = &passes[0];
        let vec = |t: &Tensor| Vec::<i64>::try_from(t).unwrap();
        assert_eq!(vec(&pass.batch.positions), [1, 2, 3, 5, 6]);
        assert_eq!((vec(&pass.of_free), vec(&pass.free)), (vec![1, 2, 4], vec![2, 3, 6]));
        assert_eq!(pass.rows, [(0, 3), (1, 2)]);
    }
}
