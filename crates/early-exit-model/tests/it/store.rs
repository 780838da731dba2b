//! Keeping a model with exits.

use early_exit_model::{EarlyExitModel, Exits, Sequences, Sites};
use tch::Tensor;

use crate::common::{ids, max_abs_diff, model, places, tensor, tiny};

/// Property 15: what was trained comes back, and nothing else is taken for it.
#[test]
fn what_was_saved_comes_back() {
    for adapter in [true, false] {
        let lm = tiny("llama", 1);
        let exits = model(&lm, adapter);
        let folder = tempfile::tempdir().unwrap();
        exits.save(folder.path()).unwrap();
        let back = EarlyExitModel::load(folder.path(), &lm, Some(exits.sites())).unwrap();
        assert_eq!((back.sites(), back.config().gate), (exits.sites(), exits.config().gate));
        for ((name, a), (other, b)) in exits.named_parameters().iter().zip(back.named_parameters())
        {
            assert_eq!(*name, other);
            assert_eq!(max_abs_diff(a, &b), 0.0);
        }
        let (tokens, free) = (tensor(&[ids(8, 2)]), places(&[4, 5, 6, 7]));
        let layout = causal_lm::model::Layout::Dense;
        let sequences = Sequences { input_ids: &tokens, layout: &layout, free: &free };
        let [a, b] = [&exits, &back].map(|m| m.forward(&sequences, Exits::Threshold(0.3)).unwrap());
        assert_eq!(max_abs_diff(&a.hidden, &b.hidden), 0.0);
    }
}

#[test]
fn another_base_and_other_sites_are_refused() {
    let lm = tiny("llama", 1);
    let exits = model(&lm, true);
    let folder = tempfile::tempdir().unwrap();
    exits.save(folder.path()).unwrap();
    let refused = |lm: &causal_lm::CausalLm, sites: Option<&Sites>| {
        EarlyExitModel::load(folder.path(), lm, sites).unwrap_err().to_string()
    };
    let sites = Sites::new(vec![2, 4], 6).unwrap();
    let message = refused(&lm, Some(&sites));
    let expected = "exit sites: expected [1, 3, 5] of 6 blocks, found [2, 4] of 6 blocks";
    assert!(message.ends_with(expected), "{message}");
    let other = tiny("llama", 2);
    let message = refused(&other, None);
    let [a, b] = [&lm, &other].map(early_exit_model::store::digest);
    let expected = format!("base model (SHA-256 of its weights): expected {a}, found {b}");
    assert!(message.ends_with(&expected), "{message}");

    let path = folder.path().join("early_exit.safetensors");
    let mut tensors = Tensor::read_safetensors(&path).unwrap();
    let first = tensors[0].1.shallow_clone();
    tensors[0].1 = first.full_like(f64::NAN);
    causal_lm::weights::save_safetensors(&path, &tensors).unwrap();
    assert!(refused(&lm, None).contains("expected a finite number"));
    tensors.truncate(1);
    causal_lm::weights::save_safetensors(&path, &tensors).unwrap();
    assert!(refused(&lm, None).contains("is missing"));
    std::fs::write(folder.path().join("early_exit.json"), "{").unwrap();
    assert!(refused(&lm, None).contains("early_exit.json"));
}
