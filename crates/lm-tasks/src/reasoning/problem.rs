//! Something to reason about, with what is known of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Form, Verdict};
use crate::{Item, Split, dataset::hex};

/// Something to reason about: a question, chains of thought that answer it, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The task and a hash of the prompt: the same problem has the same name wherever it comes from.
    pub id: String,
    /// Name of the task.
    pub task: String,
    /// The side it belongs to; none if its source does not say.
    pub split: Option<Split>,
    /// The question.
    pub prompt: String,
    /// Chains of thought that lead to the answer. All say the same in different words, and the first
    /// is the one to learn from. None if no chain is known.
    pub chains: Vec<Chain>,
    /// A chain with one mistake, in the words of the first chain.
    pub wrong_chain: Option<WrongChain>,
    /// The answer, as [`Form`] spells it.
    pub answer: String,
    /// How the answer is written.
    pub form: Form,
    /// What makes the problem hard, in numbers that grow with it, such as digits or moves.
    pub difficulty: BTreeMap<String, u64>,
    /// What decides the side: equal for problems that are the same but for their wording.
    pub key: String,
}

/// A chain of thought, in steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain {
    /// The steps, each with what separates it from the next.
    pub steps: Vec<String>,
}

/// A chain of thought in which one step is wrong; what follows is worked out rightly from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongChain {
    /// The chain.
    pub chain: Chain,
    /// Index of the step that is wrong; those before it are those of the right chain.
    pub step: usize,
    /// What it leads to: an answer that is plausible and wrong, so also a hint that misleads.
    pub answer: String,
}

impl Chain {
    /// The whole chain.
    pub fn text(&self) -> String {
        self.steps.concat()
    }

    /// Each step on a line of its own.
    pub(crate) fn of_lines(lines: Vec<String>) -> Self {
        let line = |mut line: String| {
            line.push('\n');
            line
        };
        Self { steps: lines.into_iter().map(line).collect() }
    }
}

impl Problem {
    /// Whether a response answers the question; see [`Form::verify`].
    pub fn verify(&self, response: &str) -> Verdict {
        self.form.verify(&self.answer, response)
    }

    /// The question, with a request for the answer's form where a model that reads sentences is
    /// meant.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::{Split, reasoning::Task};
    ///
    /// let problem = Task::named("addition")?.problem(Split::Train, 1, 0)?;
    /// assert!(problem.request().ends_with("End with a line \"Answer: N\", where N is a number."));
    /// # Ok::<(), lm_tasks::Error>(())
    /// ```
    pub fn request(&self) -> String {
        match self.form.instruction() {
            Some(instruction) => format!("{}\n\n{instruction}", self.prompt),
            None => self.prompt.clone(),
        }
    }

    /// What to learn to respond: the first chain and the answer, or the answer alone if there is no
    /// chain.
    pub fn completion(&self) -> String {
        self.chains.first().map_or_else(|| self.direct(), |chain| self.after(chain))
    }

    /// A chain of this problem, whole or not, and the answer after it.
    pub fn after(&self, chain: &Chain) -> String {
        format!("{}{}", chain.text(), self.form.closing(&self.answer))
    }

    /// The answer with no chain of thought.
    pub fn direct(&self) -> String {
        self.form.direct(&self.answer)
    }

    pub(crate) fn id(task: &str, prompt: &str) -> String {
        format!("{task}-{}", &hex(&Sha256::digest(prompt))[..16])
    }
}

impl Item for Problem {
    fn id(&self) -> &str {
        &self.id
    }

    fn published_split(&self) -> Option<Split> {
        self.split
    }

    fn key(&self) -> String {
        self.key.clone()
    }
}
