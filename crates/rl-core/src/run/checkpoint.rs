//! Checkpoints: folders that are whole or absent, whenever the process dies.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{Error, RunDir, io};

const FOLDER: &str = "checkpoints";
const PREFIX: &str = "step-";
/// A folder that is being written or deleted; never read.
const TEMPORARY: &str = ".partial-";

/// A whole checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Steps done when it was written.
    pub step: u64,
    /// Its folder.
    pub path: PathBuf,
}

impl RunDir {
    /// Writes the checkpoint of `step`, then deletes all but the newest `keep`.
    ///
    /// `write` fills a folder of a temporary name; its files are then flushed to the disk and the
    /// folder renamed, so that a kill at any moment leaves the older checkpoints whole.
    ///
    /// # Errors
    /// What `write` reports, or [`Error::Io`]; older checkpoints are then still there.
    pub fn save_checkpoint<E: From<Error>>(
        &self,
        step: u64,
        keep: usize,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Checkpoint, E> {
        let folder = self.path.join(FOLDER);
        let path = folder.join(format!("{PREFIX}{step:06}"));
        let partial = folder.join(format!("{TEMPORARY}{step:06}"));
        fs::create_dir_all(&folder).map_err(io("create", &folder))?;
        remove_if_there(&partial)?;
        fs::create_dir(&partial).map_err(io("create", &partial))?;
        let filled = write(&partial).and_then(|()| Ok(publish(&partial, &path)?));
        if let Err(error) = filled {
            // Half a checkpoint is of no use to anybody.
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
        let mut all = self.checkpoints()?;
        all.truncate(all.len().saturating_sub(keep.max(1)));
        for old in all {
            withdraw(&old.path)?;
        }
        Ok(Checkpoint { step, path })
    }

    /// All whole checkpoints, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let folder = self.path.join(FOLDER);
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io("read", &folder))? {
            let path = entry.map_err(io("read", &folder))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if let Some(step) = name.strip_prefix(PREFIX).and_then(|n| n.parse().ok()) {
                out.push(Checkpoint { step, path });
            }
        }
        out.sort_by_key(|c| c.step);
        Ok(out)
    }

    /// The newest whole checkpoint. Remains of one that was cut off are removed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let folder = self.path.join(FOLDER);
        if folder.exists() {
            for entry in fs::read_dir(&folder).map_err(io("read", &folder))? {
                let entry = entry.map_err(io("read", &folder))?;
                if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                    remove_if_there(&entry.path())?;
                }
            }
        }
        Ok(self.checkpoints()?.pop())
    }
}

/// Flushes a folder's files and gives it its name.
fn publish(partial: &Path, path: &Path) -> Result<(), Error> {
    sync_tree(partial)?;
    if path.exists() {
        withdraw(path)?;
    }
    fs::rename(partial, path).map_err(io("write", path))?;
    sync_parent(path)
}

/// Deletes a checkpoint; renamed first, so that it never looks whole when it no longer is.
fn withdraw(path: &Path) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let doomed = path.with_file_name(format!("{TEMPORARY}old-{name}"));
    remove_if_there(&doomed)?;
    fs::rename(path, &doomed).map_err(io("delete", path))?;
    remove_if_there(&doomed)
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io("delete", path)(e)),
        _ => Ok(()),
    }
}

fn sync_tree(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(io("read", folder))? {
        let path = entry.map_err(io("read", folder))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path).and_then(|f| f.sync_all()).map_err(io("write", &path))?;
        }
    }
    sync_folder(folder)
}

/// Makes a rename last through a power cut.
fn sync_parent(path: &Path) -> Result<(), Error> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// Flushes the names in a folder, where folders can be flushed.
fn sync_folder(folder: &Path) -> Result<(), Error> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    File::open(folder).and_then(|f| f.sync_all()).map_err(io("write", folder))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(text: &str) -> impl FnOnce(&Path) -> Result<(), Error> {
        move |folder| {
            let path = folder.join("state.txt");
            fs::write(&path, text).map_err(io("write", &path))
        }
    }

    #[test]
    fn the_newest_stay_and_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path()).unwrap();
        assert_eq!(run.latest_checkpoint().unwrap(), None);
        for step in [1, 2, 10, 9] {
            run.save_checkpoint(step, 2, write(&step.to_string())).unwrap();
        }
        let steps: Vec<u64> = run.checkpoints().unwrap().iter().map(|c| c.step).collect();
        assert_eq!(steps, [9, 10]);
        let latest = run.latest_checkpoint().unwrap().unwrap();
        assert_eq!(fs::read_to_string(latest.path.join("state.txt")).unwrap(), "10");
        run.save_checkpoint(10, 2, write("again")).unwrap();
        assert_eq!(fs::read_to_string(latest.path.join("state.txt")).unwrap(), "again");
    }

    #[test]
    fn a_failed_or_killed_write_leaves_the_old_ones() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path()).unwrap();
        run.save_checkpoint(1, 1, write("one")).unwrap();
        let failed = run.save_checkpoint(2, 1, |folder| {
            write("half")(folder)?;
            Err(Error::Busy { path: folder.to_owned() })
        });
        assert!(failed.is_err());
        // What a kill while writing, and one while deleting, leave behind.
        for name in [".partial-000003", ".partial-old-step-000000"] {
            fs::create_dir(folder.path().join(FOLDER).join(name)).unwrap();
        }
        assert_eq!(run.latest_checkpoint().unwrap().unwrap().step, 1);
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 1);
    }

    #[test]
    fn lines_after_the_checkpoint_go() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path()).unwrap();
        let mut lines = run.lines("metrics.jsonl").unwrap();
        for step in 1..=4 {
            lines.push(&json!({ "step": step, "loss": 0.1 * f64::from(step) })).unwrap();
        }
        drop(lines);
        let whole = fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        let mut lines = run.resume_lines("metrics.jsonl", 2).unwrap();
        for step in 3..=4 {
            lines.push(&json!({ "step": step, "loss": 0.1 * f64::from(step) })).unwrap();
        }
        assert_eq!(fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap(), whole);
        run.resume_lines("new.jsonl", 0).unwrap();
        assert!(folder.path().join("new.jsonl").exists());
    }
}
