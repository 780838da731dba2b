//! Chat templates: conversations as the text a model was trained on.

mod engine;
mod folder;
mod message;
mod python;

use std::collections::BTreeMap;

use minijinja::{Environment, ErrorKind, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::Error;

pub use message::Message;

/// Templates beyond this size are refused; published ones stay below fifty kilobytes.
const MAX_TEMPLATE_BYTES: usize = 1 << 20;

/// Texts beyond this size are refused.
const MAX_TEXT_BYTES: usize = 1 << 26;

const NAME: &str = "chat";

/// Variables that a caller cannot set, since they come with the conversation.
const RESERVED: [&str; 4] = ["messages", "tools", "documents", "add_generation_prompt"];

/// Spellings of special tokens that templates may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecialTokens {
    /// Beginning of sequence.
    pub bos_token: Option<String>,
    /// End of sequence.
    pub eos_token: Option<String>,
    /// Padding.
    pub pad_token: Option<String>,
    /// Unknown token.
    pub unk_token: Option<String>,
}

impl SpecialTokens {
    /// Names and spellings of those that are set.
    pub(crate) fn spelled(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self { bos_token, eos_token, pad_token, unk_token } = self;
        [
            ("bos_token", bos_token),
            ("eos_token", eos_token),
            ("pad_token", pad_token),
            ("unk_token", unk_token),
        ]
        .into_iter()
        .filter_map(|(name, token)| Some((name, token.as_deref()?)))
    }
}

/// Whether the text ends with the opening of the model's next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// The model is to speak next.
    Open,
    /// The conversation as it is.
    Closed,
}

/// What a template is given beside the messages.
///
/// # Examples
/// ```
/// use causal_lm::chat::{ChatTemplate, Extras, Message, Prompt, SpecialTokens};
/// use serde_json::json;
///
/// let source = "{{ messages[0].content }}{% if not enable_thinking %} /no_think{% endif %}";
/// let template = ChatTemplate::parse(source, SpecialTokens::default(), "example")?;
/// let extras = Extras::default().with("enable_thinking", json!(false));
/// let text = template.render_with(&[Message::user("Hi")], Prompt::Open, &extras)?;
/// assert_eq!(text, "Hi /no_think");
/// # Ok::<(), causal_lm::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Descriptions of tools that the model may call, as JSON schemas.
    pub tools: Option<Vec<Json>>,
    /// Documents that the model may quote.
    pub documents: Option<Vec<Json>>,
    /// Variables of the template's own, such as `enable_thinking`, `date_string` or
    /// `reasoning_effort`. Special tokens, too, can be set here.
    pub variables: Map<String, Json>,
}

impl Extras {
    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: Json) -> Self {
        self.variables.insert(name.into(), value);
        self
    }
}

/// A parsed chat template, and the ones of other names that were published with it.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    special: SpecialTokens,
    file: String,
    named: BTreeMap<String, ChatTemplate>,
}

/// A rendered conversation and the parts of it that the model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The whole text.
    pub text: String,
    /// Byte ranges of assistant turns, each from after its opening to the end of what the template
    /// closes it with.
    pub assistant: Vec<std::ops::Range<usize>>,
}

impl ChatTemplate {
    /// Parses a template; `file` names its origin in errors.
    ///
    /// # Errors
    /// [`Error::Template`] with line and cause.
    pub fn parse(source: &str, special: SpecialTokens, file: &str) -> Result<Self, Error> {
        let failed = |message: String| Error::Template { file: file.to_owned(), message };
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(failed(format!(
                "expected at most {MAX_TEMPLATE_BYTES} bytes, found {}",
                source.len()
            )));
        }
        let mut environment = engine::environment().map_err(|e| failed(describe(&e)))?;
        environment
            .add_template_owned(NAME, engine::translated(source))
            .map_err(|e| failed(describe(&e)))?;
        Ok(Self {
            environment,
            source: source.to_owned(),
            special,
            file: file.to_owned(),
            named: BTreeMap::new(),
        })
    }

    /// The same template with a fixed time for `strftime_now`, which otherwise is the local time at
    /// rendering.
    #[must_use]
    pub fn at(mut self, now: &jiff::ZonedDateTime) -> Self {
        let fixed = now.clone();
        self.environment
            .add_function("strftime_now", move |format: String| engine::strftime(&format, &fixed));
        self.named = self.named.into_iter().map(|(n, t)| (n, t.at(now))).collect();
        self
    }

    /// Adds a template published under a name of its own. One named `tool_use` takes the place of
    /// this one where tools are given.
    #[must_use]
    pub fn with_named(mut self, name: impl Into<String>, template: Self) -> Self {
        self.named.insert(name.into(), template);
        self
    }

    /// The template of a name.
    pub fn named(&self, name: &str) -> Option<&Self> {
        self.named.get(name)
    }

    /// Names and templates that were published beside this one.
    pub fn all_named(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.named.iter().map(|(name, template)| (name.as_str(), template))
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The special tokens it is rendered with.
    pub fn special_tokens(&self) -> &SpecialTokens {
        &self.special
    }

    /// The conversation as text.
    ///
    /// # Errors
    /// [`Error::Template`] if there are no messages, if the template refuses the conversation, or
    /// if it takes more steps or memory than it may.
    pub fn render(&self, messages: &[Message], prompt: Prompt) -> Result<String, Error> {
        self.render_with(messages, prompt, &Extras::default())
    }

    /// The conversation as text, with tools and variables.
    ///
    /// # Errors
    /// As for [`ChatTemplate::render`]; [`Error::Setting`] for a variable that is not the caller's
    /// to set.
    pub fn render_with(
        &self,
        messages: &[Message],
        prompt: Prompt,
        extras: &Extras,
    ) -> Result<String, Error> {
        if let (Some(_), Some(template)) = (&extras.tools, self.named.get("tool_use")) {
            return template.render_with(messages, prompt, extras);
        }
        let failed = |message: String| Error::Template { file: self.file.clone(), message };
        if messages.is_empty() {
            return Err(failed("expected at least one message, found none".into()));
        }
        if let Some(name) = RESERVED.iter().find(|name| extras.variables.contains_key(**name)) {
            return Err(Error::Setting {
                name: format!("template variable {name}"),
                expected: "a name other than what the conversation itself sets".into(),
                found: (*name).to_owned(),
            });
        }
        let list = |given: &Option<Vec<Json>>| {
            given.as_ref().map(|items| items.iter().map(python::from_json).collect::<Vec<_>>())
        };
        let messages: Vec<Value> = messages.iter().map(Message::to_value).collect();
        let mut context: BTreeMap<&str, Value> = BTreeMap::new();
        context.insert("messages", Value::from(messages));
        context.insert("add_generation_prompt", Value::from(prompt == Prompt::Open));
        context.insert("tools", Value::from(list(&extras.tools)));
        context.insert("documents", Value::from(list(&extras.documents)));
        for (name, token) in self.special.spelled() {
            context.insert(name, Value::from(token));
        }
        for (name, value) in &extras.variables {
            context.insert(name, python::from_json(value));
        }
        let template = self.environment.get_template(NAME).map_err(|e| failed(describe(&e)))?;
        // An error holds values of the template, so it, too, is left on the deep stack.
        let work = || template.render(&context).map_err(|e| describe(&e));
        let rendered = engine::on_deep_stack(work)
            .ok_or_else(|| failed("the engine cannot render it".into()))?;
        let text = rendered.map_err(failed)?;
        if text.len() > MAX_TEXT_BYTES {
            let found = text.len();
            return Err(failed(format!("expected at most {MAX_TEXT_BYTES} bytes, found {found}")));
        }
        Ok(text)
    }

    /// The conversation as text, with the parts that the model wrote.
    ///
    /// Boundaries are found by rendering the conversation up to each turn, never by searching the
    /// text.
    ///
    /// # Errors
    /// [`Error::Template`] as for [`ChatTemplate::render`], and if a template changes earlier text
    /// when later turns come, so that there are no such boundaries.
    pub fn render_spans(&self, messages: &[Message]) -> Result<Rendered, Error> {
        let text = self.render(messages, Prompt::Closed)?;
        let mut assistant = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            if message.role() != "assistant" {
                continue;
            }
            // What opens the turn, or nothing where the conversation begins with it.
            let before = match i {
                0 => String::new(),
                _ => self.render(&messages[..i], Prompt::Open)?,
            };
            let after = self.render(&messages[..=i], Prompt::Closed)?;
            if !after.starts_with(&before) || !text.starts_with(&after) {
                return Err(Error::Template {
                    file: self.file.clone(),
                    message: format!(
                        "turn {i} is rendered differently once later turns follow; train on its \
                         conversation cut after that turn"
                    ),
                });
            }
            assistant.push(before.len()..after.len());
        }
        Ok(Rendered { text, assistant })
    }
}

/// Line and cause of a template error, on one line.
fn describe(error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "it takes more steps or memory than a template may; does it end?".into();
    }
    let place = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let detail = error.detail().map(|d| format!(": {d}")).unwrap_or_default();
    format!("{place}{}{detail}", error.kind()).replace('\n', " ")
}
