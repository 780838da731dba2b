//! A chat model as a judge.

use std::{num::NonZeroUsize, ops::ControlFlow};

use chat_model::{Blocking, ChatModel, Request, Sampling};
use serde::{Deserialize, Serialize};

use super::{Criterion, Judge, Match, Verdict, question};
use crate::{Error, algorithm::check};

/// Settings of a judging chat model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatJudgeConfig {
    /// What makes an answer the better one.
    pub criterion: Criterion,
    /// How the model chooses words; of a model that thinks before it speaks, `max_tokens` must leave
    /// room for its thoughts.
    pub sampling: Sampling,
    /// Requests on their way at a time, at least 1.
    pub concurrent: usize,
    /// Failed requests in a row after which no more are sent, at least 1: each may have been tried
    /// for long.
    pub max_failures: usize,
}

impl Default for ChatJudgeConfig {
    /// The likeliest words, at most 16 of them, as a letter needs no more.
    fn default() -> Self {
        Self {
            criterion: Criterion::default(),
            sampling: Sampling {
                max_tokens: Some(16),
                temperature: Some(0.0),
                ..Sampling::default()
            },
            concurrent: 8,
            max_failures: 16,
        }
    }
}

impl ChatJudgeConfig {
    /// Checks the settings; those of the sampling are checked with every request.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        check("concurrent", self.concurrent > 0, "at least 1", self.concurrent)?;
        check("max_failures", self.max_failures > 0, "at least 1", self.max_failures)
    }
}

/// A chat model that is shown two answers and says which is better.
///
/// Its reply must be one letter; a failed request or any other reply leaves the match without a
/// verdict. Equal texts are a tie that nobody is asked about.
///
/// # Examples
/// ```
/// use chat_model::{Response, Scripted};
/// use klq::{
///     judge::{ChatJudge, ChatJudgeConfig, Judge, Match, Verdict},
///     reward::{Answer, Prompt},
/// };
///
/// // Prefers the answer that says please.
/// let model = Scripted::function("polite", |request, _| {
///     let text = request.messages[0].text();
///     let (a, b) = text.split_once("ANSWER B").unwrap();
///     let letter = match (a.contains("please"), b.contains("please")) {
///         (true, false) => "A",
///         (false, true) => "B",
///         _ => "C",
///     };
///     Ok(Response::from_text("polite", letter))
/// });
/// let mut judge = ChatJudge::new(model, ChatJudgeConfig::default())?;
/// let prompt = Prompt { id: "0".into(), text: "May I sit?".into(), ids: vec![], source: None };
/// let answer = |text| Answer { prompt: &prompt, ids: &[], text, ended: true };
/// let of = Match { first: answer("No."), second: answer("Yes, please.") };
/// assert_eq!(judge.judge(&[of]), [Verdict::Second]);
/// # Ok::<(), klq::Error>(())
/// ```
#[derive(Debug)]
pub struct ChatJudge<M> {
    model: Blocking<M>,
    name: String,
    config: ChatJudgeConfig,
}

impl<M: ChatModel> ChatJudge<M> {
    /// A judge that asks `model`.
    ///
    /// # Errors
    /// [`Error::Setting`]; [`Error::Chat`] if the system gives no thread.
    pub fn new(model: M, config: ChatJudgeConfig) -> Result<Self, Error> {
        config.validate()?;
        let name = model.model().to_owned();
        Ok(Self { model: Blocking::new(model)?, name, config })
    }

    /// Asks until all are answered, or too many in a row failed; what was not asked stays none.
    fn ask(&self, requests: &[Request]) -> Vec<Option<Verdict>> {
        let mut verdicts: Vec<Option<Verdict>> = vec![None; requests.len()];
        let concurrent = NonZeroUsize::new(self.config.concurrent).unwrap_or(NonZeroUsize::MIN);
        let (mut failures, mut last) = (0, String::new());
        let asked = self.model.answer_all(requests, concurrent, |i, outcome| {
            verdicts[i] = Some(match outcome {
                Ok(reply) => {
                    failures = 0;
                    question::read(&reply)
                }
                Err(error) => {
                    failures += 1;
                    last = error.to_string();
                    Verdict::Unscored(last.clone())
                }
            });
            if failures >= self.config.max_failures {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if let Err(error) = asked {
            last = error.to_string();
        }
        let skipped = verdicts.iter().filter(|v| v.is_none()).count();
        if skipped > 0 {
            tracing::warn!("judge {}: {skipped} questions were not asked: {last}", self.name);
        }
        let unasked = || Verdict::Unscored(format!("not asked, as others failed: {last}"));
        verdicts.into_iter().map(|verdict| Some(verdict.unwrap_or_else(unasked))).collect()
    }
}

impl<M: ChatModel> Judge for ChatJudge<M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn judge(&mut self, matches: &[Match<'_>]) -> Vec<Verdict> {
        let mut requests = Vec::new();
        let mut verdicts: Vec<Option<Verdict>> = matches
            .iter()
            .map(|of| {
                if of.first.text.trim() == of.second.text.trim() {
                    return Some(Verdict::Tie);
                }
                match self.config.criterion.ask(of) {
                    Err(why) => Some(Verdict::Unscored(why)),
                    Ok(question) => {
                        let sampling = self.config.sampling.clone();
                        requests.push(Request { sampling, ..Request::from_user(question) });
                        None
                    }
                }
            })
            .collect();
        let open = verdicts.iter_mut().filter(|verdict| verdict.is_none());
        for (place, verdict) in open.zip(self.ask(&requests)) {
            *place = verdict;
        }
        verdicts.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use chat_model::{Error as ChatError, Response, Scripted};

    use super::*;
    use crate::reward::{Answer, Prompt};

    fn prompt() -> Prompt {
        Prompt { id: "p".into(), text: "Say it".into(), ids: vec![], source: None }
    }

    fn pair<'a>(prompt: &'a Prompt, first: &'a str, second: &'a str) -> Match<'a> {
        let answer = |text| Answer { prompt, ids: &[], text, ended: true };
        Match { first: answer(first), second: answer(second) }
    }

    /// Prefers the answer with `gold` in it.
    #[expect(clippy::unnecessary_wraps, reason = "the form of a script")]
    fn by_word(request: &Request, _: usize) -> Result<Response, ChatError> {
        let (a, b) = request.messages[0].text().split_once("ANSWER B").unwrap();
        let letter = match (a.contains("gold"), b.contains("gold")) {
            (true, false) => "A",
            (false, true) => "B",
            _ => "I cannot tell",
        };
        Ok(Response::from_text("word", letter))
    }

    #[test]
    fn verdicts_come_in_the_order_of_the_matches() {
        let mut judge =
            ChatJudge::new(Scripted::function("word", by_word), ChatJudgeConfig::default())
                .unwrap();
        let prompt = prompt();
        let same = pair(&prompt, "gold", " gold\n");
        let (first, second) = (pair(&prompt, "gold", "bad"), pair(&prompt, "bad", "gold"));
        let neither = pair(&prompt, "bad", "worse");
        let said = judge.judge(&[second, same, neither, first]);
        assert_eq!(said[..2], [Verdict::Second, Verdict::Tie]);
        assert_eq!(said[3], Verdict::First);
        let Verdict::Unscored(why) = &said[2] else { panic!("a verdict") };
        assert_eq!(why, "word: expected A, B or C alone, found: I cannot tell");
        assert_eq!(judge.model.inner().asked(), 3, "equal texts are not asked about");
    }

    #[test]
    fn an_unreachable_judge_gives_no_verdict_and_is_left_alone() {
        let gone = Scripted::function("gone", |_, _| {
            let (endpoint, reason) = ("http://gone".to_owned(), "refused".to_owned());
            Err(ChatError::Connect { endpoint, reason })
        });
        let config =
            ChatJudgeConfig { concurrent: 1, max_failures: 3, ..ChatJudgeConfig::default() };
        let mut judge = ChatJudge::new(gone, config).unwrap();
        let prompt = prompt();
        let said = judge.judge(&[pair(&prompt, "a", "b"); 10]);
        assert_eq!(judge.model.inner().asked(), 3);
        assert_eq!(said.len(), 10);
        for (i, verdict) in said.iter().enumerate() {
            let Verdict::Unscored(why) = verdict else { panic!("a verdict") };
            assert!(why.contains("http://gone: cannot connect"), "{why}");
            assert_eq!(why.starts_with("not asked"), i >= 3);
        }
    }

    #[test]
    fn failures_in_between_are_borne() {
        let moody = Scripted::function("moody", |request, asked| {
            if asked % 2 == 0 {
                return by_word(request, asked);
            }
            let (model, reason) = ("moody".to_owned(), "not now".to_owned());
            Err(ChatError::Model { model, reason })
        });
        let config =
            ChatJudgeConfig { concurrent: 1, max_failures: 2, ..ChatJudgeConfig::default() };
        let mut judge = ChatJudge::new(moody, config).unwrap();
        let prompt = prompt();
        let said = judge.judge(&[pair(&prompt, "gold", "bad"); 6]);
        let wins = said.iter().filter(|v| **v == Verdict::First).count();
        assert_eq!((wins, judge.model.inner().asked()), (3, 6));
    }

    #[test]
    fn settings_are_checked() {
        for config in [
            ChatJudgeConfig { concurrent: 0, ..ChatJudgeConfig::default() },
            ChatJudgeConfig { max_failures: 0, ..ChatJudgeConfig::default() },
        ] {
            assert!(ChatJudge::new(Scripted::texts("m", ["A"]), config).is_err());
        }
    }
}
