//! A mean over clusters with an interval that says how it was made.

use rl_core::{
    seed::Seed,
    stats::{self, Bootstrap, Estimate},
};
use serde::{Deserialize, Serialize};

use crate::Error;

/// From so many clusters on Student's interval is used.
pub const MANY_CLUSTERS: usize = 20;

/// How an interval was made, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Cluster-robust error and Student's t, from 20 clusters on.
    Student,
    /// The wild cluster bootstrap, below 20 clusters.
    WildBootstrap,
    /// Student's t although there are too few clusters even for the wild bootstrap: too narrow if
    /// clusters differ in size.
    StudentFewClusters,
    /// One cluster has no spread: there is no interval, not one of width zero.
    OneCluster,
    /// There is nothing to average.
    Nothing,
}

/// A mean over clusters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The mean.
    pub value: Option<f64>,
    /// Its interval.
    pub interval: Option<[f64; 2]>,
    /// Its cluster-robust standard error.
    pub std_error: Option<f64>,
    /// Clusters that it rests on.
    pub clusters: usize,
    /// Values that it is the mean of.
    pub values: usize,
    /// How the interval was made.
    pub method: Method,
}

/// How intervals are made, and what counts as equivalent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Probability between the ends of intervals; 0.95 is what tests at 5 % go with.
    pub confidence: f64,
    /// Differences smaller than this do not matter; fixed before the run. Above 0; 0.10 of a scale
    /// that goes from 0 to 1.
    pub margin: f64,
    /// Resamples of bootstraps and permutations; at least 100, and 2,000 for ends that are reported.
    pub resamples: usize,
    /// Random halves that noise is estimated from, for each unit; at least 1.
    pub splits: usize,
    /// What a probability of 0 stands for in the log loss: whole percentages mean anything below a
    /// half. Above 0, below 1/2.
    pub floor: f64,
    /// Root of all resampling.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { confidence: 0.95, margin: 0.10, resamples: 2000, splits: 64, floor: 0.005, seed: 0 }
    }
}

impl Settings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |field: &str, expected: &str, found: f64| {
            Err(Error::config(format!("analysis.{field}"), expected, found))
        };
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return wrong("confidence", "a number between 0 and 1", self.confidence);
        }
        if !(self.margin > 0.0 && self.margin <= 1.0) {
            return wrong("margin", "a number above 0, at most 1", self.margin);
        }
        if self.resamples < 100 {
            return wrong("resamples", "at least 100", self.resamples as f64);
        }
        if self.splits == 0 {
            return wrong("splits", "at least 1", 0.0);
        }
        if !(self.floor > 0.0 && self.floor < 0.5) {
            return wrong("floor", "a number between 0 and 1/2", self.floor);
        }
        Ok(())
    }

    /// How the bootstrap for this purpose is made.
    pub fn bootstrap(&self, purpose: &str) -> Bootstrap {
        let seed = Seed::new(self.seed).derive(purpose, 0);
        Bootstrap { resamples: self.resamples, confidence: self.confidence, seed }
    }

    /// Mean of values in clusters.
    pub fn mean<C: Ord>(&self, values: &[f64], clusters: &[C]) -> Measured {
        let nothing = Measured {
            value: None,
            interval: None,
            std_error: None,
            clusters: 0,
            values: values.len(),
            method: Method::Nothing,
        };
        if values.is_empty() {
            return nothing;
        }
        let Ok(student) = stats::cluster_mean(values, clusters, self.confidence) else {
            let value = Some(values.iter().sum::<f64>() / values.len() as f64);
            return Measured { value, clusters: 1, method: Method::OneCluster, ..nothing };
        };
        let (estimate, method) = if student.n >= MANY_CLUSTERS {
            (student, Method::Student)
        } else {
            match stats::wild_cluster_mean(values, clusters, self.bootstrap("mean")) {
                Ok(wild) => (wild, Method::WildBootstrap),
                Err(_) => (student, Method::StudentFewClusters),
            }
        };
        let Estimate { value, interval, n, std_error } = estimate;
        Measured {
            value: Some(value),
            interval: Some(interval),
            std_error: Some(std_error),
            clusters: n,
            method,
            ..nothing
        }
    }
}

impl Measured {
    /// As an estimate of the statistics, if it has an interval.
    pub fn estimate(&self) -> Option<Estimate> {
        let (value, interval) = (self.value?, self.interval?);
        Some(Estimate { value, interval, n: self.clusters, std_error: self.std_error? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_clusters_decides() {
        let of = |count: usize| {
            let values: Vec<f64> = (0..count).map(|i| (i % 3) as f64 * 0.5).collect();
            let clusters: Vec<usize> = (0..count).collect();
            Settings::default().mean(&values, &clusters)
        };
        let methods: Vec<Method> = [0, 1, 5, 6, 19, 20].map(|n| of(n).method).into();
        assert_eq!(
            methods,
            [
                Method::Nothing,
                Method::OneCluster,
                Method::StudentFewClusters,
                Method::WildBootstrap,
                Method::WildBootstrap,
                Method::Student
            ]
        );
        assert_eq!([5, 6, 20].map(|n| of(n).values), [5, 6, 20]);
        let values = [0.0, 0.5, 1.0, 0.0, 0.5, 1.0];
        let student = stats::cluster_mean(&values, &[0, 1, 2, 3, 4, 5], 0.95).unwrap();
        assert_ne!(of(6).interval, Some(student.interval));
        assert_eq!((of(1).value, of(1).interval, of(1).std_error), (Some(0.0), None, None));
        assert!(of(1).estimate().is_none() && of(0).value.is_none());
    }

    /// The reference values of the fact sheet.
    #[test]
    fn three_clusters() {
        let found = Settings::default()
            .mean(&[1.0, 1.0, 0.0, 0.0, 1.0, 0.0], &["a", "a", "b", "b", "c", "c"]);
        approx::assert_abs_diff_eq!(found.std_error.unwrap(), 0.288_675, epsilon = 5e-7);
        let naive = stats::mean(&[1.0, 1.0, 0.0, 0.0, 1.0, 0.0], 0.95).unwrap();
        approx::assert_abs_diff_eq!(naive.std_error, 0.223_607, epsilon = 5e-7);
    }

    #[test]
    fn settings_are_checked() {
        let message = |settings: Settings| settings.validate().unwrap_err().to_string();
        let some = Settings::default();
        assert!(some.validate().is_ok());
        assert_eq!(
            message(Settings { margin: 0.0, ..some }),
            "analysis.margin: expected a number above 0, at most 1, found 0"
        );
        for bad in [
            Settings { confidence: 1.0, ..some },
            Settings { resamples: 10, ..some },
            Settings { splits: 0, ..some },
            Settings { floor: 0.5, ..some },
        ] {
            assert!(message(bad).starts_with("analysis."));
        }
    }
}
