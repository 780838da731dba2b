//! What is trained: a language model, and a value function where the algorithm has one.

use causal_lm::{
    CausalLm,
    finetune::{Batch, Example, Packing},
    heads::ScalarHead,
    lora::LoraConfig,
    score::{log_probs, predictions},
    trainable::Trainable,
};
use rl_core::{optim::ParameterGroup, seed::Seed};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::{Error, grid::Grid};

/// Answers to one prompt share it, and all prompts the system text.
pub(crate) const PACKING: Packing = Packing::Shared;

/// What of the policy is trained, and how its value function is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Size and place of the adapter; `false` in a file trains all weights.
    #[serde(with = "causal_lm::lora::setting")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "causal_lm::lora::setting::schema"))]
    pub adapter: Option<LoraConfig>,
    /// What the value head reads.
    pub value_trunk: ValueTrunk,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { adapter: Some(LoraConfig::default()), value_trunk: ValueTrunk::Detached }
    }
}

/// What the value head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ValueTrunk {
    /// The policy's states, which the value loss changes too.
    Shared,
    /// The policy's states, which the value loss leaves alone: a pass costs nothing more, and the
    /// value function cannot harm the policy.
    #[default]
    Detached,
    /// A model of its own that starts from the same weights, as published runs have it. Twice the
    /// work. With an adapter, the weights beneath are shared.
    Own,
}

#[derive(Debug)]
struct ValueFunction {
    head: ScalarHead,
    trunk: ValueTrunk,
    /// The model of [`ValueTrunk::Own`].
    own: Option<Trainable>,
}

/// A policy in training, and the reference it started from.
///
/// With an adapter the reference is the same weights with the adapter switched off: there is no
/// second copy.
#[derive(Debug)]
pub struct Policy {
    reference: CausalLm,
    trained: Trainable,
    value: Option<ValueFunction>,
}

/// What a policy says of the tokens of answers. Rectangles as `Measured` has them.
#[derive(Debug)]
pub(crate) struct Opinion {
    pub(crate) log_probs: Tensor,
    pub(crate) entropy: Tensor,
    pub(crate) values: Tensor,
}

/// One forward pass for training.
pub(crate) struct Pass {
    /// The model that was used.
    pub(crate) lm: CausalLm,
    /// States that predict the answers' tokens, `[n, hidden]`.
    pub(crate) states: Tensor,
    /// Values of these states, `[n]`, f32; none without a value function.
    pub(crate) values: Option<Tensor>,
}

/// The forward pass that measured all answers, with its graph: what the first update would repeat.
pub(crate) struct Kept {
    pub(crate) batch: Batch,
    pub(crate) pass: Pass,
}

/// How forward passes are cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// Tokens of a pass, padding counted.
    pub(crate) pass_tokens: usize,
    /// Positions whose logits are held at once.
    pub(crate) logit_rows: usize,
    /// What logits are divided by.
    pub(crate) temperature: f64,
}

impl Policy {
    /// A policy that starts at `lm`, its value function at 0.
    ///
    /// # Errors
    /// [`Error::Lm`] for an adapter that does not fit, or a model that has one already.
    pub fn new(
        lm: &CausalLm,
        config: &PolicyConfig,
        with_values: bool,
        seed: Seed,
    ) -> Result<Self, Error> {
        let adapter = config.adapter.as_ref();
        let trained = Trainable::new(lm, adapter, seed.derive("policy", 0))?;
        let value = if with_values {
            let own = (config.value_trunk == ValueTrunk::Own)
                .then(|| Trainable::new(lm, adapter, seed.derive("value", 0)))
                .transpose()?;
            let head = ScalarHead::zeros(lm.config().hidden, lm.device());
            head.require_grad();
            Some(ValueFunction { head, trunk: config.value_trunk, own })
        } else {
            None
        };
        Ok(Self { reference: lm.base(), trained, value })
    }

    /// The model as trained so far; with an adapter, one that shares its tensors with the training.
    pub fn model(&self) -> CausalLm {
        self.trained.model()
    }

    /// The model it started from.
    pub fn reference(&self) -> &CausalLm {
        &self.reference
    }

    /// What is trained, in groups: the policy's own parameters, and those of the value function.
    pub(crate) fn groups(&self, lr: f64, value_lr: f64, weight_decay: f64) -> Vec<ParameterGroup> {
        let (policy, value): (Vec<_>, Vec<_>) =
            self.named_parameters().into_iter().partition(|(name, _)| name.starts_with("policy."));
        let mut groups = ParameterGroup::by_rank(policy, lr, weight_decay);
        groups.extend(ParameterGroup::by_rank(value, value_lr, weight_decay));
        groups
    }

    /// All that is trained, by name.
    pub(crate) fn named_parameters(&self) -> Vec<(String, Tensor)> {
        let mut out = Vec::new();
        let mut add = |prefix: &str, named: Vec<(String, Tensor)>| {
            out.extend(named.into_iter().map(|(name, t)| (format!("{prefix}.{name}"), t)));
        };
        add("policy", self.trained.named_parameters());
        if let Some(value) = &self.value {
            add("value.head", value.head.named_parameters());
            if let Some(own) = &value.own {
                add("value.trunk", own.named_parameters());
            }
        }
        out
    }

    pub(crate) fn device(&self) -> Device {
        self.trained.device()
    }

    /// States and values of a pass, with gradients.
    pub(crate) fn pass(&self, batch: &Batch) -> Result<Pass, Error> {
        let lm = self.trained.computing();
        let states = states(&lm, batch)?;
        let values = match &self.value {
            None => None,
            Some(ValueFunction { head, trunk, own }) => Some(head.forward(&match (trunk, own) {
                (_, Some(own)) => self::states(&own.computing(), batch)?,
                (ValueTrunk::Shared, None) => states.shallow_clone(),
                (_, None) => states.detach(),
            })),
        };
        Ok(Pass { lm, states, values })
    }

    /// Log-probabilities, entropies and values of all answers, without gradient.
    pub(crate) fn measure(
        &self,
        answers: &[Example],
        grid: &Grid,
        cut: Cut,
    ) -> Result<Opinion, Error> {
        let _guard = tch::no_grad_guard();
        let parts = in_passes(answers, grid, self.device(), cut, |batch| {
            Ok(said(&self.pass(batch)?, batch, cut))
        })?;
        Ok(Opinion::new(parts))
    }

    /// As [`Policy::measure`], and the pass that did it, where it took but one.
    pub(crate) fn measure_and_keep(
        &self,
        answers: &[Example],
        grid: &Grid,
        cut: Cut,
    ) -> Result<(Opinion, Option<Kept>), Error> {
        let refs: Vec<&Example> = answers.iter().collect();
        let mut batches = Batch::plan(&refs, PACKING, 0, cut.pass_tokens, self.device());
        let Some(batch) = batches.pop().filter(|_| batches.is_empty()) else {
            return Ok((self.measure(answers, grid, cut)?, None));
        };
        let pass = tch::with_grad(|| self.pass(&batch))?;
        let cells = grid.cells(&batch.examples);
        let parts = said(&pass, &batch, cut).map(|part| grid.scatter(&cells, &part));
        Ok((Opinion::new(parts), Some(Kept { batch, pass })))
    }

    /// Log-probabilities of all answers under the reference.
    pub(crate) fn measure_reference(
        &self,
        answers: &[Example],
        grid: &Grid,
        cut: Cut,
    ) -> Result<Tensor, Error> {
        token_log_probs(&self.reference, answers, grid, cut)
    }
}

impl Opinion {
    fn new([log_probs, entropy, values]: [Tensor; 3]) -> Self {
        Self { log_probs, entropy, values }
    }
}

/// What a pass says of its tokens: log-probabilities, entropies, values; without gradient.
fn said(pass: &Pass, batch: &Batch, cut: Cut) -> [Tensor; 3] {
    let Cut { temperature, logit_rows, .. } = cut;
    let said = predictions(&pass.lm, &pass.states, &batch.targets, temperature, logit_rows);
    let values = pass.values.as_ref().map_or_else(|| said.log_probs.zeros_like(), Tensor::detach);
    [said.log_probs, said.entropy, values]
}

/// Log-probabilities of the answers' tokens under `lm`, `[batch, time]`.
pub(crate) fn token_log_probs(
    lm: &CausalLm,
    answers: &[Example],
    grid: &Grid,
    cut: Cut,
) -> Result<Tensor, Error> {
    let _guard = tch::no_grad_guard();
    let [log_probs] = in_passes(answers, grid, lm.device(), cut, |batch| {
        let states = states(lm, batch)?;
        Ok([log_probs(lm, &states, &batch.targets, cut.temperature, cut.logit_rows)])
    })?;
    Ok(log_probs)
}

/// Rectangles of what `of_pass` says of the tokens of each pass.
fn in_passes<const N: usize>(
    answers: &[Example],
    grid: &Grid,
    device: Device,
    cut: Cut,
    mut of_pass: impl FnMut(&Batch) -> Result<[Tensor; N], Error>,
) -> Result<[Tensor; N], Error> {
    let refs: Vec<&Example> = answers.iter().collect();
    let mut cells = Vec::new();
    let mut found: [Vec<Tensor>; N] = std::array::from_fn(|_| Vec::new());
    for batch in Batch::plan(&refs, PACKING, 0, cut.pass_tokens, device) {
        cells.push(grid.cells(&batch.examples));
        for (all, part) in found.iter_mut().zip(of_pass(&batch)?) {
            all.push(part.to_device(Device::Cpu));
        }
    }
    let cells = Tensor::cat(&cells, 0);
    Ok(found.map(|parts| grid.scatter(&cells, &Tensor::cat(&parts, 0))))
}

/// Hidden states that predict what counts, `[n, hidden]`.
fn states(lm: &CausalLm, batch: &Batch) -> Result<Tensor, Error> {
    let hidden = lm.hidden(&batch.input_ids, &batch.layout)?; // [rows, seq, hidden]
    Ok(hidden.flatten(0, 1).index_select(0, &batch.positions))
}
