//! What may be given to the readers of foreign files: anything.
//!
//! Each target gives its reader some bytes and panics if the reader does, or if it refuses them in
//! anything but one line. `../../fuzz` runs them on what a fuzzer makes up, `hostile.rs` on what
//! mutation makes of good files.

use std::fs;

use agent_evals::{
    FileScenario, FinishedIter, Index,
    inspect::{InspectLog, LogFormat, export},
    view::{view_journal, view_log},
};

/// A reader and what is made of what it read.
pub type Target = fn(&[u8]);

fn one_line<T, E: std::fmt::Display>(result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let said = error.to_string();
            assert!(!said.is_empty() && said.lines().count() == 1, "{said:?}");
            None
        }
    }
}

/// A journal as it is, and one whose lines these are, each with its right checksum.
pub fn journal(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.jsonl");
    let mut summed = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        // The record of a line that is whole, or the line itself.
        let body = line
            .strip_prefix(b"{\"crc\":\"")
            .and_then(|l| l.get(8..))
            .and_then(|l| l.strip_prefix(b"\",\"record\":")?.strip_suffix(b"}"));
        let body = body.unwrap_or(line);
        summed.extend_from_slice(
            format!("{{\"crc\":\"{:08x}\",\"record\":", crc32fast::hash(body)).as_bytes(),
        );
        summed.extend_from_slice(body);
        summed.extend_from_slice(b"}\n");
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for bytes in [bytes, &summed] {
        fs::write(&path, bytes).expect("a file");
        let Some(index) = one_line(Index::read(&path)) else { continue };
        let counted = index.latest().into_values().filter(|a| a.finish.is_some()).count();
        let mut finished = 0;
        for one in FinishedIter::open(&path).expect("it was read") {
            let one = one.expect("it was read");
            finished += 1;
            one_line(runtime.block_on(one.replay()));
            let _ = one.trace.conversation();
        }
        assert_eq!(finished, counted);
        one_line(view_journal(&path, &folder.path().join("view.html")));
        for format in [LogFormat::Eval, LogFormat::Json] {
            let logs = folder.path().join("logs");
            let _ = fs::remove_dir_all(&logs);
            one_line(export(&path, &logs, format));
        }
    }
}

/// A log of Inspect's, as an archive or as JSON.
pub fn inspect(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.eval");
    fs::write(&path, bytes).expect("a file");
    if one_line(InspectLog::read(&path)).is_some() {
        one_line(view_log(&path, &folder.path().join("view.html")));
    }
}

/// A scenario.
pub fn scenario(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        one_line(FileScenario::parse("scenario.json", text));
    }
}
