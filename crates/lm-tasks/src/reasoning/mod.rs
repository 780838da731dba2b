//! Reasoning tasks: problems with chains of thought and verifiers.
//!
//! A [`Task`] makes [`Problem`]s from a seed and an index, so that a run needs to write down three
//! numbers to have them again, and any number of threads make the same ones. A problem verifies
//! responses by itself ([`Problem::verify`]), whether it was made here or read from a file
//! ([`gsm8k`]); a [`RewardRule`] turns the [`Verdict`] into a number.
//!
//! # Sides
//!
//! The two sides of a task are disjoint by construction, whatever the seeds and however many problems
//! are drawn: the content of a problem, without its wording, is hashed to a side ([`side`]), and
//! what falls on the other side is drawn again. What counts as content is said at each task. One
//! fifth of the content is held out.

mod addition;
mod binary_alternation;
mod calendar;
mod draw;
mod extract;
mod false_belief;
mod generate;
pub mod gsm8k;
mod largest_island;
mod number;
mod problem;
mod reward;
mod running_sum;
mod spell_backward;
mod sum_modulo;
mod task;
mod verdict;
mod word_problems;

pub use addition::Addition;
pub use binary_alternation::BinaryAlternation;
pub use calendar::{Calendar, CalendarQuestion};
pub use false_belief::{BeliefQuestion, FalseBelief};
pub use generate::side;
pub use largest_island::LargestIsland;
pub use number::Number;
pub use problem::{Chain, Problem, WrongChain};
pub use reward::RewardRule;
pub use running_sum::RunningSum;
pub use spell_backward::SpellBackward;
pub use sum_modulo::SumModulo;
pub use task::Task;
pub use verdict::{Extracted, Form, Grade, Verdict};
pub use word_problems::WordProblems;
