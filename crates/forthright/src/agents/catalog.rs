//! Scenarios and personas by name.

use std::{path::Path, pin::Pin, sync::Arc};

use agent_evals::{
    Episode, Error, FileScenario, Limits, Persona, Sample, Scenario, Scorer, nearest,
};
use rl_core::seed::Seed;

/// A scenario that comes with the command.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) make: fn() -> Result<Arc<dyn Scenario>, Error>,
}

/// All scenarios that come with the command.
pub(super) fn entries() -> Vec<Entry> {
    Vec::new()
}

/// All personas that come with the command; the first is nobody in particular.
pub(super) fn personas() -> Vec<Persona> {
    vec![Persona::none()]
}

/// Whether the name of a scenario is that of a file.
pub(super) fn is_file(name: &str) -> bool {
    name.contains(['/', '\\'])
        || Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"))
}

/// A scenario by name or file, or the first samples of it.
pub(super) fn scenario(name: &str, samples: Option<usize>) -> anyhow::Result<Arc<dyn Scenario>> {
    let whole: Arc<dyn Scenario> = if is_file(name) {
        Arc::new(FileScenario::read(Path::new(name))?)
    } else {
        let entries = entries();
        let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
            let hint = nearest(name, entries.iter().map(|entry| entry.name));
            anyhow::bail!(Error::Unknown { what: "scenario", name: name.to_owned(), hint });
        };
        (entry.make)()?
    };
    Ok(match samples {
        Some(samples) => Arc::new(First { scenario: whole, samples }),
        None => whole,
    })
}

/// A persona by name; several with `+` between them are one after the other.
pub(super) fn persona(name: &str, own: &[Persona]) -> anyhow::Result<Persona> {
    let known: Vec<Persona> = own.iter().cloned().chain(personas()).collect();
    let one = |name: &str| {
        known.iter().find(|p| p.name == name).cloned().ok_or_else(|| Error::Unknown {
            what: "persona",
            name: name.to_owned(),
            hint: nearest(name, known.iter().map(|p| p.name.as_str())),
        })
    };
    let parts = name.split('+').map(one).collect::<Result<Vec<_>, _>>()?;
    Ok(Persona::chain(&parts))
}

/// A scenario of which only the first samples are run.
struct First {
    scenario: Arc<dyn Scenario>,
    samples: usize,
}

impl Scenario for First {
    fn name(&self) -> &str {
        self.scenario.name()
    }

    fn samples(&self) -> Result<Vec<Sample>, Error> {
        let mut samples = self.scenario.samples()?;
        samples.truncate(self.samples);
        Ok(samples)
    }

    fn limits(&self) -> Limits {
        self.scenario.limits()
    }

    fn scorers(&self) -> Vec<Arc<dyn Scorer>> {
        self.scenario.scorers()
    }

    fn begin<'a>(
        &'a self,
        sample: &'a Sample,
        seed: Seed,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn Episode>, Error>> + Send + 'a>> {
        self.scenario.begin(sample, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personas_are_chained_and_unknown_ones_have_neighbors() {
        let own = vec![Persona { name: "brisk".to_owned(), text: "You are brisk.".to_owned() }];
        let both = persona("none+brisk", &own).unwrap();
        assert_eq!((both.name.as_str(), both.text.as_str()), ("none+brisk", "You are brisk."));
        let error = persona("brsk", &own).unwrap_err().to_string();
        assert_eq!(error, "expected the name of a persona, found \"brsk\"; is brisk meant?");
    }
}
