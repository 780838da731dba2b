//! Rows that begin alike, as a tree of tokens each of which is there once.
//!
//! Whatever a block does to a token alone (norms, projections, the feed-forward part) is done once
//! for all rows that share it, and never for padding. Attention alone sees rows.

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

/// One row of [`Layout::Shared`](super::Layout::Shared).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Tokens that the row begins with in common with the row before it.
    pub shared: usize,
    /// Tokens after those, which are the row's own.
    pub own: usize,
}

impl Branch {
    /// Tokens of the row.
    pub fn len(self) -> usize {
        self.shared + self.own
    }

    /// Whether the row has no token.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Where in the flat list of tokens those of each row are.
    pub(crate) fn places(branches: &[Self]) -> Vec<Vec<i64>> {
        let mut next = 0;
        let mut rows: Vec<Vec<i64>> = Vec::with_capacity(branches.len());
        for branch in branches {
            let before = rows.last().map_or(&[][..], |row| &row[..branch.shared]);
            let end = next + branch.own as i64;
            rows.push(before.iter().copied().chain(next..end).collect());
            next = end;
        }
        rows
    }

    /// Positions of the tokens in their rows, `[1, tokens]`.
    pub(crate) fn positions(branches: &[Self]) -> Tensor {
        let own = branches.iter().flat_map(|b| b.shared as i64..b.len() as i64);
        Tensor::from_slice(&own.collect::<Vec<_>>()).unsqueeze(0)
    }
}

/// The way from a flat list of tokens to the rows of attention, and back.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Token of each cell of the rows, `[rows · longest]`; padding shows any.
    cells: Tensor,
    /// A cell of each token, `[tokens]`.
    tokens: Tensor,
    count: i64,
    longest: i64,
}

impl Rows {
    pub(crate) fn new(branches: &[Branch], device: Device) -> Self {
        let longest = branches.iter().map(|b| b.len()).max().unwrap_or(0);
        let (mut cells, mut tokens) = (Vec::new(), Vec::new());
        for (row, (branch, places)) in branches.iter().zip(Branch::places(branches)).enumerate() {
            tokens.extend((branch.shared..branch.len()).map(|t| (row * longest + t) as i64));
            cells.extend(places);
            cells.resize((row + 1) * longest, 0);
        }
        Self {
            cells: Tensor::from_slice(&cells).to_device(device),
            tokens: Tensor::from_slice(&tokens).to_device(device),
            count: branches.len() as i64,
            longest: longest as i64,
        }
    }

    /// `[1, tokens, heads, head_dim]` as `[rows, longest, heads, head_dim]`.
    pub(crate) fn spread(&self, flat: &Tensor) -> Tensor {
        let size = flat.size();
        pick(&flat.reshape([size[1], size[2] * size[3]]), &self.cells).view([
            self.count,
            self.longest,
            size[2],
            size[3],
        ])
    }

    /// `[1, tokens]` as `[rows, longest]`.
    pub(crate) fn spread_flags(&self, flat: &Tensor) -> Tensor {
        flat.flatten(0, 1).index_select(0, &self.cells).view([self.count, self.longest])
    }

    /// `[rows, longest, dim]` as `[1, tokens, dim]`.
    pub(crate) fn gather(&self, rows: &Tensor) -> Tensor {
        pick(&rows.flatten(0, 1), &self.tokens).unsqueeze(0)
    }

    /// Longest row.
    pub(crate) fn longest(&self) -> usize {
        self.longest as usize
    }
}

/// Rows of a matrix. As a lookup, whose backward pass adds rows up on all cores, which that of
/// `index_select` does not.
fn pick(matrix: &Tensor, rows: &Tensor) -> Tensor {
    Tensor::embedding(matrix, rows, -1, false, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_there_and_back() {
        // abc, abde, abd, x: eleven cells, six tokens.
        let branches = [(0, 3), (2, 2), (3, 0), (0, 1)].map(|(shared, own)| Branch { shared, own });
        assert_eq!(
            Branch::places(&branches),
            [vec![0, 1, 2], vec![0, 1, 3, 4], vec![0, 1, 3], vec![5]]
        );
        let rows = Rows::new(&branches, Device::Cpu);
        assert_eq!(rows.longest(), 4);
        let flat = Tensor::from_slice(&[10.0, 11.0, 12.0, 13.0, 14.0, 15.0]).view([1, 6, 1, 1]);
        let spread = rows.spread(&flat);
        let found: Vec<f64> = Vec::try_from(spread.flatten(0, -1)).unwrap();
        assert_eq!(found[..7], [10.0, 11.0, 12.0, 10.0, 10.0, 11.0, 13.0]);
        assert_eq!(rows.gather(&spread.flatten(2, 3)), flat.flatten(2, 3));
        let found: Vec<i64> = Vec::try_from(Branch::positions(&branches).flatten(0, 1)).unwrap();
        assert_eq!(found, [0, 1, 2, 2, 3, 0]);
    }
}
