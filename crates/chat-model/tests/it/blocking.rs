//! Synchronous callers.

use std::{num::NonZeroUsize, ops::ControlFlow, time::Duration};

use chat_model::{Blocking, Request};

use crate::common::{Slow, numbered};

#[test]
fn so_many_at_a_time_and_each_outcome_once() {
    let model = Blocking::new(Slow::new(Duration::from_millis(20))).unwrap();
    let requests: Vec<Request> = (0..20).map(numbered).collect();
    let mut said = vec![String::new(); requests.len()];
    model
        .answer_all(&requests, NonZeroUsize::new(5).unwrap(), |n, outcome| {
            assert!(said[n].is_empty());
            said[n] = outcome.unwrap().text;
            ControlFlow::Continue(())
        })
        .unwrap();
    let expected: Vec<String> = (0..20).map(|n| format!("request {n}")).collect();
    assert_eq!(said, expected);
    assert_eq!((model.inner().most(), model.inner().now()), (5, 0));
}

#[test]
fn several_threads_may_share_one() {
    let model = Blocking::new(Slow::new(Duration::from_millis(20))).unwrap();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let model = &model;
            scope.spawn(move || {
                let text = model.answer(&numbered(n)).unwrap().text;
                assert_eq!(text, format!("request {n}"));
            });
        }
    });
    assert!(model.inner().most() > 1);
}
