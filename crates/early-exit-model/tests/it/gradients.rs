//! Gradients through tokens that have left.

use causal_lm::model::Layout;
use early_exit_model::{EarlyExitModel, Exits, Sequences, Traced};
use tch::{Kind, Tensor};

use crate::common::{FAMILIES, ids, model, normal, places, tensor, tiny};

/// A loss of hidden states and of exits' probabilities, in f64 where it is summed.
fn loss(model: &EarlyExitModel, traced: &Traced) -> Tensor {
    let weights = normal(&traced.hidden.size(), 11) * 0.3;
    let hidden = (&traced.hidden * weights).to_kind(Kind::Double).sum(Kind::Double);
    let exits = traced.log_prob(model.sites()).unwrap().to_kind(Kind::Double);
    hidden + exits.sum(Kind::Double)
}

/// Property 12: finite differences of gates and adapter, with tokens leaving at every depth.
#[test]
fn finite_differences_through_frozen_tokens() {
    /// Half the step; the loss is summed from f32.
    const STEP: f64 = 2e-3;
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let model = model(&lm, true);
        let tokens = tensor(&[ids(9, 2)]);
        let free = places(&[3, 4, 5, 6, 7, 8]);
        let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
        let exits = Tensor::from_slice(&[1_i64, 6, 3, 5, 6, 3]);
        let value = || {
            let traced = model.forward(&sequences, Exits::Prescribed(&exits)).unwrap();
            loss(&model, &traced)
        };
        value().backward();
        for (i, (name, mut parameter)) in model.named_parameters().into_iter().enumerate() {
            let gradient = parameter.grad();
            let gradient = if gradient.defined() { gradient } else { parameter.zeros_like() };
            let direction = normal(&parameter.size(), 700 + i as u64);
            let direction = &direction / direction.norm();
            let expected = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
            let _guard = tch::no_grad_guard();
            let at = |parameter: &mut Tensor, by: f64| {
                *parameter += &direction * by;
                let found = value().double_value(&[]);
                *parameter -= &direction * by;
                found
            };
            let found = (at(&mut parameter, STEP) - at(&mut parameter, -STEP)) / (2.0 * STEP);
            let tolerance = 1e-2 + 0.02 * expected.abs();
            assert!((found - expected).abs() < tolerance, "{family} {name}: {found} {expected}");
        }
    }
}

/// Property 12: a gate behind all exits gets exactly nothing; so does the teacher.
#[test]
fn gates_behind_all_exits_and_the_teacher_get_nothing() {
    let lm = tiny("llama", 1);
    let model = model(&lm, true);
    let tokens = tensor(&[ids(9, 2)]);
    let free = places(&[3, 4, 5]);
    let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
    let exits = Tensor::from_slice(&[1_i64, 3, 1]);
    let traced = model.forward(&sequences, Exits::Prescribed(&exits)).unwrap();
    traced.log_prob(model.sites()).unwrap().sum(Kind::Float).backward();
    for (name, parameter) in model.named_parameters() {
        let gradient = parameter.grad();
        let norm = if gradient.defined() { gradient.norm().double_value(&[]) } else { 0.0 };
        let expected = name.starts_with("gate.0.") || name.starts_with("gate.1.");
        // What the gates read of the first blocks is trained too.
        if name.starts_with("gate.") {
            assert_eq!(norm > 0.0, expected, "{name}: {norm}");
        } else if name.starts_with("model.blocks.3") || name.starts_with("model.blocks.5") {
            assert_eq!(norm, 0.0, "{name}");
        }
    }
    assert!(!model.teacher(&sequences).unwrap().requires_grad());
    assert!(!model.reference().parameters().iter().any(|p| p.requires_grad()));
}
