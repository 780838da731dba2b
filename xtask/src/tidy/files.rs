//! What a file of the repository may be: its size, its length, what is left undone in it.

use std::path::Path;

use anyhow::Context as _;

const MAX_LINES: usize = 500;
const MAX_BYTES: u64 = 1_000_000;

pub(super) fn findings(root: &Path, file: &str) -> anyhow::Result<Vec<String>> {
    let path = root.join(file);
    // Deleted but not yet committed.
    let Ok(size) = path.metadata().map(|m| m.len()) else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    if size > MAX_BYTES {
        findings.push(format!("{file}: {size} bytes; weights and data sets stay out of git"));
    }
    if path.extension().is_some_and(|e| e == "rs") {
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {file}"))?;
        let lines = text.lines().count();
        if lines > MAX_LINES {
            findings.push(format!("{file}: {lines} lines; is there a second idea in it?"));
        }
        // Spelled in halves, so that this file does not find itself.
        for (a, b) in [("todo", "!("), ("unimplemented", "!("), ("#[ign", "ore"), ("FIX", "ME")] {
            if text.contains(&format!("{a}{b}")) {
                findings.push(format!("{file}: holds {a}{b}"));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_long_and_unfinished_files_are_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(root.path().join(name), text);
        write("weights.bin", "0".repeat(1_000_001)).unwrap();
        write("long.rs", "\n".repeat(501)).unwrap();
        write("undone.rs", concat!("fn f() { todo", "!() }").into()).unwrap();
        write("fine.rs", "fn f() {}\n".repeat(500)).unwrap();
        let found = |file| findings(root.path(), file).unwrap().join("; ");
        assert!(found("weights.bin").contains("1000001 bytes"), "{}", found("weights.bin"));
        assert!(found("long.rs").contains("501 lines"), "{}", found("long.rs"));
        assert!(found("undone.rs").contains("holds todo"), "{}", found("undone.rs"));
        assert_eq!(found("fine.rs"), "");
        assert_eq!(found("deleted.rs"), "");
    }
}
