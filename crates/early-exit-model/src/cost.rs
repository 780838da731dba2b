//! What a token costs, depth by depth.

use causal_lm::{
    config::{Mlp, ModelConfig},
    model::Skipped,
};

use crate::{gates::GateKind, sites::Sites};

/// Multiplications and additions, two a weight, of the parts of a decoding step.
///
/// Norms, rotations and softmax are left out: they are far below one percent.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    sites: Sites,
    skipped: Skipped,
    /// Query, output of attention and feed-forward part of one block.
    active: f64,
    /// Keys and values of one block.
    keys_values: f64,
    /// Scores and mixing of one block, a position that is seen.
    seen: f64,
    head: f64,
    gate: f64,
}

impl Cost {
    /// Of a model with these exits.
    pub fn new(config: &ModelConfig, sites: &Sites, gate: GateKind, skipped: Skipped) -> Self {
        let [hidden, wide, vocab] =
            [config.hidden, config.intermediate, config.vocab].map(|n| n as f64);
        let q_dim = (config.num_heads * config.head_dim) as f64;
        let kv_dim = (config.num_kv_heads * config.head_dim) as f64;
        let matrices = if config.mlp == Mlp::Gated { 3.0 } else { 2.0 };
        Self {
            sites: sites.clone(),
            skipped,
            active: 2.0 * (2.0 * q_dim * hidden + matrices * wide * hidden),
            keys_values: 2.0 * 2.0 * kv_dim * hidden,
            seen: 2.0 * 2.0 * q_dim,
            head: 2.0 * hidden * vocab,
            gate: match gate {
                GateKind::Mlp => 2.0 * (2.0 * hidden * hidden + 2.0 * hidden),
                GateKind::Linear => 2.0 * hidden,
            },
        }
    }

    /// Of one token that leaves after `blocks` blocks and sees `context` positions, the head left
    /// out. The keys and values of skipped blocks, and the gates that were asked, are in it; `gated`
    /// says whether gates were.
    pub fn blocks(&self, blocks: usize, context: usize, gated: bool) -> f64 {
        let all = self.sites.num_layers();
        let run = if self.skipped == Skipped::Backfill { all } else { blocks };
        let asked = self.sites.blocks().iter().filter(|&&site| site <= blocks).count();
        let gates = if gated { asked as f64 * self.gate } else { 0.0 };
        let per_block = self.active + self.seen * context as f64;
        run as f64 * per_block + all as f64 * self.keys_values + gates
    }

    /// Of the head, for one token.
    pub fn head(&self) -> f64 {
        self.head
    }

    /// The share of the work of all blocks and the head that such a token saves.
    pub fn saved(&self, blocks: usize, context: usize, gated: bool) -> f64 {
        let full = self.blocks(self.sites.num_layers(), context, false) + self.head;
        1.0 - (self.blocks(blocks, context, gated) + self.head) / full
    }
}
