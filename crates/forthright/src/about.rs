//! What the report says of each system before the numbers of a run.

use std::collections::BTreeMap;

use anyhow::Context as _;
use rl_core::run::{Claim, RunDir};
use run_report::{About, Record};
use serde::Deserialize;

const TEXTS: &str = include_str!("about.toml");

/// The archives of a system: where a run is described, and its claims.
macro_rules! archive {
    ($($page:literal: [$($claims:literal),+ $(,)?]),+ $(,)?) => {
        &[$((
            concat!("docs/results/", $page, ".md"),
            &[$(include_str!(concat!("../../../docs/results/", $page, "/", $claims))),+],
        )),+]
    };
}

type Archive = &'static [(&'static str, &'static [&'static str])];

/// Of each system, the newest first where a claim was made several times.
const RECORDED: [(&str, Archive); 6] = [
    ("lm", archive!("lm-bench-2026-11-25": ["claims.json"])),
    (
        "klq",
        archive!(
            "klq-laptop-2026-11-26": ["claims.json", "summary/claims.json"],
            "klq-bench-2026-11-26": ["claims.json"],
        ),
    ),
    (
        "early-exit",
        archive!("early-exit-laptop-2026-11-26": ["lm/claims.json", "toy/claims.json", "timing.claims.json"]),
    ),
    (
        "cot",
        archive!(
            "cot-laptop-2026-11-26": [
                "s2/claims.json", "ci3/claims.json", "mi3/claims.json", "w3/claims.json",
                "c3/claims.json", "m3/claims.json",
            ],
            "cot-tasks-2026-11-26": [
                "alternation/claims.json", "calendar/claims.json", "island/claims.json",
            ],
            "cot-bench-2026-11-26": [
                "speed/claims.json", "memory/claims.json", "monitor/claims.json",
            ],
        ),
    ),
    (
        "agents",
        archive!(
            "agents-laptop-2026-11-26": ["scripted.claims.json"],
            "agents-bench-2026-11-26": ["claims.json"],
        ),
    ),
    (
        "portfolio",
        archive!(
            "portfolio-laptop-2026-11-26": ["loading.claims.json"],
            "portfolio-bench-2026-11-26": [
                "market.claims.json", "decisions.claims.json", "trial.claims.json",
            ],
        ),
    ),
];

/// The texts of a system.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    title: String,
    source: String,
    claimed: Vec<String>,
    further: Vec<String>,
}

/// What is known of a system, such as `early-exit`.
fn of(system: &str) -> anyhow::Result<About> {
    let mut texts: BTreeMap<String, Text> = toml::from_str(TEXTS)?;
    let text = texts.remove(system).with_context(|| format!("{system}: nothing is said of it"))?;
    let archives = RECORDED.iter().find(|(of, _)| *of == system).map_or(&[][..], |(_, of)| of);
    let recorded = archives.iter().map(|(page, files)| {
        let mut claims: Vec<Claim> = Vec::new();
        for file in *files {
            let found: Vec<Claim> =
                serde_json::from_str(file).with_context(|| format!("{page}: its claims"))?;
            let news: Vec<Claim> = found
                .into_iter()
                .filter(|claim| claims.iter().all(|other| other.id != claim.id))
                .collect();
            claims.extend(news);
        }
        Ok(Record { page: (*page).to_owned(), claims })
    });
    Ok(About {
        title: text.title,
        source: text.source,
        claimed: text.claimed,
        further: text.further,
        recorded: recorded.collect::<anyhow::Result<_>>()?,
    })
}

/// Writes what is known of a system into the folder of its run, for the report.
pub(crate) fn write(system: &str, run: &RunDir) -> anyhow::Result<()> {
    Ok(of(system)?.write(run)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_is_told_of_and_has_results_on_record() {
        for (system, _) in RECORDED {
            let about = of(system).unwrap();
            assert!(!about.title.is_empty() && !about.claimed.is_empty(), "{system}");
            assert!(!about.further.is_empty() && !about.recorded.is_empty(), "{system}");
            for record in &about.recorded {
                let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../").to_owned() + &record.page;
                assert!(std::path::Path::new(&page).exists(), "{page}");
                let prefix = system.replace('-', "_") + ".";
                let strange = record.claims.iter().find(|claim| !claim.id.starts_with(&prefix));
                assert!(strange.is_none(), "{system}: {strange:?}");
                let mut ids: Vec<&str> = record.claims.iter().map(|c| c.id.as_str()).collect();
                ids.sort_unstable();
                assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{system}: {ids:?}");
            }
        }
        assert!(of("chess").is_err());
    }
}
