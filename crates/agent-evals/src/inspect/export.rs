//! A journal as logs that Inspect reads.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rl_core::{seed::Seed, stats};
use serde_json::{Value, json};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{SCHEMA_VERSION, sample};
use crate::{Error, Finished, FinishedIter, Index, Spent};

/// Which of Inspect's two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A zip archive, of which a reader takes only the samples that it wants.
    #[default]
    Eval,
    /// One JSON text.
    Json,
}

/// Writes the finished samples of a journal into a folder, one log for each scenario and agent, and
/// says where.
///
/// The logs are whole or absent. A run that is not finished is `cancelled`.
///
/// # Errors
/// As [`FinishedIter::open`]; [`Error::Io`], also if there is such a log already.
pub fn export(journal: &Path, folder: &Path, format: LogFormat) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let index = Index::read(journal)?;
    let plan = &index.header.plan;
    let mut paths = Vec::new();
    for scenario in &plan.scenarios {
        for (agent, model) in &plan.agents {
            let of = Log { index: &index, scenario, agent, model };
            if let Some(path) = of.write(journal, folder, format)? {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

struct Log<'a> {
    index: &'a Index,
    scenario: &'a str,
    agent: &'a str,
    model: &'a str,
}

/// What is summed up over the samples.
#[derive(Default)]
struct Sums {
    /// Values and clusters by scorer, and how many were left unscored.
    scores: BTreeMap<String, (Vec<f64>, Vec<String>, u64)>,
    samples: u64,
    failed: u64,
    spent: Spent,
    first: Option<String>,
    last: Option<String>,
}

impl Sums {
    fn add(&mut self, one: &Finished) {
        self.samples += 1;
        self.failed += u64::from(matches!(one.trace.ending(), Some(crate::Ending::Failed(_))));
        for (name, score) in &one.finish.scores {
            let (values, clusters, unscored) = self.scores.entry(name.clone()).or_default();
            match score.verdict.value() {
                Some(value) => {
                    values.push(value);
                    clusters.push(one.start.sample.cluster().to_owned());
                }
                None => *unscored += 1,
            }
        }
        let spent = &one.finish.spent;
        self.spent.tokens = self.spent.tokens.saturating_add(spent.tokens);
        self.spent.prompt_tokens = self.spent.prompt_tokens.saturating_add(spent.prompt_tokens);
        self.spent.cost += one.finish.spent.cost;
        let (began, ended) = (&one.start.started, &one.finish.finished);
        if self.first.as_ref().is_none_or(|first| began < first) {
            self.first = Some(began.clone());
        }
        if self.last.as_ref().is_none_or(|last| ended > last) {
            self.last = Some(ended.clone());
        }
    }
}

impl Log<'_> {
    fn write(
        &self,
        journal: &Path,
        folder: &Path,
        format: LogFormat,
    ) -> Result<Option<PathBuf>, Error> {
        let mut samples = FinishedIter::open(journal)?.filter(|f| match f {
            Ok(f) => f.start.key.scenario == self.scenario && f.start.key.agent == self.agent,
            Err(_) => true,
        });
        let name = format!(
            "{}_{}_{}",
            text(&self.created()).replace([':', '+'], "-"),
            format!("{}-{}", self.scenario, self.agent).replace(['_', '.', ':'], "-"),
            self.id("task")
        );
        let path = folder.join(name + if format == LogFormat::Eval { ".eval" } else { ".json" });
        if path.exists() {
            let there = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Error::io("create", path)(there));
        }
        let partial = path.with_extension("partial");
        let file = File::create(&partial).map_err(Error::io("create", &partial))?;
        let file = BufWriter::new(file);
        let written = match format {
            LogFormat::Eval => self.write_zip(file, &mut samples, &partial),
            LogFormat::Json => self.write_json(file, &mut samples, &partial),
        };
        let done = written.and_then(|samples| {
            if samples == 0 {
                return Ok(None);
            }
            fs::rename(&partial, &path).map_err(Error::io("rename", &partial))?;
            Ok(Some(path))
        });
        if !matches!(done, Ok(Some(_))) {
            // Half a log is of no use to anybody.
            let _ = fs::remove_file(&partial);
        }
        done
    }

    fn write_zip(
        &self,
        file: BufWriter<File>,
        samples: &mut dyn Iterator<Item = Result<Finished, Error>>,
        path: &Path,
    ) -> Result<u64, Error> {
        let io = |error: std::io::Error| Error::io("write", path)(error);
        let mut zip = ZipWriter::new(file);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default());
        let entry = |zip: &mut ZipWriter<BufWriter<File>>, name: &str, text: &str| {
            // Beyond 4 GiB an entry needs another form.
            let options = options.large_file(text.len() > 1 << 31);
            zip.start_file(name, options).map_err(|e| io(e.into()))?;
            zip.write_all(text.as_bytes()).map_err(io)
        };
        let begin = json!({ "version": SCHEMA_VERSION, "eval": self.eval(), "plan": steps() });
        entry(&mut zip, "_journal/start.json", &begin.to_string())?;
        let (mut sums, mut summaries) = (Sums::default(), Vec::new());
        for one in samples {
            let one = one?;
            let id = self.sample_id(&one);
            let (whole, summary) = sample::write(&one, &id);
            let name = format!("samples/{id}_epoch_{}.json", one.start.key.epoch);
            entry(&mut zip, &name, &whole)?;
            summaries.push(summary);
            sums.add(&one);
        }
        let summaries = format!("[{}]", summaries.join(","));
        entry(&mut zip, "_journal/summaries/1.json", &summaries)?;
        entry(&mut zip, "summaries.json", &summaries)?;
        entry(&mut zip, "reductions.json", "[]")?;
        entry(&mut zip, "header.json", &self.header(&sums).to_string())?;
        let file = zip.finish().map_err(|e| io(e.into()))?;
        file.into_inner().map_err(|e| io(e.into_error()))?.sync_all().map_err(io)?;
        Ok(sums.samples)
    }

    /// The samples come first, so that the rest can hold their sums: Inspect takes keys in any order.
    fn write_json(
        &self,
        mut file: BufWriter<File>,
        samples: &mut dyn Iterator<Item = Result<Finished, Error>>,
        path: &Path,
    ) -> Result<u64, Error> {
        let io = |error: std::io::Error| Error::io("write", path)(error);
        let mut sums = Sums::default();
        file.write_all(b"{\"samples\":[").map_err(io)?;
        for one in samples {
            let one = one?;
            let (whole, _) = sample::write(&one, &self.sample_id(&one));
            let comma = if sums.samples == 0 { "" } else { "," };
            write!(file, "{comma}{whole}").map_err(io)?;
            sums.add(&one);
        }
        let header = self.header(&sums).to_string();
        write!(file, "],{}", &header[1..]).map_err(io)?;
        file.into_inner().map_err(|e| io(e.into_error()))?.sync_all().map_err(io)?;
        Ok(sums.samples)
    }

    fn sample_id(&self, one: &Finished) -> String {
        let key = &one.start.key;
        if self.index.header.plan.personas.len() > 1 {
            format!("{}@{}", key.sample, key.persona)
        } else {
            key.sample.clone()
        }
    }

    fn created(&self) -> Value {
        sample::time(self.index.header.created.parse::<Timestamp>().unwrap_or_default())
    }

    /// A name of 22 letters that is the same whenever this log is written.
    fn id(&self, what: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
        let header = &self.index.header;
        let purpose = format!("{what} {} {} {}", header.created, self.scenario, self.agent);
        (0..22)
            .map(|i| {
                let n = Seed::new(header.plan.seed).derive(&purpose, i).value();
                char::from(LETTERS[(n % LETTERS.len() as u64) as usize])
            })
            .collect()
    }

    fn eval(&self) -> Value {
        let plan = &self.index.header.plan;
        let personas: Vec<Value> = plan
            .personas
            .iter()
            .map(|(name, text)| json!({ "name": name, "text": text }))
            .collect();
        json!({
            "eval_id": self.id("eval"),
            "run_id": self.id("run"),
            "created": self.created(),
            "task": self.scenario,
            "task_id": self.id("task"),
            "task_version": 0,
            "task_args": { "seed": plan.seed },
            "dataset": { "name": self.scenario },
            "model": self.agent,
            "config": { "epochs": plan.epochs },
            "packages": { "agent-evals": env!("CARGO_PKG_VERSION") },
            "metadata": { "personas": personas, "model": self.model },
        })
    }

    fn header(&self, sums: &Sums) -> Value {
        let plan = &self.index.header.plan;
        let finished = self.index.latest().into_values().filter(|a| a.finish.is_some()).count();
        let status = if finished as u64 == plan.cells { "success" } else { "cancelled" };
        let scores: Vec<Value> = sums.scores.iter().map(|(name, s)| score(name, s)).collect();
        let moment = |text: &Option<String>| {
            text.as_ref().and_then(|t| t.parse().ok()).map_or_else(|| json!(""), sample::time)
        };
        let usage = json!({
            "input_tokens": sums.spent.prompt_tokens,
            "output_tokens": sums.spent.tokens.saturating_sub(sums.spent.prompt_tokens),
            "total_tokens": sums.spent.tokens,
        });
        json!({
            "version": SCHEMA_VERSION,
            "status": status,
            "eval": self.eval(),
            "plan": steps(),
            "results": {
                "total_samples": sums.samples,
                "completed_samples": sums.samples - sums.failed,
                "scores": scores,
            },
            "stats": {
                "started_at": moment(&sums.first),
                "completed_at": moment(&sums.last),
                "model_usage": { (self.agent): usage },
            },
        })
    }
}

/// What Inspect calls a plan: how samples are solved.
fn steps() -> Value {
    json!({ "name": "plan", "steps": [{ "solver": "agent", "params": {} }], "config": {} })
}

/// Mean and cluster-robust standard error of a scorer, over what is scored.
fn score(name: &str, (values, clusters, unscored): &(Vec<f64>, Vec<String>, u64)) -> Value {
    let mut metrics = serde_json::Map::new();
    let mut add = |metric: &str, value: f64, params: Value| {
        let one = json!({ "name": metric, "value": value, "params": params });
        metrics.insert(metric.to_owned(), one);
    };
    if !values.is_empty() {
        add("mean", values.iter().sum::<f64>() / values.len() as f64, json!({}));
    }
    if let Ok(mean) = stats::cluster_mean(values, clusters, 0.95) {
        add("stderr", mean.std_error, json!({ "cluster": "cluster" }));
    }
    json!({
        "name": name,
        "scorer": name,
        "scored_samples": values.len(),
        "unscored_samples": unscored,
        "params": {},
        "metrics": metrics,
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
