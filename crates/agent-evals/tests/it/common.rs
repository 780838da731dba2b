//! A scenario for tests: an agent counts, and whoever stops too early loses.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use agent_evals::{
    Agent, Episode, Error, FunctionScorer, FunctionTool, Limits, Next, Plan, Sample, Scenario,
    Score, Scorer, Tool, ToolOutcome, Turn,
};
use chat_model::{Message, Request, Response, Scripted, ToolCall, Usage};
use rl_core::seed::Seed;
use serde_json::{Value, json};

pub(crate) type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Counting up to a goal with a tool, in samples of their own goals.
pub(crate) struct Counting {
    pub(crate) name: &'static str,
    pub(crate) goals: Vec<u64>,
    pub(crate) limits: Limits,
    /// What happens when the agent stops calling.
    pub(crate) react: fn(u64, &Turn<'_>) -> Next,
    /// Added to the count at the beginning, so that an episode can be made to differ.
    pub(crate) offset: u64,
}

impl Counting {
    pub(crate) fn to(goals: &[u64]) -> Self {
        Self {
            name: "counting",
            goals: goals.to_vec(),
            limits: Limits::default(),
            react: |_, _| Next::Continue,
            offset: 0,
        }
    }
}

struct CountingEpisode {
    goal: u64,
    count: Arc<Mutex<u64>>,
    seed: Seed,
    react: fn(u64, &Turn<'_>) -> Next,
}

impl Scenario for Counting {
    fn name(&self) -> &str {
        self.name
    }

    fn samples(&self) -> Result<Vec<Sample>, Error> {
        let of = |(i, goal): (usize, &u64)| Sample {
            target: vec![goal.to_string()],
            ..Sample::new(format!("s{i}"), format!("Count to {goal}."))
        };
        Ok(self.goals.iter().enumerate().map(of).collect())
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn scorers(&self) -> Vec<Arc<dyn Scorer>> {
        vec![Arc::new(FunctionScorer::new("reached", |trace| {
            let Some(count) = trace.evidence()["count"].as_u64() else {
                return Score::unscored("nothing was counted");
            };
            let goal: u64 = trace.sample.target[0].parse().unwrap();
            Score::number(f64::from(count >= goal)).with("count", count)
        }))]
    }

    fn begin<'a>(
        &'a self,
        sample: &'a Sample,
        seed: Seed,
    ) -> BoxFuture<'a, Result<Box<dyn Episode>, Error>> {
        let goal = sample.target[0].parse().unwrap();
        let (react, count) = (self.react, Arc::new(Mutex::new(self.offset)));
        Box::pin(async move {
            Ok(Box::new(CountingEpisode { goal, count, seed, react }) as Box<dyn Episode>)
        })
    }
}

impl Episode for CountingEpisode {
    fn opening(&mut self) -> Vec<Message> {
        vec![Message::system("You count."), Message::user(format!("Count to {}.", self.goal))]
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let spec = |name: &str, parameters: Value| chat_model::Tool {
            name: name.to_owned(),
            description: "Counts on.".to_owned(),
            parameters,
        };
        let (count, seed) = (Arc::clone(&self.count), self.seed);
        let parameters = json!({
            "type": "object",
            "properties": { "by": { "type": "integer", "minimum": 1 } },
            "required": ["by"],
        });
        let add = FunctionTool::new(spec("add", parameters), move |arguments| {
            let mut count = count.lock().unwrap();
            *count += arguments["by"].as_u64().unwrap();
            // A result that depends on the seed.
            let luck = seed.derive("luck", *count).value() % 10;
            Ok(ToolOutcome::text(format!("count {count}, luck {luck}")))
        });
        let broken = FunctionTool::new(spec("broken", json!({ "type": "object" })), |_| {
            Err(Error::Tool { tool: "broken".to_owned(), reason: "it is broken".to_owned() })
        });
        vec![Arc::new(add), Arc::new(broken)]
    }

    fn react<'a>(&'a mut self, turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        let next = (self.react)(self.goal, &turn);
        Box::pin(std::future::ready(Ok(next)))
    }

    fn observe(&mut self) -> BoxFuture<'_, Result<Value, Error>> {
        let count = *self.count.lock().unwrap();
        Box::pin(std::future::ready(Ok(json!({ "count": count }))))
    }
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

/// Calls `add` by one, `steps` times, then says that it is done. A function of the conversation, so
/// that any number of samples may ask.
pub(crate) fn counter(steps: usize) -> Scripted {
    Scripted::function("counter", move |request: &Request, _| {
        let results = request.messages.iter().filter(|m| matches!(m, Message::Tool { .. })).count();
        let mut response = if results < steps {
            Response::from_calls(
                "counter",
                vec![call(&format!("c{results}"), "add", r#"{"by":1}"#)],
            )
        } else {
            Response::from_text("counter", "Done.")
        };
        response.usage =
            Some(Usage { prompt_tokens: 10, completion_tokens: 2, ..Usage::default() });
        Ok(response)
    })
}

pub(crate) fn plan(scenario: Counting, agent: Agent) -> Plan {
    Plan { concurrent: NonZeroUsize::new(4).unwrap(), ..Plan::new(Arc::new(scenario), agent) }
}
