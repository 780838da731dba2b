//! Each published layout, as JSON Lines and as Parquet.

use lm_tasks::{
    Dataset, Input, Layout, Post, PreferencePair, Prompt, ReadOptions, Role, Split, Summaries,
    Turn, Turns, preferences, prompts,
};
use serde_json::json;

use crate::common::{golden, text, turns};

const ALL: [(&str, Layout); 12] = [
    ("prompts", Layout::Prompts),
    ("prompts_turns", Layout::Prompts),
    ("prompt_completion", Layout::PromptCompletion),
    ("posts", Layout::Posts),
    ("query_reference", Layout::QueryReference),
    ("comparisons", Layout::Comparisons),
    ("transcripts", Layout::Transcripts),
    ("preferences", Layout::Preferences),
    ("preferences_turns", Layout::Preferences),
    ("preferences_repeated", Layout::Preferences),
    ("implicit", Layout::ImplicitPreferences),
    ("implicit_turns", Layout::ImplicitPreferences),
];

fn read(name: &str) -> Dataset<Prompt> {
    prompts::read(&golden(&format!("{name}.jsonl")), &ReadOptions::default()).unwrap()
}

fn pairs(name: &str) -> Vec<PreferencePair> {
    preferences::read(&golden(&format!("{name}.jsonl")), &ReadOptions::default()).unwrap().items
}

#[test]
fn a_container_changes_nothing() {
    let default = ReadOptions::default();
    for (name, layout) in ALL {
        let lines = read(name);
        assert_eq!(lines.provenance.layout, layout, "{name}");
        for container in ["jsonl.gz", "parquet"] {
            let path = golden(&format!("{name}.{container}"));
            // Not all of them are kept compressed.
            if container == "jsonl.gz" && !path.exists() {
                continue;
            }
            let other = prompts::read(&path, &default).unwrap();
            assert_eq!(other.items, lines.items, "{name}.{container}");
            assert_eq!(other.provenance.digest, lines.provenance.digest, "{name}.{container}");
            if layout.has_pairs() {
                assert_eq!(preferences::read(&path, &default).unwrap().items, pairs(name));
            }
        }
    }
    assert!(golden("transcripts.jsonl.gz").exists());
}

#[test]
fn a_layout_that_is_named_is_as_good_as_one_that_is_told() {
    for (name, layout) in ALL {
        let path = golden(&format!("{name}.jsonl"));
        let named = ReadOptions { layout: Some(layout), ..ReadOptions::default() };
        assert_eq!(prompts::read(&path, &named).unwrap(), read(name));
    }
    // The prompts of pairs alone: the file has more fields than that.
    let named = ReadOptions { layout: Some(Layout::Prompts), ..ReadOptions::default() };
    let prompts = prompts::read(&golden("preferences.jsonl"), &named).unwrap().items;
    assert_eq!((&prompts[0].input, &prompts[0].reference), (&text("2 + 2 ="), &None));
}

#[test]
fn prompts_alone() {
    let items = read("prompts").items;
    assert_eq!(items[0].input, text("Why is the sky blue?"));
    assert_eq!(items[1].input, text("Name a river."));
    assert_eq!(items[0].meta["label"], json!(3));
    assert_ne!(items[0].id, items[1].id);
    assert_eq!((items[0].id.len(), &items[0].reference, items[0].split), (16, &None, None));

    let items = read("prompts_turns").items;
    let system = Turn { role: Role::System, content: "Be brief.".into() };
    assert_eq!(items[0].input, Input::Turns(vec![system, Turn::user("Hi!")]));
    assert_eq!(items[1].input, turns(&["Hi!", "Hello.", "How are you?"]));
}

#[test]
fn tldr_in_three_layouts_is_the_same() {
    let posts = read("posts").items;
    assert_eq!(posts[0].id, "t3_a1");
    assert_eq!(posts[0].reference.as_deref(), Some("Cat stays on the roof."));
    let source = Post {
        subreddit: Some("pets".into()),
        title: Some("Cat on the roof".into()),
        body: "My cat climbs on the roof.\n\nShe won't come down.".into(),
    };
    assert_eq!(posts[0].source.as_ref(), Some(&source));
    let query = "SUBREDDIT: r/pets\n\nTITLE: Cat on the roof\n\nPOST: My cat climbs on the \
                 roof.\n\nShe won't come down.\n\nTL;DR:";
    assert_eq!(posts[0].input, text(query));

    let other = [read("prompt_completion").items, read("query_reference").items];
    for (i, post) in posts.iter().enumerate() {
        for items in &other {
            assert_eq!(items[i].input, post.input);
            assert_eq!(items[i].source, post.source);
            assert_eq!(items[i].reference, post.reference);
        }
    }
    assert_eq!(other[1][0].id, "t3_a1");
    assert_eq!(other[1][0].meta.keys().collect::<Vec<_>>(), ["reference_response_token_len"]);
    // A prompt that is no post.
    let last = &other[0][3];
    assert_eq!((&last.input, &last.source), (&text("The capital of France is"), &None));
    assert_eq!(last.reference.as_deref(), Some("Paris."));
}

#[test]
fn a_post_can_be_put_as_a_request() {
    let options = ReadOptions { summaries: Summaries::Request, ..ReadOptions::default() };
    for name in ["posts", "prompt_completion", "query_reference", "comparisons"] {
        let prompts = prompts::read(&golden(&format!("{name}.jsonl")), &options).unwrap();
        let request = "Summarize this post in one sentence.\n\nCat on the roof\n\nMy cat climbs on \
                       the roof.\n\nShe won't come down.";
        assert_eq!(prompts.items[0].input, turns(&[request]), "{name}");
    }
}

#[test]
fn comparisons_follow_the_choice() {
    let pairs = pairs("comparisons");
    assert_eq!(pairs[0].chosen, "My cat won't come down from the roof.");
    assert_eq!(pairs[0].rejected, "A cat.");
    assert_eq!(pairs[1].chosen, "Roof cat asks for help.");
    assert_eq!(pairs[0].prompt.id, "t3_a1");
    assert_eq!(pairs[0].prompt.split, Some(Split::Evaluation));
    assert_eq!(pairs[0].prompt.meta["worker"], "w1");
    assert_eq!(pairs[0].prompt.input, read("posts").items[0].input);
    // As prompts, with the preferred summary as reference.
    assert_eq!(read("comparisons").items[2].reference.as_deref(), Some("Twice salted soup."));
}

#[test]
fn transcripts_are_cut_before_the_response() {
    let pairs = pairs("transcripts");
    assert_eq!(pairs[0].prompt.input, turns(&["How do I boil an egg?"]));
    assert_eq!(pairs[0].chosen, "Seven minutes in boiling water.");
    assert_eq!(pairs[0].rejected, "No idea.");
    assert_eq!(pairs[1].prompt.input, turns(&["Hi", "Hello, what can I do?", "Sing."]));
    assert_eq!((pairs[1].chosen.as_str(), pairs[1].rejected.as_str()), ("La la.\n\nLa.", "No."));

    let single = ReadOptions { turns: Turns::Single, ..ReadOptions::default() };
    let kept = preferences::read(&golden("transcripts.jsonl"), &single).unwrap();
    assert_eq!(kept.items, pairs[..1]);
    assert_eq!((kept.provenance.filtered, kept.provenance.rows), (1, 2));
}

#[test]
fn preferences_as_text_and_as_turns() {
    let items = pairs("preferences");
    assert_eq!(items[0].prompt.input, text("2 + 2 ="));
    assert_eq!((items[0].chosen.as_str(), items[0].rejected.as_str()), ("4", "5"));
    assert_eq!(items[0].margin, None);

    let items = pairs("preferences_turns");
    assert_eq!(items[0].prompt.input, turns(&["Hi"]));
    assert_eq!((items[0].chosen.as_str(), items[0].rejected.as_str()), ("Hello!", "What?"));
    assert_eq!((items[0].margin, items[1].margin), (Some(5.5), Some(1.0)));
    // The same pair in other layouts.
    let repeated = &pairs("preferences_repeated")[0];
    assert_eq!((&repeated.prompt.input, repeated.margin), (&items[0].prompt.input, Some(5.5)));
    assert_eq!(repeated.prompt.id, "f00d");
    let implicit = &pairs("implicit_turns")[0];
    assert_eq!(
        (&implicit.prompt.input, &implicit.chosen),
        (&items[0].prompt.input, &items[0].chosen)
    );
    assert_eq!(implicit.margin, Some(0.5));

    let items = pairs("implicit");
    assert_eq!(items[0].prompt.input, text("The sky is"));
    assert_eq!((items[0].chosen.as_str(), items[0].rejected.as_str()), ("blue.", "green."));
    assert_eq!((items[1].chosen.as_str(), items[1].rejected.as_str()), ("gut", "schlecht"));
}

#[test]
fn a_limit_stops_before_what_comes_after() {
    let text = "{\"prompt\": \"a\"}\nnot JSON\n";
    let one = ReadOptions { limit: Some(1), ..ReadOptions::default() };
    let read = prompts::parse("x", text, &one).unwrap();
    assert_eq!((read.provenance.rows, read.provenance.kept), (1, 1));
    let two = ReadOptions { limit: Some(2), ..ReadOptions::default() };
    assert!(prompts::parse("x", text, &two).is_err());
}

#[test]
fn token_ids_are_not_decoded() {
    let path = golden("query_reference.parquet");
    let items = prompts::read(&path, &ReadOptions::default()).unwrap().items;
    assert!(items.iter().all(|item| !item.meta.contains_key("query_token")));
    let error = prompts::read(&golden("token_ids.parquet"), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("no column with text or numbers"), "{error}");
}
