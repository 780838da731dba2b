//! The thread that answers.

use std::{
    collections::{HashMap, VecDeque},
    sync::mpsc,
    time::Duration,
};

use chat_model::{Digest, Error as ChatError, Response, StopReason, Usage};
use rl_core::{contain::contain, seed::Seed};
use tokio::sync::oneshot;

use super::{Job, LocalChatConfig, plan::Plan};
use crate::{
    CausalLm, Error,
    chat::ChatTemplate,
    generate::{
        Completion, Finish, Flow, GenerateConfig, NewToken, Request, StopStrings, generate,
    },
    tokenizer::{TextStream, Tokenizer},
};

/// How long the first of some requests waits for others: nothing beside the time of an answer.
const LINGER: Duration = Duration::from_millis(2);

/// What the thread owns.
pub(super) struct Worker {
    name: String,
    lm: CausalLm,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    config: LocalChatConfig,
}

/// A request that can be answered.
struct Waiting {
    plan: Plan,
    seed: u64,
    reply: oneshot::Sender<Result<Response, ChatError>>,
}

/// An answer as it grows.
struct Row<'a> {
    stream: TextStream<'a>,
    stop: StopStrings,
    text: String,
    stopped: bool,
    failed: Option<Error>,
}

impl Worker {
    pub(super) fn new(
        name: String,
        lm: CausalLm,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        config: LocalChatConfig,
    ) -> Self {
        Self { name, lm, tokenizer, template, config }
    }

    /// Answers until nobody can ask any more.
    pub(super) fn run(self, queue: &mpsc::Receiver<Job>) {
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let mut asked = HashMap::new();
        loop {
            if waiting.is_empty() {
                let Ok(job) = queue.recv() else { return };
                waiting.extend(self.accept(job, &mut asked));
            }
            while waiting.len() < self.config.batch
                && let Ok(job) = queue.recv_timeout(LINGER)
            {
                waiting.extend(self.accept(job, &mut asked));
            }
            waiting.retain(|waiting| !waiting.reply.is_closed());
            let batch = next_batch(&mut waiting, self.config.batch);
            if !batch.is_empty() {
                self.answer(batch);
            }
        }
    }

    /// Prepares a request, or says at once what is wrong with it.
    fn accept(&self, job: Job, asked: &mut HashMap<Digest, u64>) -> Option<Waiting> {
        let Job { request, reply } = job;
        match Plan::new(&request, &self.lm, &self.tokenizer, &self.template, &self.config) {
            Ok(plan) => {
                let seed = request.sampling.seed.unwrap_or_else(|| {
                    let digest = request.digest(&self.name);
                    let before = asked.entry(digest).or_insert(0);
                    *before += 1;
                    Seed::new(self.config.seed).derive(&digest.to_string(), *before - 1).value()
                });
                Some(Waiting { plan, seed, reply })
            }
            Err(error) => {
                // Whoever asked may be gone.
                let _ = reply.send(Err(error));
                None
            }
        }
    }

    fn answer(&self, batch: Vec<Waiting>) {
        let mut rows: Vec<Row<'_>> = batch
            .iter()
            .map(|waiting| Row {
                stream: self.tokenizer.stream(),
                stop: StopStrings::new(waiting.plan.stop.clone()),
                text: String::new(),
                stopped: false,
                failed: None,
            })
            .collect();
        let requests: Vec<Request> = batch
            .iter()
            .map(|waiting| Request { prompt: waiting.plan.prompt.clone(), seed: waiting.seed })
            .collect();
        let config = GenerateConfig { batch_size: batch.len(), ..batch[0].plan.config.clone() };
        let mut observe = |token: NewToken| {
            if batch[token.request].reply.is_closed() {
                return Flow::Stop;
            }
            if config.stop_tokens.contains(&token.id) {
                return Flow::Continue;
            }
            rows[token.request].push(token.id)
        };
        // libtorch panics where memory ends, for one.
        let made = contain(|| generate(&self.lm, &requests, &config, &mut observe));
        let made = match made {
            Ok(Ok(made)) => made.into_iter().map(Ok).collect(),
            Ok(Err(error)) => vec![Err(error.to_string()); batch.len()],
            Err(panic) => vec![Err(panic); batch.len()],
        };
        for ((waiting, row), made) in batch.into_iter().zip(rows).zip(made) {
            let answer = made
                .and_then(|made| self.response(&waiting.plan, row, &made))
                .map_err(|reason| ChatError::Model { model: self.name.clone(), reason });
            let _ = waiting.reply.send(answer);
        }
    }

    fn response(
        &self,
        plan: &Plan,
        mut row: Row<'_>,
        made: &Completion,
    ) -> Result<Response, String> {
        row.finish();
        if let Some(error) = row.failed {
            return Err(error.to_string());
        }
        let ended = row.stopped || made.finish == Finish::StopToken;
        Ok(Response {
            stop: if ended { StopReason::EndOfTurn } else { StopReason::Length },
            usage: Some(Usage {
                prompt_tokens: plan.prompt.len() as u64,
                completion_tokens: made.ids.len() as u64,
                ..Usage::default()
            }),
            ..Response::from_text(&self.name, row.text)
        })
    }
}

/// The oldest request and those that can be computed with it.
fn next_batch(waiting: &mut VecDeque<Waiting>, most: usize) -> Vec<Waiting> {
    let Some(first) = waiting.pop_front() else { return Vec::new() };
    let mut batch = vec![first];
    let mut others = VecDeque::new();
    for next in waiting.drain(..) {
        if batch.len() < most && next.plan.config == batch[0].plan.config {
            batch.push(next);
        } else {
            others.push_back(next);
        }
    }
    *waiting = others;
    batch
}

impl Row<'_> {
    fn push(&mut self, id: u32) -> Flow {
        match self.stream.push(id) {
            Ok(text) => self.take(&text),
            Err(error) => self.failed = Some(error),
        }
        if self.stopped || self.failed.is_some() { Flow::Stop } else { Flow::Continue }
    }

    fn take(&mut self, text: &str) {
        let piece = self.stop.push(text);
        self.text.push_str(&piece.text);
        self.stopped |= piece.stopped;
    }

    /// What was held back in case more came.
    fn finish(&mut self) {
        if self.stopped {
            return;
        }
        match self.stream.finish() {
            Ok(text) => self.take(&text),
            Err(error) => self.failed = Some(error),
        }
        if !self.stopped {
            self.text.push_str(&self.stop.finish());
        }
    }
}
