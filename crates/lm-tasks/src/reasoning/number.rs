//! Numbers as people and models write them, compared without arithmetic and so without limits.

use serde::Serialize;

/// A decimal number in one spelling: no sign of plus, no grouping, no zeros that say nothing.
///
/// Of any length, since it is never computed with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Number(String);

impl Number {
    /// Reads a text that is one number, with at most a currency before it, a unit without digits
    /// after it, and marks of emphasis or mathematics around it.
    ///
    /// Digits are ASCII; commas count only between groups of three. A percentage is its number: 50 %
    /// reads as 50. Powers of ten (`1e3`) and fractions (`3/4`) are not read.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::reasoning::Number;
    ///
    /// let read = |text| Number::read(text).map(|number| number.to_string());
    /// assert_eq!(read("-$1,250.50").as_deref(), Some("-1250.5"));
    /// assert_eq!(read("**42 apples.**").as_deref(), Some("42"));
    /// assert_eq!(read("3/4"), None);
    /// ```
    pub fn read(text: &str) -> Option<Self> {
        let text = text.replace("\\$", "$").replace("\\%", "%").replace("{,}", ",");
        let text = text.replace("\\,", "").replace("\\!", "");
        let text = text.trim_matches(|c: char| c.is_whitespace() || "*_`()[]\\".contains(c));
        let text = text.strip_prefix('$').and_then(|t| t.strip_suffix('$')).unwrap_or(text).trim();
        let mut tokens = Tokens::new(text);
        let first = tokens.next()?;
        let unit = &text[first.end..];
        let spoils = |c: char| c.is_numeric() || "+*/=^<>".contains(c);
        (text[..first.start].is_empty() && !unit.contains(spoils)).then_some(first.number)?
    }

    /// The last number in a text.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::reasoning::Number;
    ///
    /// let last = Number::last("Half of 48 is 24, so she has 48 + 24 = 72.").unwrap();
    /// assert_eq!(last.as_str(), "72");
    /// ```
    pub fn last(text: &str) -> Option<Self> {
        Tokens::new(text).filter_map(|token| token.number).last()
    }

    /// What a marked answer says: a number by itself, the number after the last sign of equality, or
    /// the only number in a sentence.
    pub(crate) fn stated(text: &str) -> Option<Self> {
        if let Some(number) = Self::read(text) {
            return Some(number);
        }
        if let Some((_, right)) = text.rsplit_once('=') {
            return Self::stated(right);
        }
        let mut tokens = Tokens::new(text);
        let only = tokens.next()?;
        tokens.next().is_none().then_some(only.number)?
    }

    /// The one spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn new(negative: bool, whole: &str, fraction: &str) -> Self {
        let whole = whole.replace(',', "");
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let sign = if negative && !(whole.is_empty() && fraction.is_empty()) { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let dot = if fraction.is_empty() { "" } else { "." };
        Self(format!("{sign}{whole}{dot}{fraction}"))
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stretch of text that looks like a number; `number` is none if it cannot be read as one.
struct Token {
    start: usize,
    end: usize,
    number: Option<Number>,
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Length of the digits at the start of a text, with commas between groups of three.
    fn whole(text: &str) -> usize {
        let run = |t: &str| t.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = run(text);
        if (1..=3).contains(&end) {
            while text[end..].starts_with(',') && run(&text[end + 1..]) == 3 {
                end += 4;
            }
        }
        end
    }

    /// The token whose digits start at `digits`.
    fn token(&self, digits: usize) -> Token {
        let text = self.text;
        let whole_end = digits + Self::whole(&text[digits..]);
        let after_dot = text[whole_end..].strip_prefix('.').unwrap_or("");
        let fraction_len = after_dot.bytes().take_while(u8::is_ascii_digit).count();
        let fraction = &after_dot[..fraction_len];
        let mut end = whole_end + if fraction_len > 0 { fraction_len + 1 } else { 0 };

        let (start, negative) = self.before(digits);
        let glued = text[..start].chars().next_back().is_some_and(char::is_alphabetic);
        let rest = &text[end..];
        let power = rest.strip_prefix(['e', 'E']).map(|t| t.strip_prefix(['+', '-']).unwrap_or(t));
        let power = power.is_some_and(|t| t.starts_with(|c: char| c.is_ascii_digit()));
        let foreign = |c: char| c.is_numeric() && !c.is_ascii_digit();
        let dotted =
            rest.strip_prefix('.').is_some_and(|t| t.starts_with(|c: char| c.is_ascii_digit()));
        let spoiled = glued
            || power
            || dotted
            || rest.starts_with(foreign)
            || text[..start].chars().next_back().is_some_and(foreign);
        if spoiled {
            let more = rest.find(|c: char| !(c.is_alphanumeric() || "+-.".contains(c)));
            end += more.unwrap_or(rest.len());
        }
        let whole = &text[digits..whole_end];
        let number = (!spoiled).then(|| Number::new(negative, whole, fraction));
        Token { start, end, number }
    }

    /// Where sign and currency before the digits start, and whether the sign is minus.
    fn before(&self, digits: usize) -> (usize, bool) {
        let signs = ['-', '+', '\u{2212}'];
        let mut start = digits;
        let mut negative = false;
        let mut signed = false;
        let mut paid = false;
        loop {
            let left = &self.text[..start];
            let Some(c) = left.chars().next_back() else { break };
            let before = &left[..left.len() - c.len_utf8()];
            // Close between two operands a sign is an operation.
            let binary = before.ends_with(|c: char| c.is_alphanumeric() || c == ')');
            if !signed && signs.contains(&c) && !binary {
                signed = true;
                negative = c != '+';
            } else if !paid && "$€£¥".contains(c) {
                paid = true;
            } else {
                break;
            }
            start -= c.len_utf8();
        }
        (start.max(self.at), negative)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = &self.text[self.at..];
        let first = rest.find(|c: char| c.is_ascii_digit())?;
        let dotted = rest[..first].ends_with('.') && !rest[..first - 1].ends_with('.');
        let token = self.token(self.at + if dotted { first - 1 } else { first });
        self.at = token.end;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        Number::read(text).map(|n| n.0)
    }

    #[test]
    fn spellings_of_one_number() {
        for text in [
            "1234",
            "1,234",
            "+1234",
            "01,234",
            "$1,234",
            "1234.00",
            "1234.",
            " 1,234 dollars.",
            "€1234",
            "**1234**",
            "$1234$",
            "\\$1,234",
            "1{,}234",
            "1234 %",
            "1234\\%",
            "`1234`",
            "1,234 km/h",
        ] {
            let expected = (text != "1,234 km/h").then(|| "1234".to_owned());
            assert_eq!(read(text), expected, "{text}");
        }
        for (text, expected) in [
            ("-5", "-5"),
            ("\u{2212}5", "-5"),
            ("-$5.50", "-5.5"),
            ("$-5.50", "-5.5"),
            (".5", "0.5"),
            ("-0.0", "0"),
            ("000", "0"),
            ("0.10", "0.1"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        let huge = "9".repeat(5_000);
        assert_eq!(read(&huge), Some(huge.clone()));
        assert_eq!(read(&format!("000{huge}.000")), Some(huge));
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "",
            " ",
            "-",
            ".",
            ",",
            "$",
            "abc",
            "1e3",
            "2E+5",
            "3/4",
            "5 + 3",
            "5 3",
            "x2",
            "1,23",
            "12,345,6",
            "٣",
            "１２",
            "1½",
            "½",
            "5²",
            "\\frac{1}{2}",
            "1.2.3",
            "NaN",
            "inf",
            "5-3",
            "--",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_number_of_a_text() {
        for (text, expected) in [
            ("10 - 3 = 7", Some("7")),
            ("10-3", Some("3")),
            ("it is -3", Some("-3")),
            ("= -3.", Some("-3")),
            ("a (-3)", Some("-3")),
            ("12, 34", Some("34")),
            ("12,34", Some("34")),
            ("at 7:30 pm", Some("30")),
            ("in step2 it fails", None),
            ("5 or 1e3", Some("5")),
            ("5 or 1½", Some("5")),
            ("no number", None),
            ("It costs $1,000.", Some("1000")),
            ("1.2.3", None),
        ] {
            assert_eq!(Number::last(text).as_ref().map(Number::as_str), expected, "{text}");
        }
    }

    #[test]
    fn what_an_answer_states() {
        for (text, expected) in [
            ("5 + 3 = 8 apples", Some("8")),
            ("The total is 42 apples.", Some("42")),
            ("42 apples in 3 boxes", None),
            ("x = 3/4", None),
            ("\\frac{1}{2}", None),
            ("six", None),
        ] {
            assert_eq!(Number::stated(text).as_ref().map(Number::as_str), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = (Number::read(&text), Number::last(&text), Number::stated(&text));
        }

        #[test]
        fn odd_text_is_answered(text in "[-+$.,0-9eE x½٣=)(]{0,12}") {
            let _ = (Number::read(&text), Number::last(&text), Number::stated(&text));
        }

        #[test]
        fn integers_survive_every_spelling(n in any::<i64>(), zeros in 0_usize..3) {
            let digits = n.unsigned_abs().to_string();
            let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|c| str::from_utf8(c).unwrap()).collect();
            let sign = if n < 0 { "-" } else { "" };
            let zeros = if zeros == 0 { String::new() } else { format!(".{}", "0".repeat(zeros)) };
            let spelled = [
                n.to_string(),
                format!("{sign}{}{zeros}", groups.join(",")),
                format!("{sign}${digits}{zeros}"),
                format!("{n} coins."),
            ];
            for text in spelled {
                prop_assert_eq!(read(&text), Some(n.to_string()), "{}", text);
                let said = format!("so it is {text}");
                prop_assert_eq!(Number::last(&said).unwrap().0, n.to_string(), "{}", said);
            }
        }

        #[test]
        fn one_spelling_reads_as_itself(text in "-?[0-9]{1,12}(\\.[0-9]{1,6})?") {
            let once = read(&text).unwrap();
            prop_assert_eq!(read(&once), Some(once.clone()));
            let value: f64 = text.parse().unwrap();
            prop_assert!((once.parse::<f64>().unwrap() - value).abs() <= f64::EPSILON * value.abs());
        }
    }
}
