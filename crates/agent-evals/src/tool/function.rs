//! Tools that are functions, for surroundings that are simulated.

use std::fmt;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::{Tool, ToolOutcome};
use crate::Error;

type Function = dyn Fn(&Map<String, Value>) -> Result<ToolOutcome, Error> + Send + Sync;

/// A tool that is a function of its arguments and of whatever state it holds.
///
/// # Examples
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use agent_evals::{FunctionTool, ToolOutcome};
/// use serde_json::json;
///
/// let total = Arc::new(Mutex::new(0));
/// let add = FunctionTool::new(
///     chat_model::Tool {
///         name: "add".to_owned(),
///         description: "Adds to the total.".to_owned(),
///         parameters: json!({
///             "type": "object",
///             "properties": { "n": { "type": "integer" } },
///             "required": ["n"],
///         }),
///     },
///     move |arguments| {
///         let mut total = total.lock().expect("no call panics");
///         *total += arguments["n"].as_i64().unwrap_or_default();
///         Ok(ToolOutcome::text(total.to_string()))
///     },
/// );
/// # let _ = add;
/// ```
pub struct FunctionTool {
    spec: chat_model::Tool,
    function: Box<Function>,
}

impl FunctionTool {
    /// A tool that does what a function does.
    pub fn new(
        spec: chat_model::Tool,
        function: impl Fn(&Map<String, Value>) -> Result<ToolOutcome, Error> + Send + Sync + 'static,
    ) -> Self {
        Self { spec, function: Box::new(function) }
    }
}

impl Tool for FunctionTool {
    fn spec(&self) -> &chat_model::Tool {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<ToolOutcome, Error>> {
        Box::pin(std::future::ready((self.function)(arguments)))
    }
}

impl fmt::Debug for FunctionTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTool").field("name", &self.spec.name).finish_non_exhaustive()
    }
}
