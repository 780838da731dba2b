//! Endpoints that speak OpenAI's chat completions.
//!
//! Plain `reqwest` and a reader of ours instead of `async-openai`: that one (0.43) knows a closed
//! set of finish reasons and no `reasoning_content`, so that answers of other servers fail to parse
//! or lose what this project measures, and it reads bodies of any length. What is left of it here,
//! building a request, is a page.

mod answer;
mod body;
mod config;
mod refusal;
mod secret;

use std::{fmt, time::Duration};

use reqwest::{
    Client, Response as HttpResponse, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

pub use config::{MaxTokensField, OpenAiConfig};
use secret::Secrets;

use crate::{
    Answer, ChatModel, Error, Request, Response, Scope, error::config as wrong, layer,
    text::snippet,
};

/// Of the body of a refusal, so much is read.
const REFUSAL_BYTES: u64 = 64 << 10;

/// A model behind an OpenAI-compatible endpoint.
///
/// One request is one `POST` of `BASE/chat/completions`; nothing is tried twice. Redirects are not
/// followed, since they would take the key elsewhere. Proxies are taken from the environment,
/// except for loopback addresses.
pub struct OpenAi {
    config: OpenAiConfig,
    url: Url,
    /// The URL as it may be shown.
    endpoint: String,
    secrets: Secrets,
    client: Client,
}

impl OpenAi {
    /// Prepares to talk to an endpoint; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`]; [`Error::Environment`] if a variable that the configuration names does
    /// not hold a key or header.
    pub fn new(config: OpenAiConfig) -> Result<Self, Error> {
        config.validate()?;
        let url = config.url()?;
        let mut secrets = Secrets::default();
        let headers = headers(&config, &mut secrets)?;
        let client = client(&config, &url, headers)?;
        let endpoint = format!("{}{}", url.origin().ascii_serialization(), url.path());
        Ok(Self { config, url, endpoint, secrets, client })
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Error> {
        let body = body::of(&self.config, request);
        let sent = self.client.post(self.url.clone()).body(body).send().await;
        let http = sent.map_err(|error| self.no_answer(error))?;
        if !http.status().is_success() {
            return Err(self.refused(http).await);
        }
        let content_type = content_type(&http);
        let body = self.read(http, self.config.max_body_bytes).await?;
        if !content_type.as_deref().is_some_and(is_json) {
            return Err(Error::ContentType {
                endpoint: self.endpoint.clone(),
                found: self.shown(content_type.as_deref().unwrap_or("none")),
                body: self.shown(&String::from_utf8_lossy(&body)),
            });
        }
        answer::parse(&body, request).map_err(|wrong| match wrong {
            answer::Wrong::Refused(refusal) => self.status(200, refusal, None),
            answer::Wrong::Field { field, expected, found } => Error::Malformed {
                endpoint: self.endpoint.clone(),
                field,
                expected: expected.to_owned(),
                found: self.shown(&found),
            },
        })
    }

    /// Reads a body of at most `limit_bytes`.
    async fn read(&self, mut http: HttpResponse, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let too_large = || Error::TooLarge { endpoint: self.endpoint.clone(), limit_bytes };
        if http.content_length().is_some_and(|n| n > limit_bytes) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        loop {
            match http.chunk().await {
                Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 > limit_bytes => {
                    return Err(too_large());
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => {
                    return Err(Error::CutOff {
                        endpoint: self.endpoint.clone(),
                        received_bytes: body.len() as u64,
                        reason: self.secrets.blank(&reason(error)),
                    });
                }
            }
        }
    }

    /// What a status other than success means.
    async fn refused(&self, http: HttpResponse) -> Error {
        let status = http.status();
        let retry_after_s = refusal::retry_after_s(http.headers(), std::time::SystemTime::now());
        // A refusal without its reason is still a refusal.
        let body = self.read(http, REFUSAL_BYTES).await.unwrap_or_default();
        let mut refusal = refusal::parse(&body);
        if refusal.message.is_empty() {
            status.canonical_reason().unwrap_or("no reason given").clone_into(&mut refusal.message);
        }
        self.status(status.as_u16(), refusal, retry_after_s)
    }

    fn status(&self, status: u16, refusal: refusal::Refusal, retry_after_s: Option<f64>) -> Error {
        Error::Status {
            endpoint: self.endpoint.clone(),
            status: refusal.status.unwrap_or(status),
            code: refusal.code.map(|code| self.secrets.blank(&code)),
            message: self.shown(&refusal.message),
            retry_after_s,
        }
    }

    fn no_answer(&self, error: reqwest::Error) -> Error {
        let endpoint = self.endpoint.clone();
        let connecting = error.is_connect();
        let reason = self.secrets.blank(&reason(error));
        if connecting {
            Error::Connect { endpoint, reason }
        } else {
            Error::Dropped { endpoint, reason }
        }
    }

    /// Text of the endpoint's as it may be shown: without secrets, short, on one line.
    fn shown(&self, text: &str) -> String {
        // Blanked first, so that no secret is cut in half and missed.
        snippet(&self.secrets.blank(text))
    }
}

impl ChatModel for OpenAi {
    fn model(&self) -> &str {
        &self.config.model
    }

    fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            request.validate()?;
            let limit = Duration::from_secs_f64(self.config.timeout_s);
            layer::within(limit, Scope::Attempt, &self.endpoint, self.exchange(request)).await
        })
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The headers of every request; those that are secret are noted.
fn headers(config: &OpenAiConfig, secrets: &mut Secrets) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(variable) = &config.key_env {
        let key = secrets.read(variable)?;
        headers.insert(AUTHORIZATION, secret::header(variable, &format!("Bearer {key}"))?);
    }
    let name = |name: &String| {
        HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong("headers", "names of headers", snippet(name)))
    };
    for (header, value) in &config.headers {
        let value = HeaderValue::from_str(value)
            .map_err(|_| wrong(&format!("headers.{header}"), "printable text", "something else"))?;
        headers.insert(name(header)?, value);
    }
    for (header, variable) in &config.header_env {
        let value = secrets.read(variable)?;
        headers.insert(name(header)?, secret::header(variable, &value)?);
    }
    Ok(headers)
}

fn client(config: &OpenAiConfig, url: &Url, headers: HeaderMap) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("forthright/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(Duration::from_secs_f64(config.connect_timeout_s))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false);
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster; its choice is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    if url.scheme() == "http" {
        // The system's certificates are neither needed nor missed.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| wrong("endpoint", "a system with TLS", reason(error)))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn content_type(http: &HttpResponse) -> Option<String> {
    let value = http.headers().get(CONTENT_TYPE)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// The innermost cause of an error, which says most.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_by_its_types() {
        for yes in
            ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"]
        {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["text/html", "", "application/jsonlines", "text/event-stream"] {
            assert!(!is_json(no), "{no}");
        }
    }

    #[test]
    fn loopback_by_its_names() {
        let is = |url: &str| is_loopback(&url.parse().unwrap());
        assert!(is("http://localhost:1/") && is("http://127.0.0.9/") && is("http://[::1]:2/"));
        assert!(!is("http://localhost.example/") && !is("http://10.0.0.1/"));
    }
}
