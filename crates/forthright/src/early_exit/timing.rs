//! Time that exits save, beside the work they save.

use std::time::Instant;

use causal_lm::{
    CausalLm,
    generate::{Flow, GenerateConfig, NewToken, Request, generate},
};
use early_exit_model::{Engine, Rule, evaluate::Depths};
use rl_core::{seed::Seed, stats::Estimate};
use serde::{Deserialize, Serialize};

use super::measure::resampled;

/// Rows decoded together where time is measured: weights read for one, for few, and for so many that
/// products take longer than reading does.
pub(super) const BATCHES: [usize; 3] = [1, 16, 64];

/// What was measured for one number of rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// Rows decoded together.
    pub(crate) batch: usize,
    /// A token of a row at full depth, median, in milliseconds.
    pub(crate) full_ms: f64,
    /// The same under the rule.
    pub(crate) exits_ms: f64,
    /// Share of decoding time that the rule saves, median over pairs.
    pub(crate) time_saved: Estimate,
    /// Share of work that it saves.
    pub(crate) flops_saved: f64,
}

/// What is timed.
pub(crate) struct Timer<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) prompts: &'a [Vec<u32>],
    pub(crate) tokens: usize,
    pub(crate) repeats: usize,
}

impl Timer<'_> {
    fn requests(&self, batch: usize) -> Vec<Request> {
        (0..batch)
            .map(|row| Request {
                prompt: self.prompts[row % self.prompts.len()].clone(),
                // Rows of one prompt go ways of their own.
                seed: row as u64,
            })
            .collect()
    }

    fn config(&self, batch: usize) -> GenerateConfig {
        // No token ends an answer, so that both sides make as many.
        GenerateConfig { max_new_tokens: self.tokens, batch_size: batch, ..Default::default() }
    }

    /// A rule against full depth in the same engine, in pairs that take turns in going first.
    pub(crate) fn compare(&self, rule: &Rule, batch: usize) -> anyhow::Result<Timing> {
        anyhow::ensure!(self.tokens > 1, "tokens to time: expected at least 2");
        let (requests, config) = (self.requests(batch), self.config(batch));
        let lengths: Vec<usize> = requests.iter().map(|r| r.prompt.len()).collect();
        let mut flops_saved = 0.0;
        let mut time = |rule: &Rule| -> anyhow::Result<f64> {
            let mut clock = Clock::default();
            let made = self.engine.generate(&requests, &config, rule, &mut |t| clock.token(t))?;
            let seconds = clock.seconds();
            let found = Depths::of(self.engine, rule, &lengths, &made);
            flops_saved = found.map_or(0.0, |depths| depths.flops_saved);
            Ok(seconds)
        };
        // The first of each makes memory ready.
        time(&Rule::Off)?;
        time(rule)?;
        let (mut full, mut exits) = (Vec::new(), Vec::new());
        for i in 0..self.repeats {
            if i % 2 == 0 {
                full.push(time(&Rule::Off)?);
                exits.push(time(rule)?);
            } else {
                exits.push(time(rule)?);
                full.push(time(&Rule::Off)?);
            }
        }
        // The last may have been at full depth.
        time(rule)?;
        let shares: Vec<f64> = full.iter().zip(&exits).map(|(f, e)| saved(*f, *e)).collect();
        let per_token = |times: &[f64]| median(times) * 1e3 / ((self.tokens - 1) * batch) as f64;
        Ok(Timing {
            batch,
            full_ms: per_token(&full),
            exits_ms: per_token(&exits),
            time_saved: typical(&shares)?,
            flops_saved,
        })
    }

    /// Time of the engine with exits off as a multiple of that of the plain model.
    pub(crate) fn off(&self, plain: &CausalLm, batch: usize) -> anyhow::Result<Estimate> {
        let (requests, config) = (self.requests(batch), self.config(batch));
        let without = || -> anyhow::Result<f64> {
            let mut clock = Clock::default();
            generate(plain, &requests, &config, &mut |t| clock.token(t))?;
            Ok(clock.seconds())
        };
        let with = || -> anyhow::Result<f64> {
            let mut clock = Clock::default();
            self.engine.generate(&requests, &config, &Rule::Off, &mut |t| clock.token(t))?;
            Ok(clock.seconds())
        };
        without()?;
        with()?;
        let mut ratios = Vec::new();
        for i in 0..self.repeats {
            let (a, b) = if i % 2 == 0 {
                let a = without()?;
                (a, with()?)
            } else {
                let b = with()?;
                (without()?, b)
            };
            ratios.push(b / a);
        }
        typical(&ratios)
    }
}

/// The median, with an interval by resampling: one pair that something else disturbed moves neither far.
fn typical(values: &[f64]) -> anyhow::Result<Estimate> {
    let of = |chosen: &[usize]| median(&chosen.iter().map(|&i| values[i]).collect::<Vec<_>>());
    Ok(resampled(values.len(), of, Seed::new(0))?)
}

/// Share of a time that another takes less.
fn saved(full: f64, exits: f64) -> f64 {
    1.0 - exits / full
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let [low, high] = [(values.len() - 1) / 2, values.len() / 2].map(|i| values[i]);
    f64::midpoint(low, high)
}

/// Time from the first token on: prompts are read at full depth on either side.
#[derive(Default)]
struct Clock {
    first: Option<Instant>,
}

impl Clock {
    fn token(&mut self, _: NewToken) -> Flow {
        self.first.get_or_insert_with(Instant::now);
        Flow::Continue
    }

    fn seconds(&self) -> f64 {
        self.first.map_or(0.0, |first| first.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disturbed_pair_moves_the_median_little() {
        let found = typical(&[0.3, 0.31, -9.0, 0.29, 0.3, 0.32, 0.28]).unwrap();
        assert!((found.value - 0.3).abs() < 1e-12 && found.interval[1] < 0.33, "{found:?}");
        assert!((saved(2.0, 1.5) - 0.25).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < 1e-12);
    }
}
