//! A user's own customers: tables with typed columns, some of whose values are missing.

mod curve;
mod reader;
mod spec;
mod table_market;

pub use curve::{ConversionCurve, LogisticCurve};
pub use reader::{Customer, CustomerReader};
pub use spec::{ColumnSpec, TableSpec, ValueType};
pub use table_market::{Arrival, TableMarket};
