//! `forthright agents analyse`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use agent_evals::{
    FinishedIter, Index, Key,
    analysis::{Ability, Analysis, Cells, Measured, ScenarioInfo, Settings, analyse},
    arms::read_cells,
    report::page,
    scenarios,
};
use anyhow::Context as _;
use chat_model::Message;
use clap::Args;
use rl_core::{run::write_whole, stats::Decision};
use serde_json::json;

use super::journal;
use crate::{settings::read_toml, terminal::print};

/// What agents say and what they do: gaps, the ladder, validity, calibration, controls
///
/// Writes cells.json (every answer, enough to analyse again without a model), analysis.json and
/// gaps.html. A run of `agents run` has live scores alone: tables and variance shares.
#[derive(Args)]
pub(crate) struct Analyse {
    /// A run's folder or journal; or the cells.json of an earlier analysis
    run: PathBuf,
    /// Settings of the analysis in TOML; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// Differences smaller than this do not matter; fix it before the run [default: 0.1]
    #[arg(long)]
    margin: Option<f64>,
    /// Resamples of bootstraps and permutations [default: 2000]
    #[arg(long)]
    resamples: Option<usize>,
    /// Root seed of the resampling [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Where to write [default: beside the journal or the cells]
    #[arg(long)]
    out: Option<PathBuf>,
    /// One JSON document with the analysis
    #[arg(long)]
    json: bool,
}

impl Analyse {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut settings: Settings = match &self.config {
            Some(path) => read_toml(path)?,
            None => Settings::default(),
        };
        settings.margin = self.margin.unwrap_or(settings.margin);
        settings.resamples = self.resamples.unwrap_or(settings.resamples);
        settings.seed = self.seed.unwrap_or(settings.seed);
        settings.validate()?;
        let is_cells = self.run.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        let (from, cells, source) = if is_cells {
            (self.run.clone(), from_file(&self.run)?, None)
        } else {
            let journal = journal(&self.run);
            (journal.clone(), from_journal(&journal)?, Some(journal))
        };
        let beside = || from.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
        let out = self.out.clone().unwrap_or_else(beside);
        let analysis = write(&out, &cells, source.as_deref(), &settings)?;
        if self.json {
            return print(json!({ "version": 1, "written": out, "analysis": analysis }));
        }
        say(&analysis)?;
        print(out.join("gaps.html").display())
    }
}

fn from_file(path: &Path) -> anyhow::Result<Cells> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let cells: Cells = serde_json::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}: line {}: {error}", path.display(), error.line()))?;
    cells.validate().with_context(|| path.display().to_string())?;
    Ok(cells)
}

/// The cells of a journal.
pub(super) fn from_journal(journal: &Path) -> anyhow::Result<Cells> {
    let infos = scenarios::all().iter().map(|d| ScenarioInfo::of(d)).collect();
    let cells = read_cells(journal, infos)?;
    anyhow::ensure!(
        !cells.cells.is_empty(),
        "{}: expected finished samples of scenarios with known outcomes, found none",
        journal.display()
    );
    Ok(cells)
}

/// Analyses cells and writes cells.json, analysis.json and gaps.html into a folder.
pub(super) fn write(
    out: &Path,
    cells: &Cells,
    journal: Option<&Path>,
    settings: &Settings,
) -> anyhow::Result<Analysis> {
    let analysis = analyse(cells, settings)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    write_whole(&out.join("cells.json"), &format!("{}\n", serde_json::to_string(cells)?))?;
    let text = serde_json::to_string_pretty(&analysis)?;
    write_whole(&out.join("analysis.json"), &format!("{text}\n"))?;
    let (facts, transcripts) = match journal {
        Some(journal) => (facts(journal)?, transcripts(journal, &analysis)?),
        None => (Vec::new(), BTreeMap::new()),
    };
    let look_up = |key: &Key| transcripts.get(key).cloned();
    let page = page("Saying and doing", &facts, &analysis, &look_up);
    write_whole(&out.join("gaps.html"), &page)?;
    Ok(analysis)
}

/// What was run, for the page.
fn facts(journal: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let index = Index::read(journal)?;
    let plan = &index.header.plan;
    let agents: Vec<String> =
        plan.agents.iter().map(|(name, model)| format!("{name} ({model})")).collect();
    let personas: Vec<&str> = plan.personas.iter().map(|(name, _)| name.as_str()).collect();
    let mut facts = vec![
        ("scaffold", format!("agent-evals {}", env!("CARGO_PKG_VERSION"))),
        ("agents", agents.join(", ")),
        ("personas", personas.join(", ")),
        ("epochs", plan.epochs.to_string()),
        ("seed", plan.seed.to_string()),
        ("began", index.header.created.clone()),
    ];
    let latest = index.latest();
    if let Some(attempt) = latest.values().next() {
        let start = &attempt.start;
        let sampling = serde_json::to_string(&start.agent.sampling)?;
        let calls = serde_json::to_value(start.agent.calls)?;
        facts.push(("calls", calls.as_str().unwrap_or_default().to_owned()));
        facts.push(("sampling", sampling));
    }
    let live = latest
        .values()
        .find(|a| a.start.key.scenario.rsplit_once('.').is_some_and(|(_, arm)| arm == "A3"));
    if let Some(attempt) = live.or_else(|| latest.values().next()) {
        facts.push(("limits", serde_json::to_string(&attempt.start.limits)?));
    }
    facts.push(("ended", latest.values().filter(|a| a.finish.is_some()).count().to_string()));
    Ok(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The conversations that the page shows.
fn transcripts(journal: &Path, analysis: &Analysis) -> anyhow::Result<BTreeMap<Key, Vec<Message>>> {
    let largest = analysis.models.iter().flat_map(|m| &m.largest);
    let wanted: BTreeSet<&Key> = largest.flat_map(|l| [&l.stated, &l.enacted]).flatten().collect();
    let mut out = BTreeMap::new();
    for finished in FinishedIter::open(journal)? {
        let finished = finished?;
        if wanted.contains(&finished.start.key) {
            out.insert(finished.start.key.clone(), finished.trace.conversation());
        }
    }
    Ok(out)
}

/// The analysis in short.
fn say(analysis: &Analysis) -> anyhow::Result<()> {
    let number = |n: Option<f64>| n.map_or("–".to_owned(), |n| format!("{n:.3}"));
    let interval = |of: &Measured| {
        let [low, high] = of.interval.map_or([None; 2], |ends| ends.map(Some));
        format!("[{}, {}]", number(low), number(high))
    };
    let decision = |of: Decision| match of {
        Decision::Differs => "differs",
        Decision::Equivalent => "equivalent",
        Decision::Undecided => "undecided",
    };
    let mut table = crate::terminal::table([
        "model",
        "scenario",
        "gap",
        "95% interval",
        "verdict",
        "TV",
        "hypocrisy",
        "able to act",
    ]);
    for model in &analysis.models {
        for scenario in &model.scenarios {
            table.add_row([
                model.model.clone(),
                scenario.scenario.clone(),
                number(scenario.gap.signed.value),
                interval(&scenario.gap.signed),
                decision(scenario.gap.decision()).to_owned(),
                number(scenario.gap.total_variation.corrected),
                String::new(),
                match scenario.ability {
                    Ability::Able => "yes",
                    Ability::Uninformative => "no: uninformative",
                    Ability::Unknown => "unknown",
                }
                .to_owned(),
            ]);
        }
        table.add_row([
            model.model.clone(),
            "all".to_owned(),
            number(model.gap.signed.value),
            interval(&model.gap.signed),
            decision(model.gap.decision()).to_owned(),
            number(model.gap.total_variation.corrected),
            number(model.say_do.hypocrisy.map(|h| h.value)),
            String::new(),
        ]);
    }
    print(table)
}
