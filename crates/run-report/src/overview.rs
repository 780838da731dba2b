//! What is said before the chapters.

use rl_core::run::Claim;

use crate::page::Pipeline;

/// The first page: each pipeline in a line, and the claims that are unmet.
pub(crate) struct Overview {
    pub(crate) all: Verdicts,
    pub(crate) scales: String,
    pub(crate) systems: Vec<System>,
    pub(crate) unmet: Vec<Unmet>,
}

/// A pipeline in a line.
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) source: String,
    pub(crate) claimed: String,
    pub(crate) here: Verdicts,
    /// Of earlier and larger runs, a claim that was made in several counted once.
    pub(crate) recorded: Verdicts,
}

/// A claim of this run that is unmet.
pub(crate) struct Unmet {
    pub(crate) system: String,
    pub(crate) says: String,
}

/// How many claims ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    pub(crate) met: usize,
    pub(crate) unmet: usize,
    pub(crate) open: usize,
}

impl Verdicts {
    pub(crate) fn of<'a>(claims: impl IntoIterator<Item = &'a Claim>) -> Self {
        let mut found = Self::default();
        for claim in claims {
            match claim.met {
                Some(true) => found.met += 1,
                Some(false) => found.unmet += 1,
                None => found.open += 1,
            }
        }
        found
    }

    pub(crate) fn any(self) -> bool {
        self.met + self.unmet + self.open > 0
    }
}

impl Overview {
    pub(crate) fn of(pipelines: &[Pipeline]) -> Self {
        let claims = || pipelines.iter().flat_map(|p| &p.claims);
        let mut scales: Vec<&str> = claims().map(|claim| claim.scale.as_str()).collect();
        scales.sort_unstable();
        scales.dedup();
        let unmet = pipelines.iter().flat_map(|p| {
            let unmet = p.claims.iter().filter(|claim| claim.met == Some(false));
            unmet.map(|claim| Unmet { system: p.name.clone(), says: claim.says.clone() })
        });
        Self {
            all: Verdicts::of(claims()),
            scales: scales.join(", "),
            systems: pipelines.iter().map(System::of).collect(),
            unmet: unmet.collect(),
        }
    }
}

impl System {
    fn of(pipeline: &Pipeline) -> Self {
        let about = pipeline.about.clone().unwrap_or_default();
        let mut ids: Vec<&str> = Vec::new();
        let mut recorded: Vec<&Claim> = Vec::new();
        for claim in about.recorded.iter().flat_map(|record| &record.claims) {
            if !ids.contains(&claim.id.as_str()) {
                ids.push(&claim.id);
                recorded.push(claim);
            }
        }
        Self {
            name: pipeline.name.clone(),
            title: if about.title.is_empty() { pipeline.name.clone() } else { about.title.clone() },
            source: about.source.clone(),
            claimed: about.claimed.join(" "),
            here: Verdicts::of(&pipeline.claims),
            recorded: Verdicts::of(recorded),
        }
    }
}
