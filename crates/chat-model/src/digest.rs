//! What makes two requests the same: SHA-256 over one canonical form.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Message, Request};

/// Version of the serialized forms: requests, responses, recordings, cache entries.
///
/// Part of every digest, so that a form whose meaning changes is never taken for the old one.
pub const FORMAT_VERSION: u32 = 1;

/// SHA-256 of a request to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Request {
    /// Digest of this request to a model of that name.
    ///
    /// SHA-256 over compact JSON with the keys of all objects sorted by code point:
    /// `{"model": …, "request": …, "version": 1}`. Fields at their defaults are absent from
    /// `request`; order of keys in schemas does not count, the lane does.
    pub fn digest(&self, model: &str) -> Digest {
        of(&json!({ "version": FORMAT_VERSION, "model": model, "request": self }))
    }
}

/// Digest of a conversation, whatever else is asked with it.
pub(crate) fn of_messages(messages: &[Message]) -> Digest {
    of(&json!(messages))
}

fn of(value: &Value) -> Digest {
    let mut text = String::new();
    canonical(value, &mut text);
    Digest(Sha256::digest(text).into())
}

/// Appends compact JSON with sorted keys.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                canonical(value, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

impl fmt::Display for Digest {
    /// 64 hexadecimal digits, or as many of them as the precision says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            write!(hex, "{byte:02x}")?;
        }
        f.pad(&hex)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(hex: String) -> Result<Self, String> {
        let wrong =
            || format!("expected 64 hexadecimal digits, found {}", crate::text::snippet(&hex));
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sampling, Tool};

    fn request() -> Request {
        Request {
            tools: vec![Tool {
                name: "f".to_owned(),
                description: "d".to_owned(),
                parameters: json!({ "type": "object", "é": [1, 0.5, null, true] }),
            }],
            sampling: Sampling { temperature: Some(1.0), ..Sampling::default() },
            lane: "a\"1".to_owned(),
            ..Request::from_user("hello\n")
        }
    }

    // Python:
    // r = {"messages": [{"role": "user", "text": "hello\n"}],
    //      "tools": [{"name": "f", "description": "d",
    //                 "parameters": {"type": "object", "é": [1, 0.5, None, True]}}],
    //      "sampling": {"temperature": 1.0}, "lane": 'a"1'}
    // t = json.dumps({"version": 1, "model": "m", "request": r}, sort_keys=True,
    //                separators=(",", ":"), ensure_ascii=False)
    // hashlib.sha256(t.encode()).hexdigest()
    const GOLDEN: &str = "10ddf41ee67547484819f9813c1fa0e111af210245518aa7fac0b0848cd70e3d";

    #[test]
    fn digests_never_change() {
        assert_eq!(request().digest("m").to_string(), GOLDEN);
        assert_eq!(format!("{:.12}", request().digest("m")), GOLDEN[..12]);
    }

    #[test]
    fn everything_but_the_order_of_keys_counts() {
        let same = {
            let mut r = request();
            r.tools[0].parameters = json!({ "é": [1, 0.5, null, true], "type": "object" });
            r
        };
        assert_eq!(same.digest("m"), request().digest("m"));
        let mut others = vec![request().digest("n"), request().digest("m")];
        for change in [
            |r: &mut Request| r.lane.clear(),
            |r: &mut Request| r.sampling.seed = Some(0),
            |r: &mut Request| r.messages.push(Message::user("")),
            |r: &mut Request| r.tools.clear(),
            |r: &mut Request| r.tools[0].parameters = json!({ "é": [0.5, 1, null, true] }),
        ] {
            let mut r = request();
            change(&mut r);
            others.push(r.digest("m"));
        }
        let n = others.len();
        others.sort_unstable();
        others.dedup();
        assert_eq!(others.len(), n);
    }

    #[test]
    fn hexadecimal_reads_back() {
        let digest = request().digest("m");
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        for bad in ["\"\"", "\"+1\"", "\"zz\"", &text.replace(&GOLDEN[..2], "+1")] {
            assert!(serde_json::from_str::<Digest>(bad).is_err(), "{bad}");
        }
    }
}
