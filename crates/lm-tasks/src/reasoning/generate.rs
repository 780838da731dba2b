//! What all generators share: sides, chains in several wordings, mistakes.

use std::fmt::Display;

use rl_core::seed::Seed;

use super::{Chain, Form, Problem, WrongChain, draw::Draw};
use crate::{Error, Split, dataset::unit};

/// Share of a task's content that is held out.
const EVALUATION: f64 = 0.2;

/// The seed of all sides: it is no setting, so that no two runs can disagree on what is held out.
const SIDES: u64 = 0;

/// Draws until one falls on the side asked for. A draw misses the smaller side four times of five,
/// so that only a task with hardly any content gets here.
const MAX_DRAWS: usize = 1_000;

/// Makes instances of a task.
pub(crate) trait Generate {
    fn validate(&self) -> Result<(), Error>;

    /// An instance of any side. Settings are valid.
    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance>;
}

/// One problem, before it is put into words.
pub(crate) trait Instance {
    /// Its content: equal for instances that ask for the same thing.
    fn key(&self) -> String;

    fn prompt(&self) -> String;

    fn form(&self) -> Form;

    /// In how many wordings it can be worked out, at least one.
    fn styles(&self) -> usize;

    /// The wording to learn from.
    fn style(&self, draw: &mut Draw) -> usize {
        draw.index(self.styles())
    }

    /// Works it out in one of its wordings. `slip` is the index of a step at which to go wrong; a
    /// slip in the last step always spoils the answer, one before it may have no effect.
    fn work(&self, style: usize, slip: Option<usize>) -> Worked;

    fn difficulty(&self) -> Vec<(&'static str, u64)>;
}

/// A problem worked out.
pub(crate) struct Worked {
    pub(crate) chain: Chain,
    pub(crate) answer: String,
}

impl Worked {
    pub(crate) fn lines(lines: Vec<String>, answer: impl Display) -> Self {
        Self { chain: Chain::of_lines(lines), answer: answer.to_string() }
    }
}

/// The side that content of a task falls on.
///
/// # Examples
/// ```
/// use lm_tasks::{Split, reasoning::{Task, side}};
///
/// let problem = Task::named("calendar")?.problem(Split::Evaluation, 1, 0)?;
/// assert_eq!(side("calendar", &problem.key), Split::Evaluation);
/// # Ok::<(), lm_tasks::Error>(())
/// ```
pub fn side(task: &str, key: &str) -> Split {
    let held_out = unit(SIDES, &format!("{task}\n{key}")) < EVALUATION;
    if held_out { Split::Evaluation } else { Split::Train }
}

/// The problem of an index.
pub(crate) fn problem(
    task: &'static str,
    generator: &dyn Generate,
    split: Split,
    seed: u64,
    index: u64,
) -> Result<Problem, Error> {
    generator.validate()?;
    let purpose = match split {
        Split::Train => format!("{task}/train"),
        Split::Evaluation => format!("{task}/evaluation"),
    };
    let mut draw = Draw::new(Seed::new(seed).derive(&purpose, index));
    for _ in 0..MAX_DRAWS {
        let instance = generator.draw(&mut draw);
        let key = instance.key();
        if side(task, &key) == split {
            return Ok(in_words(task, &*instance, split, key, &mut draw));
        }
    }
    Err(Error::NoProblem { task, split })
}

fn in_words(
    task: &str,
    instance: &dyn Instance,
    split: Split,
    key: String,
    draw: &mut Draw,
) -> Problem {
    let styles = instance.styles();
    let first = instance.style(draw);
    let Worked { chain, answer } = instance.work(first, None);
    let wrong_chain = mistaken(instance, first, &answer, chain.steps.len(), draw);
    let others = (1..styles).map(|i| instance.work((first + i) % styles, None).chain);
    let prompt = instance.prompt();
    let difficulty = instance.difficulty().into_iter().map(|(name, n)| (name.to_owned(), n));
    Problem {
        id: Problem::id(task, &prompt),
        task: task.to_owned(),
        split: Some(split),
        prompt,
        chains: std::iter::once(chain).chain(others).collect(),
        wrong_chain,
        answer,
        form: instance.form(),
        difficulty: difficulty.collect(),
        key,
    }
}

/// A chain that goes wrong at a random step, or at the first one after it that spoils the answer.
fn mistaken(
    instance: &dyn Instance,
    style: usize,
    right: &str,
    steps: usize,
    draw: &mut Draw,
) -> Option<WrongChain> {
    let start = draw.index(steps.max(1));
    (start..steps).find_map(|step| {
        let Worked { chain, answer } = instance.work(style, Some(step));
        (answer != right).then_some(WrongChain { chain, step, answer })
    })
}

/// Checks that a range is not empty and lies within bounds.
pub(crate) fn check_range(
    name: &'static str,
    (lowest, highest): (u64, u64),
    (min, max): (u64, u64),
    expected: &'static str,
) -> Result<(), Error> {
    if min <= lowest && lowest <= highest && highest <= max {
        return Ok(());
    }
    Err(Error::Setting { name, expected, found: format!("{lowest} to {highest}") })
}

/// Checks that a number is a probability.
pub(crate) fn check_share(name: &'static str, share: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    let expected = "a number between 0 and 1";
    Err(Error::Setting { name, expected, found: share.to_string() })
}

/// A number of things.
pub(crate) fn counted(n: impl Display, thing: &str) -> String {
    let text = format!("{n} {thing}");
    if text.starts_with("1 ") { text } else { text + "s" }
}

/// Words in a list as a sentence has them.
pub(crate) fn listed<T: ToString>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(ToString::to_string).collect();
    match words.split_last() {
        None => "none".into(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
