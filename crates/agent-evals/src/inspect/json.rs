//! JSON as Inspect has it: with bare `NaN`, `Infinity` and `-Infinity` where a number may be.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::{Score, Verdict};

/// Stands for a bare token in a [`Value`], which knows none: an object of this one key, which no
/// writer of logs uses.
const TOKEN: &str = "\u{0}token";

/// Whether a value is a bare token.
pub(super) fn is_token(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.len() == 1 && map.contains_key(TOKEN))
}

/// Reads JSON with bare tokens.
pub(super) fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    const TOKENS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let mut plain = Vec::with_capacity(text.len());
    let (mut quoted, mut i) = (false, 0);
    while i < text.len() {
        let rest = &text[i..];
        if quoted {
            // A backslash takes the next character along, be it a quote.
            let n = if rest[0] == b'\\' { rest.len().min(2) } else { 1 };
            quoted = rest[0] != b'"';
            plain.extend_from_slice(&rest[..n]);
            i += n;
        } else if let Some(token) = TOKENS.into_iter().find(|t| rest.starts_with(t)) {
            plain.extend_from_slice(b"{\"\\u0000token\":\"");
            plain.extend_from_slice(token);
            plain.extend_from_slice(b"\"}");
            i += token.len();
        } else {
            quoted = rest[0] == b'"';
            plain.push(rest[0]);
            i += 1;
        }
    }
    serde_json::from_slice(&plain)
}

/// Scores as JSON text, since no [`Value`] holds `NaN`.
pub(super) fn scores<'a>(scores: impl Iterator<Item = (&'a String, &'a Score)>) -> String {
    let mut out = String::from("{");
    for (i, (name, score)) in scores.enumerate() {
        if i > 0 {
            out.push(',');
        }
        let mut rest = Map::new();
        let mut metadata = score.metadata.clone();
        let value = match &score.verdict {
            Verdict::Scored(value) => Value::from(*value).to_string(),
            Verdict::Unscored(reason) => {
                metadata.insert("verdict".to_owned(), "unscored".into());
                rest.insert("reason".to_owned(), reason.as_str().into());
                "NaN".to_owned()
            }
            Verdict::Error(reason) => {
                metadata.insert("verdict".to_owned(), "error".into());
                rest.insert("reason".to_owned(), reason.as_str().into());
                "NaN".to_owned()
            }
        };
        rest.insert("answer".to_owned(), score.answer.clone().into());
        rest.insert("explanation".to_owned(), score.explanation.clone().into());
        rest.insert("metadata".to_owned(), metadata.into());
        let rest = Value::from(rest).to_string();
        let _ = write!(out, "{}:{{\"value\":{value},{}", Value::from(name.as_str()), &rest[1..]);
    }
    out.push('}');
    out
}

/// A score that is read back.
pub(super) fn score(value: &Value) -> Score {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let mut metadata = value["metadata"].as_object().cloned().unwrap_or_default();
    let verdict = match &value["value"] {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            if number.is_finite() { Verdict::Scored(number) } else { unreadable(&value["value"]) }
        }
        Value::Bool(yes) => Verdict::Scored(f64::from(*yes)),
        // Inspect's letters: correct, incorrect, partially correct, no answer.
        Value::String(letter) => match letter.as_str() {
            "C" => Verdict::Scored(1.0),
            "P" => Verdict::Scored(0.5),
            "I" | "N" => Verdict::Scored(0.0),
            _ => unreadable(&value["value"]),
        },
        token if is_token(token) => {
            let reason = text("reason").unwrap_or_else(|| "unscored".to_owned());
            let kind = metadata.get("verdict").and_then(Value::as_str).map(str::to_owned);
            match kind.as_deref() {
                Some("error") => {
                    metadata.remove("verdict");
                    Verdict::Error(reason)
                }
                Some("unscored") => {
                    metadata.remove("verdict");
                    Verdict::Unscored(reason)
                }
                _ => Verdict::Unscored(reason),
            }
        }
        other => unreadable(other),
    };
    Score { verdict, answer: text("answer"), explanation: text("explanation"), metadata }
}

fn unreadable(value: &Value) -> Verdict {
    let shown = crate::error::snippet(&value.to_string());
    Verdict::Unscored(format!("expected one number, found {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_tokens_are_read_outside_of_texts() {
        let value =
            read(br#"{"a": NaN, "b": "NaN \" NaN", "c": [-Infinity, 1.5], "d": "\\"}"#).unwrap();
        assert!(is_token(&value["a"]) && is_token(&value["c"][0]));
        assert_eq!(value["b"], "NaN \" NaN");
        assert_eq!(value["c"][1], 1.5);
        assert_eq!(value["d"], "\\");
        assert!(read(b"{\"a\": NaNa}").is_err());
        assert!(read(b"\"\\").is_err());
    }

    #[test]
    fn scores_come_back() {
        let all = [
            ("a".to_owned(), Score::number(0.1).because("so").with("k", 1)),
            ("b \"".to_owned(), Score::unscored("nothing said")),
            ("c".to_owned(), Score { answer: Some("NaN".to_owned()), ..Score::error("gone") }),
        ];
        let text = scores(all.iter().map(|(name, score)| (name, score)));
        let value = read(text.as_bytes()).unwrap();
        for (name, expected) in all {
            assert_eq!(score(&value[&name]), expected, "{text}");
        }
        for (value, expected) in
            [("\"C\"", Some(1.0)), ("true", Some(1.0)), ("[1]", None), ("\"x\"", None)]
        {
            let value = read(format!("{{\"value\":{value}}}").as_bytes()).unwrap();
            assert_eq!(score(&value).verdict.value(), expected, "{value}");
        }
    }
}
