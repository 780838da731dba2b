//! Foreign files that are wrong on purpose: each is refused in one sentence, or read.

mod config;
mod gguf;
mod safetensors;

use std::path::{Path, PathBuf};

use crate::{
    foreign::{every_kind, safetensors, tiny_gguf},
    readers::{CUT, TARGETS},
};

/// What fuzzing found, and the seeds it starts from: nothing panics, and no message is longer than
/// a line.
#[test]
fn what_fuzzing_found_stays_mended() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, target) in TARGETS {
        let mut inputs = files(&home.join("fuzz/seeds").join(name));
        assert!(!inputs.is_empty(), "no seeds for {name}");
        inputs.extend(files(&home.join("tests/hostile").join(name)));
        for path in inputs {
            let input = std::fs::read(&path).unwrap();
            let read = std::panic::catch_unwind(|| target(&input));
            assert!(read.is_ok(), "{}", path.display());
        }
    }
}

/// The seeds that are not text are what these writers write.
#[test]
fn binary_seeds_are_current() {
    let index = br#"{"metadata":{"total_size":12},"weight_map":{"x":"a","y":"b","z":"b"}}"#;
    let a = safetensors(r#"{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#, 4);
    let b = safetensors(
        r#"{"y":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},"z":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        8,
    );
    let one = r#"{"__metadata__":{"format":"pt"},"x":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"s":{"dtype":"F64","shape":[],"data_offsets":[16,24]},"e":{"dtype":"BF16","shape":[0,3],"data_offsets":[24,24]},"h":{"dtype":"F16","shape":[3],"data_offsets":[24,30]}}"#;
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, bytes) in [
        ("gguf/tiny", tiny_gguf().build()),
        ("gguf/every_kind", every_kind().build()),
        ("safetensors/one", safetensors(one, 30)),
        ("safetensors/index", [&index[..], CUT, &a, CUT, &b].concat()),
    ] {
        assert!(std::fs::read(seeds.join(name)).unwrap() == bytes, "{name} is out of date");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}
