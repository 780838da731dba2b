//! Fixtures and comparisons.

use std::path::{Path, PathBuf};

use causal_lm::{
    CausalLm,
    config::{ModelConfig, from_hf},
    weights::{SafetensorsSource, TensorSource as _},
};
use tch::{Device, Kind, Tensor};

/// The tiny checkpoints of `golden/make_tiny.py`.
pub(crate) const TINY: [&str; 11] = [
    "llama",
    "llama3",
    "llama_linear",
    "qwen2",
    "qwen2_sliding",
    "qwen2_yarn",
    "qwen3",
    "gpt_neox",
    "gpt_neox_sequential",
    "olmo2",
    "olmo3",
];

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub(crate) fn tiny_config(name: &str) -> ModelConfig {
    from_hf(&golden(name).join("config.json")).unwrap()
}

pub(crate) fn tiny(name: &str, kind: Kind) -> CausalLm {
    let source = SafetensorsSource::open_folder(&golden(name)).unwrap();
    CausalLm::from_source(&tiny_config(name), &source, kind, Device::Cpu).unwrap()
}

/// Tensors of a golden file, integers as they are.
pub(crate) struct Golden(Vec<(String, Tensor)>);

impl Golden {
    pub(crate) fn open(path: &Path) -> Self {
        Self(Tensor::read_safetensors(path).unwrap())
    }

    pub(crate) fn get(&self, name: &str) -> &Tensor {
        &self.0.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    pub(crate) fn ids(&self, name: &str) -> Vec<u32> {
        let ids: Vec<i64> = Vec::try_from(self.get(name).to_kind(Kind::Int64)).unwrap();
        ids.into_iter().map(|id| id as u32).collect()
    }

    pub(crate) fn prompts(&self) -> usize {
        self.0.iter().filter(|(n, _)| n.starts_with("ids.")).count()
    }
}

pub(crate) fn max_abs_diff(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    let diff = (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max();
    assert!(diff.isfinite().all().int64_value(&[]) == 1, "not finite");
    diff.double_value(&[])
}

pub(crate) fn ids_tensor(ids: &[u32]) -> Tensor {
    let ids: Vec<i64> = ids.iter().map(|&t| i64::from(t)).collect();
    Tensor::from_slice(&ids).unsqueeze(0)
}

/// The default model, as `cargo xtask setup` links it.
pub(crate) fn smollm2_path() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(path.exists(), "the default model is not there: run `cargo xtask setup`");
    path
}

/// Bit patterns of every tensor of a source, in f32.
pub(crate) fn contents(source: &SafetensorsSource) -> Vec<(String, Vec<f32>)> {
    let mut names = source.names();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let tensor = source.load(&name, Kind::Float, Device::Cpu).unwrap();
            let values = Vec::try_from(tensor.flatten(0, -1)).unwrap();
            (name, values)
        })
        .collect()
}
