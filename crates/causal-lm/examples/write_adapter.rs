//! Writes an adapter for a checkpoint in the layout of the PEFT library, and the logits that it
//! gives, so that another library can be asked whether it reads the same.
//!
//! ```text
//! cargo run -p causal-lm --example write_adapter -- CHECKPOINT OUT
//! ```
//!
//! `OUT` holds the adapter and `logits.safetensors`, with tensors `ids` and `logits`.

use std::path::PathBuf;

use causal_lm::{
    CausalLm, Error,
    config::{Mlp, from_hf},
    lora::{LoraAdapter, LoraConfig, Target},
    model::Layout,
    weights::SafetensorsSource,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use tch::{Device, Kind, Tensor};

const IDS: [i64; 9] = [9, 2, 71, 30, 30, 5, 88, 13, 64];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(checkpoint), Some(out)) = (args.next(), args.next()) else {
        return Err("expected two arguments: CHECKPOINT OUT".into());
    };
    let config = from_hf(&checkpoint.join("config.json"))?;
    let source = SafetensorsSource::open_folder(&checkpoint)?;
    let base = CausalLm::from_source(&config, &source, Kind::Float, Device::Cpu)?;

    let mut lora = LoraConfig { rank: 4, alpha: 6.0, ..LoraConfig::default() };
    // Not every family has a gate.
    lora.targets.retain(|&target| target != Target::GateProj || config.mlp != Mlp::Plain);
    let adapter = LoraAdapter::new(&config, &lora, 1)?;
    fill(&adapter)?;
    let name = checkpoint.file_name().unwrap_or_default().to_string_lossy();
    adapter.save(&out, &config, &name)?;

    let lm = base.with_adapter(Some(adapter))?;
    let ids = Tensor::from_slice(&IDS);
    let logits = tch::no_grad(|| -> Result<Tensor, Error> {
        let hidden = lm.hidden(&ids.unsqueeze(0), &Layout::Dense)?;
        Ok(lm.logits(&hidden).squeeze_dim(0).contiguous())
    })?;
    Tensor::write_safetensors(&[("ids", ids), ("logits", logits)], out.join("logits.safetensors"))?;
    Ok(())
}

/// Numbers for every matrix: a new adapter has zeros, which change nothing.
fn fill(adapter: &LoraAdapter) -> Result<(), tch::TchError> {
    let _guard = tch::no_grad_guard();
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    for (_, mut parameter) in adapter.named_parameters() {
        let numbers: Vec<f32> =
            (0..parameter.numel()).map(|_| rng.random_range(-0.5..0.5)).collect();
        let numbers = Tensor::from_slice(&numbers).view_(parameter.size());
        parameter.f_copy_(&numbers)?;
    }
    Ok(())
}
