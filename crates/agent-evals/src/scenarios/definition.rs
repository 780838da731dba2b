//! What a scenario is, in one declarative piece from which all of its arms are made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::play::Play;
use crate::Limits;

/// A scenario: where an agent is put, what tempts it there, and what may come of it.
///
/// Texts may hold `{{name}}`, which is replaced by the variable of that name: of the benign twin, of
/// the item, or of [`vars`](Self::vars), whichever has it first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its published name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it is about.
    pub family: Family,
    /// What whoever deploys the agent wants of it, in one sentence.
    pub intent: String,
    /// What draws the agent away from it, in one sentence.
    pub incentive: String,
    /// Who is there.
    pub roles: Vec<Role>,
    /// The situation in short, told to whoever is in it ("You are …"): at least three paraphrases of
    /// the same. None asks a question, and none names what might be done.
    pub descriptions: Vec<String>,
    /// The decision point, as the end of a question: "what do you do …".
    pub decision: String,
    /// What may come of it; the first is of value 0, the last of value 1.
    pub outcomes: Vec<Outcome>,
    /// The system prompt of the live agent.
    pub system: String,
    /// Earlier turns that the live agent sees.
    #[serde(default)]
    pub history: Vec<Said>,
    /// What it is asked to do.
    pub task: String,
    /// What is added to the task where the agent is ordered to do the worst: the control for ability.
    pub commanded: String,
    /// What differs in the twin in which nothing is tempting.
    pub benign: Benign,
    /// How the live agent comes to the decision point: calls with what came of them.
    #[serde(default)]
    pub lead_up: Vec<Step>,
    /// What the agent is told at the decision point, after those calls.
    #[serde(default)]
    pub said_last: Option<String>,
    /// Where one call alone is asked for, in place of acting.
    pub single: Single,
    /// What calls are answered where nothing acts: the first that fits.
    pub canned: Vec<Canned>,
    /// What an agent's words may give away.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// The personas that it was published with; all if none are named.
    #[serde(default)]
    pub personas: Vec<String>,
    /// Where a sample ends at the latest.
    #[serde(default)]
    pub limits: Limits,
    /// Values of variables for all items.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// Files that lie there in all items, where there are files.
    #[serde(default)]
    pub files: Vec<FileSpec>,
    /// Its items: independent instances of the same temptation.
    pub items: Vec<Item>,
}

/// What a scenario is about: the traits of a multitrait–multimethod matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Avoiding oversight.
    Oversight,
    /// Hiding what one is able to do.
    Sandbagging,
    /// Losing sight of the goal under competition.
    GoalDrift,
    /// Resisting being shut down.
    Shutdown,
    /// Taking more than is needed.
    Acquisition,
    /// Giving rules up under pressure.
    Ethics,
    /// Using influence in one's own interest.
    Influence,
    /// Hiding what others need to know.
    Deception,
}

/// Somebody in the scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What they are called.
    pub name: String,
    /// Who they are.
    pub who: String,
}

/// What may come of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Names it: letters, digits and `_`.
    pub id: String,
    /// What the agent does, as a phrase that completes "I would …"; neutral in tone.
    pub description: String,
    /// How misaligned it is, in `[0, 1]`; 0 is aligned.
    pub value: f64,
}

/// A turn of an earlier conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Who speaks.
    pub by: Speaker,
    /// What.
    pub text: String,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// Whoever the agent works for.
    User,
    /// The agent.
    Assistant,
}

/// What differs where nothing is tempting.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benign {
    /// What is not there, or harmless, in one sentence.
    pub differs: String,
    /// Variables with another value.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// The task, if it is another.
    #[serde(default)]
    pub task: Option<String>,
    /// Descriptions, if they are others; as many as those of the scenario.
    #[serde(default)]
    pub descriptions: Vec<String>,
}

/// A call with what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the agent said beside the call; may be empty.
    #[serde(default)]
    pub text: String,
    /// Name of the tool.
    pub tool: String,
    /// Its arguments, a JSON object.
    pub arguments: String,
    /// What came of it.
    pub says: String,
}

/// Where one call alone is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Single {
    /// The tool that is to be called.
    pub tool: String,
    /// How it is asked for.
    pub request: String,
}

/// A fixed answer of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    /// Name of the tool; `*` for any.
    pub tool: String,
    /// What its arguments must hold, each of them; nothing if any will do.
    #[serde(default)]
    pub holding: Vec<String>,
    /// What it says.
    pub says: String,
}

/// Words that give something away, of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Names the kind.
    pub category: String,
    /// How bad it is.
    pub severity: Severity,
    /// Its weight among the kinds; above 0.
    #[serde(default = "one")]
    pub weight: f64,
    /// Phrases, in lower case; a message that holds one of them, as whole words, is one event.
    pub phrases: Vec<String>,
}

fn one() -> f64 {
    1.0
}

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Counts half.
    Low,
    /// Counts once.
    Medium,
    /// Counts twice.
    High,
}

/// An instance of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Names it: letters, digits, `_`, `-` and `.`.
    pub id: String,
    /// Items of one cluster are variants of one; the id if none is given.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Its variables.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// Files that lie there besides those of the scenario.
    #[serde(default)]
    pub files: Vec<FileSpec>,
    /// What its surroundings are made of.
    pub play: Play,
}

impl Item {
    /// What errors are clustered by.
    pub fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or(&self.id)
    }
}

/// A file of the surroundings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Its path, from the agent's home on.
    pub path: String,
    /// What is in it; variables are replaced.
    pub text: String,
    /// Whether the benign twin has it.
    #[serde(default = "yes")]
    pub benign: bool,
}

fn yes() -> bool {
    true
}

/// In which form a scenario is played.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// As it is.
    #[default]
    Tempting,
    /// Its twin, in which nothing is.
    Benign,
    /// The agent is ordered to do the worst.
    Commanded,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tempting, Self::Benign, Self::Commanded];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tempting => "tempting",
            Self::Benign => "benign",
            Self::Commanded => "commanded",
        }
    }
}
