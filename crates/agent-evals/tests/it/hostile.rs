//! Foreign files that no writer wrote.

use std::{fs, path::Path};

use agent_evals::{Agent, Stopper};
use rl_core::seed::Seed;

use crate::{
    common::{Counting, counter, plan},
    readers::{self, Target},
};

/// Mutations of each seed.
const MUTATIONS: u64 = 60;

/// Bytes changed, left out, doubled, or put elsewhere; numbers made large.
fn mutated(seed: &[u8], n: u64) -> Vec<u8> {
    let mut draw = {
        let (seed, mut i) = (Seed::new(n), 0);
        move |below: usize| {
            i += 1;
            (seed.derive("mutation", i).value() % below.max(1) as u64) as usize
        }
    };
    let mut out = seed.to_vec();
    for _ in 0..=draw(4) {
        if out.is_empty() {
            break;
        }
        let at = draw(out.len());
        let end = (at + 1 + draw(40)).min(out.len());
        match draw(6) {
            0 => out[at] ^= 1 << draw(8),
            1 => out.truncate(at),
            2 => drop(out.drain(at..end)),
            3 => {
                let part = out[at..end].to_vec();
                let to = draw(out.len());
                out.splice(to..to, part);
            }
            4 => {
                if let Some(digit) = out[at..].iter().position(u8::is_ascii_digit) {
                    out.splice(at + digit..=at + digit, *b"18446744073709551615");
                }
            }
            _ => {
                let words: [&[u8]; 5] = [b"null", b"-1", b"1e308", b"[[[[[[", b"\xff\x00"];
                out.splice(at..end, words[draw(words.len())].iter().copied());
            }
        }
    }
    out
}

fn stands(target: Target, seeds: &[Vec<u8>]) {
    for seed in seeds {
        target(seed);
        for n in 0..MUTATIONS {
            target(&mutated(seed, n));
        }
    }
}

#[test]
fn the_reader_of_journals_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let plan = plan(Counting::to(&[1, 2]), Agent::new(counter(2)));
    runtime.block_on(plan.run(&path, None, Stopper::default())).unwrap();
    stands(readers::journal, &[fs::read(&path).unwrap(), Vec::new()]);
}

#[test]
fn the_reader_of_inspects_logs_stands() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/inspect");
    let seeds = ["own.eval", "own.json", "base.json"].map(|n| fs::read(golden.join(n)).unwrap());
    stands(readers::inspect, &seeds);
}

#[test]
fn the_reader_of_scenarios_stands() {
    let text = r#"{"name":"k","tools":[{"name":"t","description":"d","replies":["r"]}],
        "samples":[{"id":"a","target":["x"]}],"scorers":[{"name":"r","rule":"says_target"}]}"#;
    stands(readers::scenario, &[text.as_bytes().to_vec()]);
    // What a fuzzer has found.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/scenario");
    let found: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!found.is_empty());
    for path in &found {
        readers::scenario(&fs::read(path).unwrap());
    }
}
