//! `forthright agents reproduce`: known agents and models through all scenarios and arms.

mod claims;
mod config;

#[cfg(not(feature = "lm"))]
use std::path::Path;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use agent_evals::{
    Again, FinishedIter, Observer, Stopper,
    analysis::{Analysis, Cells, Measured},
    arms::ARM_SCORE,
};
use claims::Findings;
use clap::Args;
pub(super) use config::Config;
use serde_json::{Value, json};

use super::{
    analyse,
    arms::Purse,
    config::RunConfig,
    model::{AgentChoice, ModelChoice},
    run::{JOURNAL, until_asked},
    runtime,
    watch::Watch,
};
use crate::{
    Unfinished, interrupt,
    reproduce::{Flags, Resume},
    scale::Scale,
    terminal::{note, print},
};

/// One sample in so many is run again from the journal.
const REPLAYED: usize = 10;
/// What of an answer is kept as a sample of what the model said.
const SAID_CHARACTERS: usize = 600;
/// Bytes of a tool's result that a small model is shown.
#[cfg(feature = "lm")]
const LOCAL_RESULT_BYTES: usize = 1 << 10;

/// Scripted agents and a language model through all scenarios and arms, and what came of it
///
/// smoke: scripts through everything, the model through all arms on a few items. laptop: all scenarios.
/// paper: the published models through an endpoint, given by --url; --dry-run says what they would cost.
#[derive(Args)]
pub(crate) struct Reproduce {
    /// The model that runs here: a Hugging Face folder or a .gguf file [default: the model that `cargo
    /// xtask setup` fetched]
    #[arg(long)]
    model: Option<PathBuf>,
    /// Base URL of the endpoint, for settings that name models behind one
    #[arg(long)]
    url: Option<String>,
    /// Environment variable that holds the endpoint's key
    #[arg(long, value_name = "VARIABLE", requires = "url")]
    key_env: Option<String>,
    /// Begin no more samples once those of the models have cost so much
    #[arg(long, value_name = "COST")]
    max_cost: Option<f64>,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    going_on: Resume,
}

impl Reproduce {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.resolved()?;
        if self.flags.dry_run {
            return self.say(&config);
        }
        check(&config)?;
        interrupt::listen("putting down what the agents have done");
        let session = self.flags.open("agents", &config, "cpu")?;
        let mut findings = Findings { claims: self.flags.claims() };
        let mut metrics = session.dir.lines("metrics.jsonl")?;
        if !config.scripted.agents.is_empty() {
            let (_, analysis) = self.stage("scripted", &config.scripted, &config)?;
            rows("scripted", &analysis).iter().try_for_each(|row| metrics.push(row))?;
            findings.scripted(&analysis)?;
        }
        if config.models.agents.is_empty() {
            note("no model is run: this command was built without the feature lm");
        } else {
            let (cells, analysis) = self.stage("models", &config.models, &config)?;
            rows("models", &analysis).iter().try_for_each(|row| metrics.push(row))?;
            let (replayed, diverged) = self.replay("models")?;
            findings.harness(&cells, replayed, diverged)?;
            findings.control(&analysis)?;
            if self.flags.scale != Scale::Smoke {
                findings.models(&analysis)?;
            }
            let mut samples = session.dir.lines("samples.jsonl")?;
            self.said("models")?.iter().try_for_each(|said| samples.push(said))?;
        }
        session.conclude(findings.claims.all())
    }

    /// The settings, with what flags and this machine add to them.
    fn resolved(&self) -> anyhow::Result<Config> {
        let mut config = config::settings(self.flags.scale, self.flags.config.as_deref())?;
        config.analysis.seed = self.flags.seed;
        (config.scripted.seed, config.models.seed) = (self.flags.seed, self.flags.seed);
        config.models.max_cost = self.max_cost.or(config.models.max_cost);
        if config.models.agents.is_empty() && (cfg!(feature = "lm") || self.model.is_some()) {
            let local = self.local(&config)?;
            config.models.agents.push(local);
        }
        for agent in &mut config.models.agents {
            if let ModelChoice::Endpoint(stack) = &mut agent.model {
                if let Some(url) = &self.url {
                    stack.endpoint.base_url.clone_from(url);
                }
                stack.endpoint.key_env = self.key_env.clone().or(stack.endpoint.key_env.take());
            }
        }
        let calls = config.models.agents.first().map(|agent| agent.ask.calls);
        if let (Some(arms), Some(calls)) = (&mut config.models.arms, calls) {
            arms.calls = calls;
        }
        Ok(config)
    }

    /// The model that runs here.
    #[cfg(feature = "lm")]
    fn local(&self, config: &Config) -> anyhow::Result<AgentChoice> {
        use agent_evals::{AgentConfig, CallFormat};
        use chat_model::Sampling;

        let path = crate::lm::model::path_or_default(self.model.as_deref())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let max_tokens = config.local_tokens;
        let local = super::model::LocalChoice { path, max_tokens, batch: super::model::batch() };
        let ask = AgentConfig {
            sampling: Sampling {
                max_tokens: Some(max_tokens),
                temperature: Some(config.local_temperature),
                ..Sampling::default()
            },
            calls: CallFormat::Textual,
            max_result_bytes: LOCAL_RESULT_BYTES,
            ..AgentConfig::default()
        };
        let name = super::config::tame(&name);
        Ok(AgentChoice { name, model: ModelChoice::Local(local), ask })
    }

    /// The model that runs here, which this command cannot run.
    #[cfg(not(feature = "lm"))]
    fn local(&self, _config: &Config) -> anyhow::Result<AgentChoice> {
        let path = self.model.as_deref().unwrap_or(Path::new("the default model"));
        anyhow::bail!("{}: needs a command with the feature lm", path.display())
    }

    /// What would run, and what it would need.
    fn say(&self, config: &Config) -> anyhow::Result<()> {
        for (name, run) in [("scripted", &config.scripted), ("models", &config.models)] {
            if run.agents.is_empty() {
                continue;
            }
            let agents: Vec<&str> = run.agents.iter().map(|a| a.name.as_str()).collect();
            print(format_args!("{name}: {}", agents.join(", ")))?;
            let needs = super::plan::needs(run)?;
            let samples: u64 = needs.iter().map(|n| n.samples).sum();
            let tokens: u64 = needs.iter().map(|n| n.prompt_tokens + n.answer_tokens).sum();
            print(format_args!("  {samples} samples, about {tokens} tokens for each"))?;
            for agent in &run.agents {
                let cost = super::plan::cost(&needs, agent);
                if cost > 0.0 {
                    print(format_args!("  {}: about {cost:.2} by its prices", agent.name))?;
                }
            }
        }
        self.flags.say_where()
    }

    /// Runs a part into a folder of its own, and analyses it.
    fn stage(
        &self,
        name: &str,
        run: &RunConfig,
        config: &Config,
    ) -> anyhow::Result<(Cells, Analysis)> {
        let folder = self.flags.out.join(name);
        std::fs::create_dir_all(&folder)?;
        let journal = folder.join(JOURNAL);
        if !self.going_on.resume && journal.exists() {
            std::fs::remove_file(&journal)?;
        }
        note(format_args!("{name}: running"));
        let plan = run.plan()?;
        let stopper = Stopper::default();
        let watch = Arc::new(Watch::new());
        let mut observer = Some(Arc::clone(&watch) as Arc<dyn Observer>);
        let purse =
            run.max_cost.map(|most| Arc::new(Purse::new(most, stopper.clone(), observer.take())));
        let observer = purse.clone().map(|purse| purse as Arc<dyn Observer>).or(observer);
        let running = async {
            if journal.exists() {
                plan.resume(&journal, Again::Unfinished, observer, stopper.clone()).await
            } else {
                plan.run(&journal, observer, stopper.clone()).await
            }
        };
        let done = runtime()?.block_on(until_asked(running, &stopper));
        watch.finish();
        let done = done.transpose()?;
        let whole = done.is_some_and(|done| done.finished == done.samples);
        let spent = purse.and_then(|purse| purse.emptied());
        if let Some(spent) = spent {
            note(format_args!("warning: stopped at a cost of {spent:.2}, as asked"));
        } else if !whole {
            anyhow::bail!(Unfinished("stopped: the same command with --resume goes on".to_owned()));
        }
        note(format_args!("{name}: analysing"));
        let cells = analyse::from_journal(&journal)?;
        let analysis = analyse::write(&folder, &cells, Some(&journal), &config.analysis)?;
        Ok((cells, analysis))
    }

    /// Runs some samples again from the journal; how many, and how many of them came out otherwise.
    fn replay(&self, name: &str) -> anyhow::Result<(usize, usize)> {
        let journal = self.flags.out.join(name).join(JOURNAL);
        let runtime = runtime()?;
        let (mut replayed, mut diverged) = (0, 0);
        for finished in FinishedIter::open(&journal)?.step_by(REPLAYED) {
            let finished = finished?;
            replayed += 1;
            let again = runtime.block_on(finished.replay());
            diverged += usize::from(again.ok().as_ref() != Some(&finished.trace.events));
        }
        Ok((replayed, diverged))
    }

    /// What a model said first in each arm.
    fn said(&self, name: &str) -> anyhow::Result<Vec<Value>> {
        let mut first: BTreeMap<(String, String), Value> = BTreeMap::new();
        for finished in FinishedIter::open(&self.flags.out.join(name).join(JOURNAL))? {
            let finished = finished?;
            let start = &finished.start;
            let arm = start.sample.metadata.get("arm").and_then(Value::as_str).unwrap_or_default();
            let of = (start.key.agent.clone(), arm.to_owned());
            first.entry(of).or_insert_with(|| {
                let text = finished.trace.answers().next().map_or("", |a| a.text.as_str());
                let text: String = text.chars().take(SAID_CHARACTERS).collect();
                let score = finished.finish.scores.get(ARM_SCORE);
                json!({ "sample": start.key.to_string(), "arm": arm, "said": text, "score": score })
            });
        }
        Ok(first.into_values().collect())
    }
}

/// Gaps of each model in each scenario, for the report's tables.
fn rows(part: &str, analysis: &Analysis) -> Vec<Value> {
    let row = |model: &str, scenario: &str, signed: &Measured, verdict: &Value, tv: Option<f64>| {
        let round = |v: Option<f64>| v.map_or(Value::from("–"), Value::from);
        let ends = signed.interval;
        json!({
            "part": part, "model": model, "scenario": scenario, "signed_gap": round(signed.value),
            "low": round(ends.map(|e| e[0])), "high": round(ends.map(|e| e[1])),
            "clusters": signed.clusters, "verdict": verdict, "total_variation": round(tv),
        })
    };
    let verdict =
        |gap: &agent_evals::analysis::Gap| serde_json::to_value(gap.decision()).unwrap_or_default();
    let mut out = Vec::new();
    for m in &analysis.models {
        for s in &m.scenarios {
            let tv = s.gap.total_variation.corrected;
            out.push(row(&m.model, &s.scenario, &s.gap.signed, &verdict(&s.gap), tv));
        }
        let tv = m.gap.total_variation.corrected;
        out.push(row(&m.model, "all", &m.gap.signed, &verdict(&m.gap), tv));
    }
    out
}

/// Every endpoint has an address.
fn check(config: &Config) -> anyhow::Result<()> {
    for agent in &config.models.agents {
        if let ModelChoice::Endpoint(stack) = &agent.model {
            anyhow::ensure!(
                !stack.endpoint.base_url.is_empty(),
                "--url: expected the base URL of an endpoint that has {}, found none: --dry-run \
                 says what it needs",
                agent.name
            );
        }
    }
    Ok(())
}
