//! Exit rules as arguments.

use std::str::FromStr;

use early_exit_model::Rule;

/// A rule as the user writes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RuleArg(pub(crate) Rule);

const EXPECTED: &str = "off, greedy, sample, threshold=P, forced=BLOCKS, teacher=KAPPA or \
                        random=WEIGHT,WEIGHT,…";

impl FromStr for RuleArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("expected {EXPECTED}, found `{text}`");
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let number = || value.parse::<f64>().map_err(|_| bad());
        Ok(Self(match name {
            "off" if value.is_empty() => Rule::Off,
            "greedy" if value.is_empty() => Rule::Greedy,
            "sample" if value.is_empty() => Rule::Sample,
            "threshold" => Rule::Threshold(number()?),
            "teacher" => Rule::Teacher(number()?),
            "forced" => Rule::Forced(value.parse().map_err(|_| bad())?),
            "random" => {
                let weights = value.split(',').map(|weight| weight.trim().parse::<f64>());
                Rule::Random(weights.collect::<Result<_, _>>().map_err(|_| bad())?)
            }
            _ => return Err(bad()),
        }))
    }
}

/// A rule's name, as the user writes it.
pub(crate) fn name(rule: &Rule) -> String {
    match rule {
        Rule::Off => "off".into(),
        Rule::Greedy => "greedy".into(),
        Rule::Sample => "sample".into(),
        Rule::Threshold(p) => format!("threshold={p}"),
        Rule::Forced(blocks) => format!("forced={blocks}"),
        Rule::Teacher(kappa) => format!("teacher={kappa}"),
        Rule::Random(_) => "random".into(),
        Rule::Prescribed(_) => "prescribed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_others_are_refused() {
        for (text, rule) in [
            ("off", Rule::Off),
            ("greedy", Rule::Greedy),
            ("sample", Rule::Sample),
            ("threshold=0.7", Rule::Threshold(0.7)),
            ("forced=3", Rule::Forced(3)),
            ("teacher=4", Rule::Teacher(4.0)),
        ] {
            assert_eq!(text.parse::<RuleArg>(), Ok(RuleArg(rule.clone())));
            assert_eq!(name(&rule), text);
        }
        let weights = Rule::Random(vec![1.0, 0.0, 2.5]);
        assert_eq!("random=1,0, 2.5".parse::<RuleArg>(), Ok(RuleArg(weights)));
        for text in ["", "deep", "greedy=1", "threshold", "forced=1.5", "random=", "random=a"] {
            let message = text.parse::<RuleArg>().unwrap_err();
            assert!(message.contains(&format!("found `{text}`")), "{message}");
        }
    }
}
