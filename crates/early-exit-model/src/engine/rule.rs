//! How it is decided in decoding where a token leaves.

use serde::{Deserialize, Serialize};

use crate::{Error, error::check, sites::Sites};

/// Who leaves where in decoding. Prompts and the first new token always run all blocks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// Nobody: the plain model, at its own speed.
    #[default]
    Off,
    /// Each gate is a coin.
    Sample,
    /// The first site whose probability exceeds one half.
    Greedy,
    /// The first site whose probability exceeds this.
    Threshold(f64),
    /// All tokens after so many blocks, site or not.
    Forced(usize),
    /// Outcomes drawn with these weights, one a site, then that of never: a control that knows
    /// nothing of the tokens.
    Random(Vec<f64>),
    /// The outcome that the divergences of the sites' predictions from the last block's suggest, for
    /// κ: every block is run to know them. What is measured is the law, not speed.
    Teacher(f64),
    /// For each request the numbers of blocks that its tokens after the first run; those for which
    /// none is given run all.
    Prescribed(Vec<Vec<usize>>),
}

impl Rule {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the rule.
    pub fn validate(&self, sites: &Sites) -> Result<(), Error> {
        let all = sites.num_layers();
        match self {
            Self::Off | Self::Sample | Self::Greedy => Ok(()),
            Self::Threshold(p) => check("threshold", (0.0..=1.0).contains(p), "a probability", p),
            Self::Forced(blocks) => {
                let expected = format!("1 to {all} blocks");
                check("forced", (1..=all).contains(blocks), &expected, blocks)
            }
            Self::Random(weights) => {
                let fine = |w: &f64| w.is_finite() && *w >= 0.0;
                let some = weights.iter().sum::<f64>() > 0.0;
                let ok = weights.len() == sites.len() + 1 && weights.iter().all(fine) && some;
                let expected = format!("{} weights, not below 0, not all 0", sites.len() + 1);
                check("random", ok, &expected, format!("{weights:?}"))
            }
            Self::Teacher(kappa) => {
                check("kappa", kappa.is_finite() && *kappa > 0.0, "a number above 0", kappa)
            }
            Self::Prescribed(exits) => {
                let outside = exits.iter().flatten().find(|blocks| !(1..=all).contains(*blocks));
                let expected = format!("1 to {all} blocks");
                match outside {
                    None => Ok(()),
                    Some(blocks) => check("prescribed", false, &expected, blocks),
                }
            }
        }
    }
}
