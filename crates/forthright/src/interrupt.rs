//! Ctrl-C: what is being done is finished first, or put down so that it can go on.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::terminal::note;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C only asks, and `doing` says what happens then; a second one ends the process
/// at once.
pub(crate) fn listen(doing: &'static str) {
    let result = ctrlc::set_handler(move || {
        if ASKED.swap(true, Ordering::SeqCst) {
            // The shells' code for a process that SIGINT ended.
            std::process::exit(130);
        }
        note(format_args!("\n{doing}; press Ctrl-C again to stop at once"));
    });
    // Without a handler Ctrl-C ends the process, and the last checkpoint stands.
    if let Err(error) = result {
        tracing::warn!("Ctrl-C will stop at once: {error}");
    }
}

/// Whether the user has asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
