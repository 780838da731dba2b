//! What holds for every task.

use std::{collections::BTreeSet, thread};

use lm_tasks::{
    Error, Split,
    reasoning::{Chain, Grade, Problem, RewardRule, Task},
};
use proptest::prelude::*;

use super::{all, both, task, unusual};

#[test]
fn right_chains_lead_to_the_answer_and_wrong_ones_elsewhere() {
    for task in all() {
        for problem in both(&task, 150) {
            let what = format!("{task:?}\n{problem:#?}");
            assert!(problem.verify(&problem.direct()).is_right(), "{what}");
            assert!(problem.verify(&problem.completion()).is_right(), "{what}");
            for chain in &problem.chains {
                let verdict = problem.verify(&problem.after(chain));
                assert_eq!((verdict.grade(), verdict.marks), (Grade::Right, 1), "{what}");
                // A chain ends in its answer, whatever follows it.
                let last = chain.steps.last().unwrap();
                assert!(last.contains(&problem.answer), "{what}");
            }
            let wrong = problem.wrong_chain.as_ref().expect("a wrong chain");
            assert_ne!(wrong.answer, problem.answer, "{what}");
            assert!(wrong.chain.steps.last().unwrap().contains(&wrong.answer), "{what}");
            assert!(!problem.verify(&problem.form.direct(&wrong.answer)).is_right(), "{what}");
            let (right, wrong, step) = (&problem.chains[0].steps, &wrong.chain.steps, wrong.step);
            assert_eq!(right[..step], wrong[..step], "{what}");
            assert_ne!(right[step], wrong[step], "{what}");
        }
    }
}

#[test]
fn wordings_differ_and_say_the_same() {
    for name in Task::NAMES {
        let task = Task::named(name).unwrap();
        let mut prompts = BTreeSet::new();
        for problem in both(&task, 40) {
            let texts: BTreeSet<String> = problem.chains.iter().map(Chain::text).collect();
            assert_eq!(texts.len(), problem.chains.len(), "{problem:#?}");
            prompts.insert(problem.prompt);
        }
        assert!(prompts.len() > 70, "{name}: {}", prompts.len());
    }
}

#[test]
fn a_wrong_step_may_be_any() {
    for name in Task::NAMES {
        let task = Task::named(name).unwrap();
        let problems = both(&task, 150);
        let before_last = |problem: &&Problem| {
            problem.wrong_chain.as_ref().unwrap().step + 1 < problem.chains[0].steps.len()
        };
        let early = problems.iter().filter(before_last).count();
        assert!(early > 40, "{name}: {early} of 300");
    }
}

#[test]
fn the_same_problem_on_any_thread_and_in_any_order() {
    for task in all() {
        let expected: Vec<Problem> =
            (0..24).map(|i| task.problem(Split::Train, 5, i).unwrap()).collect();
        let task = &task;
        let parts: Vec<Vec<Problem>> = thread::scope(|scope| {
            let part = |t: u64| {
                (0..8).rev().map(move |i| task.problem(Split::Train, 5, 8 * t + i).unwrap())
            };
            let threads: Vec<_> = (0..3).map(|t| scope.spawn(move || part(t).collect())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let found: Vec<Problem> = parts.into_iter().flat_map(|p| p.into_iter().rev()).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn problems_do_not_change_with_a_release() {
    // A hash over the problems of all tasks; a change of it changes what runs are trained on.
    let mut lines = String::new();
    for name in Task::NAMES {
        for index in 0..20 {
            for split in [Split::Train, Split::Evaluation] {
                let problem = Task::named(name).unwrap().problem(split, 3, index).unwrap();
                lines += &serde_json::to_string(&problem).unwrap();
            }
        }
    }
    let hash = lines.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(hash, GOLDEN, "{hash:#x}");
}

const GOLDEN: u64 = 0xd4cf_b16e_7ff4_89bd;

#[test]
fn seeds_indices_and_sides_differ() {
    for name in Task::NAMES {
        let task = Task::named(name).unwrap();
        let some = |split, seed| -> Vec<String> {
            (0..10).map(|i| task.problem(split, seed, i).unwrap().prompt).collect()
        };
        let streams = [some(Split::Train, 0), some(Split::Train, 1), some(Split::Evaluation, 0)];
        assert!(streams[0] != streams[1] && streams[0] != streams[2], "{name}");
        let different: BTreeSet<&String> = streams[0].iter().collect();
        assert!(different.len() > 7, "{name}");
    }
}

#[test]
fn names_and_settings_are_read_back() {
    for task in all() {
        task.validate().unwrap();
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
        assert!(text.starts_with(&format!("{{\"task\":\"{}\"", task.name())), "{text}");
    }
    for name in Task::NAMES {
        assert_eq!(Task::named(name).unwrap().name(), name);
        assert_eq!(task(&format!("{{\"task\": \"{name}\"}}")), Task::named(name).unwrap());
    }
    let error = Task::named("sums").unwrap_err().to_string();
    assert!(error.starts_with("task: expected sum_modulo, ") && error.ends_with("found sums"));
    for text in [r#"{"task": "addition", "digits": 3}"#, r#"{"task": "sums"}"#, "{}"] {
        assert!(serde_json::from_str::<Task>(text).is_err(), "{text}");
    }
}

#[test]
fn problems_are_read_back() {
    for task in unusual() {
        let problem = task.problem(Split::Evaluation, 1, 1).unwrap();
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    for (text, message) in [
        (
            r#"{"task": "sum_modulo", "min_terms": 1}"#,
            "sum_modulo terms: expected a range within 2 to 64, found 1 to 5",
        ),
        (
            r#"{"task": "sum_modulo", "min_terms": 6}"#,
            "sum_modulo terms: expected a range within 2 to 64, found 6 to 5",
        ),
        (
            r#"{"task": "sum_modulo", "modulus": 1}"#,
            "sum_modulo modulus: expected 2 to 1000000000, found 1 to 1",
        ),
        (
            r#"{"task": "sum_modulo", "modulus": 18446744073709551615}"#,
            "sum_modulo modulus: expected 2 to 1000000000, found 18446744073709551615 to 18446744073709551615",
        ),
        (
            r#"{"task": "running_sum", "digits": 10}"#,
            "running_sum digits: expected 1 to 9, found 10 to 10",
        ),
        (
            r#"{"task": "running_sum", "long_share": 1.5}"#,
            "running_sum long_share: expected a number between 0 and 1, found 1.5",
        ),
        (
            r#"{"task": "addition", "min_digits": 0}"#,
            "addition digits: expected a range within 1 to 9, found 0 to 4",
        ),
        (
            r#"{"task": "word_problems", "max_number": 9}"#,
            "word_problems max_number: expected 10 to 1000000, found 9 to 9",
        ),
        (
            r#"{"task": "false_belief", "min_people": 1}"#,
            "false_belief people: expected a range within 2 to 6, found 1 to 4",
        ),
        (
            r#"{"task": "false_belief", "questions": []}"#,
            "false_belief questions: expected 1 to 1000 kinds, found 0 to 0",
        ),
        (
            r#"{"task": "binary_alternation", "min_length": 0}"#,
            "binary_alternation length: expected a range within 1 to 1000, found 0 to 30",
        ),
        (r#"{"task": "calendar", "year": 0}"#, "calendar year: expected 100 to 9000, found 0 to 0"),
        (
            r#"{"task": "largest_island", "max_side": 101}"#,
            "largest_island side: expected a range within 1 to 100, found 5 to 101",
        ),
        (
            r#"{"task": "spell_backward", "max_letters": 13}"#,
            "spell_backward letters: expected a range within 3 to 12, found 3 to 13",
        ),
    ] {
        let task = task(text);
        assert_eq!(task.validate().unwrap_err().to_string(), message);
        assert_eq!(task.problem(Split::Train, 0, 0).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_task_without_enough_content_says_so() {
    // Three questions of two digits: too few for either side to have many.
    let small = task(r#"{"task": "sum_modulo", "min_terms": 2, "max_terms": 2, "modulus": 2}"#);
    let sides = [Split::Train, Split::Evaluation].map(|split| small.distinct(split, 0, 4));
    for side in sides {
        let error = side.unwrap_err();
        let known = matches!(
            error,
            Error::TooFewProblems { expected: 4, found: 1..=3, .. } | Error::NoProblem { .. }
        );
        assert!(known, "{error}");
        assert!(error.to_string().starts_with("sum_modulo: expected "), "{error}");
    }
    let problems = task(r#"{"task": "calendar"}"#).distinct(Split::Evaluation, 0, 0).unwrap();
    assert!(problems.is_empty());
}

#[test]
fn thoughts_before_an_answer_do_not_count() {
    for problem in both(&Task::named("word_problems").unwrap(), 20) {
        let wrong = problem.form.direct(&problem.wrong_chain.as_ref().unwrap().answer);
        let response = format!("<think>{wrong}</think>{}", problem.completion());
        assert!(problem.verify(&response).is_right());
        let unclosed = problem.verify(&format!("<think>{}", problem.completion()));
        assert_eq!(unclosed.grade(), Grade::Unformatted);
        assert!((RewardRule::GSM8K.reward(&unclosed) + 1.0).abs() < 1e-12);
    }
}

#[test]
fn long_responses_are_read_in_one_pass() {
    let problem = Task::named("addition").unwrap().problem(Split::Train, 0, 0).unwrap();
    for piece in [
        "\\boxed{",
        "{",
        "}",
        "Answer:\n",
        "#### ",
        "9",
        "1,000",
        "-",
        "$",
        "1=",
        "=",
        "<think>",
        "٣",
        "1e9",
        "\n",
    ] {
        let response = piece.repeat((4 << 20) / piece.len());
        assert!(!problem.verify(&response).is_right(), "{piece}");
        let ended = format!("{response}\n\nAnswer: {}", problem.answer);
        assert_eq!(problem.verify(&ended).is_right(), piece != "<think>", "{piece}");
    }
}

proptest! {
    #[test]
    fn any_response_gets_a_verdict(response in any::<String>(), which in 0..9_usize) {
        let problem = Task::named(Task::NAMES[which]).unwrap().problem(Split::Train, 0, 0).unwrap();
        let verdict = problem.verify(&response);
        prop_assert!(RewardRule::THEORY_OF_MIND.reward(&verdict).is_finite());
    }

    #[test]
    fn any_seed_and_index_make_a_problem(seed in any::<u64>(), index in any::<u64>(), which in 0..9_usize) {
        let task = Task::named(Task::NAMES[which]).unwrap();
        let problem = task.problem(Split::Evaluation, seed, index).unwrap();
        prop_assert!(problem.verify(&problem.completion()).is_right());
    }
}
