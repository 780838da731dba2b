//! Work split over the threads that libtorch itself uses.
//!
//! A pool of our own would fight with the OpenMP threads for the cores: those spin for a while after
//! each of libtorch's operations. So the same team is asked, through the entry point that compilers
//! emit for a parallel region.

use std::{
    ffi::{c_int, c_uint, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
};

#[expect(unsafe_code, reason = "the OpenMP runtime has a C interface")]
unsafe extern "C" {
    fn GOMP_parallel(
        body: extern "C" fn(*mut c_void),
        data: *mut c_void,
        num_threads: c_uint,
        flags: c_uint,
    );
    fn omp_get_thread_num() -> c_int;
    fn omp_get_num_threads() -> c_int;
}

/// Calls `body(thread, threads)` once on every thread of the team and waits for all.
#[expect(unsafe_code, reason = "the OpenMP runtime has a C interface")]
pub(super) fn run<F: Fn(usize, usize) + Sync>(body: &F) {
    extern "C" fn enter<F: Fn(usize, usize) + Sync>(data: *mut c_void) {
        // SAFETY: `data` is the `&F` given to `GOMP_parallel` below, which returns only after every
        // thread has left this function; `F: Sync` allows the sharing.
        let body = unsafe { &*data.cast::<F>() };
        // SAFETY: both read the state of the calling thread and have no preconditions.
        let (thread, threads) = unsafe { (omp_get_thread_num(), omp_get_num_threads()) };
        // A panic must not unwind into C.
        if catch_unwind(AssertUnwindSafe(|| body(thread as usize, threads as usize))).is_err() {
            std::process::abort();
        }
    }
    let threads = tch::get_num_threads().max(1) as c_uint;
    if threads == 1 {
        return body(0, 1);
    }
    // SAFETY: `enter::<F>` matches the data pointer's type, and `body` outlives the call.
    unsafe { GOMP_parallel(enter::<F>, std::ptr::from_ref(body).cast_mut().cast(), threads, 0) }
}
