//! What is answered, and what answers are worth.

use std::path::{Path, PathBuf};

use causal_lm::{
    Pretrained,
    chat::{Message, Prompt as Turn},
};
use clap::ValueEnum;
use klq::reward::{
    Lexicon, Pair, Program, ProgramConfig, Prompt, Reconstruction, ReconstructionConfig, Reward,
    Sentiment,
};
use lm_tasks::{
    Dataset, Input, Item, PreferencePair, ReadOptions, Role, Split, SplitRule, Summaries, own,
    preferences, prompts,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Share of a file without published splits that is held out, and the seed of the choice.
const HELD_OUT: SplitRule = SplitRule::Hash { evaluation: 0.2, seed: 0 };

/// A kind of task.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A user's question or request.
    #[default]
    Dialogue,
    /// A post to be summarized in a sentence.
    Summary,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dialogue => "dialogue",
            Self::Summary => "summary",
        }
    }

    /// The task with our own prompts and its usual reward.
    pub(crate) fn usual(self) -> TaskConfig {
        let reward = match self {
            Self::Dialogue => RewardConfig::Sentiment(Sentiment::default()),
            Self::Summary => RewardConfig::Reconstruction(ReconstructionConfig::default()),
        };
        TaskConfig { kind: self, data: None, read: ReadOptions::default(), reward }
    }
}

/// What answers are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RewardConfig {
    /// Sentiment by a list of words.
    Sentiment(Sentiment),
    /// How much a summary helps the reference to predict the post.
    Reconstruction(ReconstructionConfig),
    /// A folder that `forthright klq reward-model train` wrote.
    Model(PathBuf),
    /// A folder with a published sequence classifier of one label, in the policy's vocabulary.
    Classifier(PathBuf),
    /// A program of the user's, `["command", "argument"]`, that is told of answers in lines of JSON
    /// and says what they are worth: see `klq::reward::Program`.
    Program(ProgramConfig),
}

/// What is answered, and what answers are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TaskConfig {
    /// What is asked of the model.
    pub(crate) kind: Kind,
    /// Prompts; our own where there is no path.
    pub(crate) data: Option<PathBuf>,
    /// How the file is read.
    pub(crate) read: ReadOptions,
    /// What answers are worth.
    pub(crate) reward: RewardConfig,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Kind::Dialogue.usual()
    }
}

impl TaskConfig {
    /// The prompts of a split, as the model reads them.
    pub(crate) fn prompts(&self, model: &Pretrained, split: Split) -> anyhow::Result<Vec<Prompt>> {
        let summaries = match model.chat_template {
            Some(_) => Summaries::Request,
            None => Summaries::Query,
        };
        let all = match (&self.data, self.kind) {
            (Some(path), _) => {
                prompts::read(path, &ReadOptions { summaries, ..self.read.clone() })?
            }
            (None, Kind::Dialogue) => own::dialogue(),
            (None, Kind::Summary) => own::posts(summaries),
        };
        side(all, split)?.items.into_iter().map(|prompt| encode(model, prompt)).collect()
    }

    /// The reward, which may hold models of its own.
    pub(crate) fn reward<'a>(&self, model: &'a Pretrained) -> anyhow::Result<Box<dyn Reward + 'a>> {
        Ok(match &self.reward {
            RewardConfig::Sentiment(config) => Box::new(Lexicon::new(config.clone())),
            RewardConfig::Reconstruction(config) => {
                Box::new(Reconstruction::new(model.lm.base(), &model.tokenizer, config.clone())?)
            }
            RewardConfig::Model(folder) => Box::new(super::reward_model::load(folder, model)?),
            RewardConfig::Classifier(folder) => {
                Box::new(super::reward_model::load_classifier(folder, model)?)
            }
            RewardConfig::Program(config) => Box::new(Program::start(config)?),
        })
    }
}

/// Preference pairs of a split, as a reward model reads them.
pub(crate) fn pairs(
    model: &Pretrained,
    data: Option<&Path>,
    read: &ReadOptions,
    split: Split,
) -> anyhow::Result<Vec<Pair>> {
    let all = match data {
        Some(path) => preferences::read(path, read)?,
        None => own::preferences(),
    };
    let pair = |pair: PreferencePair| -> anyhow::Result<Pair> {
        // What goes on from plain text does so after a space.
        let gap = if matches!(pair.prompt.input, Input::Text(_)) { " " } else { "" };
        let prompt = encode(model, pair.prompt)?.ids;
        let answer = |text: &str| -> anyhow::Result<Vec<u32>> {
            let mut ids = prompt.clone();
            ids.extend(model.tokenizer.encode(&format!("{gap}{text}"))?);
            ids.extend(model.lm.config().eos.first());
            Ok(ids)
        };
        Ok(Pair { chosen: answer(&pair.chosen)?, rejected: answer(&pair.rejected)? })
    };
    side(all, split)?.items.into_iter().map(pair).collect()
}

/// One side, as published or else by a hash of the prompt.
fn side<T: Item>(all: Dataset<T>, split: Split) -> anyhow::Result<Dataset<T>> {
    let published = all.items.iter().all(|item| item.published_split().is_some());
    let splits = all.split(if published { SplitRule::Published } else { HELD_OUT })?;
    Ok(match split {
        Split::Train => splits.train,
        Split::Evaluation => splits.evaluation,
    })
}

/// A prompt as the model reads it: a conversation in its chat template, or as published where it
/// has none.
fn encode(model: &Pretrained, prompt: lm_tasks::Prompt) -> anyhow::Result<Prompt> {
    let rendered = match (&prompt.input, &model.chat_template) {
        (Input::Text(text), _) => text.clone(),
        (Input::Turns(turns), Some(template)) => {
            let messages: Vec<Message> = turns
                .iter()
                .map(|turn| Message::new(name(turn.role), turn.content.clone()))
                .collect();
            template.render(&messages, Turn::Open)?
        }
        (Input::Turns(turns), None) => {
            let said = turns.iter().map(|turn| match turn.role {
                Role::System => turn.content.clone(),
                Role::User => format!("\n\nHuman: {}", turn.content),
                Role::Assistant => format!("\n\nAssistant: {}", turn.content),
            });
            said.collect::<String>() + "\n\nAssistant:"
        }
    };
    let text = match &prompt.input {
        Input::Text(text) => text.clone(),
        Input::Turns(turns) => turns.last().map(|t| t.content.clone()).unwrap_or_default(),
    };
    let ids = model.tokenizer.encode(&rendered)?;
    let source = prompt.source.map(|post| post.body);
    Ok(Prompt { id: prompt.id, text, ids, source })
}

fn name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}
