//! Keys and values of the positions a model has already read.

use tch::{Device, Kind, Tensor};

use crate::{Error, config::ModelConfig, model::LayerCache};

/// A static key/value cache: room for `capacity` positions of every row is taken at once.
///
/// All rows have the same length; a row whose prompt is shorter begins later, at its `start`, and
/// what lies before is never looked at.
#[derive(Debug)]
pub struct KvCache {
    /// For each block keys and values, `[batch, kv_heads, capacity, head_dim]`.
    layers: Vec<(Tensor, Tensor)>,
    starts: Vec<i64>,
    starts_tensor: Tensor,
    len: i64,
    capacity: i64,
}

impl KvCache {
    /// An empty cache for rows that are padded on the left by `starts` positions each.
    ///
    /// # Errors
    /// [`Error::Shape`] if `capacity` exceeds the model's context.
    pub fn new(
        config: &ModelConfig,
        starts: Vec<i64>,
        capacity: usize,
        kind: Kind,
        device: Device,
    ) -> Result<Self, Error> {
        let longest = capacity as i64 - starts.iter().min().copied().unwrap_or(0);
        if longest > config.max_context as i64 {
            return Err(Error::Shape {
                what: "tokens of prompt and completion together".into(),
                expected: format!("at most {} (the model's context)", config.max_context),
                found: longest.to_string(),
            });
        }
        let size = [
            starts.len() as i64,
            config.num_kv_heads as i64,
            capacity as i64,
            config.head_dim as i64,
        ];
        let empty = || Tensor::empty(size, (kind, device));
        Ok(Self {
            layers: (0..config.num_layers).map(|_| (empty(), empty())).collect(),
            starts_tensor: Tensor::from_slice(&starts).to_device(device),
            starts,
            len: 0,
            capacity: capacity as i64,
        })
    }

    /// Positions written so far, left padding counted.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Number of rows.
    pub fn batch(&self) -> usize {
        self.starts.len()
    }

    /// First real position of each row.
    pub fn starts(&self) -> &[i64] {
        &self.starts
    }

    /// Keeps the given rows, in the given order; a row may be asked for several times, which is how
    /// a prompt shared by a group is computed once.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let index: Vec<i64> = rows.iter().map(|&r| r as i64).collect();
        let index = Tensor::from_slice(&index).to_device(self.starts_tensor.device());
        let pick = |t: &Tensor| {
            let size = t.size();
            let out = Tensor::empty(
                [rows.len() as i64, size[1], size[2], size[3]],
                (t.kind(), t.device()),
            );
            // What lies beyond `len` has never been written and need not be copied.
            out.narrow(2, 0, self.len).copy_(&t.narrow(2, 0, self.len).index_select(0, &index));
            out
        };
        Self {
            layers: self.layers.iter().map(|(k, v)| (pick(k), pick(v))).collect(),
            starts: rows.iter().map(|&r| self.starts[r]).collect(),
            starts_tensor: self.starts_tensor.index_select(0, &index),
            len: self.len,
            capacity: self.capacity,
        }
    }

    /// Forgets everything after the first `len` positions.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len as i64);
    }

    pub(crate) fn is_padded(&self) -> bool {
        self.starts.iter().any(|&s| s > 0)
    }

    pub(crate) fn starts_tensor(&self) -> &Tensor {
        &self.starts_tensor
    }

    pub(crate) fn layer(&self, index: usize) -> LayerCache<'_> {
        let (keys, values) = &self.layers[index];
        LayerCache { keys, values, len: self.len }
    }

    pub(crate) fn advance(&mut self, new: usize) {
        self.len += new as i64;
    }
}
