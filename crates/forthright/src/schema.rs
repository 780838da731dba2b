//! `forthright schema`: JSON schemas of the files that commands take their settings from.

use clap::Args;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};

use crate::terminal::print;

/// JSON schemas of the files that commands take their settings from
///
/// Without a name, all that there are. An editor that knows a file's schema completes its keys, shows
/// what they mean, and marks what is wrong: for TOML, most read it from a first line such as
/// `#:schema ./klq-train.schema.json`.
#[derive(Args)]
pub(crate) struct SchemaCommand {
    /// The system, such as klq
    system: Option<String>,
    /// Which of its files, such as train
    #[arg(requires = "system")]
    file: Option<String>,
}

/// A file that a user may write.
pub(crate) struct Entry {
    /// Its name among those of its system.
    name: &'static str,
    /// The flags that it is given to.
    of: &'static str,
    schema: fn() -> Schema,
}

impl Entry {
    /// A file which is read as a `T`.
    pub(crate) fn of<T: JsonSchema>(name: &'static str, of: &'static str) -> Self {
        let schema = || SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
        Self { name, of, schema }
    }

    /// Its schema, whose title is what it is given to.
    fn schema(&self) -> Schema {
        let mut schema = (self.schema)();
        schema.insert("title".to_owned(), format!("forthright {}", self.of).into());
        schema
    }
}

/// Files by the system whose they are.
fn all() -> Vec<(&'static str, Vec<Entry>)> {
    vec![
        #[cfg(feature = "lm")]
        ("lm", crate::lm::files()),
        #[cfg(feature = "klq")]
        ("klq", crate::klq::files()),
        #[cfg(feature = "early-exit")]
        ("early-exit", crate::early_exit::files()),
        #[cfg(feature = "cot")]
        ("cot", crate::cot::files()),
        #[cfg(feature = "agents")]
        ("agents", crate::agents::files()),
        #[cfg(feature = "portfolio")]
        ("portfolio", crate::portfolio::files()),
    ]
}

impl SchemaCommand {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut systems = all();
        if let Some(asked) = &self.system {
            let known: Vec<&str> = systems.iter().map(|(system, _)| *system).collect();
            anyhow::ensure!(
                known.contains(&asked.as_str()),
                "{asked}: expected a system, of {}",
                known.join(", ")
            );
            systems.retain(|(system, _)| system == asked);
        }
        let Some(asked) = &self.file else {
            for (system, entries) in &systems {
                for Entry { name, of, .. } in entries {
                    print(format_args!("{:<24}forthright {of}", format!("{system} {name}")))?;
                }
            }
            return Ok(());
        };
        // One system is left, since its name comes before that of the file.
        for (system, entries) in &systems {
            let Some(entry) = entries.iter().find(|entry| entry.name == asked) else {
                let known: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
                anyhow::bail!("{asked}: expected one of {system}'s files: {}", known.join(", "));
            };
            print(serde_json::to_string_pretty(&entry.schema())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Checks a value by the keywords that schemas here are made of; others are a panic, so that none
    /// is passed over.
    fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let Some(keywords) = schema.as_object() else {
            return if schema == &json!(true) {
                Ok(())
            } else {
                Err(format!("{at}: nothing fits"))
            };
        };
        let fits = |schema: &Value| check(root, schema, value, at);
        let fail = |expected: String| Err(format!("{at}: expected {expected}, found {value}"));
        for (keyword, says) in keywords {
            let list = || says.as_array().unwrap();
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" | "format" => {}
                "$ref" => {
                    let name = says.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    fits(&root["$defs"][name])?;
                }
                "type" => {
                    let is = |name: &str| match name {
                        "null" => value.is_null(),
                        "boolean" => value.is_boolean(),
                        "integer" => value.is_i64() || value.is_u64(),
                        "number" => value.is_number(),
                        "string" => value.is_string(),
                        "array" => value.is_array(),
                        "object" => value.is_object(),
                        other => panic!("type {other}"),
                    };
                    let names: Vec<&str> = match says {
                        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                        name => vec![name.as_str().unwrap()],
                    };
                    if !names.into_iter().any(is) {
                        return fail(format!("{says}"));
                    }
                }
                "enum" if list().contains(value) => {}
                "const" if says == value => {}
                "enum" | "const" => return fail(format!("{says}")),
                "anyOf" if list().iter().any(|one| fits(one).is_ok()) => {}
                "oneOf" if list().iter().filter(|one| fits(one).is_ok()).count() == 1 => {}
                "anyOf" | "oneOf" => {
                    let why: Vec<String> =
                        list().iter().filter_map(|one| fits(one).err()).collect();
                    return Err(why.join("; or "));
                }
                "allOf" => list().iter().try_for_each(fits)?,
                "minimum" | "maximum" => {
                    let (found, most) = (value.as_f64(), says.as_f64());
                    let beyond = if keyword == "minimum" { found < most } else { found > most };
                    if found.is_some() && beyond {
                        return fail(format!("{keyword} {says}"));
                    }
                }
                "required" => {
                    let missing = |key: &&Value| value.get(key.as_str().unwrap()).is_none();
                    if let Some(key) = list().iter().find(missing) {
                        return fail(format!("the key {key}"));
                    }
                }
                "properties" => {
                    for (key, value) in value.as_object().into_iter().flatten() {
                        if let Some(schema) = says.get(key) {
                            check(root, schema, value, &format!("{at}.{key}"))?;
                        }
                    }
                }
                "additionalProperties" => {
                    let known = |key: &str| {
                        keywords.get("properties").is_some_and(|p| p.get(key).is_some())
                    };
                    for (key, value) in value.as_object().into_iter().flatten() {
                        if !known(key) {
                            check(root, says, value, &format!("{at}.{key}"))?;
                        }
                    }
                }
                "items" => {
                    for (i, value) in value.as_array().into_iter().flatten().enumerate() {
                        check(root, says, value, &format!("{at}[{i}]"))?;
                    }
                }
                "minItems" | "maxItems" => {
                    let (found, most) = (value.as_array().map(Vec::len), says.as_u64().unwrap());
                    let least = keyword == "minItems";
                    let beyond = |n: usize| if least { (n as u64) < most } else { n as u64 > most };
                    if found.is_some_and(beyond) {
                        return fail(format!("{keyword} {says}"));
                    }
                }
                other => panic!("{at}: no reader of the keyword {other}"),
            }
        }
        Ok(())
    }

    /// The value with one more key in each of its tables, one after the other.
    fn with_one_key_more(value: &Value) -> Vec<Value> {
        let mut out = Vec::new();
        match value {
            Value::Object(table) => {
                let mut more = table.clone();
                // Of a type that no map from names to values takes either.
                more.insert("of_no_system".into(), json!([[]]));
                out.push(Value::Object(more));
                for (key, below) in table {
                    for changed in with_one_key_more(below) {
                        let mut table = table.clone();
                        table[key] = changed;
                        out.push(Value::Object(table));
                    }
                }
            }
            Value::Array(values) => {
                for (i, below) in values.iter().enumerate() {
                    for changed in with_one_key_more(below) {
                        let mut values = values.clone();
                        values[i] = changed;
                        out.push(Value::Array(values));
                    }
                }
            }
            _ => {}
        }
        out
    }

    /// Keys that a schema does not say the meaning of.
    fn collect_undescribed(schema: &Value, at: &str, out: &mut Vec<String>) {
        let properties = schema["properties"].as_object();
        // One of several forms is an object of one key, and says itself what it means.
        let is_form = schema["description"].is_string() && properties.is_some_and(|p| p.len() == 1);
        for (key, below) in properties.into_iter().flatten().filter(|_| !is_form) {
            // The name of a form, where it stands beside what the form holds.
            if !below["description"].is_string() && below.get("const").is_none() {
                out.push(format!("{at}.{key}"));
            }
        }
        match schema {
            Value::Object(all) => {
                for (key, below) in all.iter().filter(|(key, _)| *key != "default") {
                    collect_undescribed(below, &format!("{at}/{key}"), out);
                }
            }
            Value::Array(all) => {
                for below in all {
                    collect_undescribed(below, at, out);
                }
            }
            _ => {}
        }
    }

    fn schema(system: &str, name: &str) -> Option<Value> {
        let systems = all();
        let (_, entries) = systems.iter().find(|(s, _)| *s == system)?;
        let entry = entries.iter().find(|entry| entry.name == name);
        Some(entry.unwrap_or_else(|| panic!("{system} {name}")).schema().to_value())
    }

    #[test]
    fn what_comes_with_the_command_fits_its_schema_and_with_one_key_more_it_does_not() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let mut seen = 0;
        for system in std::fs::read_dir(folder).unwrap() {
            let system = system.unwrap();
            for file in std::fs::read_dir(system.path()).unwrap() {
                let path = file.unwrap().path();
                let stem = path.file_stem().unwrap().to_str().unwrap();
                let name = if stem.starts_with("quote") { "quote" } else { "reproduce" };
                let Some(schema) = schema(system.file_name().to_str().unwrap(), name) else {
                    continue;
                };
                let text = std::fs::read_to_string(&path).unwrap();
                let value: Value = toml::from_str(&text).unwrap();
                if let Err(why) = check(&schema, &schema, &value, "") {
                    panic!("{}: {why}", path.display());
                }
                for wrong in with_one_key_more(&value) {
                    let found = check(&schema, &schema, &wrong, "");
                    assert!(found.is_err(), "{}: {wrong}", path.display());
                }
                seen += 1;
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn every_schema_is_made_and_says_whose_it_is() {
        let mut undescribed = Vec::new();
        for (system, entries) in all() {
            assert!(!entries.is_empty(), "{system}");
            for entry in entries {
                let schema = entry.schema().to_value();
                let title = schema["title"].as_str().unwrap();
                assert!(title.starts_with(&format!("forthright {system} ")), "{title}");
                let refused = check(&schema, &schema, &json!({ "of_no_system": 1 }), "");
                assert!(refused.is_err(), "{title}: a key that there is not");
                collect_undescribed(&schema, title, &mut undescribed);
            }
        }
        assert_eq!(undescribed, Vec::<String>::new());
    }

    #[cfg(feature = "klq")]
    #[test]
    fn types_and_ranges_are_part_of_a_schema() {
        let schema = schema("klq", "train").unwrap();
        for (value, fits) in [
            (json!({}), true),
            (json!({ "train": { "iterations": 3, "lr": 1e-5 } }), true),
            (json!({ "train": { "iterations": 3.5 } }), false),
            (json!({ "train": { "iterations": -1 } }), false),
            (json!({ "train": { "policy": { "adapter": false } } }), true),
            (json!({ "train": { "policy": { "adapter": { "rank": 4 } } } }), true),
            (json!({ "train": { "policy": { "adapter": 4 } } }), false),
            (json!({ "task": { "kind": "summary" } }), true),
            (json!({ "task": { "kind": "sumary" } }), false),
        ] {
            assert_eq!(check(&schema, &schema, &value, "").is_ok(), fits, "{value}");
        }
    }
}
