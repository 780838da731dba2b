//! Every arm as a scenario of the harness, so that journal, replay and export hold for all of them.

use std::{fmt, sync::Arc};

use chat_model::{ChatModel, Message, ToolCall};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use rl_core::seed::Seed;
use serde_json::{Map, Value};

use super::{
    ArmsConfig,
    render::{self, Prompt, Variant},
    score::ArmScorer,
};
use crate::{
    Episode, Error, FunctionTool, Limits, Next, Sample, Scenario, Scorer, Tool, ToolOutcome, Turn,
    analysis::Arm,
    scenarios::{Condition, Definition, Item, Stage, StageConfig},
};

/// What a call is answered that is only recorded.
const RECORDED: &str = "recorded";

/// One arm of one scenario.
#[derive(Clone)]
pub struct ArmScenario {
    name: String,
    arm: Arm,
    condition: Condition,
    config: Arc<ArmsConfig>,
    stage: Stage,
    coders: Vec<Arc<dyn ChatModel>>,
}

impl ArmScenario {
    /// An arm of a scenario, named `scenario.arm`; of its benign twin, `scenario.arm.benign`.
    ///
    /// # Errors
    /// What [`ArmsConfig::validate`] says, and [`Error::Config`] if there are fewer labels than
    /// outcomes.
    pub fn new(
        definition: Arc<Definition>,
        arm: Arm,
        benign: bool,
        config: Arc<ArmsConfig>,
    ) -> Result<Self, Error> {
        config.validate()?;
        config.labels_of(definition.outcomes.len())?;
        let condition = match (arm, benign) {
            (Arm::Ac, _) => Condition::Commanded,
            (_, true) => Condition::Benign,
            (_, false) => Condition::Tempting,
        };
        let twin = if benign { ".benign" } else { "" };
        let name = format!("{}.{arm}{twin}", definition.name);
        let stage = StageConfig { condition, world: config.world, ..StageConfig::default() };
        let stage = Stage::new(definition, stage);
        Ok(Self { name, arm, condition, config, stage, coders: Vec::new() })
    }

    /// The same, where models code free text that no rule can place; with two or more they must agree.
    #[must_use]
    pub fn coders(mut self, coders: Vec<Arc<dyn ChatModel>>) -> Self {
        self.coders = coders;
        self
    }

    /// The same, where a model speaks for whoever talks to the live agent.
    #[must_use]
    pub fn counterpart(mut self, model: Arc<dyn ChatModel>) -> Self {
        self.stage = self.stage.counterpart(model);
        self
    }

    /// The arm.
    pub fn arm(&self) -> Arm {
        self.arm
    }

    /// What is asked.
    pub fn definition(&self) -> &Arc<Definition> {
        self.stage.definition()
    }

    /// What a sample's model is shown at first.
    ///
    /// # Errors
    /// As for [`render::prompt`], and for a sample of another scenario.
    pub fn prompt(&self, sample: &Sample) -> Result<Prompt, Error> {
        let item = self.item(sample)?;
        let definition = self.definition();
        let mut prompt = render::prompt(
            definition,
            item,
            self.condition,
            self.arm,
            variant(sample),
            &self.config,
        )?;
        if self.arm == Arm::A3r {
            render::switch_reasoning(&mut prompt.messages, self.config.reasoning);
        }
        Ok(prompt)
    }

    fn item<'a>(&'a self, sample: &Sample) -> Result<&'a Item, Error> {
        let id = sample.metadata.get("item").and_then(Value::as_str).unwrap_or(&sample.id);
        self.definition().item(id)
    }

    fn sample(&self, item: &Item, variant: Variant) -> Result<Sample, Error> {
        let many = is_varied(self.arm);
        let mut id = item.id.clone();
        if many {
            id = format!("{id}.p{}", variant.paraphrase);
        }
        if render::has_options(self.arm) {
            id = format!("{id}.o{}", variant.order);
        }
        let mut sample = Sample::new(id, "");
        let mut put = |key: &str, value: Value| sample.metadata.insert(key.to_owned(), value);
        put("arm", self.arm.name().into());
        put("scenario", self.definition().name.clone().into());
        let family = serde_json::to_value(self.definition().family).unwrap_or_default();
        put("family", family);
        put("item", item.id.clone().into());
        put("benign", (self.condition == Condition::Benign).into());
        put("paraphrase", variant.paraphrase.into());
        put("order", variant.order.into());
        sample.cluster = Some(item.cluster().to_owned());
        let prompt = self.prompt(&sample)?;
        if !prompt.options.is_empty() {
            sample.metadata.insert("options".to_owned(), prompt.options.into());
            let labels: String = prompt.labels.iter().collect();
            sample.metadata.insert("labels".to_owned(), labels.into());
        }
        prompt.messages.last().map_or("", Message::text).clone_into(&mut sample.input);
        Ok(sample)
    }
}

/// Whether an arm is asked in several wordings.
fn is_varied(arm: Arm) -> bool {
    arm.is_stated()
}

fn variant(sample: &Sample) -> Variant {
    let number =
        |key: &str| sample.metadata.get(key).and_then(Value::as_u64).unwrap_or_default() as u32;
    Variant { paraphrase: number("paraphrase"), order: number("order") }
}

impl Scenario for ArmScenario {
    fn name(&self) -> &str {
        &self.name
    }

    fn samples(&self) -> Result<Vec<Sample>, Error> {
        let definition = self.definition();
        let paraphrases = if is_varied(self.arm) { self.config.paraphrases } else { 1 };
        let orders = if render::has_options(self.arm) {
            self.config.orders_of(definition.outcomes.len())
        } else {
            1
        };
        let items = match self.config.items {
            0 => definition.items.len(),
            items => items,
        };
        let mut out = Vec::new();
        for item in definition.items.iter().take(items) {
            for paraphrase in 0..paraphrases {
                for order in 0..orders {
                    out.push(self.sample(item, Variant { paraphrase, order })?);
                }
            }
        }
        Ok(out)
    }

    fn limits(&self) -> Limits {
        if self.arm.is_live() || self.arm == Arm::A2 {
            return self.definition().limits.clone();
        }
        Limits { turns: Some(1), ..Limits::default() }
    }

    fn scorers(&self) -> Vec<Arc<dyn Scorer>> {
        let arm = ArmScorer {
            definition: Arc::clone(self.definition()),
            arm: self.arm,
            condition: self.condition,
            coders: self.coders.clone(),
        };
        let mut out: Vec<Arc<dyn Scorer>> = vec![Arc::new(arm)];
        if self.arm.is_live() {
            out.extend(self.stage.scorers());
        }
        out
    }

    fn begin<'a>(
        &'a self,
        sample: &'a Sample,
        seed: Seed,
    ) -> BoxFuture<'a, Result<Box<dyn Episode>, Error>> {
        async move {
            let item = self.item(sample)?;
            if self.arm.is_live() {
                let live = self.stage.begin(sample, seed).await?;
                let reasoning = (self.arm == Arm::A3r).then_some(self.config.reasoning);
                return Ok(match reasoning {
                    Some(reasoning) => Box::new(Switched { live, reasoning }) as Box<dyn Episode>,
                    None => live,
                });
            }
            let specs =
                if shows_tools(self.arm) { self.definition().tools(item) } else { Vec::new() };
            let canned = (self.arm == Arm::A2).then(|| Canned {
                definition: Arc::clone(self.definition()),
                item: item.clone(),
                condition: self.condition,
            });
            let opening = self.prompt(sample)?.messages;
            Ok(Box::new(Asked { opening, specs, canned }) as Box<dyn Episode>)
        }
        .boxed()
    }
}

/// Whether the agent's tools are part of what the model is shown.
fn shows_tools(arm: Arm) -> bool {
    matches!(arm, Arm::Q1 | Arm::A1 | Arm::A2)
}

/// A conversation in which nothing that is called is done.
struct Asked {
    opening: Vec<Message>,
    specs: Vec<chat_model::Tool>,
    /// Answers to calls, where there is more than one turn.
    canned: Option<Canned>,
}

#[derive(Clone)]
struct Canned {
    definition: Arc<Definition>,
    item: Item,
    condition: Condition,
}

impl Canned {
    fn says(&self, tool: &str, arguments: &Map<String, Value>) -> String {
        let arguments = Value::Object(arguments.clone()).to_string();
        let call = ToolCall { id: String::new(), name: tool.to_owned(), arguments };
        self.definition.canned(&self.item, self.condition, &call)
    }
}

impl Episode for Asked {
    fn opening(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.opening)
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let tool = |spec: &chat_model::Tool| {
            let (name, canned) = (spec.name.clone(), self.canned.clone());
            let answer = move |arguments: &Map<String, Value>| {
                let says = canned.as_ref().map(|c| c.says(&name, arguments));
                Ok(ToolOutcome::text(says.unwrap_or_else(|| RECORDED.to_owned())))
            };
            Arc::new(FunctionTool::new(spec.clone(), answer)) as Arc<dyn Tool>
        };
        self.specs.iter().map(tool).collect()
    }

    fn react<'a>(&'a mut self, _turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        let next =
            if self.canned.is_some() { Next::Continue } else { Next::End("answered".to_owned()) };
        ready(Ok(next)).boxed()
    }
}

/// A live episode whose reasoning is switched.
struct Switched {
    live: Box<dyn Episode>,
    reasoning: super::Reasoning,
}

impl Episode for Switched {
    fn opening(&mut self) -> Vec<Message> {
        let mut messages = self.live.opening();
        render::switch_reasoning(&mut messages, self.reasoning);
        messages
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        self.live.tools()
    }

    fn react<'a>(&'a mut self, turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        self.live.react(turn)
    }

    fn observe(&mut self) -> BoxFuture<'_, Result<Value, Error>> {
        self.live.observe()
    }
}

impl fmt::Debug for ArmScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArmScenario")
            .field("name", &self.name)
            .field("condition", &self.condition)
            .field("config", &self.config)
            .field("coders", &self.coders.len())
            .finish_non_exhaustive()
    }
}
