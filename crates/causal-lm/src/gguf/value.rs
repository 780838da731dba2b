//! Metadata values, and the cursor that reads them.

use std::{fmt, path::Path};

use crate::Error;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// f32 or f64.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// UTF-8 text.
    String(String),
    /// Values of one type; arrays are not nested in published files and are refused here.
    Array(Vec<Value>),
}

impl Value {
    /// A non-negative integer of any stored type.
    pub fn as_usize(&self) -> Option<usize> {
        match self {
            Self::Unsigned(v) => usize::try_from(*v).ok(),
            Self::Signed(v) => usize::try_from(*v).ok(),
            _ => None,
        }
    }

    /// A number of any stored type.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(v) => Some(*v),
            Self::Unsigned(v) => Some(*v as f64),
            Self::Signed(v) => Some(*v as f64),
            _ => None,
        }
    }

    /// Text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(v) => Some(v),
            _ => None,
        }
    }

    /// A truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(v) => Some(*v),
            _ => None,
        }
    }

    /// The values of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(v) => Some(v),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(v) => write!(f, "{v}"),
            Self::Signed(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Bool(v) => write!(f, "{v}"),
            Self::String(v) => write!(f, "{v:?}"),
            Self::Array(v) => write!(f, "an array of {} values", v.len()),
        }
    }
}

/// Types of metadata values, by their code.
const UINT8: u32 = 0;
const INT8: u32 = 1;
const UINT16: u32 = 2;
const INT16: u32 = 3;
const UINT32: u32 = 4;
const INT32: u32 = 5;
const FLOAT32: u32 = 6;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const UINT64: u32 = 10;
const INT64: u32 = 11;
const FLOAT64: u32 = 12;

/// Reads a byte slice from front to back, never past its end.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    path: &'a Path,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], path: &'a Path) -> Self {
        Self { bytes, at: 0, path }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn bad(&self, field: &str, expected: &str, found: impl Into<String>) -> Error {
        Error::format(self.path.display(), field, expected, found)
    }

    pub(super) fn take(&mut self, n: usize, field: &str) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..];
        if rest.len() < n {
            let found = format!("the end of the file after {}; is it truncated?", rest.len());
            return Err(self.bad(field, &format!("{n} bytes at {}", self.at), found));
        }
        self.at += n;
        Ok(&rest[..n])
    }

    fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, field)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self, field: &str) -> Result<u32, Error> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, field: &str) -> Result<u64, Error> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A number of things that take at least `least` bytes each, so that the rest of the file
    /// bounds it.
    pub(super) fn count(&mut self, least: usize, field: &str) -> Result<usize, Error> {
        let count = self.u64(field)?;
        let room = (self.bytes.len() - self.at) / least.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= room => Ok(count),
            _ => Err(self.bad(
                field,
                &format!("at most {room} by the file's size"),
                count.to_string(),
            )),
        }
    }

    pub(super) fn string(&mut self, field: &str) -> Result<String, Error> {
        let len = self.count(1, field)?;
        let bytes = self.take(len, field)?;
        String::from_utf8(bytes.to_vec()).map_err(|e| {
            self.bad(
                field,
                "UTF-8 text",
                format!("an error at byte {}", e.utf8_error().valid_up_to()),
            )
        })
    }

    pub(super) fn value(&mut self, key: &str) -> Result<Value, Error> {
        let kind = self.u32(key)?;
        if kind != ARRAY {
            return self.scalar(kind, key);
        }
        let kind = self.u32(key)?;
        let least = match kind {
            UINT8 | INT8 | BOOL => 1,
            UINT16 | INT16 => 2,
            UINT32 | INT32 | FLOAT32 => 4,
            _ => 8,
        };
        let len = self.count(least, key)?;
        (0..len).map(|_| self.scalar(kind, key)).collect::<Result<_, _>>().map(Value::Array)
    }

    fn scalar(&mut self, kind: u32, key: &str) -> Result<Value, Error> {
        Ok(match kind {
            UINT8 => Value::Unsigned(self.array::<1>(key)?[0].into()),
            INT8 => Value::Signed(i8::from_le_bytes(self.array(key)?).into()),
            UINT16 => Value::Unsigned(u16::from_le_bytes(self.array(key)?).into()),
            INT16 => Value::Signed(i16::from_le_bytes(self.array(key)?).into()),
            UINT32 => Value::Unsigned(self.u32(key)?.into()),
            INT32 => Value::Signed(i32::from_le_bytes(self.array(key)?).into()),
            UINT64 => Value::Unsigned(self.u64(key)?),
            INT64 => Value::Signed(i64::from_le_bytes(self.array(key)?)),
            FLOAT32 => Value::Float(f32::from_le_bytes(self.array(key)?).into()),
            FLOAT64 => Value::Float(f64::from_le_bytes(self.array(key)?)),
            BOOL => match self.array::<1>(key)?[0] {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => return Err(self.bad(key, "0 or 1 for a truth value", other.to_string())),
            },
            STRING => Value::String(self.string(key)?),
            other => return Err(self.bad(key, "a value type from 0 to 12", other.to_string())),
        })
    }
}
