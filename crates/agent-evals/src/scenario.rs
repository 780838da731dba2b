//! Where agents are put: scenarios, their samples, and one sample's surroundings while it runs.

use std::{fmt, sync::Arc};

use chat_model::Message;
use futures_util::future::BoxFuture;
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Limits, Scorer, Tool};

/// A setting with an incentive and a decision, asked in several samples.
pub trait Scenario: Send + Sync {
    /// Its name: letters, digits, `_` and `-`.
    fn name(&self) -> &str;

    /// Its samples, the same each time, with ids that differ.
    ///
    /// # Errors
    /// [`Error::Scenario`] if what they are read from is wrong.
    fn samples(&self) -> Result<Vec<Sample>, Error>;

    /// Where a sample ends at the latest; the run's own limits apply as well.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Who judges its samples; at least one, of names that differ.
    fn scorers(&self) -> Vec<Arc<dyn Scorer>>;

    /// Makes the surroundings of one sample.
    ///
    /// All randomness comes from `seed`, so that a sample can be begun again to the same state.
    fn begin<'a>(
        &'a self,
        sample: &'a Sample,
        seed: Seed,
    ) -> BoxFuture<'a, Result<Box<dyn Episode>, Error>>;
}

/// One item of a scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Names it within its scenario.
    pub id: String,
    /// What it asks, for people to read; the conversation itself comes from [`Episode::opening`].
    #[serde(default)]
    pub input: String,
    /// What would be right, where something is.
    #[serde(default)]
    pub target: Vec<String>,
    /// Samples of one cluster are variants of one item: errors are clustered by it. The id if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Whatever the scenario needs to know of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Sample {
    /// A sample that has an id and an input.
    pub fn new(id: impl Into<String>, input: impl Into<String>) -> Self {
        Self { id: id.into(), input: input.into(), ..Self::default() }
    }

    /// What its errors are clustered by.
    pub fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or(&self.id)
    }
}

/// The surroundings of one sample while it runs.
///
/// Dropping it ends whatever it started.
pub trait Episode: Send {
    /// The conversation so far: the scenario's system prompt, older turns, the task.
    ///
    /// Called once, before all else. Personas are put before the system prompt by the runner.
    fn opening(&mut self) -> Vec<Message>;

    /// What the agent may call, by names that differ. Called once, after [`opening`](Self::opening).
    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        Vec::new()
    }

    /// What happens after a turn of the agent's, once the tools that it called have answered.
    ///
    /// By default nothing does: the agent goes on for as long as it calls tools.
    fn react<'a>(&'a mut self, turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        let _ = turn;
        Box::pin(std::future::ready(Ok(Next::Continue)))
    }

    /// The state in the end, as evidence for scorers. It is recorded, so that a sample can be scored
    /// again without it.
    fn observe(&mut self) -> BoxFuture<'_, Result<Value, Error>> {
        Box::pin(std::future::ready(Ok(Value::Null)))
    }
}

/// A turn of the agent's.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// Which one, counted from 1.
    pub number: u64,
    /// The whole conversation, this turn and the results of its calls included.
    pub conversation: &'a [Message],
    /// Whether it called tools.
    pub called: bool,
}

impl Turn<'_> {
    /// What the agent said last.
    pub fn said(&self) -> &str {
        self.conversation
            .iter()
            .rev()
            .find(|m| matches!(m, Message::Assistant { .. }))
            .map_or("", Message::text)
    }
}

/// What happens after a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Nothing: an agent that called tools goes on, one that did not has finished.
    Continue,
    /// Somebody says something to the agent, who goes on.
    Say {
        /// Who, for people to read.
        by: String,
        /// What.
        text: String,
    },
    /// The scenario ends here, and why.
    End(String),
}

impl Next {
    /// The user says something.
    pub fn user(text: impl Into<String>) -> Self {
        Self::Say { by: "user".to_owned(), text: text.into() }
    }
}

/// One sample of a run: which scenario, agent, persona, sample and epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the agent.
    pub agent: String,
    /// Name of the persona; `none` for none.
    pub persona: String,
    /// Id of the sample.
    pub sample: String,
    /// Counted from 1.
    pub epoch: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, agent, persona, sample, epoch } = self;
        write!(f, "{scenario}/{agent}/{persona}/{sample}#{epoch}")
    }
}
