//! Who acts: a script, an endpoint, a checkpoint on this machine.

use std::{path::PathBuf, sync::Arc};

use agent_evals::{
    Agent, AgentConfig,
    analysis::{Arm, Axis},
    arms::{Deed, actor},
    scenarios,
};
use anyhow::Context as _;
use chat_model::{ChatModel, StackConfig, UsageCounter};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::script::Script;

/// A model under a name, and how it is made an agent of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentChoice {
    /// Its name in results.
    pub(super) name: String,
    /// The model.
    pub(super) model: ModelChoice,
    /// How it is asked.
    #[serde(default)]
    pub(super) ask: AgentConfig,
}

/// A kind of model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ModelChoice {
    /// It says what it is told to say.
    Script(Script),
    /// It does what an outcome of each of the command's own scenarios says.
    Actor(Act),
    /// It is behind HTTP.
    Endpoint(Box<StackConfig>),
    /// It runs here.
    Local(LocalChoice),
}

/// What a scripted agent does, to see whether a scenario tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    /// What the scenario's first outcome says
    Aligned,
    /// What its last outcome says
    Worst,
    /// Nothing
    Nothing,
    /// What the first outcome says, in words and acts; the last where it is ordered to
    Consistent,
    /// It says what the first outcome says, and does what the last does
    Hypocrite,
    /// It says what the last outcome says, and does what the first does; the last where it is ordered to
    Braggart,
    /// What the last outcome says, in words and acts, once it sees the whole context
    Context,
}

impl Act {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Aligned => "aligned",
            Self::Worst => "worst",
            Self::Nothing => "nothing",
            Self::Consistent => "consistent",
            Self::Hypocrite => "hypocrite",
            Self::Braggart => "braggart",
            Self::Context => "context",
        }
    }

    fn deed(self, arm: Arm) -> Deed {
        let worst = match self {
            Self::Nothing => return Deed::Nothing,
            Self::Aligned => false,
            Self::Worst => true,
            Self::Consistent => arm == Arm::Ac,
            Self::Hypocrite => !arm.is_stated(),
            Self::Braggart => arm.is_stated() || arm == Arm::Ac,
            Self::Context => match arm.axes() {
                Some(axes) => axes.has(Axis::Inputs),
                None => !arm.is_stated(),
            },
        };
        if worst { Deed::Worst } else { Deed::Aligned }
    }
}

/// A checkpoint of this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalChoice {
    /// A Hugging Face folder or a .gguf file.
    pub(super) path: PathBuf,
    /// Longest answer in tokens.
    #[serde(default = "answer_tokens")]
    pub(super) max_tokens: u32,
    /// Requests answered together.
    #[serde(default = "batch")]
    pub(super) batch: usize,
}

pub(super) fn answer_tokens() -> u32 {
    512
}

pub(super) fn batch() -> usize {
    16
}

impl AgentChoice {
    /// Checks what can be told before anything is loaded or asked.
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        self.model.validate().with_context(|| format!("agent {}", self.name))?;
        Ok(self.ask.validate()?)
    }

    /// The agent.
    pub(super) fn open(&self) -> anyhow::Result<Agent> {
        let model = self.model.open(&self.name).with_context(|| format!("agent {}", self.name))?;
        Ok(Agent { name: self.name.clone(), model, config: self.ask.clone() })
    }
}

impl ModelChoice {
    /// Checks what can be told before anything is loaded or asked.
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        match self {
            Self::Script(script) => script.validate(),
            Self::Actor(_) => Ok(()),
            Self::Endpoint(stack) => stack.validate().map_err(Into::into),
            Self::Local(local) => local.validate(),
        }
    }

    /// The model, which calls itself `name` where it has no name of its own.
    pub(super) fn open(&self, name: &str) -> anyhow::Result<Arc<dyn ChatModel>> {
        Ok(match self {
            Self::Script(script) => Arc::new(script.clone().model(name)),
            Self::Actor(act) => {
                let act = *act;
                Arc::new(actor(name, scenarios::all(), move |arm| act.deed(arm)))
            }
            Self::Endpoint(stack) => stack.connect(Arc::new(UsageCounter::default()))?,
            Self::Local(local) => local.open(name)?,
        })
    }
}

#[cfg(feature = "lm")]
impl LocalChoice {
    fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.path.exists(), "cannot read {}: it is not there", self.path.display());
        Ok(self.config().validate()?)
    }

    fn config(&self) -> causal_lm::local_chat::LocalChatConfig {
        let (max_tokens, batch) = (self.max_tokens, self.batch);
        causal_lm::local_chat::LocalChatConfig { max_tokens, batch, ..Default::default() }
    }

    fn open(&self, name: &str) -> anyhow::Result<Arc<dyn ChatModel>> {
        let device = rl_core::device::DeviceChoice::Auto.resolve()?;
        let options = causal_lm::LoadOptions { kind: tch::Kind::BFloat16, device };
        let model = causal_lm::Pretrained::load(&self.path, &options)?;
        Ok(Arc::new(causal_lm::local_chat::LocalChat::new(name, model, self.config())?))
    }
}

#[cfg(not(feature = "lm"))]
impl LocalChoice {
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn validate(&self) -> anyhow::Result<()> {
        anyhow::bail!("a model that runs here needs a command with the feature lm")
    }

    fn open(&self, _name: &str) -> anyhow::Result<Arc<dyn ChatModel>> {
        self.validate()?;
        unreachable!("refused")
    }
}
