//! Preference pairs: two responses to the same prompt, one of which is preferred.

mod pair;
mod transcript;

use std::path::Path;

pub use pair::PreferencePair;
pub(crate) use pair::only_response;
pub use transcript::parse_transcript;

use crate::{Dataset, Error, ReadOptions, format, read};

/// Reads preference pairs from a file, JSON Lines (plain or gzip) or Parquet.
///
/// # Errors
/// [`Error::NoPairs`] if the layout holds none, else as [`crate::prompts::read`].
///
/// # Examples
/// ```
/// use lm_tasks::{ReadOptions, preferences};
///
/// let path = std::path::Path::new("data/preferences.jsonl");
/// let pairs = preferences::read(path, &ReadOptions::default())?;
/// assert!(pairs.items.iter().all(|pair| pair.chosen != pair.rejected));
/// # Ok::<(), lm_tasks::Error>(())
/// ```
pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset<PreferencePair>, Error> {
    options.validate()?;
    read::read(format::open(path, options.max_line_bytes)?, options)
}

/// As [`read`], of JSON Lines held in memory; `name` stands for the file in messages.
///
/// # Errors
/// As [`read`].
pub fn parse(
    name: &str,
    text: &str,
    options: &ReadOptions,
) -> Result<Dataset<PreferencePair>, Error> {
    options.validate()?;
    read::read(format::text(name, text, options.max_line_bytes), options)
}
