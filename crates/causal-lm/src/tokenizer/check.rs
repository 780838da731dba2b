//! What the tokenizers library believes and we do not: a `tokenizer.json` that asks for more memory
//! than there is.
//!
//! The library runs whatever steps a file lists: a few dozen that double a text, each sound by
//! itself, have no end. And where it writes a vocabulary out, it lists every id up to the highest.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::Error;

/// Steps of one kind; published files have up to about six.
const MAX_STEPS: usize = 32;

/// By how much the steps of one kind may multiply the length of a text; published files stay at 3.
const MAX_GROWTH: usize = 256;

/// Ids that no token has, beside as many as there are tokens; published files have a few hundred.
const MAX_GAPS: u64 = 1 << 16;

/// The parts of a file that are lists of steps, and an outline of the rest.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    model: Model,
}

#[derive(Default, Deserialize)]
struct Model {
    #[serde(default)]
    vocab: Ids,
}

/// How many tokens a vocabulary maps to ids, and the highest of these.
#[derive(Default)]
struct Ids {
    tokens: u64,
    highest: u64,
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Ids;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ids, A::Error> {
                let mut ids = Ids::default();
                while let Some((_, id)) = map.next_entry::<IgnoredAny, Value>()? {
                    ids.tokens += 1;
                    ids.highest = ids.highest.max(id.as_u64().unwrap_or(0));
                }
                Ok(ids)
            }

            /// A list, whose ids are its places.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ids, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Ids::default())
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

/// Refuses what would grow without bound.
///
/// # Errors
/// [`Error::Format`] naming the kind of step.
pub(super) fn check(bytes: &[u8], file: &str) -> Result<(), Error> {
    let outline: Outline = serde_json::from_slice(bytes)
        .map_err(|e| Error::format(file, "content", "a tokenizer's JSON object", e.to_string()))?;
    let Ids { tokens, highest } = outline.model.vocab;
    let room = 2 * tokens + MAX_GAPS;
    if highest >= room {
        let expected = format!("ids below {room} for {tokens} tokens");
        return Err(Error::format(file, "model.vocab", expected, highest.to_string()));
    }
    for (kind, value) in [
        ("normalizer", &outline.normalizer),
        ("pre_tokenizer", &outline.pre_tokenizer),
        ("post_processor", &outline.post_processor),
        ("decoder", &outline.decoder),
    ] {
        let mut total = Total { steps: 0, growth: 1 };
        total.add(value).map_err(|found| {
            Error::format(file, kind, "steps that each have a type of their own", found)
        })?;
        if total.steps > MAX_STEPS {
            let expected = format!("at most {MAX_STEPS} steps");
            return Err(Error::format(file, kind, expected, total.steps.to_string()));
        }
        if total.growth > MAX_GROWTH {
            let expected = format!("steps that make a text at most {MAX_GROWTH} times as long");
            return Err(Error::format(file, kind, expected, total.growth.to_string()));
        }
    }
    Ok(())
}

struct Total {
    steps: usize,
    growth: usize,
}

impl Total {
    fn add(&mut self, step: &Value) -> Result<(), String> {
        if step.is_null() {
            return Ok(());
        }
        let kind = step["type"].as_str().ok_or_else(|| step.to_string())?;
        if kind == "Sequence" {
            let lists = ["normalizers", "pretokenizers", "processors", "decoders"];
            return lists
                .iter()
                .filter_map(|list| step[list].as_array())
                .flatten()
                .try_for_each(|inner| self.add(inner));
        }
        self.steps += 1;
        let factor = match kind {
            "Replace" => step["content"].as_str().map_or(1, str::len).max(1),
            // A byte beyond ASCII becomes two.
            "ByteLevel" => 2,
            // Its table may turn a character into a short text.
            "Precompiled" => 16,
            // Every mention of the text repeats it.
            "TemplateProcessing" => mentions(&step["single"]).max(mentions(&step["pair"])).max(1),
            _ => 1,
        };
        self.growth = self.growth.saturating_mul(factor);
        Ok(())
    }
}

/// How often a template names the text: `{"Sequence": {"id": "A", …}}`, or `$A` and `$0` in text.
fn mentions(template: &Value) -> usize {
    match template {
        Value::String(text) => text.matches('$').count(),
        Value::Array(pieces) => pieces.iter().filter(|p| p.get("SpecialToken").is_none()).count(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(kind: &str, step: &Value, copies: usize) -> Option<String> {
        let list = match kind {
            "normalizer" => "normalizers",
            "pre_tokenizer" => "pretokenizers",
            "post_processor" => "processors",
            _ => "decoders",
        };
        let file = json!({ kind: { "type": "Sequence", list: vec![step; copies] } }).to_string();
        check(file.as_bytes(), "t").err().map(|e| e.to_string())
    }

    #[test]
    fn ids_far_beyond_the_tokens_are_refused() {
        let file = |id: u64| json!({ "model": { "vocab": { "a": 0, "b": id } } }).to_string();
        assert!(check(file(65_539).as_bytes(), "t").is_ok());
        let error = check(file(65_540).as_bytes(), "t").unwrap_err().to_string();
        assert_eq!(error, "t: model.vocab: expected ids below 65540 for 2 tokens, found 65540");
        assert!(check(br#"{"model": {"vocab": [["a", -1.0]]}}"#, "t").is_ok());
    }

    #[test]
    fn steps_that_multiply_a_text_are_bounded() {
        let replace = json!({ "type": "Replace", "pattern": { "String": "" }, "content": "four" });
        let bytes = json!({ "type": "ByteLevel" });
        let a = json!({ "Sequence": { "id": "A", "type_id": 0 } });
        let twice = json!({ "type": "TemplateProcessing", "single": [a, a], "pair": [a] });
        for (kind, step, fine) in [
            ("normalizer", &replace, 4),
            ("decoder", &replace, 4),
            ("pre_tokenizer", &bytes, 8),
            ("normalizer", &bytes, 8),
            ("post_processor", &twice, 8),
        ] {
            assert_eq!(refusal(kind, step, fine), None);
            let found = refusal(kind, step, fine + 1).unwrap();
            let expected = format!("t: {kind}: expected steps that make a text at most 256 times");
            assert!(found.starts_with(&expected), "{found}");
        }
        let many = refusal("decoder", &json!({ "type": "Fuse" }), 33).unwrap();
        assert_eq!(many, "t: decoder: expected at most 32 steps, found 33");
        let old = refusal("normalizer", &json!({ "pattern": { "String": "" } }), 1).unwrap();
        assert!(old.contains("expected steps that each have a type"), "{old}");
    }
}
