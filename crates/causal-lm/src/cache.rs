//! Keys and values of the positions a model has already read.

use tch::{Device, Kind, Tensor};

use crate::{Error, config::ModelConfig, model::LayerCache};

/// A static key/value cache: room for `capacity` positions of every row is taken at once.
///
/// All rows have the same length; a row whose prompt is shorter begins later, at its `start`, and
/// what lies before is never looked at.
#[derive(Debug)]
pub struct KvCache {
    /// Keys and values of all blocks, each `[blocks, batch, kv_heads, capacity, head_dim]`.
    all: [Tensor; 2],
    /// The parts of `all` that are one block's.
    layers: Vec<[Tensor; 2]>,
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
            config.num_layers as i64,
            starts.len() as i64,
            config.num_kv_heads as i64,
            capacity as i64,
            config.head_dim as i64,
        ];
        let all = [(); 2].map(|()| Tensor::empty(size, (kind, device)));
        Ok(Self {
            layers: layers(&all),
            all,
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
            let size = [size[0], rows.len() as i64, size[2], size[3], size[4]];
            let out = Tensor::empty(size, (t.kind(), t.device()));
            // What lies beyond `len` has never been written and need not be copied.
            out.narrow(3, 0, self.len).copy_(&t.narrow(3, 0, self.len).index_select(1, &index));
            out
        };
        let all = self.all.each_ref().map(pick);
        Self {
            layers: layers(&all),
            all,
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
        let [keys, values] = &self.layers[index];
        LayerCache { keys, values, len: self.len, rows: None, hidden: None }
    }

    /// Writes the next position's keys and values of the blocks from `block` on, for some rows.
    ///
    /// # Shapes
    /// - `rows`: `[n]`, i64; none where they are all rows
    /// - `keys`, `values`: `[blocks, n, kv_heads, head_dim]`
    pub(crate) fn fill(&self, block: usize, rows: Option<&Tensor>, keys: &Tensor, values: &Tensor) {
        for (all, new) in self.all.iter().zip([keys, values]) {
            let mut place = all.narrow(0, block as i64, new.size()[0]).select(3, self.len);
            match rows {
                None => place.copy_(new),
                Some(rows) => drop(place.index_copy_(1, rows, new)),
            }
        }
    }

    /// Keys and values of one block as far as they are written: `[batch, kv_heads, len, head_dim]`
    /// each.
    ///
    /// # Panics
    /// If there is no such block.
    pub fn written(&self, block: usize) -> [Tensor; 2] {
        self.layers[block].each_ref().map(|t| t.narrow(2, 0, self.len))
    }

    pub(crate) fn advance(&mut self, new: usize) {
        self.len += new as i64;
    }
}

/// The parts of `[blocks, ..]` that are one block's.
fn layers([keys, values]: &[Tensor; 2]) -> Vec<[Tensor; 2]> {
    (0..keys.size()[0]).map(|block| [keys.get(block), values.get(block)]).collect()
}
