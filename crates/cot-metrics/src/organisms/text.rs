//! Problems in words, as a language model reads them.

use std::collections::BTreeMap;

use causal_lm::{
    chat::{ChatTemplate, Message, Prompt},
    tokenizer::Tokenizer,
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rl_core::seed::Seed;

use super::world::{Ask, ChainKind, Hint, Mode, World};
use crate::{
    Error, Prompts,
    codebook::Codebook,
    interventions::{Paraphrase, Thesaurus},
    scoring::Format,
};

/// A problem in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextProblem {
    /// Its name, one for each content.
    pub id: String,
    /// What the user asks.
    pub question: String,
    /// Chains of thought that lead to the answer, in different words; at least one.
    pub chains: Vec<String>,
    /// The right answer.
    pub answer: String,
    /// A plausible answer that is wrong.
    pub wrong_answer: String,
}

/// How problems are put to a language model.
#[derive(Debug, Clone)]
pub struct TextWorldConfig<'a> {
    /// Reads and writes text.
    pub tokenizer: &'a Tokenizer,
    /// The chat template, if there is one.
    pub template: Option<&'a ChatTemplate>,
    /// The token that ends an answer.
    pub end: Option<u32>,
    /// What stands around chains.
    pub format: Format,
    /// What is added to a question that asks for no chain, or one about something else, or hints.
    pub prompts: Prompts,
    /// The code of chains.
    pub code: Codebook,
    /// What is added to a question that asks for a chain in code, before an example of one.
    pub in_code: String,
}

/// The sides of a task, and another task.
#[derive(Debug, Clone)]
pub struct TextProblems {
    /// To learn from.
    pub train: Vec<TextProblem>,
    /// Easier ones to learn from; where there are none, those of `train`.
    pub easy: Vec<TextProblem>,
    /// Held out.
    pub held_out: Vec<TextProblem>,
    /// Of another task.
    pub other: Vec<TextProblem>,
}

/// A problem in all its forms, in tokens.
#[derive(Debug)]
struct Item {
    id: String,
    prompts: BTreeMap<(u8, u8), Vec<u32>>,
    chains: Vec<Vec<u32>>,
    coded: Vec<Vec<u32>>,
    answers: [Vec<u32>; 2],
}

/// A [`World`] of problems in words: everything is tokenized once, part by part, on all cores.
///
/// A paraphrase is that of a [`Thesaurus`], and may have another number of tokens.
#[derive(Debug)]
pub struct TextWorld<'a> {
    tokenizer: &'a Tokenizer,
    items: Vec<Item>,
    /// Places of the four kinds of problems.
    train: Vec<usize>,
    easy: Vec<usize>,
    held_out: Vec<usize>,
    other: Vec<usize>,
    bridge: Vec<u32>,
}

impl<'a> TextWorld<'a> {
    /// Puts all problems into tokens.
    ///
    /// # Errors
    /// [`Error::Setting`] where a side is empty or a problem has no chain; [`Error::Lm`] from
    /// tokenizer or template.
    pub fn new(problems: &TextProblems, config: &TextWorldConfig<'a>) -> Result<Self, Error> {
        let TextProblems { train, easy, held_out, other } = problems;
        for (name, side) in [("train", train), ("held_out", held_out), ("other", other)] {
            if side.is_empty() {
                return Err(Error::setting(name, "at least one problem", "none"));
            }
        }
        let example = format!(
            "{}\n{}",
            config.in_code,
            train[0].chains.first().map(|chain| config.code.encode(chain)).unwrap_or_default()
        );
        let mut items = Vec::new();
        let mut places = |side: &[TextProblem]| -> Result<Vec<usize>, Error> {
            let first = items.len();
            let item = |problem| Item::new(problem, config, &example);
            items.extend(side.par_iter().map(item).collect::<Result<Vec<_>, _>>()?);
            Ok((first..items.len()).collect())
        };
        let (train, easy) = (places(train)?, places(easy)?);
        let (held_out, other) = (places(held_out)?, places(other)?);
        let easy = if easy.is_empty() { train.clone() } else { easy };
        let bridge = config.tokenizer.encode(&config.format.close)?;
        Ok(Self { tokenizer: config.tokenizer, items, train, easy, held_out, other, bridge })
    }
}

/// One of some places.
fn any(of: &[usize], rng: &mut ChaCha8Rng) -> usize {
    of[rng.random_range(0..of.len())]
}

impl Item {
    fn new(
        problem: &TextProblem,
        config: &TextWorldConfig<'_>,
        coded: &str,
    ) -> Result<Self, Error> {
        if problem.chains.is_empty() {
            let found = format!("none in {}", problem.id);
            return Err(Error::setting("chains", "at least one a problem", found));
        }
        let TextWorldConfig { tokenizer, template, .. } = *config;
        let prompt = |ask: Ask| -> Result<Vec<u32>, Error> {
            let hint = |answer: &str| config.prompts.wrong_hint.replace("{answer}", answer);
            let hint = match ask.hint {
                Hint::None => None,
                Hint::Right => Some(hint(&problem.answer)),
                Hint::Wrong => Some(hint(&problem.wrong_answer)),
            };
            let asked = match ask.mode {
                Mode::Plain => None,
                Mode::NoThink => Some(config.prompts.no_think.as_str()),
                Mode::OffTopic => Some(config.prompts.off_topic.as_str()),
                Mode::Coded => Some(coded),
            };
            let parts = [Some(problem.question.as_str()), hint.as_deref(), asked];
            let text = parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
            let text = match template {
                Some(template) => template.render(&[Message::user(text)], Prompt::Open)?,
                None => text,
            };
            let mut ids = tokenizer.encode(&text)?;
            ids.extend(tokenizer.encode(&config.format.open)?);
            Ok(ids)
        };
        let mut prompts = BTreeMap::new();
        for mode in [Mode::Plain, Mode::NoThink, Mode::OffTopic, Mode::Coded] {
            for hint in [Hint::None, Hint::Right, Hint::Wrong] {
                prompts.insert((mode as u8, hint as u8), prompt(Ask { mode, hint })?);
            }
        }
        let answer = |text: &str| -> Result<Vec<u32>, Error> {
            let mut ids = tokenizer.encode(text)?;
            ids.extend(config.end);
            Ok(ids)
        };
        let chains = problem.chains.iter();
        let coded = chains.clone().map(|chain| tokenizer.encode(&config.code.encode(chain)));
        Ok(Self {
            id: problem.id.clone(),
            prompts,
            coded: coded.collect::<Result<_, _>>()?,
            chains: chains.map(|chain| tokenizer.encode(chain)).collect::<Result<_, _>>()?,
            answers: [answer(&problem.answer)?, answer(&problem.wrong_answer)?],
        })
    }
}

impl World for TextWorld<'_> {
    type Problem = usize;

    fn problem(&self, rng: &mut ChaCha8Rng) -> usize {
        any(&self.train, rng)
    }

    fn easy_problem(&self, rng: &mut ChaCha8Rng) -> usize {
        any(&self.easy, rng)
    }

    fn other_problem(&self, rng: &mut ChaCha8Rng) -> usize {
        any(&self.other, rng)
    }

    /// The first ones: which problems are held out was decided where they come from.
    fn held_out(&self, n: usize, _: u64) -> Vec<usize> {
        self.held_out.iter().copied().take(n).collect()
    }

    fn id(&self, problem: &usize) -> String {
        self.items[*problem].id.clone()
    }

    fn prompt(&self, problem: &usize, ask: Ask) -> Vec<u32> {
        // All of them are there.
        let prompts = &self.items[*problem].prompts;
        prompts.get(&(ask.mode as u8, ask.hint as u8)).cloned().unwrap_or_default()
    }

    fn chain(&self, problem: &usize, kind: ChainKind, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let mut one_of = |chains: &[Vec<u32>]| chains[rng.random_range(0..chains.len())].clone();
        match kind {
            ChainKind::Plain => one_of(&self.items[*problem].chains),
            ChainKind::Coded => one_of(&self.items[*problem].coded),
            ChainKind::OffTopic(tokens) => {
                let mut out = Vec::new();
                while out.len() < tokens {
                    let donor = &self.items[any(&self.other, rng)];
                    let before = out.len();
                    out.extend(&donor.chains[0]);
                    // A chain without tokens would be taken for ever.
                    if out.len() == before {
                        break;
                    }
                }
                out.truncate(tokens);
                out
            }
        }
    }

    fn bridge(&self) -> Vec<u32> {
        self.bridge.clone()
    }

    fn answer(&self, problem: &usize) -> Vec<u32> {
        self.items[*problem].answers[0].clone()
    }

    fn wrong_answer(&self, problem: &usize) -> Vec<u32> {
        self.items[*problem].answers[1].clone()
    }

    fn random_answer(&self, _: &usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
        self.items[any(&self.train, rng)].answers[0].clone()
    }

    fn paraphrase(&self, chain: &[u32]) -> Option<Vec<u32>> {
        let text = self.tokenizer.decode_text(chain).ok()?;
        // Of the chain alone, so that equal chains are said alike.
        let seed = chain.iter().fold(Seed::new(0), |seed, &id| seed.derive("", u64::from(id)));
        let said = Thesaurus::default().paraphrase(&[&text], seed).pop()?.ok()?;
        self.tokenizer.encode(&said).ok().filter(|ids| ids != chain)
    }

    fn text(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids).unwrap_or_default()
    }
}
