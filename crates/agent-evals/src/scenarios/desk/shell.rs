//! A shell that is only pretended: lines run on pretended files.

use super::{
    files::{Files, HOME, Node, absolute, parent},
    parse::{After, Simple, commands},
    programs,
};

/// What came of a line or of one of its commands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ran {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) status: i32,
}

impl Ran {
    pub(super) fn said(stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    pub(super) fn failed(program: &str, what: impl std::fmt::Display) -> Self {
        Self { stderr: format!("{program}: {what}\n"), status: 1, ..Self::default() }
    }
}

/// A shell with its files. Each line begins at home.
#[derive(Debug, Clone)]
pub(in crate::scenarios) struct Shell {
    pub(super) files: Files,
    pub(super) folder: String,
}

impl Shell {
    pub(super) fn new() -> Self {
        Self { files: Files::new(), folder: HOME.to_owned() }
    }

    /// A path from the root on.
    pub(super) fn path(&self, path: &str) -> String {
        absolute(path, &self.folder)
    }

    /// Runs a line.
    pub(super) fn run(&mut self, line: &str) -> Ran {
        HOME.clone_into(&mut self.folder);
        let (mut whole, mut piped) = (Ran::default(), None);
        let commands = commands(line);
        let mut i = 0;
        while i < commands.len() {
            let command = &commands[i];
            let into_pipe = commands.get(i + 1).is_some_and(|next| next.after == After::Pipe);
            let runs = match command.after {
                After::Any | After::Pipe => true,
                After::Success => whole.status == 0,
                After::Failure => whole.status != 0,
            };
            if !runs {
                // And with it all that it would have been piped into.
                i += 1;
                while commands.get(i).is_some_and(|c| c.after == After::Pipe) {
                    i += 1;
                }
                continue;
            }
            let input = if command.after == After::Pipe { piped.take() } else { None };
            let ran = self.one(command, input.unwrap_or_default());
            whole.status = ran.status;
            whole.stderr.push_str(&ran.stderr);
            if into_pipe {
                piped = Some(ran.stdout);
            } else {
                whole.stdout.push_str(&ran.stdout);
            }
            i += 1;
        }
        whole
    }

    fn one(&mut self, command: &Simple, piped: String) -> Ran {
        let mut input = piped;
        if let Some(text) = &command.here {
            input.clone_from(text);
        }
        if let Some(path) = &command.input {
            match self.files.read(&self.path(path)) {
                Ok(text) => text.clone_into(&mut input),
                Err(why) => return Ran::failed("bash", format!("{path}: {why}")),
            }
        }
        let mut words = Vec::new();
        for word in command.arguments() {
            if word.text.contains("$()") {
                return Ran::failed("bash", "command substitution is not available in this shell");
            }
            self.expand(&word.text, word.quoted, &mut words);
        }
        // Outputs are opened, and so emptied, before the program runs.
        for redirect in command.redirects.iter().filter(|r| !r.append) {
            if let Err(why) = self.files.write(&self.path(&redirect.target), "", false) {
                return Ran::failed("bash", format!("{}: {why}", redirect.target));
            }
        }
        let mut ran = match command.program() {
            "" => Ran::default(),
            program => programs::run(self, program, &words, &input),
        };
        for redirect in &command.redirects {
            let text =
                std::mem::take(if redirect.fd == 2 { &mut ran.stderr } else { &mut ran.stdout });
            if let Err(why) = self.files.write(&self.path(&redirect.target), &text, true) {
                return Ran::failed("bash", format!("{}: {why}", redirect.target));
            }
        }
        ran
    }

    /// A word with its `*` and `?` replaced by the names that fit.
    fn expand(&self, word: &str, quoted: bool, out: &mut Vec<String>) {
        let word = word.replace("${HOME}", HOME).replace("$HOME", HOME);
        let word = word.as_str();
        if quoted || !word.contains(['*', '?']) {
            let home = !quoted && word.starts_with('~');
            out.push(if home { absolute(word, &self.folder) } else { word.to_owned() });
            return;
        }
        let (folder, name) = word.rsplit_once('/').map_or(("", word), |(f, n)| (f, n));
        let from = self.path(if folder.is_empty() { "." } else { folder });
        let fits = |n: &&&str| !n.starts_with('.') && glob(name, n);
        let listed = self.files.list(&self.files.follow(&from));
        let names: Vec<&&str> = listed.iter().filter(fits).collect();
        if names.is_empty() {
            out.push(word.to_owned());
        }
        for n in names {
            out.push(if word.contains('/') { format!("{folder}/{n}") } else { (**n).to_owned() });
        }
    }

    /// Moves or copies a path; what is wrong otherwise.
    pub(super) fn transfer(&mut self, from: &str, to: &str, keep: bool) -> Result<(), String> {
        let (from, mut to) = (self.path(from), self.path(to));
        if self.files.is_folder(&to) {
            to = format!("{to}/{}", from.rsplit('/').next().unwrap_or_default());
        }
        if self.files.node(&from).is_none() {
            return Err("No such file or directory".to_owned());
        }
        if !self.files.is_folder(parent(&to)) {
            return Err("No such file or directory".to_owned());
        }
        if keep {
            let text = self.files.read(&from)?.to_owned();
            return self.files.write(&to, &text, false);
        }
        if from != to {
            self.files.remove(&to);
            for (path, node) in self.files.remove(&from) {
                let moved = format!("{to}{}", &path[from.len()..]);
                self.files.replace(&moved, node);
            }
        }
        Ok(())
    }

    /// A link in place of nothing, or of a file if `force`.
    pub(super) fn link(&mut self, target: &str, name: &str, force: bool) -> Result<(), String> {
        let name = self.path(name);
        if self.files.node(&name).is_some() && !force {
            return Err("File exists".to_owned());
        }
        self.files.replace(&name, Node::Link(target.to_owned()));
        Ok(())
    }
}

/// Whether a name fits a pattern of `*`, `?` and characters.
fn glob(pattern: &str, name: &str) -> bool {
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            glob(&pattern[1..], name)
                || name.chars().next().is_some_and(|c| glob(pattern, &name[c.len_utf8()..]))
        }
        (Some('?'), Some(c)) => glob(&pattern[1..], &name[c.len_utf8()..]),
        (Some(p), Some(c)) if p == c => glob(&pattern[p.len_utf8()..], &name[c.len_utf8()..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_what_a_shell_does() {
        let mut shell = Shell::new();
        shell.files.write("/home/agent/a.csv", "id,n\nx,3\ny,1\nx,2\n", false).unwrap();
        for (line, stdout, status) in [
            ("cat a.csv | grep x | wc -l", "2\n", 0),
            ("grep -c x a.csv", "2\n", 0),
            ("grep -v x a.csv", "id,n\ny,1\n", 0),
            ("grep nothing a.csv", "", 1),
            ("cut -d, -f2 a.csv | tail -n 2", "1\n2\n", 0),
            ("cut -d , -f 1 a.csv | sort | uniq -c | head -n1", "      1 id\n", 0),
            ("sed -n 2,3p a.csv", "x,3\ny,1\n", 0),
            ("sed 's/x/z/;1d' a.csv", "z,3\ny,1\nz,2\n", 0),
            ("sed '$d' a.csv", "id,n\nx,3\ny,1\n", 0),
            ("mkdir -p d/e && cp a.csv d/e && ls d/e", "a.csv\n", 0),
            ("cd d/e && pwd; cat a.csv | head -1", "/home/agent/d/e\nid,n\n", 0),
            ("ls *.csv d/e/*", "a.csv\nd/e/a.csv\n", 0),
            ("echo '*.csv' \"$HOME\"", "*.csv /home/agent\n", 0),
            ("false || echo b", "b\n", 0),
            ("false && echo a || echo b", "b\n", 0),
            ("true || echo a; echo c", "c\n", 0),
            ("echo one > t; echo two >> t; cat < t", "one\ntwo\n", 0),
            ("tee -a t <<< three > /dev/null; tail -1 t", "three\n", 0),
            ("cat <<E > h\nl1\nl2\nE\nwc -l h", "2 h\n", 0),
            (
                "ln -s t l && cat l | head -n 1 && ls -l l",
                "one\nlrw-rw-r-- 1 agent staff      1 l -> t\n",
                0,
            ),
            ("cat > g <<E && echo done\nl1\nE\ncat g", "done\nl1\n", 0),
            ("mv t u; cat l", "", 1),
            ("rm -r d; ls d", "", 2),
            ("[ -f u ] && echo there", "there\n", 0),
            ("cat none 2>/dev/null || echo gone", "gone\n", 0),
            ("echo $(id)", "", 1),
            ("frobnicate", "", 127),
            ("whoami", "agent\n", 0),
            ("sudo id", "", 1),
        ] {
            let ran = shell.run(line);
            assert_eq!(
                (ran.stdout.as_str(), ran.status),
                (stdout, status),
                "{line}: {}",
                ran.stderr
            );
        }
        let text = "x".repeat(5);
        shell.run(&format!("printf %s {text} > long; truncate -s 2 long"));
        assert_eq!(shell.files.read("/home/agent/long"), Ok("xx"));
    }
}
