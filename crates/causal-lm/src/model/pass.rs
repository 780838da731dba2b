//! Forward passes that stop between blocks, and that tokens can leave there.
//!
//! A token that leaves before block `l` has run blocks 0 to `l − 1`. Its residual stream stays as it
//! is, and is what the final norm and the head read. What later tokens see of it in the blocks it has
//! skipped is said by [`Skipped`].

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{
    CausalLm, FrozenKv, Layout, Plan, attention::Tokens, block::Stream, check_ids, frozen::Left,
};
use crate::{Error, cache::KvCache};

/// What others see of a token in the blocks that it has skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// Keys and values of its unchanged residual stream.
    #[default]
    Propagate,
    /// Keys and values as if it had not left: all blocks are computed, and only the token's own
    /// prediction comes from where it left.
    Backfill,
    /// Nothing.
    Hide,
}

/// A forward pass over a whole batch.
///
/// Differentiable as [`CausalLm::hidden`] is, through tokens that have left too.
#[derive(Debug)]
pub struct Pass<'a> {
    lm: &'a CausalLm,
    plan: Plan,
    skipped: Skipped,
    stream: Stream,
    /// Blocks done.
    done: usize,
    /// Tokens that have left, `[batch · seq]`, bool; none at first.
    left: Option<Tensor>,
    /// Places of the others, `[n]`.
    active: Option<Tensor>,
    /// Residual streams of those that have left, `[batch, seq, hidden]`, where they go on without
    /// them.
    frozen: Option<Tensor>,
}

impl<'a> Pass<'a> {
    /// The pass of a batch, before its first block.
    ///
    /// # Shapes
    /// - `input_ids`: `[batch, seq]`, integers
    ///
    /// # Errors
    /// As for [`CausalLm::hidden`].
    pub fn new(
        lm: &'a CausalLm,
        input_ids: &Tensor,
        layout: &Layout,
        skipped: Skipped,
    ) -> Result<Self, Error> {
        let plan = lm.plan(input_ids, layout)?;
        let stream = Stream { x: lm.embed(input_ids), pending: None };
        Ok(Self { lm, plan, skipped, stream, done: 0, left: None, active: None, frozen: None })
    }

    /// Runs the blocks before `block` that have not run yet.
    ///
    /// # Panics
    /// If there are not so many blocks.
    pub fn run_to(&mut self, block: usize) {
        while self.done < block {
            let lora = self.lm.adapter.as_ref().map(|a| a.layer(self.done));
            let layer = &self.lm.blocks[self.done];
            self.done += 1;
            let Some(index) = self.active.as_ref().map(Tensor::shallow_clone) else {
                let stream = self.take();
                self.stream = layer.forward(stream, &self.plan, None, lora);
                continue;
            };
            if index.numel() == 0 {
                continue;
            }
            let x = self.settle();
            let shape = [x.size()[0], x.size()[1]];
            let hide = self.skipped == Skipped::Hide;
            let hidden = self.left.as_ref().filter(|_| hide).map(|left| left.view(shape));
            let tokens = Tokens { index: &index, hidden: hidden.as_ref() };
            let x = layer.forward_some(&x, &tokens, &self.plan, lora);
            self.stream = Stream { x, pending: None };
        }
    }

    /// Residual streams as they are now, of those that have left as they left: what enters the next
    /// block. `[batch, seq, hidden]`.
    pub fn states(&mut self) -> Tensor {
        let x = self.settle();
        let now = match (&self.frozen, &self.left) {
            (Some(frozen), Some(left)) => {
                let left = left.view([x.size()[0], x.size()[1], 1]);
                frozen.where_self(&left, &x)
            }
            _ => x,
        };
        // The kernels write into the stream.
        if self.lm.fused { now.copy() } else { now }
    }

    /// Lets tokens leave; those that have left already stay as they are.
    ///
    /// # Shapes
    /// - `leaving`: `[batch · seq]`, bool
    pub fn leave(&mut self, leaving: &Tensor) {
        let left = match &self.left {
            Some(left) => left.logical_or(leaving),
            None => leaving.shallow_clone(),
        };
        if self.skipped == Skipped::Backfill {
            // Tokens that have not left yet have their streams of now in it, which do not count.
            self.frozen = Some(self.states());
        } else {
            self.active = Some(left.logical_not().nonzero().squeeze_dim(1));
        }
        self.left = Some(left);
    }

    /// Number of tokens that run the next block, padding among them.
    pub fn running(&self) -> usize {
        let all = self.stream.x.size()[..2].iter().product::<i64>() as usize;
        self.active.as_ref().map_or(all, Tensor::numel)
    }

    /// Runs what is left of the blocks, and gives the hidden states after the final norm, `[batch,
    /// seq, hidden]`.
    pub fn finish(mut self) -> Tensor {
        self.run_to(self.lm.blocks.len());
        if self.frozen.is_some() {
            return self.lm.final_norm.forward(&self.states());
        }
        self.take().norm(&self.lm.final_norm, self.lm.fused).1
    }

    /// The stream, all branches added.
    fn settle(&mut self) -> Tensor {
        let x = self.take().sum();
        self.stream = Stream { x: x.shallow_clone(), pending: None };
        x
    }

    fn take(&mut self) -> Stream {
        let x = self.stream.x.shallow_clone();
        Stream { x, pending: self.stream.pending.take() }
    }
}

/// The forward pass of one new token a row after those in a cache.
#[derive(Debug)]
pub struct StepPass<'a> {
    lm: &'a CausalLm,
    cache: &'a mut KvCache,
    plan: Plan,
    stream: Stream,
    done: usize,
    /// Rows of the cache that are still in the pass.
    rows: Vec<usize>,
    /// `rows`, where they are not all.
    index: Option<Tensor>,
    /// Positions that nothing sees, `[blocks, batch, capacity]`.
    hidden: Option<&'a Tensor>,
    left: Vec<Left>,
    pinned: Option<Pinned>,
}

/// Rows of a pass that are computed like the others and stay as they are.
#[derive(Debug)]
struct Pinned {
    /// Whether a row is one of them.
    which: Vec<bool>,
    /// The same, `[rows, 1, 1]`.
    rows: Tensor,
    /// Residual streams; those of the other rows do not count. `[rows, 1, hidden]`.
    x: Tensor,
}

impl<'a> StepPass<'a> {
    /// The pass of one token a row, before its first block. In block `j` nothing sees the positions
    /// where `hidden[j]` is true.
    ///
    /// # Shapes
    /// - `input_ids`: `[batch, 1]`, integers
    /// - `hidden`: `[blocks, batch, capacity]`, bool
    ///
    /// # Errors
    /// [`Error::Shape`] if the batch is not the cache's, the cache is empty or full.
    pub fn new(
        lm: &'a CausalLm,
        input_ids: &Tensor,
        cache: &'a mut KvCache,
        hidden: Option<&'a Tensor>,
    ) -> Result<Self, Error> {
        let [batch, new] = check_ids(input_ids)?;
        let room = !cache.is_empty() && cache.len() < cache.capacity();
        if batch != cache.batch() || new != 1 || !room {
            return Err(Error::Shape {
                what: "tokens to append to the cache".into(),
                expected: format!(
                    "one a row for {} rows, after a prompt and with room",
                    cache.batch()
                ),
                found: format!("{batch} rows, {new} tokens"),
            });
        }
        let place = (lm.kind(), lm.device());
        let fused = lm.fused && hidden.is_none();
        let plan = Plan::after_cache(&lm.config, cache, 1, fused, place);
        let stream = Stream { x: lm.embed(input_ids), pending: None };
        let rows = (0..batch).collect();
        Ok(Self {
            lm,
            cache,
            plan,
            stream,
            done: 0,
            rows,
            index: None,
            hidden,
            left: Vec::new(),
            pinned: None,
        })
    }

    /// Rows of the cache that are still in the pass, in their order.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Runs the blocks before `block` that have not run yet, for the rows in the pass.
    ///
    /// # Panics
    /// If there are not so many blocks.
    pub fn run_to(&mut self, block: usize) {
        while self.done < block && !self.rows.is_empty() {
            let lora = self.lm.adapter.as_ref().map(|a| a.layer(self.done));
            let hidden = self.hidden.map(|hidden| hidden.get(self.done as i64));
            let mut cache = self.cache.layer(self.done);
            cache.rows = self.index.as_ref();
            cache.hidden = hidden.as_ref();
            let stream =
                Stream { x: self.stream.x.shallow_clone(), pending: self.stream.pending.take() };
            self.stream = self.lm.blocks[self.done].forward(stream, &self.plan, Some(cache), lora);
            if let Some(pinned) = &self.pinned {
                let Stream { x, pending } = &self.stream;
                let x = pending.as_ref().map_or_else(|| x.shallow_clone(), |branch| x + branch);
                self.stream = Stream { x: pinned.x.where_self(&pinned.rows, &x), pending: None };
            }
            self.done += 1;
        }
    }

    /// Residual streams of the rows in the pass: what enters the next block. `[rows, hidden]`.
    pub fn states(&mut self) -> Tensor {
        if let Some(pending) = self.stream.pending.take() {
            self.stream.x = &self.stream.x + pending;
        }
        let x = self.stream.x.squeeze_dim(1);
        // The kernels write into the stream.
        if self.lm.fused { x.copy() } else { x }
    }

    /// Lets rows leave, given by their places among [`StepPass::rows`], and returns their residual
    /// streams, `[places, hidden]`. Their keys and values in the blocks that they skip are written in
    /// the end: see [`StepPass::finish`].
    ///
    /// # Panics
    /// If there is no such place.
    pub fn leave(&mut self, places: &[usize]) -> Tensor {
        let device = self.lm.device();
        let index = |places: &[usize]| {
            let places: Vec<i64> = places.iter().map(|&p| p as i64).collect();
            Tensor::from_slice(&places).to_device(device)
        };
        let states = self.states();
        let all = places.len() == self.rows.len();
        let leaving = if all { states } else { states.index_select(0, &index(places)) };
        let rows: Vec<usize> = places.iter().map(|&place| self.rows[place]).collect();
        self.freeze(&rows, &leaving, self.done);
        let staying: Vec<usize> =
            (0..self.rows.len()).filter(|place| !places.contains(place)).collect();
        self.stream.x = self.stream.x.index_select(0, &index(&staying));
        self.plan.keep(&staying);
        self.rows = staying.iter().map(|&place| self.rows[place]).collect();
        self.index = Some(index(&self.rows));
        leaving
    }

    /// As [`StepPass::leave`], for devices on which a row less saves no time: the rows stay among
    /// [`StepPass::rows`] with their residual streams held as they are, from which the blocks that they
    /// skip make their keys and values, until the last row has left.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn pin(&mut self, places: &[usize]) -> Tensor {
        let (states, device) = (self.states(), self.lm.device());
        let mut which =
            self.pinned.take().map_or_else(|| vec![false; self.rows.len()], |pinned| pinned.which);
        for &place in places {
            which[place] = true;
        }
        if which.iter().all(|&pinned| pinned) {
            let all = std::mem::take(&mut self.rows);
            self.freeze(&all, &states, self.done);
        }
        let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let leaving = states.index_select(0, &Tensor::from_slice(&places).to_device(device));
        let rows = Tensor::from_slice(&which).view([-1, 1, 1]).to_device(device);
        self.pinned = Some(Pinned { which, rows, x: states.unsqueeze(1) });
        leaving
    }

    /// Has the keys and values of some rows in the blocks from `block` on made of these residual
    /// streams, in the end; what the blocks themselves have written there is lost.
    ///
    /// # Shapes
    /// - `states`: `[rows, hidden]`
    pub fn freeze(&mut self, rows: &[usize], states: &Tensor, block: usize) {
        if block < self.lm.blocks.len() && !rows.is_empty() {
            self.left.push(Left { block, rows: rows.to_vec(), states: states.shallow_clone() });
        }
    }

    /// Ends the step: `frozen` writes the keys and values of rows that have left, which stay unwritten
    /// without it, and the cache has grown by one position.
    pub fn finish(self, frozen: Option<&FrozenKv>) {
        if let Some(frozen) = frozen {
            frozen.write(&self.left, self.cache);
        }
        self.cache.advance(1);
    }
}
