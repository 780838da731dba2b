//! AdamW.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Error, clip_grad_norm};

/// Which root of the second moment ε is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EpsPlacement {
    /// That of the corrected moment, as PyTorch has it and algorithm 1 of arXiv 1412.6980.
    #[default]
    Corrected,
    /// That of the moment itself, as TensorFlow has it: the ε̂ of §2 of arXiv 1412.6980. In the first
    /// steps, where the moment is small, that ε weighs `1/√(1 − β₂ᵗ)` times as much: 32 times in the
    /// first with β₂ = 0.999.
    Uncorrected,
}

/// Settings of AdamW that all groups share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Share of the old first moment, in [0, 1).
    pub beta1: f64,
    /// Share of the old second moment, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the second moment, above 0.
    pub eps: f64,
    /// Before or after the moment is corrected for its start at 0.
    pub eps_placement: EpsPlacement,
    /// Gradients are scaled together to at most this norm; none leaves them.
    pub max_grad_norm: Option<f64>,
}

impl Default for AdamWConfig {
    /// PyTorch's numbers, with gradients clipped at norm 1.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            eps_placement: EpsPlacement::Corrected,
            max_grad_norm: Some(1.0),
        }
    }
}

impl AdamWConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let check = |name, ok: bool, expected, found: f64| {
            if ok {
                Ok(())
            } else {
                Err(Error::Setting { name, expected, found: found.to_string() })
            }
        };
        let share = |b: f64| (0.0..1.0).contains(&b);
        check("beta1", share(self.beta1), "a number in [0, 1)", self.beta1)?;
        check("beta2", share(self.beta2), "a number in [0, 1)", self.beta2)?;
        check("eps", self.eps > 0.0 && self.eps.is_finite(), "a number above 0", self.eps)?;
        let norm = self.max_grad_norm.unwrap_or(1.0);
        check("max_grad_norm", norm > 0.0, "a number above 0", norm)
    }
}

/// Parameters with a learning rate and weight decay of their own.
#[derive(Debug)]
pub struct ParameterGroup {
    /// Leaves that require a gradient, each under a name that is used once in the optimizer.
    pub parameters: Vec<(String, Tensor)>,
    /// Learning rate before the schedule.
    pub lr: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

impl ParameterGroup {
    /// Two groups of one learning rate: matrices, which decay, and vectors (norms, biases), which
    /// do not.
    pub fn by_rank(parameters: Vec<(String, Tensor)>, lr: f64, weight_decay: f64) -> Vec<Self> {
        let (matrices, vectors) = parameters.into_iter().partition(|(_, t)| t.dim() > 1);
        vec![
            Self { parameters: matrices, lr, weight_decay },
            Self { parameters: vectors, lr, weight_decay: 0.0 },
        ]
    }
}

/// A parameter and what is remembered of its gradients.
#[derive(Debug)]
struct Slot {
    name: String,
    parameter: Tensor,
    /// The parameter in f32, where it is held in less.
    master: Option<Tensor>,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    lr: f64,
    weight_decay: f64,
}

/// Adam with decoupled weight decay.
///
/// ```text
/// θ ← θ − η λ θ
/// m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
/// θ ← θ − η (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
/// ```
///
/// With [`EpsPlacement::Uncorrected`] the divisor is `(√v + ε) / √(1 − β₂ᵗ)`. Source: arXiv
/// 1711.05101, algorithm 2. Parameters of 16 bits have an f32 copy that is updated and
/// rounded back, so that steps smaller than their rounding are not lost.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    slots: Vec<Slot>,
    step: u64,
}

impl AdamW {
    /// An optimizer that has made no step.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Duplicate`].
    pub fn new(config: AdamWConfig, groups: Vec<ParameterGroup>) -> Result<Self, Error> {
        config.validate()?;
        let _guard = tch::no_grad_guard();
        let mut names = HashSet::new();
        let mut slots = Vec::new();
        for group in groups {
            for (name, found) in [("lr", group.lr), ("weight_decay", group.weight_decay)] {
                if !(found.is_finite() && found >= 0.0) {
                    let expected = "a finite number, not below 0";
                    return Err(Error::Setting { name, expected, found: found.to_string() });
                }
            }
            for (name, parameter) in group.parameters {
                if !names.insert(name.clone()) {
                    return Err(Error::Duplicate { name });
                }
                let kind = parameter.kind();
                let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
                let zeros = || Tensor::zeros(parameter.size(), (wide, parameter.device()));
                slots.push(Slot {
                    master: (kind != wide).then(|| parameter.to_kind(wide)),
                    exp_avg: zeros(),
                    exp_avg_sq: zeros(),
                    name,
                    parameter,
                    lr: group.lr,
                    weight_decay: group.weight_decay,
                });
            }
        }
        Ok(Self { config, slots, step: 0 })
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The parameters, in the order of their groups.
    pub fn parameters(&self) -> Vec<&Tensor> {
        self.slots.iter().map(|slot| &slot.parameter).collect()
    }

    /// Forgets all gradients.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
    }

    /// Clips the gradients, makes one step with every learning rate multiplied by `factor`, forgets
    /// the gradients, and returns their norm before clipping.
    ///
    /// A parameter without a gradient is taken to have gradient zero, so that it does not matter
    /// whether one came before.
    ///
    /// # Errors
    /// [`Error::NotFinite`]; parameters and moments are then unchanged, the gradients forgotten.
    pub fn step(&mut self, factor: f64) -> Result<f64, Error> {
        let max_norm = self.config.max_grad_norm.unwrap_or(f64::INFINITY);
        let norm = clip_grad_norm(&self.parameters(), max_norm);
        if !norm.is_finite() {
            self.zero_grad();
            return Err(Error::NotFinite { norm, step: self.step });
        }
        let _guard = tch::no_grad_guard();
        self.step += 1;
        let AdamWConfig { beta1, beta2, eps, eps_placement, .. } = self.config;
        let steps = self.step as f64;
        let (correction1, correction2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
        for slot in &mut self.slots {
            let grad = slot.parameter.grad();
            let grad = if grad.defined() {
                grad.to_kind(slot.exp_avg.kind())
            } else {
                slot.exp_avg.zeros_like()
            };
            let lr = slot.lr * factor;
            let _ = slot.exp_avg.lerp_(&grad, 1.0 - beta1);
            let _ = slot.exp_avg_sq.g_mul_scalar_(beta2);
            slot.exp_avg_sq += grad.square() * (1.0 - beta2);
            let mut denominator = slot.exp_avg_sq.sqrt();
            let _ = denominator.g_div_scalar_(correction2.sqrt());
            let _ = denominator.g_add_scalar_(match eps_placement {
                EpsPlacement::Corrected => eps,
                EpsPlacement::Uncorrected => eps / correction2.sqrt(),
            });
            let update = &slot.exp_avg / denominator * (lr / correction1);
            let target = slot.master.as_mut().unwrap_or(&mut slot.parameter);
            let _ = target.g_mul_scalar_(1.0 - lr * slot.weight_decay);
            *target -= update;
            if let Some(master) = &slot.master {
                slot.parameter.copy_(master);
            }
            slot.parameter.zero_grad();
        }
        Ok(norm)
    }

    /// Everything that is remembered, parameters not among it: `step`, and for each parameter
    /// `exp_avg.NAME`, `exp_avg_sq.NAME` and, where there is one, `master.NAME`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut out = vec![("step".to_owned(), Tensor::from_slice(&[self.step as i64]))];
        for slot in &self.slots {
            let mut push = |part, tensor: &Tensor| {
                out.push((format!("{part}.{}", slot.name), tensor.shallow_clone()));
            };
            push("exp_avg", &slot.exp_avg);
            push("exp_avg_sq", &slot.exp_avg_sq);
            if let Some(master) = &slot.master {
                push("master", master);
            }
        }
        out
    }

    /// Puts a state back that [`AdamW::state`] gave. The parameters themselves are the caller's.
    ///
    /// # Errors
    /// [`Error::State`] naming a tensor that is missing or of another shape; nothing has then been
    /// changed.
    pub fn restore(&mut self, state: &[(String, Tensor)]) -> Result<(), Error> {
        let find = |name: &str, like: &Tensor| {
            let (expected, found) = match state.iter().find(|(n, _)| n == name) {
                Some((_, t)) if t.size() == like.size() && t.kind() == like.kind() => return Ok(t),
                Some((_, t)) => (
                    format!("{:?} {:?}", like.kind(), like.size()),
                    format!("{:?} {:?}", t.kind(), t.size()),
                ),
                None => ("a tensor".into(), "none".into()),
            };
            Err(Error::State { name: name.to_owned(), expected, found })
        };
        let step = find("step", &Tensor::from_slice(&[0_i64]))?.int64_value(&[0]);
        let mut copies = Vec::new();
        for slot in &self.slots {
            let mut plan = |part: &str, into: &Tensor| -> Result<(), Error> {
                let from = find(&format!("{part}.{}", slot.name), into)?;
                copies.push((into.shallow_clone(), from));
                Ok(())
            };
            plan("exp_avg", &slot.exp_avg)?;
            plan("exp_avg_sq", &slot.exp_avg_sq)?;
            if let Some(master) = &slot.master {
                plan("master", master)?;
            }
        }
        let _guard = tch::no_grad_guard();
        for (mut into, from) in copies {
            into.copy_(from);
        }
        self.step = step as u64;
        Ok(())
    }
}
