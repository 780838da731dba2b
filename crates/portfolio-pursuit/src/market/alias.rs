//! Draws from a finite distribution with one random number.

use crate::stream::Stream;

/// Walker's alias method in Vose's form: exact, one uniform and one look-up a draw.
#[derive(Debug, Clone)]
pub(super) struct Alias {
    /// Per column: the probability of staying, and where to go otherwise.
    columns: Vec<(f64, u32)>,
}

impl Alias {
    /// A distribution proportional to `weights`, which are not negative and not all 0.
    pub(super) fn new(weights: &[f64]) -> Self {
        let n = weights.len();
        let total: f64 = weights.iter().sum();
        let mut scaled: Vec<f64> = weights.iter().map(|w| w * n as f64 / total).collect();
        let mut columns: Vec<(f64, u32)> = (0..n).map(|i| (1.0, i as u32)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|&i| scaled[i] < 1.0);
        while let (Some(&s), Some(&l)) = (small.last(), large.last()) {
            small.pop();
            columns[s] = (scaled[s], l as u32);
            scaled[l] -= 1.0 - scaled[s];
            if scaled[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        Self { columns }
    }

    /// One draw.
    #[inline]
    pub(super) fn draw(&self, stream: &mut Stream) -> u32 {
        let place = stream.unit() * self.columns.len() as f64;
        let column = place as usize;
        let (stay, other) = self.columns[column];
        if place - (column as f64) < stay { column as u32 } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_hold_the_weights() {
        let weights = [0.0, 3.0, 0.5, 0.5, 1.0];
        let alias = Alias::new(&weights);
        let mut mass = [0.0; 5];
        for (i, &(stay, other)) in alias.columns.iter().enumerate() {
            mass[i] += stay / 5.0;
            mass[other as usize] += (1.0 - stay) / 5.0;
        }
        for (mass, weight) in mass.iter().zip(weights) {
            assert!((mass - weight / 5.0).abs() < 1e-15, "{mass} {weight}");
        }
    }
}
