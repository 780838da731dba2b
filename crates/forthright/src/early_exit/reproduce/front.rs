//! Fronts of accuracy over depth.

use crate::early_exit::measure::Tally;

/// Area under the front of points (share of blocks run, accuracy): the best accuracy of a point that
/// runs at most a share of the blocks, in the mean over all shares from 0 to 1.
///
/// It grows exactly when the front does somewhere, so it compares fronts that nowhere share a depth.
pub(super) fn area(points: &[[f64; 2]]) -> f64 {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let (mut sum, mut best, mut at) = (0.0, 0.0_f64, 0.0);
    for [depth, accuracy] in points {
        let depth = depth.clamp(0.0, 1.0);
        sum += best * (depth - at);
        at = depth;
        best = best.max(accuracy);
    }
    sum + best * (1.0 - at)
}

/// The area under a front of tallies, of the problems `of` alone.
pub(super) fn area_of(front: &[Tally], of: &[usize]) -> f64 {
    let points: Vec<[f64; 2]> =
        front.iter().map(|tally| [tally.depth(of), tally.accuracy(of)]).collect();
    area(&points)
}

/// The shallowest point whose accuracy is at most `margin` below `full`; where there is none, the most
/// accurate.
pub(super) fn choose(points: &[[f64; 2]], full: f64, margin: f64) -> usize {
    let fine = |&i: &usize| points[i][1] >= full - margin;
    let shallowest =
        (0..points.len()).filter(fine).min_by(|&a, &b| points[a][0].total_cmp(&points[b][0]));
    let most_accurate = || (0..points.len()).max_by(|&a, &b| points[a][1].total_cmp(&points[b][1]));
    shallowest.or_else(most_accurate).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }

    #[test]
    fn areas_by_hand() {
        near(area(&[]), 0.0);
        near(area(&[[0.25, 1.0]]), 0.75);
        near(area(&[[0.5, 0.8], [0.25, 0.4]]), 0.25 * 0.4 + 0.5 * 0.8);
        // What is deeper and less accurate adds nothing.
        near(area(&[[0.5, 0.8], [0.25, 0.4], [0.75, 0.7]]), 0.25 * 0.4 + 0.5 * 0.8);
        let front = [
            Tally { right: vec![true, false], run: vec![1.0, 2.0], tokens: vec![2.0, 2.0] },
            Tally { right: vec![true, true], run: vec![2.0, 2.0], tokens: vec![2.0, 2.0] },
        ];
        near(area_of(&front, &[0, 1]), 0.25 * 0.5);
        near(area_of(&front, &[0]), 0.5);
    }

    #[test]
    fn the_shallowest_that_is_good_enough_is_chosen() {
        let points = [[0.4, 0.7], [0.6, 0.96], [0.5, 0.95], [0.9, 0.97]];
        assert_eq!(choose(&points, 0.97, 0.02), 2);
        assert_eq!(choose(&points, 0.97, 0.0), 3);
        assert_eq!(choose(&points, 1.0, 0.01), 3, "none is");
    }
}
