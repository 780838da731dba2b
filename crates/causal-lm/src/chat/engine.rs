//! The template engine, set as the reference library sets its own.

use std::borrow::Cow;

use minijinja::{
    Environment, Error, ErrorKind, Output, State, Value, escape_formatter, syntax::SyntaxConfig,
    value::ValueKind,
};

use super::python;

/// What a rendering may use up: as many steps, or 64 times as many bytes. A turn of a conversation
/// takes some hundred.
const FUEL: u64 = 1_000_000;

/// Stacks to render on, the first that can be had. For that much fuel a template builds lists within
/// lists some hundred thousand deep, which are taken apart level by level; what is not touched of a
/// stack costs nothing.
const STACKS: [usize; 3] = [1 << 30, 1 << 28, 1 << 26];

/// An engine without templates.
pub(super) fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax?);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(format);
    environment.set_unknown_method_callback(python::method);
    environment.add_filter("tojson", python::tojson);
    environment.add_filter("trim", python::trim);
    environment.add_filter("string", python::text);
    environment.add_filter("join", python::join);
    // They show more of a value than can be paid for.
    environment.remove_filter("pprint");
    environment.remove_global("debug");
    environment.add_filter("int", python::int);
    environment.add_filter("float", python::to_float);
    environment.add_test("iterable", |value: &Value| {
        let kind = value.kind();
        value.is_undefined()
            || matches!(
                kind,
                ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
            )
    });
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map)
            || value.is_undefined()
    });
    environment.add_function("raise_exception", |message: String| -> Result<String, _> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| {
        strftime(&format, &jiff::ZonedDateTime::now())
    });
    Ok(environment)
}

/// What `work` returns, on a stack that a hostile template cannot overflow; none if there is no such
/// stack or the engine panics.
pub(super) fn on_deep_stack<T: Send>(work: impl Fn() -> T + Sync) -> Option<T> {
    std::thread::scope(|scope| {
        let mut sizes = STACKS.into_iter();
        let thread = sizes.find_map(|size| {
            std::thread::Builder::new().stack_size(size).spawn_scoped(scope, &work).ok()
        })?;
        thread.join().ok()
    })
}

/// A time as text, in the notation of C.
pub(super) fn strftime(format: &str, now: &jiff::ZonedDateTime) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, now).map_err(|e| {
        Error::new(ErrorKind::InvalidOperation, format!("strftime_now({format:?}): {e}"))
    })
}

fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if matches!(value.kind(), ValueKind::String | ValueKind::Undefined) {
        return escape_formatter(out, state, value);
    }
    out.write_str(&python::text(state, value)?).map_err(Error::from)
}

/// A template's text as the engine takes it: lines end as the reference ends them, and tags that the
/// engine lacks are put in other words.
pub(super) fn translated(source: &str) -> String {
    without_generation(&source.replace("\r\n", "\n").replace('\r', "\n")).into_owned()
}

/// The source with the reference's tags around what the model said, `{% generation %}` and
/// `{% endgeneration %}`, put as blocks that the engine has: they have a scope of their own and
/// change no text.
fn without_generation(source: &str) -> Cow<'_, str> {
    if !source.contains("endgeneration") {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let length = match from.as_bytes().get(1) {
            Some(b'#') => from.find("#}").map_or(from.len(), |end| end + 2),
            Some(b'{') => end_of_tag(from, "}}"),
            Some(b'%') => match word(from) {
                "raw" => from.find("endraw").unwrap_or(from.len()),
                _ => end_of_tag(from, "%}"),
            },
            _ => 1,
        };
        let (tag, after) = from.split_at(length);
        let replaced = match word(tag) {
            name @ "generation" => tag.replacen(name, "with", 1),
            name @ "endgeneration" => tag.replacen(name, "endwith", 1),
            _ => tag.to_owned(),
        };
        out.push_str(&replaced);
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The first word of a block tag.
fn word(tag: &str) -> &str {
    let Some(inner) = tag.strip_prefix("{%") else { return "" };
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner).trim_start();
    let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
    &inner[..end]
}

/// Length of a tag up to its end, which does not count within quotes.
fn end_of_tag(tag: &str, close: &str) -> usize {
    let bytes = tag.as_bytes();
    let mut quote = None;
    let mut i = 2;
    while i < bytes.len() {
        match (quote, bytes[i]) {
            (Some(_), b'\\') => i += 1,
            (Some(q), b) if b == q => quote = None,
            (None, b @ (b'"' | b'\'')) => quote = Some(b),
            (None, _) if tag.as_bytes()[i..].starts_with(close.as_bytes()) => {
                return i + close.len();
            }
            _ => {}
        }
        i += 1;
    }
    tag.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_tags_are_replaced_where_they_are_tags() {
        let put = without_generation;
        assert_eq!(
            put("a{%- generation -%} {{ '{% generation %}' }} {% endgeneration %}"),
            "a{%- with -%} {{ '{% generation %}' }} {% endwith %}"
        );
        let other =
            "{# {% generation %} #}{% raw %}{% generation %}{% endgeneration %}{% endraw %}";
        assert_eq!(put(other), other);
        let text = "{ {% set generation = '%}{% endgeneration %}' %}{{ generation }}";
        assert_eq!(put(text), text);
        assert_eq!(put("{% endgeneration"), "{% endwith");
        assert_eq!(put("{{ 'é\\"), "{{ 'é\\");
    }
}
