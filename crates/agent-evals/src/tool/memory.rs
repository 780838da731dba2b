//! Notes that an agent keeps for itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::json;

use super::{FunctionTool, Refusal, Tool, ToolOutcome};

/// Notes by name, which an agent writes and reads through two tools.
///
/// Clones are the same notes: an episode keeps one to look at them, or hands them on to the next.
#[derive(Debug, Clone)]
pub struct Memory {
    notes: Arc<Mutex<BTreeMap<String, String>>>,
    max_bytes: usize,
}

impl Memory {
    /// Empty notes that hold at most `max_bytes` of names and texts.
    pub fn new(max_bytes: usize) -> Self {
        Self { notes: Arc::default(), max_bytes }
    }

    /// All notes, by name.
    pub fn notes(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    /// The tools `memory_write` and `memory_read`.
    pub fn tools(&self) -> [Arc<dyn Tool>; 2] {
        let (writes, reads) = (self.clone(), self.clone());
        let write = FunctionTool::new(
            chat_model::Tool {
                name: "memory_write".to_owned(),
                description: "Keeps a note under a name, in place of an older one.".to_owned(),
                parameters: json!({
                    "type": "object",
                    "properties": { "name": { "type": "string" }, "text": { "type": "string" } },
                    "required": ["name", "text"],
                    "additionalProperties": false,
                }),
            },
            move |arguments| {
                let of = |key: &str| arguments[key].as_str().unwrap_or_default().to_owned();
                Ok(writes.write(of("name"), of("text")))
            },
        );
        let read = FunctionTool::new(
            chat_model::Tool {
                name: "memory_read".to_owned(),
                description: "Reads a note, or lists the names of all without a name.".to_owned(),
                parameters: json!({
                    "type": "object",
                    "properties": { "name": { "type": "string" } },
                    "additionalProperties": false,
                }),
            },
            move |arguments| {
                let notes = reads.lock();
                let Some(name) = arguments.get("name").and_then(|n| n.as_str()) else {
                    let names: Vec<&str> = notes.keys().map(String::as_str).collect();
                    return Ok(ToolOutcome::text(names.join("\n")));
                };
                Ok(match notes.get(name) {
                    Some(text) => ToolOutcome::text(text),
                    None => ToolOutcome::refused(
                        Refusal::NotFound,
                        format!("expected the name of a note, found {name:?}"),
                    ),
                })
            },
        );
        [Arc::new(write), Arc::new(read)]
    }

    fn write(&self, name: String, text: String) -> ToolOutcome {
        let mut notes = self.lock();
        let others: usize =
            notes.iter().filter(|(n, _)| **n != name).map(|(n, t)| n.len() + t.len()).sum();
        let total = others + name.len() + text.len();
        if total > self.max_bytes {
            return ToolOutcome::refused(
                Refusal::Limit,
                format!("expected at most {} bytes of notes, found {total}", self.max_bytes),
            );
        }
        notes.insert(name, text);
        ToolOutcome::text("kept")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notes_are_kept_within_their_limit() {
        let memory = Memory::new(10);
        let [write, read] = memory.tools();
        let call = |tool: &Arc<dyn Tool>, arguments: serde_json::Value| {
            let tool = Arc::clone(tool);
            async move { tool.call(arguments.as_object().unwrap()).await.unwrap().to_text() }
        };
        assert_eq!(call(&write, json!({ "name": "a", "text": "123456789" })).await, "kept");
        let refused = call(&write, json!({ "name": "b", "text": "" })).await;
        assert_eq!(refused, "error: expected at most 10 bytes of notes, found 11");
        assert_eq!(call(&write, json!({ "name": "a", "text": "1" })).await, "kept");
        assert_eq!(call(&read, json!({ "name": "a" })).await, "1");
        assert_eq!(call(&read, json!({})).await, "a");
        assert!(call(&read, json!({ "name": "z" })).await.starts_with("error"));
        assert_eq!(memory.notes().len(), 1);
    }
}
