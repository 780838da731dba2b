//! `forthright early-exit generate`.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use causal_lm::{
    Pretrained,
    chat::{Message, Prompt as Turn},
    generate::{Flow, Request},
};
use clap::{Args, ValueEnum};
use early_exit_model::{Engine, evaluate::Depths};
use lm_tasks::{Split, reasoning::Task};
use serde_json::json;

use super::{
    rule::{self, RuleArg},
    store,
    task::TaskConfig,
    transcript::{Transcript, page},
};
use crate::{
    lm::{
        model::{Dtype, Model},
        sampling::SamplingArgs,
    },
    terminal::{note, stdout},
};

/// Answers that show how deep each token went
///
/// On a terminal the background of a token says how many blocks it ran; elsewhere the number stands
/// behind it. A page of the same is written with --html.
#[derive(Args)]
pub(crate) struct Generate {
    #[command(flatten)]
    model: Model,
    /// Exits, as `calibrate` or `train` wrote them
    #[arg(long)]
    exits: PathBuf,
    /// What to answer
    #[arg(required_unless_present = "task", conflicts_with = "task")]
    prompt: Option<String>,
    /// Answer held-out problems of a task instead
    #[arg(long)]
    task: Option<String>,
    /// Problems of the task
    #[arg(long, default_value_t = 4, requires = "task")]
    count: usize,
    /// Continue the prompt as it is, without the chat template
    #[arg(long)]
    raw: bool,
    /// Who leaves where: off, greedy, sample, threshold=P, forced=BLOCKS, teacher=KAPPA or
    /// random=WEIGHT,WEIGHT,…
    #[arg(long, default_value = "greedy")]
    rule: RuleArg,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// When backgrounds are colored
    #[arg(long, value_enum, default_value_t = When::Auto)]
    color: When,
    /// Also write a page
    #[arg(long)]
    html: Option<PathBuf>,
    /// One JSON document
    #[arg(long, conflicts_with = "color")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl Generate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.sampling.stop.is_empty(),
            "--stop: expected none, found {:?}: answers end with a stop token or --max-new-tokens",
            self.sampling.stop
        );
        let model = self.model.load(Dtype::F32)?;
        let exits = store::load(&self.exits, &model.lm, None)?;
        let engine = Engine::new(&exits, true);
        self.rule.0.validate(engine.sites())?;
        let (shown, prompts) = self.prompts(&model)?;
        let requests: Vec<Request> = prompts
            .iter()
            .enumerate()
            .map(|(i, prompt)| Request { prompt: prompt.clone(), seed: self.sampling.seed(i) })
            .collect();
        let config = self.sampling.config(&model);
        let made = engine.generate(&requests, &config, &self.rule.0, &mut |_| Flow::Continue)?;
        let all = engine.sites().num_layers();
        let transcripts = made
            .iter()
            .map(|made| {
                let exits = made.exits.iter().map(|exit| exit.blocks);
                Transcript::new(&model.tokenizer, &made.completion.ids, exits, all)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
        let depths = Depths::of(&engine, &self.rule.0, &lengths, &made);
        if let Some(path) = &self.html {
            let answers: Vec<_> = shown.iter().cloned().zip(transcripts.clone()).collect();
            rl_core::run::write_whole(path, &page(&answers))?;
        }
        let mut out = stdout();
        if self.json {
            let answers: Vec<_> = shown
                .iter()
                .zip(&made)
                .zip(&transcripts)
                .map(|((prompt, made), transcript)| {
                    let blocks: Vec<usize> = (!made.completion.ids.is_empty())
                        .then_some(all)
                        .into_iter()
                        .chain(made.exits.iter().map(|exit| exit.blocks))
                        .collect();
                    json!({
                        "prompt": prompt, "text": transcript.text(), "ids": made.completion.ids,
                        "blocks": blocks,
                    })
                })
                .collect();
            let document = json!({
                "version": 1, "rule": rule::name(&self.rule.0), "sites": engine.sites(),
                "depths": depths, "answers": answers,
            });
            writeln!(out, "{document}")?;
            return Ok(out.flush()?);
        }
        let colored = match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => std::io::stdout().is_terminal(),
        };
        for (prompt, transcript) in shown.iter().zip(&transcripts) {
            if self.task.is_some() {
                writeln!(out, "{prompt}")?;
            }
            let text = if colored { transcript.colored() } else { transcript.marked() };
            writeln!(out, "{text}")?;
        }
        out.flush()?;
        if let Some(transcript) = transcripts.first().filter(|_| colored) {
            note(transcript.key());
        }
        if let Some(depths) = depths {
            note(format_args!(
                "{:.2} of {all} blocks a token, {:.1} % of the work saved",
                depths.blocks,
                100.0 * depths.flops_saved
            ));
        }
        Ok(())
    }

    /// What is asked, as it is shown and as the model reads it.
    fn prompts(&self, model: &Pretrained) -> anyhow::Result<(Vec<String>, Vec<Vec<u32>>)> {
        if let Some(name) = &self.task {
            let task = TaskConfig { problem: Task::named(name)?, ..TaskConfig::default() };
            let asked =
                task.asked(model, Split::Evaluation, self.count, self.sampling.max_new_tokens)?;
            return Ok(asked.into_iter().map(|a| (a.problem.prompt, a.prompt)).unzip());
        }
        let prompt = self.prompt.clone().unwrap_or_default();
        let text = match &model.chat_template {
            Some(template) if !self.raw => {
                template.render(&[Message::user(prompt.clone())], Turn::Open)?
            }
            _ => prompt.clone(),
        };
        let ids = model.tokenizer.encode(&text)?;
        anyhow::ensure!(!ids.is_empty(), "the prompt: expected at least one token, found none");
        let room = model.lm.config().max_context.saturating_sub(self.sampling.max_new_tokens);
        anyhow::ensure!(
            ids.len() <= room,
            "the prompt: expected at most {room} tokens beside {} new ones, found {}",
            self.sampling.max_new_tokens,
            ids.len()
        );
        Ok((vec![prompt], vec![ids]))
    }
}
