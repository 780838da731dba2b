//! One token a row at a time, through [`causal_lm::generate::StepModel`].

use std::{cell::RefCell, collections::BTreeSet};

use causal_lm::{
    Error as LmError,
    cache::KvCache,
    generate::StepModel,
    model::{Skipped, StepPass},
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rl_core::{kl, seed::Seed};
use tch::{Device, Kind, Tensor};

use super::{Engine, Exit, LeftRows, Rule};
use crate::law::ExitLaw;

/// An [`Engine`] under a rule, and a record of what its rows did.
#[derive(Debug)]
pub struct Decoder<'a> {
    engine: &'a Engine,
    rule: &'a Rule,
    /// Of each request, the exits of its tokens after the first.
    traces: RefCell<Vec<Vec<Exit>>>,
}

/// What a decoder remembers of its rows.
#[derive(Debug)]
pub struct DecodeState {
    cache: KvCache,
    rows: Vec<Row>,
    /// Positions that nothing sees, `[blocks, batch, capacity]`, where skipped blocks are hidden.
    hidden: Option<Tensor>,
}

#[derive(Debug, Clone)]
struct Row {
    request: usize,
    /// For exits alone: tokens are drawn from a stream of their own.
    rng: ChaCha8Rng,
    /// Tokens read after the prompt.
    steps: usize,
}

impl Row {
    fn new(request: usize, seed: u64) -> Self {
        Self { request, rng: Seed::new(seed).derive("exits", 0).rng(), steps: 0 }
    }
}

/// How a row's token went.
#[derive(Debug, Clone, Copy)]
struct Way {
    exit: Exit,
    /// Where it leaves, if that was known beforehand.
    wanted: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(engine: &'a Engine, rule: &'a Rule) -> Self {
        Self { engine, rule, traces: RefCell::new(Vec::new()) }
    }

    /// The exits of each request's tokens after the first; those of rows that had ended, but ran on
    /// beside others, among them.
    pub fn into_traces(self) -> Vec<Vec<Exit>> {
        self.traces.into_inner()
    }

    /// Where the rows' tokens will leave, for rules that do not look at them.
    fn plan(&self, rows: &mut [Row]) -> Vec<Way> {
        let all = self.engine.sites.num_layers();
        rows.iter_mut()
            .map(|row| {
                let wanted = match self.rule {
                    Rule::Forced(blocks) => *blocks,
                    Rule::Random(weights) => {
                        let executed = self.engine.sites.executed();
                        executed[weighted(weights, row.rng.random())]
                    }
                    Rule::Prescribed(exits) => {
                        let of_row = exits.get(row.request);
                        of_row.and_then(|exits| exits.get(row.steps)).copied().unwrap_or(all)
                    }
                    _ => all,
                };
                Way { exit: Exit { blocks: all, log_prob: 0.0 }, wanted }
            })
            .collect()
    }

    /// Blocks before which rows can leave.
    fn stops(&self, ways: &[Way]) -> Vec<usize> {
        let sites = &self.engine.sites;
        match self.rule {
            Rule::Sample | Rule::Greedy | Rule::Threshold(_) => sites.blocks().to_vec(),
            _ => {
                let wanted: BTreeSet<usize> = ways.iter().map(|way| way.wanted).collect();
                wanted.into_iter().filter(|&blocks| blocks < sites.num_layers()).collect()
            }
        }
    }

    /// Whether each row in the pass leaves before block `stop`.
    fn decide(
        &self,
        pass: &mut StepPass<'_>,
        stop: usize,
        rows: &mut [Row],
        ways: &mut [Way],
    ) -> Result<Vec<bool>, LmError> {
        let all = self.engine.sites.num_layers();
        let there = |way: &Way| way.exit.blocks == all;
        let least = match self.rule {
            Rule::Sample => None,
            Rule::Greedy => Some(0.5),
            Rule::Threshold(least) => Some(*least),
            _ => {
                let leaves = |&row: &usize| there(&ways[row]) && ways[row].wanted == stop;
                return Ok(pass.rows().iter().map(leaves).collect());
            }
        };
        let Some(site) = self.engine.sites.outcome(stop) else { return Ok(Vec::new()) };
        let logits = to_vec(&self.engine.gates.gate(site).forward(&pass.states()));
        let mut leaving = Vec::with_capacity(logits.len());
        for (&row, logit) in pass.rows().iter().zip(logits) {
            if !logit.is_finite() {
                let what = format!("the gate's logit before block {stop}");
                return Err(LmError::NotFinite { what, found: logit.to_string() });
            }
            if !there(&ways[row]) {
                leaving.push(false);
                continue;
            }
            let p = 1.0 / (1.0 + (-f64::from(logit)).exp());
            let leaves = match least {
                Some(least) => p > least,
                None => rows[row].rng.random::<f64>() < p,
            };
            ways[row].exit.log_prob += log_sigmoid(if leaves { logit } else { -logit });
            leaving.push(leaves);
        }
        Ok(leaving)
    }

    /// One step under a rule that lets rows leave.
    fn leave(&self, state: &mut DecodeState, ids: &Tensor) -> Result<Tensor, LmError> {
        let Engine { lm, frozen, skipped, sites, left, .. } = self.engine;
        let mut ways = self.plan(&mut state.rows);
        let stops = self.stops(&ways);
        let position = state.cache.len() as i64;
        let mut pass = StepPass::new(lm, ids, &mut state.cache, state.hidden.as_ref())?;
        // Rows in the order in which they left, and their states.
        let (mut order, mut states): (Vec<usize>, Vec<Tensor>) = (Vec::new(), Vec::new());
        for stop in stops {
            pass.run_to(stop);
            if order.len() == ways.len() {
                break;
            }
            let flags = self.decide(&mut pass, stop, &mut state.rows, &mut ways)?;
            let places: Vec<usize> = (0..flags.len()).filter(|&place| flags[place]).collect();
            if places.is_empty() {
                continue;
            }
            let rows: Vec<usize> = places.iter().map(|&place| pass.rows()[place]).collect();
            for &row in &rows {
                ways[row].exit.blocks = stop;
            }
            states.push(match (skipped, left) {
                (Skipped::Backfill, _) => {
                    pass.states().index_select(0, &index(&places, lm.device()))
                }
                (_, LeftRows::Carried) => pass.pin(&places),
                (_, LeftRows::Dropped) => pass.leave(&places),
            });
            if let Some(hidden) = &state.hidden {
                let behind = hidden.narrow(0, stop as i64, (sites.num_layers() - stop) as i64);
                let _ = behind.select(2, position).index_fill_(1, &index(&rows, lm.device()), 1);
            }
            order.extend(rows);
        }
        pass.run_to(sites.num_layers());
        if order.len() < ways.len() {
            let stayed: Vec<usize> = (0..pass.rows().len())
                .filter(|&place| !order.contains(&pass.rows()[place]))
                .collect();
            order.extend(stayed.iter().map(|&place| pass.rows()[place]));
            let last = pass.states();
            let whole = stayed.len() == pass.rows().len();
            states.push(if whole {
                last
            } else {
                last.index_select(0, &index(&stayed, lm.device()))
            });
        }
        pass.finish(Some(frozen));
        let mut back = vec![0; order.len()];
        for (place, &row) in order.iter().enumerate() {
            back[row] = place;
        }
        let states = if states.len() == 1 { states.remove(0) } else { Tensor::cat(&states, 0) };
        let states = if order.is_sorted() {
            states
        } else {
            states.index_select(0, &index(&back, lm.device()))
        };
        self.record(&mut state.rows, &ways);
        Ok(lm.logits(&lm.final_norm().forward(&states)))
    }

    /// One step under [`Rule::Teacher`].
    fn teach(&self, state: &mut DecodeState, ids: &Tensor, kappa: f64) -> Result<Tensor, LmError> {
        let Engine { lm, frozen, sites, skipped, .. } = self.engine;
        let mut ways = self.plan(&mut state.rows);
        let position = state.cache.len() as i64;
        let mut pass = StepPass::new(lm, ids, &mut state.cache, state.hidden.as_ref())?;
        let mut states = Vec::new();
        for stop in sites.executed() {
            pass.run_to(stop);
            states.push(pass.states());
        }
        let logits: Vec<Tensor> =
            states.iter().map(|states| lm.logits(&lm.final_norm().forward(states))).collect();
        let (last, early) = logits.split_last().unwrap_or_else(|| unreachable!("there is a site"));
        let divergences: Vec<Tensor> = early
            .iter()
            .map(|early| {
                kl::exact(last, early).unwrap_or_else(|_| unreachable!("logits of one model"))
            })
            .collect();
        let law = ExitLaw::of_divergences(&Tensor::stack(&divergences, 1), kappa);
        let n = sites.len();
        let uniforms: Vec<f32> = state
            .rows
            .iter_mut()
            .flat_map(|row| (0..n).map(|_| row.rng.random::<f32>()).collect::<Vec<_>>())
            .collect();
        let uniforms = Tensor::from_slice(&uniforms).view([-1, n as i64]).to_device(lm.device());
        let outcomes = law.sample(&uniforms);
        let log_probs = to_vec(&law.log_prob(&outcomes));
        let chosen: Vec<i64> = Vec::try_from(outcomes.to_device(Device::Cpu)).unwrap_or_default();
        for ((way, &outcome), log_prob) in ways.iter_mut().zip(&chosen).zip(log_probs) {
            way.exit = Exit { blocks: sites.executed()[outcome as usize], log_prob };
        }
        for (site, &block) in sites.blocks().iter().enumerate() {
            let rows: Vec<usize> = (0..ways.len()).filter(|&r| chosen[r] == site as i64).collect();
            if rows.is_empty() || *skipped == Skipped::Backfill {
                continue;
            }
            let rows_index = index(&rows, lm.device());
            pass.freeze(&rows, &states[site].index_select(0, &rows_index), block);
            if let Some(hidden) = &state.hidden {
                let behind = hidden.narrow(0, block as i64, (sites.num_layers() - block) as i64);
                let _ = behind.select(2, position).index_fill_(1, &rows_index, 1);
            }
        }
        pass.finish(Some(frozen));
        self.record(&mut state.rows, &ways);
        let picked = Tensor::stack(&logits, 1); // [rows, outcomes, vocab]
        let rows: Vec<usize> = (0..ways.len()).collect();
        Ok(picked.index(&[Some(index(&rows, lm.device())), Some(outcomes)]))
    }

    fn record(&self, rows: &mut [Row], ways: &[Way]) {
        let mut traces = self.traces.borrow_mut();
        for (row, way) in rows.iter_mut().zip(ways) {
            row.steps += 1;
            if traces.len() <= row.request {
                traces.resize(row.request + 1, Vec::new());
            }
            traces[row.request].push(way.exit);
        }
    }
}

impl StepModel for Decoder<'_> {
    type State = DecodeState;

    fn vocab(&self) -> usize {
        self.engine.lm.vocab()
    }

    fn max_context(&self) -> usize {
        self.engine.lm.max_context()
    }

    fn prefill(
        &self,
        prompts: &[&[u32]],
        max_new_tokens: usize,
    ) -> Result<(DecodeState, Tensor), LmError> {
        let Engine { lm, sites, skipped, .. } = self.engine;
        let (cache, logits) = lm.prefill(prompts, max_new_tokens)?;
        let hidden = (*skipped == Skipped::Hide).then(|| {
            let size = [sites.num_layers(), cache.batch(), cache.capacity()].map(|n| n as i64);
            Tensor::zeros(size, (Kind::Bool, lm.device()))
        });
        // Until they are assigned, rows are numbered.
        let rows = (0..cache.batch()).map(|row| Row::new(row, row as u64)).collect();
        Ok((DecodeState { cache, rows, hidden }, logits))
    }

    fn assign(&self, state: &mut DecodeState, requests: &[usize], seeds: &[u64]) {
        state.rows = requests.iter().zip(seeds).map(|(&of, &seed)| Row::new(of, seed)).collect();
    }

    fn step(&self, state: &mut DecodeState, tokens: &[u32]) -> Result<Tensor, LmError> {
        let _guard = tch::no_grad_guard();
        if *self.rule == Rule::Off {
            return self.engine.lm.step(&mut state.cache, tokens);
        }
        let ids: Vec<i64> = tokens.iter().map(|&t| i64::from(t)).collect();
        let ids = Tensor::from_slice(&ids).unsqueeze(1).to_device(self.engine.lm.device());
        match self.rule {
            Rule::Teacher(kappa) => self.teach(state, &ids, *kappa),
            _ => self.leave(state, &ids),
        }
    }

    fn select(&self, state: &DecodeState, rows: &[usize]) -> Result<DecodeState, LmError> {
        let index = index(rows, self.engine.lm.device());
        Ok(DecodeState {
            cache: state.cache.select(rows),
            rows: rows.iter().map(|&row| state.rows[row].clone()).collect(),
            hidden: state.hidden.as_ref().map(|hidden| hidden.index_select(1, &index)),
        })
    }
}

fn index(rows: &[usize], device: Device) -> Tensor {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    Tensor::from_slice(&rows).to_device(device)
}

/// log σ(x).
fn log_sigmoid(x: f32) -> f32 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// The index at the fraction `u` of the weights' sum.
fn weighted(weights: &[f64], u: f64) -> usize {
    let target = u * weights.iter().sum::<f64>();
    let mut mass = 0.0;
    let mut last = 0;
    for (i, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        mass += weight;
        last = i;
        if mass > target {
            break;
        }
    }
    last
}

fn to_vec(t: &Tensor) -> Vec<f32> {
    Vec::try_from(t.to_device(Device::Cpu).to_kind(Kind::Float).contiguous()).unwrap_or_default()
}
