//! Conversations that arms are held in.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chat_model::{Message, ToolCall};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use serde_json::{Map, Value};

use super::{parse, render};
use crate::{
    Episode, Error, FunctionTool, Next, Tool, ToolOutcome, Turn,
    analysis::Arm,
    scenarios::{Condition, Definition, Item},
};

/// What a call is answered that is only recorded.
const RECORDED: &str = "recorded";
/// What a call is answered that comes after the one that is carried out.
const ONE_ALONE: &str = "not carried out: one call alone was asked for";
/// Times that a question with options is put, at most, where it goes on for several turns.
pub(super) const TIMES: u64 = 3;

/// A conversation in which nothing that is called is done.
pub(super) struct Asked {
    pub(super) opening: Vec<Message>,
    pub(super) specs: Vec<chat_model::Tool>,
    /// Answers to calls, where there is more than one turn.
    pub(super) canned: Option<Canned>,
}

#[derive(Clone)]
pub(super) struct Canned {
    pub(super) definition: Arc<Definition>,
    pub(super) item: Item,
    pub(super) condition: Condition,
}

impl Canned {
    fn says(&self, tool: &str, arguments: &Map<String, Value>) -> String {
        let arguments = Value::Object(arguments.clone()).to_string();
        let call = ToolCall { id: String::new(), name: tool.to_owned(), arguments };
        self.definition.canned(&self.item, self.condition, &call)
    }
}

impl Episode for Asked {
    fn opening(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.opening)
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let tool = |spec: &chat_model::Tool| {
            let (name, canned) = (spec.name.clone(), self.canned.clone());
            let answer = move |arguments: &Map<String, Value>| {
                let says = canned.as_ref().map(|c| c.says(&name, arguments));
                Ok(ToolOutcome::text(says.unwrap_or_else(|| RECORDED.to_owned())))
            };
            Arc::new(FunctionTool::new(spec.clone(), answer)) as Arc<dyn Tool>
        };
        self.specs.iter().map(tool).collect()
    }

    fn react<'a>(&'a mut self, _turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        let next =
            if self.canned.is_some() { Next::Continue } else { Next::End("answered".to_owned()) };
        ready(Ok(next)).boxed()
    }
}

/// A live episode that opens in other words.
pub(super) struct Opened {
    live: Box<dyn Episode>,
    opening: Vec<Message>,
}

impl Opened {
    pub(super) fn new(live: Box<dyn Episode>, opening: Vec<Message>) -> Self {
        Self { live, opening }
    }
}

impl Episode for Opened {
    fn opening(&mut self) -> Vec<Message> {
        let _ = self.live.opening();
        std::mem::take(&mut self.opening)
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        self.live.tools()
    }

    fn react<'a>(&'a mut self, turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        self.live.react(turn)
    }

    fn observe(&mut self) -> BoxFuture<'_, Result<Value, Error>> {
        self.live.observe()
    }
}

/// A live episode of one turn, of which the first call alone is carried out.
pub(super) struct Once {
    live: Opened,
    used: Arc<AtomicBool>,
}

impl Once {
    pub(super) fn new(live: Opened) -> Self {
        Self { live, used: Arc::default() }
    }
}

impl Episode for Once {
    fn opening(&mut self) -> Vec<Message> {
        self.live.opening()
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let once =
            |tool| Arc::new(OnceTool { tool, used: Arc::clone(&self.used) }) as Arc<dyn Tool>;
        self.live.tools().into_iter().map(once).collect()
    }

    fn react<'a>(&'a mut self, _turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        ready(Ok(Next::End("answered".to_owned()))).boxed()
    }

    fn observe(&mut self) -> BoxFuture<'_, Result<Value, Error>> {
        self.live.observe()
    }
}

struct OnceTool {
    tool: Arc<dyn Tool>,
    used: Arc<AtomicBool>,
}

impl Tool for OnceTool {
    fn spec(&self) -> &chat_model::Tool {
        self.tool.spec()
    }

    fn call<'a>(
        &'a self,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<ToolOutcome, Error>> {
        if self.used.swap(true, Ordering::Relaxed) {
            return ready(Ok(ToolOutcome::text(ONE_ALONE))).boxed();
        }
        self.tool.call(arguments)
    }
}

/// A question with options that is put again until the same option is named twice running.
pub(super) struct Again {
    pub(super) opening: Vec<Message>,
    pub(super) arm: Arm,
    /// What each option says, in the order in which they are shown.
    pub(super) options: Vec<String>,
    pub(super) labels: Vec<char>,
    pub(super) before: Option<usize>,
}

impl Episode for Again {
    fn opening(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.opening)
    }

    fn react<'a>(&'a mut self, turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        let named = parse::letter(turn.said(), &self.labels).ok();
        let settled = named.is_some() && named == self.before;
        self.before = named;
        let next = if settled || turn.number >= TIMES {
            Next::End("answered".to_owned())
        } else {
            let what = named.map(|place| self.options[place].as_str());
            Next::user(render::once_more(self.arm, what, &self.labels))
        };
        ready(Ok(next)).boxed()
    }
}

/// Questions that are put one after the other in one conversation.
pub(super) struct Shared {
    questions: std::vec::IntoIter<render::Prompt>,
}

impl Shared {
    pub(super) fn new(questions: Vec<render::Prompt>) -> Self {
        Self { questions: questions.into_iter() }
    }
}

impl Episode for Shared {
    fn opening(&mut self) -> Vec<Message> {
        self.questions.next().map_or_else(Vec::new, |question| question.messages)
    }

    fn react<'a>(&'a mut self, _turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        let next = match self.questions.next() {
            Some(question) => Next::user(question.messages.last().map_or("", Message::text)),
            None => Next::End("answered".to_owned()),
        };
        ready(Ok(next)).boxed()
    }
}
