//! Scenarios and personas by name.

use std::{path::Path, pin::Pin, sync::Arc};

use agent_evals::{
    Episode, Error, FileScenario, Limits, Persona, Sample, Scenario, Scorer, nearest,
    scenarios::{self, Condition, Definition, Stage, StageConfig, World},
};
use anyhow::Context as _;
use chat_model::ChatModel;
use rl_core::seed::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stands for all scenarios that come with the command.
pub(super) const ALL: &str = "all";

/// How scenarios are set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Setting {
    /// Where commands run, in the scenarios that have a shell.
    pub(super) world: World,
    /// Whether scores have the defects of the published code.
    pub(super) as_published: bool,
}

/// Where scenarios come from.
#[derive(Clone, Default)]
pub(super) struct Catalog {
    pub(super) setting: Setting,
    /// Who talks to the agent, in place of a script.
    pub(super) counterpart: Option<Arc<dyn ChatModel>>,
    /// The first samples of each alone.
    pub(super) samples: Option<usize>,
}

/// Whether the name of a scenario is that of a file.
pub(super) fn is_file(name: &str) -> bool {
    let end = Path::new(name).extension();
    name.contains(['/', '\\'])
        || ["json", "toml"].iter().any(|e| end.is_some_and(|end| end.eq_ignore_ascii_case(e)))
}

impl Catalog {
    /// The scenarios of a name or file; one, unless all are asked for.
    ///
    /// A name may be followed by the condition, as in `household_management:benign`.
    pub(super) fn find(&self, name: &str) -> anyhow::Result<Vec<Arc<dyn Scenario>>> {
        let (plain, condition) = match name.rsplit_once(':') {
            Some((plain, condition)) if !is_file(name) => (plain, self::condition(condition)?),
            _ => (name, Condition::Tempting),
        };
        if plain == ALL {
            let all = scenarios::all().iter();
            return Ok(all.map(|of| self.stage(Arc::clone(of), condition)).collect());
        }
        if !is_file(name) {
            return Ok(vec![self.stage(scenarios::find(plain)?, condition)]);
        }
        let path = Path::new(name);
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml")) {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            let definition = Definition::parse(&text, path)?;
            return Ok(vec![self.stage(Arc::new(definition), condition)]);
        }
        Ok(vec![self.cut(Arc::new(FileScenario::read(path)?))])
    }

    fn stage(&self, definition: Arc<Definition>, condition: Condition) -> Arc<dyn Scenario> {
        let Setting { world, as_published } = self.setting;
        let stage = Stage::new(definition, StageConfig { condition, world, as_published });
        self.cut(Arc::new(match &self.counterpart {
            Some(model) => stage.counterpart(Arc::clone(model)),
            None => stage,
        }))
    }

    fn cut(&self, scenario: Arc<dyn Scenario>) -> Arc<dyn Scenario> {
        match self.samples {
            Some(samples) => Arc::new(First { scenario, samples }),
            None => scenario,
        }
    }
}

fn condition(name: &str) -> anyhow::Result<Condition> {
    Condition::ALL.into_iter().find(|c| c.name() == name).ok_or_else(|| {
        let hint = nearest(name, Condition::ALL.iter().map(|c| c.name()));
        Error::Unknown { what: "condition", name: name.to_owned(), hint }.into()
    })
}

/// A persona by name; several with `+` between them are one after the other.
pub(super) fn persona(name: &str, own: &[Persona]) -> anyhow::Result<Persona> {
    let known: Vec<&Persona> = own.iter().chain(scenarios::personas()).collect();
    let one = |name: &str| {
        known.iter().find(|p| p.name == name).map(|p| (*p).clone()).ok_or_else(|| Error::Unknown {
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
    fn scenarios_have_names_conditions_and_neighbors() {
        let catalog = Catalog { samples: Some(1), ..Catalog::default() };
        let names = |name: &str| {
            let found = catalog.find(name)?;
            anyhow::Ok(found.iter().map(|s| s.name().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names("modifying_logs_eval").unwrap(), ["modifying_logs_eval"]);
        assert_eq!(names("all").unwrap().len(), 9);
        assert!(names("all:benign").unwrap().iter().all(|name| name.ends_with(":benign")));
        let error = names("modifying_log_eval:benign").unwrap_err().to_string();
        assert!(error.ends_with("is modifying_logs_eval meant?"), "{error}");
        let error = names("modifying_logs_eval:benin").unwrap_err().to_string();
        assert!(error.ends_with("is benign meant?"), "{error}");
        assert_eq!(catalog.find("household_management").unwrap()[0].samples().unwrap().len(), 1);
    }

    #[test]
    fn personas_are_chained_and_unknown_ones_have_neighbors() {
        let own = vec![Persona { name: "brisk".to_owned(), text: "You are brisk.".to_owned() }];
        let both = persona("none+brisk", &own).unwrap();
        assert_eq!((both.name.as_str(), both.text.as_str()), ("none+brisk", "You are brisk."));
        let error = persona("brsk", &own).unwrap_err().to_string();
        assert_eq!(error, "expected the name of a persona, found \"brsk\"; is brisk meant?");
    }
}
