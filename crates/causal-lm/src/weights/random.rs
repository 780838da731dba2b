//! Random weights: for models trained from scratch, and for tests.

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use rand_distr::{Distribution as _, Normal};
use tch::{Device, Kind, Tensor};

use super::TensorSource;
use crate::{Error, config::ModelConfig, model::published_shapes};

/// Normal weights, unit gains and zero biases for a model of a given configuration.
#[derive(Debug, Clone)]
pub struct RandomSource {
    shapes: Vec<(String, Vec<usize>)>,
    std: f64,
    seed: u64,
}

impl RandomSource {
    /// Weights of standard deviation `std`, each tensor from its own stream of `seed`.
    pub fn new(config: &ModelConfig, std: f64, seed: u64) -> Self {
        Self { shapes: published_shapes(config), std, seed }
    }
}

impl TensorSource for RandomSource {
    fn names(&self) -> Vec<String> {
        self.shapes.iter().map(|(name, _)| name.clone()).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shapes.iter().find(|(n, _)| n == name).map(|(_, shape)| shape.clone())
    }

    fn load(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor, Error> {
        let missing = || Error::MissingTensor { file: self.describe(), tensor: name.to_owned() };
        let index = self.shapes.iter().position(|(n, _)| n == name).ok_or_else(missing)?;
        let size: Vec<i64> = self.shapes[index].1.iter().map(|&d| d as i64).collect();
        let tensor = if size.len() > 1 {
            let normal = Normal::new(0.0, self.std).map_err(|_| Error::Setting {
                name: "std".into(),
                expected: "a finite, non-negative number".into(),
                found: self.std.to_string(),
            })?;
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(index as u64);
            let count: i64 = size.iter().product();
            let values: Vec<f32> = (0..count).map(|_| normal.sample(&mut rng) as f32).collect();
            Tensor::from_slice(&values).view(&size[..])
        } else if name.ends_with("bias") {
            Tensor::zeros(&size[..], (Kind::Float, Device::Cpu))
        } else {
            Tensor::ones(&size[..], (Kind::Float, Device::Cpu))
        };
        Ok(tensor.to_kind(kind).to_device(device))
    }

    fn describe(&self) -> String {
        format!("random weights of seed {}", self.seed)
    }
}
