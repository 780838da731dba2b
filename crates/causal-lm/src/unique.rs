//! JSON objects of foreign files, in which no key may stand twice.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

/// An object's entries in the order of keys. Most readers keep one of two entries of the same key,
/// and which one differs between them; here such an object is refused.
#[derive(Debug)]
pub(crate) struct UniqueMap<V>(pub(crate) BTreeMap<String, V>);

struct Entries<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = UniqueMap<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value()?;
            if entries.contains_key(&key) {
                return Err(A::Error::custom(format_args!("a second entry {key:?}")));
            }
            entries.insert(key, value);
        }
        Ok(UniqueMap(entries))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_once() {
        let one: UniqueMap<u32> = serde_json::from_str(r#"{"b": 2, "a": 1}"#).unwrap();
        assert_eq!(one.0.into_iter().collect::<Vec<_>>(), [("a".into(), 1), ("b".into(), 2)]);
        let two = serde_json::from_str::<UniqueMap<u32>>(r#"{"a": 1, "\u0061": 1}"#).unwrap_err();
        assert!(two.to_string().starts_with("a second entry \"a\""), "{two}");
    }
}
