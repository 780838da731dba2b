//! Answers that the length limit cut off, where it is no end.

use causal_lm::finetune::Example;

use crate::{
    Error,
    grid::Grid,
    policy::{Cut, Policy},
    reward::Prompt,
    rollout::Rollout,
};

/// The cut-off answers of a batch, each with a token more: the state that predicts it is the one
/// after the answer. What that token is does not matter, as nothing is predicted from it.
pub(super) struct CutOff {
    answers: usize,
    rows: Vec<usize>,
    examples: Vec<Example>,
    grid: Grid,
}

impl CutOff {
    pub(super) fn new(rollouts: &[Rollout], prompts: &[Prompt]) -> Self {
        let rows: Vec<usize> = (0..rollouts.len()).filter(|&row| !rollouts[row].ended).collect();
        let of = |&row: &usize| {
            let Rollout { prompt, ids, .. } = &rollouts[row];
            let longer: Vec<u32> = ids.iter().chain(ids.last()).copied().collect();
            Example::completion(&prompts[*prompt].ids, &longer)
        };
        let lengths = rows.iter().map(|&row| rollouts[row].ids.len() + 1).collect();
        Self {
            answers: rollouts.len(),
            examples: rows.iter().map(of).collect(),
            grid: Grid::new(lengths),
            rows,
        }
    }

    /// Value of the state after each answer of the batch; 0 after those that ended.
    pub(super) fn values(&self, policy: &Policy, cut: Cut) -> Result<Vec<f64>, Error> {
        let mut out = vec![0.0; self.answers];
        if self.rows.is_empty() {
            return Ok(out);
        }
        let values = policy.measure(&self.examples, &self.grid, cut)?.values;
        for (i, &row) in self.rows.iter().enumerate() {
            let last = self.grid.lengths()[i] - 1;
            out[row] = values.double_value(&[i as i64, last as i64]);
        }
        Ok(out)
    }
}
