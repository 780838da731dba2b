//! Where a token may leave the forward pass.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Blocks before which a token may leave, in ascending order, of a model with so many blocks.
///
/// "Exit `l`" means that blocks 0 to `l − 1` have run and block `l` has not. The outcome after the
/// last site is *never*: all blocks run. So outcome `i` is the `i`-th site, and outcome
/// [`Sites::len`] is never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Sites {
    blocks: Vec<usize>,
    num_layers: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    blocks: Vec<usize>,
    num_layers: usize,
}

impl TryFrom<Unchecked> for Sites {
    type Error = Error;

    fn try_from(sites: Unchecked) -> Result<Self, Error> {
        Self::new(sites.blocks, sites.num_layers)
    }
}

impl Sites {
    /// Checks that the blocks are in the model.
    ///
    /// # Errors
    /// [`Error::Sites`] unless there is at least one, they ascend, and all lie in
    /// `1..num_layers`.
    pub fn new(blocks: Vec<usize>, num_layers: usize) -> Result<Self, Error> {
        let ascend = blocks.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = blocks.iter().all(|&block| block > 0 && block < num_layers);
        if blocks.is_empty() || !ascend || !inside {
            let expected = format!(
                "ascending blocks between 1 and {} (the model has {num_layers})",
                num_layers.saturating_sub(1)
            );
            return Err(Error::Sites { expected, found: format!("{blocks:?}") });
        }
        Ok(Self { blocks, num_layers })
    }

    /// Every `step`-th block but the first, as published: 5, 10, …
    ///
    /// # Errors
    /// [`Error::Sites`] if the model is not deeper than `step`, or `step` is 0.
    pub fn every(step: usize, num_layers: usize) -> Result<Self, Error> {
        let blocks =
            if step == 0 { Vec::new() } else { (step..num_layers).step_by(step).collect() };
        Self::new(blocks, num_layers)
    }

    /// The blocks.
    pub fn blocks(&self) -> &[usize] {
        &self.blocks
    }

    /// Number of sites; the outcome "never".
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Blocks of the model.
    pub fn num_layers(&self) -> usize {
        self.num_layers
    }

    /// Blocks that run in each outcome, "never" last.
    pub fn executed(&self) -> Vec<usize> {
        self.blocks.iter().copied().chain([self.num_layers]).collect()
    }

    /// The outcome in which so many blocks run.
    pub fn outcome(&self, executed: usize) -> Option<usize> {
        self.executed().iter().position(|&blocks| blocks == executed)
    }
}

impl fmt::Display for Sites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} blocks", self.blocks, self.num_layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_lie_inside_the_model() {
        assert_eq!(Sites::every(5, 28).unwrap().blocks(), [5, 10, 15, 20, 25]);
        assert_eq!(Sites::every(5, 36).unwrap().len(), 7);
        for blocks in [vec![], vec![0], vec![6], vec![3, 3], vec![4, 2]] {
            let message = Sites::new(blocks.clone(), 6).unwrap_err().to_string();
            let expected =
                "exit sites: expected ascending blocks between 1 and 5 (the model has 6)";
            assert_eq!(message, format!("{expected}, found {blocks:?}"));
        }
        assert!(Sites::every(6, 6).is_err() && Sites::every(0, 6).is_err());
        let sites = Sites::new(vec![2, 5], 6).unwrap();
        assert_eq!(
            (sites.outcome(5), sites.outcome(6), sites.outcome(3)),
            (Some(1), Some(2), None)
        );
        let text = serde_json::to_string(&sites).unwrap();
        assert_eq!(serde_json::from_str::<Sites>(&text).unwrap(), sites);
        assert!(serde_json::from_str::<Sites>(r#"{"blocks": [9], "num_layers": 6}"#).is_err());
    }
}
