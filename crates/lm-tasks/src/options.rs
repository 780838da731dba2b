//! How a file is to be read.

use serde::{Deserialize, Serialize};

use crate::{Error, Layout};

/// How a file is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// Layout of the rows; none to tell it from the fields of the first row.
    pub layout: Option<Layout>,
    /// What to do about a row that cannot be used.
    pub bad_rows: BadRows,
    /// Which conversations to keep.
    pub turns: Turns,
    /// How a post to be summarized is put to the model.
    pub summaries: Summaries,
    /// Most items to keep, at least 1; reading stops there. None for all.
    pub limit: Option<usize>,
    /// Longest line of a text file in bytes, at least 1; a longer one is a bad row and is never held
    /// in memory. 8 MiB, far above any published row, unless set.
    pub max_line_bytes: usize,
}

impl Default for ReadOptions {
    /// Everything, strictly, in the layout that the first row shows.
    fn default() -> Self {
        Self {
            layout: None,
            bad_rows: BadRows::Refuse,
            turns: Turns::All,
            summaries: Summaries::Query,
            limit: None,
            max_line_bytes: 8 << 20,
        }
    }
}

impl ReadOptions {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        let positive = |name, value: usize| {
            if value == 0 {
                return Err(Error::Setting { name, expected: "at least 1", found: "0".into() });
            }
            Ok(())
        };
        positive("limit", self.limit.unwrap_or(1))?;
        positive("max_line_bytes", self.max_line_bytes)
    }
}

/// What to do about a row that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BadRows {
    /// The first one is an error.
    #[default]
    Refuse,
    /// They are counted and passed over; [`crate::Provenance`] shows how many and the first few.
    /// Published files hold some, such as pairs of two equal responses.
    Skip,
}

/// Which conversations to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Turns {
    /// All.
    #[default]
    All,
    /// Those whose prompt is one turn of the user, after a system text or not, and prompts that are
    /// plain text.
    Single,
}

/// How a post to be summarized is put to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Summaries {
    /// As text that ends in `TL;DR:`, for models trained on it ([`crate::Post::query`]).
    #[default]
    Query,
    /// As a request in a conversation, for models that follow instructions
    /// ([`crate::Post::request`]).
    Request,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        let message = |options: ReadOptions| options.validate().unwrap_err().to_string();
        ReadOptions::default().validate().unwrap();
        let none = ReadOptions { limit: Some(0), ..ReadOptions::default() };
        assert_eq!(message(none), "limit: expected at least 1, found 0");
        let short = ReadOptions { max_line_bytes: 0, ..ReadOptions::default() };
        assert_eq!(message(short), "max_line_bytes: expected at least 1, found 0");
    }

    #[test]
    fn options_are_read_back_and_unknown_keys_refused() {
        let options = ReadOptions {
            layout: Some(Layout::Transcripts),
            bad_rows: BadRows::Skip,
            turns: Turns::Single,
            ..ReadOptions::default()
        };
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<ReadOptions>(&text).unwrap(), options);
        assert!(serde_json::from_str::<ReadOptions>(r#"{"badrows": "skip"}"#).is_err());
    }
}
