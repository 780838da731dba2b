//! Both forms against `TorchRL` and PyTorch: see `golden/make_math.py`.

use rl_core::reference::{
    advantages::{gae, group_normalized, td_errors},
    kl::{entropy, exact},
    losses::{ppo_policy, ppo_value, ratio_stats},
    returns::{Steps, discounted_returns, lambda_returns},
};
use serde::Deserialize;

use super::assert_close;

/// The same arithmetic in f64, up to the order of operations.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Golden {
    torchrl: String,
    trajectories: Vec<Trajectories>,
    groups: Vec<Group>,
    ppo: Vec<Ppo>,
    logits: Vec<Divergence>,
}

#[derive(Deserialize)]
struct Trajectories {
    gamma: f64,
    lambda: f64,
    rewards: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
    bootstrap: Vec<Vec<f64>>,
    terminated: Vec<Vec<bool>>,
    truncated: Vec<Vec<bool>>,
    advantages: Vec<Vec<f64>>,
    td_errors: Vec<Vec<f64>>,
    lambda_returns: Vec<Vec<f64>>,
    discounted_returns: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "group")]
    size: usize,
    std_floor: f64,
    rewards: Vec<f64>,
    advantages: Vec<f64>,
}

#[derive(Deserialize)]
struct Ppo {
    clip: f64,
    value_clip: f64,
    log_probs: Vec<f64>,
    old_log_probs: Vec<f64>,
    advantages: Vec<f64>,
    values: Vec<f64>,
    old_values: Vec<f64>,
    returns: Vec<f64>,
    policy_loss: Vec<f64>,
    clip_frac: f64,
    value_loss: Vec<f64>,
    clipped_value_loss: Vec<f64>,
}

#[derive(Deserialize)]
struct Divergence {
    logits: Vec<Vec<f64>>,
    ref_logits: Vec<Vec<f64>>,
    kl: Vec<f64>,
    entropy: Vec<f64>,
}

fn golden() -> Golden {
    let golden: Golden = serde_json::from_str(include_str!("../../golden/math.json")).unwrap();
    assert!(golden.torchrl.starts_with("0.14"), "{}", golden.torchrl);
    golden
}

#[test]
fn plain_scans_equal_torchrl() {
    let mut ends = 0;
    for case in golden().trajectories {
        for row in 0..case.rewards.len() {
            let mask = vec![true; case.rewards[row].len()];
            let steps = Steps {
                terminated: Some(&case.terminated[row]),
                truncated: Some(&case.truncated[row]),
                bootstrap: Some(&case.bootstrap[row]),
                ..Steps::new(&case.rewards[row], &case.values[row], &mask)
            };
            let inner = ..mask.len() - 1;
            let count = |flags: &[bool]| flags[inner].iter().filter(|&&flag| flag).count();
            ends += count(&case.terminated[row]).min(count(&case.truncated[row]));
            let (gamma, lambda) = (case.gamma, case.lambda);
            for (found, expected) in [
                (gae(&steps, gamma, lambda), &case.advantages),
                (td_errors(&steps, gamma), &case.td_errors),
                (lambda_returns(&steps, gamma, lambda), &case.lambda_returns),
                (discounted_returns(&steps, gamma), &case.discounted_returns),
            ] {
                assert_close(&found.unwrap(), &expected[row], TOLERANCE);
            }
        }
    }
    assert!(ends > 5, "rows with both kinds of ends inside: {ends}");
}

#[test]
fn plain_groups_losses_and_divergences_equal_torch() {
    let golden = golden();
    for case in &golden.groups {
        let found = group_normalized(&case.rewards, case.size, case.std_floor).unwrap();
        // TorchRL divides the rounding of the mean of equal rewards by the floor.
        assert_close(&found, &case.advantages, 1e-9);
    }
    for case in &golden.ppo {
        let policy =
            ppo_policy(&case.log_probs, &case.old_log_probs, &case.advantages, case.clip).unwrap();
        assert_close(&policy, &case.policy_loss, TOLERANCE);
        let value = |clip| ppo_value(&case.values, &case.old_values, &case.returns, clip).unwrap();
        assert_close(&value(None), &case.value_loss, TOLERANCE);
        assert_close(&value(Some(case.value_clip)), &case.clipped_value_loss, TOLERANCE);
        let mask = vec![true; case.log_probs.len()];
        let stats = ratio_stats(&case.log_probs, &case.old_log_probs, &mask, case.clip).unwrap();
        assert_close(&[stats.clip_frac], &[case.clip_frac], TOLERANCE);
    }
    for case in &golden.logits {
        for (row, logits) in case.logits.iter().enumerate() {
            let kl = exact(logits, &case.ref_logits[row]).unwrap();
            let found = [kl, entropy(logits).unwrap()];
            assert_close(&found, &[case.kl[row], case.entropy[row]], TOLERANCE);
        }
    }
}

#[cfg(feature = "torch")]
mod tensors {
    use rl_core::{
        advantages::{gae, group_normalized, td_errors},
        kl::{entropy, exact},
        losses::{ppo_policy, ppo_value, ratio_stats},
        returns::{Steps, discounted_returns, lambda_returns},
    };
    use tch::{Kind, Tensor};

    use super::{TOLERANCE, assert_close, golden};

    fn numbers(rows: &[Vec<f64>]) -> Tensor {
        Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1])
    }

    fn flags(rows: &[Vec<bool>]) -> Tensor {
        Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1])
    }

    fn flat(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.flatten(0, -1)).unwrap()
    }

    #[test]
    fn scans_equal_torchrl() {
        for case in golden().trajectories {
            let [rewards, values, bootstrap] =
                [&case.rewards, &case.values, &case.bootstrap].map(|rows| numbers(rows));
            let [terminated, truncated] =
                [&case.terminated, &case.truncated].map(|rows| flags(rows));
            let mask = rewards.ones_like().to_kind(Kind::Bool);
            let steps = Steps {
                terminated: Some(&terminated),
                truncated: Some(&truncated),
                bootstrap: Some(&bootstrap),
                ..Steps::new(&rewards, &values, &mask)
            };
            let (gamma, lambda) = (case.gamma, case.lambda);
            for (found, expected) in [
                (gae(&steps, gamma, lambda), &case.advantages),
                (td_errors(&steps, gamma), &case.td_errors),
                (lambda_returns(&steps, gamma, lambda), &case.lambda_returns),
                (discounted_returns(&steps, gamma), &case.discounted_returns),
            ] {
                assert_close(&flat(&found.unwrap()), &expected.concat(), TOLERANCE);
            }
        }
    }

    #[test]
    fn groups_losses_and_divergences_equal_torch() {
        let golden = golden();
        let line = |values: &[f64]| Tensor::from_slice(values);
        for case in &golden.groups {
            let found = group_normalized(&line(&case.rewards), case.size, case.std_floor).unwrap();
            assert_close(&flat(&found), &case.advantages, 1e-9);
        }
        for case in &golden.ppo {
            let [log_probs, old, advantages] =
                [&case.log_probs, &case.old_log_probs, &case.advantages].map(|x| line(x));
            let policy = ppo_policy(&log_probs, &old, &advantages, case.clip).unwrap();
            assert_close(&flat(&policy), &case.policy_loss, TOLERANCE);
            let [values, old_values, returns] =
                [&case.values, &case.old_values, &case.returns].map(|x| line(x));
            let value = |clip| flat(&ppo_value(&values, &old_values, &returns, clip).unwrap());
            assert_close(&value(None), &case.value_loss, TOLERANCE);
            assert_close(&value(Some(case.value_clip)), &case.clipped_value_loss, TOLERANCE);
            let mask = log_probs.ones_like().to_kind(Kind::Bool);
            let stats = ratio_stats(&log_probs, &old, &mask, case.clip).unwrap();
            assert_close(&[stats.clip_frac], &[case.clip_frac], TOLERANCE);
        }
        for case in &golden.logits {
            let [logits, ref_logits] = [&case.logits, &case.ref_logits].map(|rows| numbers(rows));
            assert_close(&flat(&exact(&logits, &ref_logits).unwrap()), &case.kl, TOLERANCE);
            assert_close(&flat(&entropy(&logits).unwrap()), &case.entropy, TOLERANCE);
        }
    }
}
