//! Patterns of `grep` and `sed`, as far as the simulated shell knows them.

/// A place in a line that a pattern fits: from where to where, in bytes. Literal characters, `.`, `*`,
/// `^`, `$` and escapes; the first place, the longest there.
pub(super) fn find(pattern: &str, line: &str, fold: bool) -> Option<(usize, usize)> {
    let fold_case = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
    let (pattern, line) = (fold_case(pattern), fold_case(line));
    let (anchored, pattern) =
        pattern.strip_prefix('^').map_or((false, pattern.as_str()), |rest| (true, rest));
    let atoms = atoms(pattern);
    let starts = line.char_indices().map(|(i, _)| i).chain([line.len()]);
    for start in starts {
        if let Some(end) = here(&atoms, &line, start) {
            return Some((start, end));
        }
        if anchored {
            break;
        }
    }
    None
}

#[derive(Clone, Copy)]
enum Atom {
    One(Option<char>),
    Many(Option<char>),
    End,
}

fn atoms(pattern: &str) -> Vec<Atom> {
    let mut out = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let one = match c {
            '\\' => Some(chars.next().unwrap_or('\\')),
            '.' => None,
            '$' if chars.peek().is_none() => {
                out.push(Atom::End);
                continue;
            }
            c => Some(c),
        };
        out.push(if chars.next_if_eq(&'*').is_some() { Atom::Many(one) } else { Atom::One(one) });
    }
    out
}

/// The longest end of a fit that starts here.
fn here(atoms: &[Atom], line: &str, at: usize) -> Option<usize> {
    let Some((first, rest)) = atoms.split_first() else { return Some(at) };
    let fits = |want: Option<char>, at: usize| {
        line[at..].chars().next().filter(|c| want.is_none_or(|w| w == *c)).map(char::len_utf8)
    };
    match *first {
        Atom::End => (at == line.len()).then_some(at),
        Atom::One(want) => here(rest, line, at + fits(want, at)?),
        Atom::Many(want) => {
            let mut ends = vec![at];
            while let Some(n) = ends.last().and_then(|end| fits(want, *end)) {
                ends.push(ends.last().copied().unwrap_or(at) + n);
            }
            ends.into_iter().rev().find_map(|end| here(rest, line, end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_the_first_longest_place() {
        for (pattern, line, expected) in [
            ("b", "abcb", Some((1, 2))),
            ("^b", "abcb", None),
            ("b$", "abcb", Some((3, 4))),
            ("a.*b", "xaabbx", Some((1, 5))),
            ("a\\.b", "a.b", Some((0, 3))),
            ("a\\.b", "axb", None),
            ("", "x", Some((0, 0))),
            ("é.", "aéb", Some((1, 4))),
        ] {
            assert_eq!(find(pattern, line, false), expected, "{pattern} {line}");
        }
        assert_eq!(find("ERROR", "an error", true), Some((3, 8)));
    }
}
