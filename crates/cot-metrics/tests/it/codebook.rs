use cot_metrics::{Error, Transcript, codebook::Codebook};
use lm_tasks::{Split, reasoning::Task};
use proptest::prelude::*;

fn small() -> Codebook {
    // Chained on purpose: most codes are words themselves, and some words have one letter.
    Codebook::new(
        "small",
        [
            ("sun", "moon"),
            ("moon", "star"),
            ("star", "sun"),
            ("a", "ko"),
            ("ko", "pa"),
            ("1", "mi"),
        ],
    )
    .unwrap()
}

/// A text of words that codes are confused by.
fn confusing() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("sun"),
        Just("Moon"),
        Just("STAR"),
        Just("sTar"),
        Just("a"),
        Just("A"),
        Just("ko"),
        Just("KO"),
        Just("Ko"),
        Just("pa"),
        Just("mi"),
        Just("MI"),
        Just("1"),
        Just("11"),
        Just("2"),
        Just("~"),
        Just("_"),
        Just("~~"),
        Just(" "),
        Just("é"),
        Just("-"),
        Just("\n"),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(text in confusing()) {
        let book = small();
        let code = book.encode(&text);
        prop_assert_eq!(book.decode(&code), text);
    }

    #[test]
    fn any_text_is_encoded_and_decoded(text in any::<String>()) {
        for task in Codebook::TASKS {
            let book = Codebook::of_task(task).unwrap();
            prop_assert_eq!(book.decode(&book.encode(&text)), text.as_str());
            let _ = book.decode(&text);
        }
    }
}

#[test]
fn one_pass_where_replacing_word_after_word_chains() {
    let book = small();
    let text = "the sun, the moon, the star";
    assert_eq!(book.encode(text), "the moon, the star, the sun");
    // The naive form: all words are replaced in turn, so that sun becomes moon, then star, then sun.
    let naive = [("sun", "moon"), ("moon", "star"), ("star", "sun")]
        .iter()
        .fold(text.to_owned(), |text, (word, code)| text.replace(word, code));
    assert_eq!(naive, "the sun, the sun, the sun", "the naive form loses the text");
}

#[test]
fn two_words_with_one_code_are_refused_by_name() {
    let error = Codebook::new("b", [("sun", "reef"), ("moon", "kelp"), ("star", "reef")]);
    let error = error.unwrap_err();
    assert!(matches!(error, Error::NotInjective { .. }));
    assert_eq!(
        error.to_string(),
        "codebook b: expected a code for each word, found \"reef\" for both \"sun\" and \"star\""
    );
}

#[test]
fn entries_that_could_not_be_read_again_are_refused() {
    for (word, code) in [
        ("Sun", "reef"),
        ("", "reef"),
        ("12", "reef"),
        ("sun", "r"),
        ("sun", "two words"),
        ("é", "reef"),
    ] {
        let error = Codebook::new("b", [(word, code)]).unwrap_err();
        assert!(matches!(error, Error::Codebook { .. }), "{word} {code}");
    }
    let twice = Codebook::new("b", [("sun", "reef"), ("sun", "kelp")]).unwrap_err();
    assert_eq!(twice.to_string(), "codebook b: word: expected each word once, found \"sun\"");
}

#[test]
fn digits_are_spelled_one_by_one() {
    let book = Codebook::of_task("calendar").unwrap();
    assert_eq!(book.encode("2024-01"), "sage_thyme_sage_dill-thyme_basil");
    assert_eq!(book.decode("sage_thyme_sage_dill-thyme_basil"), "2024-01");
}

#[test]
fn question_and_answer_are_untouched() {
    let book = Codebook::of_task("calendar").unwrap();
    let transcript = Transcript {
        id: "a".into(),
        question: "Which weekday is 7 days after Monday?".into(),
        chain: "7 days are a week, so it is Monday.".into(),
        answer: "Monday".into(),
        reference: Some("Monday".into()),
        tokenizer: None,
    };
    let encoded = book.encode_chain(&transcript);
    assert_eq!(encoded.chain, "anise seeds are a bed, ripely stem bears Apple.");
    assert_eq!(Transcript { chain: transcript.chain.clone(), ..encoded }, transcript);
}

#[test]
fn chains_of_the_tasks_are_told_in_code() {
    for name in Codebook::TASKS {
        let (book, task) = (Codebook::of_task(name).unwrap(), Task::named(name).unwrap());
        let (mut words, mut coded) = (0, 0);
        for index in 0..50 {
            let problem = task.problem(Split::Train, 1, index).unwrap();
            let chain = problem.chains[0].text();
            let code = book.encode(&chain);
            assert_eq!(book.decode(&code), chain);
            assert!(!code.contains(|c: char| c.is_ascii_digit()), "{code}");
            let of = |text: &str| -> Vec<String> {
                let parts = text.split(|c: char| !c.is_ascii_alphabetic());
                parts.filter(|w| !w.is_empty()).map(str::to_owned).collect()
            };
            words += of(&chain).len();
            coded += of(&chain).iter().filter(|word| book.encode(word) != **word).count();
        }
        // Words between those that carry the reasoning may stay.
        assert!(2 * coded > words, "{name}: {coded} of {words}");
    }
    assert!(Codebook::of_task("addition").is_err());
}
