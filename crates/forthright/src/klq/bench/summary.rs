//! What turns come to: a table, raw numbers, and claims.

use comfy_table::Table;
use rl_core::run::{Claim, LineWriter, Statement};
use serde_json::json;

use super::{Case, Measured, Turn};
use crate::bench::{cell, cell_with_interval, estimate, library_name, median};

/// How far the two sides' advantages may lie apart, as a share of their mean square: rounding of
/// sums of a thousand terms in f32.
const SAME: f64 = 1e-4;

/// The table without rows.
pub(super) fn table() -> Table {
    crate::terminal::table([
        "case",
        "seconds",
        "generation",
        "scoring",
        "training",
        "episodes/s",
        "tokens an answer",
        "peak GB",
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
        for (case, ours) in &self.ours {
            let ratios: Vec<f64> =
                ours.iter().zip(&self.peer).map(|(a, b)| a.rate() / b.rate()).collect();
            let ratio = estimate(&ratios)?;
            let mut row = cells(&format!("{}, ours", case.name()), ours);
            row.extend([cell_with_interval(ratio), case.target().into()]);
            table.add_row(row);
            metrics.push(&json!({ "case": case.name(), "side": "ours", "turns": ours }))?;
            let mut push = |id: String, says: &str, target: &str, value, interval, n| {
                let statement = Statement { id: &id, says, source: "ours", target };
                let claim = Claim::measured(statement, value, interval, n, "bench");
                claim.map(|claim| claims.push(claim))
            };
            if let Some((value, interval)) = ratio {
                let id = format!("klq.speed.{}", case.name());
                let n = ratios.len();
                push(id, &case.says(), case.target(), value, Some(interval), n)?;
            }
            if let (Some(a), Some(b)) = (peak_gb(ours), peak_gb(&self.peer)) {
                let id = format!("klq.memory.{}", case.name());
                let says = format!(
                    "{}: peak memory as a fraction of that of TRL's RLOO trainer",
                    case.name()
                );
                push(id, &says, "< 0.5", a / b, None, 1)?;
            }
            self.check(ours)?;
        }
        if let Some(first) = self.peer.first() {
            let name = library_name(first.library.as_deref());
            table.add_row(cells(name, &self.peer));
            metrics.push(&json!({ "case": name, "side": "peer", "turns": self.peer }))?;
        }
        Ok(())
    }

    /// Whether both sides computed the same, where they say what.
    fn check(&self, ours: &[Turn]) -> anyhow::Result<()> {
        for (ours, peer) in ours.iter().zip(&self.peer) {
            if let (Some(a), Some(b)) = (ours.mean_square, peer.mean_square) {
                anyhow::ensure!(
                    (a - b).abs() <= SAME * b,
                    "advantages: expected the peer's mean square {b}, found {a}"
                );
            }
        }
        Ok(())
    }
}

impl Turn {
    /// Batches of advantages a second, or answers.
    fn rate(&self) -> f64 {
        self.episodes.max(1) as f64 / self.seconds
    }
}

impl Case {
    fn target(self) -> &'static str {
        if self == Self::Gae { ">= 20" } else { ">= 3" }
    }

    fn says(self) -> String {
        match self.algorithm() {
            None => "GAE of 512 x 1,024 tokens: times as fast as a loop over time in Python".into(),
            Some(algorithm) => format!(
                "{}: episodes a second of an RLHF iteration over those of TRL's RLOO trainer",
                algorithm.name()
            ),
        }
    }
}

fn cells(name: &str, answers: &[Turn]) -> Vec<String> {
    let middle = |of: &dyn Fn(&Turn) -> Option<f64>| median(answers.iter().filter_map(of));
    let of_answers =
        |of: &dyn Fn(&Turn) -> f64| middle(&|answer| (answer.episodes > 0).then(|| of(answer)));
    let seconds = middle(&|a| Some(a.seconds));
    vec![
        name.to_owned(),
        cell(seconds, if seconds.is_some_and(|s| s < 0.1) { 5 } else { 2 }),
        cell(middle(&|a| a.parts.map(|p| p.generation)), 2),
        cell(middle(&|a| a.parts.map(|p| p.scoring)), 2),
        cell(middle(&|a| a.parts.map(|p| p.training)), 2),
        cell(of_answers(&Turn::rate), 2),
        cell(of_answers(&|a| a.answer_tokens as f64 / a.episodes as f64), 1),
        cell(peak_gb(answers), 2),
    ]
}

/// The peak over all turns; a process's peak only grows.
fn peak_gb(answers: &[Turn]) -> Option<f64> {
    answers.last().and_then(|a| a.peak_bytes).map(|bytes| bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use klq::Seconds;

    use super::*;

    fn turn(seconds: f64, peak_gb: u64) -> Turn {
        Turn {
            seconds,
            parts: Some(Seconds {
                generation: 1.0,
                scoring: 0.5,
                training: seconds - 1.5,
                ..Seconds::default()
            }),
            episodes: 32,
            answer_tokens: 64,
            peak_bytes: Some(peak_gb * 1_000_000_000),
            library: Some("trl 1, torch 2".into()),
            ..Turn::default()
        }
    }

    #[test]
    fn ratios_are_of_the_same_turn_and_peaks_of_the_last() {
        let measured = Measured {
            ours: vec![(Case::Ppo, vec![turn(2.0, 1), turn(4.0, 2), turn(3.0, 2)])],
            peer: vec![turn(8.0, 3), turn(12.0, 5), turn(9.0, 5)],
        };
        let folder = tempfile::tempdir().unwrap();
        let dir = rl_core::run::RunDir::open(folder.path()).unwrap();
        let (mut table, mut claims) = (table(), Vec::new());
        let mut metrics = dir.lines("metrics.jsonl").unwrap();
        measured.report(&mut table, &mut metrics, &mut claims).unwrap();
        let found: Vec<(&str, Option<f64>, Option<bool>)> =
            claims.iter().map(|c| (c.id.as_str(), c.value, c.met)).collect();
        let expected =
            [("klq.speed.ppo", Some(3.0), Some(true)), ("klq.memory.ppo", Some(0.4), Some(true))];
        assert_eq!(found, expected);
        assert_eq!(claims[0].interval, Some([3.0, 4.0]));
        let shown = table.to_string();
        assert!(shown.contains("3.00 [3.00, 4.00]") && shown.contains("trl 1"), "{shown}");
        assert!(shown.contains("10.67") && shown.contains("2.0"), "{shown}");
    }

    #[test]
    fn sides_that_differ_are_refused() {
        let of = |mean_square| Turn { seconds: 1.0, mean_square, ..Turn::default() };
        let measured = Measured { ours: vec![], peer: vec![of(Some(2.0))] };
        assert!(measured.check(&[of(Some(2.0001))]).is_ok());
        let message = measured.check(&[of(Some(2.1))]).unwrap_err().to_string();
        assert_eq!(message, "advantages: expected the peer's mean square 2, found 2.1");
    }
}
