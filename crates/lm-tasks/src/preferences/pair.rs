//! From rows to pairs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Input, Item, Layout, Post, Prompt, ReadOptions, Role, Split, Turn,
    error::Fault,
    layout::{Row, TextOrTurns, describe, not_empty},
    preferences::parse_transcript,
    read::FromRow,
};

/// Two responses to a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferencePair {
    /// What both answer. It has no reference.
    pub prompt: Prompt,
    /// The preferred response, without white space around it.
    pub chosen: String,
    /// The other, which differs.
    pub rejected: String,
    /// By how much `chosen` is better, on the scale of the file, where it is known.
    pub margin: Option<f64>,
}

impl Item for PreferencePair {
    fn id(&self) -> &str {
        self.prompt.id()
    }

    fn published_split(&self) -> Option<Split> {
        self.prompt.published_split()
    }

    fn key(&self) -> String {
        self.prompt.key()
    }
}

/// Fields that hold a pair, or its texts once more.
const USED: &[&str] = &[
    "id",
    "prompt",
    "chosen",
    "rejected",
    "margin",
    "score_chosen",
    "score_rejected",
    "choice",
    "query",
    "query_chosen",
    "query_rejected",
];

impl FromRow for PreferencePair {
    fn fits(layout: Layout) -> bool {
        layout.has_pairs()
    }

    fn from_row(row: &Row, layout: Layout, options: &ReadOptions) -> Result<Self, Fault> {
        let (prompt, chosen, rejected) = match layout {
            Layout::Comparisons => comparison(row, options)?,
            Layout::Transcripts => {
                let parts = shared(transcript(row, "chosen")?, transcript(row, "rejected")?)?;
                parts.with_prompt(row)?
            }
            Layout::Preferences => explicit(row, options)?,
            _ => implicit(row)?,
        };
        if chosen == rejected {
            let expected = "another response than the chosen one";
            return Err(Fault::new("rejected", expected, "the same"));
        }
        Ok(Self { prompt, chosen, rejected, margin: margin(row)? })
    }

    fn is_single_turn(&self) -> bool {
        self.prompt.input.is_single_turn()
    }
}

type Parts = (Prompt, String, String);

/// `margin`, or the difference of the scores.
fn margin(row: &Row) -> Result<Option<f64>, Fault> {
    if let Some(margin) = row.number_if_any("margin")? {
        return Ok(Some(margin));
    }
    match (row.number_if_any("score_chosen")?, row.number_if_any("score_rejected")?) {
        (Some(chosen), Some(rejected)) => Ok(Some(chosen - rejected)),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Fault::new("score_rejected", "a number", "none")),
        (None, Some(_)) => Err(Fault::new("score_chosen", "a number", "none")),
    }
}

/// A prompt of its own beside the responses.
fn explicit(row: &Row, options: &ReadOptions) -> Result<Parts, Fault> {
    let prompt = row.text_or_turns("prompt")?;
    let (chosen, rejected) = (row.text_or_turns("chosen")?, row.text_or_turns("rejected")?);
    // Some files repeat the prompt as text beside whole conversations.
    if let (TextOrTurns::Text(_), TextOrTurns::Turns(a), TextOrTurns::Turns(b)) =
        (&prompt, &chosen, &rejected)
        && a.len() > 1
    {
        return shared(a.clone(), b.clone())?.with_prompt(row);
    }
    let conversation =
        matches!((&chosen, &rejected), (TextOrTurns::Turns(_), TextOrTurns::Turns(_)));
    let response = |field, value| match value {
        TextOrTurns::Text(text) => not_empty(field, &text),
        TextOrTurns::Turns(turns) => only_response(field, &turns),
    };
    let (chosen, rejected) = (response("chosen", chosen)?, response("rejected", rejected)?);
    let prompt = match prompt {
        TextOrTurns::Turns(turns) => Prompt::of_row(row, Input::Turns(turns), USED)?,
        TextOrTurns::Text(text) if conversation => {
            let turns = vec![Turn::user(not_empty("prompt", &text)?)];
            Prompt::of_row(row, Input::Turns(turns), USED)?
        }
        TextOrTurns::Text(text) => {
            Prompt::of_text(row, not_empty("prompt", &text)?, USED, options)?
        }
    };
    Ok((prompt, chosen, rejected))
}

/// The prompt is what both begin with.
fn implicit(row: &Row) -> Result<Parts, Fault> {
    match (row.text_or_turns("chosen")?, row.text_or_turns("rejected")?) {
        (TextOrTurns::Turns(chosen), TextOrTurns::Turns(rejected)) => {
            shared(chosen, rejected)?.with_prompt(row)
        }
        (TextOrTurns::Text(chosen), TextOrTurns::Text(rejected)) => {
            if chosen == rejected {
                let expected = "another text than in chosen";
                return Err(Fault::new("rejected", expected, "the same"));
            }
            let at = common_prefix(&chosen, &rejected);
            let prompt = Prompt::of_row(row, Input::Text(chosen[..at].to_owned()), USED)?;
            let (chosen, rejected) = (&chosen[at..], &rejected[at..]);
            Ok((prompt, not_empty("chosen", chosen)?, not_empty("rejected", rejected)?))
        }
        (TextOrTurns::Text(_), TextOrTurns::Turns(_)) => {
            Err(Fault::new("rejected", "text, as in chosen", "a list"))
        }
        (TextOrTurns::Turns(_), TextOrTurns::Text(_)) => {
            Err(Fault::new("rejected", "a list, as in chosen", "text"))
        }
    }
}

/// Bytes of the longest common beginning. TRL gives a space before the first difference to the
/// responses; here both sides lose it.
fn common_prefix(a: &str, b: &str) -> usize {
    let differs = a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y);
    differs.map_or(a.len().min(b.len()), |((at, _), _)| at)
}

/// Two conversations up to their last turns, which are responses.
struct Shared {
    prompt: Vec<Turn>,
    chosen: String,
    rejected: String,
}

impl Shared {
    fn with_prompt(self, row: &Row) -> Result<Parts, Fault> {
        let prompt = Prompt::of_row(row, Input::Turns(self.prompt), USED)?;
        Ok((prompt, self.chosen, self.rejected))
    }
}

fn shared(mut chosen: Vec<Turn>, mut rejected: Vec<Turn>) -> Result<Shared, Fault> {
    let last = |field: &str, turns: &mut Vec<Turn>| match turns.pop() {
        Some(Turn { role: Role::Assistant, content }) => not_empty(field, &content),
        Some(turn) => {
            Err(Fault::new(field, "a turn of the assistant at the end", turn_in_words(Some(&turn))))
        }
        None => Err(Fault::new(field, "turns of a conversation", "none")),
    };
    let responses = (last("chosen", &mut chosen)?, last("rejected", &mut rejected)?);
    if chosen != rejected {
        let at = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b).count();
        return Err(Fault::new(
            format!("rejected[{at}]"),
            format!("the same as in chosen before the response, {}", turn_in_words(chosen.get(at))),
            turn_in_words(rejected.get(at)),
        ));
    }
    Ok(Shared { prompt: chosen, chosen: responses.0, rejected: responses.1 })
}

fn turn_in_words(turn: Option<&Turn>) -> String {
    let Some(turn) = turn else { return "no further turn".into() };
    let who = match turn.role {
        Role::System => "the system",
        Role::User => "the user",
        Role::Assistant => "the assistant",
    };
    format!("{who} with {}", describe(&Value::String(turn.content.clone())))
}

/// The one turn of the assistant that a response is.
pub(crate) fn only_response(field: &str, turns: &[Turn]) -> Result<String, Fault> {
    match turns {
        [Turn { role: Role::Assistant, content }] => not_empty(field, content),
        [turn] => Err(Fault::new(field, "a turn of the assistant", turn_in_words(Some(turn)))),
        _ => Err(Fault::new(field, "one turn of the assistant", format!("{} turns", turns.len()))),
    }
}

fn transcript(row: &Row, field: &str) -> Result<Vec<Turn>, Fault> {
    let text = row.raw_text(field)?;
    parse_transcript(text).ok_or_else(|| {
        let found = describe(&Value::String(text.to_owned()));
        Fault::new(field, "a dialogue that begins with `Human:`", found)
    })
}

/// The post in `info`, and the two summaries in the order of the choice.
fn comparison(row: &Row, options: &ReadOptions) -> Result<Parts, Fault> {
    let within = |name: &str| {
        let name = name.to_owned();
        move |fault: Fault| Fault { field: format!("{name}.{}", fault.field), ..fault }
    };
    let info = row.object("info")?;
    let post = Post::of_row(&info, "post").map_err(within("info"))?;
    let summaries = row.list("summaries")?;
    if summaries.len() != 2 {
        return Err(Fault::new("summaries", "two", summaries.len().to_string()));
    }
    let summary = |index: usize| {
        let name = format!("summaries[{index}]");
        let Value::Object(fields) = &summaries[index] else {
            return Err(Fault::new(name, "an object", describe(&summaries[index])));
        };
        Row(fields).text("text").map_err(within(&name))
    };
    let choice = match row.number_if_any("choice")? {
        Some(0.0) => 0,
        Some(1.0) => 1,
        Some(other) => return Err(Fault::new("choice", "0 or 1", other.to_string())),
        None => return Err(Fault::new("choice", "0 or 1", "none")),
    };
    let mut prompt = Prompt::of_post(row, post, None, USED, options)?;
    if let Some(id) = info.id() {
        prompt.id = id;
    }
    Ok((prompt, summary(choice)?, summary(1 - choice)?))
}
