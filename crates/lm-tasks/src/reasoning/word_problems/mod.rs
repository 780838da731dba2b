//! Stories with numbers.

mod themes;

use serde::{Deserialize, Serialize};
use themes::{NAMES, THEMES, Theme};

use super::{
    Form,
    draw::Draw,
    generate::{Generate, Instance, Worked, check_range},
};
use crate::Error;

/// Small word problems from templates of ours: somebody has a number of things, which becomes more
/// or less in one to three steps of arithmetic, and may be divided in the end.
///
/// Content: the things, the operations and the numbers, not names or wording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct WordProblems {
    /// Fewest operations, at least 1.
    pub min_steps: u64,
    /// Most operations, at most 8.
    pub max_steps: u64,
    /// Largest number that begins a story or is added, 10 to 1,000,000. Results may be larger.
    pub max_number: u64,
}

impl Default for WordProblems {
    fn default() -> Self {
        Self { min_steps: 1, max_steps: 3, max_number: 60 }
    }
}

/// What happens to the number of things.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Gain(u64),
    Loss(u64),
    /// So many groups of so many: two operations.
    Groups(u64, u64),
    Times(u64),
    Share(u64),
}

impl Event {
    fn apply(self, now: u64) -> u64 {
        match self {
            Self::Gain(n) => now + n,
            Self::Loss(n) => now - n,
            Self::Groups(n, k) => now + n * k,
            Self::Times(n) => now * n,
            Self::Share(n) => now / n,
        }
    }
}

impl Generate for WordProblems {
    fn validate(&self) -> Result<(), Error> {
        let steps = (self.min_steps, self.max_steps);
        check_range("word_problems steps", steps, (1, 8), "a range within 1 to 8")?;
        let number = (self.max_number, self.max_number);
        check_range("word_problems max_number", number, (10, 1_000_000), "10 to 1000000")
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let theme = draw.index(THEMES.len());
        let start = draw.within(6, self.max_number);
        let mut story = Story {
            theme: &THEMES[theme],
            name: draw.pick(&NAMES),
            start,
            events: Vec::new(),
            phrases: Vec::new(),
        };
        let mut left = draw.within(self.min_steps, self.max_steps);
        let mut now = start;
        while left > 0 {
            let (event, operations) = self.event(now, left, draw);
            now = event.apply(now);
            story.events.push(event);
            left -= operations;
        }
        story.phrases = (0..story.events.len() + 2).map(|_| draw.index(2)).collect();
        Box::new(story)
    }
}

impl WordProblems {
    /// What happens next, and how many operations it is. No number exceeds
    /// 10⁶ · 4⁸ + 10⁶ · 4⁷ + … < 2⁶⁴.
    fn event(&self, now: u64, left: u64, draw: &mut Draw) -> (Event, u64) {
        match draw.below(5) {
            0 if now > 2 => (Event::Loss(draw.within(1, now - 1)), 1),
            1 if left >= 2 => {
                let groups = draw.within(2, 6);
                (Event::Groups(groups, draw.within(2, (self.max_number / groups).max(2))), 2)
            }
            2 => (Event::Times(draw.within(2, 4)), 1),
            3 if left == 1 => {
                let parts: Vec<u64> =
                    (2..=12.min(now / 2)).filter(|parts| now.is_multiple_of(*parts)).collect();
                if parts.is_empty() {
                    return (Event::Gain(draw.within(1, self.max_number)), 1);
                }
                (Event::Share(draw.pick(&parts)), 1)
            }
            _ => (Event::Gain(draw.within(1, self.max_number)), 1),
        }
    }
}

struct Story {
    theme: &'static Theme,
    name: &'static str,
    start: u64,
    events: Vec<Event>,
    /// Wording of the start, each event, and the question.
    phrases: Vec<usize>,
}

impl Story {
    fn is_shared(&self) -> bool {
        matches!(self.events.last(), Some(Event::Share(_)))
    }
}

impl Instance for Story {
    fn key(&self) -> String {
        format!("{} {} {:?}", self.theme.things, self.start, self.events)
    }

    fn prompt(&self) -> String {
        let theme = self.theme;
        let fill = |text: &str, n: u64, k: u64| {
            let text = text.replace("{name}", self.name);
            text.replace("{n}", &n.to_string()).replace("{k}", &k.to_string())
        };
        let mut sentences = vec![fill(theme.start[self.phrases[0]], self.start, 0)];
        for (event, &phrase) in self.events.iter().zip(&self.phrases[1..]) {
            sentences.push(match *event {
                Event::Gain(n) => fill(theme.gain[phrase], n, 0),
                Event::Loss(n) => fill(theme.loss[phrase], n, 0),
                Event::Groups(n, k) => fill(theme.groups[phrase], n, k),
                Event::Times(n) => fill(theme.times[phrase], n, 0),
                Event::Share(n) => fill(theme.share[phrase], n, 0),
            });
        }
        let phrase = self.phrases[self.phrases.len() - 1];
        let question = if self.is_shared() { theme.shared } else { theme.question[phrase] };
        sentences.push(fill(question, 0, 0));
        sentences.join(" ")
    }

    fn form(&self) -> Form {
        Form::Number
    }

    fn styles(&self) -> usize {
        3
    }

    fn work(&self, style: usize, slip: Option<usize>) -> Worked {
        let things = self.theme.things;
        // An error that goes through a division without rest.
        let error = |i: usize| match self.events.last() {
            Some(&Event::Share(n)) if i + 1 < self.events.len() => n,
            _ => 1,
        };
        let mut now = self.start;
        let mut lines = Vec::new();
        for (i, &event) in self.events.iter().enumerate() {
            let before = now;
            now = event.apply(now);
            if slip == Some(i) {
                now += error(i);
            }
            lines.push(match (event, style) {
                (Event::Gain(n), 0) => format!("With {n} more it is {before} + {n} = {now}."),
                (Event::Gain(n), 1) => {
                    format!("Adding {n} to {before} gives {before} + {n} = {now} {things}.")
                }
                (Event::Gain(n), _) => format!("{before} + {n} = {now}, since {n} are added."),
                (Event::Loss(n), 0) => format!("Without {n} it is {before} - {n} = {now}."),
                (Event::Loss(n), 1) => {
                    format!("Taking {n} from {before} leaves {before} - {n} = {now} {things}.")
                }
                (Event::Loss(n), _) => format!("{before} - {n} = {now}, since {n} are gone."),
                (Event::Groups(n, k), _) => {
                    let sum = n * k;
                    match style {
                        0 => format!("{n} times {k} is {n} × {k} = {sum}, and {before} + {sum} = {now}."),
                        1 => format!(
                            "The {n} groups have {n} × {k} = {sum} {things}, which makes {before} + {sum} = {now}."
                        ),
                        _ => format!("{n} × {k} = {sum} are added: {before} + {sum} = {now}."),
                    }
                }
                (Event::Times(n), 0) => format!("{n} times as many is {before} × {n} = {now}."),
                (Event::Times(n), 1) => {
                    format!("Multiplying {before} by {n} gives {before} × {n} = {now} {things}.")
                }
                (Event::Times(n), _) => format!("{before} × {n} = {now}, being {n} times as many."),
                (Event::Share(n), 0) => format!("Each part is {before} / {n} = {now}."),
                (Event::Share(n), 1) => {
                    format!("Dividing {before} by {n} gives {before} / {n} = {now} {things} each.")
                }
                (Event::Share(n), _) => format!("{before} / {n} = {now}, in {n} equal parts."),
            });
        }
        Worked::lines(lines, now)
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        let operations = |event: &Event| if matches!(event, Event::Groups(..)) { 2 } else { 1 };
        let largest = self.events.iter().scan(self.start, |now, &event| {
            *now = event.apply(*now);
            Some(*now)
        });
        let largest = largest.fold(self.start, u64::max);
        vec![("steps", self.events.iter().map(operations).sum()), ("largest", largest)]
    }
}
