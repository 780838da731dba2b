//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::note;

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// Progress of a known number of steps.
pub(crate) struct Progress {
    total: u64,
    start: Instant,
    begun_at: u64,
    last_line: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A run of `total` steps, of which `done` are done.
    pub(crate) fn new(done: u64, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total).with_position(done);
            let style = "{bar:24} {pos}/{len}  {per_sec}  {eta} left  {msg}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.reset_eta();
            bar
        });
        Self { total, start: Instant::now(), begun_at: done, last_line: None, bar }
    }

    /// `done` steps are done; `message` says how it goes.
    pub(crate) fn at(&mut self, done: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
            bar.set_position(done);
            return;
        }
        let due = self.last_line.is_none_or(|last| last.elapsed() >= EVERY);
        if due || done == self.total {
            let (total, made) = (self.total, done - self.begun_at);
            // What nothing is known of yet is not said.
            let mut pace = String::new();
            if made > 0 {
                let per_step = self.start.elapsed().as_secs_f64() / made as f64;
                let left = per_step * (total - done) as f64;
                pace = format!("  {per_step:.2} s a step, {left:.0} s left");
            }
            note(format_args!("{done}/{total}  {message}{pace}"));
            self.last_line = Some(Instant::now());
        }
    }

    /// Leaves the last state standing.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.abandon();
        }
    }
}
