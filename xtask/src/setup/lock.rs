//! The lock file: what is fetched, and what it must be.

use anyhow::Context as _;
use serde::Deserialize;

/// `assets.lock.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    /// Version of PyTorch.
    pub(super) torch: String,
    /// Platforms on which this has been run.
    pub(super) tried: Vec<String>,
    pub(super) wheel: Vec<Wheel>,
}

/// A file that pip fetches, and what is taken from it.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct Wheel {
    /// The folder of the cache that it is for.
    pub(super) r#for: String,
    pub(super) platform: String,
    pub(super) requirement: String,
    /// The platform as pip spells it.
    pub(super) tag: String,
    pub(super) sha256: String,
    /// Path in the wheel, path in the folder.
    pub(super) keep: Vec<[String; 2]>,
}

impl Lock {
    pub(super) fn read() -> anyhow::Result<Self> {
        toml::from_str(include_str!("../../assets.lock.toml")).context("xtask/assets.lock.toml")
    }
}

/// This machine as the lock file names it.
pub(super) fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_is_sound() {
        let lock = Lock::read().unwrap();
        let hex = |s: &str| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit());
        for wheel in &lock.wheel {
            assert!(hex(&wheel.sha256) && !wheel.keep.is_empty(), "{}", wheel.requirement);
            for [source, target] in &wheel.keep {
                assert_eq!(source.ends_with('/'), target.ends_with('/'), "{source}");
            }
        }
        let count = |name: &str, platform: &str| {
            let ours = |w: &&Wheel| w.r#for == name && w.platform == platform;
            lock.wheel.iter().filter(ours).count()
        };
        for platform in ["linux-x86_64", "linux-aarch64"] {
            assert_eq!((count("libtorch", platform), count("libtorch-cuda", platform)), (3, 15));
        }
        assert_eq!((count("libtorch", "macos-aarch64"), count("models", "any")), (1, 1));
        assert_eq!(count("templates", "any"), 1);
        assert!(
            lock.wheel
                .iter()
                .filter(|w| w.requirement.starts_with("torch=="))
                .all(|w| { w.requirement.ends_with(&lock.torch) })
        );
    }
}
