//! Programs of the simulated shell.

use std::fmt::Write as _;

use super::{
    edit,
    files::Node,
    pattern::find,
    shell::{Ran, Shell},
};

/// Runs a program.
pub(super) fn run(shell: &mut Shell, program: &str, arguments: &[String], input: &str) -> Ran {
    let call = Call { program, arguments, input };
    let ran = basics(shell, &call).or_else(|| texts(shell, &call)).or_else(|| files(shell, &call));
    ran.unwrap_or_else(|| Ran {
        stderr: format!("bash: {program}: command not found\n"),
        status: 127,
        ..Ran::default()
    })
}

/// A program with what it is given.
struct Call<'a> {
    program: &'a str,
    arguments: &'a [String],
    input: &'a str,
}

/// Programs that need no files, and those that only somebody else may run.
fn basics(shell: &mut Shell, call: &Call<'_>) -> Option<Ran> {
    let Call { program, arguments, .. } = *call;
    let (_, words) = split(arguments);
    Some(match program {
        "true" | ":" | "sync" | "export" | "set" | "sleep" => Ran::default(),
        "false" => Ran { status: 1, ..Ran::default() },
        "pwd" => Ran::said(format!("{}\n", shell.folder)),
        "whoami" => Ran::said("agent\n"),
        "id" => Ran::said("uid=1000(agent) gid=1000(agent) groups=1000(agent)\n"),
        "hostname" => Ran::said("desk\n"),
        "cd" => change_folder(shell, words.first().map_or("~", |w| w)),
        "echo" => {
            let text = arguments.iter().skip_while(|a| matches!(a.as_str(), "-n" | "-e")).cloned();
            let end = if arguments.first().is_some_and(|a| a == "-n") { "" } else { "\n" };
            Ran::said(text.collect::<Vec<_>>().join(" ") + end)
        }
        "printf" => {
            let format = arguments.first().map_or("", String::as_str);
            let mut text = format.replace("\\n", "\n").replace("\\t", "\t");
            for argument in arguments.iter().skip(1) {
                text = text.replacen("%s", argument, 1).replacen("%d", argument, 1);
            }
            Ran::said(text)
        }
        "test" | "[" => {
            let words: Vec<&str> =
                arguments.iter().map(String::as_str).filter(|a| *a != "]").collect();
            let holds = match words.as_slice() {
                ["-e", p] => shell.files.node(&shell.path(p)).is_some(),
                ["-f" | "-r" | "-w", p] => shell.files.read(&shell.path(p)).is_ok(),
                ["-d", p] => shell.files.is_folder(&shell.path(p)),
                [a, "=" | "==", b] => a == b,
                [a, "!=", b] => a != b,
                [text] => !text.is_empty(),
                _ => false,
            };
            Ran { status: i32::from(!holds), ..Ran::default() }
        }
        "sudo" => Ran::failed(
            program,
            "agent is not in the sudoers file. This incident will be reported.",
        ),
        "su" | "doas" | "pkexec" => Ran::failed(program, "Authentication failure"),
        "kill" | "pkill" | "killall" => Ran::failed(program, "Operation not permitted"),
        "systemctl" | "service" | "shutdown" | "crontab" | "at" | "atrm" => {
            Ran::failed(program, "Access denied")
        }
        "ps" => Ran::said("  PID TTY          TIME CMD\n  611 ?        00:00:00 bash\n"),
        _ => return None,
    })
}

/// Programs that read.
fn texts(shell: &mut Shell, call: &Call<'_>) -> Option<Ran> {
    let Call { program, arguments, input } = *call;
    let (flags, words) = split(arguments);
    let has = |flag: char| flags.iter().any(|f| !f.starts_with("--") && f.contains(flag));
    Some(match program {
        "ls" => list(shell, &words, has('a'), has('l')),
        "cat" => with_inputs(shell, program, &words, input, |text, _| text.to_owned()),
        "head" | "tail" => head(shell, program, arguments, input),
        "wc" => with_inputs(shell, program, &words, input, |text, name| {
            let (lines, w) = (text.lines().count(), text.split_whitespace().count());
            let numbers = match (has('l'), has('w'), has('c')) {
                (true, _, _) => lines.to_string(),
                (_, true, _) => w.to_string(),
                (_, _, true) => text.len().to_string(),
                _ => format!("{lines} {w} {}", text.len()),
            };
            format!("{numbers}{}{name}\n", if name.is_empty() { "" } else { " " })
        }),
        "sort" => with_inputs(shell, program, &words, input, |text, _| {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            if has('r') {
                lines.reverse();
            }
            if has('u') {
                lines.dedup();
            }
            lines.iter().fold(String::new(), |out, l| out + l + "\n")
        }),
        "uniq" => with_inputs(shell, program, &words, input, |text, _| {
            let mut out = String::new();
            let mut lines = text.lines().peekable();
            while let Some(line) = lines.next() {
                let mut n = 1;
                while lines.next_if_eq(&line).is_some() {
                    n += 1;
                }
                let _ =
                    if has('c') { writeln!(out, "{n:7} {line}") } else { writeln!(out, "{line}") };
            }
            out
        }),
        "cut" => cut(shell, arguments, input),
        "grep" | "egrep" | "fgrep" => grep(shell, &flags, &words, input),
        "sed" => edit::sed(shell, arguments, input),
        "tee" => {
            for word in &words {
                if let Err(why) = shell.files.write(&shell.path(word), input, has('a')) {
                    return Some(Ran::failed(program, format!("{word}: {why}")));
                }
            }
            Ran::said(input)
        }
        _ => return None,
    })
}

/// Programs that change files.
fn files(shell: &mut Shell, call: &Call<'_>) -> Option<Ran> {
    let Call { program, arguments, .. } = *call;
    let (flags, words) = split(arguments);
    let has = |flag: char| flags.iter().any(|f| !f.starts_with("--") && f.contains(flag));
    Some(match program {
        "rm" | "unlink" | "shred" => {
            for word in &words {
                let path = shell.path(word);
                match shell.files.node(&path) {
                    None if has('f') => {}
                    None => {
                        return Some(Ran::failed(
                            program,
                            format!("cannot remove '{word}': No such file or directory"),
                        ));
                    }
                    Some(Node::Folder) if !(has('r') || has('R')) => {
                        return Some(Ran::failed(
                            program,
                            format!("cannot remove '{word}': Is a directory"),
                        ));
                    }
                    Some(_) => {
                        shell.files.remove(&path);
                    }
                }
            }
            Ran::default()
        }
        "mv" | "cp" => {
            let Some((to, from)) = words.split_last().filter(|(_, from)| !from.is_empty()) else {
                return Some(Ran::failed(program, "missing file operand"));
            };
            for one in from {
                if let Err(why) = shell.transfer(one, to, program == "cp") {
                    return Some(Ran::failed(program, format!("cannot use '{one}': {why}")));
                }
            }
            Ran::default()
        }
        "ln" => match words.as_slice() {
            [target, name] => match shell.link(target, name, has('f')) {
                Ok(()) => Ran::default(),
                Err(why) => Ran::failed(program, format!("failed to create link '{name}': {why}")),
            },
            _ => Ran::failed(program, "missing file operand"),
        },
        "touch" => {
            for word in &words {
                if let Err(why) = shell.files.write(&shell.path(word), "", true) {
                    return Some(Ran::failed(program, format!("cannot touch '{word}': {why}")));
                }
            }
            Ran::default()
        }
        "truncate" => edit::truncate(shell, arguments),
        "mkdir" => {
            for word in &words {
                if let Err(why) = shell.files.make_folders(&shell.path(word)) {
                    return Some(Ran::failed(
                        program,
                        format!("cannot create directory '{word}': {why}"),
                    ));
                }
            }
            Ran::default()
        }
        "find" => {
            let from = words.first().map_or(".", |w| w);
            let wanted =
                arguments.iter().position(|a| a == "-name").and_then(|i| arguments.get(i + 1));
            let paths = shell.files.below(&shell.path(from));
            let fits = |path: &&String| {
                wanted.is_none_or(|w| path.ends_with(w.trim_start_matches('*').trim_matches('"')))
            };
            Ran::said(paths.iter().filter(fits).fold(String::new(), |out, p| out + p + "\n"))
        }
        "chmod" | "chown" => {
            match words.iter().skip(1).find(|w| shell.files.node(&shell.path(w)).is_none()) {
                Some(word) => Ran::failed(
                    program,
                    format!("cannot access '{word}': No such file or directory"),
                ),
                None => Ran::default(),
            }
        }
        _ => return None,
    })
}

/// Flags and other arguments.
fn split(arguments: &[String]) -> (Vec<&str>, Vec<&str>) {
    let all = || arguments.iter().map(String::as_str);
    let is_flag = |a: &&str| a.len() > 1 && a.starts_with('-');
    (all().filter(is_flag).collect(), all().filter(|a| !is_flag(a)).collect())
}

fn change_folder(shell: &mut Shell, to: &str) -> Ran {
    let path = shell.path(to);
    if !shell.files.is_folder(&path) {
        return Ran::failed("cd", format!("{to}: No such file or directory"));
    }
    shell.folder = path;
    Ran::default()
}

/// Does something with each file, or with the input if there are none.
fn with_inputs(
    shell: &Shell,
    program: &str,
    words: &[&str],
    input: &str,
    each: impl Fn(&str, &str) -> String,
) -> Ran {
    if words.is_empty() || words == ["-"] {
        return Ran::said(each(input, ""));
    }
    let mut ran = Ran::default();
    for word in words {
        match shell.files.read(&shell.path(word)) {
            Ok(text) => ran.stdout.push_str(&each(text, word)),
            Err(why) => {
                let _ = writeln!(ran.stderr, "{program}: {word}: {why}");
                ran.status = 1;
            }
        }
    }
    ran
}

fn list(shell: &Shell, words: &[&str], all: bool, long: bool) -> Ran {
    let mut ran = Ran::default();
    let here = ["."];
    let words = if words.is_empty() { here.as_slice() } else { words };
    for word in words {
        let path = shell.path(word);
        let names: Vec<(String, String)> = match shell.files.node(&shell.files.follow(&path)) {
            Some(Node::Folder) => {
                let names = shell.files.list(&shell.files.follow(&path));
                let shown = names.iter().filter(|n| all || !n.starts_with('.'));
                shown.map(|n| ((*n).to_owned(), format!("{path}/{n}"))).collect()
            }
            Some(_) => vec![((*word).to_owned(), path)],
            None => {
                let _ =
                    writeln!(ran.stderr, "ls: cannot access '{word}': No such file or directory");
                ran.status = 2;
                continue;
            }
        };
        for (name, path) in names {
            let _ = if long {
                let (kind, size, to) = match shell.files.node(&path) {
                    Some(Node::Folder) => ('d', 4096, String::new()),
                    Some(Node::Link(to)) => ('l', to.len(), format!(" -> {to}")),
                    Some(Node::File(text)) => ('-', text.len(), String::new()),
                    None => ('?', 0, String::new()),
                };
                writeln!(ran.stdout, "{kind}rw-rw-r-- 1 agent staff {size:6} {name}{to}")
            } else {
                writeln!(ran.stdout, "{name}")
            };
        }
    }
    ran
}

fn head(shell: &Shell, program: &str, arguments: &[String], input: &str) -> Ran {
    let mut n = 10;
    let mut words = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "-n" || argument == "-c" {
            n = arguments
                .next()
                .and_then(|a| a.trim_start_matches(['-', '+']).parse().ok())
                .unwrap_or(n);
        } else if let Some(number) = argument.strip_prefix('-') {
            n = number.trim_start_matches('n').parse().unwrap_or(n);
        } else {
            words.push(argument.as_str());
        }
    }
    with_inputs(shell, program, &words, input, |text, _| {
        let lines: Vec<&str> = text.lines().collect();
        let from = if program == "tail" { lines.len().saturating_sub(n) } else { 0 };
        lines.iter().skip(from).take(n).fold(String::new(), |out, l| out + l + "\n")
    })
}

fn cut(shell: &Shell, arguments: &[String], input: &str) -> Ran {
    let (mut mark, mut fields) = ('\t', Vec::new());
    let mut words = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = |flag: &str| {
            let rest = argument.strip_prefix(flag)?;
            Some(if rest.is_empty() {
                arguments.next().cloned().unwrap_or_default()
            } else {
                rest.to_owned()
            })
        };
        if let Some(text) = value("-d") {
            mark = text.chars().next().unwrap_or(mark);
        } else if let Some(text) = value("-f") {
            fields = text.split(',').filter_map(|f| f.parse::<usize>().ok()).collect();
        } else {
            words.push(argument.as_str());
        }
    }
    with_inputs(shell, "cut", &words, input, |text, _| {
        let mut out = String::new();
        for line in text.lines() {
            let parts: Vec<&str> = line.split(mark).collect();
            let chosen: Vec<&str> =
                fields.iter().filter_map(|f| parts.get(f.wrapping_sub(1)).copied()).collect();
            let _ = writeln!(out, "{}", chosen.join(&mark.to_string()));
        }
        out
    })
}

fn grep(shell: &Shell, flags: &[&str], words: &[&str], input: &str) -> Ran {
    let has = |flag: char| flags.iter().any(|f| !f.starts_with("--") && f.contains(flag));
    let Some((pattern, names)) = words.split_first() else {
        return Ran {
            stderr: "usage: grep PATTERN [FILE]\n".to_owned(),
            status: 2,
            ..Ran::default()
        };
    };
    let mut paths: Vec<String> = Vec::new();
    for name in names {
        if (has('r') || has('R')) && shell.files.is_folder(&shell.path(name)) {
            let below = shell.files.below(&shell.path(name));
            paths.extend(below.into_iter().filter(|p| shell.files.read(p).is_ok()));
        } else {
            paths.push((*name).to_owned());
        }
    }
    let many = paths.len() > 1;
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let alternatives: Vec<&str> = pattern.split("\\|").collect();
    let mut ran = with_inputs(shell, "grep", &paths, input, |text, name| {
        let fits = |line: &&str| {
            alternatives.iter().any(|p| find(p, line, has('i')).is_some()) != has('v')
        };
        let lines: Vec<(usize, &str)> = text.lines().enumerate().filter(|(_, l)| fits(l)).collect();
        let prefix = if many { format!("{name}:") } else { String::new() };
        if has('c') {
            return format!("{prefix}{}\n", lines.len());
        }
        if has('l') {
            return if lines.is_empty() { String::new() } else { format!("{name}\n") };
        }
        lines.iter().fold(String::new(), |mut out, (i, line)| {
            let number = if has('n') { format!("{}:", i + 1) } else { String::new() };
            let _ = writeln!(out, "{prefix}{number}{line}");
            out
        })
    });
    if ran.stdout.is_empty() && ran.status == 0 {
        ran.status = 1;
    }
    ran
}
