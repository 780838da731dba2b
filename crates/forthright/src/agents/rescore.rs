//! `forthright agents rescore`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write as _},
    path::PathBuf,
    sync::Arc,
};

use agent_evals::{Finished, Scenario, Score, rescore};
use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::{
    arms::Others,
    catalog::Catalog,
    config::RunConfig,
    results::{Results, table},
    run::JOURNAL,
    runtime,
};
use crate::terminal::{note, print};

/// Judge the samples of a run again, without a model
///
/// By the scorers that its scenarios have now, from what the journal holds; the journal stays as it
/// is.
#[derive(Args)]
pub(crate) struct Rescore {
    /// The run's folder
    folder: PathBuf,
    /// A scenario file whose scorers judge in place of those of the scenario of that name; again for
    /// more
    #[arg(long = "scenario", value_name = "FILE")]
    scenarios: Vec<PathBuf>,
    /// Score as the published code does, its defects included
    #[arg(long)]
    as_published: bool,
    /// Where to write every sample's new and old scores, as JSON Lines
    #[arg(long)]
    out: Option<PathBuf>,
    /// One JSON document with the results
    #[arg(long)]
    json: bool,
}

impl Rescore {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = RunConfig::of_run(&self.folder)?;
        let mut setting = config.setting;
        setting.as_published |= self.as_published;
        let catalog = Catalog { setting, ..Catalog::default() };
        let mut scenarios: BTreeMap<String, Arc<dyn Scenario>> = BTreeMap::new();
        let others = self.scenarios.iter().map(|path| path.display().to_string());
        for name in config.scenarios.iter().cloned().chain(others) {
            for scenario in catalog.find(&name)? {
                scenarios.insert(scenario.name().to_owned(), scenario);
            }
        }
        if let Some(arms) = &config.arms {
            for scenario in super::arms::to_run(&config, arms, &Others::default())? {
                scenarios.insert(scenario.name().to_owned(), scenario);
            }
        }
        let mut lines = match &self.out {
            Some(path) => {
                let file = File::create_new(path);
                let file = file.with_context(|| format!("cannot create {}", path.display()))?;
                Some(BufWriter::new(file))
            }
            None => None,
        };
        let (mut results, mut differ, mut samples) = (Results::default(), 0, 0);
        let each = |finished: &Finished, scores: BTreeMap<String, Score>| -> anyhow::Result<()> {
            samples += 1;
            let before = &finished.finish.scores;
            let other = |(name, score): (&String, &Score)| {
                before.get(name).is_some_and(|old| old.verdict != score.verdict)
            };
            differ += usize::from(scores.iter().any(other));
            let (key, cluster) = (&finished.start.key, finished.start.sample.cluster());
            results.add(key, cluster, &scores);
            if let Some(lines) = &mut lines {
                let line = json!({ "sample": key, "scores": scores, "before": before });
                writeln!(lines, "{line}").context("writing the scores")?;
            }
            Ok(())
        };
        let scorers = |key: &agent_evals::Key| {
            scenarios.get(&key.scenario).map(|scenario| scenario.scorers()).unwrap_or_default()
        };
        runtime()?.block_on(rescore(&self.folder.join(JOURNAL), scorers, each))?;
        if let Some(lines) = lines {
            lines.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        }
        let cells = results.cells();
        if self.json {
            let document =
                json!({ "version": 1, "samples": samples, "differ": differ, "results": cells });
            return print(document);
        }
        print(table(&cells))?;
        note(format_args!("{differ} of {samples} samples have another verdict than before"));
        Ok(())
    }
}
