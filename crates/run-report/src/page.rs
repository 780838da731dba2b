//! From files to the page.

use std::path::Path;

use askama::Template;
use rl_core::run::{Claim, RunInfo, read_json, read_lines};
use serde_json::{Map, Value};

use crate::{
    About, Error, about,
    overview::{Overview, Verdicts},
    plot::{Lines, Series, legend, plot, short},
};

/// Samples shown of a pipeline.
const MAX_SAMPLES: usize = 40;
/// Rows of a table that are shown without being asked for.
const MAX_ROWS: usize = 12;

/// One pipeline's run, as its folder tells it.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) name: String,
    pub(crate) about: Option<About>,
    info: Option<RunInfo>,
    config: String,
    pub(crate) claims: Vec<Claim>,
    metrics: Vec<Value>,
    samples: Vec<Value>,
}

/// The runs in a folder, by name.
pub(crate) fn pipelines(folder: &Path) -> Result<Vec<Pipeline>, Error> {
    let failed = |source| Error::Io { path: folder.to_owned(), source };
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !path.join("run.json").exists() {
            continue;
        }
        out.push(Pipeline {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            about: read_json(&path.join(about::FILE))?,
            info: read_json(&path.join("run.json"))?,
            config: std::fs::read_to_string(path.join("config.toml")).unwrap_or_default(),
            claims: read_json(&path.join("claims.json"))?.unwrap_or_default(),
            metrics: read_lines(&path.join("metrics.jsonl"))?.unwrap_or_default(),
            samples: read_lines(&path.join("samples.jsonl"))?.unwrap_or_default(),
        });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    overview: Overview,
    chapters: Vec<Chapter>,
}

struct Chapter {
    name: String,
    title: String,
    source: String,
    claimed: Vec<String>,
    further: Vec<String>,
    recorded: Vec<Recorded>,
    facts: Vec<(String, String)>,
    claims: Vec<Row>,
    tables: Vec<Table>,
    plots: Vec<Plot>,
    samples: Vec<Vec<(String, String)>>,
    config: String,
}

/// Claims of an earlier run.
struct Recorded {
    page: String,
    verdicts: Verdicts,
    claims: Vec<Row>,
}

struct Row {
    verdict: &'static str,
    says: String,
    id: String,
    value: String,
    target: String,
    n: usize,
    scale: String,
    source: String,
}

/// Measurements that are no series: those without a `step` and without an `x`.
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn is_long(&self) -> bool {
        self.rows.len() > MAX_ROWS
    }
}

struct Plot {
    name: String,
    svg: String,
    /// Style and name of every series.
    legend: Vec<(usize, String)>,
}

/// The page of these runs.
///
/// # Errors
/// [`Error::Render`].
pub fn render(pipelines: &[Pipeline]) -> Result<String, Error> {
    let page = Page {
        overview: Overview::of(pipelines),
        chapters: pipelines.iter().map(chapter).collect(),
    };
    Ok(page.render()?)
}

fn chapter(pipeline: &Pipeline) -> Chapter {
    let mut facts = Vec::new();
    if let Some(info) = &pipeline.info {
        let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
        add("version", info.version.clone());
        add("commit", info.commit.clone().unwrap_or_else(|| "unknown".into()));
        add("seed", info.seed.to_string());
        add("threads", info.threads.to_string());
        add("device", info.device.clone());
        add("start", info.start.clone());
        add("end", info.end.clone().unwrap_or_else(|| "it did not end".into()));
        add("command", info.command.join(" "));
    }
    let about = pipeline.about.clone().unwrap_or_default();
    let recorded = about.recorded.iter().map(|record| Recorded {
        page: record.page.clone(),
        verdicts: Verdicts::of(&record.claims),
        claims: record.claims.iter().map(row).collect(),
    });
    Chapter {
        name: pipeline.name.clone(),
        recorded: recorded.collect(),
        title: if about.title.is_empty() { pipeline.name.clone() } else { about.title },
        source: about.source,
        claimed: about.claimed,
        further: about.further,
        facts,
        claims: pipeline.claims.iter().map(row).collect(),
        tables: tables(&pipeline.metrics),
        plots: plots(&pipeline.metrics),
        samples: pipeline.samples.iter().take(MAX_SAMPLES).map(fields).collect(),
        config: pipeline.config.clone(),
    }
}

fn row(claim: &Claim) -> Row {
    let value = match (claim.value, claim.interval) {
        (Some(value), Some([low, high])) => {
            format!("{} ({} to {})", short(value), short(low), short(high))
        }
        (Some(value), None) => short(value),
        (None, _) => claim.reason.clone().unwrap_or_else(|| "not computed".into()),
    };
    Row {
        verdict: match claim.met {
            Some(true) => "met",
            Some(false) => "unmet",
            None => "open",
        },
        says: claim.says.clone(),
        id: claim.id.clone(),
        value,
        target: claim.target.clone(),
        n: claim.n,
        scale: claim.scale.clone(),
        source: claim.source.clone(),
    }
}

/// A table for every set of names that objects without a `step` and without an `x` have.
fn tables(metrics: &[Value]) -> Vec<Table> {
    let cell = |value: &Value| match (value.as_f64(), value.as_str()) {
        (Some(number), _) => short(number),
        (None, Some(text)) => text.to_owned(),
        (None, None) => value.to_string(),
    };
    let mut out: Vec<Table> = Vec::new();
    let objects = metrics.iter().filter_map(Value::as_object);
    for object in objects.filter(|o| axis(o).is_none()) {
        let names: Vec<String> = object.keys().cloned().collect();
        let row = object.values().map(cell).collect();
        match out.iter_mut().find(|table| table.names == names) {
            Some(table) => table.rows.push(row),
            None => out.push(Table { names, rows: vec![row] }),
        }
    }
    out
}

/// The name of what an object's numbers are plotted against: `step`, or what its `x` names.
fn axis(object: &Map<String, Value>) -> Option<&str> {
    match object.get("x") {
        Some(x) => x.as_str(),
        None => object.contains_key("step").then_some("step"),
    }
}

/// A plot for every number that is plotted against something, with a line for every `series` that has
/// it.
fn plots(metrics: &[Value]) -> Vec<Plot> {
    let objects = || metrics.iter().filter_map(Value::as_object);
    let mut names: Vec<(&str, &String)> = Vec::new();
    for object in objects() {
        let Some(x) = axis(object) else { continue };
        for name in object.keys().filter(|name| *name != x && *name != "series" && *name != "x") {
            if !names.contains(&(x, name)) {
                names.push((x, name));
            }
        }
    }
    let of = |(x, name): (&str, &String)| {
        let mut series: Vec<Series> = Vec::new();
        for object in objects().filter(|object| axis(object) == Some(x)) {
            let point = || Some([object.get(x)?.as_f64()?, object.get(name)?.as_f64()?]);
            let Some(point) = point() else { continue };
            let of = object.get("series").and_then(Value::as_str).unwrap_or_default();
            match series.iter_mut().find(|s| s.name == of) {
                Some(series) => series.points.push(point),
                None => series.push(Series { name: of.to_owned(), points: vec![point] }),
            }
        }
        // Only names of our own metrics get into the SVG, which is not escaped.
        let plain =
            |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/ ".contains(c));
        let lines = Lines { name, x_label: x, series };
        let svg = plot(&lines).filter(|_| plain(name) && plain(x))?;
        Some(Plot { name: name.clone(), svg, legend: legend(&lines) })
    };
    names.into_iter().filter_map(of).collect()
}

fn fields(sample: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match sample.as_object() {
        Some(object) => object.iter().map(|(k, v)| (k.clone(), text(v))).collect(),
        None => vec![(String::new(), text(sample))],
    }
}

#[cfg(test)]
mod tests {
    use rl_core::run::{RunDir, Statement};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_becomes_a_page_and_nothing_of_it_becomes_markup() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(crate::write(folder.path()), Err(Error::Empty { .. })));
        let run = RunDir::open(&folder.path().join("lm")).unwrap();
        run.write_info(&RunInfo { seed: 7, ..RunInfo::default() }).unwrap();
        let statement =
            Statement { id: "lm.x", says: "x is small", source: "us", target: "<= 0.5" };
        let claims = [
            Claim::measured(statement, 0.25, Some([0.2, 0.3]), 3, "smoke").unwrap(),
            Claim::measured(statement, 0.75, None, 3, "smoke").unwrap(),
            Claim::not_computed(statement, "no GPU", "smoke").unwrap(),
        ];
        run.write_claims(&claims).unwrap();
        let mut metrics = run.lines("metrics.jsonl").unwrap();
        for step in 0..3 {
            metrics.push(&json!({ "step": step, "loss": 2.0 / f64::from(step + 1) })).unwrap();
            for series in ["<b>", "c"] {
                metrics.push(&json!({ "series": series, "step": step, "kl": step })).unwrap();
            }
        }
        metrics.push(&json!({ "batch": 16, "step_ms": 2.5, "peer": "x<y" })).unwrap();
        for depth in [0.5, 0.9] {
            let point = json!({ "series": "d", "x": "depth", "depth": depth, "accuracy": depth });
            metrics.push(&point).unwrap();
            metrics.push(&json!({ "x": "de<pth", "de<pth": depth, "hidden": depth })).unwrap();
        }
        let hostile = "<script>alert('x')</script>";
        run.lines("samples.jsonl").unwrap().push(&json!({ "text": hostile })).unwrap();
        assert_eq!(crate::write(folder.path()).unwrap(), claims);
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        assert!(!page.contains("<script"), "markup of a sample came through");
        assert!(page.contains("0.25 (0.2 to 0.3)") && page.contains("no GPU"));
        assert!(page.contains("<th>step_ms</th>") && page.contains(">2.5</td>"));
        assert!(page.contains("x&#60;y") && !page.contains("aria-label=\"batch by step\""));
        assert!(page.contains("aria-label=\"accuracy by depth\"") && !page.contains("hidden"));
        assert!(!page.contains("depth by depth") && !page.contains("<th>accuracy</th>"));
        assert!(page.contains("<polyline") && page.contains("aria-label=\"loss by step\""));
        assert!(page.contains("line-1") && page.contains("&#60;b&#62;") && !page.contains("<b>"));
        assert!(!page.contains("http"), "the page must not need the network");
        let summary: Value = read_json(&folder.path().join("summary.json")).unwrap().unwrap();
        assert_eq!(summary["claims"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn the_first_page_says_what_is_claimed_and_what_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(&folder.path().join("klq")).unwrap();
        run.write_info(&RunInfo::default()).unwrap();
        let statement = |id| Statement { id, says: "gap <x>", source: "us", target: "<= 0.5" };
        let claim = |id, value| Claim::measured(statement(id), value, None, 3, "smoke").unwrap();
        run.write_claims(&[claim("klq.a", 0.25), claim("klq.b", 0.75)]).unwrap();
        let about = About {
            title: "Q & A".into(),
            source: "arXiv 1".into(),
            claimed: vec!["it is better".into()],
            further: vec!["forthright klq".into()],
            recorded: vec![crate::Record {
                page: "results/klq.md".into(),
                claims: vec![claim("klq.a", 0.1), claim("klq.c", 0.2), claim("klq.d", 0.9)],
            }],
        };
        about.write(&run).unwrap();
        let mut metrics = run.lines("metrics.jsonl").unwrap();
        for seed in 0..=MAX_ROWS {
            metrics.push(&json!({ "seed": seed })).unwrap();
        }
        crate::write(folder.path()).unwrap();
        let summary: Value = read_json(&folder.path().join("summary.json")).unwrap().unwrap();
        assert_eq!(summary["recorded"][0]["claims"][1]["id"], "klq.c");
        let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        let first = page.split("<section").next().unwrap();
        for text in [
            "href=\"#klq\"",
            "Q &#38; A",
            "it is better",
            ">1 met</span>, <span class=\"unmet\">1 unmet<",
            ">2 met</span>, <span class=\"unmet\">1 unmet<",
            "gap &#60;x&#62;",
        ] {
            assert!(first.contains(text), "{text}: {first}");
        }
        let chapter = page.split("<section").nth(1).unwrap();
        assert!(chapter.contains("id=\"klq\"") && chapter.contains("forthright klq"));
        assert!(chapter.contains("results/klq.md") && chapter.contains("klq.c"));
        assert!(chapter.contains("13 rows"), "a long table is folded");
    }
}
