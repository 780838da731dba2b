//! Many samples at a time.

use std::num::NonZeroUsize;

use agent_evals::{Agent, FinishedIter, Plan, Stopper};

use crate::{
    common::{Counting, counter, plan},
    journal::results,
};

/// How many samples run at a time changes nothing but the time they take; and all of them replay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_a_time_and_a_thousand_come_to_the_same() {
    let goals: Vec<u64> = (0..1000).map(|i| 1 + i % 7).collect();
    let run = |concurrent| Plan {
        seed: 11,
        concurrent: NonZeroUsize::new(concurrent).unwrap(),
        ..plan(Counting::to(&goals), Agent::new(counter(3)))
    };
    let folder = tempfile::tempdir().unwrap();
    let [one, thousand] = [1, 1000].map(|n| folder.path().join(format!("{n}.jsonl")));
    run(1).run(&one, None, Stopper::default()).await.unwrap();
    run(1000).run(&thousand, None, Stopper::default()).await.unwrap();
    let results = [results(&one), results(&thousand)];
    assert_eq!(results[0].len(), 1000);
    assert_eq!(results[0], results[1]);
    let reached = results[0].values().filter(|r| r.1["reached"].verdict.value() == Some(1.0));
    // Goals 1, 2 and 3 of seven.
    assert_eq!(reached.count(), goals.iter().filter(|g| **g <= 3).count());
    for finished in FinishedIter::open(&thousand).unwrap() {
        let finished = finished.unwrap();
        assert_eq!(finished.replay().await.unwrap(), finished.trace.events);
    }
}
