//! Panics of foreign parsers, turned into errors.

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Once,
};

thread_local! {
    /// Whether this thread is inside [`contain`].
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, or the message of its panic.
///
/// For parsers of other people's that panic over bad input instead of saying so. Only work that
/// leaves nothing half done behind may be given: what it changed must be dropped after a panic.
/// The panic is not shown to the user; the caller makes an error of it.
///
/// # Errors
/// The message of the panic.
///
/// # Examples
/// ```
/// use rl_core::contain::contain;
///
/// assert_eq!(contain(|| 2), Ok(2));
/// assert_eq!(contain(|| panic!("at byte {}", 7)), Err::<(), _>("at byte 7".to_owned()));
/// ```
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HUSH: Once = Once::new();
    HUSH.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CONTAINED.get() {
                before(info);
            }
        }));
    });
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    result.map_err(|panic| message(&*panic).to_owned())
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(contain(|| 2), Ok(2));
        assert_eq!(contain(|| panic!("of {}", 1)), Err::<(), _>("of 1".to_owned()));
        assert!(!CONTAINED.get());
    }
}
