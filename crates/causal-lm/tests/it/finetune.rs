//! Fine-tuning against the reference, and against itself in other arrangements.

use causal_lm::{
    CausalLm,
    finetune::{Example, FinetuneConfig, Length, Overlong, Packing, Trainer, mean_loss},
    head_loss::head_loss,
    lora::LoraConfig,
    model::Layout,
};
use proptest::prelude::*;
use rl_core::optim::{AdamWConfig, Decay, Schedule};
use serde::Deserialize;
use tch::{Kind, Reduction, Tensor};

use crate::common::{ids_tensor, max_abs_diff, tiny};

/// See `golden/make_finetune.py`.
#[derive(Deserialize)]
struct Golden {
    examples: Vec<(Vec<u32>, Vec<u8>)>,
    runs: std::collections::BTreeMap<String, Run>,
}

#[derive(Deserialize)]
struct Run {
    losses: Vec<f64>,
    norms: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/finetune.json")).unwrap()
}

fn examples() -> Vec<Example> {
    let examples = golden().examples.into_iter();
    examples
        .map(|(ids, counts)| Example::new(ids, counts.iter().map(|&c| c == 1).collect()).unwrap())
        .collect()
}

/// All weights, everything in one step, as the golden run.
fn full() -> FinetuneConfig {
    FinetuneConfig {
        length: Length::Steps(4),
        lr: 1e-2,
        weight_decay: 0.1,
        adapter: None,
        ..FinetuneConfig::default()
    }
}

#[test]
fn full_runs_equal_the_reference() {
    for (name, run) in golden().runs {
        for packing in [Packing::Padded, Packing::Packed, Packing::Shared] {
            let config = FinetuneConfig { packing, logit_rows: 3, ..full() };
            let mut trainer = Trainer::new(&tiny(&name, Kind::Float), examples(), &config).unwrap();
            for (step, (&loss, &norm)) in run.losses.iter().zip(&run.norms).enumerate() {
                let found = trainer.step().unwrap();
                // f32 rounding, which steps of fixed length enlarge.
                let tolerance = 2e-5 * 4f64.powi(step as i32);
                let close = |a: f64, b: f64| (a - b).abs() < tolerance * b;
                assert!(
                    close(found.loss, loss),
                    "{name} {packing:?} {step}: {} {loss}",
                    found.loss
                );
                assert!(close(found.grad_norm, norm), "{name} {step}: {} {norm}", found.grad_norm);
                assert_eq!((found.counted_tokens, found.tokens), (10, 19));
            }
            let (after, counted) = mean_loss(&trainer.model(), &examples(), &config).unwrap();
            assert!((after - run.losses[4]).abs() < 5e-3, "{name}: {after} {}", run.losses[4]);
            assert_eq!(counted, 10);
        }
    }
}

/// Gradients come together where rows part.
#[test]
fn shared_tokens_get_the_gradients_of_all_their_rows() {
    let completion = |answer: &[u32]| Example::completion(&[5, 7, 11, 13, 2], answer);
    let examples = || vec![completion(&[3, 4]), completion(&[3, 9, 8]), completion(&[6])];
    for name in ["llama", "qwen2_sliding", "olmo2"] {
        for adapter in [None, Some(LoraConfig { rank: 2, ..LoraConfig::default() })] {
            let reports = |packing| {
                let config = FinetuneConfig { packing, adapter: adapter.clone(), ..full() };
                let mut trainer =
                    Trainer::new(&tiny(name, Kind::Float), examples(), &config).unwrap();
                (0..3).map(|_| trainer.step().unwrap()).collect::<Vec<_>>()
            };
            for (a, b) in reports(Packing::Padded).iter().zip(reports(Packing::Shared)) {
                assert!((a.loss - b.loss).abs() < 1e-4 * a.loss, "{name} {a:?} {b:?}");
                let close = (a.grad_norm - b.grad_norm).abs() < 1e-4 * a.grad_norm;
                assert!(close, "{name} {a:?} {b:?}");
            }
        }
    }
}

#[test]
fn passes_and_packing_change_nothing() {
    for adapter in [None, Some(LoraConfig { rank: 2, ..LoraConfig::default() })] {
        let reports = |packing, pass_tokens| {
            let config =
                FinetuneConfig { packing, pass_tokens, adapter: adapter.clone(), ..full() };
            let mut trainer =
                Trainer::new(&tiny("llama", Kind::Float), examples(), &config).unwrap();
            (0..2).map(|_| trainer.step().unwrap()).collect::<Vec<_>>()
        };
        let whole = reports(Packing::Padded, 1000);
        for (packing, pass_tokens) in [
            (Packing::Padded, 1),
            (Packing::Packed, 1000),
            (Packing::Padded, 10),
            (Packing::Shared, 1000),
            (Packing::Shared, 10),
        ] {
            for (a, b) in whole.iter().zip(reports(packing, pass_tokens)) {
                assert!((a.loss - b.loss).abs() < 1e-4 * a.loss, "{packing:?} {a:?} {b:?}");
                assert!((a.grad_norm - b.grad_norm).abs() < 1e-4 * a.grad_norm, "{a:?} {b:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any chunking of the head gives the loss and gradient of the head in one piece.
    #[test]
    fn chunks_of_the_head_add_up(rows in 1_i64..12, chunk in 1_usize..14, seed in 0_i64..1000) {
        let lm = tiny("qwen3", Kind::Float).trainable_copy(Kind::Float);
        let source = (Tensor::arange(rows * 32, (Kind::Float, tch::Device::Cpu)) * (0.7 + seed as f64))
            .sin()
            .view([rows, 32])
            .set_requires_grad(true);
        let targets = Tensor::arange(rows, (Kind::Int64, tch::Device::Cpu)) * 7;
        let loss = |logits: &Tensor, targets: &Tensor| {
            logits.cross_entropy_loss::<&Tensor>(targets, None, Reduction::Sum, -100, 0.0)
        };
        let states = &source * 2.0;
        let whole = loss(&lm.logits(&states), &targets);
        whole.backward();
        let (source_grad, head_grad) = (source.grad().copy(), lm.head().grad().copy());
        let _ = source.grad().zero_();
        let _ = lm.head().grad().zero_();
        let states = &source * 2.0;
        let found = head_loss(&lm, &states, chunk, |logits, range| {
            loss(logits, &targets.narrow(0, range.start as i64, range.len() as i64))
        });
        found.backward(&states, None);
        prop_assert!((found.value - whole.double_value(&[])).abs() < 1e-4);
        prop_assert!(max_abs_diff(&source.grad(), &source_grad) < 1e-4);
        prop_assert!(max_abs_diff(&lm.head().grad(), &head_grad) < 1e-4);
    }
}

/// Of finite differences in f64: truncation and rounding are then about equal.
const STEP: f64 = 1e-5;

#[test]
fn gradients_equal_finite_differences() {
    let ids = ids_tensor(&[5, 17, 3, 88, 41]);
    let loss = |lm: &CausalLm| {
        let hidden = lm.hidden(&ids, &Layout::Dense).unwrap().flatten(0, 1);
        // Logits are f32 by rule; a sum of squares of the states keeps f64 to the end.
        hidden.square().sum(Kind::Double)
    };
    for name in ["llama", "gpt_neox", "qwen3", "olmo2"] {
        let lm = tiny(name, Kind::Double).trainable_copy(Kind::Double);
        loss(&lm).backward();
        for (name, parameter) in lm.named_parameters() {
            let grad = parameter.grad();
            if !grad.defined() {
                assert_eq!(name, "head", "only the head is not used here");
                continue;
            }
            let direction =
                (Tensor::arange(parameter.numel() as i64, (Kind::Double, tch::Device::Cpu)) * 1.3)
                    .cos()
                    .view_as(parameter);
            let along = (&grad * &direction).sum(Kind::Double).double_value(&[]);
            let moved = |by: f64| {
                tch::no_grad(|| {
                    let mut parameter = parameter.shallow_clone();
                    parameter += &direction * by;
                    let value = loss(&lm).double_value(&[]);
                    parameter -= &direction * by;
                    value
                })
            };
            let difference = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!(
                (along - difference).abs() < 1e-5 * (1.0 + along.abs()),
                "{name}: {along} {difference}"
            );
        }
    }
}

/// Of gradients in bf16, which keeps three digits: the part of a gradient that may lie elsewhere.
const BF16_PART: f64 = 0.05;

#[test]
fn gradients_in_bf16_are_those_in_f32() {
    let ids = ids_tensor(&[5, 17, 3, 88, 41, 7, 60]);
    let pair = Tensor::cat(&[&ids, &ids.flip([1])], 0);
    let layouts = [(ids, Layout::Dense), (pair, Layout::RightPadded(vec![7, 4]))];
    for name in ["llama", "gpt_neox", "qwen2_sliding"] {
        for (ids, layout) in &layouts {
            let gradients = |kind| {
                // The same weights on both sides.
                let lm = tiny(name, Kind::BFloat16).trainable_copy(kind);
                let hidden = lm.hidden(ids, layout).unwrap();
                hidden.narrow(1, 0, 4).to_kind(Kind::Float).square().sum(Kind::Float).backward();
                let used: Vec<Tensor> =
                    lm.parameters().into_iter().map(Tensor::grad).filter(Tensor::defined).collect();
                Tensor::cat(&used.iter().map(|g| g.flatten(0, -1)).collect::<Vec<_>>(), 0)
                    .to_kind(Kind::Double)
            };
            let (exact, rounded) = (gradients(Kind::Float), gradients(Kind::BFloat16));
            let part = ((&exact - rounded).norm() / exact.norm()).double_value(&[]);
            assert!(part < BF16_PART, "{name} {layout:?}: {part}");
        }
    }
}

#[test]
fn an_adapter_learns_and_the_base_stays() {
    let lm = tiny("llama", Kind::BFloat16);
    let before: Vec<Tensor> = lm.parameters().into_iter().map(Tensor::copy).collect();
    let config = FinetuneConfig {
        length: Length::Steps(40),
        adapter: Some(LoraConfig { rank: 4, ..LoraConfig::default() }),
        schedule: Schedule { warmup_steps: 4, decay: Decay::Cosine, final_factor: 0.1 },
        lr: 2e-2,
        ..FinetuneConfig::default()
    };
    let mut trainer = Trainer::new(&lm, examples(), &config).unwrap();
    let first = trainer.step().unwrap();
    while !trainer.is_done() {
        trainer.step().unwrap();
    }
    let (after, _) = mean_loss(&trainer.model(), &examples(), &config).unwrap();
    assert!(after < 0.5 * first.loss, "{} {after}", first.loss);
    for (tensor, copy) in lm.parameters().into_iter().zip(&before) {
        assert_eq!(tensor, copy);
    }
    // Merged weights are rounded once more.
    let (merged, _) = mean_loss(&trainer.model().merged(), &examples(), &config).unwrap();
    assert!((merged - after).abs() < 0.1, "{merged} {after}");
}

#[test]
fn a_restored_run_goes_on_to_the_bit() {
    let adapter = Some(LoraConfig { rank: 2, ..LoraConfig::default() });
    for (adapter, kind) in [(None, Kind::BFloat16), (None, Kind::Float), (adapter, Kind::BFloat16)]
    {
        let config = FinetuneConfig {
            length: Length::Steps(9),
            batch_examples: 2,
            schedule: Schedule { warmup_steps: 3, decay: Decay::Linear, final_factor: 0.0 },
            adapter,
            ..full()
        };
        let lm = tiny("qwen3", kind);
        let start = || Trainer::new(&lm, examples(), &config).unwrap();
        let mut whole = start();
        let expected: Vec<_> = (0..9).map(|_| whole.step().unwrap()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut found = Vec::new();
        for stop in [0, 1, 4, 9] {
            let mut part = start();
            if folder.path().join("trainer.safetensors").exists() {
                part.restore(folder.path()).unwrap();
            }
            while part.steps() < stop {
                found.push(part.step().unwrap());
            }
            part.save(folder.path()).unwrap();
        }
        assert_eq!(found, expected);
        let mut last = start();
        last.restore(folder.path()).unwrap();
        assert!(last.is_done());
        let (a, b) = (last.model(), whole.model());
        for (a, b) in a.parameters().into_iter().zip(b.parameters()) {
            assert_eq!(a, b);
        }
        if let (Some(a), Some(b)) = (a.adapter(), b.adapter()) {
            for (a, b) in a.parameters().into_iter().zip(b.parameters()) {
                assert_eq!(a, b);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let lm = tiny("llama", Kind::Float);
    let message = |examples, config: &FinetuneConfig| {
        Trainer::new(&lm, examples, config).unwrap_err().to_string()
    };
    let long = vec![Example::text((0..9).collect())];
    let short = FinetuneConfig { max_tokens: 4, ..full() };
    assert_eq!(
        message(long.clone(), &short),
        "prompt 0: expected at most 4 tokens (or overlong = \"truncate\" or \"drop\"), found 9"
    );
    let with = |overlong| FinetuneConfig { overlong, ..short.clone() };
    let cut = Trainer::new(&lm, long.clone(), &with(Overlong::Truncate)).unwrap();
    assert_eq!(cut.num_examples(), 1);
    let none = "prompt 0: expected at least one example with a token that counts, found none";
    assert_eq!(message(long, &with(Overlong::Drop)), none);
    assert_eq!(message(vec![], &full()), none);
    assert_eq!(message(vec![Example::completion(&[1, 2], &[])], &full()), none);
    assert_eq!(
        message(vec![Example::text(vec![1, 96])], &full()),
        "prompt 0: expected token ids below 96, found 96"
    );
    let config =
        FinetuneConfig { optimizer: AdamWConfig { eps: 0.0, ..AdamWConfig::default() }, ..full() };
    assert_eq!(message(examples(), &config), "eps: expected a number above 0, found 0");
    // A checkpoint of another configuration.
    let folder = tempfile::tempdir().unwrap();
    Trainer::new(&lm, examples(), &full()).unwrap().save(folder.path()).unwrap();
    let other = FinetuneConfig { lr: 1e-3, ..full() };
    let mut other = Trainer::new(&lm, examples(), &other).unwrap();
    let message = other.restore(folder.path()).unwrap_err().to_string();
    assert!(message.ends_with("expected a checkpoint of this model, these examples and this configuration, found another"), "{message}");
}
