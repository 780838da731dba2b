//! The check of a first step: what must be equal there, and what is likely wrong if it is not.

use std::fmt;

/// Differences, in nats, that rounding explains in weights of 16 bits; 0.03 to 0.07 was seen.
const ROUNDING: f64 = 0.2;

/// What the first iteration of a run showed.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfCheck {
    /// Difference between a token's log-probability in sampling and in scoring, root mean square, in
    /// nats.
    pub sampler_gap: f64,
    /// Log-ratio of the policy to itself before the first optimizer step, root mean square over
    /// tokens, in nats.
    pub ratio_gap: f64,
    /// Greatest absolute log-ratio of an answer to the reference, where the policy still is the
    /// reference; none in a resumed run.
    pub reference_gap: Option<f64>,
}

impl SelfCheck {
    pub(crate) fn new(at_start: bool, sampler_gap: f64, ratio_gap: f64, kl: &[f64]) -> Self {
        let gap = kl.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        Self { sampler_gap, ratio_gap, reference_gap: at_start.then_some(gap) }
    }

    /// What is not as it must be, each with a likely cause.
    pub fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        let mut warn = |gap: f64, what: &str, cause: &str| {
            if gap > ROUNDING || gap.is_nan() {
                out.push(format!("{what} by {gap:.3} nats at the first step; {cause}"));
            }
        };
        warn(
            self.sampler_gap,
            "sampler and scorer differ",
            "is the sampled distribution truncated, or the temperature another?",
        );
        warn(
            self.ratio_gap,
            "the policy differs from itself",
            "is something random, such as dropout, or does padding reach the result?",
        );
        if let Some(gap) = self.reference_gap {
            warn(
                gap,
                "the policy differs from its reference",
                "is the reference another model than the one the policy starts from?",
            );
        }
        out
    }
}

impl fmt::Display for SelfCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "first step: sampler and scorer within {:.2e} nats a token, ratio to itself within {:.2e}",
            self.sampler_gap, self.ratio_gap
        )?;
        match self.reference_gap {
            Some(gap) => write!(f, ", reference within {gap:.2e} an answer"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_passes_and_mistakes_do_not() {
        assert!(SelfCheck::new(true, 0.1, 0.01, &[0.0, -0.1]).warnings().is_empty());
        assert_eq!(SelfCheck::new(true, 2.0, 1.0, &[-9.0]).warnings().len(), 3);
        assert_eq!(SelfCheck::new(false, f64::NAN, 0.0, &[-9.0]).warnings().len(), 1);
    }
}
