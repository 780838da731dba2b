//! Files that are broken, cut off, or far too long.

use std::{fs, io::Write as _, path::PathBuf};

use flate2::{Compression, write::GzEncoder};
use lm_tasks::{Error, Place, ReadOptions, preferences, prompts};

use crate::common::{golden, skipping};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing.jsonl");
    let error = prompts::read(&missing, &skipping()).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if *path == missing));
    assert!(error.to_string().contains("missing.jsonl"), "{error}");
    assert!(matches!(prompts::read(folder.0.path(), &skipping()), Err(Error::Io { .. })));
    for name in ["x.jsonl", "x.parquet", "x.gz"] {
        let error = prompts::read(&folder.write(name, b""), &skipping()).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }), "{error}");
    }
}

#[test]
fn a_name_does_not_decide() {
    let folder = Folder::new();
    for (from, to) in
        [("posts.jsonl.gz", "a.json"), ("posts.parquet", "b.gz"), ("posts.jsonl", "c")]
    {
        let path = folder.write(to, &fs::read(golden(from)).unwrap());
        assert_eq!(prompts::read(&path, &ReadOptions::default()).unwrap().items.len(), 3);
    }
}

#[test]
fn a_gzip_stream_that_is_cut_off_is_never_passed_over() {
    let folder = Folder::new();
    let rows: Vec<String> =
        (0..2_000).map(|i| format!("{{\"prompt\": \"number {i}\"}}\n")).collect();
    let rows = rows.concat();
    let whole = gzip(rows.as_bytes());
    assert_eq!(prompts::read(&folder.write("x", &whole), &skipping()).unwrap().items.len(), 2_000);
    for end in [10, whole.len() / 2, whole.len() - 1] {
        let error = prompts::read(&folder.write("x", &whole[..end]), &skipping()).unwrap_err();
        let Error::Container { place: Some(Place::Line(line)), .. } = error else {
            panic!("{error}")
        };
        assert!((1..=2_001).contains(&line), "{line}");
    }
    let mut wrong = whole.clone();
    let at = wrong.len() - 6; // in the checksum
    wrong[at] ^= 1;
    let error = prompts::read(&folder.write("x", &wrong), &skipping()).unwrap_err();
    assert!(error.to_string().contains("expected a whole gzip stream"), "{error}");
    // Two streams one after the other are one file.
    let twice = [whole.clone(), whole].concat();
    assert_eq!(prompts::read(&folder.write("x", &twice), &skipping()).unwrap().items.len(), 4_000);
}

#[test]
fn a_long_line_is_not_held() {
    // Ten million bytes in one line; compressed, a thousandth of it.
    let long = format!("{{\"prompt\": \"{}\"}}\n{{\"prompt\": \"b\"}}\n", "a".repeat(10_000_000));
    let folder = Folder::new();
    for bytes in [long.as_bytes(), &gzip(long.as_bytes())] {
        let path = folder.write("x", bytes);
        let error = prompts::read(&path, &ReadOptions::default()).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "line 1: row: expected a line of at most 8388608 bytes, found a longer one"
            ),
            "{error}"
        );
        let read = prompts::read(&path, &skipping()).unwrap();
        assert_eq!((read.items.len(), read.provenance.skipped), (1, 1));
        let more = ReadOptions { max_line_bytes: 16 << 20, ..ReadOptions::default() };
        assert_eq!(prompts::read(&path, &more).unwrap().items.len(), 2);
    }
}

#[test]
fn bytes_that_are_no_text() {
    let folder = Folder::new();
    let path =
        folder.write("x", b"{\"prompt\": \"a\"}\n{\"prompt\": \"\xe4\"}\n{\"prompt\": \"b\"}\n");
    let error = prompts::read(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(
        error.ends_with("line 2: row: expected UTF-8, found byte 0xe4 at byte 13 of the line"),
        "{error}"
    );
    assert_eq!(prompts::read(&path, &skipping()).unwrap().items.len(), 2);
    let path = folder.write("x", b"\xff\xfe{\0\"\0a\0\"\0");
    assert!(prompts::read(&path, &ReadOptions::default()).is_err());

    // A column that claims nothing may hold such bytes in one row; one of text must not.
    let read = prompts::read(&golden("bytes.parquet"), &skipping()).unwrap();
    assert_eq!((read.items.len(), read.provenance.skipped), (2, 1));
    assert_eq!(read.provenance.first_skipped[0].place, Place::Row { group: 1, row: 2 });
    let error = prompts::read(&golden("bad_text.parquet"), &skipping()).unwrap_err().to_string();
    assert!(error.ends_with("found text that is not UTF-8"), "{error}");
}

#[test]
fn a_score_that_is_no_number() {
    let error = preferences::read(&golden("nan.parquet"), &ReadOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tests/golden/files/nan.parquet: row group 1, row 2: score_chosen: expected a finite \
         number, found the text \"NaN\""
    );
}

#[test]
fn parquet_rows_are_placed_by_group() {
    let named = ReadOptions { layout: Some(lm_tasks::Layout::Posts), ..ReadOptions::default() };
    let read = prompts::read(&golden("no_rows.parquet"), &named);
    assert!(matches!(read, Err(Error::Empty { .. })));
    // Three rows in groups of two: the first field that is missing is in the first row of all.
    let error = prompts::read(&golden("comparisons.parquet"), &named).unwrap_err().to_string();
    assert!(error.contains("row group 1, row 1: summary: expected text"), "{error}");
    let error = prompts::read(&golden("late.parquet"), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("row group 2, row 1: prompt: expected text"), "{error}");
    let skipping = ReadOptions { layout: named.layout, ..skipping() };
    let Err(Error::NoneKept { rows: 3, skipped: 3, .. }) =
        prompts::read(&golden("comparisons.parquet"), &skipping)
    else {
        panic!("three bad rows")
    };
}

#[test]
fn parquet_that_is_cut_off_is_an_error() {
    let folder = Folder::new();
    for name in ["posts.parquet", "comparisons.parquet"] {
        let whole = fs::read(golden(name)).unwrap();
        for end in (4..whole.len()).step_by(7).chain([whole.len() - 1]) {
            let path = folder.write("x", &whole[..end]);
            let error = prompts::read(&path, &skipping()).unwrap_err();
            assert!(matches!(error, Error::Container { .. }), "{end}: {error}");
        }
    }
}

#[test]
fn damaged_parquet_is_refused_or_keeps_its_rows() {
    let folder = Folder::new();
    let mut refused = 0;
    // All bits of a small file, and some of larger ones.
    for (name, step) in [("prompts.parquet", 1), ("comparisons.parquet", 43), ("posts.parquet", 29)]
    {
        let whole = fs::read(golden(name)).unwrap();
        let rows = prompts::read(&golden(name), &skipping()).unwrap().provenance.rows;
        for bit in (32..whole.len() * 8).step_by(step) {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // A changed letter goes unseen, which is all that may: no row is lost.
            match prompts::read(&folder.write("x", &bytes), &skipping()) {
                Ok(read) => assert_eq!(read.provenance.rows, rows, "{name}: bit {bit}"),
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().chars().count() < 1_000, "{error}");
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}
