//! GSM8K: word problems with solutions by people, as published.
//!
//! A row has a `question` and an `answer`: lines of reasoning with annotations such as `<<48/2=24>>`,
//! and a last line `#### 72`.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Chain, Form, Number, Problem};
use crate::{
    Dataset, Error, Layout, ReadOptions, Split,
    dataset::hex,
    error::Fault,
    format,
    layout::{Row, not_empty},
    read::{self, FromRow},
};

/// Reads problems from a file, JSON Lines (plain or gzip) or Parquet, that has the fields `question`
/// and `answer`.
///
/// The published file for training and that for evaluation do not say which they are; a field `split`
/// is heeded, and [`Dataset::split`] splits by the question.
///
/// # Errors
/// [`Error::Io`], [`Error::Container`], [`Error::Setting`]; [`Error::Empty`] or [`Error::NoneKept`]
/// if nothing is left; [`Error::UnknownLayout`] or [`Error::NoProblems`] for other fields;
/// [`Error::Row`] for a bad row, unless such are skipped.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset<Problem>, Error> {
    options.validate()?;
    read::read(format::open(path, options.max_line_bytes)?, options)
}

/// As [`read`], of JSON Lines held in memory; `name` stands for the file in messages.
///
/// # Errors
/// As [`read`].
///
/// # Examples
/// ```
/// use lm_tasks::{ReadOptions, reasoning::gsm8k};
///
/// let row = r#"{"question": "Two nets of 12 limes?", "answer": "2*12=<<2*12=24>>24 limes.\n#### 24"}"#;
/// let problem = &gsm8k::parse("mine.jsonl", row, &ReadOptions::default())?.items[0];
/// assert_eq!(problem.completion(), "2*12=24 limes.\nAnswer: 24");
/// assert!(problem.verify("They hold 24 limes.\n#### 24.0").is_right());
/// # Ok::<(), lm_tasks::Error>(())
/// ```
pub fn parse(name: &str, text: &str, options: &ReadOptions) -> Result<Dataset<Problem>, Error> {
    options.validate()?;
    read::read(format::text(name, text, options.max_line_bytes), options)
}

/// A published solution, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Solution {
    /// Lines of reasoning without annotations, empty ones left out.
    pub steps: Vec<String>,
    /// The annotations, in order.
    pub calculations: Vec<Calculation>,
    /// What follows `####`, in one spelling.
    pub answer: String,
}

/// An annotation, `<<expression=result>>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calculation {
    /// Index of the step that it is in.
    pub step: usize,
    /// What is calculated, as published.
    pub expression: String,
    /// What it gives, as published.
    pub result: String,
}

impl Solution {
    /// Takes a field `answer` apart; none unless it ends in `####` and a number, and all its
    /// annotations are closed.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::reasoning::gsm8k::Solution;
    ///
    /// let solution = Solution::parse("Half is 48/2=<<48/2=24>>24.\n#### 1,024").unwrap();
    /// assert_eq!(solution.steps, ["Half is 48/2=24."]);
    /// assert_eq!(solution.calculations[0].result, "24");
    /// assert_eq!(solution.answer, "1024");
    /// assert_eq!(Solution::parse("It is 24."), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        Self::checked(text).ok()
    }

    fn checked(text: &str) -> Result<Self, Fault> {
        let fault = |expected: &str, found: &str| Fault::new("answer", expected, found);
        let expected = "text that ends in #### and a number";
        let Some((reasoning, last)) = text.rsplit_once("####") else {
            return Err(fault(expected, "no ####"));
        };
        let Some(answer) = Number::read(last) else { return Err(fault(expected, last.trim())) };
        let answer = answer.to_string();
        let mut solution = Self { steps: Vec::new(), calculations: Vec::new(), answer };
        for line in reasoning.lines().filter(|line| !line.trim().is_empty()) {
            let step = solution.steps.len();
            let mut rest = line.trim();
            let mut plain = String::new();
            while let Some((before, after)) = rest.split_once("<<") {
                let Some((inner, after)) = after.split_once(">>") else {
                    return Err(fault("annotations that are closed by >>", line));
                };
                let Some((expression, result)) = inner.rsplit_once('=') else {
                    return Err(fault("annotations with a =", inner));
                };
                let (expression, result) = (expression.trim().to_owned(), result.trim().to_owned());
                solution.calculations.push(Calculation { step, expression, result });
                plain += before;
                rest = after;
            }
            solution.steps.push(plain + rest);
        }
        Ok(solution)
    }
}

impl FromRow for Problem {
    fn fits(layout: Layout) -> bool {
        layout == Layout::Gsm8k
    }

    fn from_row(row: &Row, _: Layout, _: &ReadOptions) -> Result<Self, Fault> {
        let prompt = row.text("question")?;
        let solution = Solution::checked(row.raw_text("answer")?)?;
        let split = row.get("split").and_then(Value::as_str).and_then(Split::from_published);
        let difficulty = BTreeMap::from([
            ("steps".to_owned(), solution.steps.len() as u64),
            ("calculations".to_owned(), solution.calculations.len() as u64),
        ]);
        let chain = Chain::of_lines(solution.steps);
        let key = hex(&Sha256::digest(&prompt));
        Ok(Self {
            id: row.id().unwrap_or_else(|| Self::id("gsm8k", &prompt)),
            task: "gsm8k".into(),
            split,
            prompt,
            chains: if chain.steps.is_empty() { Vec::new() } else { vec![chain] },
            wrong_chain: None,
            answer: solution.answer,
            form: Form::Number,
            difficulty,
            key,
        })
    }

    fn is_single_turn(&self) -> bool {
        true
    }

    fn misfit(file: String, found: Layout) -> Error {
        Error::NoProblems { file, found }
    }
}

/// Question and answer of a row, for those that read GSM8K as prompts.
pub(crate) fn question_and_answer(row: &Row) -> Result<(String, String), Fault> {
    let answer = Solution::checked(row.raw_text("answer")?)?.answer;
    Ok((not_empty("question", row.raw_text("question")?)?, answer))
}
