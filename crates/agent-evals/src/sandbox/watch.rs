//! How much memory a command takes.

use std::{fs, time::Duration};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(25);

/// Waits until the processes of a command take more than `limit` bytes together; forever if they
/// never do.
///
/// `outside` is the process outside the sandbox, whose only child is the first within; both are
/// copies of the runner and do not count.
pub(super) async fn exceeds(outside: Option<u32>, limit: u64) {
    let Some(outside) = outside else { return std::future::pending().await };
    loop {
        tokio::time::sleep(INTERVAL).await;
        let mut bytes = 0;
        for first in children(outside) {
            for child in children(first) {
                bytes += tree(child);
            }
        }
        if bytes > limit {
            return;
        }
    }
}

/// Resident memory of a process and all below it, in bytes. Pages that they share count for each.
fn tree(pid: u32) -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    pages * PAGE_BYTES + children(pid).into_iter().map(tree).sum::<u64>()
}

/// Children of a process; none if it is gone.
fn children(pid: u32) -> Vec<u32> {
    // Each thread has its own.
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut out = Vec::new();
    for thread in threads.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        out.extend(list.split_ascii_whitespace().filter_map(|n| n.parse::<u32>().ok()));
    }
    out
}
