//! What firms see of a customer.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 0 or 1.
    Indicator,
    /// A whole number, 0 or above.
    Count,
    /// Any finite number.
    Amount,
}

/// One column of features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

/// The columns of features, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema {
    columns: Vec<Column>,
}

impl Schema {
    /// A schema of these columns.
    ///
    /// # Errors
    /// [`Error::Setting`] if two columns share a name, or one has none.
    pub fn new(columns: Vec<Column>) -> Result<Self, Error> {
        for (i, column) in columns.iter().enumerate() {
            if column.name.is_empty() || columns[..i].iter().any(|c| c.name == column.name) {
                return Err(Error::setting(
                    "columns",
                    "names that are all there and all different",
                    format!("{:?} as column {}", column.name, i + 1),
                ));
            }
        }
        Ok(Self { columns })
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The place of a column.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] if there is none of that name.
    pub fn index(&self, name: &str) -> Result<usize, Error> {
        self.columns
            .iter()
            .position(|c| c.name == name)
            .ok_or_else(|| Error::MissingColumn { name: name.to_owned(), known: self.names() })
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name.clone()).collect()
    }

    /// Checks that features of `other` can be given to what was trained on this schema.
    ///
    /// # Errors
    /// [`Error::Features`] if names, kinds or their order differ.
    pub fn accepts(&self, other: &Self) -> Result<(), Error> {
        if self == other {
            return Ok(());
        }
        let show = |schema: &Self| {
            let column = |c: &Column| format!("{} ({:?})", c.name, c.kind).to_lowercase();
            schema.columns.iter().map(column).collect()
        };
        Err(Error::Features { expected: show(self), found: show(other) })
    }
}
