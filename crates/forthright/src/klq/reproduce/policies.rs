//! Policies trained on the language model, evaluated on held-out prompts, and compared.

use std::path::PathBuf;

use anyhow::Context as _;
use causal_lm::{CausalLm, Pretrained};
use klq::{
    evaluate::{Evaluation, Summary},
    judge::{RewardJudge, compare, win_rate},
    reward::{RewardModel, RewardModelConfig, train_reward_model},
};
use lm_tasks::{ReadOptions, Split};
use rl_core::{
    run::{Statement, read_lines},
    stats::mean,
};
use serde_json::json;

use super::{
    PAPER, Run,
    claims::{CONFIDENCE, Point, at_equal_kl, gain},
};
use crate::{
    klq::{
        evaluate::{held_out, settings, with_adapter},
        task::{Kind, pairs},
        train::{self, Config, Name},
    },
    session::Session,
    terminal::note,
};

/// Answers of each policy that are kept as samples.
const SAMPLES: usize = 3;
/// Reward by which an algorithm may fall behind and still be on par: a twentieth of the range of
/// rewards that lie within −1 and 1.
const MARGIN: f64 = 0.1;

/// One trained policy, evaluated.
struct Trained {
    algorithm: Name,
    seed: u64,
    evaluation: Evaluation,
    summary: Summary,
}

/// What the first iteration of a policy showed.
pub(super) struct First {
    kl: f64,
    sampler_gap: f64,
}

/// All that was made for one task at one weight of the KL.
struct Cell {
    kl_coef: f64,
    start: Evaluation,
    start_reward: f64,
    trained: Vec<Trained>,
}

impl Run<'_> {
    pub(super) fn policies(&mut self, model: &Pretrained) -> anyhow::Result<()> {
        let mut judge = if self.config.compare { Some(self.judge_model(model)?) } else { None };
        for task in self.config.tasks.clone() {
            let mut cells = Vec::new();
            for kl_coef in self.config.kl_coefs.clone() {
                let cell = self.cell(model, task, kl_coef)?;
                if let Some(judge) = &mut judge {
                    self.gains(task, &cell)?;
                    self.judged(model, task, &cell, judge)?;
                }
                cells.push(cell);
            }
            if self.config.compare {
                self.frontier(task, &cells)?;
            }
        }
        self.first_steps()
    }

    /// What must hold before a policy has learned anything.
    fn first_steps(&mut self) -> anyhow::Result<()> {
        let n = self.first.len();
        // What is no number stays the largest.
        let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
        let most = |of: fn(&First) -> f64| self.first.iter().map(of).fold(0.0, larger);
        let (kl, sampler_gap) = (most(|f| f.kl), most(|f| f.sampler_gap));
        for (id, says, value, target) in [
            (
                "klq.first_kl",
                "largest mean log-ratio of answers to the reference in a policy's first iteration, which starts as its reference",
                kl,
                "<= 0.000001",
            ),
            (
                "klq.sampler_gap",
                "largest difference between a token's log-probability in sampling and in scoring in the first iteration, root mean square, in nats, bf16",
                sampler_gap,
                "<= 0.2",
            ),
        ] {
            self.claims.measured(Statement { id, says, source: "ours", target }, value, None, n)?;
        }
        Ok(())
    }

    fn cell(&mut self, model: &Pretrained, task: Kind, kl_coef: f64) -> anyhow::Result<Cell> {
        let config = self.config_of(task, kl_coef, Name::Klq, 0);
        let start = self.evaluate(model, &model.lm.base(), &config)?;
        let start_reward = start.summary()?.reward.value;
        self.row(task, "start", kl_coef, 0, &start.summary()?)?;
        let mut trained = Vec::new();
        for algorithm in self.config.algorithms.clone() {
            for seed in 0..self.config.seeds {
                let config = self.config_of(task, kl_coef, algorithm, seed);
                let name = format!("{}-{}-{kl_coef}-{seed}", task.name(), algorithm.name());
                let policy = self.train(model, &config, &name)?;
                let evaluation = self.evaluate(model, &policy, &config)?;
                let summary = evaluation.summary()?;
                self.row(task, algorithm.name(), kl_coef, seed, &summary)?;
                self.keep_samples(model, &config, &name, &start, &evaluation)?;
                trained.push(Trained { algorithm, seed, evaluation, summary });
            }
        }
        Ok(Cell { kl_coef, start, start_reward, trained })
    }

    fn config_of(&self, task: Kind, kl_coef: f64, algorithm: Name, seed: u64) -> Config {
        let mut train = self.config.train.clone();
        train.algorithm = algorithm.algorithm();
        train.kl_coef = kl_coef;
        train.seed = self.seed.derive("policy", seed).value();
        if train.algorithm.needs_groups() {
            // As many answers, four to a prompt.
            train.prompts = (train.prompts * train.group / 4).max(1);
            train.group = 4;
        }
        Config { task: task.usual(), train, ..Config::default() }
    }

    fn evaluate(
        &self,
        model: &Pretrained,
        policy: &CausalLm,
        config: &Config,
    ) -> anyhow::Result<Evaluation> {
        let seed = self.seed.derive("evaluation", 0).value();
        let settings = settings(config, self.config.evaluation_group, seed);
        held_out(model, policy, config, &settings, Some(self.config.evaluation_prompts))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.session.dir.path().join("policies").join(name)
    }

    /// Trains a policy in a folder of its own, or takes it from there.
    fn train(
        &mut self,
        model: &Pretrained,
        config: &Config,
        name: &str,
    ) -> anyhow::Result<CausalLm> {
        let folder = self.folder(name);
        let adapter = folder.join("adapter");
        let same = || {
            let found = std::fs::read_to_string(folder.join("config.toml")).ok();
            self.resume && found.is_some() && found == toml::to_string(config).ok()
        };
        let same = same();
        if !same && folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        if !(same && adapter.exists()) {
            note(format_args!("{name}"));
            let device = rl_core::device::name(model.lm.device());
            let session = Session::open(&folder, config, config.train.seed, &device)?;
            let trained = train::train(model, config, &session, same)?;
            anyhow::ensure!(
                trained.done,
                crate::Unfinished("stopped: the same command with --resume goes on".into())
            );
            let trained = trained.model;
            let made = trained.adapter().context("the policy has no adapter")?;
            made.save(&adapter, trained.config(), "the model that the run was given")?;
            session.end()?;
        }
        let lines = read_lines(&folder.join("metrics.jsonl"))?.unwrap_or_default();
        let first = lines.first().context("the policy has no metrics")?;
        let number = |name: &str| first[name].as_f64().unwrap_or(f64::NAN);
        self.first.push(First { kl: number("kl").abs(), sampler_gap: number("sampler_gap") });
        for line in lines {
            self.metrics.push(&json!({
                "series": name, "step": line["step"], "reward": line["reward"], "kl": line["kl"],
                "objective": line["objective"], "entropy": line["entropy"],
                "length": line["length"], "eos_rate": line["eos_rate"],
                "grad_norm": line["grad_norm"],
            }))?;
        }
        with_adapter(model, &adapter)
    }

    fn row(
        &mut self,
        task: Kind,
        policy: &str,
        kl_coef: f64,
        seed: u64,
        summary: &Summary,
    ) -> anyhow::Result<()> {
        let shown = |e: &rl_core::stats::Estimate| {
            format!("{:.3} [{:.3}, {:.3}]", e.value, e.interval[0], e.interval[1])
        };
        self.metrics.push(&json!({
            "task": task.name(), "policy": policy, "kl_coef": kl_coef, "seed": seed,
            "objective": shown(&summary.objective), "reward": shown(&summary.reward),
            "score": shown(&summary.score), "KL": shown(&summary.kl),
            "length": shown(&summary.length), "ended": shown(&summary.eos_rate),
            "entropy": shown(&summary.entropy), "prompts": summary.reward.n,
        }))?;
        Ok(())
    }

    fn keep_samples(
        &mut self,
        model: &Pretrained,
        config: &Config,
        name: &str,
        start: &Evaluation,
        after: &Evaluation,
    ) -> anyhow::Result<()> {
        let prompts = config.task.prompts(model, Split::Evaluation)?;
        for answer in after.answers.iter().step_by(self.config.evaluation_group).take(SAMPLES) {
            let before = start.answers.iter().find(|a| a.prompt == answer.prompt);
            self.samples.push(&json!({
                "policy": name, "prompt": prompts[answer.prompt].text,
                "before": before.map(|a| &a.text), "after": answer.text,
                "score": answer.score, "ended": answer.ended,
            }))?;
        }
        Ok(())
    }

    /// Each algorithm against the start, and against the other at the same weight.
    fn gains(&mut self, task: Kind, cell: &Cell) -> anyhow::Result<()> {
        let name = task.name();
        for algorithm in self.config.algorithms.clone() {
            let policies: Vec<&Evaluation> = cell.of(algorithm).map(|t| &t.evaluation).collect();
            let gain = gain(&policies, &cell.start)?;
            let statement = Statement {
                id: &format!("klq.{name}.{}.gain_{}", algorithm.name(), cell.kl_coef),
                says: &format!(
                    "{}: lower end of the interval of the gain in RLHF objective on held-out {name} prompts at kl_coef {}, for new training seeds and prompts, over {} seeds",
                    algorithm.name(),
                    cell.kl_coef,
                    policies.len()
                ),
                source: "ours",
                target: "> 0",
            };
            self.claims.measured(statement, gain.interval[0], Some(gain.interval), gain.n)?;
        }
        Ok(())
    }

    /// KLQ against PPO at equal KL, over all weights and seeds.
    fn frontier(&mut self, task: Kind, cells: &[Cell]) -> anyhow::Result<()> {
        let both = [Name::Klq, Name::Ppo];
        if !both.iter().all(|name| self.config.algorithms.contains(name)) {
            return Ok(());
        }
        let start = Point { kl: 0.0, reward: cells.first().context("no weights")?.start_reward };
        let mut differences = Vec::new();
        for seed in 0..self.config.seeds {
            let [klq, ppo] = both.map(|algorithm| {
                let points = cells.iter().flat_map(|cell| cell.of(algorithm));
                let points = points.filter(|t| t.seed == seed);
                let at =
                    |t: &Trained| Point { kl: t.summary.kl.value, reward: t.summary.reward.value };
                std::iter::once(start).chain(points.map(at)).collect::<Vec<_>>()
            });
            let at = at_equal_kl(&klq, &ppo);
            if !at.is_empty() {
                differences.push(at.iter().sum::<f64>() / at.len() as f64);
            }
        }
        let statement = Statement {
            id: &format!("klq.{}.equal_kl", task.name()),
            says: &format!(
                "lower end of the interval of the reward of KLQ less that of PPO at equal KL on held-out {} prompts, over training seeds; on par, as the paper finds them, is at most {MARGIN} worse",
                task.name()
            ),
            source: PAPER,
            target: &format!(">= -{MARGIN}"),
        };
        if differences.len() > 1 {
            let mean = mean(&differences, CONFIDENCE)?;
            self.claims.measured(statement, mean.interval[0], Some(mean.interval), mean.n)
        } else {
            let reason = format!(
                "an interval needs two seeds whose policies of one lie within the KL that those of the other reach, found {}",
                differences.len()
            );
            self.claims.open(statement, &reason)?;
            Ok(())
        }
    }

    /// A reward model from our own preferences, which no policy is trained on.
    fn judge_model(&mut self, model: &Pretrained) -> anyhow::Result<RewardModel> {
        let folder = self.folder("judge");
        if !(self.resume && folder.join("reward_model.json").exists()) {
            note("training the judge");
            let train = pairs(model, None, &ReadOptions::default(), Split::Train)?;
            let seed = self.seed.derive("judge", 0).value();
            let config = RewardModelConfig { seed, ..RewardModelConfig::default() };
            let made = train_reward_model(&model.lm, &train, &config, |_, _| {})?;
            std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            made.save(&folder, "the model that the run was given")?;
        }
        let judge = crate::klq::reward_model::load(&folder, model)?;
        let held_out = pairs(model, None, &ReadOptions::default(), Split::Evaluation)?;
        let agreement = crate::klq::reward_model::agreement(&judge, &held_out)?;
        let statement = Statement {
            id: "klq.judge",
            says: "share of held-out preference pairs on which the judge, a reward model of the same size, agrees",
            source: "ours",
            target: ">= 0.7",
        };
        self.claims.measured(statement, agreement.value, Some(agreement.interval), agreement.n)?;
        Ok(judge)
    }

    /// KLQ against PPO, and each against the start, before the judge.
    fn judged(
        &mut self,
        model: &Pretrained,
        task: Kind,
        cell: &Cell,
        judge: &mut RewardModel,
    ) -> anyhow::Result<()> {
        let config = self.config_of(task, cell.kl_coef, Name::Klq, 0);
        let prompts = config.task.prompts(model, Split::Evaluation)?;
        let mut judge = RewardJudge { reward: judge, margin: 0.0 };
        let first = |algorithm: Name| cell.of(algorithm).collect::<Vec<_>>();
        let mut contests: Vec<(String, Vec<(&Evaluation, &Evaluation)>)> = Vec::new();
        for algorithm in self.config.algorithms.clone() {
            let against = first(algorithm).iter().map(|t| (&t.evaluation, &cell.start)).collect();
            contests.push((format!("{} against the start", algorithm.name()), against));
        }
        let (klq, ppo) = (first(Name::Klq), first(Name::Ppo));
        let met = klq.iter().zip(&ppo).map(|(a, b)| (&a.evaluation, &b.evaluation)).collect();
        contests.push(("klq against ppo".into(), met));
        for (name, pairs) in contests {
            let judged: Vec<_> =
                pairs.iter().flat_map(|(a, b)| compare(a, b, &prompts, &mut judge)).collect();
            if judged.is_empty() {
                continue;
            }
            let found = win_rate(&judged)?;
            let statement = Statement {
                id: &format!(
                    "klq.{}.judge_{}.{}",
                    task.name(),
                    cell.kl_coef,
                    name.replace(' ', "_")
                ),
                says: &format!(
                    "lower end of the interval of the win rate of {name} on held-out {} prompts at kl_coef {}, by a reward model that neither was trained on; the paper's judge prefers KLQ",
                    task.name(),
                    cell.kl_coef
                ),
                source: PAPER,
                target: "> 0.5",
            };
            self.claims.measured(
                statement,
                found.rate.interval[0],
                Some(found.rate.interval),
                found.rate.n,
            )?;
        }
        Ok(())
    }
}

impl Cell {
    fn of(&self, algorithm: Name) -> impl Iterator<Item = &Trained> {
        self.trained.iter().filter(move |t| t.algorithm == algorithm)
    }
}
