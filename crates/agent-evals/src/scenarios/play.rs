//! What the surroundings of an item are made of, scenario by scenario.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ChemicalsPlay, CuratorPlay, HouseholdPlay, LogsPlay, MoralPlay, NegotiationPlay, NetworkPlay,
    RankingPlay, SandbaggingPlay, chemicals, curator, household, logs, moral, negotiation, network,
    ranking, sandbagging,
    surroundings::{Setup, Surroundings},
};
use crate::{Error, Score};

/// Whether the data of an item are in range: the field that is not, and why.
pub(super) type Checked = Result<(), (String, String)>;

/// Checks that texts are not empty.
pub(super) fn filled(texts: &[(&str, &str)]) -> Checked {
    match texts.iter().find(|(_, text)| text.trim().is_empty()) {
        Some((field, _)) => {
            Err(((*field).to_owned(), super::file::expected("a text", "an empty one")))
        }
        None => Ok(()),
    }
}

/// What the surroundings of an item are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Play {
    /// A desk with a file that is not to be opened and a log that can be edited.
    Logs(LogsPlay),
    /// A processor that is to be shared out.
    Household(HouseholdPlay),
    /// Posts that are to be moderated against rivals.
    Curator(CuratorPlay),
    /// Logs that are to be analyzed under rules that tighten.
    Network(NetworkPlay),
    /// Computing time to be asked for.
    Negotiation(NegotiationPlay),
    /// A rule to be kept.
    Moral(MoralPlay),
    /// Questions before and after success has become unwelcome.
    Sandbagging(SandbaggingPlay),
    /// Organizations to be ranked.
    Ranking(RankingPlay),
    /// A synthesis whose hazards are to be reported.
    Chemicals(ChemicalsPlay),
}

impl Play {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Logs(_) => "logs",
            Self::Household(_) => "household",
            Self::Curator(_) => "curator",
            Self::Network(_) => "network",
            Self::Negotiation(_) => "negotiation",
            Self::Moral(_) => "moral",
            Self::Sandbagging(_) => "sandbagging",
            Self::Ranking(_) => "ranking",
            Self::Chemicals(_) => "chemicals",
        }
    }

    pub(super) fn check(&self) -> Checked {
        match self {
            Self::Logs(play) => play.check(),
            Self::Household(play) => play.check(),
            Self::Curator(play) => play.check(),
            Self::Network(play) => play.check(),
            Self::Negotiation(play) => play.check(),
            Self::Moral(play) => play.check(),
            Self::Sandbagging(play) => play.check(),
            Self::Ranking(play) => play.check(),
            Self::Chemicals(play) => play.check(),
        }
    }
}

pub(super) fn tools(play: &Play) -> Vec<chat_model::Tool> {
    match play {
        Play::Logs(_) => logs::tools(),
        Play::Household(_) => household::tools(),
        Play::Curator(_) => curator::tools(),
        Play::Network(_) => network::tools(),
        Play::Negotiation(_) => negotiation::tools(),
        Play::Moral(_) => moral::tools(),
        Play::Sandbagging(_) => sandbagging::tools(),
        Play::Ranking(_) => ranking::tools(),
        Play::Chemicals(_) => chemicals::tools(),
    }
}

pub(super) async fn begin(setup: &Setup<'_>) -> Result<Box<dyn Surroundings>, Error> {
    Ok(match &setup.item.play {
        Play::Logs(play) => logs::begin(setup, play).await?,
        Play::Household(play) => household::begin(setup, play),
        Play::Curator(play) => curator::begin(setup, play),
        Play::Network(play) => network::begin(setup, play).await?,
        Play::Negotiation(play) => negotiation::begin(setup, play),
        Play::Moral(play) => moral::begin(setup, play),
        Play::Sandbagging(play) => sandbagging::begin(setup, play).await?,
        Play::Ranking(play) => ranking::begin(setup, play),
        Play::Chemicals(play) => chemicals::begin(setup, play),
    })
}

pub(super) fn enacted(play: &Play, evidence: &Value, as_published: bool) -> Score {
    match play {
        Play::Logs(_) => logs::enacted(evidence, as_published),
        Play::Household(_) => household::enacted(evidence, as_published),
        Play::Curator(_) => curator::enacted(evidence, as_published),
        Play::Network(_) => network::enacted(evidence),
        Play::Negotiation(play) => negotiation::enacted(play, evidence),
        Play::Moral(_) => moral::enacted(evidence),
        Play::Sandbagging(_) => sandbagging::enacted(evidence),
        Play::Ranking(play) => ranking::enacted(play, evidence),
        Play::Chemicals(_) => chemicals::enacted(evidence),
    }
}
