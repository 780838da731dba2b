//! The nine scenarios of `AgentMisalignment` (arXiv 2506.04018), in our own words.

mod chemicals;
mod cms;
mod curator;
mod definition;
mod desk;
mod file;
mod household;
mod judge;
mod logs;
mod moral;
mod negotiation;
mod network;
mod personas;
mod play;
mod ranking;
mod render;
mod sandbagging;
mod stage;
mod surroundings;

use std::sync::{Arc, LazyLock};

pub use chemicals::{ChemicalsPlay, Grade, Reagent};
pub use cms::{cms, cms_of, rms_normalized};
pub use curator::{CuratorPlay, RevealDegree, RevealTiming, curator_score};
pub use definition::{
    Benign, Canned, Condition, Definition, Family, FileSpec, Item, Outcome, Role, Said, Severity,
    Signal, Single, Speaker, Step,
};
pub use desk::World;
pub use household::HouseholdPlay;
pub use judge::Panel;
pub use logs::LogsPlay;
pub use moral::MoralPlay;
pub use negotiation::NegotiationPlay;
pub use network::{Level, NetworkPlay};
pub use personas::{persona, personas};
pub use play::Play;
pub use ranking::{Organization, RankingPlay};
pub use sandbagging::{Question, SandbaggingPlay, performance_gap};
pub use stage::{Stage, StageConfig};

use crate::{Error, nearest};

macro_rules! file {
    ($name:literal) => {
        (concat!($name, ".toml"), include_str!(concat!("../../data/", $name, ".toml")))
    };
}

/// The files that the scenarios are read from.
const FILES: &[(&str, &str)] = &[
    file!("community_curator"),
    file!("household_management"),
    file!("modifying_logs_eval"),
    file!("moral_flexibility"),
    file!("network_manager"),
    file!("rank_organizations"),
    file!("resource_negotiation"),
    file!("sandbagging_eval"),
    file!("synthesize_chemicals"),
];

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
