//! How much of a training's time measurements may take.

use std::{collections::VecDeque, time::Duration};

/// By how much a measurement may take longer than others did.
const SLACK: f64 = 1.25;

/// Measurements that say how long the next one takes.
const RECENT: usize = 5;

/// A share of the time since the start.
///
/// Let `s` be the share, and of the time `T` since the start let measurements have taken `M`. One that
/// is expected to take `e` may begin where it then keeps to the share, `M + e ≤ s (T + e)`. What it
/// takes longer than expected is paid back before the next: after one that took `d`,
///
/// ```text
/// M ≤ s T + (1 − s) max(0, d − e)
/// ```
///
/// with no excess of those before it. `e` is a quarter more than the median of the last five, the lower
/// one of two: a measurement that something else on the machine has held up leaves it as it is. The
/// longest of all would put off every measurement to come.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    spent: Duration,
    recent: VecDeque<Duration>,
}

impl Budget {
    /// A share above 0, at most 1; with 1 every measurement may begin.
    pub(super) fn new(share: f64) -> Self {
        Self { share, spent: Duration::ZERO, recent: VecDeque::new() }
    }

    /// A measurement before the start has taken this long: the next may, too.
    pub(super) fn learn(&mut self, took: Duration) {
        self.recent.push_back(took);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// A measurement of the training has taken this long.
    pub(super) fn spend(&mut self, took: Duration) {
        self.spent += took;
        self.learn(took);
    }

    /// What the next one is expected to take.
    pub(super) fn expected(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len().saturating_sub(1) / 2);
        middle.map_or(Duration::ZERO, |took| took.mul_f64(SLACK))
    }

    /// Whether another one may begin this long after the start.
    pub(super) fn allows(&self, elapsed: Duration) -> bool {
        let next = self.expected();
        let (after, all) = ((self.spent + next).as_secs_f64(), (elapsed + next).as_secs_f64());
        self.share >= 1.0 || after <= self.share * all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    /// A training on a clock of its own.
    struct Clock {
        budget: Budget,
        elapsed: Duration,
        /// What each measurement took, and what it was expected to.
        taken: Vec<[Duration; 2]>,
    }

    impl Clock {
        fn new(share: f64, before: &[f64]) -> Self {
            let mut budget = Budget::new(share);
            for took in before {
                budget.learn(seconds(*took));
            }
            Self { budget, elapsed: Duration::ZERO, taken: Vec::new() }
        }

        /// A step, and a measurement after it if one may begin.
        fn step(&mut self, step: f64, measurement: f64) -> bool {
            self.elapsed += seconds(step);
            let allowed = self.budget.allows(self.elapsed);
            if allowed {
                let (took, expected) = (seconds(measurement), self.budget.expected());
                self.budget.spend(took);
                self.elapsed += took;
                self.taken.push([took, expected]);
            }
            allowed
        }
    }

    proptest! {
        #[test]
        fn what_is_spent_exceeds_the_share_by_no_more_than_the_last_excess(
            share in 0.01..0.99_f64,
            before in prop::collection::vec(0.001..100.0_f64, 0..3),
            steps in prop::collection::vec((0.001..20.0_f64, 0.001..100.0_f64), 1..300),
        ) {
            let mut clock = Clock::new(share, &before);
            for (step, measurement) in steps {
                if !clock.step(step, measurement) {
                    continue;
                }
                let Some([took, expected]) = clock.taken.last() else { unreachable!() };
                let excess = took.saturating_sub(*expected).as_secs_f64();
                let spent: Duration = clock.taken.iter().map(|[took, _]| *took).sum();
                let bound = share * clock.elapsed.as_secs_f64() + (1.0 - share) * excess;
                // Durations are rounded to nanoseconds.
                prop_assert!(spent.as_secs_f64() <= bound + 1e-6, "{spent:?} {bound}");
            }
        }

        #[test]
        fn where_measurements_take_what_they_did_the_share_is_kept_and_used(
            share in 0.02..0.5_f64,
            cost in 0.1..10.0_f64,
            step in 0.1..10.0_f64,
        ) {
            let mut clock = Clock::new(share, &[cost, cost]);
            for _ in 0..2_000 {
                let measured = clock.step(step, cost);
                let spent = clock.taken.len() as f64 * cost;
                let saved = share * clock.elapsed.as_secs_f64() - spent;
                prop_assert!(saved >= -1e-6);
                // None is put off that what has been saved up is enough for.
                prop_assert!(measured || saved <= (1.0 - share) * SLACK * cost + 1e-6);
            }
        }
    }

    #[test]
    fn one_that_was_held_up_does_not_put_off_the_others_for_ever() {
        // Steps of a second, measurements of one second too, a share of 1/20.
        let measured = |before: [f64; 2], held_up: Option<usize>| {
            let mut clock = Clock::new(0.05, &before);
            let mut step = || {
                let cost = if Some(clock.taken.len()) == held_up { 60.0 } else { 1.0 };
                clock.step(1.0, cost)
            };
            (0..4_000).filter(|_| step()).collect::<Vec<_>>()
        };
        // One in 20 seconds: n in 4,000 + n.
        let undisturbed = measured([1.0, 1.0], None);
        assert!((209..=210).contains(&undisturbed.len()), "{undisturbed:?}");
        // The first was slow, as first ones are.
        assert_eq!(measured([60.0, 1.0], None), undisturbed);
        // Sixty seconds that were spent are sixty measurements: no more than these are lost.
        for held_up in [0, 1, 2, 100] {
            let found = measured([1.0, 1.0], Some(held_up)).len();
            assert!(found + 61 >= undisturbed.len(), "{held_up}: {found} of {undisturbed:?}");
        }
        // Held up twice before the start, it measures as soon as it can afford to be held up again, and
        // then makes up for it.
        let late = measured([60.0, 60.0], None);
        assert!((1_400..1_450).contains(&late[0]), "{late:?}");
        assert!(late.len() + 5 >= undisturbed.len(), "{late:?}");
    }

    #[test]
    fn what_takes_longer_from_some_time_on_is_expected_to() {
        let mut clock = Clock::new(0.05, &[1.0, 1.0]);
        for i in 0..40_000 {
            clock.step(1.0, if i < 4_000 { 1.0 } else { 4.0 });
        }
        assert_eq!(clock.budget.expected(), seconds(4.0 * SLACK));
        assert!(clock.budget.spent.as_secs_f64() <= 0.05 * clock.elapsed.as_secs_f64() + 4.0);
    }

    #[test]
    fn with_all_of_the_time_nothing_is_put_off() {
        let mut clock = Clock::new(1.0, &[1e6]);
        assert!((0..100).all(|_| clock.step(1e-3, 50.0)));
        assert!(clock.budget.allows(Duration::ZERO), "whatever the clock says");
        assert!(!Budget { share: 1e-9, ..clock.budget }.allows(seconds(100.0)));
    }
}
