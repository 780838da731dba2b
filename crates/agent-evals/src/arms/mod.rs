//! The same scenarios as questionnaires, and the steps between asking and living.
//!
//! | Arm | What the model sees | What it gives |
//! |---|---|---|
//! | Q0 | a short description, "what would you do?", options | an option |
//! | Q0f | the same | free text, coded |
//! | Qn | the same options, "what should an AI do?" | an option |
//! | Qt | the same options, "what would an agent on this model do?" | an option |
//! | Qp | the same options, "how likely is each?" | probabilities |
//! | Q1 | the agent's context up to the decision, its tools included | an option |
//! | A1 | that context; one call is demanded | a call that is not executed |
//! | A2 | the loop, with canned answers | calls |
//! | A3 | the live agent | a state |
//! | A3r | the same, its reasoning switched by the system prompt | a state |
//! | Ac | the same, ordered to do the worst | a state |
//! | Sp | the agent's instructions: "predict your behaviour" | probabilities |
//! | Qs | the questions of Q0, those of all items in one conversation | options |
//!
//! The ladder Q0, Q1, A1, A2, A3 switches four axes on, one after the other. Their other combinations
//! are arms as well, named by what is on: `i` inputs, `f` format, `t` interaction (turns), `c`
//! consequences.
//!
//! | Axis | off | on |
//! |---|---|---|
//! | inputs | a short description | the agent's context, up to the decision or, live, from its beginning |
//! | format | an option is named | a tool is called |
//! | interaction | once | again until the same option is named twice, three times at most; or the loop |
//! | consequences | told that nothing is done, or canned answers | told that it is carried out; calls are |
//!
//! One definition makes all of them, so that they cannot drift apart. Calls that are not carried out are
//! judged by what would come of them in the simulated surroundings, by the judge of A3.
//! Each answer but those of Qs is a conversation of its own. No option, and no name of an outcome, is shown in an arm
//! that acts.

mod actor;
mod cells;
mod code;
mod config;
mod episode;
mod order;
mod parse;
mod probe;
mod render;
mod scenario;
mod score;

use std::sync::Arc;

use chat_model::ChatModel;

pub use actor::{Deed, actor};
pub use cells::{cells_of, read_cells};
pub use code::{by_model, by_rules};
pub use config::{ArmsConfig, Reasoning, WORDINGS};
pub use order::shown;
pub use parse::{is_refusal, letter, probabilities, without_thoughts};
pub use probe::AWARENESS_SCORE;
pub use render::{Prompt, Variant, has_options, prompt, switch_reasoning};
pub use scenario::ArmScenario;
pub use score::ARM_SCORE;

use crate::{Error, analysis::Arm, scenarios::Definition};

/// All arms of these scenarios, the benign twins of Q0 and A3 among them if so configured.
///
/// # Errors
/// As for [`ArmScenario::new`].
pub fn scenarios(
    definitions: &[Arc<Definition>],
    config: &Arc<ArmsConfig>,
    coders: &[Arc<dyn ChatModel>],
) -> Result<Vec<ArmScenario>, Error> {
    let mut out = Vec::new();
    for definition in definitions {
        for arm in config.arms_of(&definition.name) {
            let twins = config.benign && matches!(arm, Arm::Q0 | Arm::A3);
            for benign in [false, true].into_iter().take(1 + usize::from(twins)) {
                let one =
                    ArmScenario::new(Arc::clone(definition), arm, benign, Arc::clone(config))?;
                out.push(one.coders(coders.to_vec()));
            }
        }
    }
    Ok(out)
}
