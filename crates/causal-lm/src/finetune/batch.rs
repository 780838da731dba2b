//! Examples side by side, or one after the other, in the rows of a forward pass.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::{Example, shared};
use crate::model::Layout;

/// How examples share a forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// One example a row, padded on the right to the longest.
    #[default]
    Padded,
    /// As many examples a row as fit; they do not see each other. Pays where lengths differ much.
    Packed,
    /// One example a row, without padding, and what examples begin with alike is computed once.
    /// Pays where prompts recur or have the same system text.
    Shared,
}

/// One forward pass: tokens, where they are, and which predictions count.
#[derive(Debug)]
pub struct Batch {
    /// `[rows, seq]`, i64.
    pub input_ids: Tensor,
    /// Where the examples are.
    pub layout: Layout,
    /// Positions that predict a token that counts, as indices into the flattened batch.
    pub positions: Tensor,
    /// The tokens they are to predict.
    pub targets: Tensor,
    /// Indices of the examples that the pass was planned from, in the order of `positions`.
    pub examples: Vec<usize>,
}

impl Batch {
    /// Forward passes over `examples` of at most `pass_tokens` tokens each, padding counted; an
    /// example that is longer has a pass of its own. Rows of packed examples hold up to `row_tokens`.
    /// Where tokens are shared they count once, and attention has at most twice as many.
    pub fn plan(
        examples: &[&Example],
        packing: Packing,
        row_tokens: usize,
        pass_tokens: usize,
        device: Device,
    ) -> Vec<Self> {
        if packing == Packing::Shared {
            return shared::plan(examples, pass_tokens, device);
        }
        let mut order: Vec<(usize, &Example)> =
            examples.iter().copied().enumerate().filter(|(_, e)| !e.ids().is_empty()).collect();
        order.sort_by_key(|(_, e)| Reverse(e.ids().len()));
        let mut rows: Vec<Row<'_>> = match packing {
            Packing::Packed => first_fit(&order, row_tokens),
            _ => order.into_iter().map(|e| vec![e]).collect(),
        };
        rows.sort_by_key(|row| Reverse(total(row)));
        let mut out = Vec::new();
        let mut rest = &rows[..];
        while let Some(first) = rest.first() {
            // Lengths descend: the longest of a pass is its first.
            let fit = (pass_tokens / total(first)).clamp(1, rest.len());
            let (pass, after) = rest.split_at(fit);
            out.push(Self::of_rows(pass, packing, device));
            rest = after;
        }
        out
    }

    fn of_rows(rows: &[Row<'_>], packing: Packing, device: Device) -> Self {
        let seq = rows.iter().map(|row| total(row)).max().unwrap_or(0);
        let (mut ids, mut positions, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let start = ids.len();
            for (_, example) in row {
                for (&id, &counts) in example.ids().iter().zip(example.counts()) {
                    if counts {
                        positions.push(ids.len() as i64 - 1);
                        targets.push(i64::from(id));
                    }
                    ids.push(i64::from(id));
                }
            }
            ids.resize(start + seq, 0);
        }
        let lengths = |row: &Row<'_>| row.iter().map(|(_, e)| e.ids().len()).collect::<Vec<_>>();
        let layout = match packing {
            Packing::Packed => Layout::Packed(rows.iter().map(lengths).collect()),
            _ => Layout::RightPadded(rows.iter().map(|row| total(row)).collect()),
        };
        Self {
            input_ids: Tensor::from_slice(&ids)
                .view([rows.len() as i64, seq as i64])
                .to_device(device),
            layout,
            positions: Tensor::from_slice(&positions).to_device(device),
            targets: Tensor::from_slice(&targets).to_device(device),
            examples: rows.iter().flatten().map(|&(index, _)| index).collect(),
        }
    }

    /// Number of predictions that count.
    pub fn counted(&self) -> usize {
        self.targets.numel()
    }
}

/// Examples that share a row, each with its index.
type Row<'a> = Vec<(usize, &'a Example)>;

fn total(row: &[(usize, &Example)]) -> usize {
    row.iter().map(|(_, e)| e.ids().len()).sum()
}

/// Each example, longest first, goes into the first row with room for it.
fn first_fit<'a>(descending: &[(usize, &'a Example)], row_tokens: usize) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for &(index, example) in descending {
        let room = |row: &Row<'_>| total(row) + example.ids().len() <= row_tokens;
        match rows.iter_mut().find(|row| room(row)) {
            Some(row) => row.push((index, example)),
            None => rows.push(vec![(index, example)]),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Example> {
        [5_u32, 2, 3, 4].iter().map(|&n| Example::text((10 * n..10 * n + n).collect())).collect()
    }

    fn plan(packing: Packing, row_tokens: usize, pass_tokens: usize) -> Vec<Batch> {
        let examples = examples();
        let refs: Vec<&Example> = examples.iter().collect();
        Batch::plan(&refs, packing, row_tokens, pass_tokens, Device::Cpu)
    }

    #[test]
    fn positions_are_those_before_their_targets() {
        for packing in [Packing::Padded, Packing::Packed] {
            let mut targets = Vec::new();
            for batch in plan(packing, 8, 16) {
                let flat: Vec<i64> = Vec::try_from(batch.input_ids.flatten(0, 1)).unwrap();
                let positions: Vec<i64> = Vec::try_from(&batch.positions).unwrap();
                let wanted: Vec<i64> = Vec::try_from(&batch.targets).unwrap();
                for (&position, &target) in positions.iter().zip(&wanted) {
                    assert_eq!(flat[position as usize + 1], target);
                    assert_eq!(flat[position as usize], target - 1, "examples must not mix");
                }
                targets.extend(wanted);
            }
            targets.sort_unstable();
            assert_eq!(targets, [21, 31, 32, 41, 42, 43, 51, 52, 53, 54]);
        }
    }

    #[test]
    fn passes_keep_to_their_size() {
        let sizes = |packing, row, pass| -> Vec<Vec<i64>> {
            plan(packing, row, pass).iter().map(|b| b.input_ids.size()).collect()
        };
        assert_eq!(sizes(Packing::Padded, 8, 10), [[2, 5], [2, 3]]);
        assert_eq!(sizes(Packing::Padded, 8, 1), [[1, 5], [1, 4], [1, 3], [1, 2]]);
        // 5 + 3 and 4 + 2.
        assert_eq!(sizes(Packing::Packed, 8, 16), [[2, 8]]);
        let batch = &plan(Packing::Packed, 8, 16)[0];
        assert_eq!(batch.layout, Layout::Packed(vec![vec![5, 3], vec![4, 2]]));
    }
}
