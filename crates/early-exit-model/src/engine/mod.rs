//! Decoding with exits: a row that has left costs nothing in the blocks behind, but for its keys and
//! values.

mod decode;
mod rule;

use causal_lm::{
    CausalLm,
    generate::{Completion, Flow, GenerateConfig, NewToken, Request, generate},
    model::{FrozenKv, Skipped},
};
pub use decode::{DecodeState, Decoder};
pub use rule::Rule;
use tch::Device;

use crate::{Error, cost::Cost, gates::Gates, model::EarlyExitModel, sites::Sites};

/// Where a token left, and how likely that was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exit {
    /// Blocks that ran.
    pub blocks: usize,
    /// Natural logarithm of the law's probability of it; 0 where no law was asked.
    pub log_prob: f32,
}

/// A completion and the depths of its tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct ExitCompletion {
    /// The tokens.
    pub completion: Completion,
    /// One for each token but the first, which runs all blocks.
    pub exits: Vec<Exit>,
}

impl ExitCompletion {
    /// Blocks that ran for all its tokens but the first, in the mean; none for a single token.
    pub fn depth(&self) -> Option<f64> {
        let blocks: usize = self.exits.iter().map(|exit| exit.blocks).sum();
        (!self.exits.is_empty()).then(|| blocks as f64 / self.exits.len() as f64)
    }
}

/// What becomes of rows that have left a block while others go on. The answers are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftRows {
    /// They are no longer computed: fewer rows are less work, as on a CPU.
    Dropped,
    /// They are computed beside the others and stay as they are: on a GPU a block takes as long for
    /// one row as for many, and each rearrangement of rows takes time of its own.
    Carried,
}

impl LeftRows {
    /// What is faster on a device.
    pub fn on(device: Device) -> Self {
        if device.is_cuda() { Self::Carried } else { Self::Dropped }
    }
}

/// A model with exits as it is decoded: adapter merged, matrices arranged, and the key and value
/// projections of all blocks side by side.
///
/// Later changes of the model do not reach it.
#[derive(Debug)]
pub struct Engine {
    lm: CausalLm,
    gates: Gates,
    sites: Sites,
    frozen: FrozenKv,
    skipped: Skipped,
    left: LeftRows,
    cost: Cost,
}

impl Engine {
    /// An engine for the model as trained so far; with `packed`, matrices are held once more in the
    /// arrangement that decodes fastest (see [`CausalLm::packed`]).
    pub fn new(model: &EarlyExitModel, packed: bool) -> Self {
        Self::of(&model.model(), model, packed)
    }

    /// An engine for the model that it started from, with the gates of now: the untrained control.
    pub fn of_reference(model: &EarlyExitModel, packed: bool) -> Self {
        Self::of(model.reference(), model, packed)
    }

    fn of(lm: &CausalLm, model: &EarlyExitModel, packed: bool) -> Self {
        let _guard = tch::no_grad_guard();
        let merged = lm.merged();
        let (sites, skipped) = (model.sites().clone(), model.config().skipped);
        Self {
            frozen: FrozenKv::new(&merged, packed),
            gates: model.gates().for_decoding(packed),
            cost: Cost::new(lm.config(), &sites, model.gates().kind(), skipped),
            lm: if packed { merged.packed() } else { merged },
            left: LeftRows::on(lm.device()),
            sites,
            skipped,
        }
    }

    /// The same engine with another fate of rows that have left than that of [`LeftRows::on`].
    #[must_use]
    pub fn with_left_rows(mut self, left: LeftRows) -> Self {
        self.left = left;
        self
    }

    /// The model, exits aside.
    pub fn lm(&self) -> &CausalLm {
        &self.lm
    }

    /// Where tokens may leave.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// What tokens cost.
    pub fn cost(&self) -> &Cost {
        &self.cost
    }

    /// What [`generate`] decodes with, under a rule.
    ///
    /// # Errors
    /// [`Error::Setting`] for a rule that does not fit the model.
    pub fn decoder<'a>(&'a self, rule: &'a Rule) -> Result<Decoder<'a>, Error> {
        rule.validate(&self.sites)?;
        Ok(Decoder::new(self, rule))
    }

    /// Completes every request, in order, and says how deep each token went.
    ///
    /// A row's exits depend on its own seed alone, as its tokens do.
    ///
    /// # Errors
    /// As for [`generate`], and [`Error::Setting`] for a rule that does not fit the model.
    pub fn generate(
        &self,
        requests: &[Request],
        config: &GenerateConfig,
        rule: &Rule,
        observe: &mut dyn FnMut(NewToken) -> Flow,
    ) -> Result<Vec<ExitCompletion>, Error> {
        let decoder = self.decoder(rule)?;
        let completions = generate(&decoder, requests, config, observe)?;
        let traces = decoder.into_traces();
        let all = Exit { blocks: self.sites.num_layers(), log_prob: 0.0 };
        Ok(completions
            .into_iter()
            .zip(traces.into_iter().map(Some).chain(std::iter::repeat(None)))
            .map(|(completion, trace)| {
                // A row that has ended may have run on beside the others; without exits there is no
                // trace.
                let mut exits = trace.unwrap_or_default();
                exits.resize(completion.ids.len().saturating_sub(1), all);
                ExitCompletion { completion, exits }
            })
            .collect())
    }
}
