//! The cache with a Python that is a script: no network, and every failure to order.

use std::{os::unix::fs::PermissionsExt as _, thread};

use tempfile::TempDir;

use super::*;

/// Stands for Python and pip. `@` is the folder of the test; a requirement's file is in `@/index`.
const SCRIPT: &str = r#"#!/bin/sh
case "$*" in
"-m pip --version") exit $(cat @/no-pip 2>/dev/null || echo 0) ;;
"-m pip download"*)
  while [ $# -gt 1 ]; do [ "$1" = --dest ] && dest=$2; shift; done
  echo "$1" >> @/fetched
  if [ -f @/slow ]; then sleep 0.3; fi
  if [ ! -f "@/index/$1" ]; then cat @/trouble >&2; exit 1; fi
  cp "@/index/$1" "$dest/file.whl" ;;
*)
  if [ -f @/full ]; then echo "OSError: [Errno 28] No space left on device" >&2; exit 1; fi
  mkdir -p "$4" && cp "$3" "$4/$6" ;;
esac
"#;

/// SHA-256 of `one` and `two`, and of nothing at all.
const ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
const TWO: &str = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3";

struct Double {
    folder: TempDir,
    lock: Lock,
}

impl Double {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let this = Self {
            lock: Lock {
                torch: "2.11.0".into(),
                tried: vec![],
                wheel: vec![wheel("one", ONE), wheel("two", TWO)],
            },
            folder,
        };
        fs::create_dir(this.at("index")).unwrap();
        for name in ["one", "two"] {
            this.put(&format!("index/{name}==1"), name);
        }
        let script = SCRIPT.replace('@', this.folder.path().to_str().unwrap());
        this.put("python3", &script);
        fs::set_permissions(this.at("python3"), fs::Permissions::from_mode(0o755)).unwrap();
        this
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    fn cache(&self) -> Cache {
        Cache::new(self.at("cache"), Python::at(&self.at("python3")))
    }

    fn ensure(&self) -> Result<PathBuf, String> {
        self.cache().ensure(&Asset::models(&self.lock)).map_err(|error| {
            let message = format!("{error:#}");
            assert_eq!(message.lines().count(), 1, "{message}");
            let place = self.cache().place(&Asset::models(&self.lock));
            assert!(!place.exists(), "what is not whole has no name of its own");
            message
        })
    }

    fn fetched(&self) -> Vec<String> {
        let text = fs::read_to_string(self.at("fetched")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn assert_whole(&self) {
        let place = self.ensure().unwrap();
        for name in ["one", "two"] {
            assert_eq!(fs::read_to_string(place.join(name)).unwrap(), name);
        }
        let partial = fs::read_dir(self.at("cache")).unwrap();
        let names: Vec<_> = partial.map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "the lock and the asset: {names:?}");
    }
}

fn wheel(name: &str, sha256: &str) -> Wheel {
    Wheel {
        r#for: "models".into(),
        platform: "any".into(),
        requirement: format!("{name}==1"),
        tag: "any".into(),
        sha256: sha256.into(),
        keep: vec![[name.into(), name.into()]],
    }
}

#[test]
fn a_second_set_up_fetches_nothing() {
    let double = Double::new();
    double.assert_whole();
    // Not even pip is needed then.
    double.put("no-pip", "1");
    double.assert_whole();
    assert_eq!(double.fetched(), ["one==1", "two==1"]);
}

#[test]
fn a_wrong_digest_is_refused() {
    let double = Double::new();
    double.put("index/two==1", "another");
    let message = double.ensure().unwrap_err();
    assert!(message.starts_with("two==1 is not the file that was locked: expected SHA-256 3fc4"));
    assert!(message.contains(", found "), "{message}");
    double.put("index/two==1", "two");
    double.assert_whole();
}

#[test]
fn what_was_done_before_an_interruption_is_not_done_again() {
    let double = Double::new();
    fs::remove_file(double.at("index/two==1")).unwrap();
    double.put("trouble", "ERROR: Operation cancelled by user\n");
    let message = double.ensure().unwrap_err();
    assert_eq!(message, "pip cannot fetch two==1: Operation cancelled by user");
    // What a killed set-up was fetching.
    let partial = format!("{}.partial", Asset::models(&double.lock).folder());
    let torn = double.at("cache").join(partial).join("fetching/1");
    fs::create_dir_all(&torn).unwrap();
    fs::write(torn.join("file.whl"), "tw").unwrap();
    double.put("index/two==1", "two");
    double.assert_whole();
    assert_eq!(double.fetched(), ["one==1", "two==1", "two==1"]);
}

#[test]
fn what_is_missing_is_named() {
    let double = Double::new();
    double.put("no-pip", "1");
    assert!(double.ensure().unwrap_err().contains("has no pip; install it"));
    double.put("no-pip", "0");
    let nowhere = Cache::new(double.at("cache"), Python::at(&double.at("nowhere")));
    let message = nowhere.ensure(&Asset::models(&double.lock)).unwrap_err().to_string();
    assert!(message.contains("does not run; install Python 3 with pip"), "{message}");
    fs::remove_file(double.at("index/one==1")).unwrap();
    double.put(
        "trouble",
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'\n\
         ERROR: Could not find a version that satisfies the requirement one==1\n\
         ERROR: No matching distribution found for one==1\n",
    );
    let message = double.ensure().unwrap_err();
    assert!(
        message.starts_with("pip cannot fetch one==1: no connection to the package index"),
        "{message}"
    );
    double.put("trouble", "ERROR: No matching distribution found for one==1\n");
    let message = double.ensure().unwrap_err();
    assert_eq!(message, "pip cannot fetch one==1: No matching distribution found for one==1");
}

#[test]
fn a_full_disk_leaves_the_cache_sound() {
    let double = Double::new();
    double.put("full", "");
    let message = double.ensure().unwrap_err();
    assert!(message.starts_with("cannot unpack one==1 into "), "{message}");
    assert!(message.contains(": no space left on the disk; FORTHRIGHT_CACHE"), "{message}");
    fs::remove_file(double.at("full")).unwrap();
    double.assert_whole();
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let double = Double::new();
    // A file where the folder should be: no user may write below it.
    double.put("cache", "");
    let message = double.ensure().unwrap_err();
    let expected = format!("cannot write to the cache folder {}", double.at("cache").display());
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn of_two_set_ups_at_once_one_fetches() {
    let double = Double::new();
    double.put("slow", "");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| double.ensure().unwrap());
        }
    });
    double.assert_whole();
    assert_eq!(double.fetched(), ["one==1", "two==1"]);
}

/// A set-up that is killed leaves its pip at work for a while; the next one waits for it.
#[test]
fn a_pip_without_its_set_up_keeps_the_cache() {
    let double = Double::new();
    fs::create_dir(double.at("cache")).unwrap();
    let guard = exclusive(&double.at("cache")).unwrap();
    let mut orphan = std::process::Command::new("sleep")
        .arg("0.5")
        .stdin(guard.try_clone().unwrap())
        .spawn()
        .unwrap();
    drop(guard);
    double.assert_whole();
    assert!(orphan.try_wait().unwrap().is_some(), "it was not waited for");
}

#[test]
fn names_change_with_what_they_stand_for() {
    let mut double = Double::new();
    let before = Asset::models(&double.lock).folder();
    double.lock.wheel[0].keep.push(["more".into(), "more".into()]);
    assert_ne!(Asset::models(&double.lock).folder(), before);
    double.lock.wheel.clear();
    let message = Asset::libtorch(&double.lock, "libtorch").err().unwrap().to_string();
    assert!(message.starts_with("no libtorch is locked for "), "{message}");
}

/// The one test that runs Python itself: what is kept of a wheel comes out under its new name.
#[test]
fn wheels_are_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.whl");
    let python = Python::default();
    let write = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n \
                 [z.writestr(n, n) for n in ('a/b/c', 'a/b/d/e', 'a/f')]";
    assert!(python.command().args(["-c", write]).arg(&file).status().unwrap().success());
    let out = folder.path().join("out");
    let mut wheel = wheel("a", ONE);
    wheel.keep = vec![["a/b/".into(), "x/".into()], ["a/f".into(), "y".into()]];
    python.unpack(&wheel, &file, &out).unwrap();
    for (name, text) in [("x/c", "a/b/c"), ("x/d/e", "a/b/d/e"), ("y", "a/f")] {
        assert_eq!(fs::read_to_string(out.join(name)).unwrap(), text);
    }
    wheel.keep = vec![["none".into(), "z".into()]];
    let message = python.unpack(&wheel, &file, &out).unwrap_err().to_string();
    assert!(message.ends_with("the wheel holds no none"), "{message}");
}
