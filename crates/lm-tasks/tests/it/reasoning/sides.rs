//! The sides of a task are disjoint.

use std::collections::BTreeSet;

use lm_tasks::{
    Split, SplitRule,
    reasoning::{Task, side},
};

use super::{all, task};

#[test]
fn no_content_is_on_both_sides() {
    for task in all() {
        let side = |split, seed| {
            let task = &task;
            (0..1_000).map(move |index| task.problem(split, seed, index).unwrap())
        };
        // Different seeds, as two runs would have them.
        let train: BTreeSet<String> =
            side(Split::Train, 1).chain(side(Split::Train, 2)).map(|p| p.key).collect();
        let mut prompts = BTreeSet::new();
        for problem in side(Split::Evaluation, 3) {
            assert!(!train.contains(&problem.key), "{problem:#?}");
            assert_eq!(lm_tasks::reasoning::side(task.name(), &problem.key), Split::Evaluation);
            assert_eq!(problem.split, Some(Split::Evaluation));
            prompts.insert(problem.prompt);
        }
        assert!(!side(Split::Train, 4).any(|problem| prompts.contains(&problem.prompt)));
    }
}

#[test]
fn wording_and_order_do_not_decide() {
    // All sums of two numbers below seven, drawn so often that each comes in both orders.
    let sums = task(r#"{"task": "sum_modulo", "min_terms": 2, "max_terms": 2, "modulus": 7}"#);
    let sorted = |split| -> BTreeSet<Vec<String>> {
        let problems = (0..2_000).map(|i| sums.problem(split, 0, i).unwrap());
        problems
            .map(|problem| {
                let sum = problem.prompt.split('%').next().unwrap();
                let mut terms: Vec<String> = sum.split('+').map(str::to_owned).collect();
                terms.sort();
                terms
            })
            .collect()
    };
    let (train, evaluation) = (sorted(Split::Train), sorted(Split::Evaluation));
    assert!(train.is_disjoint(&evaluation));
    assert_eq!(train.len() + evaluation.len(), 28, "7 · 8 / 2 pairs, none missed");

    // Each question about the calendar has three wordings.
    let leap = task(r#"{"task": "calendar", "questions": ["leap_year"]}"#);
    let year =
        |prompt: &str| -> String { prompt.chars().filter(char::is_ascii_digit).take(4).collect() };
    let years = |split| -> BTreeSet<String> {
        (0..3_000).map(|i| year(&leap.problem(split, 0, i).unwrap().prompt)).collect()
    };
    let (train, evaluation) = (years(Split::Train), years(Split::Evaluation));
    assert!(train.is_disjoint(&evaluation));
    assert_eq!(train.len() + evaluation.len(), 199);
}

#[test]
fn questions_about_a_story_stay_together() {
    let stories = Task::named("false_belief").unwrap();
    let story = |split| -> BTreeSet<String> {
        let text = |i| stories.problem(split, 0, i).unwrap().prompt;
        (0..2_000).map(|i| text(i).split("\n\n").next().unwrap().to_owned()).collect()
    };
    assert!(story(Split::Train).is_disjoint(&story(Split::Evaluation)));
}

#[test]
fn a_fifth_is_held_out_and_no_release_moves_it() {
    let held_out = (0..10_000).filter(|i| side("a", &i.to_string()) == Split::Evaluation).count();
    // Five standard deviations of a binomial of 10 000 draws.
    assert!(held_out.abs_diff(2_000) < 200, "{held_out}");
    // By Python's hashlib: sha256(bytes(8) + b"addition\n12 + 34"), first eight bytes as a share.
    let sides: Vec<Split> =
        ["12 + 34", "1 + 2", "7 + 8"].iter().map(|key| side("addition", key)).collect();
    assert_eq!(sides, SIDES);
    // Tasks are hashed apart.
    let other =
        (0..1_000).filter(|i| side("a", &i.to_string()) != side("b", &i.to_string())).count();
    assert!(other > 200, "{other}");
}

const SIDES: [Split; 3] = [Split::Evaluation, Split::Train, Split::Train];

#[test]
fn published_problems_split_by_their_question() {
    let row = |i| format!(r#####"{{"question": "{i} + 1?", "answer": "#### {}"}}"#####, i + 1);
    let rows = (0..200).map(row).collect::<Vec<_>>().join("\n");
    let data = lm_tasks::reasoning::gsm8k::parse("x", &rows, &lm_tasks::ReadOptions::default());
    let splits = data.unwrap().split(SplitRule::Hash { evaluation: 0.5, seed: 1 }).unwrap();
    assert!(
        splits.train.items.iter().all(|p| !splits.evaluation.items.iter().any(|q| p.key == q.key))
    );
}
