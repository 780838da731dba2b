//! Tokens of many answers, as rows of a rectangle.

use tch::{Kind, Tensor};

/// Which cells of a `[batch, time]` rectangle hold a token of an answer: row `i` has `lengths[i]`,
/// from the left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    lengths: Vec<usize>,
    time: usize,
}

impl Grid {
    /// A rectangle as wide as the longest answer.
    pub fn new(lengths: Vec<usize>) -> Self {
        let time = lengths.iter().copied().max().unwrap_or(0);
        Self { lengths, time }
    }

    /// Number of rows.
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }

    /// Tokens of each row.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Tokens of all rows.
    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// True where there is a token, `[batch, time]`.
    pub fn mask(&self) -> Tensor {
        let lengths: Vec<i64> = self.lengths.iter().map(|&n| n as i64).collect();
        let steps = Tensor::arange(self.time as i64, (Kind::Int64, tch::Device::Cpu));
        steps.unsqueeze(0).lt_tensor(&Tensor::from_slice(&lengths).unsqueeze(1))
    }

    /// Places of the tokens of `rows`, one row after the other, in the flattened rectangle.
    pub fn cells(&self, rows: &[usize]) -> Tensor {
        let cells: Vec<i64> = rows
            .iter()
            .flat_map(|&row| {
                (row * self.time..row * self.time + self.lengths[row]).map(|c| c as i64)
            })
            .collect();
        Tensor::from_slice(&cells)
    }

    /// The rectangle that has `values` at `cells`, and 0 elsewhere.
    ///
    /// # Shapes
    /// - `cells`, `values`: `[n]`
    /// - returns: `[batch, time]`, f32
    pub fn scatter(&self, cells: &Tensor, values: &Tensor) -> Tensor {
        let size = [self.batch() as i64, self.time as i64];
        let flat = Tensor::zeros([size[0] * size[1]], (Kind::Float, tch::Device::Cpu));
        flat.index_copy(0, cells, &values.to_device(tch::Device::Cpu).to_kind(Kind::Float))
            .view(size)
    }

    /// The rectangle that has `of_row[i]` at the last token of row `i`, and 0 elsewhere.
    pub fn at_end(&self, of_row: &[f64]) -> Tensor {
        let ends: Vec<i64> = self
            .lengths
            .iter()
            .enumerate()
            .map(|(row, &n)| (row * self.time + n.saturating_sub(1)) as i64)
            .collect();
        let values: Vec<f32> = of_row.iter().map(|&v| v as f32).collect();
        self.scatter(&Tensor::from_slice(&ends), &Tensor::from_slice(&values))
    }

    /// The rectangle that has `of_row[i]` at every token of row `i`, and 0 elsewhere.
    pub fn everywhere(&self, of_row: &Tensor) -> Tensor {
        of_row.to_kind(Kind::Float).unsqueeze(1) * self.mask().to_kind(Kind::Float)
    }

    /// Sums of the rows' tokens.
    ///
    /// # Shapes
    /// - `values`: `[batch, time]`
    /// - returns: `[batch]`, f64
    pub fn row_sums(&self, values: &Tensor) -> Vec<f64> {
        let zero = Tensor::zeros_like(values);
        let kept = values.where_self(&self.mask(), &zero).to_kind(Kind::Double);
        Vec::try_from(kept.sum_dim_intlist(-1, false, Kind::Double)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(x: &Tensor) -> Vec<f32> {
        Vec::try_from(x.flatten(0, -1)).unwrap()
    }

    #[test]
    fn rows_and_cells() {
        let grid = Grid::new(vec![1, 3, 2]);
        assert_eq!((grid.batch(), grid.tokens()), (3, 6));
        assert_eq!(flat(&grid.mask().to_kind(Kind::Float)), [1., 0., 0., 1., 1., 1., 1., 1., 0.]);
        let cells = grid.cells(&[2, 0]);
        assert_eq!(Vec::<i64>::try_from(&cells).unwrap(), [6, 7, 0]);
        let made = grid.scatter(&cells, &Tensor::from_slice(&[5_f32, 6., 7.]));
        assert_eq!(flat(&made), [7., 0., 0., 0., 0., 0., 5., 6., 0.]);
        assert_eq!(flat(&grid.at_end(&[1., 2., 3.])), [1., 0., 0., 0., 0., 2., 0., 3., 0.]);
        let all = grid.everywhere(&Tensor::from_slice(&[1_f64, 2., 3.]));
        assert_eq!(flat(&all), [1., 0., 0., 2., 2., 2., 3., 3., 0.]);
        let garbage = Tensor::from_slice(&[1_f32, f32::NAN, 9., 1., 1., 1., 2., 2., f32::INFINITY]);
        assert_eq!(grid.row_sums(&garbage.view([3, 3])), [1., 3., 4.]);
    }
}
