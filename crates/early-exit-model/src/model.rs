//! A language model with exits: base weights, what is trained of them, and gates.

use causal_lm::{CausalLm, lora::LoraConfig, lora::Target, model::Skipped, trainable::Trainable};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::{
    Error,
    gates::{GateKind, Gates},
    sites::Sites,
};

/// Where exits are, and what is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ExitConfig {
    /// Blocks before which a token may leave; empty means every `every`-th.
    pub sites: Vec<usize>,
    /// Distance of the sites where none are listed.
    pub every: usize,
    /// Shape of the gates.
    pub gate: GateKind,
    /// What later tokens see of a token in the blocks that it has skipped.
    pub skipped: Skipped,
    /// Size and place of the adapter; `false` in a file trains all weights.
    #[serde(with = "causal_lm::lora::setting")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "causal_lm::lora::setting::schema"))]
    pub adapter: Option<LoraConfig>,
}

impl Default for ExitConfig {
    /// As published: every fifth block, gates of two layers, an adapter of attention's matrices.
    fn default() -> Self {
        let targets = vec![Target::QProj, Target::KProj, Target::VProj, Target::OProj];
        Self {
            sites: Vec::new(),
            every: 5,
            gate: GateKind::Mlp,
            skipped: Skipped::Propagate,
            adapter: Some(LoraConfig { rank: 16, alpha: 32.0, targets }),
        }
    }
}

impl ExitConfig {
    /// The sites in a model of so many blocks.
    ///
    /// # Errors
    /// [`Error::Sites`] if they are not in the model.
    pub fn sites(&self, num_layers: usize) -> Result<Sites, Error> {
        if self.sites.is_empty() {
            Sites::every(self.every, num_layers)
        } else {
            Sites::new(self.sites.clone(), num_layers)
        }
    }
}

/// A model whose tokens may leave the forward pass early, and the reference it started from.
///
/// With an adapter, teacher and reference are the same weights with the adapter switched off: there
/// is no second copy.
#[derive(Debug)]
pub struct EarlyExitModel {
    reference: CausalLm,
    trained: Trainable,
    sites: Sites,
    gates: Gates,
    config: ExitConfig,
}

impl EarlyExitModel {
    /// The model `lm` with exits that are hardly taken yet.
    ///
    /// # Errors
    /// [`Error::Sites`] for sites that are not in the model; [`Error::Lm`] for an adapter that does
    /// not fit, or a model that has one already.
    pub fn new(lm: &CausalLm, config: &ExitConfig, seed: Seed) -> Result<Self, Error> {
        let sites = config.sites(lm.config().num_layers)?;
        let trained = Trainable::new(lm, config.adapter.as_ref(), seed.derive("policy", 0))?;
        let seed = seed.derive("gates", 0);
        let gates = Gates::new(config.gate, sites.len(), lm.config().hidden, seed, lm.device());
        gates.require_grad();
        Ok(Self { reference: lm.base(), trained, sites, gates, config: config.clone() })
    }

    /// The model it started from: all blocks, no adapter, no gradient.
    pub fn reference(&self) -> &CausalLm {
        &self.reference
    }

    /// The model as trained so far, exits aside.
    pub fn model(&self) -> CausalLm {
        self.trained.model()
    }

    /// The model of a forward pass, from which gradients reach what is trained.
    pub fn computing(&self) -> CausalLm {
        self.trained.computing()
    }

    /// Where tokens may leave.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// What decides whether they do.
    pub fn gates(&self) -> &Gates {
        &self.gates
    }

    /// How it was made.
    pub fn config(&self) -> &ExitConfig {
        &self.config
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        self.trained.device()
    }

    /// All that is trained, by name: `model.*` and `gate.*`.
    pub fn named_parameters(&self) -> Vec<(String, Tensor)> {
        let model =
            self.trained.named_parameters().into_iter().map(|(n, t)| (format!("model.{n}"), t));
        let gates =
            self.gates.named_parameters().into_iter().map(|(n, t)| (format!("gate.{n}"), t));
        model.chain(gates).collect()
    }
}
