//! Random trajectories with all that can happen along one.

use proptest::{collection::vec, prelude::*};
use rl_core::reference::returns::Steps;

/// Which of the optional arguments are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) terminated: bool,
    pub(super) truncated: bool,
    pub(super) bootstrap: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Trajectory {
    pub(super) rewards: Vec<f64>,
    pub(super) values: Vec<f64>,
    pub(super) mask: Vec<bool>,
    pub(super) terminated: Vec<bool>,
    pub(super) truncated: Vec<bool>,
    pub(super) bootstrap: Vec<f64>,
    pub(super) log_rhos: Vec<f64>,
}

impl Trajectory {
    pub(super) fn steps(&self, given: Given) -> Steps<'_> {
        Steps {
            terminated: given.terminated.then_some(&self.terminated),
            truncated: given.truncated.then_some(&self.truncated),
            bootstrap: given.bootstrap.then_some(&self.bootstrap),
            ..Steps::new(&self.rewards, &self.values, &self.mask)
        }
    }

    /// Without the masked steps.
    pub(super) fn deleted(&self) -> Self {
        let mut left = Self::default();
        for t in (0..self.mask.len()).filter(|&t| self.mask[t]) {
            left.push((
                self.rewards[t],
                self.values[t],
                true,
                self.terminated[t],
                self.truncated[t],
                self.bootstrap[t],
                self.log_rhos[t],
            ));
        }
        left
    }

    /// NaN and raised flags wherever nobody may look.
    pub(super) fn spoiled(mut self, given: Given) -> Self {
        for t in 0..self.mask.len() {
            if !self.mask[t] {
                for values in
                    [&mut self.rewards, &mut self.values, &mut self.bootstrap, &mut self.log_rhos]
                {
                    values[t] = f64::NAN;
                }
                self.terminated[t] = true;
                self.truncated[t] = true;
            } else if given.terminated && self.terminated[t] {
                self.bootstrap[t] = f64::NAN;
            }
        }
        self
    }

    /// Results of valid steps only.
    pub(super) fn valid(&self, results: &[f64]) -> Vec<f64> {
        results.iter().zip(&self.mask).filter(|(_, valid)| **valid).map(|(x, _)| *x).collect()
    }

    fn push(&mut self, step: (f64, f64, bool, bool, bool, f64, f64)) {
        let (reward, value, valid, terminated, truncated, bootstrap, log_rho) = step;
        self.rewards.push(reward);
        self.values.push(value);
        self.mask.push(valid);
        self.terminated.push(terminated);
        self.truncated.push(truncated);
        self.bootstrap.push(bootstrap);
        self.log_rhos.push(log_rho);
    }
}

/// Each combination of optional arguments that is allowed.
pub(super) fn given() -> impl Strategy<Value = Given> {
    any::<[bool; 3]>().prop_map(|[terminated, truncated, bootstrap]| Given {
        terminated,
        truncated: truncated && bootstrap,
        bootstrap,
    })
}

/// Of `time` steps, with runs of masked and of valid ones.
pub(super) fn of_length(time: usize) -> impl Strategy<Value = Trajectory> {
    let number = || -3.0..3.0_f64;
    let step = (
        number(),
        number(),
        0.0..1.0_f64,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        number(),
        -2.0..1.0_f64,
    );
    // A step takes over its neighbor's mask with this probability.
    (vec(step, time), prop_oneof![Just(0.0), Just(0.5), Just(0.9)], 0.0..1.0_f64).prop_map(
        |(steps, sticky, share)| {
            let mut trajectory = Trajectory::default();
            let mut valid = true;
            for (reward, value, draw, terminated, truncated, bootstrap, log_rho) in steps {
                if draw >= sticky {
                    valid = (draw - sticky) / (1.0 - sticky) < share.max(0.2);
                }
                trajectory.push((reward, value, valid, terminated, truncated, bootstrap, log_rho));
            }
            trajectory
        },
    )
}

pub(super) fn trajectory() -> impl Strategy<Value = Trajectory> {
    (0..40_usize).prop_flat_map(of_length)
}

/// γ or λ, the ends more often than by chance.
pub(super) fn unit() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64]
}
