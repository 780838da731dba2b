//! Chains of thought watched while a policy is trained by others.

use causal_lm::{CausalLm, Pretrained, chat::ChatTemplate};
use cot_metrics::{
    Edits, Prompts, Record, Transcript,
    interventions::{Donors, OffTopic, Paraphrased, Thesaurus},
    monitor::{Alert, CotMonitor, MonitorConfig},
    scoring::{Asking, Format, Named, Question, RolloutConfig, ScoreConfig},
};
use lm_tasks::{
    Split,
    reasoning::{Form, Problem, Task},
};
use rl_core::{monitor::MonitorError, run::LineWriter, seed::Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{session::Session, terminal::note};

/// What is asked of a policy in training, and when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WatchConfig {
    /// When it is measured, and what raises an alert.
    pub(crate) monitor: MonitorConfig,
    /// What stands around chains.
    pub(crate) format: Format,
    /// Longest answer, chain and all, in tokens.
    pub(crate) max_new_tokens: Option<usize>,
}

/// Tokens of an answer where nothing else is said.
const MAX_NEW_TOKENS: usize = 128;
/// Tokens of an answer that is asked for where none is marked.
const FORCED_TOKENS: usize = 24;
/// Chains of another task that take the place of a policy's own.
const DONORS: usize = 64;

/// Chains about something else than `task`.
pub(crate) fn donors(task: Option<&str>, seed: Seed) -> anyhow::Result<Vec<String>> {
    let other = if task == Some("word_problems") { "false_belief" } else { "word_problems" };
    let other = Task::named(other)?;
    let seed = seed.derive("donors", 0).value();
    let problems = (0..DONORS as u64).map(|i| other.problem(Split::Train, seed, i));
    let chain = |problem: Result<Problem, _>| -> anyhow::Result<String> {
        Ok(problem?.chains.first().map(lm_tasks::reasoning::Chain::text).unwrap_or_default())
    };
    problems.map(chain).collect()
}

/// Questions of held-out problems.
pub(crate) fn questions(problems: &[Problem]) -> Vec<Question> {
    let question = |problem: &Problem| Question {
        id: problem.id.clone(),
        text: problem.request(),
        reference: Some(problem.answer.clone()),
    };
    problems.iter().map(question).collect()
}

/// How questions are asked of `model`, and of whatever is made of it.
pub(crate) fn asking<'a>(
    model: &'a Pretrained,
    name: &str,
    format: &Format,
    rollout: RolloutConfig,
) -> Asking<'a> {
    Asking {
        tokenizer: &model.tokenizer,
        template: model.chat_template.as_ref(),
        name: name.to_owned(),
        format: format.clone(),
        rollout,
        score: ScoreConfig::default(),
        prompts: Prompts::default(),
        forced_tokens: FORCED_TOKENS,
    }
}

/// The file of alerts; a run that goes on keeps those up to its checkpoint.
pub(crate) fn alerts(session: &Session, resume: bool) -> anyhow::Result<LineWriter> {
    let checkpoint = if resume { session.dir.latest_checkpoint()? } else { None };
    let step = checkpoint.map_or(0, |checkpoint| checkpoint.step);
    Ok(session.dir.resume_lines("alerts.jsonl", step)?)
}

/// What a training begins with.
pub(crate) struct Begun<'a, 'm, P> {
    /// Held-out questions.
    pub(crate) questions: Vec<Question>,
    /// The problems that they are, where they are any: a problem knows in how many ways its answer can be
    /// spelled.
    pub(crate) problems: Vec<Problem>,
    /// The chat template in which the training's own prompts are read, if they are read in one.
    pub(crate) template: Option<&'m ChatTemplate>,
    /// The policy before its first step.
    pub(crate) policy: &'a P,
}

/// Says of each record whether its problem takes the answer for right.
pub(crate) fn verify(
    records: &mut [Record],
    problems: &[Problem],
    transcripts: &[Transcript],
    format: &Format,
) {
    for record in records {
        let problem = problems.iter().find(|problem| problem.id == record.id);
        let transcript = transcripts.iter().find(|transcript| transcript.id == record.id);
        let Some((problem, said)) = problem.zip(transcript) else { continue };
        let response = match problem.form {
            // The answer is read off the end of the chain.
            Form::LastSum { .. } => format!("{}{}{}", said.chain, format.close, said.answer),
            form => form.closing(&said.answer),
        };
        record.correct = Some(problem.verify(&response).is_right());
    }
}

/// A monitor of a policy of type `P`, whose model `lm_of` gives; alerts go to standard error and into
/// `alerts`.
pub(crate) fn monitor<'a, P: 'a>(
    config: &WatchConfig,
    model: &'a Pretrained,
    begun: Begun<'_, 'a, P>,
    lm_of: impl Fn(&P) -> CausalLm + 'a,
    mut alerts: LineWriter,
    seed: Seed,
) -> anyhow::Result<CotMonitor<'a, P>> {
    let rollout = RolloutConfig {
        max_new_tokens: config.max_new_tokens.unwrap_or(MAX_NEW_TOKENS),
        seed: seed.value(),
        ..RolloutConfig::default()
    };
    let asking =
        Asking { template: begun.template, ..asking(model, "policy", &config.format, rollout) };
    let problems = begun.problems;
    let off_topic = OffTopic {
        tokenizer: Named { name: "policy", tokenizer: &model.tokenizer },
        donors: Donors::Pool(donors(None, seed)?),
    };
    let paraphrase = Paraphrased(Thesaurus::default());
    let questions: Vec<Question> =
        begun.questions.into_iter().take(config.monitor.questions).collect();
    let probe = move |policy: &P| {
        let lm = lm_of(policy);
        let said = asking.ask(&lm, &questions).map_err(MonitorError::new)?;
        let edits = Edits {
            paraphrase: Some(&paraphrase),
            off_topic: Some(&off_topic),
            ..Edits::default()
        };
        let records = asking.records(&lm, &said.transcripts, edits, seed);
        let mut records = records.map_err(MonitorError::new)?;
        verify(&mut records, &problems, &said.transcripts, &asking.format);
        Ok(records)
    };
    let on_alert = move |alert: &Alert| {
        note(format_args!("warning: {}", sentence(alert)));
        if let Err(error) = alerts.push(&json!(alert)) {
            note(format_args!("warning: {error}"));
        }
    };
    Ok(CotMonitor::new(&config.monitor, begun.policy, probe, on_alert)?)
}

/// An alert in words.
pub(crate) fn sentence(alert: &Alert) -> String {
    let [low, high] = alert.fall.interval;
    let accuracy = alert.accuracy.map_or_else(String::new, |[before, now]| {
        format!("; accuracy {before:.2} at the start, {now:.2} now")
    });
    let ids: Vec<&str> = alert.evidence.iter().map(|moved| moved.id.as_str()).collect();
    format!(
        "step {}: {} of the chains of thought has fallen by {:.2} [{low:.2}, {high:.2}] since the \
         start, over {} questions{accuracy}; most in {}",
        alert.step,
        alert.metric,
        alert.fall.value,
        alert.fall.n,
        ids.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_verify_answers_in_all_their_spellings() {
        let problem = |task: &str| Task::named(task).unwrap().problem(Split::Train, 0, 0).unwrap();
        let right = |problem: &Problem, chain: &str, answer: &str, format: &Format| {
            let id = || problem.id.clone();
            let (chain, answer) = (chain.to_owned(), answer.to_owned());
            let said = Transcript { id: id(), chain, answer, ..Transcript::default() };
            let mut records = [Record { id: id(), ..Record::default() }];
            verify(&mut records, std::slice::from_ref(problem), &[said], format);
            records[0].correct
        };
        let (words, plain) = (problem("addition"), Format::default());
        assert_eq!(right(&words, "So.\n", &format!("{}.0", words.answer), &plain), Some(true));
        assert_eq!(right(&words, "So.\n", "no number", &plain), Some(false));
        // Whatever stands around the chain.
        assert_eq!(right(&words, "So.", &words.answer, &Format::thinking()), Some(true));
        let sum = problem("running_sum");
        let (chain, answer) = sum.chains[0]
            .text()
            .rsplit_once('=')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let equals = Format { close: "=".into(), ..Format::default() };
        assert_eq!(right(&sum, &chain, &answer, &equals), Some(true));
        assert_eq!(right(&sum, &chain, &format!("9{answer}"), &equals), Some(false));
        // Of other questions nothing is known.
        let mut records = [Record { id: "other".into(), ..Record::default() }];
        verify(&mut records, &[words], &[], &plain);
        assert_eq!(records[0].correct, None);
    }
}
