//! A model that goes on calling tools until it is done.

mod drive;
mod live;
mod replay;
mod textual;
mod world;

use std::{fmt, sync::Arc};

use chat_model::{ChatModel, Sampling};
use serde::{Deserialize, Serialize};

pub(crate) use drive::drive;
pub(crate) use live::{Live, Sink};
pub(crate) use replay::Replayed;
pub(crate) use textual::turn_messages;
pub(crate) use world::Stop;

use crate::{Error, Price};

/// How a model is made an agent of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// How it chooses words.
    pub sampling: Sampling,
    /// Whether each turn is given a seed of its own, derived from the sample's, where `sampling`
    /// names none. Endpoints that know no seeds may refuse it.
    pub seed_turns: bool,
    /// How it calls tools.
    pub calls: CallFormat,
    /// Calls that one turn may make; more are refused, each with a message. At least 1.
    pub max_calls: usize,
    /// Bytes of a tool's result that the model is shown; the middle of a longer one is left out.
    /// At least 256.
    pub max_result_bytes: usize,
    /// What its tokens cost.
    pub price: Price,
}

impl Default for AgentConfig {
    /// Native calls, at most 16 in a turn, and 16 KiB of a result.
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            seed_turns: false,
            calls: CallFormat::Native,
            max_calls: 16,
            max_result_bytes: 16 << 10,
            price: Price::default(),
        }
    }
}

impl AgentConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        if self.max_calls == 0 {
            return Err(Error::config("agent.max_calls", "at least 1", 0));
        }
        if self.max_result_bytes < 256 {
            let found = self.max_result_bytes;
            return Err(Error::config("agent.max_result_bytes", "at least 256", found));
        }
        self.price.validate()
    }
}

/// How an agent calls tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CallFormat {
    /// As its endpoint does it.
    #[default]
    Native,
    /// Written into its text as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.
    Textual,
}

/// A model that is put into scenarios.
#[derive(Clone)]
pub struct Agent {
    /// Its name in results; usually that of the model.
    pub name: String,
    /// The model, with whatever layers it needs around it.
    pub model: Arc<dyn ChatModel>,
    /// How it is asked.
    pub config: AgentConfig,
}

impl Agent {
    /// A model under its own name, asked in the default way.
    pub fn new(model: impl ChatModel + 'static) -> Self {
        let name = model.model().to_owned();
        Self { name, model: Arc::new(model), config: AgentConfig::default() }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.name)
            .field("model", &self.model.model())
            .field("config", &self.config)
            .finish()
    }
}
