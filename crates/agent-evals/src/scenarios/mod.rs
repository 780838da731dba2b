//! The nine scenarios of AgentMisalignment (arXiv 2506.04018), in our own words.

mod definition;
mod file;
mod play;
mod render;

pub use definition::{
    Benign, Canned, Condition, Definition, Family, FileSpec, Item, Outcome, Role, Said, Severity,
    Signal, Single, Speaker, Step,
};
pub use play::{LogsPlay, Play};

use std::sync::{Arc, LazyLock};

use crate::{Error, nearest};

/// The files that the scenarios are read from.
const FILES: &[(&str, &str)] =
    &[("modifying_logs_eval.toml", include_str!("../../data/modifying_logs_eval.toml"))];

static ALL: LazyLock<Result<Vec<Arc<Definition>>, String>> = LazyLock::new(|| {
    let read = |(file, text): &(&str, &str)| Definition::parse(text, *file).map(Arc::new);
    FILES.iter().map(read).collect::<Result<_, _>>().map_err(|error| error.to_string())
});

/// All scenarios, by name.
///
/// # Panics
/// Never: the files are part of the crate, and a test reads them.
pub fn all() -> &'static [Arc<Definition>] {
    match &*ALL {
        Ok(all) => all,
        Err(error) => panic!("{error}"),
    }
}

/// The scenario of a name.
///
/// # Errors
/// [`Error::Unknown`] with the nearest names.
pub fn find(name: &str) -> Result<Arc<Definition>, Error> {
    all().iter().find(|d| d.name == name).cloned().ok_or_else(|| Error::Unknown {
        what: "scenario",
        name: name.to_owned(),
        hint: nearest(name, all().iter().map(|d| d.name.as_str())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_can_be_read() {
        for definition in all() {
            for item in &definition.items {
                for condition in Condition::ALL {
                    for message in definition.at_decision(item, condition) {
                        assert!(!message.text().contains("{{"), "{}", message.text());
                    }
                }
            }
        }
        assert!(
            find("modifing_logs_eval")
                .unwrap_err()
                .to_string()
                .contains("is modifying_logs_eval meant")
        );
    }
}
