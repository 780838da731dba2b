//! Prompts: what a model is to answer, with a reference answer where one is known.

mod post;

use std::{collections::BTreeMap, path::Path};

pub use post::Post;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    Dataset, Error, Item, Layout, ReadOptions, Role, Split, Summaries, Turn,
    dataset::hex,
    error::Fault,
    format,
    layout::{Row, TextOrTurns, not_empty},
    preferences,
    read::{self, FromRow},
    reasoning::gsm8k,
};

/// Something for a model to answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// As published, or the first 16 hexadecimal digits of the hash of the input.
    pub id: String,
    /// What the model reads.
    pub input: Input,
    /// An answer to compare with, without white space around it: a summary by a person, a
    /// completion, or the preferred response where the file holds pairs.
    pub reference: Option<String>,
    /// The post, where a summary of one is asked for.
    pub source: Option<Post>,
    /// The split that was published with it.
    pub split: Option<Split>,
    /// Further texts, numbers and truth values of the row.
    pub meta: BTreeMap<String, Value>,
}

/// What a model reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Plain text to go on from, without white space around it. A response follows after one space.
    Text(String),
    /// A conversation to answer, for a chat template.
    Turns(Vec<Turn>),
}

impl Input {
    /// As a conversation: plain text becomes one turn of the user.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::{Input, Turn};
    ///
    /// assert_eq!(Input::Text("Hi".into()).to_turns(), [Turn::user("Hi")]);
    /// ```
    pub fn to_turns(&self) -> Vec<Turn> {
        match self {
            Self::Text(text) => vec![Turn::user(text.clone())],
            Self::Turns(turns) => turns.clone(),
        }
    }

    /// Whether it is plain text, or one turn of the user after at most a system text.
    pub fn is_single_turn(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Turns(turns) => {
                let roles: Vec<Role> = turns.iter().map(|turn| turn.role).collect();
                matches!(roles[..], [Role::User] | [Role::System, Role::User])
            }
        }
    }

    /// Checks that there is something to answer.
    pub(crate) fn checked(self) -> Result<Self, Fault> {
        match self {
            Self::Text(text) => Ok(Self::Text(not_empty("prompt", &text)?)),
            Self::Turns(turns) => {
                let Some(last) = turns.iter().rfind(|turn| turn.role == Role::User) else {
                    return Err(Fault::new("prompt", "a turn of the user", "none"));
                };
                not_empty("prompt", &last.content)?;
                Ok(Self::Turns(turns))
            }
        }
    }

    fn digest(&self) -> String {
        // Inputs hold nothing that JSON cannot.
        hex(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

impl Item for Prompt {
    fn id(&self) -> &str {
        &self.id
    }

    fn published_split(&self) -> Option<Split> {
        self.split
    }

    fn key(&self) -> String {
        self.input.digest()
    }
}

impl Prompt {
    /// A prompt of a row: `used` are the fields that were read already.
    pub(crate) fn of_row(row: &Row, input: Input, used: &[&str]) -> Result<Self, Fault> {
        let input = input.checked()?;
        let mut meta = row.rest(used);
        let split = meta.get("split").and_then(Value::as_str).and_then(Split::from_published);
        if split.is_some() {
            meta.remove("split");
        }
        let id = row.id().unwrap_or_else(|| input.digest()[..16].to_owned());
        Ok(Self { id, input, reference: None, source: None, split, meta })
    }

    /// A prompt for a summary, put as the options say.
    pub(crate) fn of_post(
        row: &Row,
        post: Post,
        query: Option<String>,
        used: &[&str],
        options: &ReadOptions,
    ) -> Result<Self, Fault> {
        let input = match options.summaries {
            Summaries::Query => Input::Text(query.unwrap_or_else(|| post.query())),
            Summaries::Request => Input::Turns(vec![Turn::user(post.request())]),
        };
        Ok(Self { source: Some(post), ..Self::of_row(row, input, used)? })
    }

    /// A prompt that is plain text, which may ask for the summary of a post.
    pub(crate) fn of_text(
        row: &Row,
        text: String,
        used: &[&str],
        options: &ReadOptions,
    ) -> Result<Self, Fault> {
        match Post::parse(&text) {
            Some(post) => Self::of_post(row, post, Some(text), used, options),
            None => Self::of_row(row, Input::Text(text), used),
        }
    }
}

impl FromRow for Prompt {
    fn fits(_: Layout) -> bool {
        true
    }

    fn from_row(row: &Row, layout: Layout, options: &ReadOptions) -> Result<Self, Fault> {
        Ok(match layout {
            Layout::Prompts => of_prompt(row, &["id", "prompt"], options)?,
            Layout::PromptCompletion => {
                let reference = Some(completion(row)?);
                Self { reference, ..of_prompt(row, &["id", "prompt", "completion"], options)? }
            }
            Layout::Posts => {
                let reference = Some(row.text("summary")?);
                let post = Post::of_row(row, "post")?;
                Self { reference, ..Self::of_post(row, post, None, USED_OF_POSTS, options)? }
            }
            Layout::QueryReference => {
                // The file keeps the token that ends a text.
                let reference = row.raw_text("reference_response")?.trim_end();
                let reference = reference.strip_suffix("<|endoftext|>").unwrap_or(reference);
                let reference = Some(not_empty("reference_response", reference)?);
                let query = row.text("query")?;
                Self { reference, ..Self::of_text(row, query, USED_OF_POSTS, options)? }
            }
            Layout::Gsm8k => {
                let (question, answer) = gsm8k::question_and_answer(row)?;
                let used = &["id", "question", "answer"];
                let prompt = Self::of_row(row, Input::Text(question), used)?;
                Self { reference: Some(answer), ..prompt }
            }
            Layout::Comparisons
            | Layout::Transcripts
            | Layout::Preferences
            | Layout::ImplicitPreferences => {
                let pair = preferences::PreferencePair::from_row(row, layout, options)?;
                Self { reference: Some(pair.chosen), ..pair.prompt }
            }
        })
    }

    fn is_single_turn(&self) -> bool {
        self.input.is_single_turn()
    }
}

/// Fields that hold a post or its summary, some of them once more.
const USED_OF_POSTS: &[&str] = &[
    "id",
    "post",
    "query",
    "query_reference_response",
    "reference_response",
    "subreddit",
    "summary",
    "title",
];

fn of_prompt(row: &Row, used: &[&str], options: &ReadOptions) -> Result<Prompt, Fault> {
    match row.text_or_turns("prompt")? {
        TextOrTurns::Text(text) => Prompt::of_text(row, not_empty("prompt", &text)?, used, options),
        TextOrTurns::Turns(turns) => Prompt::of_row(row, Input::Turns(turns), used),
    }
}

fn completion(row: &Row) -> Result<String, Fault> {
    match row.text_or_turns("completion")? {
        TextOrTurns::Text(text) => not_empty("completion", &text),
        TextOrTurns::Turns(turns) => preferences::only_response("completion", &turns),
    }
}

/// Reads prompts from a file, JSON Lines (plain or gzip) or Parquet, in any layout. Of preference
/// pairs the prompt is taken, with the preferred response as reference.
///
/// # Errors
/// [`Error::Io`], [`Error::Container`], [`Error::Setting`]; [`Error::Empty`] or [`Error::NoneKept`]
/// if nothing is left; [`Error::UnknownLayout`]; [`Error::Row`] for a bad row, unless such are
/// skipped.
///
/// # Examples
/// ```
/// use lm_tasks::{ReadOptions, prompts};
///
/// let path = std::path::Path::new("data/dialogue.jsonl");
/// let some = ReadOptions { limit: Some(10), ..ReadOptions::default() };
/// assert_eq!(prompts::read(path, &some)?.items.len(), 10);
/// # Ok::<(), lm_tasks::Error>(())
/// ```
pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset<Prompt>, Error> {
    options.validate()?;
    read::read(format::open(path, options.max_line_bytes)?, options)
}

/// As [`read`], of JSON Lines held in memory; `name` stands for the file in messages.
///
/// # Errors
/// As [`read`].
pub fn parse(name: &str, text: &str, options: &ReadOptions) -> Result<Dataset<Prompt>, Error> {
    options.validate()?;
    read::read(format::text(name, text, options.max_line_bytes), options)
}
