//! Where an endpoint is and how it likes to be asked.

use std::{collections::BTreeMap, fmt};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{Error, error::config as wrong};

/// An endpoint and a model behind it.
///
/// No secret is part of it: keys are in the environment, under names given here. So it can be
/// written beside a run.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct OpenAiConfig {
    /// What comes before `/chat/completions`; `http` or `https`, without user name or password.
    pub base_url: String,
    /// Name of the model, as the endpoint knows it.
    pub model: String,
    /// Environment variable that holds the key, sent as `Authorization: Bearer KEY`; none for an
    /// endpoint that wants none.
    pub key_env: Option<String>,
    /// Further headers, by name. Not for secrets.
    pub headers: BTreeMap<String, String>,
    /// Further headers whose values are secret: name of the header to environment variable.
    pub header_env: BTreeMap<String, String>,
    /// Time for one answer, in seconds; above 0, at most a day. Answers come whole, so this
    /// includes their generation.
    pub timeout_s: f64,
    /// Time to connect, in seconds; above 0, at most a day.
    pub connect_timeout_s: f64,
    /// A longer answer is refused, in bytes.
    pub max_body_bytes: u64,
    /// How the endpoint calls the limit on tokens.
    pub max_tokens_field: MaxTokensField,
    /// Field under which the thoughts of earlier turns are sent, such as `reasoning_content`. None
    /// leaves them out, which most endpoints want.
    pub send_reasoning_as: Option<String>,
}

/// The field with the limit on tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`, which nearly all servers know.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which models with hidden thoughts demand.
    MaxCompletionTokens,
}

impl Default for OpenAiConfig {
    /// A server on this machine, with ten minutes for an answer and ten seconds to connect;
    /// answers up to 16 MiB. The model has no default.
    fn default() -> Self {
        Self {
            base_url: "http://127.0.0.1:8080/v1".to_owned(),
            model: String::new(),
            key_env: None,
            headers: BTreeMap::new(),
            header_env: BTreeMap::new(),
            timeout_s: 600.0,
            connect_timeout_s: 10.0,
            max_body_bytes: 16 << 20,
            max_tokens_field: MaxTokensField::default(),
            send_reasoning_as: None,
        }
    }
}

impl OpenAiConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        self.url()?;
        if self.model.trim().is_empty() {
            return Err(wrong("endpoint.model", "the name of a model", "none"));
        }
        for (field, value) in [
            ("endpoint.timeout_s", self.timeout_s),
            ("endpoint.connect_timeout_s", self.connect_timeout_s),
        ] {
            if !(value > 0.0 && value <= 86_400.0) {
                return Err(wrong(field, "above 0 s, at most a day", value));
            }
        }
        if self.max_body_bytes == 0 {
            return Err(wrong("endpoint.max_body_bytes", "at least 1", 0));
        }
        for variable in self.key_env.iter().chain(self.header_env.values()) {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if variable.is_empty() || !variable.chars().all(legal) {
                // What stands here in its place may be the key itself.
                let expected = "the name of an environment variable: letters, digits and _";
                return Err(wrong("endpoint.key_env", expected, "something else"));
            }
        }
        Ok(())
    }

    /// Where requests go. A query, such as a version, stays behind the path.
    pub(super) fn url(&self) -> Result<Url, Error> {
        const FIELD: &str = "endpoint.base_url";
        let url = self.base_url.parse::<Url>();
        // The text itself is not shown: it may hold a password.
        let mut url = url.map_err(|error| {
            wrong(FIELD, "an http or https URL", format!("text that is none ({error})"))
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(FIELD, "an http or https URL", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(FIELD, "no password in it; name it in header_env", "one"));
        }
        url.set_fragment(None);
        let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }
}

impl fmt::Debug for OpenAiConfig {
    /// Values of headers and the query of the URL are left out, in case somebody put secrets there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base_url = self.base_url.split('?').next().unwrap_or_default();
        let base_url = if base_url.contains('@') { "[with a password]" } else { base_url };
        let headers: Vec<&String> = self.headers.keys().collect();
        f.debug_struct("OpenAiConfig")
            .field("base_url", &base_url)
            .field("model", &self.model)
            .field("key_env", &self.key_env)
            .field("headers", &headers)
            .field("header_env", &self.header_env)
            .field("timeout_s", &self.timeout_s)
            .field("connect_timeout_s", &self.connect_timeout_s)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("max_tokens_field", &self.max_tokens_field)
            .field("send_reasoning_as", &self.send_reasoning_as)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_url(base_url: &str) -> OpenAiConfig {
        OpenAiConfig {
            base_url: base_url.to_owned(),
            model: "m".to_owned(),
            ..OpenAiConfig::default()
        }
    }

    #[test]
    fn the_path_goes_before_the_query() {
        for (base, url) in [
            ("http://h:1/v1", "http://h:1/v1/chat/completions"),
            ("http://h/v1/", "http://h/v1/chat/completions"),
            ("https://h", "https://h/chat/completions"),
            ("https://h/d/x?v=1#f", "https://h/d/x/chat/completions?v=1"),
        ] {
            assert_eq!(with_url(base).url().unwrap().as_str(), url);
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for base in ["http://me:hunter2@h/v1", "ftp://hunter2", "hunter2", "http://[hunter2"] {
            let config = with_url(base);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with("endpoint.base_url: expected"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let mut config = with_url("http://h/v1?key=hunter2");
        config.headers.insert("x-key".to_owned(), "hunter2".to_owned());
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!format!("{:?}", with_url("http://me:hunter2@h")).contains("hunter2"));
        // A key where the name of its variable should be.
        config.key_env = Some("sk-hunter2".to_owned());
        let error = config.validate().unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn ranges_are_checked() {
        let fine = || with_url("http://h");
        assert_eq!(fine().validate(), Ok(()));
        for bad in [
            OpenAiConfig { model: " ".to_owned(), ..fine() },
            OpenAiConfig { timeout_s: 0.0, ..fine() },
            OpenAiConfig { connect_timeout_s: f64::INFINITY, ..fine() },
            OpenAiConfig { max_body_bytes: 0, ..fine() },
            OpenAiConfig { key_env: Some(String::new()), ..fine() },
        ] {
            assert!(matches!(bad.validate(), Err(Error::Config { .. })), "{bad:?}");
        }
        assert!(toml::from_str::<OpenAiConfig>("key = \"sk\"").is_err());
    }
}
