//! Points that lie close around 0 and wide far from it.

/// `x_j = width · sinh(c j)` for j from −half to half, so that steps grow with the distance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    width: f64,
    rate: f64,
    points: Vec<f64>,
}

impl Grid {
    /// `2 half + 1` points from −reach to reach, about evenly spaced within ±width.
    pub(crate) fn new(width: f64, reach: f64, half: i32) -> Self {
        let rate = (reach / width).max(1.0).asinh() / f64::from(half);
        let points = (-half..=half).map(|j| width * (rate * f64::from(j)).sinh()).collect();
        Self { width, rate, points }
    }

    /// The points, rising.
    pub(crate) fn points(&self) -> &[f64] {
        &self.points
    }

    /// Between which point and the next x lies, and at what share of the way; at an end if beyond it.
    #[inline]
    pub(crate) fn place(&self, x: f64) -> (usize, f64) {
        let last = self.points.len() - 2;
        // asinh, without the care for digits that an index does not need.
        let y = (x / self.width).abs();
        let distance = (y + (y * y + 1.0).sqrt()).ln().copysign(x);
        let at = distance / self.rate + 0.5 * (last + 1) as f64;
        let index = (at.max(0.0) as usize).min(last);
        (index, self.share(index, x))
    }

    /// [`Grid::place`], looked for from a place that may be near.
    #[inline]
    pub(crate) fn place_near(&self, x: f64, near: usize) -> (usize, f64) {
        let last = self.points.len() - 2;
        let mut index = near.min(last);
        while index < last && x >= self.points[index + 1] {
            index += 1;
        }
        while index > 0 && x < self.points[index] {
            index -= 1;
        }
        (index, self.share(index, x))
    }

    #[inline]
    fn share(&self, index: usize, x: f64) -> f64 {
        let [low, high] = [self.points[index], self.points[index + 1]];
        ((x - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// A function known at the points of a grid, straight between them and level beyond.
#[derive(Debug, Clone)]
pub(crate) struct Tabulated<'a> {
    grid: &'a Grid,
    values: Vec<f64>,
}

impl<'a> Tabulated<'a> {
    pub(crate) fn new(grid: &'a Grid, values: Vec<f64>) -> Self {
        debug_assert_eq!(values.len(), grid.points.len());
        Self { grid, values }
    }

    /// The value at x, looked for from `near`, which is moved there.
    #[inline]
    pub(crate) fn at(&self, x: f64, near: &mut usize) -> f64 {
        let (index, share) = self.grid.place_near(x, *near);
        *near = index;
        self.values[index] + share * (self.values[index + 1] - self.values[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line() {
        let grid = Grid::new(0.5, 40.0, 30);
        let ends = [grid.points()[0], grid.points()[60]];
        assert!((ends[0] + 40.0).abs() < 1e-9 && (ends[1] - 40.0).abs() < 1e-9);
        let values = grid.points().iter().map(|x| 3.0 * x - 1.0).collect();
        let line = Tabulated::new(&grid, values);
        for x in [-40.0, -13.7, -0.01, 0.0, 1e-5, 0.4, 39.999] {
            for mut near in [0, 30, 99] {
                assert!((line.at(x, &mut near) - (3.0 * x - 1.0)).abs() < 1e-9, "{x}");
            }
            assert_eq!(grid.place(x), grid.place_near(x, 0));
        }
        let level = [line.at(90.0, &mut 0), line.at(-90.0, &mut 0)];
        assert!((level[0] - 119.0).abs() < 1e-9 && (level[1] + 121.0).abs() < 1e-9);
    }
}
