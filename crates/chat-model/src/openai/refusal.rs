//! Why an endpoint refuses, and when it may not.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

/// What the body of a refusal says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Refusal {
    /// A status that differs from that of the response, where the body names one.
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    pub(super) message: String,
}

/// Reads `{"error": {"message", "code", "type"}}`, its relatives, or plain text.
pub(super) fn parse(body: &[u8]) -> Refusal {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => of_json(&value),
        Err(_) => Refusal {
            message: String::from_utf8_lossy(body).trim().to_owned(),
            ..Refusal::default()
        },
    }
}

/// Reads a refusal that is JSON.
pub(super) fn of_json(value: &Value) -> Refusal {
    let error = value.get("error").filter(|e| !e.is_null()).unwrap_or(value);
    let text = |field: &str| error.get(field).and_then(Value::as_str).map(str::to_owned);
    let message = text("message")
        .or_else(|| error.as_str().map(str::to_owned))
        .or_else(|| text("detail"))
        .unwrap_or_else(|| error.to_string());
    let status = error.get("code").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    Refusal {
        status: status.filter(|n| (400..600).contains(n)),
        code: text("code").or_else(|| text("type")),
        message,
    }
}

/// Seconds to wait, by `retry-after-ms` or `Retry-After` in seconds or as a date.
pub(super) fn retry_after_s(headers: &HeaderMap, now: SystemTime) -> Option<f64> {
    let text = |value: Option<&reqwest::header::HeaderValue>| {
        value.and_then(|v| v.to_str().ok()).map(|v| v.trim().to_owned())
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    if let Some(ms) = text(headers.get("retry-after-ms")).and_then(|t| number(&t)) {
        return Some(ms / 1000.0);
    }
    let text = text(headers.get(RETRY_AFTER))?;
    number(&text).or_else(|| {
        let then = httpdate::parse_http_date(&text).ok()?;
        // A time that has passed asks for no wait.
        Some(then.duration_since(now).unwrap_or(Duration::ZERO).as_secs_f64())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_however_they_are_put() {
        let read = |body: &str| {
            let refusal = parse(body.as_bytes());
            (refusal.status, refusal.code, refusal.message)
        };
        let s = |text: &str| text.to_owned();
        assert_eq!(
            read(r#"{"error": {"message": "slow down", "type": "t", "code": "rate_limit"}}"#),
            (None, Some(s("rate_limit")), s("slow down"))
        );
        assert_eq!(
            read(r#"{"error": {"code": 401, "message": "key", "type": "auth"}}"#),
            (Some(401), Some(s("auth")), s("key"))
        );
        assert_eq!(read(r#"{"error": "full"}"#), (None, None, s("full")));
        assert_eq!(read(r#"{"detail": "Not Found"}"#), (None, None, s("Not Found")));
        assert_eq!(read("[1]"), (None, None, s("[1]")));
        assert_eq!(read("<html>\n"), (None, None, s("<html>")));
        assert_eq!(read(""), (None, None, s("")));
    }

    #[test]
    fn waits_are_read_however_they_are_put() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after_s(&headers, now)
        };
        assert_eq!(read("retry-after", "20"), Some(20.0));
        assert_eq!(read("retry-after", " 1.5 "), Some(1.5));
        assert_eq!(read("retry-after-ms", "250"), Some(0.25));
        assert_eq!(read("retry-after", "Sun, 09 Sep 2001 01:47:10 GMT"), Some(30.0));
        assert_eq!(read("retry-after", "Sun, 09 Sep 2001 01:46:10 GMT"), Some(0.0));
        for nonsense in ["-1", "soon", "inf", "NaN", ""] {
            assert_eq!(read("retry-after", nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after_s(&HeaderMap::new(), now), None);
    }
}
