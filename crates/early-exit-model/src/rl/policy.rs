//! Log-probabilities of tokens and exits, scored and with gradients.

use causal_lm::{finetune::Example, head_loss::log_prob_head, score::predictions};
use tch::{Kind, Tensor};

use super::{RlConfig, credit::Credit, trainer::Rollout};
use crate::{Error, forward::Exits, model::EarlyExitModel, tokens::Answers};

/// What policy and reference say of one answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// `log π` of every token, under the exits.
    pub(super) tokens: Vec<f32>,
    /// `log q` of every exit.
    pub(super) exits: Vec<f32>,
    /// `log π_ref` of every token: all blocks, no adapter.
    pub(super) reference: Vec<f32>,
}

/// The exits of a pass, as its forward pass wants them.
fn exits(answers: &Answers, rollouts: &[&Rollout]) -> Tensor {
    let blocks: Vec<i64> = answers
        .rows
        .iter()
        .flat_map(|&(i, _)| rollouts[i].exits.iter().map(|exit| exit.blocks as i64))
        .collect();
    Tensor::from_slice(&blocks).to_device(answers.free.device())
}

/// Scores answers as they were sampled, without gradient.
pub(super) fn score(
    model: &EarlyExitModel,
    rollouts: &[&Rollout],
    examples: &[Example],
    config: &RlConfig,
) -> Result<Vec<Said>, Error> {
    let _guard = tch::no_grad_guard();
    let refs: Vec<&Example> = examples.iter().collect();
    let mut out = vec![Said::default(); rollouts.len()];
    let (temperature, rows) = (config.rollout.temperature, config.logit_rows);
    for answers in Answers::plan(&refs, config.pass_tokens, model.device()) {
        let exits = exits(&answers, rollouts);
        let sequences = answers.sequences();
        let traced = model.forward(&sequences, Exits::Prescribed(&exits))?;
        let targets = &answers.batch.targets;
        let of = |lm: &causal_lm::CausalLm, hidden: &Tensor| {
            let states = answers.predicting(hidden);
            to_vec(&predictions(lm, &states, targets, temperature, rows).log_probs)
        };
        let tokens = of(&model.model(), &traced.hidden);
        let reference = of(model.reference(), &model.teacher(&sequences)?);
        let gates = to_vec(&traced.log_prob(model.sites())?);
        let (mut token, mut free) = (0, 0);
        for &(i, count) in &answers.rows {
            out[i] = Said {
                tokens: tokens[token..token + count].to_vec(),
                exits: gates[free..free + count - 1].to_vec(),
                reference: reference[token..token + count].to_vec(),
            };
            token += count;
            free += count - 1;
        }
    }
    Ok(out)
}

/// Adds the gradient of the loss of answers with these credits, and returns the loss:
/// `−(1/K) Σ_k (1/T_k) Σ_t (token_t log π + exit_t log q)`.
pub(super) fn backward(
    model: &EarlyExitModel,
    rollouts: &[&Rollout],
    examples: &[Example],
    credits: &[Credit],
    config: &RlConfig,
) -> Result<f64, Error> {
    let refs: Vec<&Example> = examples.iter().collect();
    let device = model.device();
    let mut loss = 0.0;
    for answers in Answers::plan(&refs, config.pass_tokens, device) {
        let weights = |of: fn(&Credit) -> &[f64]| {
            let weights: Vec<f32> = answers
                .rows
                .iter()
                .flat_map(|&(i, count)| {
                    let share = 1.0 / (count * rollouts.len()) as f64;
                    of(&credits[i]).iter().map(move |credit| (credit * share) as f32)
                })
                .collect();
            Tensor::from_slice(&weights).to_device(device)
        };
        let token_weights = weights(|credit| &credit.tokens);
        let exit_weights = weights(|credit| &credit.exits);
        let exits = exits(&answers, rollouts);
        let lm = model.computing();
        let traced = crate::forward::traced(
            &lm,
            model.gates(),
            model.sites(),
            model.config().skipped,
            &answers.sequences(),
            Exits::Prescribed(&exits),
        )?;
        let states = answers.predicting(&traced.hidden);
        let of_tokens = log_prob_head(
            &lm,
            &states,
            &answers.batch.targets,
            config.rollout.temperature,
            config.logit_rows,
            |log_probs, rows| {
                let weights = token_weights.narrow(0, rows.start as i64, rows.len() as i64);
                (log_probs * weights).sum(Kind::Double) * -1.0
            },
        );
        let of_exits = (traced.log_prob(model.sites())? * exit_weights).sum(Kind::Float) * -1.0;
        loss += of_tokens.head.value + of_exits.double_value(&[]);
        of_tokens.head.backward(&states, Some(of_exits));
    }
    Ok(loss)
}

fn to_vec(t: &Tensor) -> Vec<f32> {
    Vec::try_from(t.to_device(tch::Device::Cpu).to_kind(Kind::Float)).unwrap_or_default()
}
