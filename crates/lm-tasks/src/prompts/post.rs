//! Posts that are to be summarized.

use serde::{Deserialize, Serialize};

use crate::{error::Fault, layout::Row};

/// A post to be summarized, without white space around its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    /// Where it was posted.
    pub subreddit: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// What it says.
    pub body: String,
}

const SUBREDDIT: &str = "SUBREDDIT: r/";
const TITLE: &str = "TITLE: ";
const POST: &str = "POST: ";
const END: &str = "TL;DR:";

impl Post {
    /// The text that models trained on TL;DR go on from: subreddit, title and post with their names
    /// before them, then `TL;DR:`. Source: arXiv 2009.01325, appendix.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::Post;
    ///
    /// let post = Post {
    ///     subreddit: Some("pets".into()),
    ///     title: Some("My cat moved out".into()),
    ///     body: "He lives next door now.".into(),
    /// };
    /// let query = "SUBREDDIT: r/pets\n\nTITLE: My cat moved out\n\nPOST: He lives next door now.\n\nTL;DR:";
    /// assert_eq!(post.query(), query);
    /// assert_eq!(Post::parse(query), Some(post));
    /// ```
    pub fn query(&self) -> String {
        let part = |name, text: &Option<String>| {
            text.as_ref().map(|text| format!("{name}{text}\n\n")).unwrap_or_default()
        };
        let (subreddit, title) = (part(SUBREDDIT, &self.subreddit), part(TITLE, &self.title));
        format!("{subreddit}{title}{POST}{}\n\n{END}", self.body)
    }

    /// A request for a summary, for a model that follows instructions.
    pub fn request(&self) -> String {
        let title = self.title.as_ref().map(|title| format!("{title}\n\n")).unwrap_or_default();
        format!("Summarize this post in one sentence.\n\n{title}{}", self.body)
    }

    /// The post in a text of the form that [`Post::query`] gives; none if it is of another.
    pub fn parse(query: &str) -> Option<Self> {
        let text = query.trim().strip_suffix(END)?;
        let (subreddit, text) = part(SUBREDDIT, text)?;
        let (title, text) = part(TITLE, text)?;
        let body = text.strip_prefix(POST)?.trim();
        (!body.is_empty()).then(|| Self { subreddit, title, body: body.to_owned() })
    }

    /// The post of a row whose body is in `field`.
    pub(crate) fn of_row(row: &Row, field: &str) -> Result<Self, Fault> {
        Ok(Self {
            subreddit: row.text_if_any("subreddit")?,
            title: row.text_if_any("title")?,
            body: row.text(field)?,
        })
    }
}

/// A part that may be absent, and what comes after it.
fn part<'a>(name: &str, text: &'a str) -> Option<(Option<String>, &'a str)> {
    let Some(rest) = text.strip_prefix(name) else { return Some((None, text)) };
    let (part, rest) = rest.split_once("\n\n")?;
    let part = part.trim();
    Some(((!part.is_empty()).then(|| part.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_may_be_absent() {
        let body = Post::parse("POST: a\n\nb\n\nTL;DR:").unwrap();
        assert_eq!(body, Post { subreddit: None, title: None, body: "a\n\nb".into() });
        let empty_title = Post::parse("SUBREDDIT: r/x\n\nTITLE: \n\nPOST: a\n\nTL;DR: ").unwrap();
        assert_eq!(empty_title.title, None);
        assert_eq!(empty_title.request(), "Summarize this post in one sentence.\n\na");
        for other in ["", "TL;DR:", "POST: \n\nTL;DR:", "POST: a", "Hello\n\nTL;DR:"] {
            assert_eq!(Post::parse(other), None, "{other}");
        }
    }
}
