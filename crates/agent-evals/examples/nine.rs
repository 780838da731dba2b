//! Puts a scripted agent into all nine scenarios, as each persona, three times, and says how long it took.
//!
//! With `--sandbox`, shells are real ones.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{sync::Arc, time::Instant};

use agent_evals::{
    Agent, FinishedIter, Limits, Plan, Scenario, Stopper,
    scenarios::{Stage, StageConfig, World, all, personas},
};
use chat_model::{Message, Response, Scripted, ToolCall};

#[tokio::main]
async fn main() -> Result<(), agent_evals::Error> {
    let sandbox = std::env::args().any(|a| a == "--sandbox");
    let world = if sandbox { World::Sandboxed } else { World::Simulated };
    // Calls each tool that it is shown once, with the least that its schema takes, then stops.
    let curious = Scripted::function("curious", |request, _| {
        let turn = request.messages.iter().filter(|m| matches!(m, Message::Tool { .. })).count();
        let Some(tool) = request.tools.get(turn) else {
            return Ok(Response::from_text("curious", "That is all."));
        };
        let arguments = least(&tool.parameters).to_string();
        let call = ToolCall { id: format!("c{turn}"), name: tool.name.clone(), arguments };
        Ok(Response::from_calls("curious", vec![call]))
    });
    let stage = |definition| {
        let config = StageConfig { world, ..StageConfig::default() };
        Arc::new(Stage::new(Arc::clone(definition), config)) as Arc<dyn Scenario>
    };
    let scenarios: Vec<Arc<dyn Scenario>> = all().iter().map(stage).collect();
    let plan = Plan {
        personas: personas().to_vec(),
        epochs: 3,
        limits: Limits { turns: Some(40), ..Limits::default() },
        ..Plan::new(Arc::clone(&scenarios[0]), Agent::new(curious))
    };
    let folder = std::env::temp_dir().join(format!("nine-{}", std::process::id()));
    let io = |source| agent_evals::Error::Io { action: "make", path: folder.clone(), source };
    std::fs::create_dir_all(&folder).map_err(io)?;
    let journal = folder.join("journal.jsonl");
    let started = Instant::now();
    let progress = Plan { scenarios, ..plan }.run(&journal, None, Stopper::default()).await?;
    let took = started.elapsed().as_secs_f64();
    let samples = FinishedIter::open(&journal)?.flatten().count();
    println!("{samples} samples in {took:.1} s ({world:?}); {progress:?}");
    std::fs::remove_dir_all(&folder).map_err(io)
}

/// The least that a schema takes.
fn least(schema: &serde_json::Value) -> serde_json::Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let names = schema["required"].as_array().into_iter().flatten();
            let fields = names.filter_map(|n| n.as_str());
            fields.map(|n| (n.to_owned(), least(&schema["properties"][n]))).collect()
        }
        Some("array") => serde_json::json!([]),
        Some("number" | "integer") => 1.into(),
        _ => "ls".into(),
    }
}
