//! run-report
