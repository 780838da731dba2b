//! Whether all that is built goes together with the project's own license.

use std::iter::Peekable;

use serde_json::Value;

use super::list;

/// Licenses that may be in the tree, whoever brings them.
const ALLOWED: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "0BSD",
    "CC0-1.0",
];

/// Packages under a license that is not for all: package, license.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Mozilla's list of authorities: data, whose license asks for no more than its text to go along.
    // rustls' verifier takes it on Android, for which nothing here is built.
    ("webpki-root-certs", "CDLA-Permissive-2.0"),
];

/// Packages whose license is not allowed, and exceptions that are none any more.
pub(super) fn findings(metadata: &Value) -> Vec<String> {
    let mut stale: Vec<(&str, &str)> = EXCEPTIONS.to_vec();
    let mut findings = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or_default();
        let license = package["license"].as_str().unwrap_or("none");
        if holds(license, &|l| ALLOWED.contains(&l)) {
            continue;
        }
        stale.retain(|(package, _)| *package != name);
        if !holds(license, &|l| ALLOWED.contains(&l) || EXCEPTIONS.contains(&(name, l))) {
            findings.push(format!("{name}: its license is {license}"));
        }
    }
    findings.extend(stale.iter().map(|(name, license)| {
        format!("{name}: {license} is no longer an exception; strike it out")
    }));
    findings
}

/// Whether an expression (SPDX: names, `AND`, `OR`, `WITH`, parentheses; `/` is an old `OR`) can be
/// met with licenses that are allowed. What cannot be read is not met.
fn holds(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words, allowed) && words.next().is_none()
}

fn any<'a>(
    words: &mut Peekable<impl Iterator<Item = &'a str>>,
    allowed: &dyn Fn(&str) -> bool,
) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        // Both sides are read to their end, whatever the first came to.
        met |= all(words, allowed);
    }
    met
}

fn all<'a>(
    words: &mut Peekable<impl Iterator<Item = &'a str>>,
    allowed: &dyn Fn(&str) -> bool,
) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one<'a>(
    words: &mut Peekable<impl Iterator<Item = &'a str>>,
    allowed: &dyn Fn(&str) -> bool,
) -> bool {
    match words.next() {
        Some("(") => {
            let met = any(words, allowed);
            met & (words.next() == Some(")"))
        }
        Some(name) => {
            // An exception that a license is taken with gives more rights, never fewer.
            if words.next_if_eq(&"WITH").is_some() {
                words.next();
            }
            allowed(name)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_are_read_as_they_bind() {
        let mit_or_isc = |l: &str| ["MIT", "ISC"].contains(&l);
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND ISC", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND ISC", true),
            // Here a reader that drops the parentheses would be content with MIT.
            ("(MIT OR GPL-3.0) AND OpenSSL", false),
            ("MIT OR GPL-3.0 AND OpenSSL", true),
            ("OpenSSL AND (GPL-3.0 OR MIT)", false),
            ("MIT WITH LLVM-exception", true),
            ("GPL-3.0 WITH MIT", false),
            ("(MIT", false),
            ("MIT ISC", false),
            ("", false),
        ] {
            assert_eq!(holds(expression, &mit_or_isc), met, "{expression:?}");
        }
    }

    #[test]
    fn licenses_that_are_not_allowed_are_found_and_so_are_stale_exceptions() {
        let package = |name: &str, license: Value| json!({ "name": name, "license": license });
        let roots = package("webpki-root-certs", json!("CDLA-Permissive-2.0"));
        let metadata = json!({ "packages": [
            package("klq", json!("GPL-3.0")),
            package("other", json!("(MIT OR GPL-2.0) AND BSD-3-Clause")),
            package("unnamed", Value::Null),
            // The exception is another package's.
            package("data", json!("CDLA-Permissive-2.0")),
            roots,
        ] });
        assert_eq!(
            findings(&metadata),
            [
                "klq: its license is GPL-3.0",
                "unnamed: its license is none",
                "data: its license is CDLA-Permissive-2.0",
            ]
        );
        let found = findings(&json!({ "packages": [package("webpki-root-certs", json!("MIT"))] }));
        assert_eq!(
            found,
            ["webpki-root-certs: CDLA-Permissive-2.0 is no longer an exception; strike it out"]
        );
    }
}
