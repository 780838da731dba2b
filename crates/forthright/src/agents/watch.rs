//! A live view of a run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use agent_evals::{Key, Observer, Progress, Score};

use crate::progress;

/// The view changes no more often than this, however many samples come and go.
const EVERY: Duration = Duration::from_millis(100);

/// Shows how far a run is: a bar on a terminal, a line now and then elsewhere.
///
/// A run without it is not observed at all.
pub(super) struct Watch(Mutex<View>);

struct View {
    bar: Option<progress::Progress>,
    shown: Option<Instant>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self(Mutex::new(View { bar: None, shown: None }))
    }

    /// Leaves the last state standing.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.lock().bar.take() {
            bar.finish();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Watch {
    fn progress(&self, progress: &Progress, _: &Key, scores: Option<&BTreeMap<String, Score>>) {
        let mut view = self.lock();
        let last = scores.is_some() && progress.finished == progress.samples;
        if !last && view.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        view.shown = Some(Instant::now());
        let begin = || progress::Progress::new(progress.before, progress.samples);
        view.bar.get_or_insert_with(begin).at(progress.finished, &words(progress));
    }
}

fn words(progress: &Progress) -> String {
    let mut words = vec![format!("{} running", progress.running)];
    for (n, what) in [
        (progress.errors, "with errors"),
        (progress.unscored, "unscored"),
        (progress.limited, "at a limit"),
    ] {
        if n > 0 {
            words.push(format!("{n} {what}"));
        }
    }
    if progress.tokens > 0 {
        words.push(format!("{} tokens", short(progress.tokens as f64)));
    }
    if progress.elapsed_s > 0.0 && progress.turns > 0 {
        let rate = progress.turns as f64 / progress.elapsed_s;
        words.push(format!("{} turns/s", short(rate)));
    }
    if progress.cost > 0.0 {
        words.push(format!("cost {:.2}", progress.cost));
    }
    words.join(", ")
}

/// A number in three digits or so.
fn short(n: f64) -> String {
    match n {
        n if n >= 1e9 => format!("{:.1}G", n / 1e9),
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e4 => format!("{:.0}k", n / 1e3),
        n if n >= 10.0 => format!("{n:.0}"),
        n => format!("{n:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (n, says) in
            [(0.25, "0.2"), (9.0, "9.0"), (812.4, "812"), (53_000.0, "53k"), (1_240_000.0, "1.2M")]
        {
            assert_eq!(short(n), says);
        }
    }
}
