//! Shorthands.

use std::path::{Path, PathBuf};

use lm_tasks::{BadRows, Input, ReadOptions, Turn};

/// A file that `make_files.py` wrote.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new("tests/golden/files").join(name)
}

pub(crate) fn skipping() -> ReadOptions {
    ReadOptions { bad_rows: BadRows::Skip, ..ReadOptions::default() }
}

pub(crate) fn text(text: &str) -> Input {
    Input::Text(text.into())
}

/// A conversation whose turns alternate, the user's first.
pub(crate) fn turns(contents: &[&str]) -> Input {
    let turn = |(i, content): (usize, &&str)| {
        if i % 2 == 0 { Turn::user(*content) } else { Turn::assistant(*content) }
    };
    Input::Turns(contents.iter().enumerate().map(turn).collect())
}
