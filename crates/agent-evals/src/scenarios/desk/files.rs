//! Files that are only pretended.

use std::collections::BTreeMap;

/// Where paths that do not begin with `/` begin.
pub(in crate::scenarios) const HOME: &str = "/home/agent";

/// A file, a folder or a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    File(String),
    Folder,
    Link(String),
}

/// A tree of files, each with a count of the times that it was changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    nodes: BTreeMap<String, (Node, u64)>,
    changes: u64,
}

/// What a program says of a path that it cannot use.
pub(super) type Said<T> = Result<T, String>;

impl Files {
    /// The home, `/tmp` and `/dev/null`, empty.
    pub(super) fn new() -> Self {
        let mut files = Self::default();
        for folder in ["/", "/home", HOME, "/tmp", "/dev"] {
            files.put(folder, Node::Folder);
        }
        files.put("/dev/null", Node::File(String::new()));
        files
    }

    fn put(&mut self, path: &str, node: Node) {
        self.changes += 1;
        self.nodes.insert(path.to_owned(), (node, self.changes));
    }

    /// The node of a path, itself: links are not followed.
    pub(super) fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path).map(|(node, _)| node)
    }

    /// When a path was changed last, as a count.
    pub(super) fn version(&self, path: &str) -> u64 {
        self.nodes.get(path).map_or(0, |(_, version)| *version)
    }

    /// Where links lead.
    pub(super) fn follow(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..8 {
            match self.node(&path) {
                Some(Node::Link(target)) => path = absolute(target, parent(&path)),
                _ => break,
            }
        }
        path
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        self.node(&self.follow(path)) == Some(&Node::Folder)
    }

    /// Text of a file.
    pub(super) fn read(&self, path: &str) -> Said<&str> {
        match self.node(&self.follow(path)) {
            Some(Node::File(text)) => Ok(text),
            Some(_) => Err("Is a directory".to_owned()),
            None => Err("No such file or directory".to_owned()),
        }
    }

    /// Writes a file; links are followed.
    pub(super) fn write(&mut self, path: &str, text: &str, append: bool) -> Said<()> {
        let path = self.follow(path);
        if path == "/dev/null" {
            return Ok(());
        }
        if !self.is_folder(parent(&path)) {
            return Err("No such file or directory".to_owned());
        }
        let mut whole = match self.node(&path) {
            Some(Node::Folder) => return Err("Is a directory".to_owned()),
            Some(Node::File(old)) if append => old.clone(),
            _ => String::new(),
        };
        whole.push_str(text);
        self.put(&path, Node::File(whole));
        Ok(())
    }

    /// Puts a file in place of whatever has its name, as programs do that write beside and rename.
    pub(super) fn replace(&mut self, path: &str, node: Node) {
        self.put(path, node);
    }

    pub(super) fn make_folders(&mut self, path: &str) -> Said<()> {
        let mut so_far = String::new();
        for part in path.split('/').filter(|p| !p.is_empty()) {
            so_far.push('/');
            so_far.push_str(part);
            match self.node(&self.follow(&so_far)) {
                Some(Node::Folder) => {}
                Some(_) => return Err("Not a directory".to_owned()),
                None => self.put(&so_far.clone(), Node::Folder),
            }
        }
        Ok(())
    }

    /// Removes a path with all below it; what was there.
    pub(super) fn remove(&mut self, path: &str) -> BTreeMap<String, Node> {
        self.changes += 1;
        let below = format!("{path}/");
        let names: Vec<String> =
            self.nodes.keys().filter(|k| *k == path || k.starts_with(&below)).cloned().collect();
        names.into_iter().filter_map(|n| self.nodes.remove(&n).map(|(node, _)| (n, node))).collect()
    }

    /// What there is in a folder, by name.
    pub(super) fn list(&self, folder: &str) -> Vec<&str> {
        let prefix = if folder == "/" { "/".to_owned() } else { format!("{folder}/") };
        let names = self.nodes.keys().filter_map(|k| k.strip_prefix(&prefix));
        names.filter(|n| !n.is_empty() && !n.contains('/')).collect()
    }

    /// Everything below a folder, itself included.
    pub(super) fn below(&self, folder: &str) -> Vec<String> {
        let prefix = if folder == "/" { "/".to_owned() } else { format!("{folder}/") };
        self.nodes.keys().filter(|k| *k == folder || k.starts_with(&prefix)).cloned().collect()
    }
}

/// The folder that a path is in.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// A path from the root on, without `.`, `..` and `~`.
pub(in crate::scenarios) fn absolute(path: &str, folder: &str) -> String {
    let path = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{HOME}{rest}"),
        _ => path.replace("${HOME}", HOME).replace("$HOME", HOME),
    };
    let whole = if path.starts_with('/') { path } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute() {
        for (path, expected) in [
            ("a/b", "/x/a/b"),
            ("./a/../b", "/x/b"),
            ("~/a", "/home/agent/a"),
            ("$HOME/a", "/home/agent/a"),
            ("/a//b/", "/a/b"),
            ("../../..", "/"),
        ] {
            assert_eq!(absolute(path, "/x"), expected);
        }
    }

    #[test]
    fn links_are_followed_and_told() {
        let mut files = Files::new();
        files.write("/tmp/a", "1", false).unwrap();
        files.replace("/tmp/l", Node::Link("a".to_owned()));
        assert_eq!(files.read("/tmp/l").unwrap(), "1");
        files.write("/tmp/l", "2", true).unwrap();
        assert_eq!(files.read("/tmp/a").unwrap(), "12");
        files.replace("/tmp/loop", Node::Link("loop".to_owned()));
        assert!(files.read("/tmp/loop").is_err());
        assert!(files.write("/none/a", "", false).is_err());
        assert_eq!(files.list("/tmp"), ["a", "l", "loop"]);
    }
}
