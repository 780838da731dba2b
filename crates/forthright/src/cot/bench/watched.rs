//! A training with the monitor at its default settings.

use causal_lm::{Pretrained, finetune};
use cot_metrics::{
    monitor::{CotMonitor, MonitorConfig},
    organisms::{
        EvaluateConfig, Language, LanguageConfig, Organism, Recipe, ScratchConfig, World as _,
        evaluate,
    },
    scoring::RolloutConfig,
};
use klq::{
    Algorithm, TrainConfig, Trainer,
    algorithm::RlooConfig,
    policy::{Policy, PolicyConfig},
    reward::{Answer, Rule},
};
use rl_core::{monitor::MonitorError, optim::Schedule, seed::Seed};
use tch::Device;

use super::Turn;
use crate::cot::words::{is_right, problems, prompts};

/// Longest chain and answer of the model of words, in tokens.
const NEW_TOKENS: usize = 16;

/// A small model of words that has learned to think aloud.
pub(super) struct Watched {
    language: Language,
    base: Pretrained,
}

impl Watched {
    /// Teaches the base, for less than a minute.
    pub(super) fn new() -> anyhow::Result<Self> {
        let language = Language::new(&LanguageConfig { turns: 2, ..LanguageConfig::default() })?;
        let size =
            ScratchConfig { layers: 2, hidden: 64, intermediate: 128, ..ScratchConfig::default() };
        let mut base = size.model(&language, 0, Device::Cpu)?;
        let settings = finetune::FinetuneConfig {
            length: finetune::Length::Steps(250),
            batch_examples: 48,
            lr: 4e-3,
            schedule: Schedule { warmup_steps: 20, ..Schedule::default() },
            adapter: None,
            ..finetune::FinetuneConfig::default()
        };
        let rows = Recipe::default().base(&language, 12_000, 0)?;
        let mut trainer = finetune::Trainer::new(&base.lm, rows, &settings)?;
        while !trainer.is_done() {
            trainer.step()?;
        }
        base.lm = trainer.model();
        Ok(Self { language, base })
    }

    /// Leave-one-out REINFORCE for right answers, and how much of its time the monitor took.
    pub(super) fn train(&self, iterations: u64, seed: u64) -> anyhow::Result<Turn> {
        let Self { language, base } = self;
        let seed = Seed::new(seed);
        let monitor = MonitorConfig::default();
        let config = TrainConfig {
            algorithm: Algorithm::Rloo(RlooConfig::default()),
            iterations,
            prompts: 24,
            group: 8,
            epochs: 1,
            lr: 3e-4,
            kl_coef: 0.02,
            rollout: klq::RolloutConfig {
                max_new_tokens: NEW_TOKENS,
                batch_size: 192,
                ..klq::RolloutConfig::default()
            },
            policy: PolicyConfig { adapter: None, ..PolicyConfig::default() },
            seed: seed.value(),
            ..TrainConfig::default()
        };
        let problems = problems(language, 256, seed);
        let questions = language.held_out(monitor.questions, 0);
        let settings = EvaluateConfig {
            rollout: RolloutConfig { max_new_tokens: NEW_TOKENS, ..RolloutConfig::default() },
            ..EvaluateConfig::default()
        };
        let probe = |policy: &Policy| {
            let found =
                evaluate(&policy.model(), language, Organism::Baseline, &questions, &settings);
            found.map(|found| found.records()).map_err(MonitorError::new)
        };
        let mut trainer =
            Trainer::new(&base.lm, &base.tokenizer, prompts(language, &problems), &config)?;
        trainer.monitor(CotMonitor::new(&monitor, trainer.policy(), probe, |_| {})?);
        let mut reward = Rule::new("right", |answer: &Answer<'_>| {
            let problem = answer.prompt.id.parse::<usize>().ok().and_then(|i| problems.get(i));
            let problem = problem.ok_or("an unknown prompt")?;
            Ok(f64::from(u8::from(is_right(language, problem, answer.ids))))
        });
        let mut turn = Turn::default();
        while !trainer.is_done() {
            let made = trainer.iterate(&mut reward)?;
            let seconds = made.report.seconds;
            turn.monitoring += seconds.monitoring;
            turn.seconds +=
                seconds.monitoring + seconds.generation + seconds.scoring + seconds.training;
            turn.measurements += usize::from(!made.monitored.is_empty());
        }
        Ok(turn)
    }
}
