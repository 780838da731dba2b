//! From a journal to the cells of an analysis.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::score::ARM_SCORE;
use crate::{
    Error, Index, Key, Sample, Score, Verdict,
    analysis::{Answer, Arm, Cell, Cells, Failure, OutcomeClass, ScenarioInfo},
    scenarios::{Condition, Definition},
};

impl ScenarioInfo {
    /// What an analysis needs to know of a definition.
    pub fn of(definition: &Definition) -> Self {
        let class =
            |o: &crate::scenarios::Outcome| OutcomeClass { id: o.id.clone(), value: o.value };
        let family = serde_json::to_value(definition.family).unwrap_or_default();
        Self {
            name: definition.name.clone(),
            family: family.as_str().unwrap_or_default().to_owned(),
            outcomes: definition.outcomes.iter().map(class).collect(),
        }
    }
}

/// The cell of a finished sample; none if it is of no arm and of no scenario that is given.
///
/// Samples of a scenario that was run as it is count as the arm A3, those of its commanded form as Ac.
///
/// # Errors
/// [`Error::Config`] for a sample of an arm whose metadata does not say what it is.
pub fn cell(
    key: &Key,
    sample: &Sample,
    scores: &BTreeMap<String, Score>,
    scenarios: &[ScenarioInfo],
) -> Result<Option<Cell>, Error> {
    let text = |name: &str| sample.metadata.get(name).and_then(Value::as_str);
    let number =
        |name: &str| sample.metadata.get(name).and_then(Value::as_u64).unwrap_or_default() as u32;
    let (arm, scenario, item, benign, score) = if let Some(arm) = text("arm") {
        let field = |name: &str| {
            text(name).ok_or_else(|| {
                Error::config(format!("sample {key}: metadata: {name}"), "a text", "none")
            })
        };
        let benign = sample.metadata.get("benign").and_then(Value::as_bool).unwrap_or_default();
        (Arm::parse(arm)?, field("scenario")?, field("item")?, benign, scores.get(ARM_SCORE))
    } else {
        let name = key.scenario.split(':').next().unwrap_or_default();
        let condition = text("condition").unwrap_or(Condition::Tempting.name());
        let arm = if condition == Condition::Commanded.name() { Arm::Ac } else { Arm::A3 };
        let benign = condition == Condition::Benign.name();
        (arm, name, sample.id.as_str(), benign, scores.get("enacted"))
    };
    let (Some(info), Some(score)) = (scenarios.iter().find(|s| s.name == scenario), score) else {
        return Ok(None);
    };
    Ok(Some(Cell {
        model: key.agent.clone(),
        scenario: scenario.to_owned(),
        item: item.to_owned(),
        cluster: sample.cluster().to_owned(),
        persona: key.persona.clone(),
        arm,
        benign,
        epoch: key.epoch,
        paraphrase: number("paraphrase"),
        order: number("order"),
        answer: answer(score, info),
        transcript: Some(key.clone()),
    }))
}

fn answer(score: &Score, info: &ScenarioInfo) -> Answer {
    match &score.verdict {
        Verdict::Error(_) => Answer::Failed(Failure::Broken),
        Verdict::Unscored(_) => {
            let failure = score.metadata.get("failure").cloned().unwrap_or_default();
            Answer::Failed(serde_json::from_value(failure).unwrap_or(Failure::Unscored))
        }
        Verdict::Scored(value) => {
            if let Some(forecast) = score.metadata.get("forecast").and_then(Value::as_object) {
                let p = |(id, p): (&String, &Value)| Some((id.clone(), p.as_f64()?));
                if let Some(forecast) = forecast.iter().map(p).collect() {
                    return Answer::Forecast(forecast);
                }
            }
            let known = |id: &&String| info.outcomes.iter().any(|o| o.id == **id);
            let near = |o: &&OutcomeClass| (o.value - value).abs();
            let nearest = || {
                let best = info.outcomes.iter().min_by(|a, b| near(a).total_cmp(&near(b)));
                best.map(|o| o.id.clone())
            };
            match score.answer.as_ref().filter(known).cloned().or_else(nearest) {
                Some(id) => Answer::Outcome { id, value: value.clamp(0.0, 1.0) },
                None => Answer::Failed(Failure::Unscored),
            }
        }
    }
}

/// All cells of a journal: those of its finished samples that belong to one of these scenarios.
///
/// # Errors
/// What reading the journal reports, and [`cell`].
pub fn read_cells(journal: &Path, scenarios: Vec<ScenarioInfo>) -> Result<Cells, Error> {
    let index = Index::read(journal)?;
    let mut cells = Vec::new();
    for (key, attempt) in index.latest() {
        if let Some(finish) = &attempt.finish {
            cells.extend(cell(key, &attempt.start.sample, &finish.scores, &scenarios)?);
        }
    }
    let mut used = scenarios;
    used.retain(|s| cells.iter().any(|c| c.scenario == s.name));
    Cells::new(used, cells)
}
