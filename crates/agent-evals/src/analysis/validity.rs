//! Whether what is said predicts what is done.

use rl_core::{
    seed::Seed,
    stats::{self, Estimate},
};
use serde::Serialize;

use super::{
    Settings,
    split::shuffle,
    unit::{Reply, Unit, mean},
};

/// Reliabilities no larger than this count as none: rounding of correlations.
const NO_RELIABILITY: f64 = 1e-9;

/// A rank correlation of saying and doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validity {
    /// Spearman's ρ of the means of both arms.
    pub rho: Option<Estimate>,
    /// How far the stated arm agrees with itself, stepped up from halves.
    pub stated_reliability: Option<f64>,
    /// How far the enacted arm does.
    pub enacted_reliability: Option<f64>,
    /// `ρ / √(r_Q r_A)`: what ρ would be without noise. May lie outside −1 to 1, where noise made it.
    pub disattenuated: Option<f64>,
    /// Why something is missing.
    pub reason: Option<String>,
}

/// Correlation over units, such as the items of one model.
///
/// Reliability is Pearson's correlation of the means of random halves of each unit's answers, over
/// `splits` ways to halve, stepped up to all answers by Spearman and Brown, `2r / (1 + r)`, if it is
/// above 0. Sources:
/// Spearman, *Correlation calculated from faulty data*, British Journal of Psychology 3 (1910);
/// Brown, same issue. Where an arm does not vary over units, or not reliably, ρ or its correction is
/// not defined, and the reason says so.
pub fn validity(units: &[Unit], settings: &Settings) -> Validity {
    let paired: Vec<&Unit> = units.iter().filter(|u| u.is_paired()).collect();
    let says: Vec<f64> = paired.iter().map(|u| mean(&u.stated)).collect();
    let does: Vec<f64> = paired.iter().map(|u| mean(&u.enacted)).collect();
    let seed = Seed::new(settings.seed);
    let of = |replies: fn(&Unit) -> &Vec<Reply>, name: &str| {
        let all: Vec<&[Reply]> = paired.iter().map(|u| replies(u).as_slice()).collect();
        reliability(&all, settings.splits, seed.derive(name, 0))
    };
    let stated = of(|u| &u.stated, "stated reliability");
    let enacted = of(|u| &u.enacted, "enacted reliability");
    let rho = stats::spearman(&says, &does, settings.confidence);
    let corrected = match (&rho, &stated, &enacted) {
        (Ok(rho), Ok(stated), Ok(enacted)) => disattenuate(rho.value, *stated, *enacted),
        (Err(error), ..) => Err(format!("rank correlation of saying and doing: {error}")),
        (_, Err(reason), _) => Err(format!("stated arm: {reason}")),
        (.., Err(reason)) => Err(format!("enacted arm: {reason}")),
    };
    Validity {
        rho: rho.ok(),
        stated_reliability: stated.ok(),
        enacted_reliability: enacted.ok(),
        reason: corrected.as_ref().err().cloned(),
        disattenuated: corrected.ok(),
    }
}

/// A correlation without the noise of either side: `ρ / √(r_Q r_A)`.
///
/// # Errors
/// The reason why it is not defined, if a reliability is not above 0.
pub fn disattenuate(rho: f64, stated: f64, enacted: f64) -> Result<f64, String> {
    for (arm, reliability) in [("stated", stated), ("enacted", enacted)] {
        if reliability <= NO_RELIABILITY {
            return Err(format!(
                "the {arm} arm has a reliability of {reliability:.3}: it does not agree with itself, \
                 so that nothing could agree with it"
            ));
        }
    }
    Ok(rho / (stated * enacted).sqrt())
}

/// Split-half reliability of the units' means, stepped up.
fn reliability(units: &[&[Reply]], splits: usize, seed: Seed) -> Result<f64, String> {
    let mut rng = seed.rng();
    let splittable: Vec<&[Reply]> = units.iter().copied().filter(|u| u.len() >= 2).collect();
    let (mut found, mut why) = (Vec::new(), String::new());
    for _ in 0..splits {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for replies in &splittable {
            let mut replies = replies.to_vec();
            shuffle(&mut replies, &mut rng);
            let (a, b) = replies.split_at(replies.len() / 2);
            one.push(mean(a));
            other.push(mean(b));
        }
        // By chance a half may not vary over units although the answers do.
        match stats::pearson(&one, &other, 0.95) {
            Ok(r) => found.push(r.value),
            Err(error) => why = error.to_string(),
        }
    }
    if found.is_empty() {
        return Err(format!("correlation of halves: {why}"));
    }
    let r = found.iter().sum::<f64>() / found.len() as f64;
    Ok(if r > 0.0 { 2.0 * r / (1.0 + r) } else { r })
}

/// Correlation across models within one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AcrossModels {
    /// Name of the scenario.
    pub scenario: String,
    /// Spearman's ρ of the models' means; at least four models are needed.
    pub rho: Option<Estimate>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// Correlations across models, scenario by scenario.
pub fn across_models(
    units: &[Vec<Unit>],
    scenarios: &[&str],
    confidence: f64,
) -> Vec<AcrossModels> {
    let of = |scenario: &str| {
        let (mut says, mut does) = (Vec::new(), Vec::new());
        for model in units {
            let paired: Vec<&Unit> =
                model.iter().filter(|u| u.scenario == scenario && u.is_paired()).collect();
            if paired.is_empty() {
                continue;
            }
            let average = |of: fn(&Unit) -> &Vec<Reply>| {
                paired.iter().map(|u| mean(of(u))).sum::<f64>() / paired.len() as f64
            };
            says.push(average(|u| &u.stated));
            does.push(average(|u| &u.enacted));
        }
        let rho = stats::spearman(&says, &does, confidence);
        AcrossModels {
            scenario: scenario.to_owned(),
            reason: rho.as_ref().err().map(|error| format!("models: {error}")),
            rho: rho.ok(),
        }
    };
    scenarios.iter().map(|s| of(s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(of: &[(&[f64], &[f64])]) -> Vec<Unit> {
        let replies = |values: &[f64]| {
            values.iter().map(|&value| Reply { outcome: 0, value }).collect::<Vec<_>>()
        };
        of.iter()
            .enumerate()
            .map(|(i, (stated, enacted))| Unit {
                scenario: "s".to_owned(),
                item: i.to_string(),
                cluster: i.to_string(),
                stated: replies(stated),
                enacted: replies(enacted),
                ..Unit::default()
            })
            .collect()
    }

    #[test]
    fn perfect_reliability_changes_nothing() {
        let found = validity(
            &units(&[
                (&[0.0; 2], &[0.25; 2]),
                (&[0.25; 2], &[0.0; 2]),
                (&[0.5; 2], &[0.75; 2]),
                (&[1.0; 2], &[1.0; 2]),
            ]),
            &Settings::default(),
        );
        let rho = found.rho.unwrap().value;
        approx::assert_relative_eq!(rho, 0.8, max_relative = 1e-12);
        approx::assert_relative_eq!(found.disattenuated.unwrap(), rho, max_relative = 1e-9);
        assert_eq!(found.reason, None);
    }

    #[test]
    fn no_reliability_is_undefined_with_a_reason() {
        assert!(disattenuate(0.3, 0.0, 1.0).unwrap_err().contains("stated arm has a reliability"));
        assert!(disattenuate(0.3, 1.0, -0.2).unwrap_err().contains("enacted arm"));
        approx::assert_relative_eq!(disattenuate(0.3, 0.25, 1.0).unwrap(), 0.6);
        // Every unit is as torn as the other: there is nothing to agree on.
        let torn: Vec<(&[f64], &[f64])> = vec![
            (&[0.0, 1.0], &[0.0, 0.0]),
            (&[0.0, 1.0], &[0.5, 0.5]),
            (&[0.0, 1.0], &[0.7, 0.7]),
            (&[0.1, 1.0], &[1.0, 1.0]),
        ];
        let found = validity(&units(&torn), &Settings::default());
        assert!(found.disattenuated.is_none() && found.rho.is_some());
        assert!(found.reason.unwrap().starts_with("the stated arm has a reliability of -"));
        let flat: Vec<(&[f64], &[f64])> = vec![(&[0.0], &[1.0]); 5];
        let found = validity(&units(&flat), &Settings::default());
        assert!(
            found.rho.is_none() && found.reason.unwrap().contains("expected values that differ")
        );
    }

    /// Noise weakens ρ, and the correction takes most of it back.
    #[test]
    fn noise_is_corrected_for() {
        use rand_chacha::rand_core::Rng as _;
        let mut rng = Seed::new(3).rng();
        let mut unit = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
        let mut list = Vec::new();
        for i in 0..400 {
            let truth = f64::from(i) / 400.0;
            let mut draw = || (0..4).map(|_| truth + 2.0 * (unit() - 0.5)).collect::<Vec<f64>>();
            list.push((draw(), draw()));
        }
        let borrowed: Vec<(&[f64], &[f64])> =
            list.iter().map(|(a, b)| (a.as_slice(), b.as_slice())).collect();
        let found = validity(&units(&borrowed), &Settings::default());
        let (rho, corrected) = (found.rho.unwrap().value, found.disattenuated.unwrap());
        assert!(rho < 0.7 && (corrected - 1.0).abs() < 0.12, "{rho} {corrected}");
    }

    #[test]
    fn models_are_compared_within_a_scenario() {
        let model = |says: f64, does: f64| units(&[(&[says], &[does]), (&[says], &[])]);
        let models = [(0.0, 0.1), (0.1, 0.5), (0.2, 0.3), (0.9, 0.8)].map(|(s, d)| model(s, d));
        let found = across_models(&models, &["s", "t"], 0.95);
        approx::assert_relative_eq!(found[0].rho.unwrap().value, 0.8, max_relative = 1e-12);
        assert!(
            found[1].rho.is_none() && found[1].reason.as_ref().unwrap().starts_with("models: ")
        );
    }
}
