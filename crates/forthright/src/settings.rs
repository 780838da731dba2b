//! Settings from files.

use std::path::Path;

use anyhow::Context as _;
use serde::de::DeserializeOwned;

/// Reads a TOML file; what is wrong with it is one sentence with the line.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        let says = error.message().lines().collect::<Vec<_>>().join(" ");
        anyhow::anyhow!("{}: line {line}: {says}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[expect(dead_code, reason = "only read")]
        rate: f64,
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        for (text, says) in [
            ("rate = 1.0\nrates = 2\n", "line 2: unknown field `rates`"),
            ("\n\nrate = \"x\"\n", "line 3: invalid type: string"),
            ("rate = [\n", "line"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = read_toml::<Settings>(&path).unwrap_err().to_string();
            assert!(message.contains(says) && message.lines().count() == 1, "{message}");
        }
        let missing = read_toml::<Settings>(&folder.path().join("b.toml")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read "), "{missing}");
    }
}
