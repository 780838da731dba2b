//! One number per state: value heads of a policy, and reward models.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::{
    Error,
    weights::{SafetensorsSource, TensorSource, save_safetensors},
};

/// A linear map from hidden states to one number, in f32.
#[derive(Debug)]
pub struct ScalarHead {
    /// `[1, hidden]`, f32.
    pub weight: Tensor,
    /// `[1]`, f32, if it has one.
    pub bias: Option<Tensor>,
}

impl ScalarHead {
    /// A head that says 0 of everything, whatever it is given: a value head at its start.
    pub fn zeros(hidden: usize, device: Device) -> Self {
        Self {
            weight: Tensor::zeros([1, hidden as i64], (Kind::Float, device)),
            bias: Some(Tensor::zeros([1], (Kind::Float, device))),
        }
    }

    /// Reads `score.weight`, as published reward models (sequence classifiers of one label) have
    /// it, or `weight` and `bias` as [`ScalarHead::save`] wrote them.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] or [`Error::Shape`].
    pub fn load(path: &Path, hidden: usize) -> Result<Self, Error> {
        Self::from_source(&SafetensorsSource::open(path)?, hidden)
    }

    /// As [`ScalarHead::load`], from any source.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] or [`Error::Shape`].
    pub fn from_source(source: &dyn TensorSource, hidden: usize) -> Result<Self, Error> {
        let name = if source.shape("weight").is_some() { "weight" } else { "score.weight" };
        let Some(found) = source.shape(name) else {
            let (file, tensor) = (source.describe(), "score.weight".into());
            return Err(Error::MissingTensor { file, tensor });
        };
        if found != [1, hidden] {
            return Err(Error::Shape {
                what: format!("tensor {name} in {}", source.describe()),
                expected: format!("[1, {hidden}]"),
                found: format!("{found:?}"),
            });
        }
        let load = |name: &str| source.load(name, Kind::Float, Device::Cpu);
        let bias = name.replace("weight", "bias");
        let bias = if source.shape(&bias).is_some() { Some(load(&bias)?) } else { None };
        Ok(Self { weight: load(name)?, bias })
    }

    /// The same head elsewhere.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        Self {
            weight: self.weight.to_device(device),
            bias: self.bias.as_ref().map(|bias| bias.to_device(device)),
        }
    }

    /// Writes `weight` and, if there is one, `bias`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let mut tensors = vec![("weight".to_owned(), self.weight.shallow_clone())];
        tensors.extend(self.bias.iter().map(|b| ("bias".to_owned(), b.shallow_clone())));
        save_safetensors(path, &tensors)
    }

    /// The number of every state, in f32; differentiable in states and head.
    ///
    /// # Shapes
    /// - `hidden`: `[.., hidden]`, of any type
    /// - returns: `[..]`
    pub fn forward(&self, hidden: &Tensor) -> Tensor {
        hidden.to_kind(Kind::Float).linear(&self.weight, self.bias.as_ref()).squeeze_dim(-1)
    }

    /// The number at the last token of each row of a right-padded batch: a reward of the whole text.
    ///
    /// # Shapes
    /// - `hidden`: `[batch, seq, hidden]`; `lengths`: tokens of each row, at least 1
    /// - returns: `[batch]`
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one length a row, or one is 0 or beyond `seq`.
    pub fn last(&self, hidden: &Tensor, lengths: &[usize]) -> Result<Tensor, Error> {
        let size = hidden.size();
        let fits = |&n: &usize| n > 0 && n <= size[1] as usize;
        if size.len() != 3 || lengths.len() != size[0] as usize || !lengths.iter().all(fits) {
            return Err(Error::Shape {
                what: "lengths of the rows".into(),
                expected: format!("{} numbers from 1 to {}", size[0], size.get(1).unwrap_or(&0)),
                found: format!("{lengths:?}"),
            });
        }
        let last: Vec<i64> = lengths
            .iter()
            .enumerate()
            .map(|(row, &n)| row as i64 * size[1] + n as i64 - 1)
            .collect();
        let last = Tensor::from_slice(&last).to_device(hidden.device());
        Ok(self.forward(&hidden.flatten(0, 1).index_select(0, &last)))
    }

    /// What is trained, by name.
    pub fn named_parameters(&self) -> Vec<(String, Tensor)> {
        let mut out = vec![("weight".to_owned(), self.weight.shallow_clone())];
        out.extend(self.bias.iter().map(|b| ("bias".to_owned(), b.shallow_clone())));
        out
    }

    /// Asks for gradients of the head.
    pub fn require_grad(&self) {
        for (_, parameter) in self.named_parameters() {
            let _ = parameter.set_requires_grad(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> ScalarHead {
        ScalarHead {
            weight: Tensor::from_slice(&[1.0_f32, -2.0]).view([1, 2]),
            bias: Some(Tensor::from_slice(&[0.5_f32])),
        }
    }

    #[test]
    fn numbers_of_states_and_of_rows() {
        let hidden =
            Tensor::from_slice(&[1.0_f32, 0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 1.0]).view([2, 2, 2]);
        let all: Vec<f32> = Vec::try_from(head().forward(&hidden).flatten(0, 1)).unwrap();
        assert_eq!(all, [1.5, -1.5, -1.5, 1.5]);
        let last: Vec<f32> = Vec::try_from(head().last(&hidden, &[1, 2]).unwrap()).unwrap();
        assert_eq!(last, [1.5, 1.5]);
        for lengths in [&[1][..], &[0, 1], &[1, 3]] {
            let message = head().last(&hidden, lengths).unwrap_err().to_string();
            assert!(message.starts_with("lengths of the rows: expected 2 numbers from 1 to 2"));
        }
        let zero = ScalarHead::zeros(2, Device::Cpu).forward(&hidden).abs().max();
        assert!(zero.double_value(&[]) == 0.0);
    }

    #[test]
    fn files_round_trip_and_published_names_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        head().save(&path).unwrap();
        let read = ScalarHead::load(&path, 2).unwrap();
        assert_eq!((read.weight, read.bias), (head().weight, head().bias));
        save_safetensors(&path, &[("score.weight".into(), head().weight)]).unwrap();
        assert!(ScalarHead::load(&path, 2).unwrap().bias.is_none());
        let message = ScalarHead::load(&path, 3).unwrap_err().to_string();
        assert!(message.contains("expected [1, 3], found [1, 2]"), "{message}");
    }
}
