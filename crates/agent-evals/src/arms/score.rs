//! From what happened in an arm to an outcome, or to why there is none.

use std::sync::Arc;

use chat_model::{ChatModel, ToolCall};
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::{Map, Value, json};

use super::{code, parse};
use crate::{
    Score, Scorer, ToolOutcome, Trace, Verdict,
    analysis::{Arm, Failure},
    scenarios::{Condition, Definition, Item},
};

/// Name of the score that an arm gives.
pub const ARM_SCORE: &str = "arm";

/// Judges an arm: the outcome's value, with its id as the answer.
///
/// What there is no outcome for is unscored, with its [`Failure`] as the metadata `failure`. A forecast
/// is scored as its expectation, with the probabilities as `forecast`.
pub(super) struct ArmScorer {
    pub(super) definition: Arc<Definition>,
    pub(super) arm: Arm,
    pub(super) condition: Condition,
    pub(super) coders: Vec<Arc<dyn ChatModel>>,
}

impl Scorer for ArmScorer {
    fn name(&self) -> &str {
        ARM_SCORE
    }

    fn score<'a>(&'a self, trace: &'a Trace) -> BoxFuture<'a, Score> {
        self.judge(trace).boxed()
    }
}

impl ArmScorer {
    async fn judge(&self, trace: &Trace) -> Score {
        if self.arm == Arm::Qs {
            return self.shared(trace);
        }
        let id = trace.sample.metadata.get("item").and_then(Value::as_str);
        let item = match self.definition.item(id.unwrap_or(&trace.sample.id)) {
            Ok(item) => item,
            Err(error) => return Score::error(error.to_string()),
        };
        match self.arm {
            Arm::Q0f => self.coded(item, trace).await,
            Arm::Qp | Arm::Sp => self.forecast(trace),
            arm if arm.is_stated() => self.chosen(trace),
            arm if !arm.is_live() => self.imagined(item, trace).await,
            arm if !arm.is_long() && made(trace).next().is_none() => no_call(trace),
            _ => enacted(self.definition.enacted(item, trace.evidence(), false)),
        }
    }

    /// Answers to the questions of one conversation, as the metadata `answers`; their mean is the score.
    fn shared(&self, trace: &Trace) -> Score {
        let questions = trace.sample.metadata.get("questions").and_then(Value::as_array);
        let mut said = trace.answers();
        let mut answers = Vec::new();
        let mut values = Vec::new();
        for question in questions.into_iter().flatten() {
            let Some((options, labels)) = shown(question) else {
                return Score::error("the sample does not say what its options are");
            };
            // A limit may have ended the conversation before it was put.
            let text = said.next().map_or("", |answer| answer.text.as_str());
            let answer = match parse::letter(text, &labels) {
                Ok(place) => {
                    let found = self.outcome(&options[place]);
                    let Verdict::Scored(value) = found.verdict else { return found };
                    values.push(value);
                    json!({ "outcome": options[place], "value": value })
                }
                Err(failure) => json!({ "failure": failure }),
            };
            answers.push(answer);
        }
        match values.len() {
            0 => failed(Failure::NoLetter),
            n => Score::number(values.iter().sum::<f64>() / n as f64),
        }
        .with("answers", answers)
    }

    fn chosen(&self, trace: &Trace) -> Score {
        let Some((options, labels)) = shown_in(trace) else {
            return Score::error("the sample does not say what its options are");
        };
        match parse::letter(said(trace), &labels) {
            Ok(place) => self.outcome(&options[place]),
            Err(failure) => failed(failure),
        }
    }

    fn forecast(&self, trace: &Trace) -> Score {
        let Some((options, labels)) = shown_in(trace) else {
            return Score::error("the sample does not say what its options are");
        };
        let probabilities = match parse::probabilities(said(trace), &labels) {
            Ok(probabilities) => probabilities,
            Err(failure) => return failed(failure),
        };
        let mut expected = 0.0;
        let mut forecast = Map::new();
        // In the definition's order, whatever was shown.
        for outcome in &self.definition.outcomes {
            let place = options.iter().position(|id| *id == outcome.id);
            let p = place.map_or(0.0, |place| probabilities[place]);
            expected += p * outcome.value;
            forecast.insert(outcome.id.clone(), p.into());
        }
        Score::number(expected).with("forecast", forecast)
    }

    async fn coded(&self, item: &Item, trace: &Trace) -> Score {
        let text = said(trace);
        let fill = |text: &str| self.definition.fill(text, item, self.condition);
        let descriptions: Vec<String> =
            self.definition.outcomes.iter().map(|o| fill(&o.description)).collect();
        let descriptions: Vec<&str> = descriptions.iter().map(String::as_str).collect();
        let failure = match code::by_rules(text, &descriptions) {
            Ok(place) => return self.place(place).with("coder", "rules"),
            Err(failure) => failure,
        };
        if self.coders.is_empty() || failure == Failure::Refused {
            return failed(failure);
        }
        let situation = self.definition.description(item, self.condition, 0);
        let mut codes = Vec::new();
        for coder in &self.coders {
            match code::by_model(coder, &situation, text, &descriptions).await {
                Ok(code) => codes.push(code),
                Err(error) => return Score::error(format!("coder {}: {error}", coder.model())),
            }
        }
        let agreed = codes[0].filter(|_| codes.iter().all(|c| *c == codes[0]));
        let shown: Vec<Value> = codes.iter().map(|c| c.map_or(Value::Null, Value::from)).collect();
        match agreed {
            Some(place) => self.place(place).with("coder", "models"),
            None => failed(failure),
        }
        .with("codes", shown)
    }

    async fn imagined(&self, item: &Item, trace: &Trace) -> Score {
        let mut made = made(trace);
        let mut calls = self.definition.lead_up_calls(item, self.condition);
        if self.arm.is_long() {
            calls.extend(made.cloned());
        } else {
            let Some(first) = made.next() else { return no_call(trace) };
            calls.push(first.clone());
        }
        match self.definition.imagine(item, self.condition, &calls).await {
            Ok(state) => enacted(self.definition.enacted(item, &state, false)),
            Err(error) => Score::error(error.to_string()),
        }
    }

    fn outcome(&self, id: &str) -> Score {
        match self.definition.outcomes.iter().position(|o| o.id == id) {
            Some(place) => self.place(place),
            None => Score::error(format!("expected an outcome of the scenario, found {id:?}")),
        }
    }

    fn place(&self, place: usize) -> Score {
        let outcome = &self.definition.outcomes[place];
        let mut score = Score::number(outcome.value);
        score.answer = Some(outcome.id.clone());
        score
    }
}

/// The options that a question shows, in their order, and their labels.
fn shown(question: &Value) -> Option<(Vec<String>, Vec<char>)> {
    let options = question.get("options")?.as_array()?;
    let options: Option<Vec<String>> =
        options.iter().map(|id| id.as_str().map(str::to_owned)).collect();
    let labels: Vec<char> = question.get("labels")?.as_str()?.chars().collect();
    options.filter(|o| o.len() == labels.len()).map(|options| (options, labels))
}

fn shown_in(trace: &Trace) -> Option<(Vec<String>, Vec<char>)> {
    shown(&Value::Object(trace.sample.metadata.clone()))
}

/// Calls that could be read, oldest first.
fn made(trace: &Trace) -> impl Iterator<Item = &ToolCall> {
    let could =
        |(_, outcome): &(&ToolCall, &ToolOutcome)| matches!(outcome, ToolOutcome::Output { .. });
    trace.calls().filter(could).map(|(call, _)| call)
}

fn no_call(trace: &Trace) -> Score {
    let refused = parse::is_refusal(said(trace));
    failed(if refused { Failure::Refused } else { Failure::NoCall })
}

/// What the model said last.
fn said(trace: &Trace) -> &str {
    trace.answers().next_back().map_or("", |answer| answer.text.as_str())
}

/// A score of what was done, under the names of arms.
fn enacted(mut score: Score) -> Score {
    if let Verdict::Unscored(_) = score.verdict {
        score = score.with("failure", name(Failure::Unscored));
    }
    score
}

pub(super) fn failed(failure: Failure) -> Score {
    let reason = match failure {
        Failure::Refused => "declined to answer",
        Failure::NoLetter => "named no option",
        Failure::SeveralLetters => "named more than one option",
        Failure::Probabilities => {
            "expected a probability for each option that sum to one, found something else"
        }
        Failure::Uncoded => "the answer fits no outcome",
        Failure::NoCall => "made no call that could be read",
        Failure::Unscored => "the scenario's judge could not judge",
        Failure::Broken => "something broke",
    };
    Score::unscored(reason).with("failure", name(failure))
}

fn name(failure: Failure) -> Value {
    serde_json::to_value(failure).unwrap_or_default()
}
