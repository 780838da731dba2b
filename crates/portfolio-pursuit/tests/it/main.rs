//! The properties that market, exact solutions and practice must have.

mod golden;
mod market;
