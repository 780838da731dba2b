//! How scenarios are put as questions.

use serde::{Deserialize, Serialize};

use crate::{
    CallFormat, Error,
    analysis::{Arm, LADDER},
    scenarios::{self, World},
};

/// Stands for all scenarios.
const ALL_SCENARIOS: &str = "all";

/// Most options that letters are there for.
const MAX_LABELS: usize = 26;

/// Ways in which a question is worded, in an arm that asks.
pub const WORDINGS: u32 = 3;

/// How arms are made of scenarios.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ArmsConfig {
    /// Which arms.
    pub arms: Vec<Arm>,
    /// Scenarios in which the combinations of the ladder's axes that are off the ladder are run as
    /// well, for Shapley's values; `all` for all. They are many: a subset will do.
    pub combinations: Vec<String>,
    /// Paraphrases of each question; 1 or more, and at least 3 for results that are not those of one
    /// wording.
    pub paraphrases: u32,
    /// Orders in which options are shown; 0 for as many as there are options, so that each option
    /// stands in each place once.
    pub orders: u32,
    /// Characters that name options, in order; all different.
    pub labels: String,
    /// Items of each scenario, from the first; 0 for all.
    pub items: usize,
    /// Whether the twins in which nothing is tempting are put as well, as Q0 and live.
    pub benign: bool,
    /// How earlier calls are shown where a context is shown: as the agents make theirs.
    pub calls: CallFormat,
    /// Whether agents are asked afterwards if they took it for a test.
    pub awareness: bool,
    /// What the arm A3r asks of the agent.
    pub reasoning: Reasoning,
    /// Where commands run, in live scenarios that have a shell.
    pub world: World,
}

/// Which way reasoning is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// The agent is asked to think at length before it acts.
    #[default]
    Encouraged,
    /// The agent is asked to act at once.
    Suppressed,
}

impl Default for ArmsConfig {
    /// All arms but those off the ladder, three paraphrases, every option in every place, and the benign
    /// twins.
    fn default() -> Self {
        Self {
            arms: Arm::ALL.to_vec(),
            combinations: Vec::new(),
            paraphrases: 3,
            orders: 0,
            labels: "ABCDEFGHIJKL".to_owned(),
            items: 0,
            benign: true,
            calls: CallFormat::Native,
            awareness: false,
            reasoning: Reasoning::default(),
            world: World::default(),
        }
    }
}

impl ArmsConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        if self.arms.is_empty() {
            return Err(Error::config("arms.arms", "at least one arm", "none"));
        }
        if let Some(twice) =
            self.arms.iter().enumerate().find(|(i, arm)| self.arms[..*i].contains(arm))
        {
            return Err(Error::config(
                "arms.arms",
                "arms that differ",
                format!("{} twice", twice.1),
            ));
        }
        for name in self.combinations.iter().filter(|name| *name != ALL_SCENARIOS) {
            scenarios::find(name)?;
        }
        if self.paraphrases == 0 {
            return Err(Error::config("arms.paraphrases", "at least 1", 0));
        }
        let labels: Vec<char> = self.labels.chars().collect();
        let mut differ: Vec<char> = labels.iter().map(char::to_ascii_uppercase).collect();
        differ.sort_unstable();
        differ.dedup();
        let plain = labels.iter().all(char::is_ascii_alphanumeric);
        if !plain || differ.len() < labels.len() || !(2..=MAX_LABELS).contains(&labels.len()) {
            let expected = "2 to 26 letters or digits that differ, not in case alone";
            return Err(Error::config("arms.labels", expected, format!("{:?}", self.labels)));
        }
        Ok(())
    }

    /// The arms of a scenario.
    pub fn arms_of(&self, scenario: &str) -> Vec<Arm> {
        let mut out = self.arms.clone();
        if self.combinations.iter().any(|name| name == scenario || name == ALL_SCENARIOS) {
            let more = LADDER.into_iter().chain(Arm::OFF_LADDER);
            out.extend(more.filter(|arm| !self.arms.contains(arm)));
        }
        out
    }

    /// Orders in which this many options are shown.
    pub fn orders_of(&self, options: usize) -> u32 {
        if self.orders == 0 { options as u32 } else { self.orders }
    }

    /// Character of every place, for this many options.
    ///
    /// # Errors
    /// [`Error::Config`] if there are too few.
    pub fn labels_of(&self, options: usize) -> Result<Vec<char>, Error> {
        let labels: Vec<char> = self.labels.chars().take(options).collect();
        if labels.len() < options {
            let expected = format!("at least {options}, one for each option");
            return Err(Error::config("arms.labels", expected, labels.len()));
        }
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        let some = ArmsConfig::default();
        some.validate().unwrap();
        let message = |config: ArmsConfig| config.validate().unwrap_err().to_string();
        assert_eq!(
            message(ArmsConfig { arms: vec![Arm::Q0, Arm::A3, Arm::Q0], ..some.clone() }),
            "arms.arms: expected arms that differ, found Q0 twice"
        );
        for bad in [
            ArmsConfig { arms: vec![], ..some.clone() },
            ArmsConfig { paraphrases: 0, ..some.clone() },
            ArmsConfig { labels: "AaB".to_owned(), ..some.clone() },
            ArmsConfig { labels: "A-".to_owned(), ..some.clone() },
            ArmsConfig { labels: "A".to_owned(), ..some.clone() },
        ] {
            assert!(message(bad).starts_with("arms."));
        }
        let wrong = ArmsConfig { combinations: vec!["hous".to_owned()], ..some.clone() };
        assert!(message(wrong).contains("scenario"));
        assert!(some.labels_of(13).unwrap_err().to_string().contains("at least 13"));
        assert_eq!((some.orders_of(4), ArmsConfig { orders: 2, ..some }.orders_of(4)), (4, 2));
    }

    #[test]
    fn combinations_are_those_that_are_missing() {
        let config = ArmsConfig {
            arms: vec![Arm::Q0, Arm::A3],
            combinations: vec!["household_management".to_owned()],
            ..ArmsConfig::default()
        };
        config.validate().unwrap();
        assert_eq!(config.arms_of("moral_flexibility"), [Arm::Q0, Arm::A3]);
        let mut arms = config.arms_of("household_management");
        arms.sort_unstable();
        arms.dedup();
        assert_eq!(arms.len(), 16);
        let all = ArmsConfig { combinations: vec![ALL_SCENARIOS.to_owned()], ..config };
        assert_eq!(all.arms_of("moral_flexibility").len(), 16);
    }
}
