//! Samples whose model answers at once and whose tool is a function.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use agent_evals::{
    Agent, FileRule, FileScenario, FileScorer, FileTool, Limits, Plan, Sample, Stopper,
};
use chat_model::{Message, Request, Response, Scripted, ToolCall, Usage};
use serde_json::json;
use tokio::runtime::Runtime;

/// Turns of each sample.
pub(crate) const TURNS: usize = 11;

pub(crate) fn plan(samples: usize) -> Plan {
    let scenario = FileScenario {
        name: "adding".to_owned(),
        about: String::new(),
        system: "You add numbers with a tool.".to_owned(),
        limits: Limits::default(),
        tools: vec![FileTool {
            name: "add".to_owned(),
            description: "Adds to the total.".to_owned(),
            parameters: json!({
                "type": "object",
                "properties": { "by": { "type": "integer" } },
                "required": ["by"],
            }),
            replies: vec!["added".to_owned()],
        }],
        samples: (0..samples).map(|i| Sample::new(i.to_string(), "Add ten times.")).collect(),
        scorers: vec![FileScorer {
            name: "added".to_owned(),
            rule: FileRule::Calls("add".to_owned()),
        }],
    };
    let model = Scripted::function("scripted", |request: &Request, _| {
        let done = request.messages.iter().filter(|m| matches!(m, Message::Tool { .. })).count();
        let mut response = if done + 1 < TURNS {
            let call = ToolCall {
                id: format!("call-{done}"),
                name: "add".to_owned(),
                arguments: r#"{"by":1}"#.to_owned(),
            };
            Response::from_calls("scripted", vec![call])
        } else {
            Response::from_text("scripted", "done")
        };
        response.usage =
            Some(Usage { prompt_tokens: 100, completion_tokens: 10, ..Usage::default() });
        Ok(response)
    });
    Plan {
        concurrent: NonZeroUsize::new(samples).unwrap(),
        ..Plan::new(Arc::new(scenario), Agent::new(model))
    }
}

/// Runs it into a new journal.
pub(crate) fn run(runtime: &Runtime, samples: usize, journal: &Path) {
    let done = runtime.block_on(plan(samples).run(journal, None, Stopper::default())).unwrap();
    assert_eq!((done.finished as usize, done.errors), (samples, 0));
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
