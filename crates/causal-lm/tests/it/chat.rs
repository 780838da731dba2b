//! Chat templates against the reference library's rendering, and what is refused.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use causal_lm::{
    chat::{ChatTemplate, Extras, Message, Prompt, SpecialTokens},
    gguf::{Gguf, Value},
};
use jiff::civil::DateTime;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use crate::common::{golden, smollm2_path};

/// `golden/chat/cases.json`.
#[derive(Deserialize)]
struct Cases {
    tools: Vec<Json>,
    conversations: Map<String, Json>,
    extras: Map<String, Json>,
    special_tokens: SpecialTokens,
    now: String,
}

impl Cases {
    fn read() -> Self {
        serde_json::from_str(&text("chat/cases.json")).unwrap()
    }

    fn parse(&self, source: &str, name: &str) -> Result<ChatTemplate, causal_lm::Error> {
        let now: DateTime = self.now.parse().unwrap();
        let now = now.in_tz("UTC").unwrap();
        Ok(ChatTemplate::parse(source, self.special_tokens.clone(), name)?.at(&now))
    }

    fn conversation(&self, name: &str) -> Vec<Message> {
        serde_json::from_value(self.conversations[name].clone()).unwrap()
    }

    /// What `renderings` of the generator yields.
    fn renderings(&self, template: &ChatTemplate, name: &str) -> Vec<Option<String>> {
        let messages = self.conversation(name);
        let names = |name: &str| template.source().contains(name);
        let mut out = Vec::new();
        for variables in self.extras.values().map(|v| v.as_object().unwrap()) {
            if !variables.is_empty() && !variables.keys().any(|name| names(name)) {
                continue;
            }
            for tools in [None, Some(self.tools.clone())] {
                if tools.is_some() && !names("tools") {
                    continue;
                }
                let variables = variables.clone();
                let extras = Extras { tools, variables, ..Extras::default() };
                for prompt in [Prompt::Closed, Prompt::Open] {
                    out.push(template.render_with(&messages, prompt, &extras).ok());
                }
            }
        }
        out
    }
}

fn text(name: &str) -> String {
    fs::read_to_string(golden(name)).unwrap()
}

/// Number, bytes and SHA-256 of renderings.
fn digest(texts: &[Option<String>]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        match text {
            Some(text) => hash.update(format!("{}:{text}", text.len())),
            None => hash.update("-1:"),
        }
    }
    let size: usize = texts.iter().flatten().map(String::len).sum();
    let hex = hash.finalize().iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    });
    format!("{} {size} {hex}", texts.len())
}

/// A published template as `cargo xtask setup` fetches it, the default model's, or one of ours.
fn source(name: &str) -> String {
    if name == "smollm2" {
        let file = Gguf::open(&smollm2_path()).unwrap();
        return file.value("tokenizer.chat_template").and_then(Value::as_str).unwrap().to_owned();
    }
    if let Some(name) = name.strip_prefix("ours/") {
        return text(&format!("chat/{name}"));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/templates");
    assert!(folder.exists(), "published templates are not there: run `cargo xtask setup`");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn published_templates_give_the_references_text() {
    let cases = Cases::read();
    let published: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(&text("chat/published.json")).unwrap();
    assert!(published.len() >= 70, "{}", published.len());
    let mut wrong = Vec::new();
    for (name, conversations) in &published {
        let template = cases.parse(&source(name), name).unwrap();
        assert_eq!(conversations.len(), cases.conversations.len());
        for (conversation, expected) in conversations {
            let texts = cases.renderings(&template, conversation);
            if digest(&texts) != *expected {
                wrong.push(format!("{name} {conversation}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ: {wrong:#?}", wrong.len());
}

#[test]
fn the_engine_does_what_the_references_does() {
    let cases = Cases::read();
    let messages = cases.conversation("answered");
    let probes: Vec<(String, Option<String>)> =
        serde_json::from_str(&text("chat/probes.json")).unwrap();
    let mut wrong = String::new();
    for (source, expected) in &probes {
        let found = cases.parse(source, "probe").and_then(|t| t.render(&messages, Prompt::Closed));
        if found.as_ref().ok() != expected.as_ref() {
            writeln!(wrong, "{source:?}\n  expected {expected:?}\n  found    {found:?}").unwrap();
        }
    }
    assert!(probes.len() > 100 && wrong.is_empty(), "{wrong}");
}

fn failure(source: &str) -> String {
    let cases = Cases::read();
    let messages = cases.conversation("answered");
    let extras = Extras { tools: Some(cases.tools.clone()), ..Extras::default() };
    let rendered = cases
        .parse(source, "file")
        .and_then(|template| template.render_with(&messages, Prompt::Open, &extras));
    let error = rendered.unwrap_err().to_string();
    assert!(error.len() < 500 && !error.contains('\n'), "{error}");
    error
}

#[test]
fn wrong_templates_are_refused_in_one_sentence() {
    assert_eq!(
        failure("a\n{% if %}"),
        "file: chat template: line 2: syntax error: unexpected end of block"
    );
    assert_eq!(
        failure("{% for m in messages %}"),
        "file: chat template: line 1: syntax error: unexpected end of input, expected end of block"
    );
    assert_eq!(
        failure("{{ raise_exception('no such role') }}"),
        "file: chat template: line 1: invalid operation: no such role"
    );
    assert!(failure("{{ strftime_now('%!') }}").contains("strftime_now(\"%!\"): "));
    assert!(failure("{{ messages.nothing.more }}").contains("line 1: undefined value"));
    assert!(failure(&"x".repeat(2 << 20)).contains("expected at most 1048576 bytes"));
    assert!(failure("{% include 'other' %}").contains("line 1: template not found"));
    let deep = "{% set ns = namespace(l=[]) %}{% for i in range(300) %}{% set ns.l = [ns.l] %}{% endfor %}";
    assert!(failure(&format!("{deep}{{{{ ns.l | tojson }}}}")).contains("200 levels deep"));
    assert_eq!(
        failure(&"{% if 1 %}".repeat(5000)),
        "file: chat template: line 1: syntax error: template exceeds maximum recursion limits"
    );
}

/// Templates that would take all time or memory there is, each in the blink of an eye.
#[test]
fn traps_are_left_in_time() {
    let loops = "{% for a in range(99999) %}{% for b in range(99999) %}";
    let ends = "{% endfor %}{% endfor %}";
    let grow = |step: &str| {
        format!(
            "{{% set ns = namespace(s='ab', l=[1]) %}}{{% for i in range(1000) %}}{step}{{% endfor %}}\
             {{{{ ns.s | length }}}}{{{{ ns.l | length }}}}"
        )
    };
    let traps = [
        format!("{loops}x{ends}"),
        format!("{loops}{{{{ tools | tojson }}}}{ends}"),
        format!("{{% set s %}}{loops}{}{ends}{{% endset %}}", "long ".repeat(20_000)),
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}".to_owned(),
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}".to_owned(),
        grow("{% set ns.s = ns.s + ns.s %}"),
        grow("{% set ns.s = ns.s ~ ns.s %}"),
        grow("{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}"),
        grow("{% set ns.s = ns.s * 9 %}"),
        grow("{% set ns.s = ns.s | replace('a', 'aaaa') %}"),
        grow("{% set ns.s = ns.s.replace('a', 'aaaa') %}"),
        grow("{% set ns.s = ns.s | tojson | tojson %}"),
        grow("{% set ns.s = [ns.s, ns.s] | join(ns.s) %}"),
        grow("{% set ns.s = ns.s.join([ns.s, ns.s]) %}"),
        grow("{% set ns.s = '{}{}'.format(ns.s, ns.s) %}"),
        grow("{% set ns.s = '%s%s' | format(ns.s, ns.s) %}"),
        grow("{% set ns.l = ns.l + ns.l %}{% set ns.s = ns.l | list | string %}"),
        grow("{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l }}",
        grow("{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l | tojson }}",
        grow("{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l | string }}",
        grow("{% set ns.l = {'a': ns.l, 'b': [ns.l]} %}") + "{{ [ns.l] | join(',') }}",
        grow("{% set ns.l = (ns.l, ns.l) %}") + "{{ ','.join([ns.l]) }}",
        grow("{% set ns.l = [ns.l] %}").replace("1000", "99999") + "{{ ns.l }}",
        grow("{% set ns.l = [[[[[[[[[[[[[[[[[[[[ns.l]]]]]]]]]]]]]]]]]]]] %}")
            .replace("1000", "99999"),
        grow("{% set ns.l = [[[[[[[[[[[[[[[[[[[[ns.l]]]]]]]]]]]]]]]]]]]] %}")
            .replace("1000", "9999")
            + "{{ ns.l ~ 'x' }}{{ raise_exception('shown') }}",
        "{{ 'x' * 10000000000 }}".to_owned(),
        "{{ 'x' | indent(10000000000) }}{{ 'a\nb' | indent(4000000000) }}".to_owned(),
        "{{ '%1000000000d' | format(1) }}".to_owned(),
        "{{ '{:1000000000}'.format(1) }}".to_owned(),
        "{{ '{:.1000000000f}'.format(1.5) }}".to_owned(),
        "{{ '{:{}}'.format(1, 1000000000) }}".to_owned(),
        "{{ '%*d' | format(1000000000, 1) }}".to_owned(),
        "{{ [[1]] | tojson(indent=1000000000, separators=('x' * 100000000, 'y')) }}".to_owned(),
        "{{ range(99999) | list | map('string') | join('x' * 1000000) }}".to_owned(),
        "{{ strftime_now('%999999999d' * 100000) }}".to_owned(),
    ];
    for trap in &traps {
        let before = peak_bytes();
        let error = failure(trap);
        let used = peak_bytes().saturating_sub(before);
        assert!(used < MAX_TRAP_BYTES, "{used} bytes: {trap:.120}");
        assert!(error.starts_with("file: chat template: "), "{error}");
    }
}

/// A few copies of the longest text that a template's fuel allows.
const MAX_TRAP_BYTES: u64 = 1 << 30;

/// The greatest resident memory so far.
fn peak_bytes() -> u64 {
    rl_core::memory::peak_bytes().unwrap_or(0)
}

#[test]
fn templates_are_found_in_each_published_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let load = || ChatTemplate::from_folder(folder.path()).map_err(|e| e.to_string());
    let messages = [Message::user("Hi")];
    let with_tools = Extras { tools: Some(vec![Json::from("tide")]), ..Extras::default() };
    let both = |template: &ChatTemplate| {
        let plain = template.render(&messages, Prompt::Closed).unwrap();
        (plain, template.render_with(&messages, Prompt::Closed, &with_tools).unwrap())
    };
    let shown = |plain: &str, tools: &str| (plain.to_owned(), tools.to_owned());
    assert!(load().unwrap().is_none());

    let config = |value: &str| {
        let tokens = r#""bos_token": {"content": "<s>"}, "eos_token": "</s>""#;
        fs::write(
            path("tokenizer_config.json"),
            format!("{{{tokens}, \"chat_template\": {value}}}"),
        )
    };
    config(r#""{{ bos_token }}config{{ eos_token }}""#).unwrap();
    assert_eq!(both(&load().unwrap().unwrap()), shown("<s>config</s>", "<s>config</s>"));
    config(
        r#"[{"name": "tool_use", "template": "{{ tools[0] }}"},
            {"name": "default", "template": "listed"}, {"name": "rag", "template": "{{ bos_token }}"}]"#,
    )
    .unwrap();
    let template = load().unwrap().unwrap();
    assert_eq!(both(&template), shown("listed", "tide"));
    assert_eq!(both(template.named("rag").unwrap()).0, "<s>");
    assert!(template.named("default").is_none());

    // What is written is read again, from files, which come before the list.
    config(r#""not this one""#).unwrap();
    template.save(folder.path()).unwrap();
    let again = load().unwrap().unwrap();
    assert_eq!(both(&again), shown("listed", "tide"));
    assert_eq!(again.all_named().map(|(name, _)| name).collect::<Vec<_>>(), ["rag", "tool_use"]);

    fs::remove_file(path("chat_template.jinja")).unwrap();
    let error = load().unwrap_err();
    assert!(error.contains("chat template: expected a template named default, found "), "{error}");
    fs::remove_dir_all(path("additional_chat_templates")).unwrap();
    for wrong in ["3", "[3]", r#"[{"name": "../default", "template": ""}]"#] {
        config(wrong).unwrap();
        let error = load().unwrap_err();
        assert!(
            error.contains("tokenizer_config.json: chat_template: expected text, or"),
            "{error}"
        );
    }
}

#[test]
fn what_the_conversation_sets_cannot_be_set_beside_it() {
    let cases = Cases::read();
    let template = cases.parse("{{ bos_token }}{{ tools }}", "file").unwrap();
    let render = |messages: &[Message], name: &str| {
        let extras = Extras::default().with(name, Json::from("set"));
        template.render_with(messages, Prompt::Open, &extras).map_err(|e| e.to_string())
    };
    let messages = [Message::user("Hi")];
    assert_eq!(render(&messages, "bos_token").unwrap(), "setNone");
    for name in ["messages", "tools", "documents", "add_generation_prompt"] {
        let error = render(&messages, name).unwrap_err();
        assert!(error.starts_with(&format!("template variable {name}: expected ")), "{error}");
    }
    let error = render(&[], "x").unwrap_err();
    assert_eq!(error, "file: chat template: expected at least one message, found none");
}
