//! What is run.

use std::{
    collections::{BTreeSet, HashSet},
    num::NonZeroUsize,
    sync::Arc,
};

use rl_core::seed::Seed;

use crate::{Agent, Error, Key, Limits, Persona, PlanInfo, Sample, Scenario};

/// Scenarios, agents and personas, each with each, and how.
#[derive(Clone)]
pub struct Plan {
    /// Where agents are put; names differ.
    pub scenarios: Vec<Arc<dyn Scenario>>,
    /// Who is put there; names differ.
    pub agents: Vec<Agent>,
    /// As whom; names differ.
    pub personas: Vec<Persona>,
    /// Times that each sample is run; at least 1.
    pub epochs: u32,
    /// Limits of every sample, beside those of its scenario.
    pub limits: Limits,
    /// Root seed. A sample's seed depends on it, on the sample and on the epoch, and on neither
    /// agent nor persona, so that these are compared in the same surroundings.
    pub seed: u64,
    /// Samples that run at a time.
    pub concurrent: NonZeroUsize,
}

/// One sample to be run.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) key: Key,
    pub(super) scenario: usize,
    pub(super) agent: usize,
    pub(super) persona: usize,
    pub(super) sample: Arc<Sample>,
}

impl Plan {
    /// One agent in one scenario, as nobody in particular, once, without limits beside the
    /// scenario's, 64 samples at a time.
    pub fn new(scenario: Arc<dyn Scenario>, agent: Agent) -> Self {
        Self {
            scenarios: vec![scenario],
            agents: vec![agent],
            personas: vec![Persona::none()],
            epochs: 1,
            limits: Limits::default(),
            seed: 0,
            concurrent: NonZeroUsize::new(64).unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// Checks everything that can be checked before anything is run.
    ///
    /// # Errors
    /// [`Error::Config`], and what scenarios say of their samples.
    pub fn validate(&self) -> Result<(), Error> {
        self.cells().map(|_| ())
    }

    /// All samples to be run, scenario by scenario, agent by agent, persona by persona.
    pub(super) fn cells(&self) -> Result<Vec<Cell>, Error> {
        self.limits.validate()?;
        if self.epochs == 0 {
            return Err(Error::config("epochs", "at least 1", 0));
        }
        names("scenarios", self.scenarios.iter().map(|s| s.name()))?;
        names("agents", self.agents.iter().map(|a| a.name.as_str()))?;
        names("personas", self.personas.iter().map(|p| p.name.as_str()))?;
        for agent in &self.agents {
            agent.config.validate()?;
        }
        let mut cells = Vec::new();
        for (s, scenario) in self.scenarios.iter().enumerate() {
            scenario.limits().validate()?;
            let samples: Vec<Arc<Sample>> = scenario.samples()?.into_iter().map(Arc::new).collect();
            let field = format!("samples of {}", scenario.name());
            names(&field, samples.iter().map(|s| s.id.as_str()))?;
            for (a, agent) in self.agents.iter().enumerate() {
                for (p, persona) in self.personas.iter().enumerate() {
                    for sample in &samples {
                        for epoch in 1..=self.epochs {
                            let key = Key {
                                scenario: scenario.name().to_owned(),
                                agent: agent.name.clone(),
                                persona: persona.name.clone(),
                                sample: sample.id.clone(),
                                epoch,
                            };
                            let sample = Arc::clone(sample);
                            cells.push(Cell { key, scenario: s, agent: a, persona: p, sample });
                        }
                    }
                }
            }
        }
        Ok(cells)
    }

    pub(super) fn info(&self, cells: u64) -> PlanInfo {
        PlanInfo {
            seed: self.seed,
            scenarios: self.scenarios.iter().map(|s| s.name().to_owned()).collect(),
            agents: self
                .agents
                .iter()
                .map(|a| (a.name.clone(), a.model.model().to_owned()))
                .collect(),
            personas: self.personas.iter().map(|p| (p.name.clone(), p.text.clone())).collect(),
            epochs: self.epochs,
            cells,
        }
    }

    /// The seed of a sample.
    pub(super) fn seed_of(&self, key: &Key) -> Seed {
        let purpose = format!("sample {}/{}", key.scenario, key.sample);
        Seed::new(self.seed).derive(&purpose, u64::from(key.epoch))
    }
}

/// Checks that names are there, differ, and can be part of a file's name.
fn names<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    const MAX_BYTES: usize = 200;
    let mut seen = HashSet::new();
    for name in names {
        let legal = |c: char| c.is_alphanumeric() || "._-+:".contains(c);
        let legal = !name.is_empty() && name.len() <= MAX_BYTES && name.chars().all(legal);
        if !legal || name.starts_with('.') {
            let expected = "names of 1 to 200 letters, digits, ., _, -, + or :";
            return Err(Error::config(field, expected, format!("{name:?}")));
        }
        if !seen.insert(name) {
            return Err(Error::config(field, "names that differ", format!("{name} twice")));
        }
    }
    if seen.is_empty() {
        return Err(Error::config(field, "at least one", "none"));
    }
    Ok(())
}

/// The names nearest to one that nothing has, for a message.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut by_distance: BTreeSet<(usize, &str)> = known.map(|k| (distance(name, k), k)).collect();
    let near: Vec<&str> = by_distance
        .iter()
        .filter(|(d, k)| *d <= 2.max(k.chars().count() / 3))
        .take(3)
        .map(|(_, k)| *k)
        .collect();
    if near.is_empty() {
        let all: Vec<&str> =
            std::iter::from_fn(|| by_distance.pop_first()).map(|(_, k)| k).collect();
        return format!("there are {}", all.join(", "));
    }
    format!("is {} meant?", near.join(" or "))
}

/// Levenshtein's distance: insertions, deletions and substitutions of characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", ""), 3);
    }

    #[test]
    fn near_names_are_suggested() {
        let known = ["modifying_logs", "network_manager", "moral_flexibility"];
        assert_eq!(nearest("modifing_logs", known.into_iter()), "is modifying_logs meant?");
        assert_eq!(
            nearest("zzzz", known.into_iter()),
            "there are modifying_logs, network_manager, moral_flexibility"
        );
    }

    #[test]
    fn names_are_checked() {
        let check =
            |list: &[&str]| names("agents", list.iter().copied()).map_err(|e| e.to_string());
        assert!(check(&["a", "b.c-d_e+f:g"]).is_ok());
        assert_eq!(check(&[]).unwrap_err(), "agents: expected at least one, found none");
        assert_eq!(
            check(&["a", "a"]).unwrap_err(),
            "agents: expected names that differ, found a twice"
        );
        for bad in ["", "a/b", "..", "a b", "a\n", &"x".repeat(201)] {
            assert!(check(&[bad]).is_err(), "{bad}");
        }
    }
}
