//! Standard output and standard error, either of which may be full or gone.

use std::{
    fmt::Display,
    io::{self, StdoutLock, Write},
};

/// Standard output, whose errors name it.
pub(crate) struct Out(StdoutLock<'static>);

/// Locks standard output.
pub(crate) fn stdout() -> Out {
    Out(io::stdout().lock())
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|e| named(&e))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|e| named(&e))
    }
}

/// The kind stays: a broken pipe is no error of ours.
fn named(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
}

/// A line of the result.
pub(crate) fn print(line: impl Display) -> anyhow::Result<()> {
    let mut out = stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// A line about the run, for whoever still looks: that nobody does must not end it.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A table for standard output, without rows.
#[cfg(feature = "runs")]
pub(crate) fn table(header: impl Into<comfy_table::Row>) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED).set_header(header);
    table
}
