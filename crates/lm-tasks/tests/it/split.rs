//! Splits.

use std::collections::BTreeSet;

use lm_tasks::{
    Dataset, Error, PreferencePair, Prompt, ReadOptions, SplitRule, own, preferences, prompts,
};
use serde_json::json;

fn numbers(count: usize) -> Dataset<Prompt> {
    let rows: Vec<String> =
        (0..count).map(|i| format!("{{\"prompt\": \"number {i}\"}}\n")).collect();
    prompts::parse("numbers", &rows.concat(), &ReadOptions::default()).unwrap()
}

#[test]
fn a_hash_split_has_the_share_asked_for_and_does_not_move() {
    let rule = |seed| SplitRule::Hash { evaluation: 0.2, seed };
    let splits = numbers(5_000).split(rule(1)).unwrap();
    let share = splits.evaluation.items.len() as f64 / 5_000.0;
    // Five standard errors of a proportion of 5 000.
    assert!((share - 0.2).abs() < 5.0 * (0.16_f64 / 5_000.0).sqrt(), "{share}");
    let train: BTreeSet<&str> = splits.train.items.iter().map(|p| p.id.as_str()).collect();
    assert!(splits.evaluation.items.iter().all(|p| !train.contains(p.id.as_str())));
    assert_eq!(splits.train.items.len() + splits.evaluation.items.len(), 5_000);
    assert_eq!(splits.train.provenance.kept, splits.train.items.len());
    assert_ne!(splits.train.provenance.digest, splits.evaluation.provenance.digest);

    // The first items fall on the same sides when there are fewer of them.
    let fewer = numbers(100).split(rule(1)).unwrap();
    assert_eq!(fewer.evaluation.items, splits.evaluation.items[..fewer.evaluation.items.len()]);
    let other = numbers(5_000).split(rule(2)).unwrap();
    assert_ne!(other.evaluation.items, splits.evaluation.items);
}

#[test]
fn the_same_prompt_stays_on_one_side() {
    let row = |i: usize| {
        let prompt = format!("number {}", i % 10);
        let pair = json!({ "id": i, "prompt": prompt, "chosen": "a", "rejected": "b" });
        format!("{pair}\n")
    };
    let rows: Vec<String> = (0..100).map(row).collect();
    let pairs = preferences::parse("x", &rows.concat(), &ReadOptions::default()).unwrap();
    let splits = pairs.split(SplitRule::Hash { evaluation: 0.5, seed: 0 }).unwrap();
    let inputs = |side: &Dataset<PreferencePair>| -> BTreeSet<String> {
        side.items.iter().map(|pair| format!("{:?}", pair.prompt.input)).collect()
    };
    let (train, evaluation) = (inputs(&splits.train), inputs(&splits.evaluation));
    assert_eq!(train.len() + evaluation.len(), 10);
}

#[test]
fn what_cannot_be_split_is_said() {
    let message = |data: Dataset<Prompt>, rule| data.split(rule).unwrap_err().to_string();
    assert_eq!(
        message(numbers(9), SplitRule::Hash { evaluation: f64::NAN, seed: 0 }),
        "evaluation: expected a number between 0 and 1, both excluded, found NaN"
    );
    assert!(
        message(numbers(9), SplitRule::Published)
            .ends_with("expected a published split, found none")
    );
    assert_eq!(
        message(numbers(9), SplitRule::Hash { evaluation: 1e-12, seed: 0 }),
        "numbers: expected items for training and for evaluation, found 9 and 0"
    );
    let train = own::dialogue().split(SplitRule::Published).unwrap().train;
    assert!(matches!(train.split(SplitRule::Published), Err(Error::EmptySplit { .. })));
}

#[test]
fn a_run_can_write_down_what_it_read() {
    let data = own::dialogue();
    let record = serde_json::to_value(&data.provenance).unwrap();
    assert_eq!(record["source"], "own/dialogue");
    assert_eq!((&record["layout"], &record["kept"]), (&"prompts".into(), &256.into()));
    assert_eq!(record["digest"].as_str().unwrap().len(), 64);
    assert_eq!(data.provenance.digest, own::dialogue().provenance.digest);
}
