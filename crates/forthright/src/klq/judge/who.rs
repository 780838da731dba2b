//! Who judges, from flags.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::Context as _;
use causal_lm::{
    Pretrained,
    local_chat::{LocalChat, LocalChatConfig},
};
use chat_model::{CacheConfig, ChatModel, StackConfig, UsageCounter};
use clap::Args;
use klq::judge::{ChatJudge, ChatJudgeConfig, Criterion, Judge, RewardJudge};

use crate::{
    klq::{reward_model, task::Kind},
    lm::model::{Dtype, Model},
};

/// Flags of the judge.
#[derive(Args)]
pub(super) struct Who {
    /// Who judges: reward-model:FOLDER, classifier:FOLDER (a published sequence classifier of one label), local:MODEL, or endpoint
    #[arg(long)]
    judge: Choice,
    /// Endpoint: its base URL, often ending in /v1
    #[arg(long)]
    url: Option<String>,
    /// Endpoint: name of the model
    #[arg(long)]
    judge_model: Option<String>,
    /// Endpoint: environment variable that holds its key
    #[arg(long)]
    key_env: Option<String>,
    /// Endpoint: folder that keeps its answers, so that none is paid for twice
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Endpoint: settings in TOML with time-outs, limits and retries; flags go before them
    #[arg(long)]
    endpoint: Option<PathBuf>,
    /// Longest reply of a chat model in tokens: more than a letter only for one that thinks first
    #[arg(long, default_value_t = 16)]
    judge_tokens: u32,
    /// Questions on their way to a chat model at a time
    #[arg(long, default_value_t = 8)]
    concurrent: usize,
}

/// A kind of judge.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// A folder that `klq reward-model train` wrote.
    RewardModel(PathBuf),
    /// A published classifier.
    Classifier(PathBuf),
    /// A chat model that runs here.
    Local(PathBuf),
    /// A chat model behind HTTP.
    Endpoint,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("reward-model", path)) if !path.is_empty() => Ok(Self::RewardModel(path.into())),
            Some(("classifier", path)) if !path.is_empty() => Ok(Self::Classifier(path.into())),
            Some(("local", path)) if !path.is_empty() => Ok(Self::Local(path.into())),
            None if text == "endpoint" => Ok(Self::Endpoint),
            _ => {
                Err("expected reward-model:FOLDER, classifier:FOLDER, local:MODEL or endpoint"
                    .into())
            }
        }
    }
}

impl Who {
    /// What can be told from the flags alone, before any model is loaded.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let of_endpoint = [
            ("--url", self.url.is_some()),
            ("--judge-model", self.judge_model.is_some()),
            ("--key-env", self.key_env.is_some()),
            ("--cache", self.cache.is_some()),
            ("--endpoint", self.endpoint.is_some()),
        ];
        anyhow::ensure!(self.concurrent > 0, "--concurrent: expected at least 1, found 0");
        anyhow::ensure!(self.judge_tokens > 0, "--judge-tokens: expected at least 1, found 0");
        if self.judge == Choice::Endpoint {
            return Ok(self.stack()?.validate()?);
        }
        match of_endpoint.iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                anyhow::bail!("{flag} is of an endpoint alone: give --judge endpoint")
            }
            None => Ok(()),
        }
    }

    /// The judge of answers in the tokens of `policy`.
    pub(super) fn open(
        &self,
        flags: &Model,
        policy: &Pretrained,
        task: Kind,
    ) -> anyhow::Result<Box<dyn Judge>> {
        Ok(match &self.judge {
            Choice::RewardModel(folder) => {
                let reward = reward_model::load(folder, policy)?;
                Box::new(RewardJudge { reward, margin: 0.0 })
            }
            Choice::Classifier(folder) => {
                let reward = reward_model::load_classifier(folder, policy)?;
                Box::new(RewardJudge { reward, margin: 0.0 })
            }
            Choice::Local(path) => Box::new(self.ask(local(flags, path)?, task)?),
            Choice::Endpoint => {
                let stack = self.stack()?;
                let model = stack.connect(Arc::new(UsageCounter::default()))?;
                Box::new(self.ask(model, task)?)
            }
        })
    }

    fn ask<M: ChatModel>(&self, model: M, task: Kind) -> anyhow::Result<ChatJudge<M>> {
        let mut config = ChatJudgeConfig {
            criterion: match task {
                Kind::Dialogue => Criterion::Dialogue,
                Kind::Summary => Criterion::Summary,
            },
            concurrent: self.concurrent,
            ..ChatJudgeConfig::default()
        };
        config.sampling.max_tokens = Some(self.judge_tokens);
        Ok(ChatJudge::new(model, config)?)
    }

    /// The endpoint: defaults, then the file, then flags.
    fn stack(&self) -> anyhow::Result<StackConfig> {
        let mut stack = match &self.endpoint {
            Some(path) => crate::settings::read_toml(path)?,
            None => StackConfig::default(),
        };
        if let Some(url) = &self.url {
            stack.endpoint.base_url.clone_from(url);
        }
        if let Some(model) = &self.judge_model {
            stack.endpoint.model.clone_from(model);
        }
        if let Some(variable) = &self.key_env {
            stack.endpoint.key_env = Some(variable.clone());
        }
        if let Some(folder) = &self.cache {
            let kept = stack.cache.take().unwrap_or_default();
            stack.cache = Some(CacheConfig { folder: folder.clone(), ..kept });
        }
        anyhow::ensure!(
            !stack.endpoint.model.trim().is_empty(),
            "an endpoint needs --judge-model, the name of the model that judges"
        );
        Ok(stack)
    }
}

/// A chat model of this machine, in the type and on the device of the policies.
fn local(flags: &Model, path: &Path) -> anyhow::Result<LocalChat> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let model = Pretrained::load(path, &flags.options(Dtype::Bf16)?)?;
    LocalChat::new(name, model, LocalChatConfig::default())
        .with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read() {
        let of = |text: &str| text.parse::<Choice>();
        assert_eq!(of("reward-model:a/b"), Ok(Choice::RewardModel("a/b".into())));
        assert_eq!(of("classifier:c"), Ok(Choice::Classifier("c".into())));
        assert_eq!(of("local:C:/m.gguf"), Ok(Choice::Local("C:/m.gguf".into())));
        assert_eq!(of("endpoint"), Ok(Choice::Endpoint));
        for wrong in ["", "local", "local:", "endpoint:x", "gpt"] {
            assert!(of(wrong).unwrap_err().starts_with("expected reward-model:FOLDER"), "{wrong}");
        }
    }
}
