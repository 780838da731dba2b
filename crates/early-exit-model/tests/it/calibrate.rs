//! Calibration: targets, losses, and runs that are cut off.

use causal_lm::{finetune::Example, model::Layout};
use early_exit_model::{
    EarlyExitModel, ExitLaw, Exits, Sequences, Skipped,
    calibrate::{CalibrateConfig, Calibration, Recipe, StepReport, divergences},
    reference,
};
use rl_core::optim::AdamWConfig;
use tch::{Kind, Tensor};

use crate::{
    common::{LAYERS, ids, max_abs_diff, model, places, tensor, tiny, vec_i64},
    naive,
};

fn texts(count: usize) -> Vec<Example> {
    (0..count)
        .map(|i| Example::completion(&ids(2 + i % 3, i as u64), &ids(4 + i % 5, 100 + i as u64)))
        .collect()
}

const RECIPES: [Recipe; 3] = [
    Recipe::Published { kappa: 2.0, patterns: 2 },
    Recipe::Refreshed { kappa: [1.0, 8.0], readout: [1.0, 0.1], patterns: 1 },
    Recipe::Supervised,
];

fn config(recipe: Recipe) -> CalibrateConfig {
    CalibrateConfig { recipe, steps: 6, batch: 4, lr: 1e-3, gate_lr: 1e-2, ..Default::default() }
}

fn run(model: EarlyExitModel, config: &CalibrateConfig) -> (Vec<StepReport>, EarlyExitModel) {
    let mut run = Calibration::new(model, texts(9), config).unwrap();
    let mut reports = Vec::new();
    while !run.is_done() {
        reports.push(run.step().unwrap());
    }
    (reports, run.into_model())
}

/// The divergences of the pass written out in f64, and the same whatever is held at once.
#[test]
fn divergences_are_those_of_the_plain_pass() {
    for family in ["llama", "gpt_neox"] {
        let lm = tiny(family, 1);
        let model = model(&lm, false);
        let row = ids(8, 2);
        let expected = naive::forward(&lm, &row, &[LAYERS; 8], Skipped::default());
        let logits = |state: &Tensor| -> Vec<f64> {
            let hidden = lm.final_norm().forward(&state.to_kind(Kind::Float));
            Vec::try_from(lm.logits(&hidden).to_kind(Kind::Double)).unwrap()
        };
        let (tokens, free) = (tensor(&[row]), places(&[3, 4, 5, 6, 7]));
        let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
        let never = Tensor::from_slice(&[LAYERS as i64; 5]);
        let traced = model.forward(&sequences, Exits::Prescribed(&never)).unwrap();
        let teacher = model.teacher(&sequences).unwrap().flatten(0, 1).index_select(0, &free);
        for rows in [1, 2, 100] {
            let found = divergences(&lm, &teacher, &lm, &traced.site_states, rows).unwrap();
            assert_eq!(found.size(), [5, 3]);
            for (i, token) in (3..8).enumerate() {
                let p = reference::softmax(&logits(&expected.states[LAYERS][token]));
                for (s, site) in [1, 3, 5].into_iter().enumerate() {
                    let q = reference::softmax(&logits(&expected.states[site][token]));
                    let gap = found.double_value(&[i as i64, s as i64]) - reference::kl(&p, &q);
                    assert!(gap.abs() < 1e-3, "{family}: {gap}");
                }
            }
        }
    }
}

/// Property 11: where blocks behind the first site change nothing, every token leaves there.
#[test]
fn equal_predictions_leave_at_the_first_site() {
    let lm = tiny("llama", 1);
    tch::no_grad(|| {
        for block in &lm.blocks()[1..] {
            let _ = block.attention.out.weight.shallow_clone().zero_();
            let _ = block.feed_forward.down.weight.shallow_clone().zero_();
        }
    });
    let model = model(&lm, false);
    let (tokens, free) = (tensor(&[ids(8, 2)]), places(&[3, 4, 5]));
    let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
    let never = Tensor::from_slice(&[LAYERS as i64; 3]);
    let traced = model.forward(&sequences, Exits::Prescribed(&never)).unwrap();
    let teacher = model.teacher(&sequences).unwrap().flatten(0, 1).index_select(0, &free);
    let found = divergences(&lm, &teacher, &lm, &traced.site_states, 8).unwrap();
    let law = ExitLaw::of_divergences(&found, 4.0);
    let almost_one = Tensor::full([3, 3], 0.999_999, (Kind::Float, tch::Device::Cpu));
    assert_eq!(vec_i64(&law.sample(&almost_one)), [0; 3]);
}

/// How much is computed at once changes nothing beyond rounding.
#[test]
fn cutting_passes_changes_nothing() {
    // Draws follow the order of passes, so one with all texts and one a text draw differently: the
    // reports of the law's own terms are compared where there is one pass.
    for recipe in RECIPES {
        let whole = config(recipe);
        let cut = CalibrateConfig { logit_rows: 3, ..whole.clone() };
        let lm = tiny("llama", 1);
        let (a, first) = run(model(&lm, true), &whole);
        let (b, second) = run(model(&lm, true), &cut);
        for (a, b) in a.iter().zip(&b) {
            for (a, b) in
                [(a.kl, b.kl), (a.exit_nll, b.exit_nll), (a.readout, b.readout), (a.nll, b.nll)]
            {
                assert!((a - b).abs() < 1e-3 * (1.0 + a.abs()), "{recipe:?}: {a} {b}");
            }
        }
        for ((name, a), (_, b)) in first.named_parameters().iter().zip(second.named_parameters()) {
            assert!(max_abs_diff(a, &b) < 2e-2, "{recipe:?} {name}");
        }
    }
}

/// Losses fall, the gates take after the law, and the supervised recipe leaves them alone.
#[test]
fn training_does_what_it_should() {
    let mean = |reports: &[StepReport], of: fn(&StepReport) -> f64| {
        reports.iter().map(of).sum::<f64>() / reports.len() as f64
    };
    for adapter in [true, false] {
        for recipe in RECIPES {
            let lm = tiny("llama", 1);
            let long = CalibrateConfig { steps: 40, batch: 9, ..config(recipe) };
            let before = model(&lm, adapter);
            let gates: Vec<Tensor> =
                before.gates().named_parameters().iter().map(|(_, t)| t.detach().copy()).collect();
            let (reports, after) = run(before, &long);
            let (early, late) = (&reports[..10], &reports[30..]);
            let gate_gap = gates
                .iter()
                .zip(after.gates().named_parameters())
                .map(|(a, (_, b))| max_abs_diff(a, &b))
                .fold(0.0, f64::max);
            assert!(reports.iter().all(|r| r.depth >= 1.0 && r.depth <= 6.0));
            match recipe {
                Recipe::Published { .. } => {
                    assert!(mean(late, |r| r.exit_nll) < mean(early, |r| r.exit_nll), "{adapter}");
                    assert!(mean(late, |r| r.kl) < mean(early, |r| r.kl), "{adapter}");
                }
                Recipe::Refreshed { .. } => {
                    // The weight falls to a tenth; the loss itself must fall too.
                    let unweighted = |r: &StepReport| r.readout;
                    assert!(mean(late, unweighted) < 0.2 * mean(early, unweighted), "{adapter}");
                    assert!((reports[0].kappa - 1.0).abs() < 1e-9);
                    assert!((reports[39].kappa - 8.0).abs() < 1e-9);
                }
                Recipe::Supervised => {
                    assert!(mean(late, |r| r.nll) < mean(early, |r| r.nll), "{adapter}");
                    assert_eq!(gate_gap, 0.0);
                    continue;
                }
            }
            assert!(gate_gap > 0.0);
            // The reference stays what it was.
            let (tokens, free) = (tensor(&[ids(8, 2)]), places(&[4]));
            let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
            let plain = tiny("llama", 1).hidden(&tokens, &Layout::Dense).unwrap();
            assert_eq!(max_abs_diff(&after.teacher(&sequences).unwrap(), &plain), 0.0);
        }
    }
}

/// A run that was cut off goes on as if it had not been, to the bit.
#[test]
fn a_restored_run_goes_on_to_the_bit() {
    let lm = tiny("llama", 1);
    for recipe in RECIPES {
        let config = config(recipe);
        let (reports, whole) = run(model(&lm, true), &config);
        let folder = tempfile::tempdir().unwrap();
        let mut first = Calibration::new(model(&lm, true), texts(9), &config).unwrap();
        for _ in 0..3 {
            first.step().unwrap();
        }
        first.save(folder.path()).unwrap();
        let mut second = Calibration::new(model(&lm, true), texts(9), &config).unwrap();
        second.restore(folder.path()).unwrap();
        assert_eq!(second.steps(), 3);
        for report in &reports[3..] {
            assert_eq!(second.step().unwrap(), *report);
        }
        for ((_, a), (_, b)) in
            whole.named_parameters().iter().zip(second.model().named_parameters())
        {
            assert_eq!(max_abs_diff(a, &b), 0.0);
        }
        let other = CalibrateConfig { seed: 1, ..config };
        let mut other = Calibration::new(model(&lm, true), texts(9), &other).unwrap();
        assert!(other.restore(folder.path()).unwrap_err().to_string().contains("fingerprint"));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let lm = tiny("llama", 1);
    let refused = |config: CalibrateConfig, texts: Vec<Example>| {
        Calibration::new(model(&lm, true), texts, &config).unwrap_err().to_string()
    };
    let bad = CalibrateConfig {
        recipe: Recipe::Published { kappa: 0.0, patterns: 1 },
        ..CalibrateConfig::default()
    };
    assert_eq!(refused(bad, texts(2)), "kappa: expected a number above 0, found 0");
    let bad = CalibrateConfig { batch: 0, ..CalibrateConfig::default() };
    assert_eq!(refused(bad, texts(2)), "batch: expected at least 1, found 0");
    let bad = CalibrateConfig {
        optimizer: AdamWConfig { beta1: 2.0, ..AdamWConfig::default() },
        ..CalibrateConfig::default()
    };
    assert!(refused(bad, texts(2)).contains("beta1"));
    let one = vec![Example::completion(&[1, 2], &[3])];
    let message = refused(CalibrateConfig::default(), one);
    assert_eq!(message, "texts: expected at least one with two tokens to predict, found none");
    let foreign = vec![Example::completion(&[1, 2], &[3, 99])];
    assert!(refused(CalibrateConfig::default(), foreign).contains("token ids below 40, found 99"));
    let long = vec![Example::completion(&[1, 2], &ids(70, 1))];
    assert!(refused(CalibrateConfig::default(), long).contains("at most 64 tokens, found 72"));
    let config = CalibrateConfig::default();
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<CalibrateConfig>(&text).unwrap(), config);
    assert!(toml::from_str::<CalibrateConfig>("kapa = 1").is_err());
}
