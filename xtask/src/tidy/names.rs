//! Whether documents name functions and tests that there are.

use std::path::Path;

use super::sources;

/// The pages, and the folders whose sources they name.
const PAGES: [&str; 2] = ["docs/papers.md", "docs/faults.md"];
const FOLDERS: [&str; 2] = ["crates", "tests"];

/// Names of the pages' tables that no source has.
pub(super) fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for folder in FOLDERS {
        sources::gather(&root.join(folder), &mut texts)?;
    }
    let mut findings = Vec::new();
    for page in PAGES {
        findings.extend(missing(page, &sources::read(&root.join(page))?, &texts));
    }
    Ok(findings)
}

fn missing(name: &str, page: &str, texts: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        // The first column says what it is, in signs of its own.
        let row = line.trim_start_matches('|').split_once('|').map_or("", |(_, rest)| rest);
        for path in row.split('`').skip(1).step_by(2) {
            let Some((above, names)) = names(path) else { continue };
            let known = above.iter().all(|name| texts.iter().any(|text| has(text, name, &[])));
            if !known || !names.iter().all(|name| is_defined(name, texts)) {
                findings.push(format!("{name}: line {}: there is no {path}", number + 1));
            }
        }
    }
    findings
}

/// `a::b::{c, d}` taken apart: what `c` and `d` are in, and their names. None if it is something else,
/// such as a command.
fn names(path: &str) -> Option<(Vec<&str>, Vec<&str>)> {
    let (above, last) = path.rsplit_once("::").map_or((None, path), |(a, l)| (Some(a), l));
    let (above, last) = match path.split_once("::{") {
        Some((above, group)) => (Some(above), group.strip_suffix('}')?),
        None => (above, last),
    };
    let above: Vec<&str> = above.map_or(Vec::new(), |above| above.split("::").collect());
    let names: Vec<&str> = last.split(',').map(str::trim).collect();
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_part)
    };
    (above.iter().all(is_name) && names.iter().all(is_name)).then_some((above, names))
}

/// Types and variants are found by their name alone; functions, modules and fields where they are
/// made.
fn is_defined(name: &str, texts: &[String]) -> bool {
    let upper = name.starts_with(|c: char| c.is_ascii_uppercase());
    let made: &[&str] = if upper { &[] } else { &["fn ", "mod "] };
    texts.iter().any(|text| has(text, name, made) || has(text, &format!("{name}:"), &[]))
}

/// Whether a text has a name as a word, behind one of `before` if there are any.
fn has(text: &str, name: &str, before: &[&str]) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let (ahead, rest) = (&text[..at], &text[at + name.len()..]);
        !ahead.ends_with(is_part)
            && (name.ends_with(':') || !rest.starts_with(is_part))
            && (before.is_empty() || before.iter().any(|word| ahead.ends_with(word)))
    })
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_source_has_are_found() {
        let texts =
            ["mod kl;\nfn exact() {}\nstruct Gap { width: f64 }\n// gone, and fn exactly".into()];
        let page = "`nowhere::outside` of a table\n\
                    | (1) `q(l)` | `kl::exact`, `kl::{exact, gone}` | `exact` |\n\
                    | (2) | `Gap::width`, `Gap`, `kl` | `exac`, `forthright kl bench` |\n\
                    | (3) | `nowhere::exact`, `Gaps` | `rl-core`'s tests |\n";
        let found = missing("page.md", page, &texts);
        let expected = [(2, "kl::{exact, gone}"), (3, "exac"), (4, "nowhere::exact"), (4, "Gaps")];
        let expected =
            expected.map(|(line, path)| format!("page.md: line {line}: there is no {path}"));
        assert_eq!(found, expected);
    }
}
