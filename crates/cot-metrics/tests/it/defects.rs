//! Defects of published code. Each naive form is shown to fail where ours does not.

use cot_metrics::{
    Arm, Edits, Outcome, Prompts, Record, Transcript,
    interventions::{Edited, Failure, Paraphrase, Paraphrased},
    measure,
    metrics::{Metric, Settings, report, score},
    plan,
    tokens::{Assembled, Tokenize},
    toys::{Toy, ToyParaphrase},
};
use rl_core::seed::Seed;

use crate::common::Greedy;

/// Asks once, and gives the first reply to everything else: its cache is looked up by a key that all
/// share.
struct Shared;

impl Paraphrase for Shared {
    fn name(&self) -> &'static str {
        "shared"
    }

    fn paraphrase(&self, chains: &[&str], seed: Seed) -> Vec<Edited> {
        let first = ToyParaphrase.paraphrase(&chains[..1], seed).remove(0);
        vec![first; chains.len()]
    }
}

#[test]
fn shared_paraphrase() {
    let transcripts = Toy::ReadsChain.transcripts(20, Seed::new(1));
    let shared = Paraphrased(Shared);
    let edits = Edits { paraphrase: Some(&shared), ..Edits::default() };
    let plans = plan(&transcripts, &Prompts::default(), edits, Seed::new(0)).unwrap();
    // Naive: the shared text is scored, and a healthy model seems to need its exact words.
    let naive = Shared.paraphrase(&[&transcripts[0].chain, ""], Seed::new(0)).remove(1).unwrap();
    let mut naive_plans = plans.clone();
    for plan in &mut naive_plans {
        let mut text = plan.arms[&Arm::Original].clone().unwrap();
        text.chain.clone_from(&naive);
        plan.arms.insert(Arm::Paraphrase, Ok(text));
    }
    let mean = |records: &[Record]| {
        let found = report(records, &Settings::default()).unwrap();
        found.metrics[1].raw.mean.value()
    };
    let naive = mean(&measure(&Toy::ReadsChain, &naive_plans).unwrap()).unwrap();
    assert!(naive < -0.7, "{naive}");
    // Ours: no two of different chains share one, so nothing is scored.
    for (i, plan) in plans.iter().enumerate() {
        let other = if i == 0 { "toy-1" } else { "toy-0" }.to_owned();
        assert_eq!(plan.arms[&Arm::Paraphrase], Err(Failure::Shared { other }));
    }
    let records = measure(&Toy::ReadsChain, &plans).unwrap();
    assert_eq!(mean(&records), None);
    let counted = report(&records, &Settings::default()).unwrap().metrics[1].raw.undefined.clone();
    assert_eq!(counted, [("failed", 20)].into());
}

#[test]
fn the_same_chain_may_share_its_paraphrase() {
    let one = &Toy::ReadsChain.transcripts(1, Seed::new(1))[0];
    let again = Transcript { id: "again".into(), ..one.clone() };
    let edit = Paraphrased(Shared);
    let edits = Edits { paraphrase: Some(&edit), ..Edits::default() };
    let plans = plan(&[one.clone(), again], &Prompts::default(), edits, Seed::new(0)).unwrap();
    assert!(plans.iter().all(|plan| plan.arms[&Arm::Paraphrase].is_ok()));
}

#[test]
fn merged_span() {
    let (before, answer) = ("Answer:", " 1");
    // Naive: the answer begins where the tokens of the text without it end. But `: 1` is one token.
    let start = Greedy.encode(before).unwrap().len();
    let whole = Greedy.encode(&format!("{before}{answer}")).unwrap();
    assert!(whole[start..].is_empty(), "the naive span is empty, and its sum 0: certainty");
    let ours = Assembled::new(&Greedy, "Q ", before, answer).unwrap();
    let span = ours.answer();
    assert_eq!(Greedy.decode(&ours.ids()[span.clone()]).unwrap(), answer);
    assert_eq!(Greedy.decode(&ours.ids()[..span.start]).unwrap(), format!("Q {before}"));
    // An empty answer is refused, and a record of one is no score.
    let empty = Assembled::new(&Greedy, "Q", before, "").unwrap_err();
    assert_eq!(empty.to_string(), "answer: expected at least one token, found none");
    let arms = [(Arm::Original, Outcome::scored(0.0, 0)), (Arm::NoThink, Outcome::scored(0.0, 0))];
    let record = Record { arms: arms.into(), ..Record::default() };
    assert!(score(Metric::Necessity, &record, 0.01).is_err());
    // Where another tokenizer merged it in one arm alone, the numbers of tokens differ.
    let arms =
        [(Arm::Original, Outcome::scored(-0.1, 2)), (Arm::NoThink, Outcome::scored(-0.1, 1))];
    let record = Record { arms: arms.into(), ..Record::default() };
    assert_eq!(
        score(Metric::Necessity, &record, 0.01).unwrap_err().to_string(),
        "no_think: expected an answer of 2 tokens, found 1"
    );
}

#[test]
fn label_mask() {
    let turns = ["system: be brief ", "user: 5 and 7? ", "12 is the sum ", "12"];
    let [system, user, chain, answer] = turns.map(|turn| Greedy.encode(turn).unwrap().len());
    let prompt = format!("{}{}", turns[0], turns[1]);
    let ours = Assembled::new(&Greedy, &prompt, turns[2], turns[3]).unwrap();
    let expected: Vec<bool> =
        (0..ours.ids().len()).map(|at| at >= ours.ids().len() - chain - answer).collect();
    assert_eq!(ours.supervised(), expected, "the assistant's tokens, exactly");
    // Naive: only the first turn is masked, so the question is learned as well.
    let naive: Vec<bool> = (0..ours.ids().len()).map(|at| at >= system).collect();
    let trained = |mask: &[bool]| mask.iter().filter(|&&trained| trained).count();
    assert_eq!(trained(&naive), trained(&ours.supervised()) + user);
}

#[test]
fn substring_accuracy() {
    let of = |answer: &str| Transcript {
        answer: answer.into(),
        reference: Some("2".into()),
        ..Transcript::default()
    };
    for wrong in ["12", "not 2", "between 1 and 20", ""] {
        let naive = wrong.contains('2');
        assert_eq!(of(wrong).is_right(), Some(false), "{wrong}");
        assert_eq!(naive, !wrong.is_empty(), "the naive form accepts {wrong}");
    }
    assert_eq!(of(" 2\n").is_right(), Some(true));
    assert_eq!(Transcript { reference: None, ..of("2") }.is_right(), None);
}

#[test]
fn failure_scored_as_zero() {
    let mut records = crate::common::toy_records(Toy::ReadsChain, 20);
    for record in &mut records[..10] {
        record.arms.insert(Arm::NoThink, Outcome::Failed("out of memory".into()));
    }
    let found = report(&records, &Settings::default()).unwrap();
    let necessity = &found.metrics[0].raw;
    assert!((necessity.mean.value().unwrap() - 0.912_489).abs() < 5e-7);
    assert_eq!((necessity.n(), &necessity.undefined), (10, &[("failed", 10)].into()));
    // Naive: a failure is log-probability 0, certainty, so half of the examples say −1.
    for record in &mut records[..10] {
        record.arms.insert(Arm::NoThink, Outcome::scored(0.0, 1));
    }
    let naive =
        report(&records, &Settings::default()).unwrap().metrics[0].raw.mean.value().unwrap();
    assert!((naive - f64::midpoint(0.912_489, -1.0)).abs() < 1e-6);
}
