//! How an answer is written, and whether a response gives it.

use serde::{Deserialize, Serialize};

use super::{
    Number,
    extract::{Marks, plain_words, visible},
};

/// How an answer is written, and so how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Form {
    /// A number, in whatever spelling ([`Number`]), marked by a line `Answer:` or `Final Answer:`, by
    /// `####` or by `\boxed{}`. Where nothing is marked, the last number may still be right.
    Number,
    /// Words, compared whole but for case, article, emphasis and a full stop, marked as a number is.
    /// Where nothing is marked, the last line may still be right.
    Words,
    /// The digits between the last `=` and a `;` that ends the response, character for character.
    LastSum {
        /// Digits of the answer. There may be three times as many between the signs, of which the
        /// last third is the answer. None for any number of digits, all of them the answer.
        width: Option<usize>,
    },
}

impl Form {
    /// What follows a chain of thought that leads to an answer.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::reasoning::Form;
    ///
    /// assert_eq!(Form::Number.closing("42"), "Answer: 42");
    /// assert_eq!(Form::LastSum { width: None }.closing("42"), "", "the chain ends in it");
    /// ```
    pub fn closing(self, answer: &str) -> String {
        match self {
            Self::Number | Self::Words => format!("Answer: {answer}"),
            Self::LastSum { .. } => String::new(),
        }
    }

    /// The response that gives an answer with no chain of thought.
    pub fn direct(self, answer: &str) -> String {
        match self {
            Self::Number | Self::Words => self.closing(answer),
            Self::LastSum { .. } => format!("={answer};"),
        }
    }

    /// A sentence that asks for this form; none where no model that reads sentences is meant.
    pub fn instruction(self) -> Option<&'static str> {
        match self {
            Self::Number => Some("End with a line \"Answer: N\", where N is a number."),
            Self::Words => Some("End with a line \"Answer: \" followed by the answer alone."),
            Self::LastSum { .. } => None,
        }
    }

    /// Whether a response gives an answer. What is thought between `<think>` and `</think>` does not
    /// count, and a thought that is never closed holds no answer.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::reasoning::{Form, Grade};
    ///
    /// let verdict = Form::Number.verify("1250", "50 × 25 = 1250.\nAnswer: $1,250.00");
    /// assert_eq!(verdict.grade(), Grade::Right);
    /// let verdict = Form::Number.verify("1250", "It is 1250.");
    /// assert_eq!(verdict.grade(), Grade::Unformatted);
    /// assert!(verdict.fallback.unwrap().right);
    /// assert_eq!(Form::Words.verify("box", "Answer: the box or the bag").grade(), Grade::Wrong);
    /// ```
    pub fn verify(self, answer: &str, response: &str) -> Verdict {
        let Some(text) = visible(response) else { return Verdict::default() };
        match self {
            Self::Number => {
                let expected = Number::read(answer);
                let right = |found: &Option<Number>| found.is_some() && *found == expected;
                let marks = Marks::find(text);
                let marked = marks.answers.last().map(|marked| Extracted {
                    text: (*marked).to_owned(),
                    right: right(&Number::stated(marked)),
                });
                let fallback = Number::last(text)
                    .map(|n| Extracted { text: n.to_string(), right: right(&Some(n)) });
                Verdict { marked, fallback, marks: marks.lines }
            }
            Self::Words => {
                let expected = plain_words(answer);
                let extracted = |found: &str| Extracted {
                    text: found.to_owned(),
                    right: plain_words(found) == expected,
                };
                let marks = Marks::find(text);
                let marked = marks.answers.last().map(|marked| extracted(marked));
                let last = text.lines().rfind(|line| !line.trim().is_empty());
                Verdict { marked, fallback: last.map(|l| extracted(l.trim())), marks: marks.lines }
            }
            Self::LastSum { width } => {
                let marked = last_sum(text, width)
                    .map(|sum| Extracted { text: sum.to_owned(), right: sum == answer });
                Verdict { marks: usize::from(marked.is_some()), marked, fallback: None }
            }
        }
    }
}

fn last_sum(text: &str, width: Option<usize>) -> Option<&str> {
    let (_, sum) = text.trim_end().strip_suffix(';')?.rsplit_once('=')?;
    if sum.is_empty() || !sum.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match width {
        Some(width) if sum.len() == width || Some(sum.len()) == width.checked_mul(3) => {
            Some(&sum[sum.len() - width..])
        }
        Some(_) => None,
        None => Some(sum),
    }
}

/// What was found in a response, and whether it is the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The answer that the response marks last; none if it marks none.
    pub marked: Option<Extracted>,
    /// What a lenient reader would take: the last number, or the last line.
    pub fallback: Option<Extracted>,
    /// How many lines mark an answer; an honest response has one at most.
    pub marks: usize,
}

/// A piece of a response that may be its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Extracted {
    /// As the response has it, without the marks around it; of a last number, its one spelling.
    pub text: String,
    /// Whether it is the answer.
    pub right: bool,
}

/// A verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The marked answer is right.
    Right,
    /// The marked answer is wrong, or is nothing that could be right.
    Wrong,
    /// No answer is marked.
    Unformatted,
}

impl Verdict {
    /// The verdict in one word.
    pub fn grade(&self) -> Grade {
        match &self.marked {
            Some(Extracted { right: true, .. }) => Grade::Right,
            Some(_) => Grade::Wrong,
            None => Grade::Unformatted,
        }
    }

    /// Whether the marked answer is right: what accuracy counts.
    pub fn is_right(&self) -> bool {
        self.grade() == Grade::Right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let grade = |response| Form::Number.verify("-12.5", response).grade();
        assert_eq!(grade("Answer: -12.50"), Grade::Right);
        assert_eq!(grade("\\boxed{-12.5\\%}"), Grade::Right);
        assert_eq!(grade("Answer: 12.5"), Grade::Wrong);
        assert_eq!(grade("Answer: -12.5 or 3"), Grade::Wrong);
        assert_eq!(grade("Answer: minus twelve"), Grade::Wrong);
        assert_eq!(grade("-12.5"), Grade::Unformatted);
        assert_eq!(grade("<think>Answer: -12.5"), Grade::Unformatted);
        assert_eq!(grade(""), Grade::Unformatted);
        // What is not a number is never right, whatever is looked for.
        assert_eq!(Form::Number.verify("x", "Answer: x").grade(), Grade::Wrong);
        // Digits of other scripts are not read.
        assert_eq!(Form::Number.verify("3", "Answer: ٣").grade(), Grade::Wrong);
    }

    #[test]
    fn words() {
        let verify = |response| Form::Words.verify("drawer", response);
        assert!(verify("Answer: The drawer.").is_right());
        // Containing an answer is not giving it.
        assert_eq!(verify("Answer: not the drawer").grade(), Grade::Wrong);
        let bare = verify("Hm.\n\nDrawer\n");
        assert_eq!(bare.grade(), Grade::Unformatted);
        assert_eq!(bare.fallback, Some(Extracted { text: "Drawer".into(), right: true }));
        assert_eq!(verify("").fallback, None);
        assert_eq!(verify("Answer: box\nAnswer: drawer").marks, 2);
    }

    #[test]
    fn sums() {
        let grade = |width, response| Form::LastSum { width }.verify("046", response).grade();
        assert_eq!(grade(Some(3), "S123+923=046;"), Grade::Right);
        assert_eq!(grade(Some(3), "L123+923=060410046;"), Grade::Right);
        assert_eq!(grade(Some(3), "=046;"), Grade::Right);
        assert_eq!(grade(Some(3), "S123+923=046;123+923=047;"), Grade::Wrong);
        for cut_off in
            ["S123+923=046", "S123+923=46;", "S123+923=0046;", "046;", "=;", ";", "", "=04x;"]
        {
            assert_eq!(grade(Some(3), cut_off), Grade::Unformatted, "{cut_off}");
        }
        assert_eq!(grade(None, "=46;"), Grade::Wrong);
        assert_eq!(grade(None, "1+45=046;"), Grade::Right);
        assert_eq!(grade(Some(usize::MAX), "=046;"), Grade::Unformatted);
        assert_eq!(grade(Some(0), "=046;"), Grade::Unformatted);
    }

    #[test]
    fn what_is_given_is_found() {
        for (form, answer) in [
            (Form::Number, "42"),
            (Form::Words, "red box"),
            (Form::LastSum { width: None }, "17"),
            (Form::LastSum { width: Some(2) }, "07"),
        ] {
            assert!(form.verify(answer, &form.direct(answer)).is_right(), "{form:?}");
        }
    }
}
