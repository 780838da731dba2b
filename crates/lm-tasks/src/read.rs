//! From rows to a data set.

use crate::{
    Dataset, Error, Item, Layout, Place, Provenance, ReadOptions, RowError, Turns,
    dataset::digest,
    error::{Fault, shown},
    format::Rows,
    layout::Row,
    options::BadRows,
};

/// How many bad rows are remembered.
const REMEMBERED: usize = 5;

/// An item that rows can be read as.
pub(crate) trait FromRow: Item + Sized {
    /// Whether a layout holds such items.
    fn fits(layout: Layout) -> bool;

    fn from_row(row: &Row, layout: Layout, options: &ReadOptions) -> Result<Self, Fault>;

    /// Whether its prompt is plain text, or one turn of the user after at most a system text.
    fn is_single_turn(&self) -> bool;

    /// The error for a layout that does not fit.
    fn misfit(file: String, found: Layout) -> Error {
        Error::NoPairs { file, found }
    }
}

/// Reads rows in the layout that the options or the first row name.
pub(crate) fn read<T: FromRow>(rows: Rows, options: &ReadOptions) -> Result<Dataset<T>, Error> {
    options.validate()?;
    let mut reader = Reader { options, layout: None, items: Vec::new(), counts: Counts::default() };
    reader.counts.file.clone_from(&rows.file);
    if let Some(layout) = options.layout {
        reader.settle(layout)?;
    }
    reader.all(rows)
}

#[derive(Default)]
struct Counts {
    file: String,
    rows: usize,
    filtered: usize,
    skipped: usize,
    first_skipped: Vec<RowError>,
    /// The first row whose layout could not be told.
    unknown: Option<Error>,
}

struct Reader<'a, T> {
    options: &'a ReadOptions,
    layout: Option<Layout>,
    items: Vec<T>,
    counts: Counts,
}

impl<T: FromRow> Reader<'_, T> {
    fn settle(&mut self, layout: Layout) -> Result<(), Error> {
        if !T::fits(layout) {
            return Err(T::misfit(self.counts.file.clone(), layout));
        }
        self.layout = Some(layout);
        Ok(())
    }

    fn all(mut self, mut rows: Rows) -> Result<Dataset<T>, Error> {
        while self.options.limit.is_none_or(|limit| self.items.len() < limit) {
            let Some(raw) = rows.next() else { break };
            let raw = raw?;
            self.counts.rows += 1;
            let item = match raw.fields {
                Ok(fields) => self.item(&Row(&fields), &rows, raw.place)?,
                Err(fault) => Err(fault),
            };
            match item {
                Ok(Some(item)) => self.items.push(item),
                Ok(None) => self.counts.filtered += 1,
                Err(fault) => self.bad(rows.fault(raw.place, fault))?,
            }
        }
        self.end()
    }

    /// The item of a row, or none if the options leave it out.
    fn item(
        &mut self,
        row: &Row,
        rows: &Rows,
        place: Place,
    ) -> Result<Result<Option<T>, Fault>, Error> {
        let Some(layout) = self.layout.or_else(|| Layout::detect(row)) else {
            let fault = Fault::new("row", "the fields of a known layout", row.keys());
            let error =
                Error::UnknownLayout { file: rows.file.clone(), place, found: shown(&fault.found) };
            if self.options.bad_rows == BadRows::Refuse {
                return Err(error);
            }
            self.counts.unknown.get_or_insert(error);
            return Ok(Err(fault));
        };
        self.settle(layout)?;
        Ok(T::from_row(row, layout, self.options).map(|item| {
            let keep = self.options.turns == Turns::All || item.is_single_turn();
            keep.then_some(item)
        }))
    }

    fn bad(&mut self, error: RowError) -> Result<(), Error> {
        match self.options.bad_rows {
            BadRows::Refuse => Err(error.into()),
            BadRows::Skip => {
                tracing::debug!(%error, "row passed over");
                self.counts.skipped += 1;
                if self.counts.first_skipped.len() < REMEMBERED {
                    self.counts.first_skipped.push(error);
                }
                Ok(())
            }
        }
    }

    fn end(self) -> Result<Dataset<T>, Error> {
        let Counts { file, rows, filtered, skipped, first_skipped, unknown } = self.counts;
        if rows == 0 {
            return Err(Error::Empty { file });
        }
        let Some(layout) = self.layout else {
            return Err(unknown.unwrap_or(Error::NoneKept { file, rows, skipped, filtered }));
        };
        if self.items.is_empty() {
            return Err(Error::NoneKept { file, rows, skipped, filtered });
        }
        if let Some(first) = first_skipped.first() {
            tracing::warn!(file, skipped, rows, %first, "rows passed over");
        }
        let provenance = Provenance {
            source: file,
            layout,
            split: None,
            rows,
            kept: self.items.len(),
            filtered,
            skipped,
            first_skipped,
            digest: digest(&self.items),
        };
        tracing::info!(source = provenance.source, kept = provenance.kept, "data set read");
        Ok(Dataset { items: self.items, provenance })
    }
}
