//! All tasks under one name.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{
    Addition, BinaryAlternation, Calendar, FalseBelief, LargestIsland, Problem, RunningSum,
    SpellBackward, SumModulo, WordProblems,
    generate::{self, Generate},
};
use crate::{Error, Split};

/// A task with its settings: in a configuration, its name as `task` beside them.
///
/// # Examples
/// ```
/// use lm_tasks::{Split, reasoning::Task};
///
/// let task: Task = serde_json::from_str(r#"{"task": "running_sum", "digits": 2}"#).unwrap();
/// let problem = task.problem(Split::Train, 7, 0)?;
/// assert!(problem.verify(&problem.completion()).is_right());
/// assert_eq!(task.problem(Split::Train, 7, 0)?, problem);
/// # Ok::<(), lm_tasks::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "task", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Task {
    /// Sums modulo a prime, by running sums.
    SumModulo(SumModulo),
    /// Sums of numbers of fixed width, in a short and a long format.
    RunningSum(RunningSum),
    /// Addition column by column.
    Addition(Addition),
    /// Stories with numbers.
    WordProblems(WordProblems),
    /// Stories of who believes a thing to be where.
    FalseBelief(FalseBelief),
    /// Fewest swaps to make a binary text alternate.
    BinaryAlternation(BinaryAlternation),
    /// Dates, weekdays, leap years.
    Calendar(Calendar),
    /// Area of the largest island of a grid.
    LargestIsland(LargestIsland),
    /// Words letter by letter from the end.
    SpellBackward(SpellBackward),
}

impl Task {
    /// Names of all tasks.
    pub const NAMES: [&str; 9] = [
        "sum_modulo",
        "running_sum",
        "addition",
        "word_problems",
        "false_belief",
        "binary_alternation",
        "calendar",
        "largest_island",
        "spell_backward",
    ];

    /// The task of a name, with its default settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for another name.
    pub fn named(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "sum_modulo" => Self::SumModulo(SumModulo::default()),
            "running_sum" => Self::RunningSum(RunningSum::default()),
            "addition" => Self::Addition(Addition::default()),
            "word_problems" => Self::WordProblems(WordProblems::default()),
            "false_belief" => Self::FalseBelief(FalseBelief::default()),
            "binary_alternation" => Self::BinaryAlternation(BinaryAlternation::default()),
            "calendar" => Self::Calendar(Calendar::default()),
            "largest_island" => Self::LargestIsland(LargestIsland::default()),
            "spell_backward" => Self::SpellBackward(SpellBackward::default()),
            _ => {
                return Err(Error::Setting {
                    name: "task",
                    expected: "sum_modulo, running_sum, addition, word_problems, false_belief, \
                               binary_alternation, calendar, largest_island or spell_backward",
                    found: crate::error::shown(name),
                });
            }
        })
    }

    /// The name, as in a configuration.
    pub fn name(&self) -> &'static str {
        self.parts().0
    }

    fn parts(&self) -> (&'static str, &dyn Generate) {
        match self {
            Self::SumModulo(task) => ("sum_modulo", task),
            Self::RunningSum(task) => ("running_sum", task),
            Self::Addition(task) => ("addition", task),
            Self::WordProblems(task) => ("word_problems", task),
            Self::FalseBelief(task) => ("false_belief", task),
            Self::BinaryAlternation(task) => ("binary_alternation", task),
            Self::Calendar(task) => ("calendar", task),
            Self::LargestIsland(task) => ("largest_island", task),
            Self::SpellBackward(task) => ("spell_backward", task),
        }
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        self.parts().1.validate()
    }

    /// The problem of an index: the same for the same settings, side, seed and index, on any machine.
    /// Another index may give the same problem once more.
    ///
    /// # Errors
    /// [`Error::Setting`]; [`Error::NoProblem`] where settings leave a side without content.
    pub fn problem(&self, split: Split, seed: u64, index: u64) -> Result<Problem, Error> {
        let (name, generator) = self.parts();
        generate::problem(name, generator, split, seed, index)
    }

    /// The first `n` problems of a seed that differ in content, so that an estimate over them counts
    /// none twice.
    ///
    /// # Errors
    /// As [`Task::problem`]; [`Error::TooFewProblems`] where a hundred times `n` draws, and at least a
    /// thousand, do not give that many.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::{Split, reasoning::Task};
    ///
    /// let problems = Task::named("calendar")?.distinct(Split::Evaluation, 0, 50)?;
    /// let mut keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    /// keys.sort_unstable();
    /// keys.dedup();
    /// assert_eq!(keys.len(), 50);
    /// # Ok::<(), lm_tasks::Error>(())
    /// ```
    pub fn distinct(&self, split: Split, seed: u64, n: usize) -> Result<Vec<Problem>, Error> {
        let mut seen = HashSet::new();
        let mut problems = Vec::new();
        for index in 0..(n as u64).saturating_mul(100).max(1_000) {
            if problems.len() == n {
                break;
            }
            let problem = self.problem(split, seed, index)?;
            if seen.insert(problem.key.clone()) {
                problems.push(problem);
            }
        }
        if problems.len() < n {
            let found = problems.len();
            return Err(Error::TooFewProblems { task: self.name(), split, expected: n, found });
        }
        Ok(problems)
    }
}
