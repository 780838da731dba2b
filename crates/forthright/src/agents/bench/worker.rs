//! Our side: every line of standard input asks for one turn.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use agent_evals::{
    Agent, Error, FileRule, FileScenario, FileScorer, FileTool, Key, Limits, Observer, Plan,
    Progress, Sample, Score, Stopper,
};
use chat_model::{ChatModel, Message, Request, Response, Scripted, ToolCall, Usage};
use clap::Args;
use serde_json::json;

use super::{Case, Turn, Work};
use crate::{
    agents::{results::Results, runtime},
    bench::serve,
};

/// One side of `agents bench`, for that command's use.
#[derive(Args)]
pub(crate) struct BenchWorker {
    #[arg(value_enum)]
    case: Case,
    folder: PathBuf,
}

impl BenchWorker {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let runtime = runtime()?;
        serve(|work| {
            let work: Work = serde_json::from_str(work)?;
            match self.case {
                Case::Turns | Case::Memory => runtime.block_on(turns(&work, &self.folder)),
                Case::Sandbox => runtime.block_on(commands(&work)),
            }
        })
    }
}

/// Processor time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

async fn turns(work: &Work, folder: &Path) -> anyhow::Result<Turn> {
    let journal = folder.join("journal.jsonl");
    if journal.exists() {
        fs::remove_file(&journal)?;
    }
    let plan = plan(work)?;
    // The crowd is counted where it is what is measured; speed is measured without a view.
    let crowd = Arc::new(Crowd::default());
    let observer = (work.wait_ms > 0).then(|| Arc::clone(&crowd) as Arc<dyn Observer>);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let done = plan.run(&journal, observer, Stopper::default()).await?;
    let (seconds, cpu_seconds) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let peak_bytes = rl_core::memory::peak_bytes();
    let cells = Results::read(&journal)?.cells();
    Ok(Turn {
        seconds,
        cpu_seconds,
        samples: work.samples,
        turns: done.turns,
        score: cells.first().and_then(|cell| cell.mean).unwrap_or(f64::NAN),
        log_bytes: fs::metadata(&journal)?.len(),
        peak_bytes,
        crowd: crowd.0.load(Ordering::Relaxed),
        ..Turn::default()
    })
}

/// The most samples that were running at a time.
#[derive(Default)]
struct Crowd(AtomicU64);

impl Observer for Crowd {
    fn progress(&self, progress: &Progress, _: &Key, _: Option<&BTreeMap<String, Score>>) {
        self.0.fetch_max(progress.running, Ordering::Relaxed);
    }
}

fn plan(work: &Work) -> Result<Plan, Error> {
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
        samples: (0..work.samples)
            .map(|i| Sample::new(i.to_string(), "Add ten times, then say that you are done."))
            .collect(),
        scorers: vec![FileScorer {
            name: "added".to_owned(),
            rule: FileRule::Calls("add".to_owned()),
        }],
    };
    scenario.validate()?;
    let model = Waits { model: adds(work.calls), first: Duration::from_millis(work.wait_ms) };
    Ok(Plan {
        concurrent: NonZeroUsize::new(work.concurrent).unwrap_or(NonZeroUsize::MIN),
        ..Plan::new(Arc::new(scenario), Agent::new(model))
    })
}

/// Calls the tool so often, then is done.
fn adds(calls: usize) -> Scripted {
    Scripted::function("scripted", move |request: &Request, _| {
        let done = request.messages.iter().filter(|m| matches!(m, Message::Tool { .. })).count();
        let mut response = if done < calls {
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
    })
}

/// Waits before each answer, if it is to wait at all.
struct Waits {
    model: Scripted,
    first: Duration,
}

impl ChatModel for Waits {
    fn model(&self) -> &str {
        self.model.model()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> chat_model::Answer<'a> {
        if self.first.is_zero() {
            return self.model.answer(request);
        }
        Box::pin(async move {
            tokio::time::sleep(self.first).await;
            self.model.answer(request).await
        }) as Pin<Box<_>>
    }
}

/// One command after the other, each in namespaces of its own.
#[cfg(target_os = "linux")]
async fn commands(work: &Work) -> anyhow::Result<Turn> {
    use agent_evals::sandbox::{Command, Ended, Sandbox, SandboxConfig};

    let sandbox = Sandbox::open(SandboxConfig::default()).await?;
    let (start, mut times) = (Instant::now(), Vec::new());
    for _ in 0..work.commands {
        let start = Instant::now();
        let output = sandbox.run(&Command::new("/bin/true", [] as [&str; 0])).await?;
        anyhow::ensure!(output.ended == Ended::Exit(0), "expected success, found {output:?}");
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let command_ms = crate::bench::median(times.into_iter());
    Ok(Turn { seconds: start.elapsed().as_secs_f64(), command_ms, ..Turn::default() })
}

#[cfg(not(target_os = "linux"))]
async fn commands(_work: &Work) -> anyhow::Result<Turn> {
    anyhow::bail!("there is no sandbox on this system")
}
