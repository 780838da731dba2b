//! Positions, rotations and masks of one forward pass, shared by all blocks.

use tch::{Device, Kind, Tensor};

use super::{
    rope::Rotation,
    tree::{Branch, Rows},
};
use crate::{
    Error,
    cache::KvCache,
    config::{ModelConfig, Window},
    kernel::{Step, can_attend},
};

/// Where the tokens of a rectangular batch are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Every position holds a token.
    Dense,
    /// Row `i` holds `lengths[i]` tokens, then padding.
    RightPadded(Vec<usize>),
    /// Row `i` holds padding, then `lengths[i]` tokens.
    LeftPadded(Vec<usize>),
    /// Row `i` holds several documents one after the other, then padding; no document sees another.
    Packed(Vec<Vec<usize>>),
    /// One row of input ids that holds the tokens of many rows, which begin as the row before them
    /// does: what they share is there once, and there is no padding.
    Shared(Vec<Branch>),
}

impl Layout {
    /// Checks that the layout describes a batch of `[batch, seq]` tokens.
    ///
    /// # Errors
    /// [`Error::Shape`] if rows are missing, empty or longer than `seq`.
    pub fn validate(&self, batch: usize, seq: usize) -> Result<(), Error> {
        let totals: Vec<usize> = match self {
            Self::Dense => return Ok(()),
            Self::RightPadded(lengths) | Self::LeftPadded(lengths) => lengths.clone(),
            Self::Packed(rows) => rows.iter().map(|r| r.iter().sum()).collect(),
            Self::Shared(branches) => return validate_branches(branches, batch, seq),
        };
        if totals.len() != batch {
            return Err(Error::Shape {
                what: "layout of the batch".into(),
                expected: format!("{batch} rows"),
                found: format!("{} rows", totals.len()),
            });
        }
        match totals.iter().position(|&n| n == 0 || n > seq) {
            None => Ok(()),
            Some(row) => Err(Error::Shape {
                what: format!("tokens in row {row} of the batch"),
                expected: format!("1 to {seq}"),
                found: totals[row].to_string(),
            }),
        }
    }

    /// Tokens of the longest row, of input ids that have `seq` a row.
    pub(crate) fn longest(&self, seq: usize) -> usize {
        match self {
            Self::Shared(branches) => branches.iter().map(|b| b.len()).max().unwrap_or(0),
            _ => seq,
        }
    }

    /// Position of every token in its document; padding counts on from 0.
    ///
    /// # Shapes
    /// - returns: `[batch or 1, seq]`
    pub(crate) fn positions(&self, seq: usize) -> Tensor {
        let row = |lengths: &[usize]| -> Vec<i64> {
            let mut out: Vec<i64> = lengths.iter().flat_map(|&n| 0..n as i64).collect();
            out.extend(0..(seq - out.len()) as i64);
            out
        };
        let rows: Vec<Vec<i64>> = match self {
            Self::Dense | Self::RightPadded(_) => vec![(0..seq as i64).collect()],
            Self::LeftPadded(lengths) => lengths.iter().map(|&n| row(&[seq - n, n])).collect(),
            Self::Packed(rows) => rows.iter().map(|r| row(r)).collect(),
            Self::Shared(branches) => return Branch::positions(branches),
        };
        Tensor::from_slice(&rows.concat()).view([rows.len() as i64, seq as i64])
    }

    /// Number of the document of every token; tokens see only their own document.
    fn documents(&self, seq: usize) -> Option<Tensor> {
        let row = |lengths: &[usize]| -> Vec<i64> {
            let mut out: Vec<i64> = lengths
                .iter()
                .enumerate()
                .flat_map(|(d, &n)| std::iter::repeat_n(d as i64, n))
                .collect();
            out.resize(seq, lengths.len() as i64);
            out
        };
        let rows: Vec<Vec<i64>> = match self {
            // Causality alone keeps tokens from seeing what is to their right.
            Self::Dense | Self::RightPadded(_) | Self::Shared(_) => return None,
            Self::LeftPadded(lengths) if lengths.iter().all(|&n| n == seq) => return None,
            Self::LeftPadded(lengths) => lengths.iter().map(|&n| row(&[seq - n, n])).collect(),
            Self::Packed(rows) => rows.iter().map(|r| row(r)).collect(),
        };
        Some(Tensor::from_slice(&rows.concat()).view([rows.len() as i64, seq as i64]))
    }
}

/// What a query may see.
#[derive(Debug)]
pub(crate) enum Mask {
    /// All keys up to its own.
    Causal,
    /// Every key there is: one new token after a cache without padding.
    All,
    /// Added to the scores: 0 or −∞, `[batch or 1, 1, queries, keys]`.
    Additive(Tensor),
}

impl Mask {
    /// [`Mask::Causal`] spelled out for `seq` queries and as many keys.
    pub(crate) fn causal(seq: i64, kind: Kind, device: Device) -> Self {
        let allowed = Tensor::ones([1, 1, seq, seq], (Kind::Bool, device)).tril(0);
        Self::Additive(additive(&allowed, kind))
    }
}

/// Rotations and masks of one forward pass.
#[derive(Debug)]
pub struct Plan {
    full: View,
    /// Blocks with a sliding window, where they see something else than the others.
    sliding: Option<View>,
    /// Where tokens are not in the rows of attention already.
    rows: Option<Rows>,
}

/// How the blocks of one kind of window look at the tokens.
#[derive(Debug)]
pub(crate) enum View {
    /// Tensors of rotations and masks, for any number of tokens.
    General { rotation: Rotation, mask: Mask },
    /// One new token a row after a cache, for the fused kernel.
    Step(Step),
}

impl Plan {
    /// The plan of a whole batch, from its first token on.
    pub(crate) fn of_batch(
        config: &ModelConfig,
        layout: &Layout,
        seq: usize,
        kind: Kind,
        device: Device,
    ) -> Self {
        let positions = layout.positions(seq).to_device(device);
        let documents = layout.documents(seq).map(|d| d.to_device(device));
        let rows = match layout {
            Layout::Shared(branches) => Some(Rows::new(branches, device)),
            _ => None,
        };
        // From here on of a row of attention.
        let seq = rows.as_ref().map_or(seq, Rows::longest);
        let steps = Tensor::arange(seq as i64, (Kind::Int64, device));
        let allowed = |window: Option<usize>| {
            let ago = steps.unsqueeze(1) - steps.unsqueeze(0); // [query, key]
            let mut allowed = ago.ge(0);
            if let Some(width) = window {
                allowed = allowed.logical_and(&ago.lt(width as i64));
            }
            let allowed = allowed.view([1, 1, seq as i64, seq as i64]);
            match &documents {
                None => allowed,
                Some(d) => {
                    let same = d.unsqueeze(2).eq_tensor(&d.unsqueeze(1)).unsqueeze(1);
                    allowed.logical_and(&same)
                }
            }
        };
        let rotation = |rope| Rotation::new(rope, &positions, kind, device);
        let full_mask = match documents {
            None => Mask::Causal,
            Some(_) => Mask::Additive(additive(&allowed(None), kind)),
        };
        let sliding = config.sliding_width().map(|width| View::General {
            rotation: rotation(&config.sliding_rope),
            mask: match documents {
                None if width >= seq => Mask::Causal,
                _ => Mask::Additive(additive(&allowed(Some(width)), kind)),
            },
        });
        let full = View::General { rotation: rotation(&config.rope), mask: full_mask };
        Self { full, sliding, rows }
    }

    /// The plan of `new` tokens after those in `cache`.
    pub(crate) fn after_cache(
        config: &ModelConfig,
        cache: &KvCache,
        new: i64,
        fused: bool,
        (kind, device): (Kind, Device),
    ) -> Self {
        let sliding = config.sliding_width();
        if fused && new == 1 && can_attend(config, kind, device) {
            let step = |rope| View::Step(Step::new(rope, cache.starts(), cache.len()));
            return Self {
                full: step(&config.rope),
                sliding: sliding.map(|_| step(&config.sliding_rope)),
                rows: None,
            };
        }
        let (len, padded, starts) = (cache.len() as i64, cache.is_padded(), cache.starts_tensor());
        let steps = Tensor::arange_start(len, len + new, (Kind::Int64, device));
        let positions = if padded {
            steps.unsqueeze(0) - starts.unsqueeze(1) // [batch, new]
        } else {
            steps.unsqueeze(0)
        };
        let mask = |window: Option<usize>| {
            let narrow = window.is_some_and(|w| (w as i64) < len + new);
            if new == 1 && !padded && !narrow {
                return Mask::All;
            }
            let keys = Tensor::arange(len + new, (Kind::Int64, device));
            let ago = steps.unsqueeze(1) - keys.unsqueeze(0); // [query, key]
            let mut allowed = ago.ge(0);
            if let (Some(width), true) = (window, narrow) {
                allowed = allowed.logical_and(&ago.lt(width as i64));
            }
            let mut allowed = allowed.view([1, 1, new, len + new]);
            if padded {
                let real = keys.unsqueeze(0).ge_tensor(&starts.unsqueeze(1)); // [batch, key]
                allowed = allowed.logical_and(&real.view([-1, 1, 1, len + new]));
            }
            Mask::Additive(additive(&allowed, kind))
        };
        let view = |rope, window| View::General {
            rotation: Rotation::new(rope, &positions, kind, device),
            mask: mask(window),
        };
        Self {
            full: view(&config.rope, None),
            sliding: sliding.map(|width| view(&config.sliding_rope, Some(width))),
            rows: None,
        }
    }

    pub(crate) fn rows(&self) -> Option<&Rows> {
        self.rows.as_ref()
    }

    /// Goes on with some rows of a step only; general views stay those of the whole batch.
    pub(crate) fn keep(&mut self, places: &[usize]) {
        for view in std::iter::once(&mut self.full).chain(&mut self.sliding) {
            if let View::Step(step) = view {
                step.keep(places);
            }
        }
    }

    pub(crate) fn view(&self, window: Window) -> &View {
        match (window, &self.sliding) {
            (Window::Sliding(_), Some(view)) => view,
            _ => &self.full,
        }
    }
}

fn validate_branches(branches: &[Branch], batch: usize, seq: usize) -> Result<(), Error> {
    let bad =
        |what: String, expected: String, found: String| Err(Error::Shape { what, expected, found });
    if batch != 1 {
        let what = "input ids of rows that share tokens".into();
        return bad(what, "1 row".into(), format!("{batch} rows"));
    }
    let own: usize = branches.iter().map(|b| b.own).sum();
    if own != seq {
        let what = "tokens of all rows, shared ones counted once".into();
        return bad(what, seq.to_string(), own.to_string());
    }
    let mut before = 0;
    for (row, branch) in branches.iter().enumerate() {
        if branch.shared > before || branch.is_empty() {
            let what = format!("tokens that row {row} shares with the row before it");
            let found = format!("{} and {} of its own", branch.shared, branch.own);
            return bad(what, format!("at most {before}, and a row of at least one"), found);
        }
        before = branch.len();
    }
    Ok(())
}

/// 0 where allowed, −∞ elsewhere.
fn additive(allowed: &Tensor, kind: Kind) -> Tensor {
    Tensor::zeros(allowed.size(), (kind, allowed.device()))
        .masked_fill_(&allowed.logical_not(), f64::NEG_INFINITY)
}
