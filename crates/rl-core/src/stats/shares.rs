//! What part of the variance three crossed factors have.

use serde::Serialize;

use super::{Bootstrap, Error, Estimate, bootstrap_percentile, check, moments};

/// Scores of a balanced design: each model with each persona on each item, equally often.
#[derive(Debug, Clone, PartialEq)]
pub struct Balanced {
    models: usize,
    personas: usize,
    items: usize,
    epochs: usize,
    values: Vec<f64>,
}

/// Shares of the total sum of squares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VarianceShares {
    /// η² of the model.
    pub model: Estimate,
    /// η² of the persona.
    pub persona: Estimate,
    /// η² of model and persona together, beyond each alone.
    pub model_persona: Estimate,
    /// η² of the item.
    pub item: Estimate,
    /// η² of the item together with the model, the persona or both.
    pub item_interactions: Estimate,
    /// Share between epochs of one cell.
    pub residual: Estimate,
    /// η² of the persona minus η² of the model: above 0 the persona matters more.
    pub persona_minus_model: Estimate,
}

impl Balanced {
    /// A table of scores, the epoch fastest, then the item, the persona and the model.
    ///
    /// # Shapes
    /// - `values`: `[models, personas, items, epochs]`
    ///
    /// # Errors
    /// [`Error::Length`] if the table is not full; [`Error::Empty`], [`Error::NotFinite`].
    pub fn new(
        [models, personas, items, epochs]: [usize; 4],
        values: Vec<f64>,
    ) -> Result<Self, Error> {
        check::values("values", &values)?;
        check::length("values", values.len(), models * personas * items * epochs)?;
        Ok(Self { models, personas, items, epochs, values })
    }

    /// Shares of the variance, with intervals from resampled items.
    ///
    /// ```text
    /// SS_total = Σ (y − ȳ)²
    /// SS_model = P I E Σ_m (ȳ_m − ȳ)²,  SS_persona and SS_item likewise
    /// SS_model,persona = I E Σ_mp (ȳ_mp − ȳ_m − ȳ_p + ȳ)²
    /// SS_residual = Σ (y − ȳ_mpi)²
    /// SS_item interactions = SS_total − all of these
    /// η² = SS / SS_total
    /// ```
    ///
    /// The shares sum to 1. η² is of the sample: noise gives every factor a little, of about its
    /// degrees of freedom over those of the whole. Source: Cohen, *Eta-squared and partial
    /// eta-squared in fixed factor ANOVA designs*, Educational and Psychological Measurement 33
    /// (1973). A resample of equal values has shares of 0. `n` is the number of items.
    ///
    /// # Errors
    /// [`Error::TooFew`] for one item; [`Error::Constant`] if all values are equal;
    /// [`Error::Range`] for the settings.
    pub fn shares(&self, settings: Bootstrap) -> Result<VarianceShares, Error> {
        check::at_least("items", self.items, 2)?;
        if moments::negligible(moments::std_dev(&self.values), &[&self.values]) {
            return Err(Error::Constant { argument: "values", found: self.values[0] });
        }
        let items: Vec<usize> = (0..self.items).collect();
        let share = |of: fn(Parts) -> f64| {
            bootstrap_percentile(&items, |drawn| of(self.parts(drawn)), settings)
        };
        Ok(VarianceShares {
            model: share(|p| p.model)?,
            persona: share(|p| p.persona)?,
            model_persona: share(|p| p.model_persona)?,
            item: share(|p| p.item)?,
            item_interactions: share(Parts::rest)?,
            residual: share(|p| p.residual)?,
            persona_minus_model: share(|p| p.persona - p.model)?,
        })
    }

    fn parts(&self, items: &[usize]) -> Parts {
        let Self { models, personas, epochs, .. } = *self;
        let count = items.len();
        let mut by_model = vec![0.0; models];
        let mut by_persona = vec![0.0; personas];
        let mut by_both = vec![0.0; models * personas];
        let mut by_item = vec![0.0; count];
        let mut residual = 0.0;
        let mut all = Vec::with_capacity(models * personas * count * epochs);
        for m in 0..models {
            for p in 0..personas {
                for (place, &item) in items.iter().enumerate() {
                    let start = ((m * personas + p) * self.items + item) * epochs;
                    let cell = &self.values[start..start + epochs];
                    let sum: f64 = cell.iter().sum();
                    by_model[m] += sum;
                    by_persona[p] += sum;
                    by_both[m * personas + p] += sum;
                    by_item[place] += sum;
                    residual += moments::sum_of_squares(cell);
                    all.extend_from_slice(cell);
                }
            }
        }
        let total = moments::sum_of_squares(&all);
        if total <= 0.0 {
            return Parts::default();
        }
        let n = all.len() as f64;
        let mean = moments::mean(&all);
        let between = |sums: &[f64]| -> f64 {
            let size = n / sums.len() as f64;
            sums.iter().map(|sum| size * (sum / size - mean).powi(2)).sum::<f64>() / total
        };
        let (model, persona) = (between(&by_model), between(&by_persona));
        Parts {
            model,
            persona,
            model_persona: (between(&by_both) - model - persona).max(0.0),
            item: between(&by_item),
            residual: residual / total,
            all: 1.0,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    model: f64,
    persona: f64,
    model_persona: f64,
    item: f64,
    residual: f64,
    /// 1, or 0 where there is no variance to share.
    all: f64,
}

impl Parts {
    fn rest(self) -> f64 {
        let known = self.model + self.persona + self.model_persona + self.item + self.residual;
        (self.all - known).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::seed::Seed;

    const SETTINGS: Bootstrap = Bootstrap { resamples: 100, confidence: 0.95, seed: Seed::new(4) };

    fn table(sizes: [usize; 4], value: impl Fn(usize, usize, usize, usize) -> f64) -> Balanced {
        let [models, personas, items, epochs] = sizes;
        let mut values = Vec::new();
        for m in 0..models {
            for p in 0..personas {
                for i in 0..items {
                    values.extend((0..epochs).map(|e| value(m, p, i, e)));
                }
            }
        }
        Balanced::new(sizes, values).unwrap()
    }

    /// Effects that sum to zero have sums of squares that can be written down.
    #[test]
    fn each_effect_gets_its_own_share() {
        let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let found = table([2, 2, 4, 2], |m, p, i, e| {
            sign(m)
                + 2.0 * sign(p)
                + 3.0 * sign(m) * sign(p)
                + 0.5 * sign(i)
                + 0.25 * sign(i) * sign(m)
                + 0.75 * sign(e)
        })
        .shares(SETTINGS)
        .unwrap();
        let total = 1.0 + 4.0 + 9.0 + 0.25 + 0.0625 + 0.5625;
        for (share, square) in [
            (found.model, 1.0),
            (found.persona, 4.0),
            (found.model_persona, 9.0),
            (found.item, 0.25),
            (found.item_interactions, 0.0625),
            (found.residual, 0.5625),
            (found.persona_minus_model, 3.0),
        ] {
            assert_abs_diff_eq!(share.value, square / total, epsilon = 1e-12);
        }
        assert!(found.model.interval[0] <= found.model.value && found.model.n == 4);
    }

    #[test]
    fn only_the_persona() {
        let found = table([3, 2, 5, 1], |_, p, _, _| p as f64).shares(SETTINGS).unwrap();
        assert_abs_diff_eq!(found.persona.value, 1.0, epsilon = 1e-12);
        assert_abs_diff_eq!(found.persona.interval[0], 1.0, epsilon = 1e-12);
        assert_abs_diff_eq!(found.model.value, 0.0, epsilon = 1e-12);
    }

    #[test]
    fn arguments_are_checked() {
        assert!(matches!(Balanced::new([2, 2, 2, 2], vec![0.0; 15]), Err(Error::Length { .. })));
        assert!(matches!(Balanced::new([0, 1, 1, 1], vec![]), Err(Error::Empty { .. })));
        assert!(matches!(
            table([1, 1, 1, 2], |_, _, _, e| e as f64).shares(SETTINGS),
            Err(Error::TooFew { .. })
        ));
        assert!(matches!(
            table([2, 1, 2, 1], |_, _, _, _| 0.5).shares(SETTINGS),
            Err(Error::Constant { .. })
        ));
    }
}
