//! From a definition to what an agent is told.

use std::collections::BTreeMap;

use chat_model::{Message, ToolCall};

use super::{Canned, Condition, Definition, Item, Outcome, Speaker};
use crate::{Error, run::nearest};

/// How deep variables may stand in values of variables.
const DEPTH: usize = 4;

impl Definition {
    /// The item of this id.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest ids.
    pub fn item(&self, id: &str) -> Result<&Item, Error> {
        self.items.iter().find(|i| i.id == id).ok_or_else(|| Error::Unknown {
            what: "item",
            name: id.to_owned(),
            hint: nearest(id, self.items.iter().map(|i| i.id.as_str())),
        })
    }

    /// The outcome of this id.
    pub fn outcome(&self, id: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|o| o.id == id)
    }

    /// A text with its variables replaced; names that nothing has stay as they are.
    pub fn fill(&self, text: &str, item: &Item, condition: Condition) -> String {
        let benign = (condition == Condition::Benign).then_some(&self.benign.vars);
        fill(text, &[benign, Some(&item.vars), Some(&self.vars)])
    }

    /// The situation in short, in one of its paraphrases, counted from 0 and around.
    pub fn description(&self, item: &Item, condition: Condition, paraphrase: usize) -> String {
        let of = match condition {
            Condition::Benign if !self.benign.descriptions.is_empty() => &self.benign.descriptions,
            _ => &self.descriptions,
        };
        let text = of.get(paraphrase % of.len().max(1)).map_or("", String::as_str);
        self.fill(text, item, condition)
    }

    /// The conversation with which a live sample begins: system prompt, earlier turns, task.
    pub fn opening(&self, item: &Item, condition: Condition) -> Vec<Message> {
        let fill = |text: &str| self.fill(text, item, condition);
        let mut out = vec![Message::system(fill(&self.system))];
        for said in &self.history {
            let text = fill(&said.text);
            out.push(match said.by {
                Speaker::User => Message::user(text),
                Speaker::Assistant => Message::assistant(text),
            });
        }
        let task = match (condition, &self.benign.task) {
            (Condition::Benign, Some(task)) => fill(task),
            (Condition::Commanded, _) => {
                format!("{}\n\n{}", fill(&self.task), fill(&self.commanded))
            }
            _ => fill(&self.task),
        };
        out.push(Message::user(task));
        out
    }

    /// The same up to the decision point: with the calls that lead there.
    pub fn at_decision(&self, item: &Item, condition: Condition) -> Vec<Message> {
        let mut out = self.opening(item, condition);
        for (call, text, says) in self.steps(item, condition) {
            let result = Message::tool(&call.id, says);
            out.push(Message::Assistant { text, tool_calls: vec![call], reasoning: None });
            out.push(result);
        }
        out.extend(
            self.said_last.iter().map(|text| Message::user(self.fill(text, item, condition))),
        );
        out
    }

    /// The calls that lead to the decision point.
    pub fn lead_up_calls(&self, item: &Item, condition: Condition) -> Vec<ToolCall> {
        self.steps(item, condition).map(|(call, _, _)| call).collect()
    }

    /// What a call is answered where nothing acts.
    pub fn canned(&self, item: &Item, condition: Condition, call: &ToolCall) -> String {
        let fits = |canned: &&Canned| {
            (canned.tool == "*" || canned.tool == call.name)
                && canned
                    .holding
                    .iter()
                    .all(|part| call.arguments.contains(self.fill(part, item, condition).as_str()))
        };
        let says = self.canned.iter().find(fits).map_or("done", |c| c.says.as_str());
        self.fill(says, item, condition)
    }

    fn steps(
        &self,
        item: &Item,
        condition: Condition,
    ) -> impl Iterator<Item = (ToolCall, String, String)> {
        self.lead_up.iter().enumerate().map(move |(i, step)| {
            let call = ToolCall {
                id: format!("lead-{}", i + 1),
                name: step.tool.clone(),
                arguments: self.fill(&step.arguments, item, condition),
            };
            let fill = |text: &str| self.fill(text, item, condition);
            (call, fill(&step.text), fill(&step.says))
        })
    }
}

/// Replaces variables by the first value that there is.
fn fill(text: &str, vars: &[Option<&BTreeMap<String, String>>]) -> String {
    let mut out = text.to_owned();
    for _ in 0..DEPTH {
        let Some(next) = once(&out, vars) else { break };
        out = next;
    }
    out
}

/// One pass; none if nothing was replaced.
fn once(text: &str, vars: &[Option<&BTreeMap<String, String>>]) -> Option<String> {
    let (mut out, mut rest, mut replaced) = (String::with_capacity(text.len()), text, false);
    while let Some((before, name, after)) = next_name(rest) {
        out.push_str(before);
        if let Some(value) = vars.iter().flatten().find_map(|v| v.get(name)) {
            out.push_str(value);
            replaced = true;
        } else {
            out.push_str(&rest[before.len()..rest.len() - after.len()]);
        }
        rest = after;
    }
    out.push_str(rest);
    replaced.then_some(out)
}

/// The next `{{name}}`: what stands before it, the name, and the rest.
pub(super) fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("{{")?;
        let inside = &text[start + 2..];
        let end = inside.find("}}")?;
        let name = &inside[..end];
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Some((&text[..start], name, &inside[end + 2..]));
        }
        from = start + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_by_the_first_that_has_them() {
        let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let (a, b) = (of(&[("x", "1")]), of(&[("x", "2"), ("y", "<{{x}}>"), ("z", "{{z}}")]));
        let vars = [None, Some(&a), Some(&b)];
        assert_eq!(
            fill("{{x}} {{y}} {{none}} {{ {\"a\":{}}} {{x", &vars),
            "1 <1> {{none}} {{ {\"a\":{}}} {{x"
        );
        // A value that holds itself ends all the same.
        assert_eq!(fill("{{z}}", &vars), "{{z}}");
    }
}
