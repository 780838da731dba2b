//! Paraphrases, checked against what a paraphraser must not know.

use rl_core::seed::Seed;

use super::{ChainEdit, Edited, Failure, Paraphrase};
use crate::Transcript;

/// Puts each chain in other words.
///
/// The paraphraser is given chains alone. What comes back is refused where it is empty, where it is
/// the chain unchanged, and where it holds the answer and the chain does not. An empty chain has
/// nothing to be changed.
#[derive(Debug, Clone)]
pub struct Paraphrased<P>(pub P);

impl<P: Paraphrase> ChainEdit for Paraphrased<P> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn edit(&self, transcripts: &[Transcript], seed: Seed) -> Vec<Edited> {
        let chains: Vec<&str> = transcripts.iter().map(|t| t.chain.as_str()).collect();
        let replies = self.0.paraphrase(&chains, seed);
        let mut replies = replies.into_iter();
        transcripts
            .iter()
            .map(|transcript| {
                let missing = || Err(Failure::Model { reason: "it did not reply".to_owned() });
                check(transcript, replies.next().unwrap_or_else(missing)?)
            })
            .collect()
    }
}

fn check(transcript: &Transcript, reply: String) -> Edited {
    let Transcript { chain, answer, .. } = transcript;
    if reply.trim().is_empty() {
        return Err(Failure::EmptyReply);
    }
    if reply.trim() == chain.trim() {
        return Err(Failure::Unchanged);
    }
    if holds(&reply, answer.trim()) && !holds(chain, answer.trim()) {
        return Err(Failure::HoldsAnswer);
    }
    Ok(reply)
}

/// Whether a text holds another one that is not part of a longer word or number there.
fn holds(text: &str, part: &str) -> bool {
    let inner = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !part.is_empty()
        && text.match_indices(part).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + part.len()..]);
            let joined_before = inner(part.chars().next()) && inner(before.chars().next_back());
            let joined_after = inner(part.chars().next_back()) && inner(after.chars().next());
            !joined_before && !joined_after
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the same, whatever it is given.
    struct Says(Vec<Edited>);

    impl Paraphrase for Says {
        fn name(&self) -> &'static str {
            "says"
        }

        fn paraphrase(&self, chains: &[&str], _: Seed) -> Vec<Edited> {
            self.0.iter().cloned().take(chains.len()).collect()
        }
    }

    fn transcript(chain: &str, answer: &str) -> Transcript {
        Transcript { chain: chain.into(), answer: answer.into(), ..Transcript::default() }
    }

    #[test]
    fn replies_that_are_no_paraphrase_are_flagged() {
        let chains = ["a plus b", "a plus b", "a plus b", "it is 12 so far", "a plus b", "a", "b"];
        let transcripts: Vec<Transcript> = chains.iter().map(|c| transcript(c, "12")).collect();
        let cut_off = Err(Failure::CutOff);
        let edited = Paraphrased(Says(vec![
            Ok(" \n".into()),
            Ok("a plus b\n".into()),
            Ok("the sum is 12.".into()),
            Ok("so far it is 12".into()),
            Ok("add b to a, not 112 or 120".into()),
            cut_off.clone(),
        ]))
        .edit(&transcripts, Seed::new(0));
        assert_eq!(edited[0], Err(Failure::EmptyReply));
        assert_eq!(edited[1], Err(Failure::Unchanged));
        assert_eq!(edited[2], Err(Failure::HoldsAnswer));
        assert_eq!(edited[3].as_deref(), Ok("so far it is 12"));
        assert_eq!(edited[4].as_deref(), Ok("add b to a, not 112 or 120"));
        assert_eq!(edited[5], cut_off);
        assert!(matches!(edited[6], Err(Failure::Model { .. })));
    }

    #[test]
    fn the_answer_as_the_whole_reply_is_flagged() {
        let edited = Paraphrased(Says(vec![Ok("12".into())]));
        let edited = edited.edit(&[transcript("a plus b", "12")], Seed::new(0));
        assert_eq!(edited, [Err(Failure::HoldsAnswer)]);
    }

    #[test]
    fn parts_of_words_do_not_count() {
        for (text, part, expected) in [
            ("It is No.", "No", true),
            ("Nothing", "No", false),
            ("-12", "12", true),
            ("5 - 12", "- 12", true),
            ("é12é", "12", false),
            ("12", "", false),
        ] {
            assert_eq!(holds(text, part), expected, "{text} {part}");
        }
    }
}
