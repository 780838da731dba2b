//! How much memory this process has held.

/// The greatest resident memory of this process so far, in bytes, where the system tells.
pub fn peak_bytes() -> Option<u64> {
    status_kilobytes("VmHWM:").map(|kilobytes| kilobytes * 1024)
}

/// Resident memory of this process now, in bytes, where the system tells.
pub fn resident_bytes() -> Option<u64> {
    status_kilobytes("VmRSS:").map(|kilobytes| kilobytes * 1024)
}

fn status_kilobytes(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_remembers_what_was_freed() {
        const BYTES: usize = 256 << 20;
        let before = peak_bytes().unwrap();
        drop(std::hint::black_box(vec![1_u8; BYTES]));
        let after = peak_bytes().unwrap();
        assert!(after >= before.max(BYTES as u64), "{before} {after}");
        assert!(resident_bytes().unwrap() < after);
    }
}
