//! Whether arguments are what a schema asks for.

use serde_json::{Map, Value};

use crate::error::snippet;

/// Deeper schemas than this are not looked into.
const MAX_DEPTH: usize = 32;

/// Checks arguments against the JSON schema of a tool; what is wrong otherwise.
///
/// Of JSON Schema it knows what tools use: `type` (one or several), `enum`, `const`, `properties`,
/// `required`, `additionalProperties`, `items`, `minimum`, `maximum`, `minLength`, `maxLength`,
/// `minItems` and `maxItems`. Other keywords are not checked.
pub(crate) fn check(schema: &Value, arguments: &Map<String, Value>) -> Result<(), String> {
    object("", schema, arguments, 0)
}

fn value(at: &str, schema: &Value, value: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    let wrong = |expected: String| Err(format!("{at}: expected {expected}, found {}", show(value)));
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|t| is(t, value)) {
        return wrong(types.join(" or "));
    }
    if let Some(one) = schema.get("const").filter(|c| *c != value) {
        return wrong(one.to_string());
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|a| !a.contains(value)) {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        return wrong(format!("one of {}", allowed.join(", ")));
    }
    let size = match value {
        Value::String(text) => Some(("Length", text.chars().count())),
        Value::Array(items) => Some(("Items", items.len())),
        _ => None,
    };
    let number = size.map(|(_, n)| n as f64).or_else(|| value.as_f64());
    let (low, high) = match size {
        Some((of, _)) => (format!("min{of}"), format!("max{of}")),
        None => ("minimum".to_owned(), "maximum".to_owned()),
    };
    if let Some(number) = number {
        if let Some(low) = schema[&low].as_f64().filter(|low| number < *low) {
            return wrong(format!(
                "{} {low}",
                if size.is_some() { "a length of at least" } else { "at least" }
            ));
        }
        if let Some(high) = schema[&high].as_f64().filter(|high| number > *high) {
            return wrong(format!(
                "{} {high}",
                if size.is_some() { "a length of at most" } else { "at most" }
            ));
        }
    }
    match value {
        Value::Object(map) => object(at, schema, map, depth),
        Value::Array(items) if schema["items"].is_object() => {
            items.iter().enumerate().try_for_each(|(i, item)| {
                self::value(&format!("{at}[{i}]"), &schema["items"], item, depth + 1)
            })
        }
        _ => Ok(()),
    }
}

fn object(at: &str, schema: &Value, map: &Map<String, Value>, depth: usize) -> Result<(), String> {
    let of = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for key in required {
        if !map.contains_key(key) {
            return Err(format!("{}: expected a value, found none", of(key)));
        }
    }
    let properties = schema["properties"].as_object();
    for (key, item) in map {
        match properties.and_then(|p| p.get(key)) {
            Some(schema) => value(&of(key), schema, item, depth + 1)?,
            None if schema["additionalProperties"] == false => {
                let known: Vec<&str> =
                    properties.into_iter().flatten().map(|(k, _)| k.as_str()).collect();
                return Err(format!(
                    "{}: expected no argument but {}, found {}",
                    of(key),
                    known.join(", "),
                    show(item)
                ));
            }
            None if schema["additionalProperties"].is_object() => {
                value(&of(key), &schema["additionalProperties"], item, depth + 1)?;
            }
            None => {}
        }
    }
    Ok(())
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        // 2.0 is an integer to JSON Schema.
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        // A type that nobody knows refuses nothing.
        _ => true,
    }
}

fn show(value: &Value) -> String {
    snippet(&value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let schema = json!({
            "type": "object",
            "properties": {
                "id": { "type": "string", "enum": ["0001", "9999"] },
                "pct": { "type": "number", "minimum": 0, "maximum": 100 },
                "n": { "type": ["integer", "null"] },
                "list": { "type": "array", "maxItems": 2, "items": { "type": "string", "minLength": 1 } },
                "deep": { "type": "object", "required": ["x"], "additionalProperties": { "type": "boolean" } },
            },
            "required": ["id"],
            "additionalProperties": false,
        });
        let check = |arguments: Value| {
            check(&schema, arguments.as_object().unwrap()).err().unwrap_or_default()
        };
        assert_eq!(
            check(
                json!({ "id": "9999", "pct": 0.5, "n": 2.0, "list": ["a"], "deep": { "x": true } })
            ),
            ""
        );
        assert_eq!(check(json!({})), "id: expected a value, found none");
        assert_eq!(check(json!({ "id": 1 })), "id: expected string, found `1`");
        assert_eq!(
            check(json!({ "id": "2" })),
            r#"id: expected one of "0001", "9999", found `"2"`"#
        );
        assert_eq!(
            check(json!({ "id": "9999", "pct": 101 })),
            "pct: expected at most 100, found `101`"
        );
        assert_eq!(
            check(json!({ "id": "9999", "pct": -1 })),
            "pct: expected at least 0, found `-1`"
        );
        assert_eq!(
            check(json!({ "id": "9999", "n": 1.5 })),
            "n: expected integer or null, found `1.5`"
        );
        assert_eq!(
            check(json!({ "id": "9999", "list": ["a", ""] })),
            "list[1]: expected a length of at least 1, found `\"\"`"
        );
        assert_eq!(
            check(json!({ "id": "9999", "list": ["a", "b", "c"] })),
            r#"list: expected a length of at most 2, found `["a","b","c"]`"#
        );
        assert_eq!(
            check(json!({ "id": "9999", "deep": {} })),
            "deep.x: expected a value, found none"
        );
        assert_eq!(
            check(json!({ "id": "9999", "deep": { "x": 1 } })),
            "deep.x: expected boolean, found `1`"
        );
        assert!(
            check(json!({ "id": "9999", "more": 1 }))
                .starts_with("more: expected no argument but id")
        );
    }
}
