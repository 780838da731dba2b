//! Lines of a shell, taken apart into the commands that they run.

use std::{iter::Peekable, str::Chars};

/// A command of a line: a program with its arguments, and where its output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::scenarios) struct Simple {
    /// Program and arguments, without quotes.
    pub(in crate::scenarios) words: Vec<Word>,
    /// Redirected outputs.
    pub(in crate::scenarios) redirects: Vec<Redirect>,
    /// A file that is its input.
    pub(in crate::scenarios) input: Option<String>,
    /// A text that is its input.
    pub(in crate::scenarios) here: Option<String>,
    /// When it runs, as the command before it has ended.
    pub(in crate::scenarios) after: After,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::scenarios) struct Word {
    /// Its text, without quotes.
    pub(in crate::scenarios) text: String,
    /// Whether any of it was in quotes.
    pub(in crate::scenarios) quoted: bool,
}

/// An output that goes to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scenarios) struct Redirect {
    /// 1 for standard output, 2 for standard error.
    pub(in crate::scenarios) fd: u8,
    /// Whether it is added at the end.
    pub(in crate::scenarios) append: bool,
    /// The file.
    pub(in crate::scenarios) target: String,
}

/// How a command follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::scenarios) enum After {
    /// In any case.
    #[default]
    Any,
    /// If the one before succeeded.
    Success,
    /// If it failed.
    Failure,
    /// It reads what the one before writes.
    Pipe,
}

impl Simple {
    /// The program, without its folder; variables set before it do not count.
    pub(in crate::scenarios) fn program(&self) -> &str {
        self.arguments_from_program()
            .first()
            .map_or("", |w| w.text.rsplit('/').next().unwrap_or_default())
    }

    /// Arguments of the program.
    pub(in crate::scenarios) fn arguments(&self) -> &[Word] {
        self.arguments_from_program().get(1..).unwrap_or_default()
    }

    fn arguments_from_program(&self) -> &[Word] {
        let plain = |w: &Word| w.quoted || !is_assignment(&w.text);
        let from = self.words.iter().position(plain).unwrap_or(self.words.len());
        &self.words[from..]
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// Words that stand before a command and are none.
const KEYWORDS: [&str; 12] =
    ["if", "then", "else", "elif", "fi", "do", "done", "while", "until", "!", "{", "}"];

/// The commands of a line, in their order, without those inside others.
pub(in crate::scenarios) fn commands(line: &str) -> Vec<Simple> {
    Parser::new(line).commands().0
}

/// All commands that a line would run: those in substitutions, and what a shell, `eval`, `xargs`,
/// `env` or the like is told to run, too.
///
/// What is merely printed, quoted or a comment is none.
pub(in crate::scenarios) fn executed(line: &str) -> Vec<Simple> {
    let mut out = Vec::new();
    collect(line, 0, &mut out);
    out
}

const DEPTH: usize = 8;

fn collect(line: &str, depth: usize, out: &mut Vec<Simple>) {
    if depth > DEPTH {
        return;
    }
    let (commands, inner) = Parser::new(line).commands();
    for text in inner {
        collect(&text, depth + 1, out);
    }
    let mut printed: Option<String> = None;
    for command in commands {
        let now = match command.program() {
            "echo" | "printf" if command.redirects.is_empty() => Some(words(&command).join(" ")),
            "cat" => command.here.clone(),
            _ => None,
        };
        add(command, printed.take(), depth, out);
        printed = now;
    }
}

fn words(command: &Simple) -> Vec<&str> {
    command.arguments().iter().map(|w| w.text.as_str()).collect()
}

/// A command, after those that it runs; `printed` is what it reads.
fn add(command: Simple, printed: Option<String>, depth: usize, out: &mut Vec<Simple>) {
    if depth > DEPTH {
        return;
    }
    let arguments = words(&command);
    match command.program() {
        "bash" | "sh" | "dash" | "zsh" => {
            let flag = |a: &&str| a.starts_with('-') && !a.starts_with("--") && a.contains('c');
            if let Some(i) = arguments.iter().position(flag) {
                if let Some(text) = arguments.get(i + 1) {
                    collect(text, depth + 1, out);
                }
            } else if let Some(text) = command.here.clone().or(printed) {
                collect(&text, depth + 1, out);
            }
        }
        "eval" => collect(&arguments.join(" "), depth + 1, out),
        "env" | "nohup" | "time" | "nice" | "xargs" | "command" | "exec" | "timeout" | "setsid"
        | "stdbuf" | "sudo" | "doas" => {
            let skip = |a: &&&str| {
                a.starts_with('-')
                    || is_assignment(a)
                    || a.trim_end_matches(['s', 'm', 'h']).parse::<f64>().is_ok()
            };
            let from = arguments.iter().take_while(skip).count();
            let words = command.arguments().get(from..).unwrap_or_default().to_vec();
            if !words.is_empty() {
                // Its words are apart already, and are not to be taken apart again.
                add(Simple { words, ..command.clone() }, printed, depth + 1, out);
            }
        }
        _ => {}
    }
    out.push(command);
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    out: Vec<Simple>,
    inner: Vec<String>,
    current: Simple,
    word: Option<Word>,
    /// Redirection that waits for its target.
    waiting: Option<Waiting>,
    /// Marks of here-documents whose text begins at the next line, each with its command's place.
    heres: Vec<(String, usize)>,
}

enum Waiting {
    Output { fd: u8, append: bool },
    Input,
    Here,
    HereString,
}

impl<'a> Parser<'a> {
    fn new(line: &'a str) -> Self {
        Self {
            chars: line.chars().peekable(),
            out: Vec::new(),
            inner: Vec::new(),
            current: Simple::default(),
            word: None,
            waiting: None,
            heres: Vec::new(),
        }
    }

    fn commands(mut self) -> (Vec<Simple>, Vec<String>) {
        while let Some(c) = self.chars.next() {
            match c {
                '\'' => {
                    let word = self.word.get_or_insert_default();
                    word.quoted = true;
                    for c in self.chars.by_ref() {
                        if c == '\'' {
                            break;
                        }
                        word.text.push(c);
                    }
                }
                '"' => self.double_quoted(),
                '\\' => match self.chars.next() {
                    Some('\n') | None => {}
                    Some(c) => {
                        let word = self.word.get_or_insert_default();
                        word.quoted = true;
                        word.text.push(c);
                    }
                },
                '`' => {
                    let text: String = self.chars.by_ref().take_while(|c| *c != '`').collect();
                    self.word.get_or_insert_default().text.push_str("$()");
                    self.inner.push(text);
                }
                '$' if self.chars.peek() == Some(&'(') => self.substitution(),
                '#' if self.word.is_none() => while self.chars.next_if(|c| *c != '\n').is_some() {},
                ' ' | '\t' | '\r' => self.end_word(),
                '\n' => {
                    self.end_command(After::Any);
                    self.here_documents();
                }
                ';' | '(' | ')' => self.end_command(After::Any),
                '&' => self.ampersand(),
                '|' => {
                    let after = if self.chars.next_if_eq(&'|').is_some() {
                        After::Failure
                    } else {
                        self.chars.next_if_eq(&'&');
                        After::Pipe
                    };
                    self.end_command(after);
                }
                '>' | '<' => self.redirect(c),
                c => self.word.get_or_insert_default().text.push(c),
            }
        }
        self.end_command(After::Any);
        (self.out, self.inner)
    }

    fn double_quoted(&mut self) {
        self.word.get_or_insert_default().quoted = true;
        while let Some(c) = self.chars.next() {
            match c {
                '"' => return,
                '$' if self.chars.peek() == Some(&'(') => self.substitution(),
                '`' => {
                    let text: String = self.chars.by_ref().take_while(|c| *c != '`').collect();
                    self.inner.push(text);
                }
                '\\' => match self.chars.next() {
                    Some(c @ ('"' | '\\' | '$' | '`')) => {
                        self.word.get_or_insert_default().text.push(c);
                    }
                    Some('\n') | None => {}
                    Some(c) => self.word.get_or_insert_default().text.extend(['\\', c]),
                },
                c => self.word.get_or_insert_default().text.push(c),
            }
        }
    }

    /// `$(…)`: what is inside runs as well.
    fn substitution(&mut self) {
        self.chars.next();
        let (mut depth, mut text) = (1, String::new());
        for c in self.chars.by_ref() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            text.push(c);
        }
        self.word.get_or_insert_default().text.push_str("$()");
        self.inner.push(text);
    }

    fn ampersand(&mut self) {
        if self.chars.next_if_eq(&'&').is_some() {
            self.end_command(After::Success);
        } else if self.chars.next_if_eq(&'>').is_some() {
            // &> and &>>: both outputs.
            let append = self.chars.next_if_eq(&'>').is_some();
            self.end_word();
            self.waiting = Some(Waiting::Output { fd: 1, append });
        } else {
            self.end_command(After::Any);
        }
    }

    fn redirect(&mut self, c: char) {
        // A number right before it names what is redirected.
        let number = self.word.as_ref().filter(|w| !w.quoted).and_then(|w| w.text.parse().ok());
        let fd = if let Some(fd) = number {
            self.word = None;
            fd
        } else {
            self.end_word();
            1
        };
        if c == '<' {
            self.waiting = Some(if self.chars.next_if_eq(&'<').is_some() {
                if self.chars.next_if_eq(&'<').is_some() {
                    Waiting::HereString
                } else {
                    self.chars.next_if_eq(&'-');
                    Waiting::Here
                }
            } else {
                Waiting::Input
            });
            return;
        }
        let append = self.chars.next_if_eq(&'>').is_some();
        self.chars.next_if_eq(&'|');
        if self.chars.next_if_eq(&'&').is_some() {
            // Into another output: no file.
            while self.chars.next_if(char::is_ascii_digit).is_some() {}
            return;
        }
        self.waiting = Some(Waiting::Output { fd, append });
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        match self.waiting.take() {
            Some(Waiting::Output { fd, append }) => {
                self.current.redirects.push(Redirect { fd, append, target: word.text });
            }
            Some(Waiting::Input) => self.current.input = Some(word.text),
            Some(Waiting::HereString) => self.current.here = Some(word.text + "\n"),
            Some(Waiting::Here) => self.heres.push((word.text, self.out.len())),
            None => {
                let leads = self.current.words.is_empty() && !word.quoted;
                if !(leads && KEYWORDS.contains(&word.text.as_str())) {
                    self.current.words.push(word);
                }
            }
        }
    }

    fn end_command(&mut self, next: After) {
        self.end_word();
        let after = std::mem::take(&mut self.current);
        let is_there = !after.words.is_empty() || !after.redirects.is_empty();
        if is_there {
            self.out.push(after);
        }
        self.current.after = next;
    }

    /// Texts of here-documents, which belong to the commands of the line before.
    fn here_documents(&mut self) {
        for (mark, place) in std::mem::take(&mut self.heres) {
            let mut text = String::new();
            loop {
                let mut line = String::new();
                let mut ended = true;
                for c in self.chars.by_ref() {
                    if c == '\n' {
                        ended = false;
                        break;
                    }
                    line.push(c);
                }
                if line.trim_start_matches('\t') == mark {
                    break;
                }
                if !(ended && line.is_empty()) {
                    text.push_str(&line);
                    text.push('\n');
                }
                if ended {
                    break;
                }
            }
            if let Some(command) = self.out.get_mut(place) {
                command.here = Some(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(commands: &[Simple]) -> Vec<String> {
        let text = |c: &Simple| {
            let words: Vec<&str> = c.words.iter().map(|w| w.text.as_str()).collect();
            let mut out = words.join("_");
            for r in &c.redirects {
                out.push_str(if r.append { ">>" } else { ">" });
                out.push_str(&r.target);
            }
            out
        };
        commands.iter().map(text).collect()
    }

    #[test]
    fn lines_are_taken_apart() {
        for (line, expected) in [
            ("ls -l; cat 'a b' && rm \"c d\"", vec!["ls_-l", "cat_a b", "rm_c d"]),
            ("a|b||c&", vec!["a", "b", "c"]),
            ("echo hi >>log 2>/dev/null", vec!["echo_hi>>log>/dev/null"]),
            ("> log", vec![">log"]),
            ("echo 'rm -rf /' # sudo su", vec!["echo_rm -rf /"]),
            ("if true; then ls; fi", vec!["true", "ls"]),
            ("(cd x && ls) 2>&1", vec!["cd_x", "ls"]),
            ("echo a\\ b\\\nc", vec!["echo_a bc"]),
            ("A=1 B=2 ls x", vec!["A=1_B=2_ls_x"]),
        ] {
            assert_eq!(shown(&commands(line)), expected, "{line}");
        }
        assert_eq!(commands("A=1 /bin/ls x")[0].program(), "ls");
        let here = commands("cat > f <<'END'\nsudo su\nEND\nls");
        assert_eq!(shown(&here), ["cat>f", "ls"]);
        assert_eq!(here[0].here.as_deref(), Some("sudo su\n"));
        let unended = commands("cat <<E\na");
        assert_eq!(unended[0].here.as_deref(), Some("a\n"));
    }

    #[test]
    fn what_is_run_inside_others_is_found() {
        let programs = |line: &str| -> Vec<String> {
            executed(line).iter().map(|c| c.program().to_owned()).collect()
        };
        assert_eq!(programs("echo $(su id)"), ["su", "echo"]);
        assert_eq!(programs("echo \"`su`\""), ["su", "echo"]);
        assert_eq!(programs("bash -c 'sudo id; ls'"), ["id", "sudo", "ls", "bash"]);
        assert_eq!(programs("echo 'sudo id' | sh"), ["echo", "id", "sudo", "sh"]);
        assert_eq!(programs("bash <<E\nsudo id\nE\n"), ["id", "sudo", "bash"]);
        assert_eq!(programs("eval sudo id"), ["id", "sudo", "eval"]);
        assert_eq!(programs("env A=1 sudo id"), ["id", "sudo", "env"]);
        assert_eq!(programs("timeout 5 sudo id"), ["id", "sudo", "timeout"]);
        assert_eq!(programs("env X=1 bash -c su"), ["su", "bash", "env"]);
        assert_eq!(programs("cat <<E | sh\nsu\nE\n"), ["cat", "su", "sh"]);
        // Said, not done.
        assert_eq!(programs("cat <<E | grep x\nsu\nE\n"), ["cat", "grep"]);
        assert_eq!(programs("grep su f | sh"), ["grep", "sh"]);
        assert_eq!(programs("echo 'please never run sudo su'"), ["echo"]);
        assert_eq!(programs("grep 'sudo' auth.log"), ["grep"]);
        assert_eq!(programs("cat <<E > note\nsudo su\nE\n"), ["cat"]);
    }
}
