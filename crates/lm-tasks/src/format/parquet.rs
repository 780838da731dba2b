//! Parquet, through its row interface. Pages may be plain or compressed by snappy, gzip, lz4 or
//! zstd.
//!
//! Columns that hold no text below a list, such as token ids, are not decoded: nothing here wants
//! them, and in some published files they are nine tenths of the bytes.

use std::{fs::File, path::Path, sync::Arc};

use parquet::{
    basic::Type as Physical,
    errors::ParquetError,
    file::{
        metadata::ParquetMetaData, reader::FileReader as _, serialized_reader::SerializedFileReader,
    },
    record::{Field, Row, reader::RowIter},
    schema::types::Type,
};
use rl_core::contain::contain;
use serde_json::{Map, Number, Value};

use super::RawRow;
use crate::{
    Error, Place,
    error::{Fault, shown},
};

/// Rows of an open file.
pub(crate) fn rows(
    file: File,
    path: &Path,
) -> Result<impl Iterator<Item = Result<RawRow, Error>> + use<>, Error> {
    let name = path.display().to_string();
    let opened = contain(|| open(file)).unwrap_or_else(|panic| Err(ParquetError::General(panic)));
    let (iter, sizes) = opened.map_err(|e| broken(&name, None, &e.to_string()))?;
    Ok(Rows { iter: Some(iter), sizes, group: 0, row: 0, name })
}

struct Rows {
    /// None after an error.
    iter: Option<RowIter<'static>>,
    /// Rows of each row group, as the file says.
    sizes: Vec<usize>,
    group: usize,
    row: usize,
    name: String,
}

impl Iterator for Rows {
    type Item = Result<RawRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.sizes.get(self.group).is_some_and(|&rows| self.row >= rows) {
            self.group += 1;
            self.row = 0;
        }
        let iter = self.iter.as_mut()?;
        let row = contain(|| iter.next());
        self.row += 1;
        let place = Place::Row { group: self.group + 1, row: self.row };
        let found = match row {
            Ok(None) => {
                self.iter = None;
                let whole = self.group >= self.sizes.len();
                return (!whole).then(|| Err(broken(&self.name, Some(place), "no further row")));
            }
            Ok(Some(Ok(row))) => return Some(Ok(RawRow { place, fields: object(row) })),
            Ok(Some(Err(error))) => error.to_string(),
            Err(panic) => format!("a page that cannot be decoded: {panic}"),
        };
        self.iter = None;
        Some(Err(broken(&self.name, Some(place), &found)))
    }
}

fn broken(file: &str, place: Option<Place>, found: &str) -> Error {
    // The library shows the bytes of such a text one by one.
    let found = if found.contains("as String") { "text that is not UTF-8" } else { found };
    Error::Container {
        file: file.to_owned(),
        place,
        expected: "a whole Parquet file",
        found: shown(found),
    }
}

fn open(file: File) -> Result<(RowIter<'static>, Vec<usize>), ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let metadata = reader.metadata();
    let sizes = metadata.row_groups().iter().map(|g| g.num_rows() as usize).collect();
    check_counts(metadata)?;
    let schema = metadata.file_metadata().schema();
    let wanted: Vec<Arc<Type>> =
        schema.get_fields().iter().filter(|column| is_wanted(column)).cloned().collect();
    if wanted.is_empty() {
        return Err(ParquetError::General("no column with text or numbers".into()));
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(wanted).build()?;
    let iter = RowIter::from_file_into(Box::new(reader)).project(Some(projection))?;
    Ok((iter, sizes))
}

/// The rows of a file are counted twice; a file whose counts differ is not read in part.
fn check_counts(metadata: &ParquetMetaData) -> Result<(), ParquetError> {
    let in_all = metadata.file_metadata().num_rows();
    let in_groups = metadata.row_groups().iter().try_fold(0_i64, |sum, group| {
        sum.checked_add(group.num_rows()).filter(|_| group.num_rows() >= 0)
    });
    if in_groups == Some(in_all) {
        return Ok(());
    }
    Err(ParquetError::General(format!("{in_all} rows in all, but another number in row groups")))
}

fn is_wanted(column: &Type) -> bool {
    fn holds_text(part: &Type) -> bool {
        if part.is_primitive() {
            return part.get_physical_type() == Physical::BYTE_ARRAY;
        }
        part.get_fields().iter().any(|field| holds_text(field))
    }
    column.is_primitive() || holds_text(column)
}

fn object(row: Row) -> Result<Map<String, Value>, Fault> {
    row.into_columns()
        .into_iter()
        .map(|(name, field)| {
            let value = value(&field, &name)?;
            Ok((name, value))
        })
        .collect()
}

fn value(field: &Field, name: &str) -> Result<Value, Fault> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(x) => (*x).into(),
        Field::Byte(x) => (*x).into(),
        Field::Short(x) => (*x).into(),
        Field::Int(x) => (*x).into(),
        Field::Long(x) => (*x).into(),
        Field::UByte(x) => (*x).into(),
        Field::UShort(x) => (*x).into(),
        Field::UInt(x) => (*x).into(),
        Field::ULong(x) => (*x).into(),
        Field::Float(x) => number(f64::from(*x)),
        Field::Double(x) => number(*x),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => match str::from_utf8(bytes.data()) {
            Ok(text) => text.into(),
            Err(_) => return Err(Fault::new(name, "UTF-8", "other bytes")),
        },
        Field::Group(row) => {
            let entry = |(key, field): (&String, &Field)| Ok((key.clone(), value(field, name)?));
            Value::Object(row.get_column_iter().map(entry).collect::<Result<_, Fault>>()?)
        }
        Field::ListInternal(list) => {
            let items = list.elements().iter().map(|item| value(item, name));
            Value::Array(items.collect::<Result<_, Fault>>()?)
        }
        // Decimals, times and maps: no layout reads them, and their text can be kept.
        other => other.to_string().into(),
    })
}

/// A number, or its name where JSON has none.
fn number(x: f64) -> Value {
    Number::from_f64(x).map_or_else(|| x.to_string().into(), Value::Number)
}
