//! Ctrl-C: what is being done is finished first, or put down so that it can go on.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::terminal::note;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C only asks, and `doing` says what happens then; a second one ends the process
/// at once.
pub(crate) fn listen(doing: &'static str) {
    let result = ctrlc::set_handler(move || {
        if ASKED.swap(true, Ordering::SeqCst) {
            end();
        }
        note(format_args!("\n{doing}; press Ctrl-C again to stop at once"));
    });
    // Without a handler Ctrl-C ends the process, and the last checkpoint stands.
    if let Err(error) = result {
        tracing::warn!("Ctrl-C will stop at once: {error}");
    }
}

/// Ends the process with the shells' code for one that SIGINT ended, and nothing else: what other
/// threads are in the middle of, on a GPU too, must not find the libraries taken down under it.
#[expect(unsafe_code, reason = "the standard library has no exit without clean-up")]
fn end() -> ! {
    // SAFETY: it has no preconditions.
    unsafe { libc::_exit(130) }
}

/// Whether the user has asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
