//! What turns come to: a table, raw numbers, and claims.

use comfy_table::Table;
use rl_core::run::{Claim, LineWriter, Statement};
use serde_json::json;
use tch::Kind;

use super::{Case, Measured, Turn};
use crate::bench::{cell, cell_with_interval, estimate, library_name, median};

/// How far the two sides' log-probabilities of a text may lie apart, in nats, and their mean over all
/// texts. With bf16 weights a token's is good to about 0.1 on either side, and rounding favors neither;
/// f32 shows that both measure the same.
fn tolerance(dtype: Kind) -> [f64; 2] {
    if dtype == Kind::Float { [1e-3, 1e-4] } else { [1.0, 0.15] }
}

/// The table without rows.
pub(super) fn table() -> Table {
    crate::terminal::table([
        "case",
        "seconds",
        "generation",
        "scoring",
        "examples/s",
        "peak GB",
        "GB beyond the model",
        "monitor's share",
        "times as fast [95 %]",
        "target",
    ])
}

impl Measured {
    /// Adds its rows, raw numbers and claims.
    pub(super) fn report(
        &self,
        table: &mut Table,
        metrics: &mut LineWriter,
        claims: &mut Vec<Claim>,
    ) -> anyhow::Result<()> {
        let name = self.case.name();
        let differences = self.differences()?;
        let ratios: Vec<f64> =
            self.ours.iter().zip(&self.peer).map(|(a, b)| a.rate() / b.rate()).collect();
        let ratio = estimate(&ratios)?;
        let mut row = cells(&format!("{name}, ours"), &self.ours);
        row.extend([cell_with_interval(ratio), self.case.target().into()]);
        table.add_row(row);
        if let Some(first) = self.peer.first() {
            table.add_row(cells(library_name(first.library.as_deref()), &self.peer));
        }
        for (side, turns) in [("ours", &self.ours), ("peer", &self.peer)] {
            if !turns.is_empty() {
                metrics.push(&json!({ "case": name, "side": side, "turns": turns }))?;
            }
        }
        if let Some(found) = differences {
            metrics.push(&json!({ "case": name, "agreement": found }))?;
        }
        let values: Vec<f64> = match self.case {
            Case::Speed | Case::SpeedBatched => ratios,
            Case::Memory => self.ours.iter().filter_map(Turn::beyond_gb).collect(),
            Case::Monitor => self.ours.iter().map(Turn::share).collect(),
        };
        if let Some((value, interval)) = estimate(&values)? {
            let id = format!("cot.bench.{name}");
            let examples = self.ours.first().map_or(0, |turn| turn.examples);
            let says = self.case.says(examples);
            let statement =
                Statement { id: &id, says: &says, source: "ours", target: self.case.target() };
            let interval = (values.len() > 1).then_some(interval);
            claims.push(Claim::measured(statement, value, interval, values.len(), "bench")?);
        }
        Ok(())
    }

    /// How well both sides agree, where both have scored; an error where it is not well enough to have
    /// measured the same.
    fn differences(&self) -> anyhow::Result<Option<Agreement>> {
        let (Some(ours), Some(peer)) = (self.ours.last(), self.peer.last()) else {
            return Ok(None);
        };
        let flat = |turn: &Turn| turn.log_probs.concat();
        let (a, b) = (flat(ours), flat(peer));
        anyhow::ensure!(
            a.len() == b.len() && !a.is_empty(),
            "log-probabilities: expected as many as the peer's {}, found {}",
            b.len(),
            a.len()
        );
        let apart: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        // What is no number is the largest.
        let largest =
            apart.iter().fold(0.0, |most: f64, x| if x.abs() <= most { most } else { x.abs() });
        let mean = apart.iter().sum::<f64>() / apart.len() as f64;
        let [each, all] = tolerance(self.dtype);
        anyhow::ensure!(
            largest <= each && mean.abs() <= all,
            "log-probabilities: expected the peer's to within {each} each and {all} in the mean, \
             found {largest:.4} and {mean:.4}"
        );
        let lengths = |turn: &Turn| turn.said.iter().map(Vec::len).collect::<Vec<_>>();
        anyhow::ensure!(
            lengths(ours) == lengths(peer),
            "rollouts: expected as many tokens on both sides, found {:?} and the peer's {:?}",
            lengths(ours),
            lengths(peer)
        );
        let same = ours.said.iter().zip(&peer.said).filter(|(a, b)| a == b).count();
        Ok(Some(Agreement { largest, mean, same, rollouts: ours.said.len() }))
    }
}

/// How far apart two sides are.
#[derive(Debug, PartialEq, serde::Serialize)]
struct Agreement {
    /// Largest difference of a log-probability.
    largest: f64,
    /// Mean of ours less the peer's.
    mean: f64,
    /// Rollouts of the same tokens; rounding may part the others.
    same: usize,
    /// Rollouts.
    rollouts: usize,
}

impl Turn {
    fn rate(&self) -> f64 {
        self.examples as f64 / self.seconds
    }

    fn beyond_gb(&self) -> Option<f64> {
        self.beyond_bytes.map(|bytes| bytes as f64 / 1e9)
    }

    /// Of a training's time, what its monitor took.
    fn share(&self) -> f64 {
        self.monitoring / self.seconds
    }
}

impl Case {
    fn target(self) -> &'static str {
        match self {
            Self::Speed => ">= 3",
            Self::SpeedBatched => ">= 1",
            Self::Memory => "< 1",
            Self::Monitor => "<= 0.05",
        }
    }

    fn says(self, examples: usize) -> String {
        match self {
            Self::Speed => {
                "examples a second of all three metrics over those of the same measurement \
                            written plainly with transformers"
                    .into()
            }
            Self::SpeedBatched => {
                "examples a second of all three metrics over those of transformers \
                                   with padded batches"
                    .into()
            }
            Self::Memory => {
                format!("GB held beyond the loaded model in scoring {examples} recorded examples")
            }
            Self::Monitor => {
                "share of a training's time that the monitor takes at its default settings".into()
            }
        }
    }
}

fn cells(name: &str, turns: &[Turn]) -> Vec<String> {
    let middle = |of: &dyn Fn(&Turn) -> Option<f64>| median(turns.iter().filter_map(of));
    let scored = |of: &dyn Fn(&Turn) -> f64| middle(&|t| (t.examples > 0).then(|| of(t)));
    vec![
        name.to_owned(),
        cell(middle(&|t| Some(t.seconds)), 2),
        cell(scored(&|t| t.generation), 2),
        cell(scored(&|t| t.scoring), 2),
        cell(scored(&Turn::rate), 3),
        cell(turns.last().and_then(|t| t.peak_bytes).map(|bytes| bytes as f64 / 1e9), 2),
        cell(middle(&Turn::beyond_gb), 3),
        cell(middle(&|t| (t.measurements > 0).then(|| t.share())), 4),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(seconds: f64, log_prob: f64) -> Turn {
        Turn {
            seconds,
            examples: 4,
            said: vec![vec![7, 8], vec![9, 7]],
            log_probs: vec![vec![log_prob, -2.0], vec![-3.0, -4.0]],
            beyond_bytes: Some(250_000_000),
            library: Some("transformers 5 plain, torch 2".into()),
            ..Turn::default()
        }
    }

    fn measured(case: Case, ours: Vec<Turn>, peer: Vec<Turn>) -> Measured {
        Measured { case, dtype: Kind::BFloat16, ours, peer }
    }

    fn claims(measured: &Measured) -> anyhow::Result<(String, Vec<Claim>)> {
        let folder = tempfile::tempdir().unwrap();
        let dir = rl_core::run::RunDir::open(folder.path()).unwrap();
        let (mut table, mut claims) = (table(), Vec::new());
        measured.report(&mut table, &mut dir.lines("metrics.jsonl").unwrap(), &mut claims)?;
        Ok((table.to_string(), claims))
    }

    #[test]
    fn ratios_are_of_the_same_turn() {
        let ours = vec![turn(2.0, -1.0), turn(4.0, -1.0), turn(3.0, -1.0)];
        let peer = vec![turn(8.0, -1.0), turn(12.0, -1.0), turn(6.0, -1.2)];
        let (shown, found) = claims(&measured(Case::Speed, ours, peer)).unwrap();
        assert_eq!((found[0].id.as_str(), found[0].value), ("cot.bench.speed", Some(3.0)));
        assert_eq!((found[0].interval, found[0].met), (Some([2.0, 4.0]), Some(true)));
        assert!(shown.contains("3.00 [2.00, 4.00]") && shown.contains("transformers 5 plain"));
    }

    #[test]
    fn memory_and_shares_need_no_peer() {
        let memory = measured(Case::Memory, vec![turn(2.0, -1.0)], vec![]);
        let (_, found) = claims(&memory).unwrap();
        assert_eq!((found[0].value, found[0].interval), (Some(0.25), None));
        assert!(found[0].says.contains("4 recorded examples"), "{}", found[0].says);
        let ours = vec![Turn { seconds: 50.0, monitoring: 3.0, ..Turn::default() }];
        let (_, found) = claims(&measured(Case::Monitor, ours, vec![])).unwrap();
        assert_eq!((found[0].value, found[0].met), (Some(0.06), Some(false)));
    }

    #[test]
    fn sides_that_differ_are_refused() {
        let of = |dtype: Kind, peer: Turn| {
            let sides = measured(Case::Speed, vec![turn(1.0, -1.0)], vec![peer]);
            Measured { dtype, ..sides }.differences().map_err(|error| error.to_string())
        };
        let message = |peer: Turn| of(Kind::BFloat16, peer);
        let found = message(turn(1.0, -1.2)).unwrap().unwrap();
        assert!((found.largest - 0.2).abs() < 1e-12 && (found.mean - 0.05).abs() < 1e-12);
        assert_eq!((found.same, found.rollouts), (2, 2));
        assert!(of(Kind::Float, turn(1.0, -1.02)).unwrap_err().contains("found 0.0200 and 0.0050"));
        assert!(of(Kind::Float, turn(1.0, -1.0001)).is_ok());
        assert!(message(turn(1.0, -2.2)).unwrap_err().contains("found 1.2000 and 0.3000"));
        assert!(message(turn(1.0, f64::NAN)).is_err());
        let short = Turn { said: vec![vec![7], vec![9, 7]], ..turn(1.0, -1.0) };
        assert!(message(short).unwrap_err().contains("[2, 2] and the peer's [1, 2]"));
        assert!(message(Turn { log_probs: vec![], ..turn(1.0, -1.0) }).is_err());
    }
}
