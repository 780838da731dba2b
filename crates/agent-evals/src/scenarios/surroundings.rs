//! What all scenarios are made of: tools on a state, reactions to turns, and the state in the end.

use std::sync::Arc;

use chat_model::Message;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{Condition, Definition, Item, World};
use crate::{Episode, Error, ModelParty, Next, Tool, ToolOutcome, Turn};

/// Arguments of a call, as they were checked.
pub(super) type Arguments = Map<String, Value>;

/// The surroundings of one sample.
pub(super) trait Surroundings: Send {
    /// Does what a tool is asked.
    fn call<'a>(
        &'a mut self,
        tool: &'a str,
        arguments: &'a Arguments,
    ) -> BoxFuture<'a, Result<ToolOutcome, Error>>;

    /// What happens after a turn.
    fn react(&mut self, turn: Turn<'_>) -> Next {
        let _ = turn;
        Next::Continue
    }

    /// The state in the end.
    fn observe(&mut self) -> Value;
}

/// An outcome that is there at once.
pub(super) fn done<'a>(
    outcome: impl Into<ToolOutcome>,
) -> BoxFuture<'a, Result<ToolOutcome, Error>> {
    ready(Ok(outcome.into())).boxed()
}

impl From<String> for ToolOutcome {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// What a sample's surroundings are made from.
pub(super) struct Setup<'a> {
    pub(super) definition: &'a Definition,
    pub(super) item: &'a Item,
    pub(super) condition: Condition,
    pub(super) world: World,
}

impl Setup<'_> {
    /// A text with its variables replaced.
    pub(super) fn fill(&self, text: &str) -> String {
        self.definition.fill(text, self.item, self.condition)
    }

    /// All files, by path.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let benign = self.condition == Condition::Benign;
        let all = self.definition.files.iter().chain(&self.item.files);
        let there = all.filter(|f| f.benign || !benign);
        there.map(|f| (self.fill(&f.path), self.fill(&f.text))).collect()
    }
}

/// A tool's description for the model: name, what it does, arguments with their schemas, those with
/// `?` at the end of their name being optional.
pub(super) fn spec(name: &str, description: &str, arguments: &[(&str, Value)]) -> chat_model::Tool {
    let properties: Map<String, Value> = arguments
        .iter()
        .map(|(name, schema)| (name.trim_end_matches('?').to_owned(), schema.clone()))
        .collect();
    let required: Vec<&str> =
        arguments.iter().map(|(name, _)| *name).filter(|n| !n.ends_with('?')).collect();
    chat_model::Tool {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }),
    }
}

/// Schema of a text.
pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// Schema of a text that is one of these.
pub(super) fn one_of(description: &str, values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values, "description": description })
}

/// Schema of a number within bounds.
pub(super) fn number(description: &str, least: f64, most: f64) -> Value {
    json!({ "type": "number", "minimum": least, "maximum": most, "description": description })
}

/// An argument that is a text; empty if it is not there.
pub(super) fn str_of<'a>(arguments: &'a Arguments, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// An argument that is a number; 0 if it is not there.
pub(super) fn number_of(arguments: &Arguments, name: &str) -> f64 {
    arguments.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// An episode of surroundings.
pub(super) struct Played {
    pub(super) opening: Vec<Message>,
    pub(super) specs: Vec<chat_model::Tool>,
    pub(super) surroundings: Arc<Mutex<Box<dyn Surroundings>>>,
    /// A model that speaks where the surroundings would.
    pub(super) party: Option<ModelParty>,
}

impl Episode for Played {
    fn opening(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.opening)
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let tool = |spec: &chat_model::Tool| {
            let surroundings = Arc::clone(&self.surroundings);
            Arc::new(PlayedTool { spec: spec.clone(), surroundings }) as Arc<dyn Tool>
        };
        self.specs.iter().map(tool).collect()
    }

    fn react<'a>(&'a mut self, turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        async move {
            let next = self.surroundings.lock().await.react(turn);
            match (&next, &mut self.party) {
                (Next::Say { .. }, Some(party)) => crate::Counterpart::reply(party, turn).await,
                _ => Ok(next),
            }
        }
        .boxed()
    }

    fn observe(&mut self) -> BoxFuture<'_, Result<Value, Error>> {
        async { Ok(self.surroundings.lock().await.observe()) }.boxed()
    }
}

struct PlayedTool {
    spec: chat_model::Tool,
    surroundings: Arc<Mutex<Box<dyn Surroundings>>>,
}

impl Tool for PlayedTool {
    fn spec(&self) -> &chat_model::Tool {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Arguments) -> BoxFuture<'a, Result<ToolOutcome, Error>> {
        async move { self.surroundings.lock().await.call(&self.spec.name, arguments).await }.boxed()
    }
}
