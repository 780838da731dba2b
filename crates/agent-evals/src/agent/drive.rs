//! The loop: ask, call, react, until somebody ends it.

use std::{collections::HashSet, fmt::Write as _, time::Duration};

use chat_model::{Message, Request, Response, ToolCall};
use rl_core::seed::Seed;
use sha2::{Digest as _, Sha256};

use super::{AgentConfig, CallFormat, Stop, textual, world::World};
use crate::{
    Ending, LimitKind, Limits, Next, Reached, Refusal, Reply, Spent, ToolOutcome, Turn, What,
};

/// Runs one sample to its end; what it spent, and why it ended.
pub(crate) async fn drive(
    config: &AgentConfig,
    limits: &Limits,
    lane: String,
    world: &mut impl World,
) -> Result<(Ending, Spent), Stop> {
    let mut run = Run { config, limits, spent: Spent::default(), reached: None };
    let ending = match run.turns(lane, world).await {
        Ok(ending) => ending,
        Err(Stop::Cut) => {
            let (kind, _) = limits.left_s(&run.spent).unwrap_or((LimitKind::Wall, 0.0));
            let kind = run.reached.unwrap_or(kind);
            let limit = limits.of(kind);
            // By how much it was overrun depends on the machine's mood; that it was does not.
            Ending::Limit(Reached { kind, limit, spent: limit })
        }
        Err(Stop::Failed(reason)) => Ending::Failed(reason),
        Err(abort @ Stop::Abort(_)) => return Err(abort),
    };
    let ending = match (ending, world.observe().await) {
        (ending, Ok(evidence)) => {
            run.put(world, What::Observed(evidence))?;
            ending
        }
        (_, Err(abort @ Stop::Abort(_))) => return Err(abort),
        (failed @ Ending::Failed(_), Err(_)) => failed,
        (_, Err(Stop::Failed(reason))) => Ending::Failed(reason),
        (_, Err(Stop::Cut)) => {
            Ending::Failed("the final state took too long to look at".to_owned())
        }
    };
    run.put(world, What::End(ending.clone()))?;
    Ok((ending, run.spent))
}

struct Run<'a> {
    config: &'a AgentConfig,
    limits: &'a Limits,
    spent: Spent,
    /// The limit whose time is being waited for.
    reached: Option<LimitKind>,
}

impl Run<'_> {
    async fn turns(&mut self, lane: String, world: &mut impl World) -> Result<Ending, Stop> {
        let begin = world.begin().await?;
        let seed = Seed::new(begin.seed);
        let mut request = Request {
            messages: begin.opening.clone(),
            sampling: self.config.sampling.clone(),
            lane,
            ..Request::default()
        };
        match self.config.calls {
            CallFormat::Native => request.tools.clone_from(&begin.tools),
            CallFormat::Textual => {
                request.messages = textual::put_into(request.messages, &begin.tools);
            }
        }
        self.put(world, What::Begin(Box::new(begin)))?;
        let mut asked = Asked::new(&request);
        loop {
            self.spent.messages = request.messages.len() as u64;
            if let Some(reached) = self.limits.reached(&self.spent) {
                return Ok(Ending::Limit(reached));
            }
            self.spent.turns += 1;
            let turn = self.spent.turns;
            if self.config.seed_turns && self.config.sampling.seed.is_none() {
                // Endpoints take seeds below 2⁶³.
                request.sampling.seed = Some(seed.derive("turn", turn).value() >> 1);
            }
            let digest = asked.of(&request.messages);
            let left = self.left();
            let (mut reply, took_us) = world.ask(&request, &digest, left).await?;
            if let Reply::Answer(response) = &mut reply {
                name_calls(response, turn);
            }
            self.worked(took_us);
            self.put(world, What::Model { asked: digest, took_us, reply: reply.clone() })?;
            let response = match reply {
                Reply::Answer(response) => *response,
                Reply::Failed(error) => return Err(Stop::Failed(error.to_string())),
            };
            self.spent.add(&response, asked.bytes, &self.config.price);
            let calls = match self.config.calls {
                CallFormat::Native => response.tool_calls.clone(),
                CallFormat::Textual => textual::parse(&response.text, turn),
            };
            request.messages.push(response.to_message());
            self.call(world, &calls, &mut request.messages).await?;
            let turn =
                Turn { number: turn, conversation: &request.messages, called: !calls.is_empty() };
            let next = world.react(turn, self.left()).await?;
            if next != Next::Continue {
                self.put(world, What::Reaction(next.clone()))?;
            }
            world.checkpoint()?;
            match next {
                Next::Continue if calls.is_empty() => return Ok(Ending::Done),
                Next::Continue => {}
                Next::Say { text, .. } => request.messages.push(Message::user(text)),
                Next::End(reason) => return Ok(Ending::Scenario(reason)),
            }
        }
    }

    /// Makes the calls of a turn, and adds their results to the conversation in the calls' order.
    async fn call(
        &mut self,
        world: &mut impl World,
        calls: &[ToolCall],
        conversation: &mut Vec<Message>,
    ) -> Result<(), Stop> {
        let (made, too_many) = calls.split_at(calls.len().min(self.config.max_calls));
        let mut results = Vec::new();
        let mut add = |call: &ToolCall, outcome: &ToolOutcome| match self.config.calls {
            CallFormat::Native => results.push(Message::tool(&call.id, outcome.to_text())),
            CallFormat::Textual => textual::turn_messages(&mut results, call, outcome),
        };
        let mut done = 0;
        while done < made.len() {
            let left = self.limits.left_s(&self.spent);
            self.reached = left.map(|(kind, _)| kind);
            let left = left.map(|(_, s)| seconds(s));
            let together = &made[done..done + world.together(&made[done..]).max(1)];
            let outcomes = world.call(together, self.config.max_result_bytes, left).await?;
            // Those made together are as long as the longest of them.
            let longest = outcomes.iter().map(|(_, took_us)| *took_us).max().unwrap_or(0);
            self.spent.working_s += longest as f64 / 1e6;
            for (call, (outcome, took_us)) in together.iter().zip(outcomes) {
                add(call, &outcome);
                let at_us = world.record(What::Tool { call: call.clone(), took_us, outcome })?;
                self.spent.wall_s = at_us as f64 / 1e6;
            }
            done += together.len();
        }
        for call in too_many {
            let message = format!("expected at most {} calls in a turn", self.config.max_calls);
            let outcome = ToolOutcome::refused(Refusal::Limit, message);
            add(call, &outcome);
            world.record(What::Tool { call: call.clone(), took_us: 0, outcome })?;
        }
        conversation.append(&mut results);
        Ok(())
    }

    fn put(&mut self, world: &mut impl World, what: What) -> Result<(), Stop> {
        self.spent.wall_s = world.record(what)? as f64 / 1e6;
        Ok(())
    }

    fn worked(&mut self, took_us: u64) {
        self.spent.working_s += took_us as f64 / 1e6;
    }

    fn left(&mut self) -> Option<Duration> {
        let (kind, left_s) = self.limits.left_s(&self.spent)?;
        self.reached = Some(kind);
        Some(seconds(left_s))
    }
}

/// A time that a recording may hold, however long.
fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX)
}

/// Gives calls without an id, or with one that another call of the turn has, an id of their own.
fn name_calls(response: &mut Response, turn: u64) {
    let mut seen = HashSet::new();
    for (i, call) in response.tool_calls.iter_mut().enumerate() {
        if call.id.is_empty() || !seen.insert(call.id.clone()) {
            call.id = format!("call-{turn}-{i}");
            while !seen.insert(call.id.clone()) {
                call.id.push('\'');
            }
        }
    }
}

/// A digest of a conversation that grows, without reading it from the beginning each time.
struct Asked {
    so_far: Sha256,
    messages: usize,
    /// Bytes of the conversation as JSON, tools included.
    bytes: u64,
}

impl Asked {
    fn new(request: &Request) -> Self {
        let settings = (&request.sampling, &request.tool_choice, &request.tools);
        let text = serde_json::to_vec(&settings).unwrap_or_default();
        let mut so_far = Sha256::new();
        so_far.update(&text);
        Self { so_far, messages: 0, bytes: text.len() as u64 }
    }

    fn of(&mut self, messages: &[Message]) -> String {
        for message in &messages[self.messages..] {
            let text = serde_json::to_vec(message).unwrap_or_default();
            self.so_far.update(b"\n");
            self.so_far.update(&text);
            self.bytes += text.len() as u64;
        }
        self.messages = messages.len();
        let mut hex = String::with_capacity(16);
        for byte in &self.so_far.clone().finalize()[..8] {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_turn_differ() {
        let call = |id: &str| ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: String::new(),
        };
        let mut response = Response::from_calls("m", ["a", "", "a", "b"].map(call).to_vec());
        name_calls(&mut response, 2);
        let ids: Vec<&str> = response.tool_calls.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids, ["a", "call-2-1", "call-2-2", "b"]);
        let again = response.clone();
        name_calls(&mut response, 2);
        assert_eq!(response, again);
        // An id that looks like one that would be made.
        let mut response = Response::from_calls("m", ["call-2-1", ""].map(call).to_vec());
        name_calls(&mut response, 2);
        assert_ne!(response.tool_calls[0].id, response.tool_calls[1].id);
    }

    #[test]
    fn a_growing_digest_is_that_of_the_whole() {
        let request = Request::default();
        let messages = [Message::user("a"), Message::assistant("b"), Message::user("c")];
        let mut growing = Asked::new(&request);
        let first = growing.of(&messages[..1]);
        assert_eq!(growing.of(&messages), Asked::new(&request).of(&messages));
        assert_ne!(first, growing.of(&messages));
    }
}
