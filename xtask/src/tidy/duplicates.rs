//! Crates that are built in more than one version.

use std::collections::BTreeMap;

/// The question to `cargo` whose answer [`findings`] reads: all that is built on any platform, one
/// `name vVERSION` a line.
pub(super) const TREE: &[&str] = &[
    "tree",
    "--quiet",
    "--workspace",
    "--all-features",
    "--target=all",
    "--edges=normal,build,dev",
    "--prefix=none",
    "--format={p}",
];

/// Older versions that may be built beside the newest: crate, version (as far as Cargo takes it for
/// compatible), who needs it. What is not here is found, and so is what is here for nothing.
const OLDER: &[(&str, &str, &str)] = &[
    ("base64", "0.13", "spm_precompiled, of tokenizers"),
    ("constant_time_eq", "0.1", "zip 0.6, of tch"),
    ("cpufeatures", "0.2", "sha2 0.10; sha1 and aes, of zip 0.6"),
    ("getrandom", "0.2", "rand_core 0.6, of tch; ring"),
    ("getrandom", "0.3", "rand_core 0.9, of tokenizers; ahash"),
    ("hashbrown", "0.16", "safetensors"),
    ("itertools", "0.13", "criterion"),
    ("r-efi", "5", "getrandom 0.3; built on no platform of ours"),
    ("rand", "0.8", "tch"),
    ("rand", "0.9", "tokenizers"),
    ("rand_chacha", "0.3", "rand 0.8"),
    ("rand_chacha", "0.9", "rand 0.9"),
    ("rand_core", "0.6", "rand 0.8"),
    ("rand_core", "0.9", "rand 0.9"),
    ("safetensors", "0.3", "tch"),
    ("syn", "2", "derive macros that have not moved to 3"),
    ("thiserror", "1", "tch"),
    ("thiserror-impl", "1", "thiserror 1"),
    ("windows-sys", "0.52", "ring; built on no platform of ours"),
    ("zip", "0.6", "tch"),
    ("zstd", "0.11", "zip 0.6"),
    ("zstd-safe", "5", "zstd 0.11"),
];

/// Versions beyond the newest that nobody has allowed, and allowances that nothing needs any more.
pub(super) fn findings(tree: &str) -> Vec<String> {
    compare(tree, OLDER)
}

fn compare(tree: &str, allowed: &[(&str, &str, &str)]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let of = versions.entry(name).or_default();
        let version = version.trim_start_matches('v');
        if !of.contains(&version) {
            of.push(version);
        }
    }
    let mut findings = Vec::new();
    let mut stale = allowed.to_vec();
    for (name, mut of) in versions {
        of.sort_by_key(|version| numbers(version));
        let newest = of.pop().unwrap_or_default();
        for older in of {
            let line = line(older);
            stale.retain(|(n, v, _)| (*n, *v) != (name, &line));
            if !allowed.iter().any(|(n, v, _)| (*n, *v) == (name, &line)) {
                findings.push(format!(
                    "{name}: built as {older} beside {newest}; `cargo tree -i {name}@{older}` says \
                     for whom, and xtask's tidy/duplicates.rs may allow it with a reason"
                ));
            }
        }
    }
    findings.extend(stale.iter().map(|(name, version, why)| {
        format!(
            "{name}: {version} is no longer built beside a newer one (was for {why}); strike it out"
        )
    }));
    findings
}

/// As far as a version says what it is compatible with: `1` of `1.2.3`, `0.2` of `0.2.3`.
fn line(version: &str) -> String {
    let numbers = numbers(version);
    let kept = numbers.iter().position(|&n| n != 0).unwrap_or(numbers.len().saturating_sub(1));
    let kept: Vec<String> = numbers.iter().take(kept + 1).map(u64::to_string).collect();
    kept.join(".")
}

/// Major, minor and patch; what follows `-` or `+` is left out.
fn numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').map(|n| n.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_versions_are_found_unless_allowed() {
        let tree = "klq v0.1.0 (/w/klq)\nrand v0.10.4\nrand v0.9.5\nrand v0.10.4 (*)\n\
                    zstd v0.11.2+zstd.1.5.2\nzstd v0.14.4\nsyn v2.0.1 (proc-macro)\n\nsyn v2.0.1\n";
        let found = compare(tree, &[]);
        assert_eq!(found.len(), 2, "{found:?}");
        // By number: 0.10 is newer than 0.9.
        assert!(found[0].starts_with("rand: built as 0.9.5 beside 0.10.4"), "{found:?}");
        assert!(found[1].starts_with("zstd: built as 0.11.2+zstd.1.5.2 beside"), "{found:?}");
        assert!(compare(tree, &[("rand", "0.9", ""), ("zstd", "0.11", "")]).is_empty());
        let found =
            compare(tree, &[("rand", "0.8", "tch"), ("rand", "0.9", ""), ("zstd", "0.11", "")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("rand: 0.8 is no longer built"), "{found:?}");
    }

    #[test]
    fn versions_are_compatible_up_to_the_first_number_that_is_not_zero() {
        assert_eq!(
            ["1.2.3", "0.2.3", "0.0.3", "5.0.2+zstd.1.5.2", "2.0.0-rc.1", "0.0.0"].map(line),
            ["1", "0.2", "0.0.3", "5", "2", "0.0.0"]
        );
    }
}
