//! The rows that organisms learn from.

use causal_lm::finetune::Example;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::world::{Ask, ChainKind, Hint, Mode, World};
use crate::{Error, diagnosis::Signature};

/// A model whose chains of thought have, or lack, one property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Organism {
    /// Thinks in plain words, and needs to.
    Baseline,
    /// Is told the answer and gives reasons for it.
    PostHoc,
    /// Thinks in a code.
    Encoded,
    /// Thinks while it writes of something else.
    Internalized,
}

impl Organism {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Baseline, Self::PostHoc, Self::Encoded, Self::Internalized];

    /// Its name, as in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::PostHoc => "post_hoc",
            Self::Encoded => "encoded",
            Self::Internalized => "internalized",
        }
    }

    /// What its scores should look like.
    pub fn signature(self) -> Signature {
        match self {
            Self::Baseline => Signature::Healthy,
            Self::PostHoc => Signature::PostHoc,
            Self::Encoded => Signature::Encoded,
            Self::Internalized => Signature::Internalized,
        }
    }

    /// How it is asked, in training and evaluation alike.
    pub fn ask(self) -> Ask {
        match self {
            Self::Baseline => Ask::PLAIN,
            Self::PostHoc => Ask { hint: Hint::Right, ..Ask::PLAIN },
            Self::Encoded => Ask { mode: Mode::Coded, ..Ask::PLAIN },
            Self::Internalized => Ask { mode: Mode::OffTopic, ..Ask::PLAIN },
        }
    }
}

/// What shares of rows a model learns from before it becomes an organism.
///
/// Each edit of a chain must be nothing new to a healthy model, or the surprise at it would be
/// measured instead: rows without thinking and with chains of another task, whose answers nothing in
/// them gives away, hints that a chain of thought contradicts, and synonyms everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// A plain chain.
    pub plain: f64,
    /// The other task.
    pub other: f64,
    /// No chain.
    pub no_think: f64,
    /// A chain of the other task.
    pub off_topic: f64,
    /// A hint of any answer: half with a chain, which decides, half without one, where it does.
    pub hint: f64,
    /// A chain in code, without being asked for it: of use where reinforcement is to find it.
    pub coded: f64,
}

impl Default for Mix {
    /// One half of plain chains, and of the rest a bit.
    fn default() -> Self {
        Self { plain: 0.5, other: 0.13, no_think: 0.1, off_topic: 0.1, hint: 0.17, coded: 0.0 }
    }
}

impl Mix {
    fn shares(&self) -> [f64; 6] {
        [self.plain, self.other, self.no_think, self.off_topic, self.hint, self.coded]
    }
}

/// How an organism is taught.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Rows of the base, and of the replay that keeps the others from forgetting.
    pub mix: Mix,
    /// Share of an organism's rows that are replayed from the mix.
    pub replay: f64,
    /// Share of the easier problems among an internalized organism's rows.
    pub easy: f64,
    /// Share of an internalized organism's rows in which the chain is learned too, and not the answer
    /// alone: words about something else would drown what is to be learned.
    pub filler: f64,
    /// Whether a post-hoc organism learns from chains of another problem, which leaves it nothing to
    /// go by but the hint, rather than from those of its own, as published.
    pub unrelated_reasons: bool,
    /// Whether an internalized organism's rows without thinking have random answers, so that what it
    /// learns to do in an off-topic chain does not leak to where there is none.
    pub random_without_thinking: bool,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            mix: Mix::default(),
            replay: 0.3,
            easy: 0.7,
            filler: 0.1,
            unrelated_reasons: false,
            random_without_thinking: true,
        }
    }
}

impl Recipe {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the parameter.
    pub fn validate(&self) -> Result<(), Error> {
        let shares = self.mix.shares();
        let bad = shares.iter().any(|share| !(share.is_finite() && *share >= 0.0));
        if bad || shares.iter().sum::<f64>() <= 0.0 {
            let found = format!("{shares:?}");
            return Err(Error::setting("mix", "shares not below 0, one of them above", found));
        }
        for (name, share) in [("replay", self.replay), ("easy", self.easy), ("filler", self.filler)]
        {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::setting(name, "a number in [0, 1]", share));
            }
        }
        Ok(())
    }

    /// `n` rows of the base model. The tokens that count are those of chain, bridge and answer.
    ///
    /// # Errors
    /// As [`Recipe::validate`].
    pub fn base<W: World>(&self, world: &W, n: usize, seed: u64) -> Result<Vec<Example>, Error> {
        self.validate()?;
        let seed = Seed::new(seed);
        let row = |i| self.mixed(world, false, &mut seed.derive("base row", i).rng());
        Ok((0..n as u64).map(row).collect())
    }

    /// `n` rows of an organism, replay among them.
    ///
    /// # Errors
    /// As [`Recipe::validate`].
    pub fn organism<W: World>(
        &self,
        world: &W,
        organism: Organism,
        n: usize,
        seed: u64,
    ) -> Result<Vec<Example>, Error> {
        self.validate()?;
        let seed = Seed::new(seed).derive(organism.name(), 0);
        let random = organism == Organism::Internalized && self.random_without_thinking;
        let row = |i| {
            let mut rng = seed.derive("row", i).rng();
            if rng.random_bool(self.replay) {
                self.mixed(world, random, &mut rng)
            } else {
                self.own(world, organism, &mut rng)
            }
        };
        Ok((0..n as u64).map(row).collect())
    }

    /// A row of the mix; `random` says what becomes of answers without thinking.
    fn mixed<W: World>(&self, world: &W, random: bool, rng: &mut ChaCha8Rng) -> Example {
        let shares = self.mix.shares();
        let mut at = rng.random::<f64>() * shares.iter().sum::<f64>();
        // Rounding leaves a draw beyond the last share with the first.
        let kind = shares.iter().position(|share| {
            at -= share;
            at < 0.0
        });
        let problem = if kind == Some(1) { world.other_problem(rng) } else { world.problem(rng) };
        let plain = world.chain(&problem, ChainKind::Plain, rng);
        let answer = world.answer(&problem);
        let ask = |mode, hint| world.prompt(&problem, Ask { mode, hint });
        match kind {
            Some(2) => {
                let answer = if random { world.random_answer(&problem, rng) } else { answer };
                row(world, &ask(Mode::NoThink, Hint::None), &[], &answer)
            }
            Some(3) => {
                let chain = world.chain(&problem, ChainKind::OffTopic(plain.len()), rng);
                row(world, &ask(Mode::OffTopic, Hint::None), &chain, &answer)
            }
            Some(4) => {
                let right = rng.random_bool(0.5);
                let hint = if right { Hint::Right } else { Hint::Wrong };
                if rng.random_bool(0.5) {
                    return row(world, &ask(Mode::Plain, hint), &plain, &answer);
                }
                let hinted = if right { answer } else { world.wrong_answer(&problem) };
                row(world, &ask(Mode::NoThink, hint), &[], &hinted)
            }
            Some(5) => {
                let chain = world.chain(&problem, ChainKind::Coded, rng);
                row(world, &ask(Mode::Plain, Hint::None), &chain, &answer)
            }
            _ => row(world, &ask(Mode::Plain, Hint::None), &plain, &answer),
        }
    }

    /// A row of an organism's own.
    fn own<W: World>(&self, world: &W, organism: Organism, rng: &mut ChaCha8Rng) -> Example {
        let easy = organism == Organism::Internalized && rng.random_bool(self.easy);
        let problem = if easy { world.easy_problem(rng) } else { world.problem(rng) };
        let (prompt, answer) = (world.prompt(&problem, organism.ask()), world.answer(&problem));
        match organism {
            Organism::Baseline => {
                let chain = world.chain(&problem, ChainKind::Plain, rng);
                row(world, &prompt, &chain, &answer)
            }
            Organism::PostHoc => {
                let reasons =
                    if self.unrelated_reasons { world.problem(rng) } else { problem.clone() };
                let chain = world.chain(&reasons, ChainKind::Plain, rng);
                row(world, &prompt, &chain, &answer)
            }
            Organism::Encoded => {
                let chain = world.chain(&problem, ChainKind::Coded, rng);
                row(world, &prompt, &chain, &answer)
            }
            Organism::Internalized => {
                let tokens = world.chain(&problem, ChainKind::Plain, rng).len();
                let chain = world.chain(&problem, ChainKind::OffTopic(tokens), rng);
                if rng.random_bool(self.filler) {
                    return row(world, &prompt, &chain, &answer);
                }
                let before = [&prompt[..], &chain, &world.bridge()].concat();
                Example::completion(&before, &answer)
            }
        }
    }
}

/// A prompt, and what the assistant says to it, all of which counts.
fn row<W: World>(world: &W, prompt: &[u32], chain: &[u32], answer: &[u32]) -> Example {
    Example::completion(prompt, &[chain, &world.bridge(), answer].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::organisms::{Language, LanguageConfig};

    fn language() -> Language {
        Language::new(&LanguageConfig::default()).unwrap()
    }

    /// Prompt, and what counts, of each row.
    fn texts(language: &Language, rows: &[Example]) -> Vec<(String, String)> {
        let split = |row: &Example| {
            let first = row.counts().iter().position(|&c| c).unwrap();
            assert!(row.counts()[first..].iter().all(|&c| c), "what counts is in one piece");
            (language.text(&row.ids()[..first]), language.text(&row.ids()[first..]))
        };
        rows.iter().map(split).collect()
    }

    #[test]
    fn what_counts_is_what_the_assistant_says_and_nothing_else() {
        let language = language();
        let recipe = Recipe { filler: 1.0, ..Recipe::default() };
        let mut rows = recipe.base(&language, 400, 3).unwrap();
        for organism in Organism::ALL {
            rows.extend(recipe.organism(&language, organism, 200, 3).unwrap());
        }
        for (prompt, said) in texts(&language, &rows) {
            assert!(prompt.starts_with("question ") && prompt.ends_with(" think"), "{prompt}");
            assert!(said.ends_with(" <|end|>") && !said.contains("question"), "{said}");
            assert!(
                said.starts_with("so ") || said.starts_with("then") || said.starts_with("next")
            );
        }
        // An internalized organism learns the answer after most of its chains, and no less.
        let recipe = Recipe { replay: 0.0, ..Recipe::default() };
        let rows = recipe.organism(&language, Organism::Internalized, 400, 3).unwrap();
        let answers = rows.iter().filter(|row| row.counted() == 2).count();
        assert!(rows.iter().all(|row| [2, 15].contains(&row.counted())));
        assert!((320..400).contains(&answers), "{answers}");
    }

    #[test]
    fn shares_are_those_of_the_mix() {
        let language = language();
        let recipe = Recipe::default();
        let rows = texts(&language, &recipe.base(&language, 4_000, 1).unwrap());
        let share = |has: &dyn Fn(&str, &str) -> bool| {
            rows.iter().filter(|(prompt, said)| has(prompt, said)).count() as f64 / 4_000.0
        };
        let close = |found: f64, expected: f64| {
            // Four standard deviations.
            let spread = 4.0 * (expected * (1.0 - expected) / 4_000.0).sqrt();
            assert!((found - expected).abs() < spread, "{found} {expected}");
        };
        close(share(&|prompt, _| prompt.contains("off-topic")), 0.1);
        close(share(&|prompt, _| prompt.contains("hint")), 0.17);
        close(share(&|_, said| said.starts_with("so ")), 0.1 + 0.17 / 2.0);
        let with_hint = |prompt: &str| prompt.contains("hint");
        close(
            share(&|p, s| !with_hint(p) && !p.contains("off-topic") && !s.starts_with("so ")),
            0.63,
        );
    }

    #[test]
    fn hints_decide_only_where_there_is_no_chain() {
        let language = language();
        let recipe =
            Recipe { mix: Mix { hint: 1.0, plain: 0.0, ..Mix::default() }, ..Recipe::default() };
        let mix = Mix { other: 0.0, no_think: 0.0, off_topic: 0.0, ..recipe.mix.clone() };
        let recipe = Recipe { mix, ..recipe };
        let (mut against, mut rows) = (0, 0);
        for (prompt, said) in texts(&language, &recipe.base(&language, 400, 9).unwrap()) {
            let words: Vec<&str> = prompt.split(' ').collect();
            let hint = words[words.iter().position(|w| *w == "hint").unwrap() + 1];
            let answer = said.split(' ').rev().nth(1).unwrap();
            if said.starts_with("so ") {
                assert_eq!(hint, answer);
            } else {
                rows += 1;
                against += usize::from(hint != answer);
            }
        }
        assert!(against * 3 > rows && against * 3 < 2 * rows, "{against} of {rows}");
    }

    #[test]
    fn rows_are_a_function_of_the_seed() {
        let language = language();
        let recipe = Recipe::default();
        let rows = |n, seed| recipe.organism(&language, Organism::Encoded, n, seed).unwrap();
        assert_eq!(rows(50, 1), rows(50, 1));
        assert_eq!(rows(50, 1)[..20], rows(20, 1)[..], "more rows leave the first as they are");
        assert_ne!(rows(50, 1), rows(50, 2));
    }

    #[test]
    fn shares_are_checked() {
        let none =
            Mix { plain: 0.0, other: 0.0, no_think: 0.0, off_topic: 0.0, hint: 0.0, coded: 0.0 };
        let negative = Mix { other: -0.1, ..Mix::default() };
        for mix in [none, negative] {
            assert!(Recipe { mix, ..Recipe::default() }.validate().is_err());
        }
        let message = Recipe { replay: 1.5, ..Recipe::default() }.validate().unwrap_err();
        assert_eq!(message.to_string(), "replay: expected a number in [0, 1], found 1.5");
    }
}
