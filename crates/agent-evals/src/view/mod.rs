//! One page of HTML that shows samples, without a server.
//!
//! The page opens from the disk and asks no network for anything. Its table holds only the rows in
//! sight, and of a sample's transcript only what has been scrolled to, so that thousands of samples do
//! not stall it.
//!
//! **Nothing of a sample is ever markup or code.** Samples are JSON in elements that are no scripts,
//! in which no `<` stands; the page's script reads them and makes text of them; and a policy in the
//! page allows that one script, by its digest, and no other.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{self, File},
    io::{BufWriter, Read as _, Write},
    path::Path,
};

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    Ending, Error, Finished, FinishedIter, Index, Score, Verdict,
    inspect::{Imported, InspectLog},
};

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
const BODY: &str = include_str!("page.html");

/// How every page begins; a file that does not is not overwritten.
const MARK: &str = "<!doctype html><!-- samples of agents -->\n";

/// Writes a page with the finished samples of a journal; how many there are.
///
/// An older page of that name is replaced; the new one is whole or absent.
///
/// # Errors
/// As [`FinishedIter::open`]; [`Error::Io`], also if there is a file of that name that is no such
/// page.
pub fn view_journal(journal: &Path, out: &Path) -> Result<u64, Error> {
    let header = Index::read(journal)?.header;
    let plan = &header.plan;
    let about = About {
        title: plan.scenarios.join(", "),
        subtitle: format!(
            "{}  ·  begun {}  ·  seed {}",
            plan.agents.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
            header.created,
            plan.seed
        ),
        epochs: plan.epochs,
    };
    write(out, &about, FinishedIter::open(journal)?.map(|one| Ok(finished(&one?))))
}

/// Writes a page with the samples of a log of Inspect's; how many there are.
///
/// # Errors
/// As [`InspectLog::read`]; [`Error::Io`] as [`view_journal`].
pub fn view_log(log: &Path, out: &Path) -> Result<u64, Error> {
    let log = InspectLog::read(log)?;
    let of = |key: &str| log.header["eval"][key].as_str().unwrap_or("–").to_owned();
    let (task, model) = (of("task"), of("model"));
    let about = About {
        title: task.clone(),
        subtitle: format!("{model}  ·  begun {}", of("created")),
        epochs: log.samples.iter().map(|s| s.epoch).max().unwrap_or(1),
    };
    write(out, &about, log.samples.iter().map(|one| Ok(imported(one, &task, &model))))
}

/// What the page is about.
#[derive(Serialize)]
struct About {
    title: String,
    subtitle: String,
    epochs: u32,
}

/// A sample: its row of the table, and all there is to it.
struct Shown {
    row: Value,
    whole: Value,
}

fn finished(one: &Finished) -> Shown {
    let (start, finish) = (&one.start, &one.finish);
    let failed = matches!(one.trace.ending(), Some(Ending::Failed(_)));
    let row = json!({
        "scenario": start.key.scenario,
        "agent": start.key.agent,
        "persona": start.key.persona,
        "sample": start.key.sample,
        "epoch": start.key.epoch,
        "input": start.sample.input.chars().take(200).collect::<String>(),
        "state": state(failed, finish.scores.values()),
        "ended": one.trace.ending().map_or_else(|| "cut off".to_owned(), ended),
        "turns": finish.spent.turns,
        "tokens": finish.spent.tokens,
        "seconds": finish.spent.wall_s,
        "scores": in_short(finish.scores.iter()),
    });
    let whole = json!({
        "input": start.sample.input,
        "target": start.sample.target,
        "metadata": start.sample.metadata,
        "limits": start.limits,
        "agent": start.agent,
        "scores": finish.scores,
        "events": one.trace.events,
    });
    Shown { row, whole }
}

fn imported(one: &Imported, task: &str, model: &str) -> Shown {
    let of = |key: &str, otherwise: &str| {
        one.metadata.get(key).and_then(Value::as_str).unwrap_or(otherwise).to_owned()
    };
    let ended = match (&one.error, &one.limit) {
        (Some(error), _) => format!("failed: {error}"),
        (None, Some(limit)) => format!("limit: {limit}"),
        (None, None) => "done".to_owned(),
    };
    let said = |m: &&chat_model::Message| matches!(m, chat_model::Message::Assistant { .. });
    let row = json!({
        "scenario": of("scenario", task),
        "agent": model,
        "persona": of("persona", "none"),
        "sample": one.id,
        "epoch": one.epoch,
        "input": one.input.chars().take(200).collect::<String>(),
        "state": state(one.error.is_some(), one.scores.values()),
        "ended": ended,
        "turns": one.conversation.iter().filter(said).count(),
        "tokens": 0,
        "seconds": 0.0,
        "scores": in_short(one.scores.iter()),
    });
    let whole = json!({
        "input": one.input,
        "target": one.target,
        "metadata": one.metadata,
        "scores": one.scores,
        "conversation": one.conversation,
    });
    Shown { row, whole }
}

fn state<'a>(failed: bool, scores: impl Iterator<Item = &'a Score>) -> &'static str {
    let mut state = if failed { "error" } else { "scored" };
    for score in scores {
        match score.verdict {
            Verdict::Error(_) => state = "error",
            Verdict::Unscored(_) if state == "scored" => state = "unscored",
            _ => {}
        }
    }
    state
}

fn ended(ending: &Ending) -> String {
    match ending {
        Ending::Done => "done".to_owned(),
        Ending::Scenario(reason) => format!("scenario: {reason}"),
        Ending::Limit(reached) => format!("limit: {:?}", reached.kind).to_lowercase(),
        Ending::Failed(reason) => format!("failed: {reason}"),
    }
}

/// A number, or an object that says why there is none.
fn in_short<'a>(scores: impl Iterator<Item = (&'a String, &'a Score)>) -> Map<String, Value> {
    scores
        .map(|(name, score)| {
            let short = match &score.verdict {
                Verdict::Scored(value) => json!(value),
                Verdict::Unscored(_) => json!({ "unscored": true }),
                Verdict::Error(_) => json!({ "error": true }),
            };
            (name.clone(), short)
        })
        .collect()
}

fn write(
    out: &Path,
    about: &About,
    samples: impl Iterator<Item = Result<Shown, Error>>,
) -> Result<u64, Error> {
    if out.exists() && !is_page(out)? {
        let there = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(Error::io("overwrite", out)(there));
    }
    let partial = out.with_extension("html.partial");
    let written = File::create(&partial)
        .map_err(Error::io("create", &partial))
        .and_then(|file| fill(BufWriter::new(file), &partial, about, samples));
    let done = written.and_then(|n| {
        fs::rename(&partial, out).map_err(Error::io("rename", &partial))?;
        Ok(n)
    });
    if done.is_err() {
        // Half a page is of no use to anybody.
        let _ = fs::remove_file(&partial);
    }
    done
}

fn is_page(path: &Path) -> Result<bool, Error> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(MARK.len() as u64).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(start == MARK.as_bytes())
}

/// Samples come first, each as it is read, and the table of them last.
fn fill(
    mut file: BufWriter<File>,
    path: &Path,
    about: &About,
    samples: impl Iterator<Item = Result<Shown, Error>>,
) -> Result<u64, Error> {
    let io = |error: std::io::Error| Error::io("write", path)(error);
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'",
        digest(SCRIPT),
        digest(STYLE)
    );
    write!(
        file,
        "{MARK}<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"referrer\" content=\"no-referrer\"><title>samples</title>\
         <style>{STYLE}</style></head><body>\n{BODY}"
    )
    .map_err(io)?;
    let (mut rows, mut scorers) = (Vec::new(), BTreeSet::new());
    for sample in samples {
        let Shown { row, whole } = sample?;
        if let Some(scores) = row["scores"].as_object() {
            scorers.extend(scores.keys().cloned());
        }
        element(&mut file, &format!("s{}", rows.len()), &whole).map_err(io)?;
        rows.push(row);
    }
    let n = rows.len() as u64;
    let mut index = json!(about);
    index["scorers"] = json!(scorers);
    index["rows"] = rows.into();
    element(&mut file, "index", &index).map_err(io)?;
    writeln!(file, "<script>{SCRIPT}</script></body></html>").map_err(io)?;
    file.into_inner().map_err(|e| io(e.into_error()))?.sync_all().map_err(io)?;
    Ok(n)
}

/// JSON in an element that no browser runs, and that nothing in it can end.
fn element(file: &mut impl Write, id: &str, value: &Value) -> std::io::Result<()> {
    write!(file, "<script type=\"application/json\" id=\"{id}\">")?;
    let mut json = Unmarked(&mut *file);
    serde_json::to_writer(&mut json, value)?;
    file.write_all(b"</script>\n")
}

/// Writes JSON in which `<` stands by its number: outside of strings JSON has none.
struct Unmarked<W>(W);

impl<W: Write> Write for Unmarked<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut parts = bytes.split(|b| *b == b'<');
        self.0.write_all(parts.next().unwrap_or_default())?;
        for part in parts {
            self.0.write_all(b"\\u003c")?;
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// SHA-256 in base 64, as policies want it.
fn digest(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in Sha256::digest(text.as_bytes()).chunks(3) {
        let number = three.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
        let number = number << (8 * (3 - three.len()));
        for i in 0..=three.len() {
            let letter = LETTERS[(number >> (18 - 6 * i) & 63) as usize];
            let _ = write!(out, "{}", char::from(letter));
        }
        out.extend(std::iter::repeat_n('=', 3 - three.len()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        // printf abc | openssl dgst -sha256 -binary | base64
        assert_eq!(digest("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(digest("").len(), 44);
    }

    #[test]
    fn no_element_can_be_ended_from_within() {
        let hostile = json!({ "</script><script>": "<!--<script>alert(1)</script>\u{202e}" });
        let mut out = Vec::new();
        element(&mut out, "s0", &hostile).unwrap();
        let text = String::from_utf8(out).unwrap();
        let inner = text
            .strip_prefix("<script type=\"application/json\" id=\"s0\">")
            .and_then(|rest| rest.strip_suffix("</script>\n"))
            .unwrap();
        assert!(!inner.contains('<'), "{inner}");
        assert_eq!(serde_json::from_str::<Value>(inner).unwrap(), hostile);
    }

    #[test]
    fn the_page_itself_calls_nothing_from_elsewhere() {
        for part in [SCRIPT, STYLE, BODY] {
            for word in
                ["http:", "https:", "//cdn", "@import", "innerHTML", "insertAdjacent", "eval("]
            {
                assert!(!part.contains(word), "{word}");
            }
        }
        assert!(!SCRIPT.contains("</script"));
    }
}
