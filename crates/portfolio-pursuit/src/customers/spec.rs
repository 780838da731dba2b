//! What the columns of a table are.

use serde::{Deserialize, Serialize};

use crate::{Column, Error, Kind, Schema};

/// What the values of a column of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// A number.
    Number,
    /// A whole number, 0 or above.
    Whole,
    /// Yes or no: `true`, `false`, `yes`, `no`, `1`, `0`, in any case.
    Flag,
    /// One of `levels`; becomes one indicator for each.
    Level,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Its name in the header.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// The values of a column of levels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// What stands in for a missing value, written as in the table; without it a row that lacks the
    /// value is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<String>,
}

/// What the columns of a table of customers are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// Columns that become features.
    pub columns: Vec<ColumnSpec>,
    /// The column with the expected cost, in £.
    pub cost: String,
    /// The column that names a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The column with the last price, in £; empty for new customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The column with what a new customer would be asked, in £; empty where no such rule holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_business: Option<String>,
    /// Columns that are there but not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
}

/// What counts as missing, in any case.
const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "none"];

/// Whether a field holds no value.
pub(super) fn is_missing(field: &str) -> bool {
    MISSING.iter().any(|missing| field.eq_ignore_ascii_case(missing))
}

impl ColumnSpec {
    /// The columns of features it becomes.
    fn features(&self) -> Vec<Column> {
        let column = |name: String, kind| Column { name, kind };
        match self.value_type {
            ValueType::Number => vec![column(self.name.clone(), Kind::Amount)],
            ValueType::Whole => vec![column(self.name.clone(), Kind::Count)],
            ValueType::Flag => vec![column(self.name.clone(), Kind::Indicator)],
            ValueType::Level => self
                .levels
                .iter()
                .map(|level| column(format!("{}={level}", self.name), Kind::Indicator))
                .collect(),
        }
    }

    /// How many features it becomes.
    pub(super) fn width(&self) -> usize {
        if self.value_type == ValueType::Level { self.levels.len() } else { 1 }
    }

    /// Writes the features of a value, which is not missing.
    pub(super) fn parse(&self, field: &str, features: &mut [f64]) -> Result<(), String> {
        let wrong = |expected: &str| {
            Err(format!("column {:?}: expected {expected}, found {field:?}", self.name))
        };
        match self.value_type {
            ValueType::Number | ValueType::Whole => {
                let number = field.parse::<f64>().ok().filter(|x| x.is_finite());
                let whole = |x: &f64| x.fract() == 0.0 && *x >= 0.0;
                match number {
                    Some(x) if self.value_type == ValueType::Number || whole(&x) => features[0] = x,
                    _ if self.value_type == ValueType::Number => return wrong("a number"),
                    _ => return wrong("a whole number, 0 or above"),
                }
            }
            ValueType::Flag => {
                let is = |words: [&str; 4]| words.iter().any(|w| field.eq_ignore_ascii_case(w));
                features[0] = match (is(["true", "yes", "y", "1"]), is(["false", "no", "n", "0"])) {
                    (true, _) => 1.0,
                    (_, true) => 0.0,
                    _ => return wrong("yes or no"),
                };
            }
            ValueType::Level => {
                let Some(place) = self.levels.iter().position(|level| level == field) else {
                    return wrong(&format!("one of {}", self.levels.join(", ")));
                };
                features.fill(0.0);
                features[place] = 1.0;
            }
        }
        Ok(())
    }
}

impl TableSpec {
    /// The features that rows become.
    ///
    /// # Errors
    /// [`Error::Setting`] for two columns of one name, a column of levels without levels, levels for
    /// another type, and a `fill` that its column could not hold.
    pub fn schema(&self) -> Result<Schema, Error> {
        for column in &self.columns {
            let name = |field: &str| format!("{field} of column {:?}", column.name);
            if (column.value_type == ValueType::Level) == column.levels.is_empty() {
                let expected = "values for a column of levels, and none for another";
                return Err(Error::setting(name("levels"), expected, column.levels.join(", ")));
            }
            if let Some(fill) = &column.fill {
                let parsed = column.parse(fill, &mut vec![0.0; column.width()]);
                parsed.map_err(|reason| Error::setting(name("fill"), "a value", reason))?;
            }
        }
        Schema::new(self.columns.iter().flat_map(ColumnSpec::features).collect())
    }

    /// Every column that is used, features first.
    pub(super) fn used(&self) -> Vec<&str> {
        let special = [Some(&self.cost), self.id.as_ref()];
        let optional = [self.previous.as_ref(), self.new_business.as_ref()];
        let features = self.columns.iter().map(|c| &c.name);
        features
            .chain(special.into_iter().flatten())
            .chain(optional.into_iter().flatten())
            .map(String::as_str)
            .collect()
    }
}
