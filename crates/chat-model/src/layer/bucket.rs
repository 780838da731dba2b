//! A bucket that fills evenly, to draw requests or tokens from.

use std::time::Duration;

use tokio::time::Instant;

use super::retry::MAX_S;

/// An allowance a second, of which some is kept for later.
#[derive(Debug)]
pub(super) struct Bucket {
    per_s: f64,
    capacity: f64,
    /// Below 0 while something larger than the bucket is being waited for.
    level: f64,
    filled_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(per_minute: f64, burst_s: f64, now: Instant) -> Self {
        let per_s = per_minute / 60.0;
        let capacity = per_s * burst_s;
        Self { per_s, capacity, level: capacity, filled_at: now }
    }

    /// Fills it for the time since it last was, at a share of its speed.
    pub(super) fn fill(&mut self, now: Instant, pace: f64) {
        let elapsed_s = (now - self.filled_at).as_secs_f64();
        self.level = (self.level + elapsed_s * self.per_s * pace).min(self.capacity);
        self.filled_at = now;
    }

    /// Time until `amount` can be drawn, or until it is full if it never holds so much.
    pub(super) fn wait(&self, amount: f64, pace: f64) -> Duration {
        let missing = amount.min(self.capacity) - self.level;
        // A level that is short by rounding only would be waited for in ever smaller steps.
        if missing <= 1e-9 * self.capacity {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((missing / (self.per_s * pace)).clamp(1e-6, MAX_S))
    }

    /// Takes out this amount, or puts it back if negative.
    pub(super) fn draw(&mut self, amount: f64) {
        self.level -= amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_never_holds_more_than_a_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(120.0, 2.0, start);
        assert_eq!(bucket.wait(4.0, 1.0), Duration::ZERO);
        bucket.level -= 4.0;
        bucket.fill(start + Duration::from_millis(500), 1.0);
        assert_eq!(bucket.wait(2.0, 1.0), Duration::from_millis(500));
        assert_eq!(bucket.wait(2.0, 0.5), Duration::from_secs(1));
        bucket.fill(start + Duration::from_hours(1), 1.0);
        assert!((bucket.level - 4.0).abs() < 1e-12);
        // More than it ever holds: when it is full.
        assert_eq!(bucket.wait(100.0, 1.0), Duration::ZERO);
    }
}
