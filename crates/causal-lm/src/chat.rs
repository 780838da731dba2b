//! Chat templates: conversations as the text a model was trained on.

use minijinja::{Environment, ErrorKind, Value, context, syntax::SyntaxConfig};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Steps after which a template is taken for one that does not end.
const FUEL: u64 = 20_000_000;

/// Templates beyond this size are refused; published ones stay below fifty kilobytes.
const MAX_TEMPLATE_BYTES: usize = 1 << 20;

const NAME: &str = "chat";

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, or what the template knows besides.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// A message of any role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A message of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }
}

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

/// Whether the text ends with the opening of the model's next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// The model is to speak next.
    Open,
    /// The conversation as it is.
    Closed,
}

/// A parsed chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    special: SpecialTokens,
    file: String,
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
        let mut environment = Environment::new();
        // As the reference library sets its template engine.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| failed(describe(&e)))?);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, _> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| {
            jiff::ZonedDateTime::now().strftime(&format).to_string()
        });
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|e| failed(describe(&e)))?;
        Ok(Self { environment, source: source.to_owned(), special, file: file.to_owned() })
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
    /// [`Error::Template`] if the template refuses the conversation or does not end.
    pub fn render(&self, messages: &[Message], prompt: Prompt) -> Result<String, Error> {
        let failed = |e: &minijinja::Error| Error::Template {
            file: self.file.clone(),
            message: describe(e),
        };
        let template = self.environment.get_template(NAME).map_err(|e| failed(&e))?;
        let special =
            |token: &Option<String>| token.as_deref().map_or(Value::UNDEFINED, Value::from);
        let messages: Vec<Value> = messages
            .iter()
            .map(|m| context! { role => m.role.as_str(), content => m.content.as_str() })
            .collect();
        template
            .render(context! {
                messages => messages,
                add_generation_prompt => prompt == Prompt::Open,
                bos_token => special(&self.special.bos_token),
                eos_token => special(&self.special.eos_token),
                pad_token => special(&self.special.pad_token),
                unk_token => special(&self.special.unk_token),
                tools => Value::from(()),
                documents => Value::from(()),
            })
            .map_err(|e| failed(&e))
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
            if message.role != "assistant" {
                continue;
            }
            let before = self.render(&messages[..i], Prompt::Open)?;
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
    let place = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let detail = error.detail().map(|d| format!(": {d}")).unwrap_or_default();
    format!("{place}{}{detail}", error.kind()).replace('\n', " ")
}
