//! Normal and Student-t distribution, as tails and as quantiles.

use std::f64::consts::SQRT_2;

use statrs::function::{
    beta::{beta_reg, ln_beta},
    erf::erfc_inv,
    gamma::gamma_ur,
};

/// Newton steps after which a quantile is taken as it is; from a normal start a few do, and even
/// one degree of freedom doubles its reach with each.
const MAX_STEPS: usize = 200;

/// Probability of a standard normal at most `z`.
pub(super) fn normal_cdf(z: f64) -> f64 {
    let tail = 0.5 * normal_two_sided(z);
    if z > 0.0 { 1.0 - tail } else { tail }
}

/// The z below which a standard normal falls with this probability.
pub(super) fn normal_quantile(probability: f64) -> f64 {
    -SQRT_2 * erfc_inv(2.0 * probability)
}

/// Probability of a standard normal at least as far from 0 as `z`.
pub(super) fn normal_two_sided(z: f64) -> f64 {
    // erfc(|z|/√2) = Q(1/2, z²/2), which statrs has to 1e-14, and erfc to 1e-10 only.
    match 0.5 * z * z {
        0.0 => 1.0,
        f64::INFINITY => 0.0,
        half => gamma_ur(0.5, half),
    }
}

/// The z that a standard normal stays within with probability `confidence`.
pub(super) fn normal_critical(confidence: f64) -> f64 {
    SQRT_2 * erfc_inv(1.0 - confidence)
}

/// Probability of a t of `freedom` degrees at least as far from 0 as `t`.
pub(super) fn t_two_sided(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    // Near 0 the first form would see 1 where there is a little less.
    if square < 1.0 {
        1.0 - beta_reg(0.5, 0.5 * freedom, square / (freedom + square))
    } else {
        beta_reg(0.5 * freedom, 0.5, freedom / (freedom + square))
    }
}

/// The t that one of `freedom` degrees stays within with probability `confidence`.
///
/// Newton's method on the tail, which falls and is convex; the normal's value lies below the root,
/// so that each step goes up to it and none beyond.
pub(super) fn t_critical(confidence: f64, freedom: f64) -> f64 {
    let density_at_0 = (-ln_beta(0.5 * freedom, 0.5)).exp() / freedom.sqrt();
    let mut t = normal_critical(confidence);
    for _ in 0..MAX_STEPS {
        let density = density_at_0 * (-0.5 * (freedom + 1.0) * (t * t / freedom).ln_1p()).exp();
        let step = (t_two_sided(t, freedom) - (1.0 - confidence)) / (2.0 * density);
        t += step;
        if step.abs() <= 4.0 * f64::EPSILON * t {
            break;
        }
    }
    t
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn quantiles_undo_tails() {
        for confidence in [1e-6, 0.1, 0.5, 0.9, 0.95, 0.999, 1.0 - 1e-9] {
            for freedom in [1.0, 2.0, 3.0, 10.0, 1e3, 1e6] {
                let t = t_critical(confidence, freedom);
                // One minus the confidence is known to 1e-16 only; a million degrees add 1e-9.
                let tail = 1.0 - confidence;
                assert_relative_eq!(t_two_sided(t, freedom), tail, max_relative = 1e-8);
            }
            assert_relative_eq!(
                normal_cdf(normal_quantile(confidence)),
                confidence,
                max_relative = 1e-13
            );
        }
        // Cauchy: tan(pi * 0.475).
        assert_relative_eq!(t_critical(0.95, 1.0), 12.706_204_736_174_7, max_relative = 1e-13);
        // scipy.stats.t.ppf(0.975, 1e6)
        assert_relative_eq!(t_critical(0.95, 1e6), 1.959_966_356_814_107, max_relative = 1e-9);
    }

    #[test]
    fn the_ends_are_there() {
        assert_relative_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_relative_eq!(normal_quantile(1.0), f64::INFINITY);
        assert_relative_eq!(normal_two_sided(0.0), 1.0);
        assert_relative_eq!(normal_two_sided(1e200), 0.0);
        assert_relative_eq!(normal_cdf(f64::INFINITY), 1.0);
        assert_relative_eq!(normal_cdf(f64::NEG_INFINITY), 0.0);
        // 2 * scipy.stats.norm.sf(7)
        assert_relative_eq!(normal_two_sided(7.0), 2.559_625_087_771_67e-12, max_relative = 1e-13);
        assert_relative_eq!(t_two_sided(0.0, 5.0), 1.0);
        assert_relative_eq!(t_two_sided(1e200, 5.0), 0.0);
    }
}
