//! The record of a quote: all that an auditor may ask for.

use serde::{Deserialize, Serialize};

use crate::practice::{Alternative, Bound};

/// A quote and its reasons.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QuoteRecord {
    /// The customer's row, counted from 1.
    pub row: u64,
    /// The customer's name.
    pub id: String,
    /// The offer, in £.
    pub price: f64,
    /// Expected cost without loading, in £.
    pub cost: f64,
    /// The offer over the loaded cost: a.
    pub multiplier: f64,
    /// 1 − worth/cost over the loaded cost: below 1 for a wanted customer.
    pub k: f64,
    /// What the customer is worth beside its profit, in £.
    pub worth: f64,
    /// Probability that the offer is taken.
    pub acceptance: f64,
    /// The price that would have been best without bounds, in £.
    pub unbounded: f64,
    /// The bound that moved it.
    pub bound: Option<Bound>,
    /// Probability with which this price was asked.
    pub propensity: f64,
    /// The factor that exploration multiplied the price by; 1 for none.
    pub explored: f64,
    /// Every price that might have been asked, rising, with its probability: what off-policy
    /// evaluation goes by. This one is among them.
    #[serde(default)]
    pub alternatives: Vec<Alternative>,
    /// The customer's last price, in £, if it had one.
    #[serde(default)]
    pub previous: Option<f64>,
    /// What a new customer would be asked, in £, where that bounds the price.
    #[serde(default)]
    pub new_business: Option<f64>,
    /// Values of the features.
    pub features: Vec<f64>,
    /// One sentence for each thing that moved the price.
    pub reasons: Vec<String>,
}
