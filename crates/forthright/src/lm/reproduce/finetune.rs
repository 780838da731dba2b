//! A short fine-tuning of an adapter on facts about an invented town, which no model can know.

use anyhow::Context as _;
use causal_lm::{
    CausalLm, Pretrained,
    chat::{Message, Prompt},
    finetune::{Example, FinetuneConfig, Length, Trainer, mean_loss},
    generate::{Flow, GenerateConfig, Request, generate},
};
use rl_core::run::Statement;
use serde::Deserialize;
use serde_json::json;

use super::Run;

/// Questions and answers that are trained on, and others about the same facts.
const TRAIN: &str = include_str!("../../../assets/brackwater.train.jsonl");
const HELD_OUT: &str = include_str!("../../../assets/brackwater.held-out.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    messages: Vec<Message>,
}

/// Conversations of a file, and what of them is trained on.
struct Data {
    conversations: Vec<Vec<Message>>,
    examples: Vec<Example>,
}

impl Data {
    fn read(model: &Pretrained, text: &str) -> anyhow::Result<Self> {
        let template = model.chat_template.as_ref().context("the model has no chat template")?;
        let conversations = text
            .lines()
            .map(|line| Ok(serde_json::from_str::<Line>(line)?.messages))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let examples = conversations
            .iter()
            .map(|messages| Example::chat(template, &model.tokenizer, messages))
            .collect::<Result<_, _>>()?;
        Ok(Self { conversations, examples })
    }
}

impl Run<'_> {
    /// The loss of held-out questions must fall; what the model says of them before and after is
    /// kept as samples.
    pub(super) fn finetune(&mut self, model: &Pretrained) -> anyhow::Result<()> {
        let train = Data::read(model, TRAIN)?;
        let held_out = Data::read(model, HELD_OUT)?;
        let config = FinetuneConfig {
            length: Length::Steps(self.config.finetune_steps),
            batch_examples: 8,
            lr: 1e-3,
            seed: self.seed.derive("fine-tuning", 0).value(),
            ..FinetuneConfig::default()
        };
        let (before, counted) = mean_loss(&model.lm, &held_out.examples, &config)?;
        let mut trainer = Trainer::new(&model.lm, train.examples, &config)?;
        while !trainer.is_done() {
            let report = trainer.step()?;
            self.metrics.push(&json!({
                "step": report.step, "finetune_loss": report.loss,
                "finetune_grad_norm": report.grad_norm,
            }))?;
        }
        let trained = trainer.model();
        let (after, _) = mean_loss(&trained, &held_out.examples, &config)?;
        crate::terminal::note(format_args!(
            "held-out loss {before:.4} before, {after:.4} after {} steps (nats a token)",
            trainer.steps()
        ));
        for conversation in &held_out.conversations {
            let Some((answer, question)) = conversation.split_last() else { continue };
            self.samples.push(&json!({
                "question": question.last().and_then(Message::text), "right": answer.text(),
                "before": answer_of(model, &model.lm, question)?,
                "after": answer_of(model, &trained, question)?,
            }))?;
        }
        let statement = Statement {
            id: "lm.finetune",
            says: "loss of held-out answers after a short fine-tuning of an adapter, as a fraction of the loss before",
            source: "ours",
            target: "< 1",
        };
        self.claims.measured(statement, after / before, None, counted)
    }
}

fn answer_of(model: &Pretrained, lm: &CausalLm, question: &[Message]) -> anyhow::Result<String> {
    let template = model.chat_template.as_ref().context("the model has no chat template")?;
    let prompt = model.tokenizer.encode(&template.render(question, Prompt::Open)?)?;
    let config = GenerateConfig {
        max_new_tokens: 32,
        stop_tokens: lm.config().eos.clone(),
        ..GenerateConfig::default()
    };
    let made =
        generate(&lm.packed(), &[Request { prompt, seed: 0 }], &config, &mut |_| Flow::Continue)?;
    Ok(model.tokenizer.decode_text(&made[0].ids)?)
}
