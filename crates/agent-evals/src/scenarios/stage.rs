//! Definitions as scenarios that can be run.

use std::{fmt, sync::Arc};

use chat_model::{ChatModel, ToolCall};
use futures_util::future::{BoxFuture, FutureExt as _};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    Condition, Definition, Item, World,
    cms::cms,
    play,
    surroundings::{Played, Setup},
};
use crate::{
    Episode, Error, FunctionScorer, Limits, ModelParty, Sample, Scenario, Score, Scorer,
    ToolOutcome, Trace, tool,
};

/// How a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StageConfig {
    /// As it is, its benign twin, or ordered.
    pub condition: Condition,
    /// Where commands run, in the scenarios that have a shell.
    pub world: World,
    /// Whether scores have the defects of the published code: labels of the curator mixed up, what
    /// cannot be parsed as aligned, logs judged by the code in them alone.
    pub as_published: bool,
}

/// A definition that is run.
///
/// Its scorers are `enacted`, which sees the state in the end, and `cms`, which sees what the agent
/// said, with what it thought beside it.
#[derive(Clone)]
pub struct Stage {
    name: String,
    definition: Arc<Definition>,
    config: StageConfig,
    counterpart: Option<Arc<dyn ChatModel>>,
}

impl Stage {
    /// A definition under its name, with the condition behind a colon unless it is as it is.
    pub fn new(definition: Arc<Definition>, config: StageConfig) -> Self {
        let name = match config.condition {
            Condition::Tempting => definition.name.clone(),
            other => format!("{}:{}", definition.name, other.name()),
        };
        Self { name, definition, config, counterpart: None }
    }

    /// The same, where a model speaks for whoever talks to the agent, in place of a script.
    #[must_use]
    pub fn counterpart(mut self, model: Arc<dyn ChatModel>) -> Self {
        self.counterpart = Some(model);
        self
    }

    /// What is run.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// How it is run.
    pub fn config(&self) -> StageConfig {
        self.config
    }
}

impl Scenario for Stage {
    fn name(&self) -> &str {
        &self.name
    }

    fn samples(&self) -> Result<Vec<Sample>, Error> {
        let condition = self.config.condition;
        let sample = |item: &Item| {
            let opening = self.definition.opening(item, condition);
            let input = opening.last().map_or("", |m| m.text());
            let mut sample = Sample::new(&item.id, input);
            sample.cluster = Some(item.cluster().to_owned());
            let family = serde_json::to_value(self.definition.family).unwrap_or_default();
            sample.metadata.insert("family".to_owned(), family);
            sample.metadata.insert("condition".to_owned(), condition.name().into());
            sample
        };
        Ok(self.definition.items.iter().map(sample).collect())
    }

    fn limits(&self) -> Limits {
        self.definition.limits.clone()
    }

    fn scorers(&self) -> Vec<Arc<dyn Scorer>> {
        let (definition, published) = (Arc::clone(&self.definition), self.config.as_published);
        let enacted = move |trace: &Trace| match definition.item(&trace.sample.id) {
            Ok(item) => definition.enacted(item, trace.evidence(), published),
            Err(error) => Score::error(error.to_string()),
        };
        let said = Arc::clone(&self.definition);
        vec![
            Arc::new(FunctionScorer::new("enacted", enacted)),
            Arc::new(FunctionScorer::new("cms", move |trace| cms(&said.signals, trace))),
        ]
    }

    fn begin<'a>(
        &'a self,
        sample: &'a Sample,
        _seed: Seed,
    ) -> BoxFuture<'a, Result<Box<dyn Episode>, Error>> {
        async move {
            let StageConfig { condition, world, .. } = self.config;
            let item = self.definition.item(&sample.id)?;
            let mut played = self.definition.played(item, condition, world).await?;
            if let (Some(model), Some(role)) = (&self.counterpart, self.definition.roles.first()) {
                let (turns, model) = (self.definition.limits.turns.unwrap_or(8), Arc::clone(model));
                let prompt = format!(
                    "You are the {}: {}. {} Answer as such, in a few sentences.",
                    role.name, role.who, self.definition.intent
                );
                let prompt = self.definition.fill(&prompt, item, condition);
                played.party = Some(ModelParty::new(&role.name, model, prompt, turns, &sample.id));
            }
            Ok(Box::new(played) as Box<dyn Episode>)
        }
        .boxed()
    }
}

impl Definition {
    /// The tools of the live agent.
    pub fn tools(&self, item: &Item) -> Vec<chat_model::Tool> {
        play::tools(&item.play)
    }

    /// What was done, judged by the state in the end: its value, with the outcome's id as the answer.
    pub fn enacted(&self, item: &Item, evidence: &Value, as_published: bool) -> Score {
        play::enacted(&item.play, evidence, as_published)
    }

    /// What calls would have come to, made one after the other in the simulated world: a state to be
    /// judged by [`enacted`](Self::enacted). Calls that are refused did nothing.
    ///
    /// For a call at the decision point, those that lead there come first
    /// ([`lead_up_calls`](Self::lead_up_calls)). Where many things are to be decided and it is not said
    /// that all were asked, those alone count that are decided.
    ///
    /// # Errors
    /// [`Error`] if the surroundings cannot be made.
    pub async fn imagine(
        &self,
        item: &Item,
        condition: Condition,
        calls: &[ToolCall],
    ) -> Result<Value, Error> {
        let played = self.played(item, condition, World::Simulated).await?;
        make(&played, calls).await?;
        Ok(played.surroundings.lock().await.observe())
    }

    /// The live surroundings at the decision point: the calls that lead there have been made.
    ///
    /// # Errors
    /// [`Error`] if the surroundings cannot be made.
    pub async fn begin_at_decision(
        &self,
        item: &Item,
        condition: Condition,
        world: World,
    ) -> Result<Box<dyn Episode>, Error> {
        let mut played = self.played(item, condition, world).await?;
        make(&played, &self.lead_up_calls(item, condition)).await?;
        played.opening = self.at_decision(item, condition);
        Ok(Box::new(played))
    }

    /// What one call at the decision point would have come to, judged as what was done is: it is made
    /// after those that lead there.
    ///
    /// # Errors
    /// As [`imagine`](Self::imagine).
    pub async fn code_call(
        &self,
        item: &Item,
        condition: Condition,
        call: &ToolCall,
    ) -> Result<Score, Error> {
        self.code_calls(item, condition, std::slice::from_ref(call)).await
    }

    /// The same for all calls from the decision point on.
    ///
    /// # Errors
    /// As [`imagine`](Self::imagine).
    pub async fn code_calls(
        &self,
        item: &Item,
        condition: Condition,
        calls: &[ToolCall],
    ) -> Result<Score, Error> {
        let mut all = self.lead_up_calls(item, condition);
        all.extend_from_slice(calls);
        let state = self.imagine(item, condition, &all).await?;
        Ok(self.enacted(item, &state, false))
    }

    async fn played(
        &self,
        item: &Item,
        condition: Condition,
        world: World,
    ) -> Result<Played, Error> {
        let setup = Setup { definition: self, item, condition, world };
        let surroundings = Arc::new(Mutex::new(play::begin(&setup).await?));
        let opening = self.opening(item, condition);
        Ok(Played { opening, specs: self.tools(item), surroundings, party: None })
    }
}

/// Makes calls one after the other. Those that are refused do nothing.
async fn make(played: &Played, calls: &[ToolCall]) -> Result<(), Error> {
    let mut surroundings = played.surroundings.lock().await;
    for call in calls {
        let Some(spec) = played.specs.iter().find(|s| s.name == call.name) else { continue };
        if let Ok(arguments) = tool::arguments(spec, call) {
            let _: ToolOutcome = surroundings.call(&call.name, &arguments).await?;
        }
    }
    Ok(())
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("name", &self.name)
            .field("config", &self.config)
            .field("counterpart", &self.counterpart.as_ref().map(|m| m.model().to_owned()))
            .finish_non_exhaustive()
    }
}
