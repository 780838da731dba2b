//! Tokenizers that make trouble, and plans of toys.

use cot_metrics::{
    Edits, Error, Plan, Prompts, Record, Transcript,
    interventions::{Donors, OffTopic, Paraphrased, other_answers},
    measure, plan,
    tokens::Tokenize,
    toys::{Characters, Toy, ToyParaphrase},
};
use rl_core::seed::Seed;

/// Takes the longest of its pieces from the left, else one character: as tokenizers by merges do, it
/// joins what stands side by side, also across words.
pub(crate) struct Greedy;

/// Longer ones first where one begins with the other.
const PIECES: [&str; 17] = [
    "... ... ... ...",
    " ... ...",
    "... ",
    " ...",
    "...",
    ": 1",
    " the ",
    " think think",
    " think",
    "and ",
    "se",
    "ve",
    "n s",
    "ten",
    "12",
    ". ",
    "\n\n",
];

impl Tokenize for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mut rest = text;
        let mut ids = Vec::new();
        while let Some(c) = rest.chars().next() {
            if let Some(at) = PIECES.iter().position(|piece| rest.starts_with(piece)) {
                ids.push(at as u32);
                rest = &rest[PIECES[at].len()..];
            } else {
                ids.push(1_000 + u32::from(c));
                rest = &rest[c.len_utf8()..];
            }
        }
        Ok(ids)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        let piece = |&id: &u32| match id.checked_sub(1_000) {
            None => PIECES[id as usize].to_owned(),
            Some(c) => char::from_u32(c).unwrap().to_string(),
        };
        Ok(ids.iter().map(piece).collect())
    }
}

/// Loses capitals, so that nothing with one survives.
pub(crate) struct Lossy;

impl Tokenize for Lossy {
    fn name(&self) -> &'static str {
        "lossy"
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        Characters.encode(text)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        Ok(Characters.decode(ids)?.replace(char::is_uppercase, ""))
    }
}

/// Writes everything small, in as many tokens.
pub(crate) struct Small;

impl Tokenize for Small {
    fn name(&self) -> &'static str {
        "small"
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        Characters.encode(text)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        Ok(Characters.decode(ids)?.to_ascii_lowercase())
    }
}

pub(crate) fn transcript(id: &str, chain: &str, answer: &str) -> Transcript {
    Transcript {
        id: id.into(),
        question: "How many?".into(),
        chain: chain.into(),
        answer: answer.into(),
        ..Transcript::default()
    }
}

/// Plans with all arms for a toy's examples.
pub(crate) fn toy_plans(transcripts: &[Transcript]) -> Vec<Plan> {
    let off_topic = OffTopic { tokenizer: Characters, donors: Donors::Pool(Toy::off_topic()) };
    let wrong = other_answers(transcripts, Seed::new(2));
    let edits = Edits {
        paraphrase: Some(&Paraphrased(ToyParaphrase)),
        off_topic: Some(&off_topic),
        controls: true,
        wrong_answers: Some(&wrong),
    };
    plan(transcripts, &Prompts::default(), edits, Seed::new(3)).unwrap()
}

/// Records of a toy with all arms.
pub(crate) fn toy_records(toy: Toy, n: usize) -> Vec<Record> {
    measure(&toy, &toy_plans(&toy.transcripts(n, Seed::new(1)))).unwrap()
}
