//! What training changes in a model, and how it is kept: all weights, or an adapter.

use std::path::Path;

use rl_core::{optim::AdamW, seed::Seed};
use tch::{Device, Kind, Tensor};

use crate::{
    CausalLm, Error,
    lora::{LoraAdapter, LoraConfig},
    weights::save_safetensors,
};

/// A model in training.
#[derive(Debug)]
pub enum Trainable {
    /// Every weight, as f32 leaves; forward passes are made in the type of the original.
    Full {
        /// The leaves.
        masters: CausalLm,
        /// Type of the original.
        kind: Kind,
    },
    /// The adapter of this model, whose own weights stay.
    Adapter(CausalLm),
}

impl Trainable {
    /// `lm` with an adapter that asks for gradients, or with copies of all its weights that do.
    ///
    /// # Errors
    /// [`Error::Setting`] for a model that has an adapter already.
    pub fn new(lm: &CausalLm, adapter: Option<&LoraConfig>, seed: Seed) -> Result<Self, Error> {
        if lm.adapter().is_some() {
            return Err(Error::Setting {
                name: "model".into(),
                expected: "one without an adapter (merge it first)".into(),
                found: "an adapter".into(),
            });
        }
        let Some(lora) = adapter else {
            return Ok(Self::Full { masters: lm.trainable_copy(Kind::Float), kind: lm.kind() });
        };
        let adapter = LoraAdapter::new(lm.config(), lora, seed.value())?.to_device(lm.device());
        adapter.require_grad();
        Ok(Self::Adapter(lm.with_adapter(Some(adapter))?))
    }

    /// The leaves, by name.
    pub fn named_parameters(&self) -> Vec<(String, Tensor)> {
        match self {
            Self::Full { masters, .. } => {
                let named = masters.named_parameters();
                named.into_iter().map(|(n, t)| (n, t.shallow_clone())).collect()
            }
            Self::Adapter(lm) => {
                lm.adapter().map(LoraAdapter::named_parameters).unwrap_or_default()
            }
        }
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        match self {
            Self::Full { masters: lm, .. } | Self::Adapter(lm) => lm.device(),
        }
    }

    /// The model of a forward pass, from which gradients reach what is trained.
    pub fn computing(&self) -> CausalLm {
        match self {
            Self::Full { masters, kind } => masters.to_kind(*kind),
            Self::Adapter(lm) => lm.shallow_clone(),
        }
    }

    /// The model as trained so far. An adapter shares its tensors with the training; all weights
    /// are a copy in the original's type.
    pub fn model(&self) -> CausalLm {
        let _guard = tch::no_grad_guard();
        self.computing()
    }
}

/// Everything that a killed training goes on from, in one file.
#[derive(Debug)]
pub struct SavedState {
    /// Digest of all that the training is a function of, so that it is not continued with others.
    pub fingerprint: [u8; 32],
    /// What is trained, by name.
    pub parameters: Vec<(String, Tensor)>,
    /// Numbers beside them, by name, such as iterations done.
    pub numbers: Vec<(&'static str, f64)>,
}

impl SavedState {
    /// Writes the parameters, what the optimizer remembers of them, and the numbers.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path, optimizer: &AdamW) -> Result<(), Error> {
        let mut tensors = optimizer.state();
        let parameters = self.parameters.iter();
        tensors.extend(parameters.map(|(name, t)| (format!("parameter.{name}"), t.detach())));
        let numbers = self.numbers.iter();
        tensors.extend(numbers.map(|(name, value)| (number(name), Tensor::from(*value))));
        tensors.push(("fingerprint".into(), self.fingerprint_tensor()));
        save_safetensors(path, &tensors)
    }

    /// Goes back to what [`SavedState::write`] wrote, into the tensors of `parameters` themselves;
    /// returns the numbers in the order of `numbers`, whose own values do not matter.
    ///
    /// # Errors
    /// [`Error::Format`] if the file was written under another fingerprint; [`Error::Optimizer`],
    /// [`Error::Shape`] or [`Error::MissingTensor`] if it does not fit. Nothing has changed then.
    pub fn restore(self, path: &Path, optimizer: &mut AdamW) -> Result<Vec<f64>, Error> {
        let state = Tensor::read_safetensors(path).map_err(|source| Error::Torch {
            what: format!("reading {}", path.display()),
            source,
        })?;
        let find = |name: String| {
            state.iter().find(|(n, _)| *n == name).map(|(_, t)| t).ok_or_else(|| {
                Error::MissingTensor { file: path.display().to_string(), tensor: name }
            })
        };
        if *find("fingerprint".into())? != self.fingerprint_tensor() {
            let expected = "a checkpoint of this model, these examples and this configuration";
            return Err(Error::format(path.display(), "fingerprint", expected, "another"));
        }
        let mut numbers = Vec::new();
        for (name, _) in self.numbers {
            let saved = find(number(name))?;
            if saved.numel() != 1 {
                return Err(Error::Shape {
                    what: format!("number {name} in {}", path.display()),
                    expected: "1 value".into(),
                    found: saved.numel().to_string(),
                });
            }
            numbers.push(saved.double_value(&[]));
        }
        let mut copies = Vec::new();
        for (name, parameter) in self.parameters {
            let saved = find(format!("parameter.{name}"))?;
            if saved.size() != parameter.size() || saved.kind() != parameter.kind() {
                return Err(Error::Shape {
                    what: format!("parameter {name} in {}", path.display()),
                    expected: format!("{:?}", parameter.size()),
                    found: format!("{:?}", saved.size()),
                });
            }
            copies.push((parameter, saved));
        }
        optimizer.restore(&state)?;
        let _guard = tch::no_grad_guard();
        for (mut parameter, saved) in copies {
            parameter.copy_(saved);
        }
        Ok(numbers)
    }

    fn fingerprint_tensor(&self) -> Tensor {
        let bytes: Vec<i64> = self.fingerprint.iter().map(|&b| i64::from(b)).collect();
        Tensor::from_slice(&bytes)
    }
}

fn number(name: &str) -> String {
    format!("number.{name}")
}
