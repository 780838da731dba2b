//! What is solved, and what answers are worth.

use std::path::PathBuf;

use anyhow::Context as _;
use causal_lm::{
    Pretrained,
    chat::{Message, Prompt as Turn},
    finetune::Example,
};
use early_exit_model::rl::Answer;
use lm_tasks::{
    ReadOptions, Split, SplitRule,
    reasoning::{Form, Problem, RewardRule, SumModulo, Task, gsm8k},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Share of a file without published splits that is held out, and the seed of the choice.
const HELD_OUT: SplitRule = SplitRule::Hash { evaluation: 0.2, seed: 0 };

/// What is solved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TaskConfig {
    /// Problems that are made, where there is no file: `{ task = "running_sum", digits = 2 }`.
    pub(crate) problem: Task,
    /// Problems from a file with the fields of GSM8K, in the place of those.
    pub(crate) data: Option<PathBuf>,
    /// Seed of the problems that are made.
    pub(crate) seed: u64,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self { problem: Task::SumModulo(SumModulo::default()), data: None, seed: 0 }
    }
}

/// A problem as the model reads it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) problem: Problem,
    pub(crate) prompt: Vec<u32>,
    /// What stands at the beginning of the answer already.
    pub(crate) begun: String,
}

impl Asked {
    /// A whole answer, of what the model has added to its beginning.
    pub(crate) fn whole(&self, added: &str) -> String {
        format!("{}{added}", self.begun)
    }
}

impl TaskConfig {
    /// `count` problems of a side; of a file as many as there are. Problems that are made for
    /// evaluation differ in content.
    pub(crate) fn problems(&self, split: Split, count: usize) -> anyhow::Result<Vec<Problem>> {
        anyhow::ensure!(count > 0, "problems: expected at least 1, found 0");
        if let Some(path) = &self.data {
            let all = gsm8k::read(path, &ReadOptions::default())?;
            let published = all.items.iter().all(|problem| problem.split.is_some());
            let splits = all.split(if published { SplitRule::Published } else { HELD_OUT })?;
            let side = match split {
                Split::Train => splits.train,
                Split::Evaluation => splits.evaluation,
            };
            return Ok(side.items.into_iter().take(count).collect());
        }
        self.problem.validate()?;
        Ok(match split {
            Split::Evaluation => self.problem.distinct(split, self.seed, count)?,
            Split::Train => (0..count as u64)
                .map(|i| self.problem.problem(split, self.seed, i))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The problems of a side as a model reads them, of which each leaves room for an answer.
    pub(crate) fn asked(
        &self,
        model: &Pretrained,
        split: Split,
        count: usize,
        max_new_tokens: usize,
    ) -> anyhow::Result<Vec<Asked>> {
        let problems = self.problems(split, count)?;
        problems.into_iter().map(|problem| ask(model, problem, max_new_tokens)).collect()
    }
}

/// A problem as a model reads it: in its chat template, or as it is where there is none.
fn ask(model: &Pretrained, problem: Problem, max_new_tokens: usize) -> anyhow::Result<Asked> {
    let prompt = prompt_ids(model, &problem)?;
    let room = model.lm.config().max_context.saturating_sub(max_new_tokens);
    anyhow::ensure!(
        prompt.len() <= room,
        "{}: expected at most {room} tokens beside {max_new_tokens} new ones, found {}",
        problem.id,
        prompt.len()
    );
    Ok(Asked { problem, prompt, begun: String::new() })
}

fn prompt_ids(model: &Pretrained, problem: &Problem) -> anyhow::Result<Vec<u32>> {
    match &model.chat_template {
        Some(template) => {
            let text = template.render(&[Message::user(problem.request())], Turn::Open)?;
            Ok(model.tokenizer.encode(&text)?)
        }
        None => encode(model, &problem.prompt).with_context(|| problem.id.clone()),
    }
}

/// Ids of a text, all of whose characters must have some.
fn encode(model: &Pretrained, text: &str) -> anyhow::Result<Vec<u32>> {
    let ids = model.tokenizer.encode(text)?;
    let back = model.tokenizer.decode(&ids)?;
    // A tokenizer of words may add a space or take one away.
    let missing = text.chars().find(|&c| !c.is_whitespace() && !back.contains(c));
    if let Some(missing) = missing {
        anyhow::bail!(
            "expected text that the model has tokens for, found {missing:?}: was it trained on another \
             task?"
        );
    }
    Ok(ids)
}

/// The same problem with its answer begun so that no chain of thought can come before it.
pub(crate) fn without_chain(model: &Pretrained, asked: &Asked) -> anyhow::Result<Asked> {
    let begun = match asked.problem.form {
        Form::LastSum { .. } => "=",
        _ => "Answer:",
    };
    let mut prompt = asked.prompt.clone();
    prompt.extend(model.tokenizer.encode(begun)?);
    Ok(Asked { problem: asked.problem.clone(), prompt, begun: begun.into() })
}

/// What to learn to answer: a text after a problem, and the end of the answer.
pub(crate) fn example(
    model: &Pretrained,
    problem: &Problem,
    answer: &str,
) -> anyhow::Result<Example> {
    let prompt = prompt_ids(model, problem)?;
    let mut answer = encode(model, answer).with_context(|| problem.id.clone())?;
    answer.extend(model.lm.config().eos.first());
    Ok(Example::completion(&prompt, &answer))
}

/// What answers are worth.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RewardConfig {
    /// 1 for a right answer, else 0.
    #[default]
    RightOrWrong,
    /// The published rule for GSM8K: half for the right last number, −1 for no answer at all.
    Gsm8k,
    /// The published rule for stories about beliefs.
    TheoryOfMind,
    /// A number for each kind of verdict.
    Rule(RewardRule),
}

impl RewardConfig {
    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        match self {
            Self::Rule(rule) => Ok(rule.validate()?),
            _ => Ok(()),
        }
    }

    /// The worth of an answer to a problem.
    pub(crate) fn of(&self, problem: &Problem, text: &str) -> f64 {
        let verdict = problem.verify(text);
        match self {
            Self::RightOrWrong => f64::from(u8::from(verdict.is_right())),
            Self::Gsm8k => RewardRule::GSM8K.reward(&verdict),
            Self::TheoryOfMind => RewardRule::THEORY_OF_MIND.reward(&verdict),
            Self::Rule(rule) => rule.reward(&verdict),
        }
    }
}

/// The verifier of answers to these problems.
pub(crate) fn verifier<'a>(
    model: &'a Pretrained,
    asked: &'a [Asked],
    reward: RewardConfig,
) -> impl FnMut(&Answer<'_>) -> Result<f64, String> + 'a {
    move |answer: &Answer<'_>| {
        let text = model.tokenizer.decode_text(answer.ids).map_err(|e| e.to_string())?;
        Ok(reward.of(&asked[answer.prompt].problem, &text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_worth_what_the_rule_says() {
        let task = TaskConfig { problem: Task::named("addition").unwrap(), ..Default::default() };
        let problem = &task.problems(Split::Train, 1).unwrap()[0];
        let (right, bare) = (problem.completion(), format!("so it is {}", problem.answer));
        let worth = |reward: RewardConfig, text: &str| reward.of(problem, text).to_bits();
        for (reward, of_right, of_bare, of_none) in [
            (RewardConfig::RightOrWrong, 1.0, 0.0, 0.0),
            (RewardConfig::Gsm8k, 1.0, 0.5, -1.0),
            (RewardConfig::Rule(RewardRule { right: 2.0, ..RewardRule::GSM8K }), 2.0, 0.5, -1.0),
        ] {
            assert_eq!(worth(reward, &right), f64::to_bits(of_right));
            assert_eq!(worth(reward, &bare), f64::to_bits(of_bare));
            assert_eq!(worth(reward, ""), f64::to_bits(of_none));
        }
        // A wrong mark is forgiven by one of the published rules alone.
        let corrected = format!("Answer: none\nrather {}", problem.answer);
        assert_eq!(worth(RewardConfig::Gsm8k, &corrected), 0.5_f64.to_bits());
        assert_eq!(worth(RewardConfig::TheoryOfMind, &corrected), 0.0_f64.to_bits());
    }

    #[test]
    fn sides_share_no_content() {
        let task =
            TaskConfig { problem: Task::named("running_sum").unwrap(), ..Default::default() };
        let keys = |split| -> Vec<String> {
            task.problems(split, 200).unwrap().into_iter().map(|problem| problem.key).collect()
        };
        let train = keys(Split::Train);
        assert!(keys(Split::Evaluation).iter().all(|key| !train.contains(key)));
        assert!(task.problems(Split::Train, 0).is_err());
    }

    #[test]
    fn an_answer_that_is_begun_is_read_whole() {
        let task =
            TaskConfig { problem: Task::named("running_sum").unwrap(), ..Default::default() };
        let problem = task.problems(Split::Train, 1).unwrap().remove(0);
        let size = crate::early_exit::scratch::ScratchConfig { hidden: 16, ..Default::default() };
        let texts = [problem.prompt.clone(), problem.completion(), problem.direct()];
        let model = size.model(texts.iter().map(String::as_str), 0, tch::Device::Cpu).unwrap();
        let asked = ask(&model, problem, 20).unwrap();
        let bare = without_chain(&model, &asked).unwrap();
        let read = model.tokenizer.decode(&bare.prompt).unwrap();
        assert_eq!(read, format!("{}=", asked.problem.prompt));
        let added = format!("{};", bare.problem.answer);
        assert!(bare.problem.verify(&bare.whole(&added)).is_right());
        assert!(!asked.problem.verify(&asked.whole(&added)).is_right());
        // There must be room.
        let message = ask(&model, asked.problem, 120).unwrap_err().to_string();
        assert!(message.contains("expected at most 8 tokens beside 120 new ones"), "{message}");
    }
}
