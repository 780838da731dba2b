//! The header of a safetensors file, checked against the file's size.

use std::{collections::BTreeMap, path::Path};

use safetensors::tensor::TensorInfo;
use serde_json::Value;

use crate::{Error, unique::UniqueMap};

/// Headers beyond this size are refused, as by the format's own library.
const MAX_HEADER_BYTES: usize = 100_000_000;

/// Free text, not a tensor.
const METADATA: &str = "__metadata__";

/// Reads a header: tensors by name, their places counted from the start of the file.
///
/// As the format demands, the tensors' data follow each other without gap or overlap and end where
/// the file ends. The format's library checks this too, but does not name the tensor, and adds up
/// offsets without regard to overflow.
pub(super) fn read_header(
    bytes: &[u8],
    path: &Path,
) -> Result<BTreeMap<String, TensorInfo>, Error> {
    let bad = |field: &str, expected: &str, found: String| {
        Error::format(path.display(), field, expected, found)
    };
    let (len, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| {
        bad("header", "its length in 8 bytes", format!("a file of {} bytes", bytes.len()))
    })?;
    let room = rest.len().min(MAX_HEADER_BYTES);
    let len = u64::from_le_bytes(*len);
    let (header, data) =
        usize::try_from(len).ok().filter(|&n| n <= room).map(|n| rest.split_at(n)).ok_or_else(
            || {
                let expected = format!("a length of at most {room} bytes");
                bad("header", &expected, format!("{len}; is the file truncated?"))
            },
        )?;
    let UniqueMap(mut entries) = serde_json::from_slice::<UniqueMap<Value>>(header)
        .map_err(|e| bad("header", "a JSON object of distinct tensors", e.to_string()))?;
    entries.remove(METADATA);
    let mut tensors = BTreeMap::new();
    for (name, value) in entries {
        let info: TensorInfo = serde_json::from_value(value)
            .map_err(|e| bad(&name, "dtype, shape and data_offsets", e.to_string()))?;
        tensors.insert(name, info);
    }
    let mut places: Vec<_> =
        tensors.iter_mut().map(|(name, t)| (t.data_offsets, name, t)).collect();
    places.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut free = 0;
    let base = bytes.len() - data.len();
    for ((start, end), name, info) in places {
        let size = size_of(info).filter(|&n| n <= data.len()).ok_or_else(|| {
            let found = format!("{:?} of shape {:?}", info.dtype, info.shape);
            bad(name, &format!("at most the file's {} bytes of data", data.len()), found)
        })?;
        if start != free || end.checked_sub(start) != Some(size) || end > data.len() {
            let until = free.saturating_add(size);
            let expected = format!(
                "data_offsets [{free}, {until}], for {:?} of shape {:?} after the tensors before \
                 it in {} bytes of data",
                info.dtype,
                info.shape,
                data.len()
            );
            return Err(bad(name, &expected, format!("[{start}, {end}]; is the file truncated?")));
        }
        free = end;
        info.data_offsets = (base + start, base + end);
    }
    if free != data.len() {
        let expected = format!("{free} bytes of data, as the header says");
        return Err(bad("data", &expected, data.len().to_string()));
    }
    Ok(tensors)
}

/// Bytes of a tensor, unless they are beyond counting.
fn size_of(info: &TensorInfo) -> Option<usize> {
    let elements = info.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
    let bits = elements.checked_mul(info.dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}
