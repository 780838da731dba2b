//! Programs of the simulated shell that edit files in place.

use super::{
    files::Node,
    pattern::find,
    shell::{Ran, Shell},
};

/// `truncate` with `-s`.
pub(super) fn truncate(shell: &mut Shell, arguments: &[String]) -> Ran {
    let mut size = None;
    let mut words = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.strip_prefix("-s").or_else(|| argument.strip_prefix("--size=")) {
            Some("") => size = rest.next().and_then(|s| s.parse::<usize>().ok()),
            Some(text) => size = text.parse().ok(),
            None => words.push(argument),
        }
    }
    let Some(size) = size else { return Ran::failed("truncate", "you must specify '--size'") };
    for word in words {
        let path = shell.path(word);
        let text = shell.files.read(&path).unwrap_or_default().to_owned();
        let cut = text.floor_char_boundary(size.min(text.len()));
        if let Err(why) = shell.files.write(&path, &text[..cut], false) {
            return Ran::failed("truncate", format!("{word}: {why}"));
        }
    }
    Ran::default()
}

/// `sed` with `-i`, `-n`, `-e`, and the commands `s`, `d` and `p`.
pub(super) fn sed(shell: &mut Shell, arguments: &[String], input: &str) -> Ran {
    let (mut scripts, mut words) = (Vec::new(), Vec::new());
    let (mut in_place, mut quiet) = (false, false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-e" => scripts.extend(rest.next().cloned()),
            "-n" => quiet = true,
            "-E" | "-r" => {}
            a if a.starts_with("-i") || a == "--in-place" => in_place = true,
            _ => words.push(argument.clone()),
        }
    }
    if scripts.is_empty() && !words.is_empty() {
        scripts.push(words.remove(0));
    }
    let script: Vec<&str> = scripts.iter().flat_map(|s| s.split(';')).map(str::trim).collect();
    let edit = |text: &str| -> Result<String, String> {
        let lines: Vec<&str> = text.lines().collect();
        let mut out = String::new();
        for (i, line) in lines.iter().enumerate() {
            let (mut line, mut there) = ((*line).to_owned(), true);
            for command in script.iter().filter(|c| !c.is_empty()) {
                sed_line(command, &mut line, i + 1, lines.len(), &mut there, &mut out)?;
            }
            if there && !quiet {
                out.push_str(&line);
                out.push('\n');
            }
        }
        Ok(out)
    };
    if !in_place {
        let mut texts = String::new();
        if words.is_empty() {
            input.clone_into(&mut texts);
        }
        for word in &words {
            match shell.files.read(&shell.path(word)) {
                Ok(text) => texts.push_str(text),
                Err(why) => return Ran::failed("sed", format!("can't read {word}: {why}")),
            }
        }
        return edit(&texts).map_or_else(|why| Ran::failed("sed", why), Ran::said);
    }
    for word in &words {
        let path = shell.path(word);
        let text = match shell.files.read(&path) {
            Ok(text) => text.to_owned(),
            Err(why) => return Ran::failed("sed", format!("can't read {word}: {why}")),
        };
        match edit(&text) {
            Ok(text) => shell.files.replace(&path, Node::File(text)),
            Err(why) => return Ran::failed("sed", why),
        }
    }
    Ran::default()
}

/// One command of `sed` on one line.
fn sed_line(
    command: &str,
    line: &mut String,
    number: usize,
    last: usize,
    there: &mut bool,
    out: &mut String,
) -> Result<(), String> {
    let unknown = || format!("-e expression: unknown command: `{command}'");
    let at = |text: &str| if text == "$" { Some(last) } else { text.parse::<usize>().ok() };
    let (chosen, action) = if let Some(rest) = command.strip_prefix('/') {
        let end = rest.rfind('/').ok_or_else(unknown)?;
        (find(&rest[..end], line, false).is_some(), rest[end + 1..].trim())
    } else {
        let end = command.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(unknown)?;
        let (address, action) = command.split_at(end);
        let chosen = match address.trim().split_once(',') {
            None if address.trim().is_empty() => true,
            None => at(address.trim()) == Some(number),
            Some((from, to)) => {
                let range = at(from).zip(at(to)).ok_or_else(unknown)?;
                (range.0..=range.1).contains(&number)
            }
        };
        (chosen, action)
    };
    if !chosen {
        return Ok(());
    }
    match action {
        "d" => *there = false,
        "p" => {
            out.push_str(line);
            out.push('\n');
        }
        action if action.starts_with('s') && action.len() > 1 => {
            let mark = action[1..].chars().next().unwrap_or('/');
            let parts: Vec<&str> = action[1 + mark.len_utf8()..].split(mark).collect();
            let [pattern, with, how @ ..] = parts.as_slice() else { return Err(unknown()) };
            let mut done = String::new();
            let mut left = line.as_str();
            while let Some((from, to)) = find(pattern, left, false).filter(|(from, to)| from < to) {
                done.push_str(&left[..from]);
                done.push_str(with);
                left = &left[to..];
                if !how.first().is_some_and(|h| h.contains('g')) {
                    break;
                }
            }
            *line = done + left;
        }
        _ => return Err(unknown()),
    }
    Ok(())
}
