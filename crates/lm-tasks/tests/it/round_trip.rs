//! What is written in a layout is read back.

use lm_tasks::{
    Input, Post, PreferencePair, Prompt, ReadOptions, Role, Turn,
    preferences::{self, parse_transcript},
    prompts,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::skipping;

/// Words and marks with no white space around them, never empty, and no names of turns or parts.
fn content() -> impl Strategy<Value = String> {
    "[a-zß🙂\"\\\\:{}][a-z ß🙂\n\"\\\\:{}]{0,30}[a-zß🙂\"\\\\:{}]"
}

fn conversation() -> impl Strategy<Value = Vec<Turn>> {
    let turn = |(user, content)| if user { Turn::user(content) } else { Turn::assistant(content) };
    let later = proptest::collection::vec((any::<bool>(), content()).prop_map(turn), 0..4);
    (content(), later).prop_map(|(first, later)| [vec![Turn::user(first)], later].concat())
}

fn transcript(turns: &[Turn], response: &str) -> String {
    let all = turns.iter().cloned().chain([Turn::assistant(response)]);
    let name = |role| if role == Role::User { "Human" } else { "Assistant" };
    let parts: Vec<String> =
        all.map(|turn| format!("\n\n{}: {}", name(turn.role), turn.content)).collect();
    parts.concat()
}

fn pair(row: &Value) -> PreferencePair {
    let read = preferences::parse("x", &row.to_string(), &ReadOptions::default());
    read.unwrap().items.remove(0)
}

proptest! {
    #[test]
    fn transcripts(turns in conversation(), chosen in content(), rejected in content()) {
        prop_assume!(chosen != rejected);
        let text = transcript(&turns, &chosen);
        let mut whole = turns.clone();
        whole.push(Turn::assistant(chosen.clone()));
        prop_assert_eq!(parse_transcript(&text), Some(whole));
        let pair = pair(&json!({ "chosen": text, "rejected": transcript(&turns, &rejected) }));
        prop_assert_eq!(pair.prompt.input, Input::Turns(turns));
        prop_assert_eq!((pair.chosen, pair.rejected), (chosen, rejected));
    }

    #[test]
    fn lists_of_turns(turns in conversation(), chosen in content(), rejected in content()) {
        prop_assume!(chosen != rejected);
        let response = |text: &String| vec![Turn::assistant(text.clone())];
        let whole = |text| [turns.clone(), response(text)].concat();
        let (a, b) = (response(&chosen), response(&rejected));
        let explicit = pair(&json!({ "prompt": turns, "chosen": a, "rejected": b }));
        let implicit = pair(&json!({ "chosen": whole(&chosen), "rejected": whole(&rejected) }));
        prop_assert_eq!(&explicit, &implicit);
        prop_assert_eq!(explicit.prompt.input, Input::Turns(turns));
        prop_assert_eq!((explicit.chosen, explicit.rejected), (chosen, rejected));
    }

    #[test]
    fn texts_that_begin_alike(prompt in content(), a in content(), b in content()) {
        // The responses part at their first letter.
        let (chosen, rejected) = (format!("x{a}"), format!("y{b}"));
        let row = json!({
            "chosen": format!("{prompt} {chosen}"),
            "rejected": format!("{prompt} {rejected}"),
        });
        let pair = pair(&row);
        prop_assert_eq!(pair.prompt.input, Input::Text(prompt));
        prop_assert_eq!((pair.chosen, pair.rejected), (chosen, rejected));
    }

    #[test]
    fn posts(
        subreddit in proptest::option::of("[a-zA-Z_]{1,12}"),
        title in proptest::option::of("[a-z][a-z \"]{0,20}[a-z?]"),
        body in content(),
    ) {
        let post = Post { subreddit, title, body };
        prop_assert_eq!(Post::parse(&post.query()), Some(post.clone()));
        let row = json!({ "prompt": post.query(), "completion": " short" });
        let read = prompts::parse("x", &row.to_string(), &ReadOptions::default()).unwrap();
        prop_assert_eq!(read.items[0].source.as_ref(), Some(&post));
        prop_assert_eq!(read.items[0].reference.as_deref(), Some("short"));
    }

    #[test]
    fn items_through_serde(turns in conversation(), reference in proptest::option::of(content())) {
        let row = json!({ "prompt": turns, "label": 1.5 }).to_string();
        let read = prompts::parse("x", &row, &ReadOptions::default()).unwrap().items.remove(0);
        let prompt = Prompt { reference, ..read };
        let text = serde_json::to_string(&prompt).unwrap();
        prop_assert_eq!(serde_json::from_str::<Prompt>(&text).unwrap(), prompt);
    }

    #[test]
    fn any_bytes_are_rows_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        for magic in [b"".as_slice(), b"PAR1", &[0x1f, 0x8b, 8, 0]] {
            let path = folder.path().join("x");
            std::fs::write(&path, [magic, &bytes].concat()).unwrap();
            prop_assert!(prompts::read(&path, &skipping()).is_err());
        }
    }

    #[test]
    fn any_object_is_a_row_or_an_error(
        keys in proptest::sample::subsequence(KEYS, 0..KEYS.len()),
        values in proptest::collection::vec(0..VALUES.len(), KEYS.len()),
    ) {
        let row = keys.iter().zip(&values).map(|(key, &i)| format!("{key:?}: {}", VALUES[i]));
        let row = format!("{{{}}}", row.collect::<Vec<_>>().join(", "));
        if let Ok(read) = prompts::parse("x", &row, &ReadOptions::default()) {
            let turns = read.items[0].input.to_turns();
            let asked = turns.iter().rfind(|turn| turn.role == Role::User).unwrap();
            prop_assert!(!asked.content.is_empty());
        }
        if let Ok(read) = preferences::parse("x", &row, &ReadOptions::default()) {
            let pair = &read.items[0];
            prop_assert!(!pair.chosen.is_empty() && pair.chosen != pair.rejected);
        }
    }
}

const KEYS: &[&str] = &[
    "id",
    "prompt",
    "completion",
    "chosen",
    "rejected",
    "post",
    "summary",
    "query",
    "reference_response",
    "info",
    "summaries",
    "choice",
    "margin",
    "score_chosen",
    "split",
];

const VALUES: &[&str] = &[
    "null",
    "0",
    "1",
    "-1e300",
    "true",
    r#""""#,
    r#"" ""#,
    r#""a""#,
    r#""a b""#,
    r#""\n\nHuman: a\n\nAssistant: b""#,
    r#""\n\nHuman: a\n\nAssistant: c""#,
    "[]",
    r#"[{"role": "user", "content": "a"}]"#,
    r#"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]"#,
    r#"[{"text": "a"}, {"text": "b"}]"#,
    "{}",
    r#"{"post": "a", "id": 3}"#,
];
