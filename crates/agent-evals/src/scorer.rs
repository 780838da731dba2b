//! Judging a sample by its trace.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::{Score, Trace};

/// Judges samples that have ended.
///
/// It sees the trace alone, so that it can judge again what a journal holds. Samples that failed are
/// not shown to it: they are errors whoever judges.
pub trait Scorer: Send + Sync {
    /// Its name; scores are kept by it.
    fn name(&self) -> &str;

    /// Judges a sample.
    fn score<'a>(&'a self, trace: &'a Trace) -> BoxFuture<'a, Score>;
}

type Function = dyn Fn(&Trace) -> Score + Send + Sync;

/// A scorer that is a function of the trace.
pub struct FunctionScorer {
    name: String,
    function: Box<Function>,
}

impl FunctionScorer {
    /// A function under a name.
    pub fn new(
        name: impl Into<String>,
        function: impl Fn(&Trace) -> Score + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), function: Box::new(function) }
    }
}

impl Scorer for FunctionScorer {
    fn name(&self) -> &str {
        &self.name
    }

    fn score<'a>(&'a self, trace: &'a Trace) -> BoxFuture<'a, Score> {
        Box::pin(std::future::ready((self.function)(trace)))
    }
}

impl fmt::Debug for FunctionScorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionScorer").field("name", &self.name).finish_non_exhaustive()
    }
}
