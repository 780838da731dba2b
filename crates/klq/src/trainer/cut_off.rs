//! Answers that the length limit cut off, where it is no end.

use causal_lm::finetune::Example;

use crate::{
    Error,
    algorithm::Measured,
    grid::Grid,
    policy::{Cut, Policy},
    reward::Prompt,
    rollout::Rollout,
};

/// The cut-off answers of a batch, each with a token more: the state that predicts it is the one
/// after the answer. What that token is does not matter, as nothing is predicted from it.
pub(super) struct CutOff {
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
        Self { examples: rows.iter().map(of).collect(), grid: Grid::new(lengths), rows }
    }

    /// Puts the value of the state after a cut-off answer, as the policy's value function has it now,
    /// in the place of the answer's score.
    pub(super) fn look_past(
        &self,
        measured: &mut Measured,
        policy: &Policy,
        cut: Cut,
    ) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let values = policy.measure(&self.examples, &self.grid, cut)?.values;
        for (i, &row) in self.rows.iter().enumerate() {
            let last = self.grid.lengths()[i] - 1;
            measured.scores[row] = 0.0;
            measured.after[row] = values.double_value(&[i as i64, last as i64]);
        }
        Ok(())
    }
}
