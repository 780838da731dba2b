//! `adapter` in a file: a table, or `false` for none.
//!
//! TOML has no null, and a key that is absent means the default, which is an adapter: none must be
//! written out, or a run of all weights would be read back as another run.

use std::fmt;

use serde::{
    Deserialize as _, Deserializer, Serialize as _, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::lora::LoraConfig;

/// Writes a table, or `false`.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(
    adapter: &Option<LoraConfig>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match adapter {
        Some(config) => config.serialize(serializer),
        None => serializer.serialize_bool(false),
    }
}

/// Reads a table; `false` is none and `true` the default.
///
/// # Errors
/// The deserializer's.
pub fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<LoraConfig>, D::Error> {
    deserializer.deserialize_any(Adapter)
}

/// What is read: a table, or whether there is one at all.
#[cfg(feature = "schema")]
pub fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let table = generator.subschema_for::<LoraConfig>();
    schemars::json_schema!({ "anyOf": [table, { "type": "boolean" }] })
}

struct Adapter;

impl<'de> Visitor<'de> for Adapter {
    type Value = Option<LoraConfig>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an adapter's settings, or false")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        LoraConfig::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_bool<E: Error>(self, wanted: bool) -> Result<Self::Value, E> {
        Ok(wanted.then(LoraConfig::default))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use crate::finetune::FinetuneConfig;

    #[test]
    fn none_is_read_back_as_none() {
        for adapter in [None, Some(super::LoraConfig { rank: 3, ..Default::default() })] {
            let config = FinetuneConfig { adapter, ..FinetuneConfig::default() };
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<FinetuneConfig>(&text).unwrap(), config, "{text}");
        }
        let read = |text: &str| serde_json::from_str::<FinetuneConfig>(text);
        assert_eq!(read("{\"adapter\": true}").unwrap(), FinetuneConfig::default());
        assert_eq!(read("{\"adapter\": null}").unwrap().adapter, None);
        let message = read("{\"adapter\": {\"size\": 3}}").unwrap_err().to_string();
        assert!(message.contains("unknown field `size`"), "{message}");
        let message = read("{\"adapter\": 3}").unwrap_err().to_string();
        assert!(message.contains("expected an adapter's settings, or false"), "{message}");
    }
}
