//! Measurements taken between training steps.

use std::{error::Error, fmt};

/// Something that is measured of a policy while it is trained.
///
/// A monitor may be slow, may fail, and must leave the policy as it is.
pub trait Monitor<P: ?Sized> {
    /// Steps from one measurement to the next; 0 never measures.
    fn every(&self) -> u64;

    /// A short name, which the names of the numbers are prefixed with.
    fn name(&self) -> &str;

    /// Named numbers of the policy as it is after `step`.
    ///
    /// # Errors
    /// Whatever kept it from measuring. Training goes on.
    fn measure(&mut self, step: u64, policy: &P) -> Result<Vec<(String, f64)>, MonitorError>;
}

/// Why a monitor could not measure.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct MonitorError(Box<dyn Error + Send + Sync>);

impl MonitorError {
    /// From another error, or from words.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// Monitors that are asked together; what they borrow lives for `'a`.
///
/// # Examples
/// ```
/// use rl_core::monitor::{Monitor, MonitorError, Monitors};
///
/// struct Norm;
///
/// impl Monitor<[f64]> for Norm {
///     fn every(&self) -> u64 {
///         10
///     }
///     fn name(&self) -> &str {
///         "weights"
///     }
///     fn measure(&mut self, _: u64, policy: &[f64]) -> Result<Vec<(String, f64)>, MonitorError> {
///         if policy.is_empty() {
///             return Err(MonitorError::new("there are no weights"));
///         }
///         Ok(vec![("norm".into(), policy.iter().map(|w| w * w).sum::<f64>().sqrt())])
///     }
/// }
///
/// let mut monitors = Monitors::<[f64]>::default();
/// monitors.push(Norm);
/// assert_eq!(monitors.measure(20, &[3.0, 4.0]), [("weights/norm".to_owned(), 5.0)]);
/// assert_eq!(monitors.measure(21, &[3.0, 4.0]), []);
/// assert_eq!(monitors.measure(30, &[]), []);
/// assert_eq!(monitors.failures(), 1);
/// ```
pub struct Monitors<'a, P: ?Sized> {
    monitors: Vec<Box<dyn Monitor<P> + 'a>>,
    failures: u64,
}

impl<P: ?Sized> Default for Monitors<'_, P> {
    fn default() -> Self {
        Self { monitors: Vec::new(), failures: 0 }
    }
}

impl<P: ?Sized> fmt::Debug for Monitors<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.monitors.iter().map(|monitor| monitor.name()).collect();
        f.debug_struct("Monitors").field("names", &names).field("failures", &self.failures).finish()
    }
}

impl<'a, P: ?Sized> Monitors<'a, P> {
    /// Adds one, which is asked after those before it.
    pub fn push(&mut self, monitor: impl Monitor<P> + 'a) {
        self.monitors.push(Box::new(monitor));
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.monitors.is_empty()
    }

    /// Measurements that have failed so far.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Whether one is due after `step`: what the policy must be prepared for, if that costs something.
    pub fn due(&self, step: u64) -> bool {
        self.monitors.iter().any(|monitor| is_due(monitor.as_ref(), step))
    }

    /// What the monitors due after `step` find, as `monitor/number`, in their order.
    ///
    /// One that fails is logged as a warning and counted, and the others are asked all the same.
    pub fn measure(&mut self, step: u64, policy: &P) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        for monitor in &mut self.monitors {
            if !is_due(monitor.as_ref(), step) {
                continue;
            }
            match monitor.measure(step, policy) {
                Ok(numbers) => {
                    let name = monitor.name();
                    found.extend(numbers.into_iter().map(|(key, x)| (format!("{name}/{key}"), x)));
                }
                Err(error) => {
                    self.failures += 1;
                    tracing::warn!(monitor = monitor.name(), step, %error, "a monitor has failed");
                }
            }
        }
        found
    }
}

fn is_due<P: ?Sized>(monitor: &dyn Monitor<P>, step: u64) -> bool {
    monitor.every() > 0 && step.is_multiple_of(monitor.every())
}
