//! One forward pass over whole sequences, in which each token has its own depth.

use std::collections::BTreeSet;

use causal_lm::{
    CausalLm,
    model::{Layout, Pass, Skipped},
};
use tch::{Device, Kind, Tensor};

use crate::{Error, gates::Gates, law::ExitLaw, model::EarlyExitModel, sites::Sites};

/// Tokens side by side, and which of them may leave the pass.
///
/// Prompts, and the last token of a prompt, which predicts the first of an answer, are never among
/// those that may.
#[derive(Debug)]
pub struct Sequences<'a> {
    /// `[batch, seq]`, integers.
    pub input_ids: &'a Tensor,
    /// Where the rows' tokens are.
    pub layout: &'a Layout,
    /// Places in the flattened batch of the tokens that may leave, `[n]`, i64.
    pub free: &'a Tensor,
}

/// Who leaves where.
#[derive(Debug, Clone, Copy)]
pub enum Exits<'a> {
    /// Nobody: the plain model.
    Off,
    /// Each free token after so many blocks, `[n]`, i64; the number of all blocks is never. These
    /// may be other blocks than the sites.
    Prescribed(&'a Tensor),
    /// Each free token where a uniform number falls below its gate's probability, `[n, sites]`.
    Sampled(&'a Tensor),
    /// Each free token at the first site whose probability exceeds this; 0.5 is greedy.
    Threshold(f64),
}

/// What a pass gives.
#[derive(Debug)]
pub struct Traced {
    /// Hidden states after the final norm, `[batch, seq, hidden]`, with gradient.
    pub hidden: Tensor,
    /// Blocks that each free token has run, `[n]`, i64.
    pub exits: Tensor,
    /// The gates' logits of each free token at every site, `[n, sites]`, f32, with gradient. Behind
    /// a token's exit they are those of its unchanged state, and mean nothing. None with
    /// [`Exits::Off`].
    pub gate_logits: Option<Tensor>,
    /// Residual streams of the free tokens as they enter the block of each site, `[n, hidden]`.
    pub site_states: Vec<Tensor>,
}

impl Traced {
    /// Log-probabilities of the exits that were taken, `[n]`, with gradient.
    ///
    /// # Errors
    /// [`Error::Sites`] if a token left where there is no site.
    pub fn log_prob(&self, sites: &Sites) -> Result<Tensor, Error> {
        let Some(logits) = &self.gate_logits else {
            return Ok(Tensor::zeros(
                [self.exits.numel() as i64],
                (Kind::Float, self.exits.device()),
            ));
        };
        Ok(ExitLaw::of_gates(logits).log_prob(&outcomes(&self.exits, sites)?))
    }
}

/// The outcomes of exits given as numbers of blocks.
///
/// # Shapes
/// - `exits`: `[n]`, i64
/// - returns: `[n]`, i64
///
/// # Errors
/// [`Error::Sites`] if a token left where there is no site.
pub fn outcomes(exits: &Tensor, sites: &Sites) -> Result<Tensor, Error> {
    let blocks: Vec<i64> = Vec::try_from(exits.to_device(Device::Cpu)).unwrap_or_default();
    let found: Vec<i64> = blocks
        .iter()
        .map(|&blocks| {
            sites.outcome(blocks as usize).map(|outcome| outcome as i64).ok_or_else(|| {
                let expected = format!("one of {:?}", sites.executed());
                Error::Sites { expected, found: format!("an exit after {blocks} blocks") }
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Tensor::from_slice(&found).to_device(exits.device()))
}

impl EarlyExitModel {
    /// A pass of the model in training, with gradients.
    ///
    /// # Errors
    /// As for [`traced`].
    pub fn forward(&self, tokens: &Sequences<'_>, exits: Exits<'_>) -> Result<Traced, Error> {
        let lm = self.computing();
        traced(&lm, self.gates(), self.sites(), self.config().skipped, tokens, exits)
    }

    /// Hidden states of the model it started from, all blocks, no gradient: teacher and reference.
    /// `[batch, seq, hidden]`.
    ///
    /// # Errors
    /// [`Error::Lm`] if tokens and layout do not fit.
    pub fn teacher(&self, tokens: &Sequences<'_>) -> Result<Tensor, Error> {
        let _guard = tch::no_grad_guard();
        Ok(self.reference().hidden(tokens.input_ids, tokens.layout)?)
    }
}

/// The one forward pass of all modes: blocks run up to each site in turn, where tokens leave.
///
/// # Errors
/// [`Error::Lm`] if tokens and layout do not fit; [`Error::Shape`] or [`Error::Sites`] for exits that
/// are not one a free token, or lie outside the model; [`Error::NotFinite`] for a gate's logit.
pub fn traced(
    lm: &CausalLm,
    gates: &Gates,
    sites: &Sites,
    skipped: Skipped,
    tokens: &Sequences<'_>,
    exits: Exits<'_>,
) -> Result<Traced, Error> {
    let num_layers = sites.num_layers();
    let n = tokens.free.numel() as i64;
    check(tokens, exits, sites)?;
    let mut pass = Pass::new(lm, tokens.input_ids, tokens.layout, skipped)?;
    let place = (Kind::Int64, lm.device());
    let mut taken = Tensor::full([n], num_layers as i64, place);
    let (mut logits, mut site_states) = (Vec::new(), Vec::new());
    for stop in stops(exits, sites) {
        pass.run_to(stop);
        let site = sites.blocks().iter().position(|&block| block == stop);
        let mut of_site = None;
        if let Some(site) = site {
            let states = pass.states().flatten(0, 1).index_select(0, tokens.free);
            let logit = gates.gate(site).forward(&states); // [n]
            of_site = Some((site, logit.detach()));
            site_states.push(states);
            logits.push(logit);
        }
        let there = taken.eq(num_layers as i64);
        let leaving = match (exits, of_site) {
            (Exits::Prescribed(exits), _) => exits.eq(stop as i64),
            (Exits::Sampled(uniforms), Some((site, logit))) => {
                there.logical_and(&uniforms.select(1, site as i64).lt_tensor(&logit.sigmoid()))
            }
            (Exits::Threshold(least), Some((_, logit))) => {
                there.logical_and(&logit.sigmoid().gt(least))
            }
            _ => continue,
        };
        if leaving.any().int64_value(&[]) == 0 {
            continue;
        }
        taken = taken.masked_fill(&leaving, stop as i64);
        let all = Tensor::zeros([tokens.input_ids.numel() as i64], (Kind::Bool, lm.device()));
        pass.leave(&all.index_copy(0, tokens.free, &leaving));
    }
    let gate_logits = (!logits.is_empty()).then(|| Tensor::stack(&logits, 1));
    if let Some(logits) = &gate_logits
        && logits.isfinite().all().int64_value(&[]) == 0
    {
        let what = "a gate's logit".to_owned();
        return Err(Error::NotFinite { what, found: "NaN or infinite".into() });
    }
    Ok(Traced { hidden: pass.finish(), exits: taken, gate_logits, site_states })
}

/// Blocks before which something happens, in ascending order.
fn stops(exits: Exits<'_>, sites: &Sites) -> Vec<usize> {
    let mut stops: BTreeSet<usize> = sites.blocks().iter().copied().collect();
    match exits {
        Exits::Off => return Vec::new(),
        Exits::Prescribed(exits) => {
            let blocks: Vec<i64> = Vec::try_from(exits.to_device(Device::Cpu)).unwrap_or_default();
            let early = blocks.into_iter().map(|block| block as usize);
            stops.extend(early.filter(|&block| block < sites.num_layers()));
        }
        Exits::Sampled(_) | Exits::Threshold(_) => {}
    }
    stops.into_iter().collect()
}

fn check(tokens: &Sequences<'_>, exits: Exits<'_>, sites: &Sites) -> Result<(), Error> {
    let n = tokens.free.numel() as i64;
    let size = |what, expected: Vec<i64>, found: Vec<i64>| {
        if expected == found {
            return Ok(());
        }
        let [expected, found] = [expected, found].map(|size| format!("{size:?}"));
        Err(Error::Shape { what, expected, found })
    };
    size("places of the tokens that may leave", vec![n], tokens.free.size())?;
    match exits {
        Exits::Prescribed(exits) => {
            size("prescribed exits", vec![n], exits.size())?;
            let blocks: Vec<i64> = Vec::try_from(exits.to_device(Device::Cpu)).unwrap_or_default();
            let all = sites.num_layers() as i64;
            match blocks.iter().find(|block| !(1..=all).contains(*block)) {
                None => Ok(()),
                Some(block) => Err(Error::Sites {
                    expected: format!("exits after 1 to {all} blocks"),
                    found: block.to_string(),
                }),
            }
        }
        Exits::Sampled(uniforms) => {
            size("uniform numbers", vec![n, sites.len() as i64], uniforms.size())
        }
        Exits::Threshold(least) => {
            let inside = (0.0..=1.0).contains(&least);
            crate::error::check("threshold", inside, "a probability", least)
        }
        Exits::Off => Ok(()),
    }
}
