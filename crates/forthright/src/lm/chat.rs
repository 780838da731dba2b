//! `forthright lm chat`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use causal_lm::chat::Message;
use clap::Args;

use super::{
    generate::{chat_text, encode},
    model::{Dtype, Model},
    sampling::SamplingArgs,
};
use crate::terminal::note;

/// Talk with a model
///
/// Every line is one message. /reset forgets the conversation; /exit, or the end of the input, ends
/// it.
#[derive(Args)]
pub(crate) struct Chat {
    #[command(flatten)]
    model: Model,
    /// What the model is told before the conversation
    #[arg(long)]
    system: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
}

impl Chat {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut model = self.model.load(Dtype::Bf16)?;
        model.lm = model.lm.packed();
        let opening: Vec<Message> =
            self.system.iter().map(|text| Message::new("system", text.clone())).collect();
        // A template that refuses a system message should do so now.
        let mut trial = opening.clone();
        trial.push(Message::user("?"));
        chat_text(&model, &trial, "--system")?;
        let room = model.lm.config().max_context.saturating_sub(self.sampling.max_new_tokens);
        let terminal = std::io::stdin().is_terminal();
        let mut messages = opening.clone();
        let mut lines = std::io::stdin().lock().lines();
        for turn in 0.. {
            if terminal {
                // Who has nowhere to see it can still talk.
                let _ = write!(std::io::stderr(), "> ");
            }
            let Some(line) = lines.next().transpose()? else { break };
            match line.trim() {
                "" => continue,
                "/exit" => break,
                "/reset" => {
                    messages.clone_from(&opening);
                    continue;
                }
                said => messages.push(Message::user(said)),
            }
            let prompt = encode(&model, &chat_text(&model, &messages, "the conversation")?, "it")?;
            if prompt.len() > room {
                messages.pop();
                note(format_args!(
                    "that makes {} tokens, and {room} fit beside an answer: /reset to begin anew",
                    prompt.len()
                ));
                continue;
            }
            let (answer, _) = self.sampling.show(&model, prompt, turn)?;
            messages.push(Message::assistant(answer));
        }
        Ok(())
    }
}
