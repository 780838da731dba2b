//! Reasoning tasks: what holds for all, and each task against another way to its answer.

mod answers;
mod beliefs;
mod calendar;
mod gsm8k;
mod sides;
mod tasks;

use lm_tasks::{
    Split,
    reasoning::{Problem, Task},
};

/// Problems of both sides of a task.
pub(crate) fn both(task: &Task, n: u64) -> Vec<Problem> {
    let side = |split| move |index| task.problem(split, 11, index).unwrap();
    let train = (0..n).map(side(Split::Train));
    train.chain((0..n).map(side(Split::Evaluation))).collect()
}

pub(crate) fn task(json: &str) -> Task {
    serde_json::from_str(json).unwrap()
}

/// Settings other than the defaults, some at the ends of their ranges.
pub(crate) fn unusual() -> Vec<Task> {
    [
        r#"{"task": "sum_modulo", "min_terms": 2, "max_terms": 64, "modulus": 1000000000}"#,
        r#"{"task": "sum_modulo", "min_terms": 5, "max_terms": 5, "modulus": 2}"#,
        r#"{"task": "sum_modulo", "modulus": 11}"#,
        r#"{"task": "running_sum", "terms": 2, "digits": 1, "long_share": 1}"#,
        r#"{"task": "running_sum", "terms": 64, "digits": 9, "long_share": 0}"#,
        r#"{"task": "addition", "min_digits": 1, "max_digits": 9}"#,
        r#"{"task": "word_problems", "min_steps": 8, "max_steps": 8, "max_number": 1000000}"#,
        r#"{"task": "word_problems", "min_steps": 1, "max_steps": 1, "max_number": 10}"#,
        r#"{"task": "false_belief", "min_people": 6, "max_people": 6, "min_moves": 12, "max_moves": 12, "watching": 1}"#,
        r#"{"task": "false_belief", "max_people": 2, "max_moves": 1, "questions": ["second_order"]}"#,
        r#"{"task": "binary_alternation", "min_length": 1, "max_length": 12, "solvable": 0.3}"#,
        r#"{"task": "calendar", "year": 9000, "max_days": 365}"#,
        r#"{"task": "calendar", "year": 100, "max_days": 1}"#,
        r#"{"task": "calendar", "year": 2024, "questions": ["count_business_days", "weekday_from_first"], "max_days": 365}"#,
        r#"{"task": "largest_island", "min_side": 1, "max_side": 30, "max_islands": 40, "max_island": 60}"#,
        r#"{"task": "spell_backward", "min_letters": 12, "max_letters": 12}"#,
    ]
    .map(task)
    .into()
}

/// All tasks as they are, and with unusual settings.
pub(crate) fn all() -> Vec<Task> {
    let named = Task::NAMES.iter().map(|name| Task::named(name).unwrap());
    named.chain(unusual()).collect()
}
