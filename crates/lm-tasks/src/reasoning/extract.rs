//! Where in a response an answer is marked.

/// What of a response may hold its answer: all after the last thought, or none of it if the last
/// thought is never closed.
pub(crate) fn visible(response: &str) -> Option<&str> {
    let rest = response.rsplit_once("</think>").map_or(response, |(_, rest)| rest);
    (!rest.contains("<think>")).then_some(rest)
}

/// Answers that a text marks, in order, and how many lines say `Answer:`.
#[derive(Debug, PartialEq)]
pub(crate) struct Marks<'a> {
    pub(crate) answers: Vec<&'a str>,
    pub(crate) lines: usize,
}

impl<'a> Marks<'a> {
    /// Finds lines that begin with `Answer:` or `Final Answer:` (in any case, emphasized or not; the
    /// answer may be on the next line that is not empty), `#### ` and `\boxed{}`.
    pub(crate) fn find(text: &'a str) -> Self {
        let mut found: Vec<(usize, &str)> = boxed(text);
        let mut lines = 0;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            if let Some(rest) = line.rsplit_once("####").map(|(_, rest)| rest) {
                found.push((end - rest.len(), rest.trim()));
            } else if let Some(rest) = after_mark(line) {
                lines += 1;
                let next = || text[end..].lines().find(|line| !line.trim().is_empty());
                let here = undecorated(rest);
                let answer = if here.is_empty() { next().map_or("", undecorated) } else { here };
                // A line that only marks once more, and says nothing, is no answer.
                let says = !answer.is_empty() && after_mark(answer).is_none();
                found.push((end - rest.len(), if says { answer } else { "" }));
            }
            start = end;
        }
        found.retain(|(_, answer)| !answer.is_empty());
        found.sort_by_key(|&(at, _)| at);
        Self { answers: found.into_iter().map(|(_, answer)| answer).collect(), lines }
    }
}

/// What follows the mark on a line that begins with one.
fn after_mark(line: &str) -> Option<&str> {
    const DECORATION: &str = "*_#>- \t";
    const MARK: &str = "answer";
    let line = line.trim_start_matches(|c| DECORATION.contains(c)).trim_end();
    let line = without_word(line, "the").unwrap_or(line);
    let (is_final, line) = match without_word(line, "final") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let rest = line.get(MARK.len()..).filter(|_| line[..MARK.len()].eq_ignore_ascii_case(MARK))?;
    let rest = rest.trim_start_matches(|c| DECORATION.contains(c));
    rest.strip_prefix([':', '：'])
        .or_else(|| without_word(rest, "is").filter(|_| is_final))
        .or_else(|| (is_final && rest.is_empty()).then_some(rest))
}

fn without_word<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.get(word.len()..).filter(|_| line[..word.len()].eq_ignore_ascii_case(word))?;
    rest.starts_with(' ').then(|| rest.trim_start())
}

/// A text without the marks of emphasis around it.
fn undecorated(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || "*_`".contains(c))
}

/// Contents of `\boxed{}` whose braces close, with their places, in one pass.
fn boxed(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut open: Vec<(usize, bool)> = Vec::new();
    for (i, c) in text.char_indices() {
        match c {
            '{' => open.push((i + 1, text[..i].ends_with("\\boxed"))),
            '}' => {
                if let Some((start, true)) = open.pop() {
                    found.push((start, text[start..i].trim()));
                }
            }
            _ => {}
        }
    }
    found
}

/// A text as answers in words are compared: in lower case, with single spaces, without article,
/// emphasis, quotes, or a full stop.
pub(crate) fn plain_words(text: &str) -> String {
    let text =
        text.trim().strip_prefix("\\text{").and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let text = text.to_lowercase();
    let text = text.trim_matches(|c: char| c.is_whitespace() || "*_`\"'“”‘’.,;:!?".contains(c));
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if words.len() > 1 && ["a", "an", "the"].contains(&words[0]) {
        words.remove(0);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn last(text: &str) -> Option<&str> {
        Marks::find(text).answers.last().copied()
    }

    #[test]
    fn marks_of_many_kinds() {
        for (text, expected) in [
            ("Answer: 42", Some("42")),
            ("so\n answer : 42 \nBye", Some("42")),
            ("**Answer:** 42", Some("42")),
            ("**Answer: 42**", Some("42")),
            ("### Final Answer\n\n42\n", Some("42")),
            ("**Final Answer:**\n\\boxed{42}", Some("42")),
            ("The final answer is 42.", Some("42.")),
            ("FINAL ANSWER: $42", Some("$42")),
            ("Answer： 42", Some("42")),
            ("x\n#### 42", Some("42")),
            ("#### 41\n#### 42", Some("42")),
            ("so \\boxed{41} no, \\boxed{ 42 }.", Some("42")),
            ("\\boxed{\\frac{1}{2}}", Some("\\frac{1}{2}")),
            ("\\boxed{42} then Answer: 5", Some("42")),
            ("\\boxed{41}\nAnswer: 42", Some("42")),
            ("Answer: 42\nAnswer:", Some("42")),
            ("Answer:\nAnswer: 42", Some("42")),
            ("\\boxed{42", None),
            ("Answer:", None),
            ("Answer: **", None),
            ("The answer was 42", None),
            ("My Answer: 42", None),
            ("Answers: 42", None),
            ("", None),
            ("答案：42", None),
        ] {
            assert_eq!(last(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_are_counted_also_when_empty() {
        assert_eq!(Marks::find("Answer: 1\nAnswer: 2\n\\boxed{3}").lines, 2);
        assert_eq!(Marks::find("Answer:\nanswer:").lines, 2);
        assert_eq!(Marks::find("no").lines, 0);
    }

    #[test]
    fn thoughts_hold_no_answer() {
        assert_eq!(visible("a"), Some("a"));
        assert_eq!(visible("<think>Answer: 1</think>b"), Some("b"));
        assert_eq!(visible("Answer: 1</think>b"), Some("b"));
        assert_eq!(visible("<think>a</think>b<think>Answer: 1"), None);
        assert_eq!(visible("<think>Answer: 1"), None);
    }

    #[test]
    fn words_are_compared_whole() {
        for text in
            ["Drawer", " the drawer. ", "**drawer**", "“Drawer”", "\\text{drawer}", "A  drawer"]
        {
            assert_eq!(plain_words(text), "drawer", "{text}");
        }
        assert_eq!(plain_words("top  drawer"), "top drawer");
        assert_eq!(plain_words("the"), "the");
        assert_ne!(plain_words("in the drawer"), "drawer");
        assert_eq!(plain_words("…"), "…");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = (visible(&text).map(Marks::find), plain_words(&text));
        }

        #[test]
        fn odd_text_is_answered(text in "((final|the|answer|is|:|：|#### |\\\\boxed|\\{|\\}|\n|\\*| |é|5)){0,20}") {
            let marks = Marks::find(&text);
            prop_assert!(marks.answers.iter().all(|answer| !answer.is_empty()));
        }
    }
}
