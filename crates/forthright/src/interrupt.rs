//! Ctrl-C: the step that is being made is finished first.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::terminal::note;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C only asks; a second one ends the process at once.
pub(crate) fn listen() {
    let result = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            // The shells' code for a process that SIGINT ended.
            std::process::exit(130);
        }
        note("\nfinishing this step; press Ctrl-C again to stop at once");
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
