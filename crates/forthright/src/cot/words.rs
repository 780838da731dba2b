//! Problems of the small worlds of words as prompts of a policy, and whether they are answered rightly.

use cot_metrics::organisms::{Ask, Language, Turns, World as _};
use klq::reward::Prompt;
use rl_core::seed::Seed;

/// Problems to learn from.
pub(super) fn problems(language: &Language, count: usize, seed: Seed) -> Vec<Turns> {
    let problem = |i| language.problem(&mut seed.derive("problem", i).rng());
    (0..count as u64).map(problem).collect()
}

/// Prompts, each named by the place of its problem.
pub(super) fn prompts(language: &Language, problems: &[Turns]) -> Vec<Prompt> {
    let prompt = |(i, problem): (usize, &Turns)| {
        let ids = language.prompt(problem, Ask::PLAIN);
        Prompt { id: i.to_string(), text: language.text(&ids), ids, source: None }
    };
    problems.iter().enumerate().map(prompt).collect()
}

/// Whether what was said ends with the mark and the right answer.
pub(super) fn is_right(language: &Language, problem: &Turns, said: &[u32]) -> bool {
    said.ends_with(&[language.bridge(), language.answer(problem)].concat())
}
