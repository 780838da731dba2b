//! Dialogues as one text, as Anthropic's HH publishes them.

use crate::Turn;

const HUMAN: &str = "Human:";
const ASSISTANT: &str = "Assistant:";

/// The turns of a dialogue such as `"\n\nHuman: Hi\n\nAssistant: Hello"`; none if it does not begin
/// with `Human:`.
///
/// A turn begins where a line that follows an empty line begins with `Human:` or `Assistant:`.
/// Several turns of the same side stay apart, since published dialogues hold some; turns may be
/// empty.
///
/// # Examples
/// ```
/// use lm_tasks::{Turn, preferences::parse_transcript};
///
/// let turns = parse_transcript("\n\nHuman: Who was Human: a\n\nb?\n\nAssistant: I don't know.");
/// let expected = [Turn::user("Who was Human: a\n\nb?"), Turn::assistant("I don't know.")];
/// assert_eq!(turns.unwrap(), expected);
/// ```
pub fn parse_transcript(text: &str) -> Option<Vec<Turn>> {
    let mut rest = text.trim_start();
    if !rest.starts_with(HUMAN) {
        return None;
    }
    let mut turns = Vec::new();
    while !rest.is_empty() {
        let (make, name): (fn(String) -> Turn, _) = if rest.starts_with(HUMAN) {
            (Turn::user, HUMAN)
        } else {
            (Turn::assistant, ASSISTANT)
        };
        let content = &rest[name.len()..];
        let end = next_turn(content).unwrap_or(content.len());
        turns.push(make(content[..end].trim().to_owned()));
        rest = &content[end..];
    }
    Some(turns)
}

/// Where the next turn begins.
fn next_turn(text: &str) -> Option<usize> {
    let first = |name| {
        let mut places = text.match_indices(name).map(|(at, _)| at);
        places.find(|&at| text[..at].ends_with("\n\n"))
    };
    [first(HUMAN), first(ASSISTANT)].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_turns() {
        let parse = |text| parse_transcript(text).unwrap();
        assert_eq!(parse("Human: a"), [Turn::user("a")]);
        assert_eq!(parse("\n\nHuman:\n\nAssistant:"), [Turn::user(""), Turn::assistant("")]);
        // Three line breaks end a turn as well as two; one does not.
        assert_eq!(
            parse("\n\nHuman: a\nAssistant: b\n\n\nAssistant: c\n"),
            [Turn::user("a\nAssistant: b"), Turn::assistant("c")]
        );
        // A name inside of a line is text, and so is a lower-case one.
        assert_eq!(
            parse("\n\nHuman: say Assistant: x\n\nassistant: y\n\nAssistant: z"),
            [Turn::user("say Assistant: x\n\nassistant: y"), Turn::assistant("z")]
        );
        assert_eq!(parse("\n\nHuman: a\n\nHuman: b\n\nAssistant: c\n\nAssistant: d").len(), 4);
        for other in ["", "\n\n", "Assistant: a", "a\n\nHuman: b", "human: a"] {
            assert_eq!(parse_transcript(other), None, "{other}");
        }
    }
}
