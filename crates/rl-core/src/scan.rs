//! The one recursion behind returns and advantages, on raw rows.
//!
//! ```text
//! X_t = a_t + c_t X_{t+1}
//! ```
//!
//! A tensor operation for each step would cost microseconds where the step itself costs about a
//! nanosecond. Rows are therefore copied out in blocks that stay in a core's cache; a and c come from
//! loops over runs of valid steps that the compiler vectorizes; the recursion itself, whose every
//! step waits for the last, goes through several rows at once. A masked step has a = 0 and c = 1: it
//! hands on what it gets.
//!
//! One thread does it all: to start a second one, and to have it call libtorch for the first time,
//! takes longer than half a million steps.

use tch::{Device, Kind, Tensor};

use crate::returns::Steps;

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

/// Steps that are copied out at once: with their results they stay in a core's own cache, and they are
/// fewer than the 32,768 from which libtorch would wake its other threads for a copy.
const BLOCK: usize = 3 << 13;

/// Scans checked steps; `traces`, if given, is like the rewards. The result carries no gradient.
pub(crate) fn scan(steps: &Steps, traces: Option<&Tensor>, rule: Rule) -> Tensor {
    let device = steps.rewards.device();
    let host = |tensor: &Tensor| tensor.detach().to_device(Device::Cpu).contiguous();
    let tensors = Rows {
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
trait Real: tch::kind::Element + Copy + Default {
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

/// `[batch, time]` each, contiguous, on the CPU.
struct Rows {
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    terminated: Option<Tensor>,
    truncated: Option<Tensor>,
    bootstrap: Option<Tensor>,
    traces: Option<Tensor>,
}

impl Rows {
    /// A view of some rows.
    fn narrow(&self, start: usize, rows: usize) -> Self {
        let view = |tensor: &Tensor| tensor.narrow(0, start as i64, rows as i64);
        Self {
            rewards: view(&self.rewards),
            values: view(&self.values),
            mask: view(&self.mask),
            terminated: self.terminated.as_ref().map(view),
            truncated: self.truncated.as_ref().map(view),
            bootstrap: self.bootstrap.as_ref().map(view),
            traces: self.traces.as_ref().map(view),
        }
    }

    fn scan<T: Real>(&self, rule: Rule) -> Tensor {
        let out = self.rewards.empty_like();
        let [batch, time] = [0, 1].map(|dim| out.size()[dim] as usize);
        if batch * time == 0 {
            return out;
        }
        let rows = (BLOCK / time).max(LANES).min(batch);
        let mut block = Block::<T>::default();
        for start in (0..batch).step_by(rows) {
            let rows = rows.min(batch - start);
            block.load(&self.narrow(start, rows), rows * time);
            block.scan(rule, time);
            let found = Tensor::from_slice(&block.out).view([rows as i64, time as i64]);
            out.narrow(0, start as i64, rows as i64).copy_(&found);
        }
        out
    }
}

/// Some rows copied out, and room for c and for the result.
#[derive(Default)]
struct Block<T> {
    rewards: Vec<T>,
    values: Vec<T>,
    mask: Vec<u8>,
    terminated: Option<Vec<u8>>,
    truncated: Option<Vec<u8>>,
    bootstrap: Option<Vec<T>>,
    traces: Option<Vec<T>>,
    carries: Vec<T>,
    out: Vec<T>,
}

impl<T: Real> Block<T> {
    fn load(&mut self, rows: &Rows, steps: usize) {
        let flags = |to: &mut Vec<u8>, from: &Tensor| {
            to.resize(steps, 0);
            from.copy_data_u8(to, steps);
        };
        let numbers = |to: &mut Vec<T>, from: &Tensor| {
            to.resize(steps, T::ZERO);
            from.copy_data(to, steps);
        };
        self.out.resize(steps, T::ZERO);
        numbers(&mut self.rewards, &rows.rewards);
        numbers(&mut self.values, &rows.values);
        flags(&mut self.mask, &rows.mask);
        for (to, from) in
            [(&mut self.terminated, &rows.terminated), (&mut self.truncated, &rows.truncated)]
        {
            if let Some(from) = from {
                flags(to.get_or_insert_default(), from);
            }
        }
        for (to, from) in [(&mut self.bootstrap, &rows.bootstrap), (&mut self.traces, &rows.traces)]
        {
            if let Some(from) = from {
                numbers(to.get_or_insert_default(), from);
            }
        }
    }

    fn scan(&mut self, rule: Rule, time: usize) {
        let mut carries = std::mem::take(&mut self.carries);
        let mut out = std::mem::take(&mut self.out);
        carries.resize(LANES * time, T::ZERO);
        for (group, part) in out.chunks_mut(LANES * time).enumerate() {
            let lanes = part.chunks_mut(time).zip(carries.chunks_mut(time));
            let mut gaps = [false; LANES];
            for (lane, (a, c)) in lanes.enumerate() {
                gaps[lane] = self.row(group * LANES + lane, time).prepare(rule, a, c);
            }
            if rule.carry != 0.0 {
                recur(part, &carries, time);
            }
            for (lane, a) in part.chunks_mut(time).enumerate() {
                if gaps[lane] {
                    let mask = &self.row(group * LANES + lane, time).mask[..a.len()];
                    for (x, &valid) in a.iter_mut().zip(mask) {
                        *x = if valid == 0 { T::ZERO } else { *x };
                    }
                }
            }
        }
        self.carries = carries;
        self.out = out;
    }

    fn row(&self, row: usize, time: usize) -> Row<'_, T> {
        let at = row * time..(row + 1) * time;
        Row {
            rewards: &self.rewards[at.clone()],
            values: &self.values[at.clone()],
            mask: &self.mask[at.clone()],
            terminated: self.terminated.as_ref().map(|flags| &flags[at.clone()]),
            truncated: self.truncated.as_ref().map(|flags| &flags[at.clone()]),
            bootstrap: self.bootstrap.as_ref().map(|values| &values[at.clone()]),
            traces: self.traces.as_ref().map(|values| &values[at.clone()]),
        }
    }
}

/// One row, each slice `[time]`.
struct Row<'a, T> {
    rewards: &'a [T],
    values: &'a [T],
    mask: &'a [u8],
    terminated: Option<&'a [u8]>,
    truncated: Option<&'a [u8]>,
    bootstrap: Option<&'a [T]>,
    traces: Option<&'a [T]>,
}

impl<T: Real> Row<'_, T> {
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

/// `x_t ← x_t + c_t x_{t+1}` from the last step to the first, in each row.
fn recur<T: Real>(x: &mut [T], c: &[T], time: usize) {
    if x.len() == LANES * time {
        let mut x = x.chunks_exact_mut(time);
        let mut c = c.chunks_exact(time);
        let mut lanes: [(&mut [T], &[T]); LANES] =
            std::array::from_fn(|_| (x.next().unwrap_or_default(), c.next().unwrap_or_default()));
        let mut carried = [T::ZERO; LANES];
        for t in (0..time).rev() {
            for ((x, c), carried) in lanes.iter_mut().zip(&mut carried) {
                *carried = x[t].plus(c[t], *carried);
                x[t] = *carried;
            }
        }
        return;
    }
    for (x, c) in x.chunks_exact_mut(time).zip(c.chunks_exact(time)) {
        let mut carried = T::ZERO;
        for (x, &c) in x.iter_mut().zip(c).rev() {
            carried = x.plus(c, carried);
            *x = carried;
        }
    }
}
