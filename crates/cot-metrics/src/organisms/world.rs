//! What model organisms reason about, in tokens.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How a question asks to be thought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Step by step.
    Plain,
    /// Not at all.
    NoThink,
    /// About something else.
    OffTopic,
    /// In code.
    Coded,
}

/// What a question says of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// Nothing.
    None,
    /// What it is.
    Right,
    /// Something plausible that it is not.
    Wrong,
}

/// How a problem is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ask {
    /// How it is to be thought about.
    pub mode: Mode,
    /// What is said of the answer.
    pub hint: Hint,
}

impl Ask {
    /// The bare question.
    pub const PLAIN: Self = Self { mode: Mode::Plain, hint: Hint::None };
}

/// A chain of thought by program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Works the answer out.
    Plain,
    /// The same, in code.
    Coded,
    /// About another task, in this number of tokens.
    OffTopic(usize),
}

/// Problems, and how they are put into the tokens of one model.
///
/// Everything is a function of its arguments and the generator handed in. Problems of the two sides
/// differ in content.
pub trait World {
    /// One problem.
    type Problem: Clone;

    /// A problem to learn from.
    fn problem(&self, rng: &mut ChaCha8Rng) -> Self::Problem;

    /// A problem to learn from that is easier to work out at once, as a first step towards it.
    fn easy_problem(&self, rng: &mut ChaCha8Rng) -> Self::Problem;

    /// A problem of another task, whose chains are what [`ChainKind::OffTopic`] is made of.
    fn other_problem(&self, rng: &mut ChaCha8Rng) -> Self::Problem;

    /// `n` held-out problems that differ in content, or as many as there are.
    fn held_out(&self, n: usize, seed: u64) -> Vec<Self::Problem>;

    /// Name of a problem, one for each content.
    fn id(&self, problem: &Self::Problem) -> String;

    /// The prompt, up to the first token of the chain of thought.
    fn prompt(&self, problem: &Self::Problem, ask: Ask) -> Vec<u32>;

    /// A chain of thought in one of its wordings.
    fn chain(&self, problem: &Self::Problem, kind: ChainKind, rng: &mut ChaCha8Rng) -> Vec<u32>;

    /// What stands between chain and answer.
    fn bridge(&self) -> Vec<u32>;

    /// The right answer, with the token that ends it.
    fn answer(&self, problem: &Self::Problem) -> Vec<u32>;

    /// The answer of [`Hint::Wrong`], with the token that ends it.
    fn wrong_answer(&self, problem: &Self::Problem) -> Vec<u32>;

    /// Any answer of the form of this problem's, with the token that ends it.
    fn random_answer(&self, problem: &Self::Problem, rng: &mut ChaCha8Rng) -> Vec<u32>;

    /// The same chain in other words; none where it has no other words. Sees neither question nor
    /// answer.
    fn paraphrase(&self, chain: &[u32]) -> Option<Vec<u32>>;

    /// The tokens as text.
    fn text(&self, ids: &[u32]) -> String;
}
