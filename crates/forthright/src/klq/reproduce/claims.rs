//! From measurements to claims.

use std::collections::BTreeMap;

use klq::{evaluate::Evaluation, oracle::Study};
use rl_core::stats::{self, Estimate, crossed_mean};

/// Confidence of all intervals.
pub(super) const CONFIDENCE: f64 = 0.95;

/// Mean over problems of the decimal logarithm of the gap, by training step, for each method.
pub(super) fn mean_curves(study: &Study) -> [Vec<(u64, f64)>; 3] {
    [0, 1, 2].map(|method| {
        let mut sums: BTreeMap<u64, (f64, usize)> = BTreeMap::new();
        for instance in &study.instances {
            let curve = [&instance.klq, &instance.ppo, &instance.klq_whitened][method];
            for point in curve {
                let (sum, n) = sums.entry(point.batch as u64).or_default();
                *sum += point.gap.max(1e-12).log10();
                *n += 1;
            }
        }
        sums.into_iter().map(|(step, (sum, n))| (step, sum / n as f64)).collect()
    })
}

/// Mean difference of the objective between policies and their start on the same prompts.
///
/// Seeds and prompts are both samples: the interval holds for new seeds and for prompts like these.
/// A prompt that one of them has no answer to counts for none.
pub(super) fn gain(policies: &[&Evaluation], start: &Evaluation) -> Result<Estimate, stats::Error> {
    let objectives =
        |e: &Evaluation| e.by_prompt(|a| a.objective).into_iter().collect::<BTreeMap<_, _>>();
    let before = objectives(start);
    let after: Vec<BTreeMap<usize, f64>> = policies.iter().map(|e| objectives(e)).collect();
    let shared: Vec<(&usize, &f64)> =
        before.iter().filter(|(prompt, _)| after.iter().all(|a| a.contains_key(prompt))).collect();
    let differences = |after: &BTreeMap<usize, f64>| {
        shared.iter().map(|(prompt, before)| after[prompt] - **before).collect()
    };
    crossed_mean(&after.iter().map(differences).collect::<Vec<_>>(), CONFIDENCE)
}

/// A policy's mean KL and reward.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) kl: f64,
    pub(super) reward: f64,
}

/// Reward that a frontier has at `kl`, between its points; its start is one of them. None beyond the
/// farthest.
pub(super) fn reward_at(frontier: &[Point], kl: f64) -> Option<f64> {
    let mut points = frontier.to_vec();
    points.sort_by(|a, b| a.kl.total_cmp(&b.kl));
    points.windows(2).find(|pair| (pair[0].kl..=pair[1].kl).contains(&kl)).map(|pair| {
        let width = pair[1].kl - pair[0].kl;
        let share = if width > 0.0 { (kl - pair[0].kl) / width } else { 0.0 };
        pair[0].reward + share * (pair[1].reward - pair[0].reward)
    })
}

/// Reward of `ours` less that of the other frontier, at equal KL: at each of our points that lies
/// within the other's reach, and at each of theirs within ours.
pub(super) fn at_equal_kl(ours: &[Point], theirs: &[Point]) -> Vec<f64> {
    let beyond = |from: &[Point], to: &[Point], sign: f64| -> Vec<f64> {
        let points = from.iter().filter(|p| p.kl > 0.0);
        points.filter_map(|p| Some(sign * (p.reward - reward_at(to, p.kl)?))).collect()
    };
    [beyond(ours, theirs, 1.0), beyond(theirs, ours, -1.0)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frontiers_are_compared_where_both_reach() {
        let point = |kl, reward| Point { kl, reward };
        let ours = [point(0.0, 0.0), point(2.0, 2.0)];
        let theirs = [point(4.0, 2.0), point(0.0, 0.0)];
        assert_eq!(reward_at(&theirs, 2.0), Some(1.0));
        assert_eq!(reward_at(&theirs, 5.0), None);
        // Our point against their line; theirs lies beyond ours.
        assert_eq!(at_equal_kl(&ours, &theirs), [1.0]);
        assert_eq!(at_equal_kl(&theirs, &ours), [-1.0]);
    }
}
