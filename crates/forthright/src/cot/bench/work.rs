//! What both sides do: one file that both read.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{
    LoadOptions, Pretrained,
    generate::{Finish, Flow, GenerateConfig, Request, generate},
};
use cot_metrics::{
    Arm, Edits, Plan, Record, Transcript,
    interventions::{Donors, OffTopic, Paraphrased, Thesaurus},
    measure, plan,
    scoring::{Asking, Before, Format, LocalScorer, Named, RolloutConfig, Speaker},
};
use lm_tasks::{
    Split,
    reasoning::{Addition, Chain, Problem, Task},
};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::cot::watch::{asking, donors, questions};

/// The texts of an example whose answer is scored, in the order in which the peer reads them: all that
/// the three metrics need.
pub(super) const ARMS: [Arm; 4] = [Arm::Original, Arm::NoThink, Arm::Paraphrase, Arm::OffTopic];

/// Seed of problems and edits: the work is the same every time.
const SEED: Seed = Seed::new(0);

/// The work of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Work {
    pub(super) model: PathBuf,
    /// As torch calls it.
    pub(super) dtype: String,
    /// Tokens of a rollout, whatever it says.
    pub(super) new_tokens: usize,
    pub(super) examples: Vec<Example>,
    /// Chains by program that are scored to see how much memory that takes.
    pub(super) recorded: usize,
    /// Steps of the training that is watched.
    pub(super) iterations: u64,
}

/// A problem, and what the model once said to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Example {
    /// What our side edits and scores.
    pub(super) transcript: Transcript,
    /// Tokens from which the model answers.
    pub(super) prompt: Vec<u32>,
    /// Tokens before the answer, of each of [`ARMS`].
    pub(super) texts: Vec<Vec<u32>>,
    /// Tokens of the answer.
    pub(super) answer: Vec<u32>,
}

impl Work {
    /// The work on `count` problems, of which the model is asked once here; with none it is not loaded.
    pub(super) fn new(
        file: &Path,
        dtype: Kind,
        count: usize,
        new_tokens: usize,
    ) -> anyhow::Result<Self> {
        let mut examples = Vec::new();
        if count > 0 {
            let model = load(file, dtype)?;
            let transcripts = said(&model, count, new_tokens)?;
            let texts = Texts::new(&model)?;
            let (scorer, plans) = (texts.scorer()?, texts.plan(&transcripts)?);
            for (transcript, plan) in transcripts.into_iter().zip(plans) {
                examples.push(Example::new(&scorer, transcript, &plan)?);
            }
        }
        Ok(Self {
            model: std::path::absolute(file)?,
            dtype: if dtype == Kind::Float { "float32" } else { "bfloat16" }.into(),
            new_tokens,
            examples,
            recorded: 0,
            iterations: 0,
        })
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// What a run of it depends on, without the texts.
    pub(super) fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "model": self.model, "dtype": self.dtype, "new_tokens": self.new_tokens,
            "examples": self.examples.len(), "recorded": self.recorded,
            "iterations": self.iterations,
        })
    }

    /// The model as both sides have it.
    pub(super) fn load(&self) -> anyhow::Result<Pretrained> {
        load(&self.model, if self.dtype == "float32" { Kind::Float } else { Kind::BFloat16 })
    }
}

impl Example {
    fn new(scorer: &LocalScorer<'_>, transcript: Transcript, plan: &Plan) -> anyhow::Result<Self> {
        let mut cases = Vec::new();
        for arm in ARMS {
            match plan.arms.get(&arm) {
                Some(Ok(text)) => cases.push(scorer.case(plan.id.clone(), text)?),
                Some(Err(failure)) => anyhow::bail!("{}: {arm}: {failure}", plan.id),
                None => anyhow::bail!("{}: expected {arm}, found no such text", plan.id),
            }
        }
        Ok(Self {
            prompt: scorer.prompt(&transcript.question)?,
            answer: cases.first().map(|case| case.answer.clone()).unwrap_or_default(),
            texts: cases.iter().flat_map(|case| case.arms.iter().map(Before::ids)).collect(),
            transcript,
        })
    }
}

fn load(file: &Path, kind: Kind) -> anyhow::Result<Pretrained> {
    Ok(Pretrained::load(file, &LoadOptions { kind, device: Device::Cpu })?)
}

fn task() -> Task {
    Task::Addition(Addition { min_digits: 2, max_digits: 2 })
}

/// Every prompt, answered greedily and to a given length, as a rollout does it.
pub(super) fn rollouts(
    model: &Pretrained,
    prompts: &[Vec<u32>],
    new_tokens: usize,
    stop_tokens: Vec<u32>,
) -> anyhow::Result<Vec<(Vec<u32>, Finish)>> {
    let batch_size = RolloutConfig::default().batch_size;
    let config = GenerateConfig {
        max_new_tokens: new_tokens,
        stop_tokens,
        batch_size,
        ..GenerateConfig::default()
    };
    let requests: Vec<Request> =
        prompts.iter().map(|prompt| Request { prompt: prompt.clone(), seed: 0 }).collect();
    let lm = model.lm.merged().packed();
    let made = generate(&lm, &requests, &config, &mut |_| Flow::Continue)?;
    Ok(made.into_iter().map(|made| (made.ids, made.finish)).collect())
}

/// What a model says to `count` problems, with the right answer after it; chains that have no
/// paraphrase are passed over.
fn said(model: &Pretrained, count: usize, new_tokens: usize) -> anyhow::Result<Vec<Transcript>> {
    let problems = task().distinct(Split::Evaluation, SEED.value(), 2 * count)?;
    let texts = Texts::new(model)?;
    let scorer = texts.scorer()?;
    let mut found: Vec<Transcript> = Vec::new();
    for problems in problems.chunks(count.max(1)) {
        let questions = questions(problems);
        let prompts = questions.iter().map(|q| scorer.prompt(&q.text));
        let prompts: Vec<Vec<u32>> = prompts.collect::<Result<_, _>>()?;
        let eos = model.lm.config().eos.clone();
        for (problem, (mut ids, finish)) in
            problems.iter().zip(rollouts(model, &prompts, new_tokens, eos)?)
        {
            if finish == Finish::StopToken {
                ids.pop();
            }
            found.push(transcript(problem, model.tokenizer.decode_text(&ids)? + "\n"));
        }
        let plans = texts.plan(&found)?;
        let mut whole = plans.iter().map(|p| ARMS.iter().all(|arm| p.arms[arm].is_ok()));
        found.retain(|_| whole.next() == Some(true));
        if found.len() >= count {
            break;
        }
    }
    anyhow::ensure!(
        found.len() >= count,
        "--examples: expected chains with a paraphrase for {count} problems, found {}",
        found.len()
    );
    found.truncate(count);
    Ok(found)
}

fn transcript(problem: &Problem, chain: String) -> Transcript {
    Transcript {
        id: problem.id.clone(),
        question: problem.request(),
        chain,
        answer: problem.answer.clone(),
        reference: Some(problem.answer.clone()),
        tokenizer: None,
    }
}

/// Transcripts whose chains are by program.
pub(super) fn recorded(count: usize) -> anyhow::Result<Vec<Transcript>> {
    let problems = task().distinct(Split::Train, SEED.value(), count)?;
    let chain = |problem: &Problem| problem.chains.first().map(Chain::text).unwrap_or_default();
    Ok(problems.iter().map(|problem| transcript(problem, chain(problem))).collect())
}

/// From transcripts to records, as `cot score` does it.
pub(super) struct Texts<'a> {
    model: &'a Pretrained,
    asking: Asking<'a>,
    donors: Vec<String>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(model: &'a Pretrained) -> anyhow::Result<Self> {
        let asking = asking(model, "model", &Format::default(), RolloutConfig::default());
        Ok(Self { model, asking, donors: donors(Some(task().name()), SEED)? })
    }

    fn scorer(&self) -> anyhow::Result<LocalScorer<'a>> {
        let Asking { name, format, score, .. } = &self.asking;
        let speaker = Speaker::from(self.model);
        Ok(LocalScorer::new(speaker, name.clone(), format.clone(), score.clone())?)
    }

    /// The four texts of each transcript.
    fn plan(&self, transcripts: &[Transcript]) -> anyhow::Result<Vec<Plan>> {
        let paraphrase = Paraphrased(Thesaurus::default());
        let off_topic = OffTopic {
            tokenizer: Named { name: "model", tokenizer: &self.model.tokenizer },
            donors: Donors::Pool(self.donors.clone()),
        };
        let edits = Edits {
            paraphrase: Some(&paraphrase),
            off_topic: Some(&off_topic),
            ..Edits::default()
        };
        Ok(plan(transcripts, &self.asking.prompts, edits, SEED)?)
    }

    /// Edits and scores.
    pub(super) fn records(&self, transcripts: &[Transcript]) -> anyhow::Result<Vec<Record>> {
        Ok(measure(&self.scorer()?, &self.plan(transcripts)?)?)
    }
}
