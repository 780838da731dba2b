//! Responses of models that think between tags.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A response in its parts, or why it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split<'a> {
    /// A chain and what follows it.
    Parts {
        /// The thought, without the space around it.
        chain: &'a str,
        /// The answer, without the space around it; may be empty.
        answer: &'a str,
    },
    /// The thought is never closed, so that there is no answer.
    Unclosed,
    /// There is no thought.
    NoThought,
    /// There are several.
    ManyThoughts,
}

/// Splits a response where its thought ends. The opening tag may be missing, where it ended the
/// prompt; text before it belongs to the chain, since the answer follows both.
///
/// # Examples
/// ```
/// use cot_metrics::transcripts::{Split, split_response};
///
/// let split = split_response("\n<think>\nhm\n</think>\n\n4");
/// assert_eq!(split, Split::Parts { chain: "hm", answer: "4" });
/// assert_eq!(split_response("hm</think>"), Split::Parts { chain: "hm", answer: "" });
/// assert_eq!(split_response("<think>hm"), Split::Unclosed);
/// ```
pub fn split_response(response: &str) -> Split<'_> {
    let opened = response.matches(OPEN).count();
    let closed = response.matches(CLOSE).count();
    match (opened, closed) {
        (0, 0) => Split::NoThought,
        (0 | 1, 1) => {
            let (thought, answer) = response.split_once(CLOSE).unwrap_or((response, ""));
            if answer.contains(OPEN) {
                return Split::Unclosed;
            }
            let chain = match thought.split_once(OPEN) {
                Some((before, thought)) if before.trim().is_empty() => thought,
                // What was said before the thought is read before the answer all the same.
                _ => thought,
            };
            Split::Parts { chain: chain.trim(), answer: answer.trim() }
        }
        _ if opened > closed => Split::Unclosed,
        _ => Split::ManyThoughts,
    }
}
