//! Which of two answers is better.

mod chat;
mod question;

pub use chat::{ChatJudge, ChatJudgeConfig};
pub use question::Criterion;
use rl_core::stats::{self, Estimate, cluster_mean};
use serde::{Deserialize, Serialize};

use crate::{
    evaluate::{CONFIDENCE, Evaluation},
    reward::{Answer, Prompt, Reward, score_all},
    rollout::Rollout,
};

/// Two answers to one prompt.
#[derive(Debug, Clone, Copy)]
pub struct Match<'a> {
    /// The one that is shown first.
    pub first: Answer<'a>,
    /// The other.
    pub second: Answer<'a>,
}

/// What a judge says of a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first answer is better.
    First,
    /// The second is better.
    Second,
    /// Neither is.
    Tie,
    /// There is no verdict, and why. It is never counted as one.
    Unscored(String),
}

/// Something that compares answers.
pub trait Judge {
    /// A short name.
    fn name(&self) -> &str;

    /// One verdict a match, in their order.
    fn judge(&mut self, matches: &[Match<'_>]) -> Vec<Verdict>;
}

/// A reward as a judge: the greater one wins.
pub struct RewardJudge<R> {
    /// The reward; one that neither policy was trained on.
    pub reward: R,
    /// Differences up to this are ties, not below 0.
    pub margin: f64,
}

impl<R: Reward> Judge for RewardJudge<R> {
    fn name(&self) -> &str {
        self.reward.name()
    }

    fn judge(&mut self, matches: &[Match<'_>]) -> Vec<Verdict> {
        let answers: Vec<Answer<'_>> = matches.iter().flat_map(|m| [m.first, m.second]).collect();
        let scores = score_all(&mut self.reward, &answers);
        let verdict = |pair: &[Result<f64, String>]| match pair {
            [Ok(a), Ok(b)] if a - b > self.margin => Verdict::First,
            [Ok(a), Ok(b)] if b - a > self.margin => Verdict::Second,
            [Ok(_), Ok(_)] => Verdict::Tie,
            [Err(why), _] | [_, Err(why)] => Verdict::Unscored(why.clone()),
            _ => Verdict::Unscored("no score".into()),
        };
        scores.chunks(2).map(verdict).collect()
    }
}

/// One match judged in both orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Index of the prompt.
    pub prompt: usize,
    /// Indices of A's and of B's answer.
    pub answers: [usize; 2],
    /// Verdicts with the answer of policy A first, and with it second.
    pub verdicts: [Verdict; 2],
}

impl Judged {
    /// Mean over the two orders of 1 where A wins, 0 where it loses and ½ for a tie: two wins for
    /// different answers are a tie. None where either order has no verdict.
    pub fn score(&self) -> Option<f64> {
        let [a_first, a_second] = &self.verdicts;
        let of = |verdict: &Verdict, a: &Verdict| match verdict {
            Verdict::Unscored(_) => None,
            Verdict::Tie => Some(0.5),
            verdict => Some(f64::from(u8::from(verdict == a))),
        };
        Some(f64::midpoint(of(a_first, &Verdict::First)?, of(a_second, &Verdict::Second)?))
    }
}

/// How often policy A's answers win against B's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WinRate {
    /// Mean score of A with a 95 % interval that is robust to answers of one prompt being alike.
    pub rate: Estimate,
    /// Matches with a verdict in both orders.
    pub judged: usize,
    /// Matches without.
    pub unscored: usize,
    /// Matches that neither wins: two ties, or two orders that contradict each other.
    pub ties: usize,
    /// Share of the judged whose two orders agree.
    pub consistent: f64,
}

/// Judges the answers of two policies to the same prompts, in both orders.
///
/// The `j`-th answers to a prompt meet; answers without a counterpart are left out.
pub fn compare(
    a: &Evaluation,
    b: &Evaluation,
    prompts: &[Prompt],
    judge: &mut dyn Judge,
) -> Vec<Judged> {
    let of = |evaluation: &Evaluation| -> Vec<usize> {
        evaluation.answers.iter().map(|e| e.prompt).collect()
    };
    let pairs = meetings(&of(a), &of(b), prompts.len());
    let answers = |&(_, i, j): &(usize, usize, usize)| {
        (a.answers[i].answer(prompts), b.answers[j].answer(prompts))
    };
    judge_all(&pairs, &pairs.iter().map(answers).collect::<Vec<_>>(), judge)
}

/// As [`compare`], of answers that nothing was measured of.
pub fn compare_rollouts(
    a: &[Rollout],
    b: &[Rollout],
    prompts: &[Prompt],
    judge: &mut dyn Judge,
) -> Vec<Judged> {
    let of = |rollouts: &[Rollout]| -> Vec<usize> { rollouts.iter().map(|r| r.prompt).collect() };
    let pairs = meetings(&of(a), &of(b), prompts.len());
    let answers = |&(_, i, j): &(usize, usize, usize)| (a[i].answer(prompts), b[j].answer(prompts));
    judge_all(&pairs, &pairs.iter().map(answers).collect::<Vec<_>>(), judge)
}

/// Prompt and the places of both answers of every match, from the prompts of all answers.
fn meetings(a: &[usize], b: &[usize], prompts: usize) -> Vec<(usize, usize, usize)> {
    let of = |answers: &[usize], prompt: usize| -> Vec<usize> {
        let mine = answers.iter().enumerate().filter(|(_, p)| **p == prompt);
        mine.map(|(i, _)| i).collect()
    };
    (0..prompts)
        .flat_map(|prompt| {
            let (a, b) = (of(a, prompt), of(b, prompt));
            a.into_iter().zip(b).map(move |(i, j)| (prompt, i, j))
        })
        .collect()
}

fn judge_all(
    pairs: &[(usize, usize, usize)],
    answers: &[(Answer<'_>, Answer<'_>)],
    judge: &mut dyn Judge,
) -> Vec<Judged> {
    let matches: Vec<Match<'_>> = answers
        .iter()
        .flat_map(|&(a, b)| [Match { first: a, second: b }, Match { first: b, second: a }])
        .collect();
    let mut verdicts = judge.judge(&matches);
    verdicts.resize(matches.len(), Verdict::Unscored("the judge gave too few verdicts".into()));
    let mut verdicts = verdicts.into_iter();
    pairs
        .iter()
        .map(|&(prompt, a, b)| Judged {
            prompt,
            answers: [a, b],
            verdicts: std::array::from_fn(|_| {
                verdicts.next().unwrap_or_else(|| Verdict::Unscored(String::new()))
            }),
        })
        .collect()
}

/// How often A wins.
///
/// # Errors
/// [`stats::Error`] with judged matches of fewer than two prompts.
pub fn win_rate(judged: &[Judged]) -> Result<WinRate, stats::Error> {
    let scored: Vec<(usize, f64)> =
        judged.iter().filter_map(|j| Some((j.prompt, j.score()?))).collect();
    let (clusters, scores): (Vec<usize>, Vec<f64>) = scored.into_iter().unzip();
    let opposite = |[a, b]: &[Verdict; 2]| {
        matches!(
            (a, b),
            (Verdict::First, Verdict::Second)
                | (Verdict::Second, Verdict::First)
                | (Verdict::Tie, Verdict::Tie)
        )
    };
    let agreeing = judged.iter().filter(|j| opposite(&j.verdicts)).count();
    Ok(WinRate {
        rate: cluster_mean(&scores, &clusters, CONFIDENCE)?,
        judged: scores.len(),
        unscored: judged.len() - scores.len(),
        ties: scores.iter().filter(|score| (**score - 0.5).abs() < 0.1).count(),
        consistent: agreeing as f64 / scores.len().max(1) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Evaluated;

    fn evaluation(texts: &[(usize, &str)]) -> Evaluation {
        let answers = texts
            .iter()
            .map(|&(prompt, text)| Evaluated { prompt, text: text.into(), ..Evaluated::default() })
            .collect();
        Evaluation { answers, unscored: 0 }
    }

    fn prompts(n: usize) -> Vec<Prompt> {
        let prompt =
            |i: usize| Prompt { id: i.to_string(), text: "?".into(), ids: vec![], source: None };
        (0..n).map(prompt).collect()
    }

    /// Prefers what is shown first, unless one is empty, of which it says nothing.
    struct Biased;

    impl Judge for Biased {
        fn name(&self) -> &'static str {
            "biased"
        }

        fn judge(&mut self, matches: &[Match<'_>]) -> Vec<Verdict> {
            let verdict = |m: &Match<'_>| match (m.first.text, m.second.text) {
                ("", _) | (_, "") => Verdict::Unscored("empty".into()),
                _ => Verdict::First,
            };
            matches.iter().map(verdict).collect()
        }
    }

    #[test]
    fn a_bias_for_the_first_place_is_no_win() {
        let a = evaluation(&[(0, "x"), (1, "y"), (2, "")]);
        let b = evaluation(&[(0, "z"), (1, "w"), (2, "v")]);
        let judged = compare(&a, &b, &prompts(3), &mut Biased);
        let rate = win_rate(&judged).unwrap();
        assert_eq!((rate.rate.value, rate.judged, rate.unscored), (0.5, 2, 1));
        assert_eq!(rate.ties, 2);
        assert!(rate.consistent.abs() < 1e-12);
    }

    #[test]
    fn the_greater_reward_wins_in_either_place() {
        let length = crate::reward::Rule::new("length", |a: &Answer<'_>| Ok(a.text.len() as f64));
        let mut judge = RewardJudge { reward: length, margin: 0.5 };
        let a = evaluation(&[(0, "long"), (0, "a"), (1, "same"), (2, "x")]);
        // Prompt 0 has one answer here: the second of A meets none.
        let b = evaluation(&[(0, "sh"), (1, "four"), (2, "longer")]);
        let judged = compare(&a, &b, &prompts(3), &mut judge);
        let scores: Vec<Option<f64>> = judged.iter().map(Judged::score).collect();
        assert_eq!(scores, [Some(1.0), Some(0.5), Some(0.0)]);
        let rate = win_rate(&judged).unwrap();
        assert_eq!((rate.rate.value, rate.consistent, rate.ties), (0.5, 1.0, 1));
        // Prompt 0's second answer of A has no counterpart.
        assert_eq!(judged[1].answers, [2, 1]);
    }
}
