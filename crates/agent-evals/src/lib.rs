#![doc = include_str!("../README.md")]

mod agent;
pub mod analysis;
pub mod arms;
mod error;
mod event;
pub mod inspect;
pub mod journal;
mod limits;
mod party;
mod persona;
mod replay;
pub mod report;
mod run;
#[cfg(target_os = "linux")]
pub mod sandbox;
mod scenario;
mod scenario_file;
pub mod scenarios;
mod scorer;
pub mod tool;
mod trace;
mod verdict;
pub mod view;

pub use agent::{Agent, AgentConfig, CallFormat};
pub use error::Error;
pub use event::{Begin, Ending, Event, Reply, What};
pub use journal::{Attempt, Finish, Finished, FinishedIter, Index, Journal, PlanInfo, Start};
pub use limits::{LimitKind, Limits, Price, Reached, Spent};
pub use party::{Counterpart, ModelParty, ScriptedParty};
pub use persona::Persona;
pub use replay::rescore;
pub use run::{Again, Observer, Plan, Progress, Stopper, nearest};
pub use scenario::{Episode, Key, Next, Sample, Scenario, Turn};
pub use scenario_file::{FileRule, FileScenario, FileScorer, FileTool};
pub use scorer::{FunctionScorer, Scorer};
pub use tool::{FunctionTool, Memory, Refusal, Tool, ToolOutcome};
pub use trace::Trace;
pub use verdict::{Score, Verdict};
