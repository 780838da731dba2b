//! Reading GGUF, the single-file format of llama.cpp: metadata, and tensors that may be quantized.
//!
//! Every count, length and offset of the file is checked against its size before anything is
//! allocated, so that a hostile file is refused rather than believed.

mod quant;
mod value;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
pub use quant::QuantKind;
use value::Cursor;
pub use value::Value;

use crate::{Error, bytes::Bytes};

/// Dimensions of a tensor, as the format has them.
const MAX_DIMS: u32 = 4;

/// One tensor's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Row-major shape: the reverse of how the file stores it.
    pub shape: Vec<usize>,
    /// How the numbers are stored.
    pub kind: QuantKind,
    /// Bytes from the start of the file.
    offset: usize,
    /// Length in bytes.
    bytes: usize,
}

/// An open GGUF file.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    bytes: Bytes,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl Gguf {
    /// Opens a file, reads its metadata and checks the extent of every tensor.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] naming the place in the file.
    #[expect(unsafe_code, reason = "memory-mapping a file")]
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        // SAFETY: the file is opened for reading only. Should another process truncate it while it
        // is mapped, reading ends the process with SIGBUS; model files are not written in place.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        Self::parse(Bytes::Mapped(map), path)
    }

    /// Reads a file that is in memory; `name` stands for its path in messages.
    ///
    /// # Errors
    /// [`Error::Format`] naming the place in the file.
    pub fn from_bytes(bytes: Vec<u8>, name: &Path) -> Result<Self, Error> {
        Self::parse(Bytes::Held(bytes), name)
    }

    fn parse(bytes: Bytes, path: &Path) -> Result<Self, Error> {
        let (metadata, tensors) = parse(&bytes, path)?;
        Ok(Self { path: path.to_owned(), bytes, metadata, tensors })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A metadata value.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// All metadata, in the order of keys.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metadata.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// All tensors, in the order of names.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// One tensor's entry.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// A tensor's numbers in row-major order.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] if there is no such tensor.
    pub fn dequantize(&self, name: &str) -> Result<Vec<f32>, Error> {
        let info = self.tensors.get(name).ok_or_else(|| Error::MissingTensor {
            file: self.path.display().to_string(),
            tensor: name.to_owned(),
        })?;
        Ok(info.kind.dequantize(&self.bytes[info.offset..info.offset + info.bytes]))
    }

    /// An [`Error::Format`] about a metadata key of this file.
    pub(crate) fn bad(&self, key: &str, expected: &str, found: impl Into<String>) -> Error {
        Error::format(self.path.display(), key, expected, found)
    }
}

type Parsed = (BTreeMap<String, Value>, BTreeMap<String, TensorInfo>);

fn parse(bytes: &[u8], path: &Path) -> Result<Parsed, Error> {
    let mut cursor = Cursor::new(bytes, path);
    let magic = cursor.take(4, "magic")?;
    if magic != b"GGUF" {
        let found = String::from_utf8_lossy(magic).escape_debug().to_string();
        return Err(cursor.bad("magic", "GGUF", found));
    }
    let version = cursor.u32("version")?;
    if !(2..=3).contains(&version) {
        return Err(cursor.bad("version", "2 or 3, little-endian", version.to_string()));
    }
    // A tensor entry takes at least 24 bytes, a metadata entry at least 13.
    let num_tensors = cursor.count(24, "tensor_count")?;
    let num_values = cursor.count(13, "metadata_kv_count")?;
    let mut metadata = BTreeMap::new();
    for _ in 0..num_values {
        let key = cursor.string("metadata key")?;
        let value = cursor.value(&key)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(cursor.bad(&key, "one value", "a second one"));
        }
    }
    let mut tensors = BTreeMap::new();
    for _ in 0..num_tensors {
        let (name, info) = tensor_entry(&mut cursor)?;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(cursor.bad(&name, "one tensor of this name", "a second one"));
        }
    }
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(value) => value
            .as_usize()
            .filter(|a| a.is_power_of_two() && *a <= 1 << 20)
            .ok_or_else(|| cursor.bad("general.alignment", "a power of two", value.to_string()))?,
    };
    let data = cursor.position().next_multiple_of(alignment);
    for (name, info) in &mut tensors {
        let end = data.checked_add(info.offset).and_then(|at| at.checked_add(info.bytes));
        if end.is_none_or(|end| end > bytes.len()) || info.offset % alignment != 0 {
            let expected = format!(
                "{} bytes at an offset divisible by {alignment} inside the file's {} bytes",
                info.bytes,
                bytes.len()
            );
            let found = format!("offset {} after byte {data}; is the file truncated?", info.offset);
            return Err(Error::format(path.display(), name, expected, found));
        }
        info.offset += data;
    }
    refuse_overlaps(&tensors, path)?;
    Ok((metadata, tensors))
}

/// Tensors that share bytes would let a small file ask for any amount of memory.
fn refuse_overlaps(tensors: &BTreeMap<String, TensorInfo>, path: &Path) -> Result<(), Error> {
    let mut places: Vec<_> = tensors.iter().map(|(name, t)| (t.offset, t.bytes, name)).collect();
    places.sort_unstable();
    for pair in places.windows(2) {
        let [(start, bytes, before), (next, _, name)] = [pair[0], pair[1]];
        if start + bytes > next {
            let expected = format!("data from byte {} on, after that of {before}", start + bytes);
            return Err(Error::format(path.display(), name, expected, format!("byte {next}")));
        }
    }
    Ok(())
}

fn tensor_entry(cursor: &mut Cursor<'_>) -> Result<(String, TensorInfo), Error> {
    let name = cursor.string("tensor name")?;
    let dims = cursor.u32(&name)?;
    if dims == 0 || dims > MAX_DIMS {
        return Err(cursor.bad(&name, "1 to 4 dimensions", dims.to_string()));
    }
    let mut shape = Vec::with_capacity(dims as usize);
    for _ in 0..dims {
        shape.push(cursor.u64(&name)?);
    }
    shape.reverse();
    let code = cursor.u32(&name)?;
    let kind = QuantKind::from_code(code).ok_or_else(|| {
        let expected = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K";
        cursor.bad(&name, expected, format!("tensor type {code}"))
    })?;
    let offset = cursor.u64(&name)?;
    let elements = shape.iter().try_fold(1_u64, |n, &d| n.checked_mul(d));
    let row = shape.last().copied().unwrap_or(0);
    let bytes = elements
        .filter(|&n| n > 0 && row.is_multiple_of(kind.block() as u64))
        .and_then(|n| (n / kind.block() as u64).checked_mul(kind.block_bytes() as u64))
        .and_then(|n| usize::try_from(n).ok());
    let (Some(bytes), Ok(offset)) = (bytes, usize::try_from(offset)) else {
        let expected = format!("rows of a positive multiple of {} numbers", kind.block());
        return Err(cursor.bad(&name, &expected, format!("shape {shape:?}")));
    };
    let shape = shape.into_iter().map(|d| d as usize).collect();
    Ok((name, TensorInfo { shape, kind, offset, bytes }))
}
