//! Who is next: fair to all scenarios.

use std::collections::VecDeque;

/// Things to be done, in lanes: whenever there is room for one more, it is taken from the lane of
/// which the fewest are being done.
///
/// A lane whose things take long therefore gets as many places as the others, and no more.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lanes: Vec<(usize, VecDeque<T>)>,
}

impl<T> Queue<T> {
    /// All things, in their order within each lane.
    pub(super) fn new(things: Vec<T>, lane: impl Fn(&T) -> usize) -> Self {
        let mut lanes: Vec<(usize, VecDeque<T>)> = Vec::new();
        for thing in things {
            let lane = lane(&thing);
            while lanes.len() <= lane {
                lanes.push((0, VecDeque::new()));
            }
            lanes[lane].1.push_back(thing);
        }
        Self { lanes }
    }

    /// The next thing, with its lane.
    pub(super) fn pop(&mut self) -> Option<(usize, T)> {
        let waiting =
            self.lanes.iter_mut().enumerate().filter(|(_, (_, things))| !things.is_empty());
        let (lane, (running, things)) =
            waiting.min_by_key(|(lane, (running, _))| (*running, *lane))?;
        *running += 1;
        things.pop_front().map(|thing| (lane, thing))
    }

    /// A thing of this lane is done.
    pub(super) fn done(&mut self, lane: usize) {
        self.lanes[lane].0 -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_lane_does_not_take_all_places() {
        let mut queue = Queue::new(vec![(0, 'a'), (0, 'b'), (0, 'c'), (2, 'x'), (2, 'y')], |t| t.0);
        let mut next = || queue.pop().map(|(_, (_, name))| name);
        assert_eq!([next(), next(), next(), next()], [Some('a'), Some('x'), Some('b'), Some('y')]);
        assert_eq!(queue.pop().map(|t| t.1.1), Some('c'));
        assert!(queue.pop().is_none());
        // Lane 0 never ends; lane 2 goes on all the same.
        let mut queue = Queue::new((0..9).map(|i| (2 * usize::from(i >= 5), i)).collect(), |t| t.0);
        queue.pop();
        for _ in 0..4 {
            let (lane, _) = queue.pop().unwrap();
            assert_eq!(lane, 2);
            queue.done(lane);
        }
    }
}
