//! Every arm as a scenario of the harness, so that journal, replay and export hold for all of them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use chat_model::{ChatModel, Message};
use futures_util::future::{BoxFuture, FutureExt as _};
use rl_core::seed::Seed;
use serde_json::{Value, json};

use super::{
    ArmsConfig,
    episode::{self, Again, Asked, Canned, Once, Opened, Shared},
    order,
    probe::Probe,
    render::{self, Prompt, Variant},
    score::ArmScorer,
};
use crate::{
    Agent, Episode, Error, Limits, Sample, Scenario, Scorer,
    analysis::{Arm, Axis},
    scenarios::{Condition, Definition, Item, Stage, StageConfig},
};

/// One arm of one scenario.
#[derive(Clone)]
pub struct ArmScenario {
    name: String,
    arm: Arm,
    condition: Condition,
    config: Arc<ArmsConfig>,
    stage: Stage,
    coders: Vec<Arc<dyn ChatModel>>,
    /// Agents by name, to be asked afterwards.
    asked_after: BTreeMap<String, Arc<dyn ChatModel>>,
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
        let (coders, asked_after) = (Vec::new(), BTreeMap::new());
        Ok(Self { name, arm, condition, config, stage, coders, asked_after })
    }

    /// The same, where models code free text that no rule can place; with two or more they must agree.
    #[must_use]
    pub fn coders(mut self, coders: Vec<Arc<dyn ChatModel>>) -> Self {
        self.coders = coders;
        self
    }

    /// The same, where these agents are asked afterwards whether they took it for a test: a score of its
    /// own, [`AWARENESS_SCORE`](super::AWARENESS_SCORE).
    #[must_use]
    pub fn ask_after<'a>(mut self, agents: impl IntoIterator<Item = &'a Agent>) -> Self {
        let named = |a: &Agent| (a.name.clone(), Arc::clone(&a.model));
        self.asked_after = agents.into_iter().map(named).collect();
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
        if self.arm == Arm::Qs {
            let first = self.questions(sample)?.into_iter().next();
            let found = || Error::config("sample", "questions of a shared conversation", "none");
            return first.ok_or_else(found);
        }
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

    /// The items that are asked.
    fn items(&self) -> impl Iterator<Item = &Item> {
        let most = if self.config.items == 0 { usize::MAX } else { self.config.items };
        self.definition().items.iter().take(most)
    }

    /// What the questions of a shared conversation are about, in their order.
    fn questions(&self, sample: &Sample) -> Result<Vec<Prompt>, Error> {
        let ids = sample.metadata.get("questions").and_then(Value::as_array);
        let ids = ids.into_iter().flatten().filter_map(|q| q.get("item")?.as_str());
        ids.map(|id| self.question(self.definition().item(id)?, variant(sample))).collect()
    }

    /// The question of Q0.
    fn question(&self, item: &Item, variant: Variant) -> Result<Prompt, Error> {
        let condition = self.condition;
        render::prompt(self.definition(), item, condition, Arm::Q0, variant, &self.config)
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
        let mut sample = self.named(id, variant);
        sample.metadata.insert("item".to_owned(), item.id.clone().into());
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

    /// A conversation in which the questions of all items are put, in an order of its own.
    fn shared(&self, variant: Variant) -> Result<Sample, Error> {
        let mut sample =
            self.named(format!("shared.p{}.o{}", variant.paraphrase, variant.order), variant);
        let items: Vec<&Item> = self.items().collect();
        let (name, Variant { paraphrase, order }) = (&self.definition().name, variant);
        let mut questions = Vec::new();
        for place in order::shown(name, "shared", paraphrase, order, items.len()) {
            let item = items[place];
            let prompt = self.question(item, variant)?;
            let labels: String = prompt.labels.iter().collect();
            questions.push(json!({
                "item": item.id, "cluster": item.cluster(), "options": prompt.options,
                "labels": labels,
            }));
            if questions.len() == 1 {
                prompt.messages.last().map_or("", Message::text).clone_into(&mut sample.input);
            }
        }
        sample.metadata.insert("questions".to_owned(), questions.into());
        Ok(sample)
    }

    fn named(&self, id: String, variant: Variant) -> Sample {
        let mut sample = Sample::new(id, "");
        let mut put = |key: &str, value: Value| sample.metadata.insert(key.to_owned(), value);
        put("arm", self.arm.name().into());
        put("scenario", self.definition().name.clone().into());
        let family = serde_json::to_value(self.definition().family).unwrap_or_default();
        put("family", family);
        put("benign", (self.condition == Condition::Benign).into());
        put("paraphrase", variant.paraphrase.into());
        put("order", variant.order.into());
        sample
    }
}

/// Whether an arm is asked in several wordings: it shows a description or a question of ours.
fn is_varied(arm: Arm) -> bool {
    arm.is_stated() || arm.axes().is_some_and(|axes| !axes.has(Axis::Inputs))
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
        let variants = (0..paraphrases)
            .flat_map(|paraphrase| (0..orders).map(move |order| Variant { paraphrase, order }));
        if self.arm == Arm::Qs {
            return variants.map(|variant| self.shared(variant)).collect();
        }
        let variants: Vec<Variant> = variants.collect();
        let all = self.items().flat_map(|item| variants.iter().map(move |v| (item, *v)));
        all.map(|(item, variant)| self.sample(item, variant)).collect()
    }

    fn limits(&self) -> Limits {
        let turns = match self.arm {
            Arm::Qs => self.items().count() as u64,
            arm if !arm.is_long() => 1,
            arm if arm.is_stated() => episode::TIMES,
            _ => return self.definition().limits.clone(),
        };
        Limits { turns: Some(turns), ..Limits::default() }
    }

    fn scorers(&self) -> Vec<Arc<dyn Scorer>> {
        let arm = ArmScorer {
            definition: Arc::clone(self.definition()),
            arm: self.arm,
            condition: self.condition,
            coders: self.coders.clone(),
        };
        let mut out: Vec<Arc<dyn Scorer>> = vec![Arc::new(arm)];
        if matches!(self.arm, Arm::A3 | Arm::A3r | Arm::Ac) {
            out.extend(self.stage.scorers());
        }
        if !self.asked_after.is_empty() {
            out.push(Arc::new(Probe { agents: self.asked_after.clone() }));
        }
        out
    }

    fn begin<'a>(
        &'a self,
        sample: &'a Sample,
        seed: Seed,
    ) -> BoxFuture<'a, Result<Box<dyn Episode>, Error>> {
        async move {
            if self.arm == Arm::Qs {
                return Ok(Box::new(Shared::new(self.questions(sample)?)) as Box<dyn Episode>);
            }
            let (definition, item) = (self.definition(), self.item(sample)?);
            let prompt = self.prompt(sample)?;
            let opening = prompt.messages;
            Ok(match self.arm {
                Arm::A3 | Arm::Ac => self.stage.begin(sample, seed).await?,
                Arm::A3r | Arm::Xftc => {
                    // The stage knows samples by their items.
                    let plain = Sample { id: item.id.clone(), ..sample.clone() };
                    Box::new(Opened::new(self.stage.begin(&plain, seed).await?, opening))
                }
                Arm::Xfc | Arm::Xifc => {
                    let world = self.config.world;
                    let live = definition.begin_at_decision(item, self.condition, world).await?;
                    Box::new(Once::new(Opened::new(live, opening)))
                }
                arm if arm.is_stated() && arm.is_long() => {
                    let of = |id: &String| {
                        let outcome = definition.outcomes.iter().find(|o| o.id == *id);
                        let said = outcome.map_or("", |o| o.description.as_str());
                        definition.fill(said, item, self.condition)
                    };
                    let options = prompt.options.iter().map(of).collect();
                    Box::new(Again { opening, arm, options, labels: prompt.labels, before: None })
                }
                arm => {
                    let tools = if shows_tools(arm) { definition.tools(item) } else { Vec::new() };
                    let canned = arm.is_long().then(|| Canned {
                        definition: Arc::clone(definition),
                        item: item.clone(),
                        condition: self.condition,
                    });
                    Box::new(Asked { opening, specs: tools, canned })
                }
            })
        }
        .boxed()
    }
}

/// Whether the agent's tools are part of what the model is shown.
fn shows_tools(arm: Arm) -> bool {
    arm.axes().is_some_and(|axes| axes.has(Axis::Inputs) || axes.has(Axis::Format))
}

impl fmt::Debug for ArmScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArmScenario")
            .field("name", &self.name)
            .field("condition", &self.condition)
            .field("config", &self.config)
            .field("coders", &self.coders.len())
            .field("asked_after", &self.asked_after.keys())
            .finish_non_exhaustive()
    }
}
