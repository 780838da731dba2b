//! All that the agent's loop knows of what is outside it.

use std::time::Duration;

use chat_model::{Request, ToolCall};
use serde_json::Value;

use crate::{Begin, Error, Next, Reply, ToolOutcome, Turn, What};

/// Why a sample does not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Time was up in the middle of it.
    Cut,
    /// Something failed that is not the agent's doing: the sample ends, with this as the reason.
    Failed(String),
    /// The sample is given up and nothing is said of it: the journal cannot be written, or a replay
    /// is not what was recorded.
    Abort(Error),
}

/// Where answers, results, reactions and the time come from: from a model and its surroundings, or
/// from a recording. The loop is the same for both, which is what makes a replay one.
pub(crate) trait World: Send {
    /// With what the sample begins.
    fn begin(&mut self) -> impl Future<Output = Result<Begin, Stop>> + Send;

    /// The answer of the model, and how long it took.
    fn ask(
        &mut self,
        request: &Request,
        asked: &str,
        left: Option<Duration>,
    ) -> impl Future<Output = Result<(Reply, u64), Stop>> + Send;

    /// How many of these calls, from the first on, are made together. At least 1.
    fn together(&self, calls: &[ToolCall]) -> usize;

    /// What comes of calls that are made together, and how long each took.
    fn call(
        &mut self,
        calls: &[ToolCall],
        max_bytes: usize,
        left: Option<Duration>,
    ) -> impl Future<Output = Result<Vec<(ToolOutcome, u64)>, Stop>> + Send;

    /// What the surroundings do after a turn.
    fn react(
        &mut self,
        turn: Turn<'_>,
        left: Option<Duration>,
    ) -> impl Future<Output = Result<Next, Stop>> + Send;

    /// The state in the end.
    fn observe(&mut self) -> impl Future<Output = Result<Value, Stop>> + Send;

    /// Puts down what happened; when it did, in microseconds.
    fn record(&mut self, what: What) -> Result<u64, Stop>;

    /// A turn is over: what was put down outlives the process from here on.
    fn checkpoint(&mut self) -> Result<(), Stop>;
}
