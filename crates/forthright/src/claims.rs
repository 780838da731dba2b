//! What a pipeline has to show, as it comes.

use rl_core::run::{Claim, Statement};

/// The claims of a run at one scale, in the order in which they were made.
pub(crate) struct Claims {
    scale: &'static str,
    all: Vec<Claim>,
}

impl Claims {
    pub(crate) fn new(scale: &'static str) -> Self {
        Self { scale, all: Vec::new() }
    }

    /// A claim whose value was found.
    pub(crate) fn measured(
        &mut self,
        statement: Statement<'_>,
        value: f64,
        interval: Option<[f64; 2]>,
        n: usize,
    ) -> anyhow::Result<()> {
        self.all.push(Claim::measured(statement, value, interval, n, self.scale)?);
        Ok(())
    }

    /// A claim that could not be computed, and why.
    #[cfg_attr(not(feature = "lm"), allow(dead_code, reason = "not all pipelines have one"))]
    pub(crate) fn open(&mut self, statement: Statement<'_>, reason: &str) -> anyhow::Result<()> {
        self.all.push(Claim::not_computed(statement, reason, self.scale)?);
        Ok(())
    }

    pub(crate) fn all(&self) -> &[Claim] {
        &self.all
    }
}
