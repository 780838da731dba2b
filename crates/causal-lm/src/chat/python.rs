//! What templates expect of Python: its JSON, its way of writing numbers, its idea of white space.

use std::fmt::Write as _;

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, Rest, ValueKind, ValueOrKwargs, from_args},
};
use serde_json::Value as Json;

/// Nesting beyond which a value is taken for a trap; published tool descriptions use about ten levels.
const MAX_DEPTH: usize = 200;

/// Widest indentation of JSON.
const MAX_INDENT: usize = 100;

/// Digits of the widths that Python's `format` is given.
const MAX_WIDTH_DIGITS: usize = 4;

/// Bytes of JSON for one unit of a template's fuel.
const BYTES_PER_FUEL: usize = 4;

/// The filter `tojson` with the reference's arguments: nothing is escaped for HTML, keys keep their
/// order, and a space follows each comma and colon.
pub(super) fn tojson(
    state: &State,
    value: &Value,
    args: Rest<ValueOrKwargs>,
) -> Result<Value, Error> {
    let args = args.into_values();
    let (by_place, by_name) = from_args::<(&[Value], Kwargs)>(&args)?;
    if by_place.len() > 4 {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    // None is as good as nothing.
    let option = |place: usize, name: &str| -> Result<Option<Value>, Error> {
        let named: Option<Value> = by_name.get(name)?;
        Ok(by_place.get(place).cloned().or(named).filter(|value| !value.is_none()))
    };
    let indent = match option(1, "indent")? {
        None => None,
        Some(indent) => Some(match (indent.as_str(), indent.kind()) {
            (Some(text), _) => text.chars().take(MAX_INDENT).collect(),
            (None, ValueKind::Bool) => " ".repeat(usize::from(indent.is_true())),
            (None, _) => " ".repeat(usize::try_from(indent)?.min(MAX_INDENT)),
        }),
    };
    let separators = match option(2, "separators")? {
        Some(pair) => {
            let part = |i: usize| Ok::<_, Error>(pair.get_item_by_index(i)?.to_string());
            (part(0)?, part(1)?)
        }
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let set = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let mut writer = Writer {
        state,
        out: String::new(),
        paid: 0,
        indent,
        separators,
        ascii: set(option(0, "ensure_ascii")?),
        sort: set(option(3, "sort_keys")?),
    };
    by_name.assert_all_used()?;
    writer.value(value, 0)?;
    Ok(Value::from(writer.out))
}

struct Writer<'a> {
    state: &'a State<'a, 'a>,
    out: String,
    /// Bytes that fuel was paid for: a small value can hold the same part many times over.
    paid: usize,
    indent: Option<String>,
    separators: (String, String),
    ascii: bool,
    sort: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(refused(&format!("a value nested more than {MAX_DEPTH} levels deep")));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let mut empty = true;
                self.out.push('[');
                for item in value.try_iter()?.checked() {
                    self.between(&mut empty, depth)?;
                    self.value(&item?, depth + 1)?;
                }
                self.close(empty, depth, ']');
            }
            ValueKind::Map => self.map(value, depth)?,
            kind => return Err(refused(&format!("a value that is {kind}"))),
        }
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.checked().collect::<Result<_, _>>()?;
        if self.sort {
            keys.sort();
        }
        let mut empty = true;
        self.out.push('{');
        for key in keys {
            self.between(&mut empty, depth)?;
            match key.kind() {
                ValueKind::String => self.string(key.as_str().unwrap_or_default()),
                ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                    self.out.push('"');
                    self.value(&key, depth + 1)?;
                    self.out.push('"');
                }
                kind => return Err(refused(&format!("a key that is {kind}"))),
            }
            self.out.push_str(&self.separators.1);
            self.value(&value.get_item(&key)?, depth + 1)?;
        }
        self.close(empty, depth, '}');
        Ok(())
    }

    /// What stands before an item.
    fn between(&mut self, empty: &mut bool, depth: usize) -> Result<(), Error> {
        if !std::mem::replace(empty, false) {
            self.out.push_str(&self.separators.0);
        }
        self.line(depth + 1);
        let fuel = (self.out.len() - self.paid) / BYTES_PER_FUEL;
        self.paid += fuel * BYTES_PER_FUEL;
        self.state.consume_fuel(fuel as u64)
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || (self.ascii && !(' '..='~').contains(&c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a string cannot fail.
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

fn refused(found: &str) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("tojson: expected what JSON holds, found {found}"),
    )
}

/// A value of JSON, key order kept.
pub(super) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(fields) => {
            Value::from_pairs(fields.iter().map(|(name, value)| (name.as_str(), from_json(value))))
        }
        Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(value), ..) => Value::from(value),
            (_, Some(value), _) => Value::from(value),
            (_, _, value) => Value::from(value),
        },
    }
}

/// A value as Python's `str` writes it.
pub(super) fn text(state: &State, value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            let mut out = String::new();
            repr(state, value, &mut out, 0)?;
            Ok(out)
        }
        ValueKind::Number => Ok(number(value)),
        _ => Ok(value.to_string()),
    }
}

/// A value as Python's `repr` writes it. What it holds is paid for part by part, since a small value
/// can hold the same part many times over.
fn repr(state: &State, value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        let detail = format!("expected a value nested at most {MAX_DEPTH} levels deep");
        return Err(Error::new(ErrorKind::InvalidOperation, detail));
    }
    let start = out.len();
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
            out.push(open);
            for (i, item) in value.try_iter()?.checked().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                state.consume_fuel(1)?;
                repr(state, &item?, out, depth + 1)?;
            }
            if value.is_tuple() && value.len() == Some(1) {
                out.push(',');
            }
            out.push(close);
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.checked().enumerate() {
                let key = key?;
                out.push_str(if i > 0 { ", " } else { "" });
                state.consume_fuel(1)?;
                repr(state, &key, out, depth + 1)?;
                out.push_str(": ");
                repr(state, &value.get_item(&key)?, out, depth + 1)?;
            }
            out.push('}');
        }
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Number => out.push_str(&number(value)),
        _ => {
            let _ = write!(out, "{value:?}");
            return state.consume_fuel(((out.len() - start) / BYTES_PER_FUEL) as u64);
        }
    }
    Ok(())
}

/// The filter `join`, of items or of an attribute of theirs.
#[expect(clippy::needless_pass_by_value, reason = "the template engine hands arguments over")]
pub(super) fn join(
    state: &State,
    items: &Value,
    separator: Option<&str>,
    named: Kwargs,
) -> Result<String, Error> {
    let separator = named.get::<Option<&str>>("d")?.or(separator).unwrap_or_default();
    let attribute: Option<&str> = named.get("attribute")?;
    named.assert_all_used()?;
    let mut out = String::new();
    for (i, item) in items.try_iter()?.checked().enumerate() {
        let mut item = item?;
        for name in attribute.into_iter().flat_map(|path| path.split('.')) {
            item = item.get_attr(name)?;
        }
        let start = out.len();
        out.push_str(if i > 0 { separator } else { "" });
        out.push_str(&text(state, &item)?);
        state.consume_fuel(((out.len() - start) / BYTES_PER_FUEL) as u64)?;
    }
    Ok(out)
}

/// A number as Python writes it.
pub(super) fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => self::float(float),
        _ => value.to_string(),
    }
}

/// The shortest digits that give the number back, with an exponent where Python has one.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..16).contains(&exponent) {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// The filter `int`: a number without what follows the point, or the default where there is none.
pub(super) fn int(value: &Value, default: Option<Value>) -> Value {
    let parsed = match value.as_str().map(str::trim) {
        Some(text) => {
            text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().map(|f| f as i64))
        }
        None => i64::try_from(value.clone()).ok().or_else(|| {
            f64::try_from(value.clone()).ok().filter(|f| f.is_finite()).map(|f| f as i64)
        }),
    };
    parsed.map_or_else(|| default.unwrap_or_else(|| Value::from(0)), Value::from)
}

/// The filter `float`.
pub(super) fn to_float(value: &Value, default: Option<Value>) -> Value {
    let parsed = match value.as_str() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    parsed.map_or_else(|| default.unwrap_or_else(|| Value::from(0.0)), Value::from)
}

/// White space as Python's strings see it: Unicode's, and the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The filter `trim`.
pub(super) fn trim(text: &Value, chars: Option<&str>) -> Value {
    let text = text.to_string();
    Value::from(strip(&text, chars, true, true))
}

fn strip<'a>(text: &'a str, chars: Option<&str>, start: bool, end: bool) -> &'a str {
    let goes = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if start { text.trim_start_matches(goes) } else { text };
    if end { text.trim_end_matches(goes) } else { text }
}

/// Methods of Python's strings, lists and maps.
pub(super) fn method(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let (Some(text), "strip" | "lstrip" | "rstrip") = (value.as_str(), method) {
        let (chars,): (Option<&str>,) = from_args(args)?;
        return Ok(Value::from(strip(text, chars, method != "rstrip", method != "lstrip")));
    }
    if let (Some(separator), "join") = (value.as_str(), method) {
        let (items,): (&Value,) = from_args(args)?;
        return join(
            state,
            items,
            Some(separator),
            std::iter::empty::<(String, Value)>().collect(),
        )
        .map(Value::from);
    }
    if let (Some(pattern), "format") = (value.as_str(), method) {
        // Widths are not paid for; any run of so many digits is taken for one.
        let digits = pattern.split(|c: char| !c.is_ascii_digit());
        if digits.map(str::len).max() > Some(MAX_WIDTH_DIGITS) {
            let detail = format!("format: expected widths of at most {MAX_WIDTH_DIGITS} digits");
            return Err(Error::new(ErrorKind::InvalidOperation, detail));
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_does() {
        let expected = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (123_456_789_012_345.0, "123456789012345.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e100, "1.25e+100"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in expected {
            assert_eq!(float(value), text);
        }
    }
}
