//! A sentence of a paper, or a goal of ours, as a number.

use serde::{Deserialize, Serialize};

use super::Error;

/// A claim and what was measured for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Stable name: `system.thing`.
    pub id: String,
    /// The sentence.
    pub says: String,
    /// Where it comes from.
    pub source: String,
    /// What was measured, if it could be.
    pub value: Option<f64>,
    /// Interval of the value, where it has one.
    pub interval: Option<[f64; 2]>,
    /// What the value should be, such as `<= 0.001`.
    pub target: String,
    /// Whether it is so; none if there is no value.
    pub met: Option<bool>,
    /// Number of independent measurements.
    pub n: usize,
    /// Scale of the run.
    pub scale: String,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a claim says, before it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// Stable name: `system.thing`.
    pub id: &'a str,
    /// The sentence.
    pub says: &'a str,
    /// Where it comes from.
    pub source: &'a str,
    /// A comparison, such as `<= 0.001`.
    pub target: &'a str,
}

impl Claim {
    /// A claim for which `value` was measured; the target decides whether it is met.
    ///
    /// # Errors
    /// [`Error::Claim`] if the target is not a comparison with a number. A value that is not finite
    /// counts as not computed.
    pub fn measured(
        statement: Statement<'_>,
        value: f64,
        interval: Option<[f64; 2]>,
        n: usize,
        scale: &str,
    ) -> Result<Self, Error> {
        let met = compare(statement, value)?;
        if !value.is_finite() {
            return Self::not_computed(statement, &format!("the value is {value}"), scale);
        }
        Ok(Self {
            value: Some(value),
            interval,
            met: Some(met),
            n,
            reason: None,
            ..Self::not_computed(statement, "", scale)?
        })
    }

    /// A claim that could not be computed, and why.
    ///
    /// # Errors
    /// As for [`Claim::measured`].
    pub fn not_computed(
        statement: Statement<'_>,
        reason: &str,
        scale: &str,
    ) -> Result<Self, Error> {
        compare(statement, 0.0)?;
        Ok(Self {
            id: statement.id.to_owned(),
            says: statement.says.to_owned(),
            source: statement.source.to_owned(),
            value: None,
            interval: None,
            target: statement.target.to_owned(),
            met: None,
            n: 0,
            scale: scale.to_owned(),
            reason: Some(reason.to_owned()),
        })
    }
}

fn compare(statement: Statement<'_>, value: f64) -> Result<bool, Error> {
    let bad = || Error::Claim { id: statement.id.to_owned(), target: statement.target.to_owned() };
    let (comparison, number) = statement.target.split_once(' ').ok_or_else(bad)?;
    let number: f64 = number.trim().parse().map_err(|_| bad())?;
    match comparison {
        "<=" => Ok(value <= number),
        "<" => Ok(value < number),
        ">=" => Ok(value >= number),
        ">" => Ok(value > number),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENT: Statement<'_> =
        Statement { id: "a.b", says: "it is small", source: "us", target: "<= 0.5" };

    #[test]
    fn the_target_decides() {
        let met = |target, value| {
            Claim::measured(Statement { target, ..STATEMENT }, value, None, 1, "smoke").unwrap().met
        };
        assert_eq!(met("<= 0.5", 0.5), Some(true));
        assert_eq!(met("< 0.5", 0.5), Some(false));
        assert_eq!(met(">= 0.5", 0.5), Some(true));
        assert_eq!(met("> 0.5", 0.5), Some(false));
        assert_eq!(met("> 0.5", f64::NAN), None);
        assert!(
            Claim::measured(Statement { target: "about 1", ..STATEMENT }, 1.0, None, 1, "")
                .is_err()
        );
    }

    #[test]
    fn what_is_written_is_read() {
        for claim in [
            Claim::measured(STATEMENT, 0.25, Some([0.2, 0.3]), 5, "smoke").unwrap(),
            Claim::not_computed(STATEMENT, "no model", "smoke").unwrap(),
        ] {
            let text = serde_json::to_string(&claim).unwrap();
            assert_eq!(serde_json::from_str::<Claim>(&text).unwrap(), claim);
        }
    }
}
