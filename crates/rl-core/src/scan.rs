//! The one recursion behind returns and advantages, on raw rows.
//!
//! ```text
//! X_t = a_t + c_t X_{t+1}
//! ```
//!
//! A tensor operation for each step would cost microseconds where the step itself costs about a
//! nanosecond. Rows are therefore read where they are, some at a time, so that what is made of them
//! stays in a core's cache; a and c come from loops over runs of valid steps that the compiler
//! vectorizes; the recursion itself, whose every step waits for the last, goes through several rows at
//! once. A masked step has a = 0 and c = 1: it hands on what it gets.
//!
//! One thread does it all: to start a second one takes as long as a hundred thousand steps.

use std::mem::MaybeUninit;

use tch::{Kind, Tensor};

use crate::{
    returns::Steps,
    slices::{Number, flags, host, numbers, written},
};

/// What a and c are, for a step that nothing ends.
///
/// ```text
/// a_t = r_t + next · V_{t+1} − own · V_t
/// c_t = carry (· trace_{t+1}, if there are traces)
/// ```
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Factor on the value of the next valid step.
    pub(crate) next: f64,
    /// Factor on the step's own value: 1 or 0.
    pub(crate) own: f64,
    /// Factor on what comes back from the next valid step.
    pub(crate) carry: f64,
    /// Factor on the bootstrap value where a row is truncated.
    pub(crate) gamma: f64,
}

/// Rows that the recursion goes through at once: enough to hide the latency of a product and a sum.
const LANES: usize = 8;

/// Numbers of one row's a, and of its c, from those of the next: enough for the row, and an odd number
/// of cache lines. With rows of 1,024 f32, all lanes would compete for the same few places of the
/// cache, which makes the recursion four times as slow.
fn stride(time: usize) -> usize {
    const LINE: usize = 16;
    (time.div_ceil(LINE) | 1) * LINE
}

/// Scans checked steps; `traces`, if given, is like the rewards. The result carries no gradient.
pub(crate) fn scan(steps: &Steps, traces: Option<&Tensor>, rule: Rule) -> Tensor {
    let device = steps.rewards.device();
    let tensors = Tensors {
        rewards: host(steps.rewards),
        values: host(steps.values),
        mask: host(steps.mask),
        terminated: steps.terminated.map(host),
        truncated: steps.truncated.map(host),
        bootstrap: steps.bootstrap.map(host),
        traces: traces.map(host),
    };
    let result = match steps.rewards.kind() {
        Kind::Double => tensors.scan::<f64>(rule),
        _ => tensors.scan::<f32>(rule),
    };
    result.to_device(device)
}

/// A number that is scanned.
trait Real: Number {
    const ONE: Self;
    fn new(value: f64) -> Self;
    /// `a + b · c`
    fn plus(self, b: Self, c: Self) -> Self;
    /// `a − b`
    fn minus(self, b: Self) -> Self;
    /// `a · b`
    fn times(self, b: Self) -> Self;
}

macro_rules! real {
    ($($float:ty),*) => {$(
        impl Real for $float {
            const ONE: Self = 1.0;
            fn new(value: f64) -> Self {
                value as Self
            }
            #[inline]
            fn plus(self, b: Self, c: Self) -> Self {
                self + b * c
            }
            #[inline]
            fn minus(self, b: Self) -> Self {
                self - b
            }
            #[inline]
            fn times(self, b: Self) -> Self {
                self * b
            }
        }
    )*};
}
real!(f32, f64);

/// `[batch, time]` each, in host memory.
struct Tensors {
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    terminated: Option<Tensor>,
    truncated: Option<Tensor>,
    bootstrap: Option<Tensor>,
    traces: Option<Tensor>,
}

impl Tensors {
    fn scan<T: Real>(&self, rule: Rule) -> Tensor {
        let size = self.rewards.size();
        let time = size[1] as usize;
        let rows = Rows {
            rewards: numbers(&self.rewards),
            values: numbers(&self.values),
            mask: flags(&self.mask),
            terminated: self.terminated.as_ref().map(flags),
            truncated: self.truncated.as_ref().map(flags),
            bootstrap: self.bootstrap.as_ref().map(numbers),
            traces: self.traces.as_ref().map(numbers),
        };
        written::<T>(&size, |out| rows.scan(rule, time, out))
    }
}

/// Rows one after the other, or one: each slice `[rows · time]`.
struct Rows<'a, T> {
    rewards: &'a [T],
    values: &'a [T],
    mask: &'a [u8],
    terminated: Option<&'a [u8]>,
    truncated: Option<&'a [u8]>,
    bootstrap: Option<&'a [T]>,
    traces: Option<&'a [T]>,
}

impl<T: Real> Rows<'_, T> {
    /// Writes the results of all rows, of which there is at least one.
    fn scan(&self, rule: Rule, time: usize, out: &mut [MaybeUninit<T>]) {
        let stride = stride(time);
        let (mut a, mut c) = (vec![T::ZERO; LANES * stride], vec![T::ZERO; LANES * stride]);
        for (group, out) in out.chunks_mut(LANES * time).enumerate() {
            let row = |lane| self.row(group * LANES + lane, time);
            let mut gaps = [false; LANES];
            let lanes = a.chunks_exact_mut(stride).zip(c.chunks_exact_mut(stride));
            for (lane, (a, c)) in lanes.enumerate().take(out.len() / time) {
                gaps[lane] = row(lane).prepare(rule, &mut a[..time], &mut c[..time]);
            }
            if rule.carry != 0.0 {
                recur(&mut a, &c, time);
            }
            let lanes = out.chunks_exact_mut(time).zip(a.chunks_exact_mut(stride));
            for (lane, (out, x)) in lanes.enumerate() {
                let x = &mut x[..time];
                if gaps[lane] {
                    for (x, &valid) in x.iter_mut().zip(row(lane).mask) {
                        *x = if valid == 0 { T::ZERO } else { *x };
                    }
                }
                out.write_copy_of_slice(x);
            }
        }
    }

    fn row(&self, row: usize, time: usize) -> Self {
        let at = row * time..(row + 1) * time;
        Self {
            rewards: &self.rewards[at.clone()],
            values: &self.values[at.clone()],
            mask: &self.mask[at.clone()],
            terminated: self.terminated.map(|flags| &flags[at.clone()]),
            truncated: self.truncated.map(|flags| &flags[at.clone()]),
            bootstrap: self.bootstrap.map(|values| &values[at.clone()]),
            traces: self.traces.map(|values| &values[at.clone()]),
        }
    }

    /// Fills a and c, and says whether some steps are masked.
    fn prepare(&self, rule: Rule, a: &mut [T], c: &mut [T]) -> bool {
        let [next, carry] = [rule.next, rule.carry].map(T::new);
        let time = a.len();
        let mut start = skip(self.mask, 0, 0);
        a[..start].fill(T::ZERO);
        c[..start].fill(T::ONE);
        let mut gaps = start > 0;
        let mut last = None;
        while start < time {
            let end = skip(self.mask, start, 1);
            self.run(rule, start, end, a, c);
            // Where the run's last step goes on to: over the gap, if a run comes after it.
            let resume = skip(self.mask, end, 0);
            if resume < time {
                let t = end - 1;
                a[t] = self.alone(rule, t);
                if rule.next != 0.0 {
                    a[t] = a[t].plus(next, self.values[resume]);
                }
                c[t] = self.traces.map_or(carry, |traces| carry.times(traces[resume]));
            } else {
                last = Some(end - 1);
            }
            a[end..resume].fill(T::ZERO);
            c[end..resume].fill(T::ONE);
            gaps |= resume > end;
            start = resume;
        }
        self.ends(rule, last, a, c);
        gaps
    }

    /// a and c of a run's steps but for its last.
    fn run(&self, rule: Rule, start: usize, end: usize, a: &mut [T], c: &mut [T]) {
        let next = T::new(rule.next);
        let carry = T::new(rule.carry);
        let (inner, after) = (start..end - 1, start + 1..end);
        let (a, c) = (&mut a[inner.clone()], &mut c[inner.clone()]);
        let rewards = &self.rewards[inner.clone()];
        let after_values = &self.values[after.clone()];
        // Values are not even looked at where they do not count: they may be NaN.
        if rule.own != 0.0 {
            let values = &self.values[inner];
            for (((a, &r), &v), &v_next) in a.iter_mut().zip(rewards).zip(values).zip(after_values)
            {
                *a = r.plus(next, v_next).minus(v);
            }
        } else if rule.next != 0.0 {
            for ((a, &r), &v_next) in a.iter_mut().zip(rewards).zip(after_values) {
                *a = r.plus(next, v_next);
            }
        } else {
            a.copy_from_slice(rewards);
        }
        match self.traces {
            None => c.fill(carry),
            Some(traces) => {
                for (c, &trace) in c.iter_mut().zip(&traces[after]) {
                    *c = carry.times(trace);
                }
            }
        }
    }

    /// The part of a that no other step has a share in.
    fn alone(&self, rule: Rule, t: usize) -> T {
        if rule.own == 0.0 { self.rewards[t] } else { self.rewards[t].minus(self.values[t]) }
    }

    /// Overwrites a and c where an episode ends: at flags, and at the last valid step.
    fn ends(&self, rule: Rule, last: Option<usize>, a: &mut [T], c: &mut [T]) {
        let gamma = T::new(rule.gamma);
        let mut end = |t: usize, bootstrap: Option<&[T]>| {
            a[t] = self.alone(rule, t);
            if let Some(bootstrap) = bootstrap {
                a[t] = a[t].plus(gamma, bootstrap[t]);
            }
            c[t] = T::ZERO;
        };
        if let Some(t) = last {
            end(t, self.bootstrap);
        }
        // A step that is terminated as well as truncated is terminated: it comes last.
        for (flags, bootstrap) in [(self.truncated, self.bootstrap), (self.terminated, None)] {
            let Some(flags) = flags else { continue };
            let mut t = skip(flags, 0, 0);
            while t < flags.len() {
                if self.mask[t] != 0 {
                    end(t, bootstrap);
                }
                t = skip(flags, t + 1, 0);
            }
        }
    }
}

/// The first place from `start` on whose byte is not `byte` (0 or 1), eight at a time.
fn skip(bytes: &[u8], start: usize, byte: u8) -> usize {
    let word = [byte; 8];
    let mut at = start;
    while bytes.get(at..at + 8).is_some_and(|eight| eight == word) {
        at += 8;
    }
    bytes[at..].iter().position(|&b| b != byte).map_or(bytes.len(), |more| at + more)
}

/// `x_t ← x_t + c_t x_{t+1}` from the last step to the first, in each lane: while one waits for its
/// last step, the others go on. Lanes without a row hold what an earlier row left, to no effect.
fn recur<T: Real>(x: &mut [T], c: &[T], time: usize) {
    let stride = stride(time);
    let (mut x, mut c) = (x.chunks_exact_mut(stride), c.chunks_exact(stride));
    let mut lanes: [(&mut [T], &[T]); LANES] = std::array::from_fn(|_| {
        (&mut x.next().unwrap_or_default()[..time], &c.next().unwrap_or_default()[..time])
    });
    let mut carried = [T::ZERO; LANES];
    for t in (0..time).rev() {
        for ((x, c), carried) in lanes.iter_mut().zip(&mut carried) {
            *carried = x[t].plus(c[t], *carried);
            x[t] = *carried;
        }
    }
}
