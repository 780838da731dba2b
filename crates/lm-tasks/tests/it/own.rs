//! The data of our own is as large, as varied and as fair as it claims.

use std::collections::{BTreeMap, BTreeSet};

use lm_tasks::{Input, Prompt, Split, SplitRule, Summaries, own};

/// Largest share of three-word sequences that two texts may have in common. Ordinary questions of
/// about ten words share an opening such as "what is a good"; copies share far more.
const MAX_OVERLAP: f64 = 0.35;

/// Most that the better of "longer" and "shorter" may predict, as must the best bound on length.
const MAX_LENGTH_ACCURACY: f64 = 0.58;

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn asked(prompt: &Prompt) -> &str {
    match &prompt.input {
        Input::Turns(turns) => &turns[0].content,
        Input::Text(text) => text,
    }
}

fn shingles(text: &str) -> BTreeSet<[String; 3]> {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    words.windows(3).map(|w| [w[0].to_owned(), w[1].to_owned(), w[2].to_owned()]).collect()
}

/// The largest Jaccard overlap of any two of the texts, and which.
fn closest<'a>(texts: &[&'a str]) -> (f64, [&'a str; 2]) {
    let sets: Vec<_> = texts.iter().map(|text| shingles(text)).collect();
    let mut most = (0.0, ["", ""]);
    for (i, a) in sets.iter().enumerate() {
        for (j, b) in sets[..i].iter().enumerate() {
            let common = a.intersection(b).count();
            let overlap = common as f64 / (a.len() + b.len() - common).max(1) as f64;
            if overlap > most.0 {
                most = (overlap, [texts[i], texts[j]]);
            }
        }
    }
    most
}

fn counts<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    names.fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name.to_owned()).or_default() += 1;
        counts
    })
}

fn on_one_line(text: &str) -> bool {
    !text.contains(['\n', '\t', '\u{fffd}']) && !text.contains("  ") && text.trim() == text
}

#[test]
fn dialogue_prompts_are_many_short_and_of_eight_kinds() {
    let data = own::dialogue();
    assert_eq!(data.items.len(), 256);
    let kinds = counts(data.items.iter().map(|p| p.meta["kind"].as_str().unwrap()));
    assert_eq!(kinds.len(), 8);
    assert!(kinds.values().all(|&n| n == 32), "{kinds:?}");
    for prompt in &data.items {
        let text = asked(prompt);
        assert!((3..=40).contains(&words(text)) && on_one_line(text), "{text}");
        assert!(prompt.input.is_single_turn() && prompt.reference.is_none());
    }
    let splits = data.split(SplitRule::Published).unwrap();
    assert_eq!((splits.train.items.len(), splits.evaluation.items.len()), (192, 64));
    let kinds = counts(splits.evaluation.items.iter().map(|p| p.meta["kind"].as_str().unwrap()));
    assert!(kinds.values().all(|&n| n == 8), "{kinds:?}");
}

#[test]
fn posts_are_many_and_of_the_length_of_posts() {
    let data = own::posts(Summaries::Query);
    assert_eq!(data.items.len(), 126);
    let mut titles = BTreeSet::new();
    for prompt in &data.items {
        let post = prompt.source.as_ref().unwrap();
        let summary = prompt.reference.as_ref().unwrap();
        assert!((85..=155).contains(&words(&post.body)), "{}: {}", prompt.id, words(&post.body));
        assert!((12..=34).contains(&words(summary)), "{}: {}", prompt.id, words(summary));
        assert!(on_one_line(&post.body) && on_one_line(summary), "{}", prompt.id);
        // One sentence.
        assert!(summary.ends_with('.') && !summary.contains(". "), "{summary}");
        assert!(titles.insert(post.title.clone().unwrap()));
    }
    let topics =
        counts(data.items.iter().map(|p| p.source.as_ref().unwrap().subreddit.as_deref().unwrap()));
    assert!(topics.len() >= 30 && topics.values().all(|&n| n <= 6), "{topics:?}");
    let splits = data.split(SplitRule::Published).unwrap();
    assert_eq!((splits.train.items.len(), splits.evaluation.items.len()), (84, 42));
}

#[test]
fn pairs_are_many_and_fail_in_many_ways() {
    let data = own::preferences();
    assert_eq!(data.items.len(), 212);
    let failures = counts(data.items.iter().map(|p| p.prompt.meta["failure"].as_str().unwrap()));
    assert_eq!(failures.len(), 11);
    assert!(failures.values().all(|&n| (12..=24).contains(&n)), "{failures:?}");
    for pair in &data.items {
        for text in [asked(&pair.prompt), &pair.chosen, &pair.rejected] {
            assert!(on_one_line(text) && (2..=80).contains(&words(text)), "{text}");
        }
    }
    let splits = data.split(SplitRule::Published).unwrap();
    assert_eq!((splits.train.items.len(), splits.evaluation.items.len()), (159, 53));
    let failures =
        counts(splits.evaluation.items.iter().map(|p| p.prompt.meta["failure"].as_str().unwrap()));
    assert_eq!(failures.len(), 11, "{failures:?}");
}

#[test]
fn nothing_is_nearly_the_same_as_anything_else() {
    let (dialogue, posts, pairs) =
        (own::dialogue().items, own::posts(Summaries::Query).items, own::preferences().items);
    let mut asked: Vec<&str> =
        dialogue.iter().chain(pairs.iter().map(|p| &p.prompt)).map(asked).collect();
    let bodies: Vec<&str> =
        posts.iter().map(|p| p.source.as_ref().unwrap().body.as_str()).collect();
    let summaries: Vec<&str> = posts.iter().map(|p| p.reference.as_deref().unwrap()).collect();
    let responses: Vec<&str> =
        pairs.iter().flat_map(|p| [p.chosen.as_str(), p.rejected.as_str()]).collect();
    for texts in [&asked, &bodies, &summaries, &responses] {
        let (overlap, texts) = closest(texts);
        assert!(overlap < MAX_OVERLAP, "{overlap}: {texts:?}");
    }
    // Texts too short for the measure above must still differ.
    asked.sort_unstable();
    assert!(asked.windows(2).all(|pair| !pair[0].eq_ignore_ascii_case(pair[1])));
    let copy = [bodies[0], &bodies[0].replace("piano", "organ")];
    assert!(closest(&copy).0 > MAX_OVERLAP);
}

#[test]
fn splits_are_disjoint() {
    let of = |split| {
        let (dialogue, posts, pairs) =
            (own::dialogue(), own::posts(Summaries::Query), own::preferences());
        let prompts = dialogue.items.into_iter().chain(posts.items);
        let prompts = prompts.chain(pairs.items.into_iter().map(|p| p.prompt));
        let (mut ids, mut inputs) = (BTreeSet::new(), BTreeSet::new());
        for prompt in prompts.filter(|p| p.split == Some(split)) {
            assert!(inputs.insert(asked(&prompt).to_owned()) && ids.insert(prompt.id));
        }
        (ids, inputs)
    };
    let (train, evaluation) = (of(Split::Train), of(Split::Evaluation));
    assert!(train.0.is_disjoint(&evaluation.0) && train.1.is_disjoint(&evaluation.1));
}

#[test]
fn length_does_not_tell_the_chosen_response() {
    let pairs = own::preferences().items;
    let n = pairs.len() as f64;
    for length in [|text: &str| text.chars().count(), words] {
        let lengths: Vec<(usize, usize)> =
            pairs.iter().map(|p| (length(&p.chosen), length(&p.rejected))).collect();
        let longer = lengths.iter().filter(|(a, b)| a > b).count() as f64 / n;
        let shorter = lengths.iter().filter(|(a, b)| a < b).count() as f64 / n;
        assert!(longer.max(shorter) <= MAX_LENGTH_ACCURACY, "{longer} {shorter}");
        // A single response, called chosen if it is longer than a bound, or if it is not.
        for bound in 0..500 {
            let hits: usize = lengths
                .iter()
                .map(|&(a, b)| usize::from(a > bound) + usize::from(b <= bound))
                .sum();
            let accuracy = hits as f64 / (2.0 * n);
            assert!(accuracy.max(1.0 - accuracy) <= MAX_LENGTH_ACCURACY, "{bound}: {accuracy}");
        }
    }
}
