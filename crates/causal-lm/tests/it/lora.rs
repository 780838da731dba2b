//! Adapters beside frozen matrices.

use causal_lm::{
    lora::{LoraAdapter, LoraConfig, Target},
    model::Layout,
};
use tch::Kind;

use crate::common::{ids_tensor, max_abs_diff, tiny, tiny_config};

fn hidden(lm: &causal_lm::CausalLm) -> tch::Tensor {
    lm.hidden(&ids_tensor(&[5, 7, 11, 13, 2]), &Layout::Dense).unwrap()
}

/// Nor does it matter that a pass is one for training.
#[test]
fn an_untrained_adapter_changes_no_bit() {
    for name in ["llama", "qwen3", "olmo2"] {
        for kind in [Kind::Float, Kind::BFloat16] {
            let lm = tiny(name, kind);
            let adapter = LoraAdapter::new(lm.config(), &LoraConfig::default(), 3).unwrap();
            adapter.require_grad();
            let adapted = lm.with_adapter(Some(adapter)).unwrap();
            let found = hidden(&adapted);
            assert!(found.requires_grad());
            assert_eq!(found, hidden(&lm), "{name} {kind:?}");
        }
    }
}

#[test]
fn an_adapter_equals_its_product_added_to_the_weights() {
    let _guard = tch::no_grad_guard();
    let lm = tiny("llama", Kind::Float);
    let config = LoraConfig { rank: 3, alpha: 6.0, ..LoraConfig::default() };
    let adapter = LoraAdapter::new(lm.config(), &config, 3).unwrap();
    for (i, tensor) in adapter.parameters().into_iter().enumerate() {
        // Any values will do; B must not stay zero.
        let values = tch::Tensor::arange(tensor.numel() as i64, (Kind::Float, tch::Device::Cpu));
        let values = (values * (0.37 + i as f64)).sin() * 0.1;
        tensor.shallow_clone().copy_(&values.view_as(tensor));
    }
    let adapted = lm.with_adapter(Some(adapter.shallow_clone())).unwrap();
    let found = hidden(&adapted);
    assert!(max_abs_diff(&found, &hidden(&lm)) > 1e-2, "the adapter must show");
    assert_eq!(hidden(&adapted.base()), hidden(&lm), "the base must not see it");
    let merged = tiny("llama", Kind::Float);
    for (i, block) in merged.blocks().iter().enumerate() {
        let layer = adapter.layer(i);
        let product = |pair: &Option<causal_lm::lora::Pair>| {
            let pair = pair.as_ref().unwrap();
            pair.b.matmul(&pair.a) * pair.scale
        };
        let mut qkv = block.attention.qkv.weight.shallow_clone();
        qkv += tch::Tensor::cat(&[product(&layer.q), product(&layer.k), product(&layer.v)], 0);
        let mut out = block.attention.out.weight.shallow_clone();
        out += product(&layer.o);
        let mut up = block.feed_forward.up.weight.shallow_clone();
        up += tch::Tensor::cat(&[product(&layer.gate), product(&layer.up)], 0);
        let mut down = block.feed_forward.down.weight.shallow_clone();
        down += product(&layer.down);
    }
    assert!(max_abs_diff(&found, &hidden(&merged)) < 1e-4);
}

#[test]
fn adapters_of_other_models_are_refused() {
    let lm = tiny("llama", Kind::Float);
    let other = LoraAdapter::new(&tiny_config("olmo3"), &LoraConfig::default(), 0).unwrap();
    let message = lm.with_adapter(Some(other)).unwrap_err().to_string();
    assert_eq!(message, "blocks of the adapter: expected 2, found 4");
    let config = LoraConfig { targets: vec![Target::GateProj], ..LoraConfig::default() };
    let message = LoraAdapter::new(&tiny_config("gpt_neox"), &config, 0).unwrap_err().to_string();
    assert_eq!(message, "targets: expected matrices that the model has, found gate_proj");
}
