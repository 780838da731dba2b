//! Writing tensors as safetensors: under a temporary name, then renamed, so that a file is whole or
//! not there.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, View};
use tch::{Device, Kind, Tensor};

use crate::Error;

/// A tensor's bytes for the writer.
struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    tensor: Tensor,
}

impl View for &Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        self.tensor.copy_data_u8(&mut bytes, self.tensor.numel());
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}

fn bytes_of(name: &str, tensor: &Tensor) -> Result<Bytes, Error> {
    let dtype = match tensor.kind() {
        Kind::Float => Dtype::F32,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Double => Dtype::F64,
        Kind::Int64 => Dtype::I64,
        other => {
            return Err(Error::Shape {
                what: format!("type of tensor {name}"),
                expected: "f32, f16, bf16, f64 or i64".into(),
                found: format!("{other:?}"),
            });
        }
    };
    let shape = tensor.size().iter().map(|&d| d as usize).collect();
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    Ok(Bytes { dtype, shape, tensor })
}

/// Writes tensors to one file, replacing it only when all is written.
///
/// # Errors
/// [`Error::Io`] if the disk is full or the folder cannot be written; the old file is then still
/// there.
pub fn save_safetensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), Error> {
    let tensors: BTreeMap<&str, Bytes> = tensors
        .iter()
        .map(|(name, t)| Ok((name.as_str(), bytes_of(name, t)?)))
        .collect::<Result<_, Error>>()?;
    // The format's readers expect this entry.
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    let partial = partial_path(path);
    let write = || -> std::io::Result<()> {
        safetensors::serialize_to_file(tensors.iter(), Some(metadata), &partial).map_err(|e| {
            match e {
                safetensors::SafeTensorError::IoError(e) => e,
                other => std::io::Error::other(other),
            }
        })?;
        File::open(&partial)?.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|source| {
        // What was half written is of no use to anybody.
        let _ = std::fs::remove_file(&partial);
        Error::Io { action: "write", path: path.to_owned(), source }
    })
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Writes a folder's weights as published: `model.safetensors`, or shards of at most
/// `max_shard_bytes` and their index.
///
/// # Errors
/// As for [`save_safetensors`].
pub fn save_sharded(
    folder: &Path,
    tensors: &[(String, Tensor)],
    max_shard_bytes: usize,
) -> Result<(), Error> {
    let bytes = |t: &Tensor| t.numel() * t.kind().elt_size_in_bytes();
    let total: usize = tensors.iter().map(|(_, t)| bytes(t)).sum();
    if total <= max_shard_bytes {
        return save_safetensors(&folder.join("model.safetensors"), tensors);
    }
    let mut ends = Vec::new();
    let mut filled = 0;
    for (i, (_, tensor)) in tensors.iter().enumerate() {
        let size = bytes(tensor);
        if filled > 0 && filled + size > max_shard_bytes {
            ends.push(i);
            filled = 0;
        }
        filled += size;
    }
    ends.push(tensors.len());
    let mut weight_map = BTreeMap::new();
    let mut start = 0;
    for (i, &end) in ends.iter().enumerate() {
        let file = format!("model-{:05}-of-{:05}.safetensors", i + 1, ends.len());
        save_safetensors(&folder.join(&file), &tensors[start..end])?;
        weight_map.extend(tensors[start..end].iter().map(|(name, _)| (name, file.clone())));
        start = end;
    }
    let index =
        serde_json::json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    write_text(&folder.join("model.safetensors.index.json"), &format!("{index:#}\n"))
}

/// Writes a text file under a temporary name and renames it.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    let partial = partial_path(path);
    std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path)).map_err(
        |source| {
            let _ = std::fs::remove_file(&partial);
            Error::Io { action: "write", path: path.to_owned(), source }
        },
    )
}
