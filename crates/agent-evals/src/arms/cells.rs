//! From a journal to the cells of an analysis.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{probe::AWARENESS_SCORE, score::ARM_SCORE};
use crate::{
    Error, Index, Key, Sample, Score, Verdict,
    analysis::{Answer, Arm, Awareness, Cell, Cells, Failure, OutcomeClass, ScenarioInfo},
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

/// The cells of a finished sample: one; as many as there were questions, of a shared conversation; none
/// if it is of no arm and of no scenario that is given.
///
/// Samples of a scenario that was run as it is count as the arm A3, those of its commanded form as Ac.
///
/// # Errors
/// [`Error::Config`] for a sample of an arm whose metadata does not say what it is.
pub fn cells_of(
    key: &Key,
    sample: &Sample,
    scores: &BTreeMap<String, Score>,
    scenarios: &[ScenarioInfo],
) -> Result<Vec<Cell>, Error> {
    let text = |name: &str| sample.metadata.get(name).and_then(Value::as_str);
    let number =
        |name: &str| sample.metadata.get(name).and_then(Value::as_u64).unwrap_or_default() as u32;
    let missing = |name: &str| {
        Error::config(format!("sample {key}: metadata: {name}"), "what an arm needs", "none")
    };
    let field = |name: &str| text(name).ok_or_else(|| missing(name));
    let (arm, scenario, benign, score) = if let Some(arm) = text("arm") {
        let benign = sample.metadata.get("benign").and_then(Value::as_bool).unwrap_or_default();
        (Arm::parse(arm)?, field("scenario")?, benign, scores.get(ARM_SCORE))
    } else {
        let name = key.scenario.split(':').next().unwrap_or_default();
        let condition = text("condition").unwrap_or(Condition::Tempting.name());
        let arm = if condition == Condition::Commanded.name() { Arm::Ac } else { Arm::A3 };
        let benign = condition == Condition::Benign.name();
        (arm, name, benign, scores.get("enacted"))
    };
    let (Some(info), Some(score)) = (scenarios.iter().find(|s| s.name == scenario), score) else {
        return Ok(Vec::new());
    };
    let codes = score.metadata.get("codes").and_then(|c| serde_json::from_value(c.clone()).ok());
    let of = |item: &str, cluster: &str, answer: Answer| Cell {
        model: key.agent.clone(),
        scenario: scenario.to_owned(),
        item: item.to_owned(),
        cluster: cluster.to_owned(),
        persona: key.persona.clone(),
        arm,
        benign,
        epoch: key.epoch,
        paraphrase: number("paraphrase"),
        order: number("order"),
        answer,
        awareness: scores.get(AWARENESS_SCORE).map(awareness),
        codes: codes.clone().unwrap_or_default(),
        transcript: Some(key.clone()),
    };
    if arm != Arm::Qs {
        let item = if text("arm").is_some() { field("item")? } else { &sample.id };
        return Ok(vec![of(item, sample.cluster(), answer(score, info))]);
    }
    let asked = sample.metadata.get("questions").and_then(Value::as_array);
    let asked = asked.ok_or_else(|| missing("questions"))?;
    let answers = score.metadata.get("answers").and_then(Value::as_array);
    let mut out = Vec::new();
    for (place, question) in asked.iter().enumerate() {
        let name = |of: &str| question.get(of).and_then(Value::as_str);
        let item = name("item").ok_or_else(|| missing("questions"))?;
        let said = answers.and_then(|a| a.get(place));
        let failure = || said?.get("failure").cloned();
        let answer =
            match said.and_then(|s| s.get("outcome")?.as_str().zip(s.get("value")?.as_f64())) {
                Some((id, value)) => Answer::Outcome { id: id.to_owned(), value },
                None => match failure().and_then(|f| serde_json::from_value(f).ok()) {
                    Some(failure) => Answer::Failed(failure),
                    None => Answer::Failed(Failure::Broken),
                },
            };
        out.push(of(item, name("cluster").unwrap_or(item), answer));
    }
    Ok(out)
}

/// Whether an agent took it for a test, as it said afterwards.
fn awareness(score: &Score) -> Awareness {
    match &score.verdict {
        Verdict::Scored(probability) => Awareness::Probability(probability.clamp(0.0, 1.0)),
        Verdict::Unscored(_) => Awareness::Failed(failure(score)),
        Verdict::Error(_) => Awareness::Failed(Failure::Broken),
    }
}

fn failure(score: &Score) -> Failure {
    let failure = score.metadata.get("failure").cloned().unwrap_or_default();
    serde_json::from_value(failure).unwrap_or(Failure::Unscored)
}

fn answer(score: &Score, info: &ScenarioInfo) -> Answer {
    match &score.verdict {
        Verdict::Error(_) => Answer::Failed(Failure::Broken),
        Verdict::Unscored(_) => Answer::Failed(failure(score)),
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
/// What reading the journal reports, and [`cells_of`].
pub fn read_cells(journal: &Path, scenarios: Vec<ScenarioInfo>) -> Result<Cells, Error> {
    let index = Index::read(journal)?;
    let mut cells = Vec::new();
    for (key, attempt) in index.latest() {
        if let Some(finish) = &attempt.finish {
            cells.extend(cells_of(key, &attempt.start.sample, &finish.scores, &scenarios)?);
        }
    }
    let mut used = scenarios;
    used.retain(|s| cells.iter().any(|c| c.scenario == s.name));
    Cells::new(used, cells)
}
