//! Sampled sequences.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::oracle::{Error, Policy, TokenMdp};

/// Sequences in padded rows; what lies past the end of one is masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollouts {
    /// Steps of a row.
    pub horizon: usize,
    /// State of each step, `[episodes, horizon]`; 0 where masked.
    pub states: Vec<usize>,
    /// Token of each step, `[episodes, horizon]`; 0 where masked.
    pub actions: Vec<usize>,
    /// Log-probability of the token under the policy that sampled it, `[episodes, horizon]`; 0 where
    /// masked.
    pub sampler_log_probs: Vec<f64>,
    /// True where there is a step, `[episodes, horizon]`.
    pub mask: Vec<bool>,
}

/// Samples sequences of a policy.
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn sample(
    mdp: &TokenMdp,
    policy: &Policy,
    episodes: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Rollouts, Error> {
    mdp.check("policy", policy)?;
    let horizon = mdp.config().horizon;
    let cells = episodes * horizon;
    let mut rollouts = Rollouts {
        horizon,
        states: vec![0; cells],
        actions: vec![0; cells],
        sampler_log_probs: vec![0.0; cells],
        mask: vec![false; cells],
    };
    for episode in 0..episodes {
        let mut at = Some(0);
        for cell in episode * horizon.. {
            let Some(state) = at else { break };
            let row = policy.row(state);
            let action = draw(row, rng);
            rollouts.states[cell] = state;
            rollouts.actions[cell] = action;
            rollouts.sampler_log_probs[cell] = row[action];
            rollouts.mask[cell] = true;
            at = mdp.next(state, action);
        }
    }
    Ok(rollouts)
}

/// A token by the inverse of the distribution function.
fn draw(log_probs: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let mut left: f64 = rng.random();
    let last = log_probs.len() - 1;
    for (action, log_prob) in log_probs[..last].iter().enumerate() {
        left -= log_prob.exp();
        if left < 0.0 {
            return action;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use rl_core::seed::Seed;

    use super::*;
    use crate::oracle::{MdpConfig, RandomTables, soft};

    #[test]
    fn states_are_visited_as_often_as_they_should() {
        let mdp =
            TokenMdp::random(MdpConfig::default(), &RandomTables::default(), Seed::new(5)).unwrap();
        let episodes = 40_000;
        let rollouts = sample(&mdp, mdp.reference(), episodes, &mut Seed::new(1).rng()).unwrap();
        let mut visits = vec![0.0; mdp.states()];
        for (&state, _) in rollouts.states.iter().zip(&rollouts.mask).filter(|(_, m)| **m) {
            visits[state] += 1.0 / episodes as f64;
        }
        for (found, expected) in visits.iter().zip(soft::visitation(&mdp, mdp.reference()).unwrap())
        {
            // Five standard deviations of a share of 40 000.
            assert!((found - expected).abs() < 5.0 * 0.5 / 200.0, "{found} {expected}");
        }
        assert!(rollouts.mask.chunks(3).all(|row| row[0] && (row[1] || !row[2])));
    }
}
