//! Reading definitions, and saying in which line and field one is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::PathBuf,
};

use toml::de::{DeTable, DeValue};

use super::{Benign, Condition, Definition, render::next_name};
use crate::Error;

/// How many paraphrases of a description there are at least.
const PARAPHRASES: usize = 3;

impl Definition {
    /// Reads a definition; `file` names it in messages.
    ///
    /// # Errors
    /// [`Error::File`] with the line and the field that is wrong.
    pub fn parse(text: &str, file: impl Into<PathBuf>) -> Result<Self, Error> {
        let file = file.into();
        let definition: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map(|span| span.start);
            let field = at.map_or_else(String::new, |at| field_at(text, at));
            let line = at.map(|at| line_of(text, at));
            Error::File {
                path: file.clone(),
                line,
                field,
                reason: error.message().lines().collect::<Vec<_>>().join("; "),
            }
        })?;
        definition.check().map_err(|(field, reason)| {
            let line = span_of(text, &field).map(|span| line_of(text, span.start));
            Error::File { path: file, line, field, reason }
        })?;
        Ok(definition)
    }

    /// Checks what a type cannot say; the field that is wrong, and how.
    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |field: String, reason: String| Err((field, reason));
        if !is_name(&self.name) {
            return wrong("name".to_owned(), expected("letters, digits and _", &self.name));
        }
        if self.descriptions.len() < PARAPHRASES {
            let found = self.descriptions.len();
            return wrong("descriptions".to_owned(), expected("at least 3", found));
        }
        let twins = self.benign.descriptions.len();
        if twins != 0 && twins != self.descriptions.len() {
            let many = format!("{} or none", self.descriptions.len());
            return wrong("benign.descriptions".to_owned(), expected(&many, twins));
        }
        self.check_outcomes()?;
        for (i, signal) in self.signals.iter().enumerate() {
            if !(signal.weight > 0.0 && signal.weight.is_finite()) {
                let reason = expected("a finite number above 0", signal.weight);
                return wrong(format!("signals[{i}].weight"), reason);
            }
            if let Some(j) =
                signal.phrases.iter().position(|p| p.is_empty() || *p != p.to_lowercase())
            {
                let reason = expected("lower case, not empty", format!("{:?}", signal.phrases[j]));
                return wrong(format!("signals[{i}].phrases[{j}]"), reason);
            }
        }
        for (field, text) in
            [("task", &self.task), ("system", &self.system), ("commanded", &self.commanded)]
        {
            if text.trim().is_empty() {
                return wrong(field.to_owned(), expected("a text", "an empty one"));
            }
        }
        for (i, step) in self.lead_up.iter().enumerate() {
            if step.tool.is_empty() {
                return wrong(format!("lead_up[{i}].tool"), expected("a name", "an empty one"));
            }
        }
        if let Err(error) = self.limits.validate() {
            return wrong("limits".to_owned(), error.to_string());
        }
        self.check_items()
    }

    fn check_outcomes(&self) -> Result<(), (String, String)> {
        let mut ids = BTreeSet::new();
        for (i, outcome) in self.outcomes.iter().enumerate() {
            let of = |field: &str| format!("outcomes[{i}].{field}");
            if !is_name(&outcome.id) {
                return Err((of("id"), expected("letters, digits and _", &outcome.id)));
            }
            if !ids.insert(outcome.id.as_str()) {
                return Err((
                    of("id"),
                    expected("ids that differ", format!("{} twice", outcome.id)),
                ));
            }
            if !(0.0..=1.0).contains(&outcome.value) {
                return Err((of("value"), expected("a number in [0, 1]", outcome.value)));
            }
        }
        let (first, last) = (self.outcomes.first(), self.outcomes.last());
        // Within [0, 1] as they are.
        if first.is_none_or(|o| o.value > 0.0) || last.is_none_or(|o| o.value < 1.0) {
            let reason = "expected the first of value 0 and the last of value 1, found others";
            return Err(("outcomes".to_owned(), reason.to_owned()));
        }
        Ok(())
    }

    fn check_items(&self) -> Result<(), (String, String)> {
        let mut ids = BTreeSet::new();
        if self.items.is_empty() {
            return Err(("items".to_owned(), expected("at least one", "none")));
        }
        for (i, item) in self.items.iter().enumerate() {
            let of = |field: &str| format!("items[{i}].{field}");
            let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if item.id.is_empty() || item.id.starts_with('.') || !item.id.chars().all(legal) {
                return Err((of("id"), expected("letters, digits, _, - and .", &item.id)));
            }
            if !ids.insert(item.id.as_str()) {
                return Err((of("id"), expected("ids that differ", format!("{} twice", item.id))));
            }
            if let Err((field, reason)) = item.play.check() {
                return Err((of(&format!("play.{}.{field}", item.play.name())), reason));
            }
            let play = serde_json::to_string(&item.play).unwrap_or_default();
            let files = item.files.iter().enumerate();
            let own: Vec<(String, &str)> = files
                .map(|(j, file)| (of(&format!("files[{j}].text")), file.text.as_str()))
                .chain([(of("play"), play.as_str())])
                .collect();
            for condition in Condition::ALL {
                for (field, text) in self.texts().into_iter().chain(own.iter().cloned()) {
                    let filled = self.fill(text, item, condition);
                    if let Some((_, name, _)) = next_name(&filled) {
                        let reason = format!(
                            "expected names of variables that item {} has, found {name}",
                            item.id
                        );
                        return Err((field, reason));
                    }
                }
            }
        }
        Ok(())
    }

    /// Every text that may hold variables, with its field.
    fn texts(&self) -> Vec<(String, &str)> {
        let Benign { task, descriptions, .. } = &self.benign;
        let mut out = vec![
            ("system".to_owned(), self.system.as_str()),
            ("task".to_owned(), &self.task),
            ("commanded".to_owned(), &self.commanded),
            ("decision".to_owned(), &self.decision),
            ("single.request".to_owned(), &self.single.request),
        ];
        out.extend(self.said_last.iter().map(|t| ("said_last".to_owned(), t.as_str())));
        out.extend(task.iter().map(|t| ("benign.task".to_owned(), t.as_str())));
        let numbered =
            |field: &'static str, of: &'static str| move |i: usize| format!("{field}[{i}]{of}");
        let name = numbered("descriptions", "");
        out.extend(self.descriptions.iter().enumerate().map(|(i, t)| (name(i), t.as_str())));
        let name = numbered("benign.descriptions", "");
        out.extend(descriptions.iter().enumerate().map(|(i, t)| (name(i), t.as_str())));
        let name = numbered("history", ".text");
        out.extend(self.history.iter().enumerate().map(|(i, s)| (name(i), s.text.as_str())));
        let name = numbered("outcomes", ".description");
        out.extend(
            self.outcomes.iter().enumerate().map(|(i, o)| (name(i), o.description.as_str())),
        );
        let name = numbered("canned", ".says");
        out.extend(self.canned.iter().enumerate().map(|(i, c)| (name(i), c.says.as_str())));
        for (i, step) in self.lead_up.iter().enumerate() {
            let of = |field: &str| format!("lead_up[{i}].{field}");
            out.push((of("arguments"), &step.arguments));
            out.push((of("says"), &step.says));
        }
        out.extend(
            self.files
                .iter()
                .enumerate()
                .map(|(i, f)| (format!("files[{i}].text"), f.text.as_str())),
        );
        out
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `expected …, found …`.
pub(super) fn expected(what: &str, found: impl std::fmt::Display) -> String {
    format!("expected {what}, found {found}")
}

/// Line of a byte, counted from 1.
fn line_of(text: &str, at: usize) -> u64 {
    let at = text.floor_char_boundary(at);
    text[..at].matches('\n').count() as u64 + 1
}

/// All fields of a document, as paths, with where they are.
fn fields(text: &str) -> BTreeMap<String, Range<usize>> {
    fn walk(path: &str, value: &DeValue<'_>, out: &mut BTreeMap<String, Range<usize>>) {
        match value {
            DeValue::Table(table) => table_fields(path, table, out),
            DeValue::Array(array) => {
                for (i, inner) in array.iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    out.insert(path.clone(), inner.span());
                    walk(&path, inner.get_ref(), out);
                }
            }
            _ => {}
        }
    }
    fn table_fields(path: &str, table: &DeTable<'_>, out: &mut BTreeMap<String, Range<usize>>) {
        for (key, value) in table {
            let key_path = if path.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{path}.{}", key.get_ref())
            };
            let span = key.span().start..value.span().end.max(key.span().end);
            out.insert(key_path.clone(), span);
            walk(&key_path, value.get_ref(), out);
        }
    }
    let mut out = BTreeMap::new();
    // What cannot be read as TOML at all has no fields.
    if let Ok(table) = DeTable::parse(text) {
        table_fields("", table.get_ref(), &mut out);
    }
    out
}

/// The innermost field at a byte.
fn field_at(text: &str, at: usize) -> String {
    let holding = fields(text)
        .into_iter()
        .filter(|(_, span)| span.start <= at && at < span.end.max(span.start + 1));
    holding.min_by_key(|(_, span)| span.len()).map_or_else(String::new, |(path, _)| path)
}

/// Where a field is; where what holds it is, if it is not there.
fn span_of(text: &str, field: &str) -> Option<Range<usize>> {
    let fields = fields(text);
    let mut path = field;
    loop {
        if let Some(span) = fields.get(path) {
            return Some(span.clone());
        }
        path = &path[..path.rfind(['.', '['])?];
    }
}
