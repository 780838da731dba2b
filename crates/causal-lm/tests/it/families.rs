//! Logits and greedy continuations of every family against the reference implementation.

use causal_lm::{
    generate::{Flow, GenerateConfig, Request, generate},
    model::Layout,
};
use tch::Kind;

use crate::common::{Golden, TINY, golden, ids_tensor, max_abs_diff, tiny};

/// Rounding of f32 sums in another order, with weights of standard deviation 0.3.
const TOLERANCE: f64 = 2e-4;

/// Below this difference of the two greatest logits, rounding may choose the other token.
const CLEAR_GAP: f64 = 1e-2;

#[test]
fn logits_equal_the_reference() {
    for name in TINY {
        let lm = tiny(name, Kind::Float);
        let golden = Golden::open(&golden(name).join("golden.safetensors"));
        for k in 0..golden.prompts() {
            let ids = ids_tensor(&golden.ids(&format!("ids.{k}")));
            let logits = lm.logits(&lm.hidden(&ids, &Layout::Dense).unwrap());
            let diff = max_abs_diff(&logits.squeeze_dim(0), golden.get(&format!("logits.{k}")));
            assert!(diff <= TOLERANCE, "{name}, prompt {k}: {diff}");
        }
    }
}

#[test]
fn greedy_continuations_equal_the_reference() {
    let config = GenerateConfig { max_new_tokens: 64, ..GenerateConfig::default() };
    for name in TINY {
        let golden = Golden::open(&golden(name).join("golden.safetensors"));
        let requests: Vec<Request> = (0..golden.prompts())
            .map(|k| Request { prompt: golden.ids(&format!("ids.{k}")), seed: 0 })
            .collect();
        // The kernels that decode fast must do it right, too.
        for lm in [tiny(name, Kind::Float), tiny(name, Kind::Float).packed()] {
            let made = generate(&lm, &requests, &config, &mut |_| Flow::Continue).unwrap();
            for (k, made) in made.iter().enumerate() {
                assert_same_while_clear(&golden, k, &made.ids, name);
            }
        }
    }
}

/// Compares up to the first token that rounding could have changed.
pub(crate) fn assert_same_while_clear(golden: &Golden, k: usize, made: &[u32], name: &str) {
    let expected = golden.ids(&format!("greedy.{k}"));
    let gaps: Vec<f32> = Vec::try_from(golden.get(&format!("gaps.{k}"))).unwrap();
    assert_eq!(made.len(), expected.len());
    for (step, (a, b)) in made.iter().zip(&expected).enumerate() {
        if f64::from(gaps[step]) < CLEAR_GAP {
            break;
        }
        assert_eq!(a, b, "{name}, prompt {k}, step {step}");
    }
}
