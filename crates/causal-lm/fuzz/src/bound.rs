//! A bound on what targets may allocate, and on their stack.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// What a reader may hold for any input at all, in bytes.
const FLOOR: usize = 64 << 20;
/// What it may hold besides for each byte of the input.
const PER_BYTE: usize = 64;

/// The system's allocator, which ends the process once a reader holds more than its input can
/// justify. libtorch allocates on its own and is not seen.
struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Bounded {
    fn grow(size: usize) {
        let live = LIVE.fetch_add(size, Relaxed).saturating_add(size);
        let limit = LIMIT.load(Relaxed);
        if live > limit {
            // Telling allocates too.
            LIMIT.store(usize::MAX, Relaxed);
            eprintln!("unbounded allocation: {size} bytes more make {live}, beyond {limit}");
            // A panic may be caught; this may not.
            std::process::abort();
        }
    }
}

// SAFETY: every call goes to the system's allocator unchanged; what is added only counts.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::grow(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() {
            Self::grow(size - layout.size());
        } else {
            LIVE.fetch_sub(layout.size() - size, Relaxed);
        }
        unsafe { System.realloc(at, layout, size) }
    }
}

/// The stack of a main thread, in bytes.
const STACK: usize = 8 << 20;

/// Once before the first input: a panic is shown, and ends the process where it leaves the target.
/// libFuzzer's own hook would end it where a reader contains the panic of a foreign parser too.
pub fn prepare() {
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
}

/// Gives an input to a target.
///
/// # Panics
/// Where the target does.
pub fn run(target: fn(&[u8]), input: &[u8]) {
    let allowed = FLOOR + PER_BYTE * input.len();
    LIMIT.store(LIVE.load(Relaxed).saturating_add(allowed), Relaxed);
    // On a thread of its own, because tokenizers keeps the words of every tokenizer there ever was
    // for as long as its thread lives.
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, || target(input)).expect("a thread").join()
    });
    LIMIT.store(usize::MAX, Relaxed);
    if let Err(panic) = done {
        std::panic::resume_unwind(panic);
    }
}
