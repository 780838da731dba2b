//! A program of the user's as a reward.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Answer, Reward,
    process::{NoLine, Process},
};
use crate::{Error, algorithm::check};

/// Characters of a line that are shown when it is no score.
const SHOWN: usize = 80;

/// A program and how long it is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "Written")]
pub struct ProgramConfig {
    /// The program, looked for in `PATH` unless it has a slash, and its arguments. No shell reads
    /// them.
    pub command: Vec<String>,
    /// Longest wait for the next line of the program's, in seconds; above 0, at most a day.
    pub timeout_s: f64,
}

impl Default for ProgramConfig {
    /// No program, and a minute for each line.
    fn default() -> Self {
        Self { command: Vec::new(), timeout_s: 60.0 }
    }
}

/// The two forms in which a program is written.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "a list of words, or a table of command and timeout_s")]
enum Written {
    /// The program and its arguments.
    Words(Vec<String>),
    /// The same with a time limit.
    Table(Table),
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Table {
    /// The program and its arguments.
    command: Vec<String>,
    /// Longest wait for the next line of the program's, in seconds.
    timeout_s: Option<f64>,
}

impl From<Written> for ProgramConfig {
    fn from(written: Written) -> Self {
        let usual = Self::default();
        match written {
            Written::Words(command) => Self { command, ..usual },
            Written::Table(Table { command, timeout_s }) => {
                Self { command, timeout_s: timeout_s.unwrap_or(usual.timeout_s) }
            }
        }
    }
}

impl ProgramConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        let named = self.command.first().is_some_and(|program| !program.is_empty());
        check("command", named, "a program and its arguments", format!("{:?}", self.command))?;
        let (timeout, range) = (self.timeout_s, "above 0 s, at most a day");
        check("timeout_s", timeout > 0.0 && timeout <= 86_400.0, range, timeout)
    }
}

/// A program that scores answers.
///
/// It is started once and told of every answer in a line of JSON on its standard input,
///
/// ```json
/// {"id": "12", "prompt": "What the user asked", "answer": "What was said", "source": null, "ended": true}
/// ```
///
/// where `source` is the text that a summary is to be of, if any, and `ended` says whether the model
/// ended the answer. For each, in their order, it writes a line to its standard output, and flushes
/// it: `{"score": 0.5}`, or `{"error": "why there is none"}`. An `"id"` beside it must be the
/// answer's. What it writes to standard error is the user's to read.
///
/// A line that is neither leaves its answer without a score. A program that ends, is late, or says
/// more lines than it was asked for is ended with all that it started, and answers from then on have
/// no score.
#[derive(Debug)]
pub struct Program {
    name: String,
    process: Process,
    timeout: Duration,
    /// Why it is not asked any more.
    broken: Option<String>,
}

impl Program {
    /// Starts the program.
    ///
    /// # Errors
    /// [`Error::Setting`]; [`Error::Io`] if it cannot be started.
    pub fn start(config: &ProgramConfig) -> Result<Self, Error> {
        config.validate()?;
        let (name, arguments) = (&config.command[0], &config.command[1..]);
        let process = Process::start(name, arguments).map_err(|source| Error::Io {
            action: "start",
            path: name.into(),
            source,
        })?;
        let timeout = Duration::from_secs_f64(config.timeout_s);
        Ok(Self { name: format!("program {name}"), process, timeout, broken: None })
    }

    /// Ends the program; what it did is the reason of all answers to come.
    fn give_up(&mut self, did: impl FnOnce(&str) -> String) -> String {
        let how = self.process.end();
        let why = format!("reward {}: {}", self.name, did(&how));
        tracing::warn!("{why}");
        self.broken = Some(why.clone());
        why
    }

    /// Reads one line for every answer, or as many as come.
    fn replies(&mut self, answers: &[Answer<'_>]) -> Vec<Result<f64, String>> {
        let mut scores = Vec::with_capacity(answers.len());
        while scores.len() < answers.len() {
            let (done, of) = (scores.len(), answers.len());
            match self.process.line(self.timeout) {
                Ok(line) => scores.push(self.read(&line, &answers[done])),
                Err(missing) => {
                    let limit = self.timeout.as_secs_f64();
                    let why = self.give_up(|how| match missing {
                        NoLine::Ended => format!("ended ({how}) after {done} of {of} lines"),
                        NoLine::Broken(why) => format!("{why}, after {done} of {of} lines"),
                        NoLine::Late => format!(
                            "expected a line within {limit} s, found none after {done} of {of} \
                             lines; does it flush its output?"
                        ),
                    });
                    scores.resize(of, Err(why));
                }
            }
        }
        scores
    }

    /// The score of a line.
    fn read(&self, line: &str, of: &Answer<'_>) -> Result<f64, String> {
        let wrong = |found: &str| {
            let mut shown: String = found.chars().take(SHOWN).collect();
            if found.chars().count() > SHOWN {
                shown.push('…');
            }
            let expected = r#"{"score": NUMBER} or {"error": "WHY"}"#;
            format!("reward {}: expected {expected}, found {shown:?}", self.name)
        };
        let reply: Reply = serde_json::from_str(line).map_err(|_| wrong(line))?;
        if let Some(id) = reply.id.filter(|id| *id != of.prompt.id) {
            let expected = &of.prompt.id;
            return Err(format!("reward {}: expected id {expected:?}, found {id:?}", self.name));
        }
        match (reply.score, reply.error) {
            (Some(score), None) => Ok(score),
            (None, Some(why)) => Err(why),
            _ => Err(wrong(line)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    id: Option<String>,
    score: Option<f64>,
    error: Option<String>,
}

impl Reward for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Vec<Result<f64, String>> {
        if let Some(why) = &self.broken {
            return vec![Err(why.clone()); answers.len()];
        }
        // Lines would belong to other answers from here on.
        if let Ok(Some(line)) = self.process.waiting_line() {
            let why = self.give_up(|_| format!("said more lines than it was asked for: {line:?}"));
            return vec![Err(why); answers.len()];
        }
        let lines = answers.iter().map(|answer| {
            let Answer { prompt, text, ended, .. } = answer;
            let line = json!({
                "id": prompt.id, "prompt": prompt.text, "answer": text, "source": prompt.source,
                "ended": ended,
            });
            format!("{line}\n")
        });
        self.process.write(lines.collect::<String>().into_bytes());
        self.replies(answers)
    }
}
