//! Keys: read from the environment, sent, and shown nowhere.

use std::fmt;

use reqwest::header::HeaderValue;

use crate::Error;

/// Shorter texts occur by chance in messages; blanking them would only garble those.
const MIN_BLANKED: usize = 4;

/// What must not be shown.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Reads a secret from an environment variable.
    pub(super) fn read(&mut self, variable: &str) -> Result<String, Error> {
        let unusable = |found: &str| Error::Environment {
            variable: variable.to_owned(),
            expected: "the key of the endpoint".to_owned(),
            found: found.to_owned(),
        };
        let value = match std::env::var(variable) {
            Ok(value) => value.trim().to_owned(),
            Err(std::env::VarError::NotPresent) => return Err(unusable("no such variable")),
            Err(std::env::VarError::NotUnicode(_)) => return Err(unusable("no text")),
        };
        if value.is_empty() {
            return Err(unusable("an empty text"));
        }
        self.add(&value);
        Ok(value)
    }

    fn add(&mut self, value: &str) {
        self.0.push(value.to_owned());
        // A value of several words, such as `Bearer KEY`, is as secret in parts.
        self.0.extend(value.split_whitespace().skip(1).map(str::to_owned));
        self.0.retain(|s| s.len() >= MIN_BLANKED);
        // Longest first, so that no part of one is left when another is contained in it.
        self.0.sort_by_key(|s| std::cmp::Reverse(s.len()));
    }

    /// A text with all secrets in it blanked.
    pub(super) fn blank(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[key]"))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// A secret as the value of a header.
pub(super) fn header(variable: &str, value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Error::Environment {
        variable: variable.to_owned(),
        expected: "printable ASCII".to_owned(),
        found: "other characters".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blanked_whole() {
        let mut secrets = Secrets::default();
        secrets.add("sk-1234");
        secrets.add("Basic sk-12345678");
        secrets.add("no");
        let said = "no key sk-12345678, sk-1234 or Basic sk-12345678";
        assert_eq!(secrets.blank(said), "no key [key], [key] or [key]");
        assert!(!format!("{secrets:?}").contains("sk-"));
    }

    #[test]
    fn a_header_is_one_line_and_hidden() {
        let error = header("KEY", "sk-1\nX-Evil: 1").unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable KEY: expected printable ASCII, found other characters"
        );
        assert_eq!(format!("{:?}", header("KEY", "sk-1").unwrap()), "Sensitive");
    }
}
