//! `forthright agents plan`.

use agent_evals::{Limits, Sample, Scenario as _, analysis::Arm, arms::ArmScenario};
use clap::Args;
use rl_core::stats::{PairSpread, paired_power, pairs_needed};
use serde::Serialize;
use serde_json::json;

use super::{
    arms::{Ways, arms},
    config::{RunConfig, RunFlags},
    model::AgentChoice,
};
use crate::terminal::print;

/// Turns that a live sample is taken to last, where its limit is not lower.
const LIVE_TURNS: u64 = 8;
/// Tokens of an answer and of what tools say to it, where turns follow each other.
const TURN_TOKENS: u64 = 400;
/// Tokens of an answer to a question, thoughts not counted.
const ANSWER_TOKENS: u64 = 40;
/// Characters of a token.
const TOKEN_CHARACTERS: u64 = 4;

/// What a run would need: samples, requests, tokens, money; and what it could find
///
/// Tokens are guessed from the length of the prompts, and live samples are taken to last 8 turns: take
/// the cost for its order of magnitude, and --max-cost of `agents arms` for a limit.
#[derive(Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    flags: RunFlags,
    #[command(flatten)]
    ways: Ways,
    /// A difference of means to be found; again for more [default: 0.2, 0.1 and 0.05]
    #[arg(long = "delta", value_name = "DIFFERENCE")]
    deltas: Vec<f64>,
    /// Standard deviation of items' differences
    #[arg(long, default_value_t = 0.5)]
    between: f64,
    /// Standard deviation of an epoch's difference around its item's
    #[arg(long, default_value_t = 0.0)]
    within: f64,
    /// Probability to find it
    #[arg(long, default_value_t = 0.8)]
    power: f64,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// What an arm needs, over all scenarios, personas and epochs, for one agent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Needs {
    arm: Arm,
    pub(super) samples: u64,
    requests: u64,
    pub(super) prompt_tokens: u64,
    pub(super) answer_tokens: u64,
}

/// What a difference needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Finds {
    delta: f64,
    pairs: usize,
    power: f64,
}

impl Plan {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.ways.over(self.flags.resolve()?)?;
        let needs = needs(&config)?;
        let taken = config.arms.as_ref().map_or(0, |arms| arms.items);
        let definitions = super::arms::definitions(&config.scenarios)?;
        let of = |all: usize| if taken == 0 { all } else { taken.min(all) };
        let items: usize = definitions.iter().map(|d| of(d.items.len())).sum();
        let spread = PairSpread { between: self.between, within: self.within };
        let sigma = spread.std_dev(config.epochs as usize)?;
        let deltas =
            if self.deltas.is_empty() { vec![0.2, 0.1, 0.05] } else { self.deltas.clone() };
        let finds = deltas
            .into_iter()
            .map(|delta| {
                let pairs = pairs_needed(delta, sigma, self.power, 0.05)?;
                Ok(Finds { delta, pairs, power: paired_power(items, delta, sigma, 0.05)? })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let costs: Vec<(String, f64)> =
            config.agents.iter().map(|agent| (agent.name.clone(), cost(&needs, agent))).collect();
        self.say(&needs, &costs, items, sigma, &finds)
    }

    fn say(
        &self,
        needs: &[Needs],
        costs: &[(String, f64)],
        items: usize,
        sigma: f64,
        finds: &[Finds],
    ) -> anyhow::Result<()> {
        if self.json {
            return print(json!({
                "version": 1, "arms": needs, "items": items, "sigma": sigma, "finds": finds,
                "costs": costs.iter().map(|(a, c)| json!({ "agent": a, "cost": c })).collect::<Vec<_>>(),
            }));
        }
        let mut table = crate::terminal::table([
            "arm",
            "samples",
            "requests",
            "prompt tokens",
            "answer tokens",
        ]);
        for n in needs {
            table.add_row([
                n.arm.to_string(),
                n.samples.to_string(),
                n.requests.to_string(),
                n.prompt_tokens.to_string(),
                n.answer_tokens.to_string(),
            ]);
        }
        print("for each agent:")?;
        print(table)?;
        for (agent, cost) in costs {
            if *cost > 0.0 {
                print(format_args!("{agent}: about {cost:.2} by its prices"))?;
            } else {
                print(format_args!("{agent}: no prices given"))?;
            }
        }
        print(format_args!("\n{items} items; a difference of an item varies by {sigma:.3}"))?;
        let mut table =
            crate::terminal::table(["difference", "items for the power", "power of these items"]);
        for f in finds {
            let (delta, power) = (format!("{:.3}", f.delta), format!("{:.2}", f.power));
            table.add_row([delta, f.pairs.to_string(), power]);
        }
        print(table)
    }
}

/// What the arms of a run need, for one agent, arm by arm.
pub(super) fn needs(config: &RunConfig) -> anyhow::Result<Vec<Needs>> {
    let Some(ways) = &config.arms else { anyhow::bail!("arms: expected them, found none") };
    let all = arms(&config.scenarios, ways)?;
    let times = u64::from(config.epochs) * config.personas.len() as u64;
    let mut out = Vec::new();
    let mut arms: Vec<Arm> = all.iter().map(ArmScenario::arm).collect();
    arms.sort_unstable();
    arms.dedup();
    for arm in arms {
        let mut sum = Needs { arm, samples: 0, requests: 0, prompt_tokens: 0, answer_tokens: 0 };
        for scenario in all.iter().filter(|s| s.arm() == arm) {
            for sample in scenario.samples()? {
                let mut one = of_sample(scenario, &sample, &config.limits)?;
                if ways.awareness {
                    // The whole conversation again, with one question more.
                    one.prompt_tokens += one.prompt_tokens / one.requests + one.answer_tokens;
                    one.answer_tokens += ANSWER_TOKENS;
                    one.requests += 1;
                }
                sum.add(one, times);
            }
        }
        out.push(sum);
    }
    Ok(out)
}

/// What an agent's tokens cost by its prices.
pub(super) fn cost(needs: &[Needs], agent: &AgentChoice) -> f64 {
    let price = &agent.ask.price;
    let of = |n: &Needs| {
        n.prompt_tokens as f64 * price.prompt + n.answer_tokens as f64 * price.completion
    };
    needs.iter().map(of).sum::<f64>() / 1e6
}

impl Needs {
    fn add(&mut self, one: Self, times: u64) {
        self.samples += times * one.samples;
        self.requests += times * one.requests;
        self.prompt_tokens += times * one.prompt_tokens;
        self.answer_tokens += times * one.answer_tokens;
    }
}

fn of_sample(scenario: &ArmScenario, sample: &Sample, limits: &Limits) -> anyhow::Result<Needs> {
    let prompt = scenario.prompt(sample)?;
    let characters: usize = prompt.messages.iter().map(|m| m.text().chars().count()).sum();
    let shown = (characters as u64).div_ceil(TOKEN_CHARACTERS);
    let arm = scenario.arm();
    let least = [scenario.limits().turns, limits.turns].into_iter().flatten().min();
    let (turns, each) = match (arm.is_long(), arm.is_stated()) {
        (false, _) => (1, 0),
        // A conversation of questions grows by as much each time.
        (true, true) => (least.unwrap_or(1), if arm == Arm::Qs { shown } else { ANSWER_TOKENS }),
        (true, false) => (LIVE_TURNS.min(least.unwrap_or(LIVE_TURNS)), TURN_TOKENS),
    };
    let many = arm.is_long() && !arm.is_stated();
    // What was said and done before is shown again in each turn.
    let again = each * turns * turns.saturating_sub(1) / 2;
    Ok(Needs {
        arm,
        samples: 1,
        requests: turns,
        prompt_tokens: shown * turns + again,
        answer_tokens: if many { turns * TURN_TOKENS / 2 } else { turns * ANSWER_TOKENS },
    })
}
