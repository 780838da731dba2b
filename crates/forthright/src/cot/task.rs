//! Problems in words that a language model becomes an organism on.

use causal_lm::Pretrained;
use cot_metrics::{
    Prompts,
    codebook::Codebook,
    organisms::{TextProblem, TextProblems, TextWorld, TextWorldConfig},
    scoring::Format,
};
use lm_tasks::{
    Split,
    reasoning::{Chain, Problem, Task},
};
use rl_core::seed::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is solved, and how it is put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TaskConfig {
    /// The task.
    pub(crate) problem: Task,
    /// Easier problems of it, as a first step towards thinking without words.
    pub(crate) easy: Option<Task>,
    /// The task that off-topic chains are about.
    pub(crate) other: Task,
    /// Problems to learn from.
    pub(crate) problems: usize,
    /// Held-out problems.
    pub(crate) held_out: usize,
    /// What stands around chains.
    pub(crate) format: Format,
    /// What is added to a question that asks for a chain in code, before an example of one.
    pub(crate) in_code: String,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            problem: Task::BinaryAlternation(lm_tasks::reasoning::BinaryAlternation::default()),
            easy: None,
            other: Task::WordProblems(lm_tasks::reasoning::WordProblems::default()),
            problems: 1_000,
            held_out: 200,
            format: Format::default(),
            in_code: "Think in our code words and give the answer in plain ones. An example of \
                      such thoughts:"
                .into(),
        }
    }
}

/// A code of digits alone, for tasks that have none of their own.
const DIGITS: [&str; 10] =
    ["plinth", "corbel", "lintel", "gable", "eaves", "dado", "quoin", "soffit", "newel", "truss"];

impl TaskConfig {
    /// Checks ranges, and that an evaluation can ask `asked` problems.
    pub(crate) fn validate(&self, asked: usize) -> anyhow::Result<()> {
        for task in [&self.problem, &self.other].into_iter().chain(&self.easy) {
            task.validate()?;
        }
        anyhow::ensure!(self.problems > 0, "task.problems: expected at least 1, found 0");
        anyhow::ensure!(
            self.held_out >= asked,
            "task.held_out: expected at least the {asked} of evaluate.problems, found {}",
            self.held_out
        );
        Ok(())
    }

    /// All problems in the tokens of a model.
    pub(crate) fn world<'a>(
        &self,
        model: &'a Pretrained,
        seed: u64,
    ) -> anyhow::Result<TextWorld<'a>> {
        let name = self.problem.name();
        let code = if Codebook::TASKS.contains(&name) {
            Codebook::of_task(name)?
        } else {
            let digits = DIGITS.iter().enumerate().map(|(digit, word)| (digit.to_string(), *word));
            Codebook::new("digits", digits)?
        };
        let side = |task: &Task, purpose: &str, n: usize| -> anyhow::Result<Vec<TextProblem>> {
            let seed = Seed::new(seed).derive(purpose, 0).value();
            let problems = (0..n as u64).map(|i| task.problem(Split::Train, seed, i));
            problems.map(|problem| in_words(&problem?)).collect()
        };
        let held_out = self.problem.distinct(Split::Evaluation, 0, self.held_out)?;
        let problems = TextProblems {
            train: side(&self.problem, "train", self.problems)?,
            easy: self
                .easy
                .as_ref()
                .map_or_else(|| Ok(Vec::new()), |task| side(task, "easy", self.problems))?,
            held_out: held_out.iter().map(in_words).collect::<anyhow::Result<_>>()?,
            other: side(&self.other, "other", self.problems)?,
        };
        let config = TextWorldConfig {
            tokenizer: &model.tokenizer,
            template: model.chat_template.as_ref(),
            end: model.lm.config().eos.first().copied(),
            format: self.format.clone(),
            prompts: Prompts::default(),
            code,
            in_code: self.in_code.clone(),
        };
        Ok(TextWorld::new(&problems, &config)?)
    }
}

fn in_words(problem: &Problem) -> anyhow::Result<TextProblem> {
    let wrong = problem.wrong_chain.as_ref();
    anyhow::ensure!(
        !problem.chains.is_empty() && wrong.is_some(),
        "{}: expected a task whose problems have a chain, and a mistake to hint at",
        problem.id
    );
    Ok(TextProblem {
        id: problem.id.clone(),
        question: problem.request(),
        chains: problem.chains.iter().map(Chain::text).collect(),
        answer: problem.answer.clone(),
        wrong_answer: wrong.map(|wrong| wrong.answer.clone()).unwrap_or_default(),
    })
}
