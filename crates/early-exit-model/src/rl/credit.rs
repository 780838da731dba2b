//! What each token and each exit of an answer is credited with.

use super::{Baseline, DepthReward, RlConfig};

/// What was measured of one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The verifier's score V.
    pub score: f64,
    /// `log π(y_t) − log π_ref(y_t)` of every token, the policy under the exits it took.
    pub log_ratios: Vec<f64>,
    /// Share `l/L` of the blocks that ran, for every token but the first.
    pub depths: Vec<f64>,
}

impl Measured {
    /// Mean share of the blocks that ran; 1 if no token could leave.
    pub fn depth(&self) -> f64 {
        if self.depths.is_empty() {
            return 1.0;
        }
        self.depths.iter().sum::<f64>() / self.depths.len() as f64
    }

    /// Mean log-ratio of a token: an estimate of the divergence from the reference.
    pub fn kl(&self) -> f64 {
        self.log_ratios.iter().sum::<f64>() / self.log_ratios.len().max(1) as f64
    }
}

/// Weights of log-probabilities in the objective: what is maximized is `Σ_k (1/T_k) Σ_t (token_t log
/// π(y_t) + exit_t log q(l_t)) / K`.
#[derive(Debug, Clone, PartialEq)]
pub struct Credit {
    /// One a token.
    pub tokens: Vec<f64>,
    /// One a token but the first.
    pub exits: Vec<f64>,
}

/// Rewards of answers: `V − β KL̂ − λ ē`, or as [`DepthReward`] says.
pub fn rewards(answers: &[Measured], config: &RlConfig, depth_coef: f64) -> Vec<f64> {
    let of = |answer: &Measured| match config.depth_reward {
        DepthReward::Every => {
            answer.score - config.kl_coef * answer.kl() - depth_coef * answer.depth()
        }
        DepthReward::Correct(least) => {
            let saved = if answer.score >= least { 1.0 - answer.depth() } else { 0.0 };
            answer.score - config.kl_coef * answer.kl() + depth_coef * saved
        }
        DepthReward::Own => answer.score,
    };
    answers.iter().map(of).collect()
}

/// Credits of the answers to one prompt.
///
/// With a reward of the sequence, every token and exit has the answer's advantage. With
/// [`DepthReward::Own`], each has the advantage of the score, and besides, in the same units,
///
/// ```text
/// exit_t:  −(λ/T) (l_t/L − mean l/L of the other answers)
/// both:    −β ((1/T) Σ_{s ≥ t} ρ_s − mean KL̂ of the other answers),   ρ = log π − log π_ref
/// ```
///
/// since what came before an action is none of its doing. The baselines are the other answers', so
/// they add no bias.
pub fn credits(answers: &[Measured], config: &RlConfig, depth_coef: f64) -> Vec<Credit> {
    let rewards = rewards(answers, config, depth_coef);
    let (advantages, scale) = advantages(&rewards, config.baseline);
    let n = answers.len();
    let others = |i: usize, of: &dyn Fn(&Measured) -> f64| {
        let sum: f64 =
            answers.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, a)| of(a)).sum();
        sum / (n.max(2) - 1) as f64
    };
    answers
        .iter()
        .zip(advantages)
        .enumerate()
        .map(|(i, (answer, advantage))| {
            let length = answer.log_ratios.len();
            let mut tokens = vec![advantage; length];
            let mut exits = vec![advantage; answer.depths.len()];
            if config.depth_reward == DepthReward::Own {
                let of_tokens = length.max(1) as f64;
                let [kl, depth] = [others(i, &Measured::kl), others(i, &Measured::depth)];
                let mut after = 0.0;
                for t in (0..length).rev() {
                    after += answer.log_ratios[t];
                    let own = -config.kl_coef * (after / of_tokens - kl) / scale;
                    tokens[t] += own;
                    if t > 0 {
                        let deep = answer.depths[t - 1] - depth;
                        exits[t - 1] += own - depth_coef / of_tokens * deep / scale;
                    }
                }
            }
            Credit { tokens, exits }
        })
        .collect()
}

/// Advantages of the answers to one prompt, and what their rewards were divided by.
///
/// Equal rewards give exact zeros.
pub fn advantages(rewards: &[f64], baseline: Baseline) -> (Vec<f64>, f64) {
    let n = rewards.len() as f64;
    // A shift changes nothing, and equal rewards become zeros.
    let first = rewards.first().copied().unwrap_or(0.0);
    let shifted: Vec<f64> = rewards.iter().map(|r| r - first).collect();
    let mean = shifted.iter().sum::<f64>() / n;
    let centered: Vec<f64> = shifted.iter().map(|r| r - mean).collect();
    let std = || (centered.iter().map(|c| c * c).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    let scale = match baseline {
        Baseline::FlooredStd(floor) => std().max(floor),
        Baseline::Std => std() + 1e-8,
        Baseline::LeaveOneOut => (n - 1.0).max(1.0) / n,
    };
    (centered.into_iter().map(|c| c / scale).collect(), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(score: f64, depths: &[f64], log_ratios: &[f64]) -> Measured {
        Measured { score, log_ratios: log_ratios.to_vec(), depths: depths.to_vec() }
    }

    fn near(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9), "{a:?} {b:?}");
    }

    /// Property 13: advantages sum to 0, and equal rewards give none.
    #[test]
    fn advantages_sum_to_nothing() {
        for baseline in [Baseline::FlooredStd(0.1), Baseline::Std, Baseline::LeaveOneOut] {
            let (found, _) = advantages(&[0.3, 1.0, -0.7, 0.1], baseline);
            assert!(found.iter().sum::<f64>().abs() < 1e-9);
            assert_eq!(advantages(&[0.3; 3], baseline).0, [0.0; 3]);
        }
        near(&advantages(&[1.0, 2.0, 6.0], Baseline::LeaveOneOut).0, &[-3.0, -1.5, 4.5]);
        near(&advantages(&[0.0, 2.0, 4.0], Baseline::FlooredStd(0.1)).0, &[-1.0, 0.0, 1.0]);
        // Rewards that hardly differ: the floor keeps them small, the published form does not.
        near(&advantages(&[0.0, 0.01], Baseline::FlooredStd(0.1)).0, &[-0.05, 0.05]);
        let (published, _) = advantages(&[0.0, 0.01], Baseline::Std);
        assert!((published[1] - 0.5_f64.sqrt()).abs() < 1e-5);
    }

    #[test]
    fn rewards_by_hand() {
        let config = RlConfig { kl_coef: 0.1, ..RlConfig::default() };
        let answers =
            [answer(1.0, &[0.5, 1.0], &[0.2, 0.1, 0.3]), answer(0.0, &[0.25], &[-0.4, 0.0])];
        near(&rewards(&answers, &config, 0.4), &[1.0 - 0.02 - 0.3, 0.02 - 0.1]);
        let correct = RlConfig { depth_reward: DepthReward::Correct(1.0), ..config.clone() };
        near(&rewards(&answers, &correct, 0.4), &[1.0 - 0.02 + 0.1, 0.02]);
        let own = RlConfig { depth_reward: DepthReward::Own, ..config };
        near(&rewards(&answers, &own, 0.4), &[1.0, 0.0]);
        // A single token could not leave.
        near(&[answer(1.0, &[], &[0.1]).depth()], &[1.0]);
    }

    /// The credit of an exit's own depth is of the size that the sequence reward gives it.
    #[test]
    fn own_credit_by_hand() {
        let config = RlConfig {
            kl_coef: 0.1,
            depth_reward: DepthReward::Own,
            baseline: Baseline::LeaveOneOut,
            ..RlConfig::default()
        };
        let answers =
            [answer(1.0, &[0.5, 1.0], &[0.2, 0.1, 0.3]), answer(0.0, &[0.25], &[-0.4, 0.0])];
        let found = credits(&answers, &config, 0.4);
        let scale = 0.5; // (n − 1)/n
        let other_kl = -0.2;
        let kl = |after: f64| -0.1 * (after / 3.0 - other_kl) / scale;
        near(&found[0].tokens, &[1.0 + kl(0.6), 1.0 + kl(0.4), 1.0 + kl(0.3)]);
        let deep = |depth: f64| -0.4 / 3.0 * (depth - 0.25) / scale;
        near(&found[0].exits, &[1.0 + kl(0.4) + deep(0.5), 1.0 + kl(0.3) + deep(1.0)]);
    }

    #[test]
    fn lambda_rises() {
        let config = RlConfig { depth_coef: 0.5, depth_ramp: 4, ..RlConfig::default() };
        let found: Vec<f64> = (0..6).map(|i| config.depth_coef_at(i)).collect();
        near(&found, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.5]);
        let none = RlConfig { depth_ramp: 0, ..config };
        near(&[none.depth_coef_at(0)], &[0.5]);
    }
}
