//! Where a sample ends at the latest.

use chat_model::{Response, Usage};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Limits on one sample. What is none is not limited.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Turns of the agent's; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// Turns of the whole conversation, the opening and results of tools included; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Tokens of all requests and answers; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Seconds from its beginning; above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<f64>,
    /// Seconds spent answering and in tools; above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_s: Option<f64>,
    /// What its answers may cost, in the currency of [`Price`]; above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

impl Limits {
    /// Checks all ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        for (field, value) in
            [("turns", self.turns), ("messages", self.messages), ("tokens", self.tokens)]
        {
            if value == Some(0) {
                return Err(Error::config(format!("limits.{field}"), "at least 1, or none", 0));
            }
        }
        for (field, value) in
            [("wall_s", self.wall_s), ("working_s", self.working_s), ("cost", self.cost)]
        {
            if let Some(value) = value.filter(|v| !(*v > 0.0 && *v <= 1e9)) {
                let expected = "above 0, at most 1e9, or none";
                return Err(Error::config(format!("limits.{field}"), expected, value));
            }
        }
        Ok(())
    }

    /// Both limits at once: the smaller of each.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        fn min<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(if b < a { b } else { a }),
                (a, b) => a.or(b),
            }
        }
        Self {
            turns: min(self.turns, other.turns),
            messages: min(self.messages, other.messages),
            tokens: min(self.tokens, other.tokens),
            wall_s: min(self.wall_s, other.wall_s),
            working_s: min(self.working_s, other.working_s),
            cost: min(self.cost, other.cost),
        }
    }

    /// The first limit that leaves no room for another turn.
    pub fn reached(&self, spent: &Spent) -> Option<Reached> {
        let counts = [
            (LimitKind::Turns, self.turns, spent.turns),
            (LimitKind::Messages, self.messages, spent.messages),
            (LimitKind::Tokens, self.tokens, spent.tokens),
        ];
        let sums = [
            (LimitKind::Wall, self.wall_s, spent.wall_s),
            (LimitKind::Working, self.working_s, spent.working_s),
            (LimitKind::Cost, self.cost, spent.cost),
        ];
        let counts = counts.into_iter().map(|(k, l, s)| (k, l.map(|l| l as f64), s as f64));
        counts.chain(sums).find_map(|(kind, limit, spent)| {
            limit.filter(|limit| spent >= *limit).map(|limit| Reached { kind, limit, spent })
        })
    }

    /// Seconds left until time is up, if it is limited.
    pub(crate) fn left_s(&self, spent: &Spent) -> Option<(LimitKind, f64)> {
        let wall = self.wall_s.map(|l| (LimitKind::Wall, l - spent.wall_s));
        let working = self.working_s.map(|l| (LimitKind::Working, l - spent.working_s));
        match (wall, working) {
            (Some(a), Some(b)) => Some(if b.1 < a.1 { b } else { a }),
            (a, b) => a.or(b),
        }
        .map(|(kind, left)| (kind, left.max(0.0)))
    }

    /// What a limit is.
    pub(crate) fn of(&self, kind: LimitKind) -> f64 {
        match kind {
            LimitKind::Turns => self.turns.map(|l| l as f64),
            LimitKind::Messages => self.messages.map(|l| l as f64),
            LimitKind::Tokens => self.tokens.map(|l| l as f64),
            LimitKind::Wall => self.wall_s,
            LimitKind::Working => self.working_s,
            LimitKind::Cost => self.cost,
        }
        .unwrap_or(f64::MAX)
    }
}

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// [`Limits::turns`].
    Turns,
    /// [`Limits::messages`].
    Messages,
    /// [`Limits::tokens`].
    Tokens,
    /// [`Limits::wall_s`].
    Wall,
    /// [`Limits::working_s`].
    Working,
    /// [`Limits::cost`].
    Cost,
}

/// A limit that ended a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// Which.
    pub kind: LimitKind,
    /// What it was.
    pub limit: f64,
    /// What had been spent.
    pub spent: f64,
}

/// What a sample has spent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// Turns of the agent's.
    pub turns: u64,
    /// Turns of the conversation.
    pub messages: u64,
    /// Tokens of all requests and answers.
    pub tokens: u64,
    /// Of them, those of requests.
    pub prompt_tokens: u64,
    /// Answers whose endpoint did not tell their tokens; they are estimated at four bytes a token.
    pub estimated: u64,
    /// Seconds from the beginning.
    pub wall_s: f64,
    /// Seconds spent answering and in tools.
    pub working_s: f64,
    /// What the answers cost.
    pub cost: f64,
}

impl Spent {
    pub(crate) fn add(&mut self, response: &Response, request_bytes: u64, price: &Price) {
        let usage = response.usage.unwrap_or_else(|| {
            self.estimated += 1;
            let calls: usize = response.tool_calls.iter().map(|c| c.arguments.len()).sum();
            Usage {
                prompt_tokens: request_bytes.div_ceil(4),
                completion_tokens: (response.text.len() + calls).div_ceil(4) as u64,
                ..Usage::default()
            }
        });
        // Endpoints may tell anything.
        let all = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        self.prompt_tokens = self.prompt_tokens.saturating_add(usage.prompt_tokens);
        self.tokens = self.tokens.saturating_add(all);
        self.cost += price.of(&usage);
    }
}

/// What tokens cost, for a million of them, in a currency of the user's choice.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Tokens of requests; at least 0.
    pub prompt: f64,
    /// Tokens of answers; at least 0.
    pub completion: f64,
    /// Tokens of requests that the endpoint had ready; those of requests if none.
    pub cached: Option<f64>,
}

impl Price {
    /// Price of one answer.
    pub fn of(&self, usage: &Usage) -> f64 {
        let cached = usage.cached_tokens.unwrap_or(0).min(usage.prompt_tokens);
        let fresh = usage.prompt_tokens - cached;
        (fresh as f64 * self.prompt
            + cached as f64 * self.cached.unwrap_or(self.prompt)
            + usage.completion_tokens as f64 * self.completion)
            / 1e6
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        let cached = self.cached.unwrap_or(0.0);
        for (field, value) in
            [("prompt", self.prompt), ("completion", self.completion), ("cached", cached)]
        {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::config(
                    format!("price.{field}"),
                    "a finite number, at least 0",
                    value,
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_reached_at_its_value() {
        let spent = Spent {
            turns: 3,
            messages: 7,
            tokens: 100,
            wall_s: 2.0,
            working_s: 1.0,
            cost: 0.5,
            ..Spent::default()
        };
        let limits = |kind: LimitKind, by: f64| {
            let mut limits = Limits::default();
            match kind {
                LimitKind::Turns => limits.turns = Some((3.0 + by) as u64),
                LimitKind::Messages => limits.messages = Some((7.0 + by) as u64),
                LimitKind::Tokens => limits.tokens = Some((100.0 + by) as u64),
                LimitKind::Wall => limits.wall_s = Some(2.0 + by),
                LimitKind::Working => limits.working_s = Some(1.0 + by),
                LimitKind::Cost => limits.cost = Some(0.5 + by),
            }
            limits
        };
        for kind in [
            LimitKind::Turns,
            LimitKind::Messages,
            LimitKind::Tokens,
            LimitKind::Wall,
            LimitKind::Working,
            LimitKind::Cost,
        ] {
            assert_eq!(limits(kind, 0.0).reached(&spent).map(|r| r.kind), Some(kind));
            assert_eq!(limits(kind, 1.0).reached(&spent), None);
            assert!(limits(kind, 1.0).of(kind) > limits(kind, 0.0).of(kind));
        }
    }

    #[test]
    fn the_smaller_limit_holds() {
        let a = Limits { turns: Some(3), wall_s: Some(1.0), ..Limits::default() };
        let b = Limits { turns: Some(2), wall_s: Some(9.0), cost: Some(1.0), ..Limits::default() };
        let both =
            Limits { turns: Some(2), wall_s: Some(1.0), cost: Some(1.0), ..Limits::default() };
        assert_eq!(a.and(&b), both);
        assert_eq!(b.and(&a), both);
    }

    #[test]
    fn prices_are_for_a_million() {
        let price = Price { prompt: 2.0, completion: 8.0, cached: Some(0.5) };
        let usage = Usage {
            prompt_tokens: 1_000_000,
            completion_tokens: 500_000,
            cached_tokens: Some(400_000),
            ..Usage::default()
        };
        assert!((price.of(&usage) - (1.2 + 0.2 + 4.0)).abs() < 1e-12);
        let nonsense = Usage { cached_tokens: Some(u64::MAX), ..usage };
        assert!((price.of(&nonsense) - 4.5).abs() < 1e-12);
    }

    #[test]
    fn ranges_are_checked() {
        let zero = Limits { turns: Some(0), ..Limits::default() };
        assert!(zero.validate().unwrap_err().to_string().starts_with("limits.turns"));
        let nan = Limits { wall_s: Some(f64::NAN), ..Limits::default() };
        assert!(nan.validate().unwrap_err().to_string().starts_with("limits.wall_s"));
        assert!(Price { prompt: -1.0, ..Price::default() }.validate().is_err());
        assert!(Limits::default().validate().is_ok());
    }
}
