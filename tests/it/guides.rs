//! Every command of the guides, run as it stands there.

use std::{fs, path::Path, process::Command};

use forthright_tests::{program, said};

/// Runs the blocks of a guide that are marked `console` one after the other in an empty folder.
/// Those of other marks, such as `text` and `toml`, are there to be read.
fn follow(guide: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides").join(guide);
    let text = fs::read_to_string(&path).unwrap();
    let blocks: Vec<&str> = text
        .split("```console\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("a block ends").0)
        .collect();
    assert!(blocks.len() > 2, "{guide}: {} blocks", blocks.len());
    let folder = tempfile::tempdir().unwrap();
    let (bin, work) = (folder.path().join("bin"), folder.path().join("work"));
    fs::create_dir(&bin).unwrap();
    fs::create_dir(&work).unwrap();
    std::os::unix::fs::symlink(program(), bin.join("forthright")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for block in blocks {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", block]).current_dir(&work).env("PATH", &path);
        let said = said(bash, "");
        assert_eq!(said.code, Some(0), "{guide}:\n{block}\n{}\n{}", said.out, said.err);
    }
}

#[test]
fn language_models() {
    follow("language-models.md");
}

#[test]
fn klq() {
    follow("klq.md");
}

#[test]
fn early_exit() {
    follow("early-exit.md");
}

#[test]
fn chains_of_thought() {
    follow("chains-of-thought.md");
}

#[test]
fn agents() {
    follow("agents.md");
}

#[test]
fn portfolio() {
    follow("portfolio.md");
}
