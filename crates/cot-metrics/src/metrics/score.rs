//! The scores of one example.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Arm, Record, Undefined};

/// The three scores of arXiv 2602.13904, §3.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// How much of the answer's likelihood is lost without the chain.
    Necessity,
    /// How much of it is gained, or mostly lost, when the chain is put in other words.
    Paraphrasability,
    /// How much of it is lost when the chain is about something else.
    Substantivity,
}

impl Metric {
    /// All three, in the order of a triple.
    pub const ALL: [Self; 3] = [Self::Necessity, Self::Paraphrasability, Self::Substantivity];

    /// Name, as in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Necessity => "necessity",
            Self::Paraphrasability => "paraphrasability",
            Self::Substantivity => "substantivity",
        }
    }

    /// The arm that is compared with the original.
    pub fn arm(self) -> Arm {
        match self {
            Self::Necessity => Arm::NoThink,
            Self::Paraphrasability => Arm::Paraphrase,
            Self::Substantivity => Arm::OffTopic,
        }
    }

    /// The arm with the edit's prompt before the original chain; none where the prompt stays.
    pub fn control(self) -> Option<Arm> {
        match self {
            Self::Necessity => Some(Arm::NoThinkPrompt),
            Self::Paraphrasability => None,
            Self::Substantivity => Some(Arm::OffTopicPrompt),
        }
    }

    /// Original and edited, swapped where a gain counts as positive: so that no change is 0, and not −0.
    pub(super) fn ordered(self, original: f64, edited: f64) -> (f64, f64) {
        if self.sign() > 0.0 { (original, edited) } else { (edited, original) }
    }

    /// 1 where a loss of likelihood counts as positive, −1 where a gain does.
    pub fn sign(self) -> f64 {
        match self {
            Self::Necessity | Self::Substantivity => 1.0,
            Self::Paraphrasability => -1.0,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The largest f64 below 1.
const BELOW_ONE: f64 = 1.0 - f64::EPSILON / 2.0;

/// The published score of two negative log-likelihoods, before and after an edit.
///
/// ```text
/// s = (b − a) / (a + b) = tanh(½ ln(b / a))
/// ```
///
/// Range −1 to 1, with the ends only where one of the two is 0: between positive numbers the result
/// stays inside, also where rounding would reach 1. It does not depend on the base of the logarithms,
/// nor on whether both are sums or means over the same tokens. Near certainty it explodes: from
/// p = 0.9999 to 0.999 it is 0.818. None where both are 0.
///
/// Source: arXiv 2602.13904, §3.4, (4) and (9); (7) is its negative.
///
/// # Shapes
/// - `a`, `b`: finite, at least 0
///
/// # Examples
/// ```
/// use cot_metrics::metrics::symmetric;
///
/// let score = symmetric(-0.9_f64.ln(), -0.1_f64.ln()).unwrap();
/// assert!((score - 0.912489).abs() < 5e-7);
/// assert_eq!(symmetric(0.0, 0.0), None);
/// ```
pub fn symmetric(a: f64, b: f64) -> Option<f64> {
    let whole = (b - a, a + b);
    // Halved where the sum of two large numbers is beyond all numbers.
    let halved = (0.5 * b - 0.5 * a, 0.5 * a + 0.5 * b);
    let (difference, sum) = if whole.1.is_finite() { whole } else { halved };
    if sum == 0.0 {
        return None;
    }
    let score = difference / sum;
    Some(if a > 0.0 && b > 0.0 { score.clamp(-BELOW_ONE, BELOW_ONE) } else { score })
}

/// The score with `epsilon` nats added to both negative log-likelihoods, so that it does not explode
/// near certainty.
///
/// ```text
/// s_ε = (b − a) / (a + b + 2ε)
/// ```
///
/// With ε = 0 it is [`symmetric`] wherever that is defined; with both at 0 it is 0. Unlike the
/// published score it depends on the base, which is e here, and on sums being sums.
///
/// # Shapes
/// - `a`, `b`: finite, at least 0
/// - `epsilon`: above 0
///
/// # Examples
/// ```
/// use cot_metrics::metrics::{regularized, symmetric};
///
/// let [a, b] = [0.9999_f64, 0.999].map(|p| -p.ln());
/// assert!((symmetric(a, b).unwrap() - 0.818).abs() < 5e-4);
/// assert!((regularized(a, b, 0.01) - 0.0427).abs() < 5e-5);
/// ```
pub fn regularized(a: f64, b: f64, epsilon: f64) -> f64 {
    (0.5 * b - 0.5 * a) / (0.5 * a + 0.5 * b + epsilon)
}

/// One example's scores of one metric, three ways, each positive in the metric's sense.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// The published score ([`symmetric`]); none where the answer is certain in both arms.
    pub raw: Option<f64>,
    /// The score that does not explode near certainty ([`regularized`]).
    pub regularized: f64,
    /// The plain change in the answer's probability: before − after, or after − before for
    /// paraphrasability; −1 to 1.
    pub change: f64,
}

/// The scores of an example in a metric.
///
/// ```text
/// a = −log p(answer | original),  b = −log p(answer | edited)
/// necessity, substantivity:  (b − a) / (a + b)
/// paraphrasability:          (a − b) / (a + b)
/// ```
///
/// Source: arXiv 2602.13904, §3.4, (4), (7) and (9).
///
/// # Errors
/// [`Undefined`] where one of the two arms has no number.
pub fn score(metric: Metric, record: &Record, epsilon: f64) -> Result<Scores, Undefined> {
    let (a, b) = metric.ordered(record.nll(Arm::Original)?, record.nll(metric.arm())?);
    Ok(Scores {
        raw: symmetric(a, b),
        regularized: regularized(a, b, epsilon),
        change: (-a).exp() - (-b).exp(),
    })
}

/// What of an edit is due to its prompt, and what to its chain.
///
/// ```text
/// total = ½ ln(b / a),  prompt = ½ ln(c / a),  chain = ½ ln(b / c)
/// total = prompt + chain,  score = tanh(total)
/// ```
///
/// a, b and c are the negative log-likelihoods of the original, the edited arm and its control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Decomposition {
    /// atanh of the score.
    pub total: f64,
    /// What the edited prompt does before the original chain.
    pub prompt: f64,
    /// What the edited chain does after the edited prompt.
    pub chain: f64,
}

/// Separates the edit of the prompt from that of the chain.
///
/// # Errors
/// [`Undefined`] where one of the three arms has no number or is certain, and for a metric whose
/// edit leaves the prompt as it is.
pub fn decompose(metric: Metric, record: &Record) -> Result<Decomposition, Undefined> {
    let Some(control) = metric.control() else {
        return Err(Undefined::Missing { arm: metric.arm() });
    };
    let ln = |arm: Arm| match record.nll(arm)? {
        0.0 => Err(Undefined::Certain { arm }),
        nll => Ok(nll.ln()),
    };
    let (a, b, c) = (ln(Arm::Original)?, ln(metric.arm())?, ln(control)?);
    let (prompt, chain) = (0.5 * (c - a), 0.5 * (b - c));
    Ok(Decomposition { total: prompt + chain, prompt, chain })
}
