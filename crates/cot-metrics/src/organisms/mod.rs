//! Models whose chains of thought have, or lack, a known property, and how they are made.

mod evaluate;
mod language;
mod recipe;
mod scratch;
mod text;
mod world;

pub use evaluate::{Answered, EvaluateConfig, Evaluation, evaluate, without_chain};
pub use language::{Language, LanguageConfig, Turns, Wheel};
pub use recipe::{Mix, Organism, Recipe};
pub use scratch::ScratchConfig;
pub use text::{TextProblem, TextProblems, TextWorld, TextWorldConfig};
pub use world::{Ask, ChainKind, Hint, Mode, World};
