//! Safetensors files, one or several with an index, memory-mapped and read tensor by tensor.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use safetensors::Dtype;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::{TensorSource, header::read_header};
use crate::{Error, bytes::Bytes, unique::UniqueMap};

/// Index files beyond this size are refused; published ones stay below a megabyte.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// Longest name of a shard in bytes, as most file systems have it.
const MAX_NAME_BYTES: usize = 255;

/// Where one tensor is.
#[derive(Debug)]
struct Entry {
    shard: usize,
    kind: Kind,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

/// One safetensors file, or the shards of an index.
#[derive(Debug)]
pub struct SafetensorsSource {
    path: PathBuf,
    shards: Vec<(PathBuf, Bytes)>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: UniqueMap<String>,
}

impl SafetensorsSource {
    /// Opens `model.safetensors` of a folder, or the shards that `model.safetensors.index.json`
    /// names.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`], naming file and tensor.
    pub fn open_folder(folder: &Path) -> Result<Self, Error> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        if single.exists() || !index.exists() {
            return Self::open(&single);
        }
        Self::open_index(folder, &index)
    }

    /// Opens one file.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut source = Self::empty(path);
        source.add_file(path)?;
        Ok(source)
    }

    /// Reads one file that is in memory; `name` stands for its path in messages.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub fn from_bytes(bytes: Vec<u8>, name: &Path) -> Result<Self, Error> {
        let mut source = Self::empty(name);
        source.add_shard(Bytes::Held(bytes), name)?;
        Ok(source)
    }

    fn empty(path: &Path) -> Self {
        Self { path: path.to_owned(), shards: Vec::new(), entries: BTreeMap::new() }
    }

    fn open_index(folder: &Path, index_path: &Path) -> Result<Self, Error> {
        let shown = &index_path.display().to_string();
        let size = std::fs::metadata(index_path).map_err(Error::io("read", index_path))?.len();
        if size > MAX_INDEX_BYTES {
            let expected = format!("at most {MAX_INDEX_BYTES} bytes");
            return Err(Error::format(shown, "size", expected, size.to_string()));
        }
        let text = std::fs::read_to_string(index_path).map_err(Error::io("read", index_path))?;
        let Index { weight_map: UniqueMap(weight_map) } =
            serde_json::from_str(&text).map_err(|e| {
                Error::format(shown, "weight_map", "an object of file names", e.to_string())
            })?;
        let mut source = Self::empty(folder);
        for file in weight_map.values().collect::<BTreeSet<_>>() {
            let plain = (1..=MAX_NAME_BYTES).contains(&file.len())
                && !file.starts_with('.')
                && !file.contains(|c: char| c == '/' || c == '\\' || c.is_control());
            if !plain {
                let expected = "names of files in the same folder";
                return Err(Error::format(shown, "weight_map", expected, format!("{file:?}")));
            }
            source.add_file(&folder.join(file))?;
        }
        for (tensor, file) in &weight_map {
            let in_shard = source
                .entries
                .get(tensor)
                .is_some_and(|e| source.shards[e.shard].0.ends_with(file));
            if !in_shard {
                let expected = format!("tensor {tensor} in {file}, as the index says");
                return Err(Error::format(shown, "weight_map", expected, "no such tensor there"));
            }
        }
        Ok(source)
    }

    #[expect(unsafe_code, reason = "memory-mapping a file")]
    fn add_file(&mut self, path: &Path) -> Result<(), Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        // SAFETY: the file is opened for reading only. Should another process truncate it while it
        // is mapped, reading ends the process with SIGBUS; model files are not written in place.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        self.add_shard(Bytes::Mapped(map), path)
    }

    fn add_shard(&mut self, bytes: Bytes, path: &Path) -> Result<(), Error> {
        let shard = self.shards.len();
        for (name, info) in read_header(&bytes, path)? {
            let kind = kind_of(info.dtype).ok_or_else(|| {
                let expected = "F32, F16, BF16 or F64";
                Error::format(path.display(), name.clone(), expected, format!("{:?}", info.dtype))
            })?;
            let (start, end) = info.data_offsets;
            let entry = Entry { shard, kind, shape: info.shape, start, end };
            if self.entries.insert(name.clone(), entry).is_some() {
                let expected = "each tensor in one file only";
                return Err(Error::format(path.display(), name, expected, "a second copy"));
            }
        }
        self.shards.push((path.to_owned(), bytes));
        Ok(())
    }
}

/// The tensor type of a stored type that weights can have.
fn kind_of(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F32 => Some(Kind::Float),
        Dtype::F16 => Some(Kind::Half),
        Dtype::BF16 => Some(Kind::BFloat16),
        Dtype::F64 => Some(Kind::Double),
        _ => None,
    }
}

impl TensorSource for SafetensorsSource {
    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|e| e.shape.clone())
    }

    fn load(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor, Error> {
        let entry = self.entries.get(name).ok_or_else(|| Error::MissingTensor {
            file: self.describe(),
            tensor: name.to_owned(),
        })?;
        let size: Vec<i64> = entry.shape.iter().map(|&d| d as i64).collect();
        let bytes = &self.shards[entry.shard].1[entry.start..entry.end];
        let tensor = Tensor::f_from_data_size(bytes, &size, entry.kind)
            .map_err(|source| Error::Torch { what: format!("reading tensor {name}"), source })?;
        Ok(tensor.to_kind(kind).to_device(device))
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}
