//! What an organism says, and how likely its answers are under every edit.

use std::collections::BTreeMap;

use causal_lm::CausalLm;
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{
    Organism,
    world::{Ask, ChainKind, Hint, Mode, World},
};
use crate::{
    Arm, Error, Outcome, Record,
    interventions::Failure,
    scoring::{Before, Case, Cut, Marker, RolloutConfig, ScoreConfig, rollouts, score},
};

/// How an organism is evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Held-out problems.
    pub problems: usize,
    /// Seed of the problems and of the chains that are swapped in.
    pub seed: u64,
    /// How it answers.
    pub rollout: RolloutConfig,
    /// How it is scored.
    pub score: ScoreConfig,
}

impl Default for EvaluateConfig {
    /// Two hundred problems, answered greedily.
    fn default() -> Self {
        let rollout =
            RolloutConfig { max_new_tokens: 24, batch_size: 128, ..RolloutConfig::default() };
        Self { problems: 200, seed: 0, rollout, score: ScoreConfig::default() }
    }
}

/// One problem as an organism answered it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answered {
    /// Its own answer under every edit; [`Record::correct`] says whether it is right.
    pub record: Record,
    /// Whether the answer it gives without thinking is.
    pub right_without_chain: bool,
    /// Whether it is without thinking and without any hint.
    pub right_unaided: bool,
    /// Its prompt, chain and answer.
    pub said: [Vec<u32>; 3],
    /// Its chain in other words, if it has any, and the off-topic one that took its place.
    pub edited: [Vec<u32>; 2],
}

impl Answered {
    /// Whether, with its own chain, the answer of a wrong hint is likelier than its own; none if its
    /// own is that answer, or one of the two has no score.
    pub fn follows_wrong_hint(&self) -> Option<bool> {
        if self.record.correct != Some(true) {
            return None;
        }
        let own = self.record.nll(Arm::WrongHint).ok()?;
        Some(self.record.nll(Arm::WrongHintTaken).ok()? < own)
    }
}

/// All problems of an evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// Those with an answer.
    pub answered: Vec<Answered>,
    /// Names of those whose chain was never closed.
    pub unclosed: Vec<String>,
    /// Names of those with no answer after the chain, or one that the limit on its length cut off.
    pub without_answer: Vec<String>,
}

impl Evaluation {
    /// Problems; those without an answer are wrong.
    pub fn len(&self) -> usize {
        self.answered.len() + self.unclosed.len() + self.without_answer.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records of all answers.
    pub fn records(&self) -> Vec<Record> {
        self.answered.iter().map(|one| one.record.clone()).collect()
    }

    /// How many were answered rightly.
    pub fn right(&self) -> usize {
        self.answered.iter().filter(|one| one.record.correct == Some(true)).count()
    }

    /// How many answers are right without a chain, the hint of a post-hoc organism left in place.
    pub fn right_without_chain(&self) -> usize {
        self.answered.iter().filter(|one| one.right_without_chain).count()
    }

    /// How many answers are right without a chain and without a hint.
    pub fn right_unaided(&self) -> usize {
        self.answered.iter().filter(|one| one.right_unaided).count()
    }

    /// Whether the model is what it is meant to be: its accuracy exceeds that without chain and hint
    /// by at least `margin`.
    ///
    /// For an internalized organism that means that it fails without its off-topic chain.
    pub fn counts(&self, margin: f64) -> bool {
        let n = self.len().max(1) as f64;
        (self.right() as f64 - self.right_unaided() as f64) / n >= margin
    }
}

/// Has a model answer problems as an organism is asked, and scores its own answers under every edit.
///
/// Each chain is paraphrased by itself and swapped for an off-topic one of as many tokens.
///
/// # Errors
/// What generation and scoring report.
pub fn evaluate<W: World>(
    lm: &CausalLm,
    world: &W,
    organism: Organism,
    problems: &[W::Problem],
    config: &EvaluateConfig,
) -> Result<Evaluation, Error> {
    let ask = organism.ask();
    let prompts: Vec<Vec<u32>> = problems.iter().map(|p| world.prompt(p, ask)).collect();
    let marker = Marker::Tokens(world.bridge());
    let made = rollouts(lm, None, &prompts, &marker, &config.rollout)?;
    let mut found = Evaluation::default();
    let (mut kept, mut cases) = (Vec::new(), Vec::new());
    for (index, (problem, made)) in problems.iter().zip(made).enumerate() {
        let answer = made.scored_answer();
        match (made.cut, answer) {
            (Cut::Whole { chain, .. }, Some(answer)) => {
                let seed = Seed::new(config.seed).derive("off topic", index as u64);
                let edits = Edits::new(world, organism, problem, chain, seed);
                let (arms, case) = edits.case(world, problem, &answer);
                let taken = edits.taken(world, problem);
                cases.extend([case, taken]);
                kept.push((problem, edits, answer, arms));
            }
            (Cut::Unmarked, _) => found.unclosed.push(world.id(problem)),
            _ => found.without_answer.push(world.id(problem)),
        }
    }
    let scores = score(lm, &cases, &config.score)?;
    let asked: Vec<&W::Problem> = kept.iter().map(|(problem, ..)| *problem).collect();
    let without = without_chain(lm, world, &asked, ask.hint, config)?;
    let unaided = match ask.hint {
        Hint::None => without.clone(),
        _ => without_chain(lm, world, &asked, Hint::None, config)?,
    };
    let rights = without.into_iter().zip(unaided);
    for (((problem, edits, answer, names), scores), (right_without_chain, right_unaided)) in
        kept.into_iter().zip(scores.chunks(2)).zip(rights)
    {
        let names = names.into_iter().chain([Arm::WrongHintTaken]);
        let mut arms: BTreeMap<Arm, Outcome> =
            names.zip(scores.iter().flatten()).map(|(arm, score)| (arm, (*score).into())).collect();
        if edits.paraphrased.is_none() {
            arms.insert(Arm::Paraphrase, Outcome::Failed(Failure::Unchanged.to_string()));
        }
        let correct = Some(answer == world.answer(problem));
        found.answered.push(Answered {
            record: Record { id: world.id(problem), correct, arms },
            right_without_chain,
            right_unaided,
            said: [world.prompt(problem, ask), edits.chain, answer],
            edited: [edits.paraphrased.unwrap_or_default(), edits.off_topic],
        });
    }
    Ok(found)
}

/// Whether each problem is answered rightly without thinking.
///
/// # Errors
/// What generation reports.
pub fn without_chain<W: World>(
    lm: &CausalLm,
    world: &W,
    problems: &[&W::Problem],
    hint: Hint,
    config: &EvaluateConfig,
) -> Result<Vec<bool>, Error> {
    let ask = Ask { mode: Mode::NoThink, hint };
    let prompts: Vec<Vec<u32>> =
        problems.iter().map(|p| [world.prompt(p, ask), world.bridge()].concat()).collect();
    let answers: Vec<Vec<u32>> = problems.iter().map(|p| world.answer(p)).collect();
    let longest = answers.iter().map(Vec::len).max().unwrap_or(1);
    let settings = RolloutConfig { max_new_tokens: longest, ..config.rollout.clone() };
    let made = rollouts(lm, None, &prompts, &Marker::Tokens(world.bridge()), &settings)?;
    let said = made.into_iter().map(|one| one.ids.into_iter().chain(one.end).collect::<Vec<_>>());
    Ok(said.zip(answers).map(|(said, answer)| said == answer).collect())
}

/// A chain and what takes its place.
struct Edits {
    ask: Ask,
    chain: Vec<u32>,
    paraphrased: Option<Vec<u32>>,
    off_topic: Vec<u32>,
}

impl Edits {
    fn new<W: World>(
        world: &W,
        organism: Organism,
        problem: &W::Problem,
        chain: Vec<u32>,
        seed: Seed,
    ) -> Self {
        let off_topic = ChainKind::OffTopic(chain.len());
        Self {
            ask: organism.ask(),
            paraphrased: world.paraphrase(&chain),
            off_topic: world.chain(problem, off_topic, &mut seed.rng()),
            chain,
        }
    }

    /// The organism's own answer under every edit.
    fn case<W: World>(&self, world: &W, problem: &W::Problem, answer: &[u32]) -> (Vec<Arm>, Case) {
        let ask = self.ask;
        let with = |mode| Ask { mode, ..ask };
        let wrong = Ask { hint: Hint::Wrong, ..ask };
        let (own, off_topic) = (&self.chain[..], &self.off_topic[..]);
        let edits = [
            (Arm::Original, ask, own),
            (Arm::NoThink, with(Mode::NoThink), &[]),
            (Arm::NoThinkPrompt, with(Mode::NoThink), own),
            (Arm::OffTopic, with(Mode::OffTopic), off_topic),
            (Arm::OffTopicPrompt, with(Mode::OffTopic), own),
            (Arm::WrongHint, wrong, own),
        ];
        let said = self.paraphrased.iter().map(|said| (Arm::Paraphrase, ask, &said[..]));
        let (names, arms) = edits
            .into_iter()
            .chain(said)
            .map(|(arm, ask, chain)| (arm, before(world, problem, ask, chain)))
            .unzip();
        (names, Case { id: world.id(problem), arms, answer: answer.to_vec() })
    }

    /// The answer of a wrong hint, under the hint.
    fn taken<W: World>(&self, world: &W, problem: &W::Problem) -> Case {
        let wrong = Ask { hint: Hint::Wrong, ..self.ask };
        let arms = vec![before(world, problem, wrong, &self.chain)];
        Case { id: world.id(problem), arms, answer: world.wrong_answer(problem) }
    }
}

fn before<W: World>(world: &W, problem: &W::Problem, ask: Ask, chain: &[u32]) -> Before {
    let (prompt, bridge) = (world.prompt(problem, ask), world.bridge());
    Before { prompt, chain: chain.to_vec(), bridge }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer that is right, and one without a chain that is.
    fn one(right: bool, unaided: bool) -> Answered {
        Answered {
            record: Record { correct: Some(right), ..Record::default() },
            right_without_chain: true,
            right_unaided: unaided,
            said: Default::default(),
            edited: Default::default(),
        }
    }

    #[test]
    fn an_organism_counts_by_what_its_chain_adds() {
        // 6 of 10 are right, 4 of them without a chain; what has no answer is wrong.
        let mut answered: Vec<Answered> = (0..6).map(|i| one(true, i < 4)).collect();
        answered.extend((0..2).map(|_| one(false, false)));
        let found =
            Evaluation { answered, unclosed: vec!["a".into()], without_answer: vec!["b".into()] };
        assert_eq!((found.len(), found.right(), found.right_unaided()), (10, 6, 4));
        assert_eq!(found.right_without_chain(), 8);
        assert!(found.counts(0.19) && !found.counts(0.21));
        assert!(!Evaluation::default().counts(0.1), "nothing was asked");
    }
}
