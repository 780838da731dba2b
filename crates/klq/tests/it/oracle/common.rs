use klq::oracle::{
    CutOff, MdpConfig, Policy, RandomTables, Sequence, TokenMdp,
    learner::{Parameters, Start, Steps},
};
use proptest::prelude::*;
use rl_core::seed::Seed;

/// Rounding of sums of tens of terms of size 1 to 100.
pub(crate) const EXACT: f64 = 1e-9;

/// Central differences with a step of 1e-5: third derivatives of a few tens, and rounding.
pub(crate) const DIFFERENCES: f64 = 1e-7;

/// Random processes of every kind.
pub(crate) fn mdps() -> impl Strategy<Value = TokenMdp> {
    mdps_with(prop_oneof![Just(1.0), 0.0..=1.0])
}

/// Random processes without discount.
pub(crate) fn undiscounted() -> impl Strategy<Value = TokenMdp> {
    mdps_with(Just(1.0))
}

fn mdps_with(gamma: impl Strategy<Value = f64>) -> impl Strategy<Value = TokenMdp> {
    let sizes = (2_usize..=4, 0_usize..4, 1_usize..=4);
    let cut_off =
        prop_oneof![Just(CutOff::Scored), (-1.0..1.0).prop_map(|score| CutOff::Replaced { score })];
    let tables = (0.5..2.0, prop_oneof![Just(0.0), Just(0.5)]);
    (sizes, gamma, 0.1..2.0, cut_off, tables, any::<u64>()).prop_map(
        |((vocab, eos, horizon), gamma, tau, cut_off, (concentration, step_reward_std), seed)| {
            let config = MdpConfig { vocab, eos: eos % vocab, horizon, gamma, tau, cut_off };
            let tables = RandomTables { concentration, score_std: 1.0, step_reward_std };
            TokenMdp::random(config, &tables, Seed::new(seed)).unwrap()
        },
    )
}

/// The default process with random tables.
pub(crate) fn fixed(seed: u64) -> TokenMdp {
    TokenMdp::random(MdpConfig::default(), &RandomTables::default(), Seed::new(seed)).unwrap()
}

/// Logits and values away from the reference.
pub(crate) fn parameters(mdp: &TokenMdp, seed: u64) -> Parameters {
    Parameters::start(mdp, Start::Random { std: 1.0 }, Seed::new(seed)).unwrap()
}

pub(crate) fn policy(mdp: &TokenMdp, seed: u64) -> Policy {
    parameters(mdp, seed).policy(mdp).unwrap()
}

/// Rewards, values and log-ratios along one sequence.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) rewards: Vec<f64>,
    pub(crate) values: Vec<f64>,
    pub(crate) log_ratios: Vec<f64>,
    pub(crate) mask: Vec<bool>,
}

impl Path {
    pub(crate) fn new(mdp: &TokenMdp, y: &Sequence, policy: &Policy, values: &[f64]) -> Self {
        let column =
            |f: &dyn Fn(usize, usize) -> f64| y.steps.iter().map(|&(s, a)| f(s, a)).collect();
        Self {
            rewards: column(&|s, a| mdp.rewards()[mdp.index(s, a)]),
            values: column(&|s, _| values[s]),
            log_ratios: column(&|s, a| policy.row(s)[a] - mdp.reference().row(s)[a]),
            mask: vec![true; y.steps.len()],
        }
    }

    pub(crate) fn steps(&self) -> Steps<'_> {
        Steps {
            rewards: &self.rewards,
            values: &self.values,
            log_ratios: &self.log_ratios,
            mask: &self.mask,
        }
    }
}

/// Random steps with random masks, under which lies what must not matter.
pub(crate) fn paths() -> impl Strategy<Value = Path> {
    let step = (-2.0..2.0, -2.0..2.0, -3.0..3.0, any::<bool>());
    prop::collection::vec(step, 0..12).prop_map(|steps| {
        let hidden = |x: f64, valid: bool| if valid { x } else { f64::NAN };
        Path {
            rewards: steps.iter().map(|s| hidden(s.0, s.3)).collect(),
            values: steps.iter().map(|s| hidden(s.1, s.3)).collect(),
            log_ratios: steps.iter().map(|s| hidden(s.2, s.3)).collect(),
            mask: steps.iter().map(|s| s.3).collect(),
        }
    })
}

/// The largest difference between two tables; infinite if their lengths differ or one holds a NaN.
pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let apart =
        |(a, b): (&f64, &f64)| if a.is_nan() || b.is_nan() { f64::INFINITY } else { (a - b).abs() };
    a.iter().zip(b).map(apart).fold(0.0, f64::max)
}

/// Central differences of a function.
pub(crate) fn differences(f: impl Fn(&[f64]) -> f64, at: &[f64]) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut x = at.to_vec();
    (0..at.len())
        .map(|i| {
            x[i] = at[i] + STEP;
            let above = f(&x);
            x[i] = at[i] - STEP;
            let below = f(&x);
            x[i] = at[i];
            (above - below) / (2.0 * STEP)
        })
        .collect()
}
