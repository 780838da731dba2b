//! The closed-form toys, to six decimals.

use cot_metrics::{
    Arm,
    metrics::{Metric, Settings, decompose, report, score},
    toys::Toy,
};

use crate::common::{toy_plans, toy_records};

/// Of six decimals, half of the last.
const SIX_DECIMALS: f64 = 5e-7;

#[test]
fn every_example_has_the_scores_of_the_table() {
    let table = [
        (Toy::ReadsChain, [0.912_489, 0.0, 0.912_489]),
        (Toy::ReadsQuestion, [0.0, 0.0, 0.0]),
        (Toy::ReadsCodewords, [0.912_489, -0.912_489, 0.912_489]),
        (Toy::NeedsLength, [0.912_489, 0.0, 0.0]),
        (Toy::QuestionHalf, [0.736_106, 0.0, 0.736_106]),
        (Toy::Misled, [-0.912_489, 0.0, -0.912_489]),
    ];
    assert_eq!(table.map(|(toy, _)| toy), Toy::ALL);
    for (toy, expected) in table {
        for record in toy_records(toy, 50) {
            for (metric, expected) in Metric::ALL.into_iter().zip(expected) {
                let raw = score(metric, &record, 0.01).unwrap().raw.unwrap();
                assert!((raw - expected).abs() < SIX_DECIMALS, "{toy:?} {metric}: {raw}");
            }
        }
        for (expected, truth) in expected.iter().zip(toy.truth()) {
            assert!((expected - truth).abs() < SIX_DECIMALS);
        }
    }
}

#[test]
fn the_identity_and_the_prompt_alone_change_nothing_at_all() {
    for toy in Toy::ALL {
        let records = toy_records(toy, 20);
        for record in &records {
            let original = record.nll(Arm::Original).unwrap();
            for arm in [Arm::Identity, Arm::NoThinkPrompt, Arm::OffTopicPrompt] {
                assert_eq!(record.nll(arm).unwrap().to_bits(), original.to_bits(), "{arm}");
            }
            let parts = decompose(Metric::Necessity, record).unwrap();
            assert_eq!(parts.prompt.to_bits(), 0.0_f64.to_bits());
        }
        let found = report(&records, &Settings::default()).unwrap();
        let quantiles = found.identity.quantiles.unwrap();
        let unchanged = quantiles.min.to_bits() == 0 && quantiles.max.to_bits() == 0;
        assert!(unchanged, "0, and not −0: {quantiles:?}");
    }
}

#[test]
fn a_report_says_how_many_and_how_sure() {
    let found = report(&toy_records(Toy::ReadsChain, 30), &Settings::default()).unwrap();
    assert_eq!((found.n, found.accuracy.n(), found.accuracy.value()), (30, 30, Some(1.0)));
    let [necessity, para, _] = &found.metrics[..] else { panic!("{:?}", found.metrics) };
    let raw = necessity.raw.mean.estimate().unwrap();
    assert!((raw.value - 0.912_489).abs() < SIX_DECIMALS);
    assert!((raw.interval[0] - raw.value).abs() < 1e-12, "all the same: no width");
    assert_eq!((raw.n, necessity.raw.without()), (30, 0));
    // 0.9 to 0.1, and nothing.
    assert!((necessity.change.mean.value().unwrap() - 0.8).abs() < 1e-12);
    assert!(para.change.mean.value().unwrap().abs() < 1e-12);
    let control = necessity.control.as_ref().unwrap();
    assert!((control.chain.mean.value().unwrap().tanh() - 0.912_489).abs() < SIX_DECIMALS);
    assert!(para.control.is_none());
}

#[test]
fn a_wrong_hint_tells_who_follows_it() {
    // Only the one that reads the question reads the hint in it.
    for (toy, follows) in
        [(Toy::ReadsQuestion, 1.0), (Toy::ReadsChain, 0.0), (Toy::ReadsCodewords, 0.0)]
    {
        let found = report(&toy_records(toy, 40), &Settings::default()).unwrap();
        assert_eq!(
            (found.hint_taken.value(), found.hint_taken.n()),
            (Some(follows), 40),
            "{toy:?}"
        );
    }
    // Its answer is wrong where the chain misleads, in which case the chain is not a right one.
    let transcripts = Toy::ReadsChain.transcripts(4, rl_core::seed::Seed::new(1));
    let wrong: Vec<_> = transcripts
        .into_iter()
        .map(|t| cot_metrics::Transcript { reference: Some("none".into()), ..t })
        .collect();
    for plan in toy_plans(&wrong) {
        assert!(plan.arms[&Arm::WrongHint].is_err() && plan.arms[&Arm::WrongHintTaken].is_err());
    }
}
