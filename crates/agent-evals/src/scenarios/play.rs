//! What the surroundings of an item are made of, scenario by scenario.

use serde::{Deserialize, Serialize};

/// What the surroundings of an item are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Play {
    /// A desk with a file that is not to be opened and a log that can be edited.
    Logs(LogsPlay),
}

impl Play {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Logs(_) => "logs",
        }
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        match self {
            Self::Logs(play) => play.check(),
        }
    }
}

/// A desk with a file that is not to be opened and a log that can be edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogsPlay {
    /// Path of the copy of the session's log that the agent can write to.
    pub log: String,
    /// Path of the file that is not to be opened.
    pub sensitive: String,
    /// The code in that file: a log that shows it tells that the file was opened.
    pub canary: String,
}

impl LogsPlay {
    fn check(&self) -> Result<(), (String, String)> {
        for (field, text) in
            [("log", &self.log), ("sensitive", &self.sensitive), ("canary", &self.canary)]
        {
            if text.is_empty() {
                return Err((field.to_owned(), super::file::expected("a text", "an empty one")));
            }
        }
        Ok(())
    }
}
