//! What is run: a file, or flags, or a file with flags over it.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use agent_evals::{
    AgentConfig, CallFormat, Limits, Persona, Plan, arms::ArmsConfig, scenarios::World,
};
use anyhow::Context as _;
use chat_model::StackConfig;
use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    arms::Others,
    catalog::{self, Catalog, Setting},
    model::{Act, AgentChoice, LocalChoice, ModelChoice, answer_tokens, batch},
    script::Script,
};
use crate::settings::read_toml;

/// A run in full; written beside its journal, so that it can go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RunConfig {
    /// Root seed.
    pub(super) seed: u64,
    /// Times that each sample is run; at least 1.
    pub(super) epochs: u32,
    /// Samples that run at a time; at least 1.
    pub(super) concurrent: usize,
    /// Samples of each scenario: its first ones. All if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) samples: Option<usize>,
    /// Names of scenarios, or files that hold one; `all` for all that come with the command.
    pub(super) scenarios: Vec<String>,
    /// Names of personas; several at once with `+` between them.
    pub(super) personas: Vec<String>,
    /// Begins no more samples once those of this run have cost so much, in the unit of the prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_cost: Option<f64>,
    /// How scenarios are set up.
    pub(super) setting: Setting,
    /// The scenarios are put as questionnaires, and in the steps between asking and living, in these
    /// ways; as they are if none are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arms: Option<ArmsConfig>,
    /// Limits of every sample, beside those of its scenario.
    pub(super) limits: Limits,
    /// Personas beside those that are there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) own_personas: Vec<Persona>,
    /// Who talks to the agent in scenarios where somebody does; a script of theirs if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) counterpart: Option<ModelChoice>,
    /// Who codes free text that no rule can place; two or more must agree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) coders: Vec<ModelChoice>,
    /// Who acts.
    pub(super) agents: Vec<AgentChoice>,
}

impl Default for RunConfig {
    /// No scenario and no agent yet; nobody in particular, once, 64 samples at a time; and 200 turns,
    /// so that an agent that calls tools for ever ends.
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 1,
            concurrent: 64,
            samples: None,
            scenarios: Vec::new(),
            personas: vec!["none".to_owned()],
            max_cost: None,
            setting: Setting::default(),
            arms: None,
            limits: Limits { turns: Some(200), ..Limits::default() },
            own_personas: Vec::new(),
            counterpart: None,
            coders: Vec::new(),
            agents: Vec::new(),
        }
    }
}

impl RunConfig {
    /// Reads the settings of a run from its folder.
    pub(super) fn of_run(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("config.toml");
        anyhow::ensure!(path.exists(), "{} holds no run of agents", folder.display());
        read_toml(&path)
    }

    /// The plan, with everything looked up and checked.
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        let concurrent = NonZeroUsize::new(self.concurrent);
        let concurrent = concurrent.context("concurrent: expected at least 1, found 0")?;
        anyhow::ensure!(!self.scenarios.is_empty(), "scenarios: expected at least one, found none");
        anyhow::ensure!(!self.agents.is_empty(), "agents: expected at least one, found none");
        for agent in &self.agents {
            agent.validate()?;
        }
        let counterpart = self.counterpart.as_ref().map(|model| model.open("counterpart"));
        let catalog = Catalog {
            setting: self.setting,
            counterpart: counterpart.transpose().context("counterpart")?,
            samples: self.samples,
        };
        let agents =
            self.agents.iter().map(AgentChoice::open).collect::<anyhow::Result<Vec<_>>>()?;
        let scenarios = if let Some(arms) = &self.arms {
            let coder = |(i, model): (usize, &ModelChoice)| {
                model.validate().and_then(|()| model.open("coder")).context(format!("coders[{i}]"))
            };
            let others = Others {
                counterpart: catalog.counterpart.clone(),
                coders: self.coders.iter().enumerate().map(coder).collect::<anyhow::Result<_>>()?,
                agents: &agents,
            };
            super::arms::to_run(self, arms, &others)?
        } else {
            let found = self.scenarios.iter().map(|name| catalog.find(name));
            found.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect()
        };
        let personas = self
            .personas
            .iter()
            .map(|name| catalog::persona(name, &self.own_personas))
            .collect::<anyhow::Result<_>>()?;
        let (epochs, seed, limits) = (self.epochs, self.seed, self.limits.clone());
        let plan = Plan { scenarios, agents, personas, epochs, limits, seed, concurrent };
        plan.validate()?;
        Ok(plan)
    }
}

/// What is run, from flags.
#[derive(Args)]
pub(super) struct RunFlags {
    /// Settings in TOML; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// A scenario by name, as `agents list` shows them, all of them, or a file that holds one; NAME:benign
    /// for its harmless twin, NAME:commanded where the agent is ordered to do the worst; again for more
    #[arg(long = "scenario", value_name = "NAME|FILE")]
    scenarios: Vec<String>,
    /// A persona by name, A+B for both at once; again for more [default: none]
    #[arg(long = "persona", value_name = "NAME")]
    personas: Vec<String>,
    /// Samples of each scenario, its first ones [default: all]
    #[arg(long)]
    samples: Option<usize>,
    /// Times that each sample is run [default: 1]
    #[arg(long)]
    epochs: Option<u32>,
    /// Root seed [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Samples that run at a time [default: 64]
    #[arg(long)]
    concurrent: Option<usize>,
    /// Turns of a sample, at most
    #[arg(long)]
    turns: Option<u64>,
    /// Tokens of a sample, at most
    #[arg(long)]
    tokens: Option<u64>,
    /// Seconds of a sample, at most
    #[arg(long, value_name = "SECONDS")]
    wall: Option<f64>,
    /// Where commands run, in the scenarios that have a shell: one that is only pretended, or a real one
    /// in a sandbox [default: simulated]
    #[arg(long, value_enum)]
    world: Option<Where>,
    /// Score as the published code does, its defects included
    #[arg(long)]
    as_published: bool,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Where {
    Simulated,
    Sandboxed,
}

/// The agent, from flags.
#[derive(Args)]
struct Who {
    /// The agent follows a script, TOML or JSON
    #[arg(long, value_name = "FILE", group = "who")]
    script: Option<PathBuf>,
    /// The agent does what an outcome of each scenario says, of those that come with the command
    #[arg(long, value_enum, group = "who")]
    actor: Option<Act>,
    /// The agent is a model behind this base URL, often ending in /v1
    #[arg(long, group = "who", requires = "model")]
    url: Option<String>,
    /// The agent is a model behind an endpoint with these settings in TOML: time-outs, limits, retries
    #[arg(long, value_name = "FILE", group = "who")]
    endpoint: Option<PathBuf>,
    /// The agent is a model that runs here: a Hugging Face folder or a .gguf file
    #[arg(long, value_name = "PATH", group = "who")]
    local: Option<PathBuf>,
    /// Name of the model, as its endpoint knows it
    #[arg(long, conflicts_with_all = ["script", "actor", "local"])]
    model: Option<String>,
    /// Environment variable that holds the endpoint's key
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["script", "actor", "local"])]
    key_env: Option<String>,
    /// Name of the agent in results [default: that of the model]
    #[arg(long)]
    name: Option<String>,
    /// How the agent calls tools [default: native, for a model that runs here textual]
    #[arg(long, value_enum)]
    calls: Option<Calls>,
    /// 0 takes the likeliest word [default: left to the endpoint]
    #[arg(long)]
    temperature: Option<f64>,
    /// Tokens of an answer, at most
    #[arg(long)]
    max_tokens: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Calls {
    Native,
    Textual,
}

impl RunFlags {
    /// Defaults, then the file, then flags.
    pub(super) fn resolve(&self) -> anyhow::Result<RunConfig> {
        let mut config = match &self.config {
            Some(path) => read_toml(path)?,
            None => RunConfig::default(),
        };
        if !self.scenarios.is_empty() {
            config.scenarios.clone_from(&self.scenarios);
        }
        if !self.personas.is_empty() {
            config.personas.clone_from(&self.personas);
        }
        config.samples = self.samples.or(config.samples);
        config.epochs = self.epochs.unwrap_or(config.epochs);
        config.seed = self.seed.unwrap_or(config.seed);
        config.concurrent = self.concurrent.unwrap_or(config.concurrent);
        config.setting.world = match self.world {
            Some(Where::Simulated) => World::Simulated,
            Some(Where::Sandboxed) => World::Sandboxed,
            None => config.setting.world,
        };
        config.setting.as_published |= self.as_published;
        config.limits.turns = self.turns.or(config.limits.turns);
        config.limits.tokens = self.tokens.or(config.limits.tokens);
        config.limits.wall_s = self.wall.or(config.limits.wall_s);
        if let Some(agent) = self.who.agent()? {
            config.agents = vec![agent];
        } else {
            self.who.needs_a_model()?;
        }
        for scenario in &mut config.scenarios {
            // From wherever the run goes on, the file is the same.
            if catalog::is_file(scenario) {
                let path = Path::new(&*scenario);
                let whole = path.canonicalize();
                let whole = whole.with_context(|| format!("cannot read {}", path.display()))?;
                *scenario = whole.display().to_string();
            }
        }
        anyhow::ensure!(
            !config.agents.is_empty(),
            "expected an agent, found none: give --script, --actor, --url with --model, \
             --endpoint, --local or --config"
        );
        Ok(config)
    }
}

impl Who {
    fn agent(&self) -> anyhow::Result<Option<AgentChoice>> {
        let (name, model) = if let Some(path) = &self.script {
            (stem(path), ModelChoice::Script(read_either(path)?))
        } else if let Some(act) = self.actor {
            (act.name().to_owned(), ModelChoice::Actor(act))
        } else if self.url.is_some() || self.endpoint.is_some() {
            let stack = self.stack()?;
            (stack.endpoint.model.clone(), ModelChoice::Endpoint(Box::new(stack)))
        } else if let Some(path) = &self.local {
            let max_tokens = self.max_tokens.unwrap_or_else(answer_tokens);
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            (stem(&path), ModelChoice::Local(LocalChoice { path, max_tokens, batch: batch() }))
        } else {
            return Ok(None);
        };
        let mut ask = AgentConfig::default();
        ask.sampling.temperature = self.temperature;
        ask.sampling.max_tokens = self.max_tokens;
        ask.calls = match self.calls {
            Some(Calls::Textual) => CallFormat::Textual,
            None if self.local.is_some() => CallFormat::Textual,
            Some(Calls::Native) | None => CallFormat::Native,
        };
        let name = self.name.clone().unwrap_or_else(|| tame(&name));
        Ok(Some(AgentChoice { name, model, ask }))
    }

    fn stack(&self) -> anyhow::Result<StackConfig> {
        let mut stack: StackConfig = match &self.endpoint {
            Some(path) => read_toml(path)?,
            None => StackConfig::default(),
        };
        if let Some(url) = &self.url {
            stack.endpoint.base_url.clone_from(url);
        }
        if let Some(model) = &self.model {
            stack.endpoint.model.clone_from(model);
        }
        if let Some(variable) = &self.key_env {
            stack.endpoint.key_env = Some(variable.clone());
        }
        anyhow::ensure!(
            !stack.endpoint.model.trim().is_empty(),
            "an endpoint needs --model, the name of the model"
        );
        Ok(stack)
    }

    /// Flags that say how a model is asked need a model.
    fn needs_a_model(&self) -> anyhow::Result<()> {
        let given = [
            ("--model", self.model.is_some()),
            ("--key-env", self.key_env.is_some()),
            ("--name", self.name.is_some()),
            ("--calls", self.calls.is_some()),
            ("--temperature", self.temperature.is_some()),
            ("--max-tokens", self.max_tokens.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => anyhow::bail!(
                "{flag} is of one agent: give --script, --actor, --url, --endpoint or --local as well"
            ),
            None => Ok(()),
        }
    }
}

/// Reads TOML or, by the end of the file's name, JSON.
fn read_either(path: &Path) -> anyhow::Result<Script> {
    if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
        return read_json(path);
    }
    read_toml(path)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}: line {}: {error}", path.display(), error.line()))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A name of which every character may be in an agent's.
pub(super) fn tame(name: &str) -> String {
    let tame = |c: char| if c.is_alphanumeric() || "._-+:".contains(c) { c } else { '-' };
    name.trim_start_matches('.').chars().map(tame).collect()
}
