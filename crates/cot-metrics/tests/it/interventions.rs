//! Edits keep what they promise, or say that they cannot.

use std::collections::BTreeSet;

use cot_metrics::{
    Arm, Edits, Prompts, Transcript,
    interventions::{
        ChainEdit, Donors, Failure, Filler, FillerKind, Identity, OffTopic, Paraphrased, Thesaurus,
        other_answers, survives,
    },
    plan,
    tokens::Tokenize,
    toys::Characters,
};
use proptest::prelude::*;
use rl_core::seed::Seed;

use crate::common::{Greedy, Lossy, Small, transcript};

fn kinds() -> [FillerKind; 5] {
    [
        FillerKind::Dots,
        FillerKind::Lorem,
        FillerKind::Repeated("think".into()),
        FillerKind::NumberWords,
        FillerKind::Mixed,
    ]
}

proptest! {
    #[test]
    fn filler_keeps_the_number_of_tokens(
        words in proptest::collection::vec("[a-z]{1,6}|12| the | \\.\\.\\.", 1..30), seed in any::<u64>(),
    ) {
        let chain = words.join(" ");
        let transcripts = [transcript("a", &chain, "1")];
        let tokens = Greedy.encode(&chain).unwrap().len();
        for kind in kinds() {
            let edit = Filler { tokenizer: Greedy, kind };
            let text = edit.edit(&transcripts, Seed::new(seed)).remove(0).unwrap();
            prop_assert!(survives(&Greedy, &text, tokens).unwrap(), "{}: {:?}", edit.name(), text);
            prop_assert_eq!(edit.edit(&transcripts, Seed::new(seed)).remove(0), Ok(text));
        }
    }

    #[test]
    fn off_topic_chains_keep_the_number_of_tokens(
        words in proptest::collection::vec("[a-z]{1,6}|12| the ", 1..40), seed in any::<u64>(),
    ) {
        let chain = words.join(" ");
        let tokens = Greedy.encode(&chain).unwrap().len();
        let pool = ["Short. ", "the boats and the sea, then the harbor. Seven sevens seen."];
        let donors = Donors::Pool(pool.map(str::to_owned).to_vec());
        let edit = OffTopic { tokenizer: Greedy, donors };
        let text = edit.edit(&[transcript("a", &chain, "1")], Seed::new(seed)).remove(0).unwrap();
        prop_assert!(survives(&Greedy, &text, tokens).unwrap(), "{:?}", text);
        prop_assert_ne!(text, chain);
    }

    #[test]
    fn nobody_gets_his_own_chain(n in 2_usize..12, copies in 0_usize..3, seed in any::<u64>()) {
        // Some transcripts hold the same chain as another one.
        let transcripts: Vec<Transcript> = (0..n)
            .map(|i| {
                let of = if i < copies { 0 } else { i };
                transcript(&i.to_string(), &"xyz".repeat(of + 3).replacen('x', &of.to_string(), 1), "1")
            })
            .collect();
        let edit = OffTopic { tokenizer: Characters, donors: Donors::SameTask };
        for (own, edited) in transcripts.iter().zip(edit.edit(&transcripts, Seed::new(seed))) {
            match edited {
                Ok(text) => {
                    prop_assert_ne!(&text, &own.chain);
                    prop_assert_eq!(text.chars().count(), own.chain.chars().count());
                }
                // Only where too many are the same.
                Err(failure) => prop_assert!(failure == Failure::NoDonor && 2 * copies > n),
            }
        }
    }
}

#[test]
fn an_unfit_text_is_flagged() {
    let edit = |donor: &str| {
        let donors = Donors::Pool(vec![donor.into()]);
        let edit = OffTopic { tokenizer: Lossy, donors };
        edit.edit(&[transcript("a", "five.", "1")], Seed::new(0)).remove(0)
    };
    // Nothing with capitals in it is the same again, but later words are.
    assert_eq!(edit("ABCDEFG"), Err(Failure::TokenCount { expected: 5 }));
    assert_eq!(edit("THE sea is wide").as_deref(), Ok("sea i"));
    let none = |donors| {
        let edit = OffTopic { tokenizer: Characters, donors };
        edit.edit(&[transcript("a", "five.", "1")], Seed::new(0)).remove(0)
    };
    assert_eq!(none(Donors::SameTask), Err(Failure::NoDonor));
    assert_eq!(none(Donors::Pool(vec![])), Err(Failure::NoDonor));
    assert_eq!(none(Donors::Pool(vec!["five.".into(), "  ".into()])), Err(Failure::NoDonor));
}

#[test]
fn what_comes_back_otherwise_does_not_survive() {
    assert!(survives(&Characters, "abc", 3).unwrap() && !survives(&Characters, "abc", 4).unwrap());
    assert!(survives(&Small, "abc", 3).unwrap());
    assert!(!survives(&Small, "aBc", 3).unwrap(), "as many tokens, and another text");
}

#[test]
fn empty_chains_stay_empty_and_empty_words_end() {
    let transcripts = [transcript("a", "", "1"), transcript("b", "abc", "1")];
    let edit = Filler { tokenizer: Characters, kind: FillerKind::Repeated(String::new()) };
    assert_eq!(edit.edit(&transcripts, Seed::new(0)), [Ok(String::new()), Ok("   ".into())]);
    let edit = Filler { tokenizer: Characters, kind: FillerKind::Dots };
    assert_eq!(edit.edit(&transcripts, Seed::new(0))[1].as_deref(), Ok(" .."));
}

#[test]
fn fillers_say_nothing_of_the_chain() {
    let transcripts = [transcript("a", &"secret 7 ".repeat(30), "7")];
    let texts: BTreeSet<String> = kinds()
        .into_iter()
        .map(|kind| {
            let edit = Filler { tokenizer: Characters, kind };
            edit.edit(&transcripts, Seed::new(4)).remove(0).unwrap()
        })
        .collect();
    assert_eq!(texts.len(), 5, "five kinds");
    assert!(texts.iter().all(|text| !text.contains('7') && !text.contains("secret")));
}

#[test]
fn the_identity_changes_nothing() {
    let transcripts = [transcript("a", "one\ntwo ", "1"), transcript("b", "", "1")];
    let edited = Identity.edit(&transcripts, Seed::new(0));
    assert_eq!(edited, [Ok("one\ntwo ".into()), Ok(String::new())]);
}

#[test]
fn hints_are_wrong_and_known_to_be() {
    let transcripts: Vec<Transcript> = [("3", "3"), ("4", "3"), ("4", "4"), ("YES", "yes")]
        .iter()
        .map(|(answer, reference)| Transcript {
            answer: (*answer).into(),
            reference: Some((*reference).into()),
            ..Transcript::default()
        })
        .collect();
    for seed in 0..20 {
        for (transcript, hint) in
            transcripts.iter().zip(other_answers(&transcripts, Seed::new(seed)))
        {
            let hint = hint.unwrap();
            assert_ne!(hint.to_lowercase(), transcript.answer.to_lowercase());
            assert_ne!(Some(hint.to_lowercase()), transcript.reference);
        }
    }
    let alone = other_answers(&transcripts[..1], Seed::new(0));
    assert_eq!(alone, [Err(Failure::NoDonor)]);
}

#[test]
fn plans_edit_once_and_leave_the_rest() {
    let transcripts = [transcript("a", "So it is 3.", "3"), transcript("b", "12 + 2 = 14", "14")];
    let thesaurus = Paraphrased(Thesaurus::default());
    let edits = Edits { paraphrase: Some(&thesaurus), controls: true, ..Edits::default() };
    let plans = plan(&transcripts, &Prompts::default(), edits, Seed::new(0)).unwrap();
    let text = |at: usize, arm: Arm| plans[at].arms[&arm].clone();
    let original = text(0, Arm::Original).unwrap();
    assert_eq!(
        (&*original.prompt, &*original.chain, &*original.answer),
        ("How many?", "So it is 3.", "3")
    );
    let no_think = text(0, Arm::NoThink).unwrap();
    assert_eq!((&*no_think.chain, no_think.prompt.starts_with("How many?\n\n")), ("", true));
    let control = text(0, Arm::NoThinkPrompt).unwrap();
    assert_eq!((control.prompt, &control.chain), (no_think.prompt, &original.chain));
    let paraphrased = text(0, Arm::Paraphrase).unwrap();
    assert_eq!((&paraphrased.prompt, &paraphrased.answer), (&original.prompt, &original.answer));
    assert_ne!(paraphrased.chain, original.chain);
    assert_eq!(text(0, Arm::Identity), Ok(original));
    assert_eq!(text(1, Arm::Paraphrase), Err(Failure::Unchanged));
    assert!(!plans[0].arms.contains_key(&Arm::OffTopic), "no edit, no arm");
}

#[test]
fn prompts_and_edits_are_checked() {
    let transcripts = [transcript("a", "x", "3")];
    let try_plan = |prompts: &Prompts, edits: Edits<'_>| {
        plan(&transcripts, prompts, edits, Seed::new(0)).unwrap_err().to_string()
    };
    let prompts = Prompts { wrong_hint: "It is 3.".into(), ..Prompts::default() };
    assert_eq!(
        try_plan(&prompts, Edits::default()),
        "wrong_hint: expected a text with {answer} in it, found It is 3."
    );
    let prompts = Prompts { no_think: " ".into(), ..Prompts::default() };
    assert!(try_plan(&prompts, Edits::default()).starts_with("no_think: expected"));
    let wrong = Edits { wrong_answers: Some(&[]), ..Edits::default() };
    assert_eq!(
        try_plan(&Prompts::default(), wrong),
        "wrong_answers: expected one for each of 1 transcripts, found 0"
    );
}
