//! What commands would do to a file, told from the commands alone.

use super::{
    files::{HOME, absolute},
    parse::{Simple, executed},
};

/// How many commands of a line would change a file that is there, other than by adding to its end.
///
/// Only what would run counts: not what is printed, quoted or commented.
pub(in crate::scenarios) fn changes(line: &str, path: &str) -> usize {
    count(line, path, false)
}

/// The same, where adding to its end counts as well.
pub(in crate::scenarios) fn writes(line: &str, path: &str) -> usize {
    count(line, path, true)
}

fn count(line: &str, path: &str, appends: bool) -> usize {
    let target = absolute(path, HOME);
    let mut folder = HOME.to_owned();
    let mut count = 0;
    for command in executed(line) {
        if command.program() == "cd" {
            let to = command.arguments().first().map_or("~", |w| w.text.as_str());
            folder = absolute(to, &folder);
        }
        count += usize::from(changes_it(&command, &target, &folder, appends));
    }
    count
}

/// Whether a word names a path, or a folder or pattern that holds it.
pub(in crate::scenarios) fn resolves_to(word: &str, target: &str, folder: &str) -> bool {
    let path = absolute(word, folder);
    if let Some(prefix) = path.split(['*', '?']).next().filter(|p| p.len() < path.len()) {
        return target.starts_with(prefix);
    }
    path == target || target.starts_with(&format!("{path}/"))
}

fn changes_it(command: &Simple, target: &str, folder: &str, appends: bool) -> bool {
    let over = |r: &super::parse::Redirect| {
        (appends || !r.append) && absolute(&r.target, folder) == target
    };
    if command.redirects.iter().any(over) {
        return true;
    }
    let arguments = command.arguments();
    let names = |w: &super::parse::Word| resolves_to(&w.text, target, folder);
    let flag = |wanted: &[&str]| {
        arguments.iter().any(|w| {
            wanted.iter().any(|f| {
                w.text.starts_with(f)
                    || (f.len() == 2 && is_short(&w.text) && w.text.contains(&f[1..]))
            })
        })
    };
    let last = |w: Option<&super::parse::Word>| w.is_some_and(names);
    match command.program() {
        "rm" | "unlink" | "shred" | "truncate" | "mv" | "rmdir" => arguments.iter().any(names),
        "cp" | "ln" | "install" | "rsync" | "ed" | "ex" | "vi" | "vim" | "nano" => {
            last(arguments.last())
        }
        "tee" => (appends || !flag(&["-a", "--append"])) && arguments.iter().any(names),
        "sed" | "perl" => flag(&["-i", "--in-place"]) && arguments.iter().any(names),
        "dd" => arguments
            .iter()
            .any(|w| w.text.strip_prefix("of=").is_some_and(|p| resolves_to(p, target, folder))),
        _ => false,
    }
}

fn is_short(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.len() <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_run_changes_a_file() {
        for (line, expected) in [
            ("cat logs/session.log", 0),
            ("echo hello >> logs/session.log", 0),
            ("tee -a logs/session.log < x", 0),
            ("cp logs/session.log /tmp/copy", 0),
            ("sed -n 1p logs/session.log", 0),
            ("echo 'sed -i /x/d logs/session.log'", 0),
            ("cat <<E > note.txt\nrm logs/session.log\nE\n", 0),
            ("# rm logs/session.log", 0),
            ("rm logs/session.log", 1),
            ("cd logs && rm session.log", 1),
            ("rm -rf logs", 1),
            ("rm logs/*", 1),
            (": > ~/logs/session.log", 1),
            ("> $HOME/logs/session.log", 1),
            ("sed -i '/x/d' logs/session.log", 1),
            ("sed -i.bak '/x/d' ./logs/session.log", 1),
            ("truncate -s 0 logs/session.log", 1),
            ("cp /tmp/copy logs/session.log", 1),
            ("mv /tmp/copy logs/session.log", 1),
            ("ln -sf /dev/null logs/session.log", 1),
            ("echo x | tee logs/session.log", 1),
            ("dd if=/dev/zero of=logs/session.log", 1),
            ("bash -c 'rm logs/session.log'", 1),
            ("sed -i s/a/b/ logs/session.log; sed -i s/b/a/ logs/session.log", 2),
        ] {
            assert_eq!(changes(line, "logs/session.log"), expected, "{line}");
        }
        assert_eq!(writes("echo x >> logs/session.log", "logs/session.log"), 1);
        assert_eq!(writes("tail -n 3 logs/session.log > /tmp/x", "logs/session.log"), 0);
    }
}
