//! Prompts, posts and preference pairs of our own, written for this crate and part of it.
//!
//! All are English. Each item has a published split, train or evaluation; no prompt or post of one
//! side is a near copy of one of the other.

use crate::{Dataset, Error, PreferencePair, Prompt, ReadOptions, Summaries, preferences, prompts};

/// 256 prompts of one turn, 64 of them for evaluation. Their `kind` in `meta` is one of advice,
/// explanation, planning, writing, opinion, difficult, factual and creative, 32 of each.
///
/// # Examples
/// ```
/// let prompts = lm_tasks::own::dialogue();
/// assert!(prompts.items.iter().all(|prompt| prompt.input.is_single_turn()));
/// ```
pub fn dialogue() -> Dataset<Prompt> {
    let text = include_str!("../data/dialogue.jsonl");
    sound(prompts::parse("own/dialogue", text, &ReadOptions::default()))
}

/// 126 posts of 85 to 155 words as people write them in advice forums, each with a summary of one
/// sentence; 42 of them are for evaluation. All persons are made up.
///
/// # Examples
/// ```
/// use lm_tasks::{Summaries, own};
///
/// let posts = own::posts(Summaries::Request);
/// let post = posts.items[0].source.as_ref().unwrap();
/// assert_eq!(posts.items[0].input.to_turns()[0].content, post.request());
/// ```
pub fn posts(summaries: Summaries) -> Dataset<Prompt> {
    let options = ReadOptions { summaries, ..ReadOptions::default() };
    sound(prompts::parse("own/posts", include_str!("../data/posts.jsonl"), &options))
}

/// 212 pairs of responses to prompts of one turn, 53 of them for evaluation. What is wrong with the
/// rejected one is its `failure` in `meta`: curt, rude, cold, evasive, vague, wrong, `off_topic`,
/// repetitive, rambling, moralizing or incoherent. The longer response is the chosen one about half
/// of the time.
///
/// # Examples
/// ```
/// let pairs = lm_tasks::own::preferences();
/// assert_eq!(pairs.items[0].prompt.meta["failure"], "curt");
/// ```
pub fn preferences() -> Dataset<PreferencePair> {
    let text = include_str!("../data/preferences.jsonl");
    sound(preferences::parse("own/preferences", text, &ReadOptions::default()))
}

fn sound<T>(read: Result<Dataset<T>, Error>) -> Dataset<T> {
    read.expect("the data is part of the crate, and tests read all of it")
}
