//! Scenarios from files, for settings that need no code.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chat_model::Message;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Episode, Error, FunctionScorer, FunctionTool, Limits, Sample, Scenario, Score, Scorer, Tool,
    ToolOutcome, Trace, error::parsed,
};

/// A scenario that is told in full by a file: what is said, tools with prepared results, and rules
/// that judge.
///
/// # Examples
/// ```
/// let scenario = agent_evals::FileScenario::parse("kitchen.json", r#"{
///     "name": "kitchen",
///     "system": "You run the kitchen.",
///     "tools": [{ "name": "oven", "description": "Heats.", "replies": ["hot"] }],
///     "samples": [{ "id": "bread", "input": "What do you bake?", "target": ["bread"] }],
///     "scorers": [
///         { "name": "right", "rule": "says_target" },
///         { "name": "heated", "rule": { "calls": "oven" } }
///     ]
/// }"#)?;
/// assert_eq!(scenario.samples.len(), 1);
/// # Ok::<(), agent_evals::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileScenario {
    /// Its name.
    pub name: String,
    /// What it is about, for people to read.
    #[serde(default)]
    pub about: String,
    /// The system prompt; none if empty.
    #[serde(default)]
    pub system: String,
    /// Where a sample ends at the latest.
    #[serde(default)]
    pub limits: Limits,
    /// What may be called.
    #[serde(default)]
    pub tools: Vec<FileTool>,
    /// What is asked: each sample's input is what the user says. At least one.
    pub samples: Vec<Sample>,
    /// Who judges; at least one.
    pub scorers: Vec<FileScorer>,
}

/// A tool with prepared results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTool {
    /// 1 to 64 letters, digits, `_` or `-`.
    pub name: String,
    /// What it does, for the model to read.
    pub description: String,
    /// JSON schema of its arguments; any arguments if there is none.
    #[serde(default = "anything")]
    pub parameters: Value,
    /// What it returns, call by call; the last again and again. At least one.
    pub replies: Vec<String>,
}

/// A rule under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileScorer {
    /// Its name; scores are kept by it.
    pub name: String,
    /// The rule.
    pub rule: FileRule,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRule {
    /// 1 if the last answer holds one of the sample's targets, case aside, 0 otherwise. An empty
    /// answer, and a sample without targets, is unscored.
    SaysTarget,
    /// 1 if the agent called this tool and was not refused, 0 otherwise. That it merely spoke of it
    /// does not count.
    Calls(String),
}

fn anything() -> Value {
    serde_json::json!({ "type": "object" })
}

impl FileScenario {
    /// Reads a scenario from a JSON file.
    ///
    /// # Errors
    /// [`Error::Io`]; as [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads a scenario from JSON text; `file` is what messages call it.
    ///
    /// # Errors
    /// [`Error::File`] with the line that is wrong; as [`validate`](Self::validate).
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let scenario: Self = serde_json::from_str(text).map_err(|error| Error::File {
            path: file.into(),
            line: Some(error.line() as u64),
            field: String::new(),
            reason: parsed(error),
        })?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        self.limits.validate()?;
        for (i, tool) in self.tools.iter().enumerate() {
            if tool.replies.is_empty() {
                return Err(Error::config(format!("tools[{i}].replies"), "at least one", "none"));
            }
            if !tool.parameters.is_object() {
                let field = format!("tools[{i}].parameters");
                return Err(Error::config(field, "a JSON object", &tool.parameters));
            }
        }
        if self.samples.is_empty() {
            return Err(Error::config("samples", "at least one", "none"));
        }
        if self.scorers.is_empty() {
            return Err(Error::config("scorers", "at least one", "none"));
        }
        for (i, scorer) in self.scorers.iter().enumerate() {
            if self.scorers[..i].iter().any(|s| s.name == scorer.name) {
                let found = format!("{} twice", scorer.name);
                return Err(Error::config("scorers", "names that differ", found));
            }
            let FileRule::Calls(wanted) = &scorer.rule else { continue };
            if !self.tools.iter().any(|tool| tool.name == *wanted) {
                let names = self.tools.iter().map(|t| t.name.as_str());
                return Err(Error::Unknown {
                    what: "tool",
                    name: wanted.clone(),
                    hint: crate::nearest(wanted, names),
                });
            }
        }
        Ok(())
    }
}

impl FileRule {
    fn judge(&self, trace: &Trace) -> Score {
        match self {
            Self::SaysTarget => {
                let answer = trace.answers().next_back().map_or("", |a| a.text.as_str());
                if trace.sample.target.is_empty() {
                    return Score::unscored("the sample has no target");
                }
                if answer.trim().is_empty() {
                    return Score::unscored("the last answer is empty");
                }
                let said = answer.to_lowercase();
                let found = trace.sample.target.iter().find(|t| said.contains(&t.to_lowercase()));
                let score = Score::number(f64::from(found.is_some()));
                match found {
                    Some(target) => score.because(format!("it says {target}")),
                    None => score.because("it says none of the targets"),
                }
            }
            Self::Calls(tool) => {
                let done = |outcome: &ToolOutcome| matches!(outcome, ToolOutcome::Output { .. });
                let calls = trace.calls().filter(|(c, o)| c.name == *tool && done(o)).count();
                Score::number(f64::from(calls > 0)).with("calls", calls)
            }
        }
    }
}

impl Scenario for FileScenario {
    fn name(&self) -> &str {
        &self.name
    }

    fn samples(&self) -> Result<Vec<Sample>, Error> {
        Ok(self.samples.clone())
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn scorers(&self) -> Vec<Arc<dyn Scorer>> {
        let scorer = |s: &FileScorer| {
            let rule = s.rule.clone();
            Arc::new(FunctionScorer::new(&s.name, move |trace| rule.judge(trace)))
                as Arc<dyn Scorer>
        };
        self.scorers.iter().map(scorer).collect()
    }

    fn begin<'a>(
        &'a self,
        sample: &'a Sample,
        _seed: Seed,
    ) -> BoxFuture<'a, Result<Box<dyn Episode>, Error>> {
        let mut opening = vec![Message::user(&sample.input)];
        if !self.system.is_empty() {
            opening.insert(0, Message::system(&self.system));
        }
        let episode = FileEpisode { opening, tools: self.tools.clone() };
        ready(Ok(Box::new(episode) as Box<dyn Episode>)).boxed()
    }
}

struct FileEpisode {
    opening: Vec<Message>,
    tools: Vec<FileTool>,
}

impl Episode for FileEpisode {
    fn opening(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.opening)
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let tool = |of: &FileTool| {
            let spec = chat_model::Tool {
                name: of.name.clone(),
                description: of.description.clone(),
                parameters: of.parameters.clone(),
            };
            let (replies, called) = (of.replies.clone(), AtomicUsize::new(0));
            Arc::new(FunctionTool::new(spec, move |_| {
                let n = called.fetch_add(1, Ordering::Relaxed);
                Ok(ToolOutcome::text(&replies[n.min(replies.len() - 1)]))
            })) as Arc<dyn Tool>
        };
        self.tools.iter().map(tool).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let parse = |text: &str| FileScenario::parse("s.json", text).unwrap_err().to_string();
        let whole =
            r#"{"name":"k","samples":[{"id":"a"}],"scorers":[{"name":"r","rule":"says_target"}]}"#;
        FileScenario::parse("s.json", whole).unwrap();
        for (text, says) in [
            ("{\n\"nam\": \"k\"}".to_owned(), "s.json: line 2: unknown field `nam`"),
            (whole.replace(r#"[{"id":"a"}]"#, "[]"), "samples: expected at least one, found none"),
            (
                whole.replace(r#"[{"id":"a"}]"#, r#"[{"id":7}]"#),
                "invalid type: integer `7`, expected a string",
            ),
            (
                whole.replace(r#""says_target""#, r#"{"calls":"oven"}"#),
                "expected the name of a tool, found \"oven\"",
            ),
            (whole.replace(r#""says_target""#, r#""eval""#), "unknown variant `eval`"),
        ] {
            let found = parse(&text);
            assert!(found.contains(says), "{found}");
        }
    }
}
