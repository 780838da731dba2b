//! Stories of who believes a thing to be where.

mod story;

use serde::{Deserialize, Serialize};
use story::Story;

use super::{
    Form,
    draw::Draw,
    generate::{Generate, Instance, Worked, check_range, check_share},
};
use crate::Error;

/// Stories in which people leave and come back while a thing is moved, with questions about where it
/// is, was, or is believed to be.
///
/// A person knows of a move if they were in the room, or watched it unnoticed through the window. One
/// person knows that another knows of a move if both were in the room, or if they themselves watched
/// unnoticed while the other was in the room. Closed containers show nothing to who comes back.
///
/// The kind of stories follows those of `ExploreToM`; text and structure are ours.
///
/// Content: the story without names; all questions about it fall on the same side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FalseBelief {
    /// Fewest people, at least 2.
    pub min_people: u64,
    /// Most people, at most 6.
    pub max_people: u64,
    /// Fewest moves after the thing is first put somewhere, at least 1.
    pub min_moves: u64,
    /// Most moves, at most 12.
    pub max_moves: u64,
    /// Chance that somebody outside watches a move unnoticed.
    pub watching: f64,
    /// Kinds of questions, each equally likely; at least one. A kind that is named twice is twice as
    /// likely.
    pub questions: Vec<BeliefQuestion>,
}

/// Kinds of questions about a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BeliefQuestion {
    /// A control: where the thing is at the end.
    Reality,
    /// A control: where it was first.
    Memory,
    /// Where somebody believes it to be.
    FirstOrder,
    /// Where somebody believes that another believes it to be.
    SecondOrder,
}

impl Default for FalseBelief {
    fn default() -> Self {
        Self {
            min_people: 2,
            max_people: 4,
            min_moves: 1,
            max_moves: 3,
            watching: 0.2,
            questions: vec![
                BeliefQuestion::Reality,
                BeliefQuestion::Memory,
                BeliefQuestion::FirstOrder,
                BeliefQuestion::SecondOrder,
            ],
        }
    }
}

impl Generate for FalseBelief {
    fn validate(&self) -> Result<(), Error> {
        let people = (self.min_people, self.max_people);
        check_range("false_belief people", people, (2, 6), "a range within 2 to 6")?;
        let moves = (self.min_moves, self.max_moves);
        check_range("false_belief moves", moves, (1, 12), "a range within 1 to 12")?;
        check_share("false_belief watching", self.watching)?;
        let count = self.questions.len() as u64;
        check_range("false_belief questions", (count, count), (1, 1_000), "1 to 1000 kinds")
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let people = draw.within(self.min_people, self.max_people) as usize;
        let moves = draw.within(self.min_moves, self.max_moves);
        let story = Story::draw(people, moves, self.watching, draw);
        let kind = draw.pick(&self.questions);
        let mut asked = Asked { story, kind, who: 0, about: 0, phrase: draw.index(2) };
        // A few tries for somebody whose belief is not simply the truth.
        for _ in 0..4 {
            let pair = draw.several(&(0..people).collect::<Vec<_>>(), 2);
            (asked.who, asked.about) = (pair[0], pair[1]);
            if asked.place(None) != asked.story.last_place() {
                break;
            }
        }
        Box::new(asked)
    }
}

struct Asked {
    story: Story,
    kind: BeliefQuestion,
    who: usize,
    /// Whose belief `who` is asked about, in questions of second order.
    about: usize,
    phrase: usize,
}

impl Asked {
    /// Which placings of the thing count for the question, in order.
    fn counts(&self) -> Vec<bool> {
        let placings = self.story.placings();
        placings
            .iter()
            .enumerate()
            .map(|(i, placing)| match self.kind {
                BeliefQuestion::Reality => i + 1 == placings.len(),
                BeliefQuestion::Memory => i == 0,
                BeliefQuestion::FirstOrder => placing.knows(self.who),
                BeliefQuestion::SecondOrder => placing.knows_of(self.who, self.about),
            })
            .collect()
    }

    /// The container that answers the question: of the last placing that counts. With a slip at a
    /// placing, that one counts if it does not, and the other way round.
    fn place(&self, slip: Option<usize>) -> usize {
        let placings = self.story.placings();
        let counts = self.counts();
        let last = (0..placings.len()).rfind(|&i| counts[i] != (slip == Some(i) && i > 0));
        placings[last.unwrap_or(0)].container
    }
}

impl Instance for Asked {
    fn key(&self) -> String {
        self.story.key()
    }

    fn prompt(&self) -> String {
        let thing = self.story.thing();
        let (who, about) = (self.story.name(self.who), self.story.name(self.about));
        let question = match (self.kind, self.phrase) {
            (BeliefQuestion::Reality, 0) => format!("Where is the {thing} now?"),
            (BeliefQuestion::Reality, _) => format!("In the end, where is the {thing} really?"),
            (BeliefQuestion::Memory, 0) => format!("Where was the {thing} first put?"),
            (BeliefQuestion::Memory, _) => {
                format!("Where was the {thing} at the beginning, before it was moved?")
            }
            (BeliefQuestion::FirstOrder, 0) => {
                format!("Where will {who} look for the {thing} first?")
            }
            (BeliefQuestion::FirstOrder, _) => format!("Where does {who} think the {thing} is?"),
            (BeliefQuestion::SecondOrder, 0) => {
                format!("Where does {who} think that {about} will look for the {thing} first?")
            }
            (BeliefQuestion::SecondOrder, _) => {
                format!("According to {who}, where does {about} think the {thing} is?")
            }
        };
        format!("{}\n\n{question} Name the container.", self.story.text())
    }

    fn form(&self) -> Form {
        Form::Words
    }

    fn styles(&self) -> usize {
        2
    }

    fn work(&self, style: usize, slip: Option<usize>) -> Worked {
        let placings = self.story.placings();
        let thing = self.story.thing();
        let (who, about) = (self.story.name(self.who), self.story.name(self.about));
        let mut lines = Vec::new();
        for (i, (placing, counts)) in placings.iter().zip(self.counts()).enumerate() {
            let counts = counts != (slip == Some(i) && i > 0);
            let (mover, container) =
                (self.story.name(placing.mover), self.story.container(placing.container));
            let what = match (style, i) {
                (0, 0) => format!("{mover} puts the {thing} in the {container}"),
                (0, _) => format!("{mover} moves it to the {container}"),
                (_, 0) => format!("First the {thing} goes into the {container}"),
                (_, _) => format!("Then {mover} takes it over to the {container}"),
            };
            let not = if counts { "" } else { " not" };
            lines.push(match (self.kind, style) {
                (BeliefQuestion::Reality, 0) if counts => format!("{what}, and there it stays."),
                (BeliefQuestion::Reality, 0) => format!("{what}, but not for good."),
                (BeliefQuestion::Reality, _) => format!("{what}, which is{not} its last place."),
                (BeliefQuestion::Memory, 0) => format!("{what}; this is{not} the first place."),
                (BeliefQuestion::Memory, _) => {
                    format!("{what}, which does{not} tell where it was at first.")
                }
                (BeliefQuestion::FirstOrder, 0) => {
                    format!("{what}; {who} does{not} see it.").replace("does see", "sees")
                }
                (BeliefQuestion::FirstOrder, _) => format!("{what}, and {who} knows{not} of that.")
                    .replace("knows not of", "has no idea of"),
                (BeliefQuestion::SecondOrder, 0) => {
                    format!("{what}; {who} does{not} know that {about} sees it.")
                        .replace("does know", "knows")
                }
                (BeliefQuestion::SecondOrder, _) => {
                    let sure = if counts { "is aware" } else { "is not aware" };
                    format!("{what}, and {who} {sure} of {about} seeing that.")
                }
            });
        }
        let mut place = self.place(slip);
        if slip == Some(placings.len()) {
            place = self.story.other_container(place);
        }
        let place = self.story.container(place);
        lines.push(match (self.kind, style) {
            (BeliefQuestion::Reality, 0) => format!("So the {thing} is in the {place}."),
            (BeliefQuestion::Reality, _) => format!("Its last place is the {place}."),
            (BeliefQuestion::Memory, 0) => format!("So the {thing} was first in the {place}."),
            (BeliefQuestion::Memory, _) => format!("At the beginning it was in the {place}."),
            (BeliefQuestion::FirstOrder, 0) => {
                format!("So {who} believes that the {thing} is in the {place}.")
            }
            (BeliefQuestion::FirstOrder, _) => {
                format!("The last that {who} knows of is the {place}.")
            }
            (BeliefQuestion::SecondOrder, 0) => {
                format!("So {who} expects {about} to believe that the {thing} is in the {place}.")
            }
            (BeliefQuestion::SecondOrder, _) => {
                format!("As far as {who} can tell, {about} last saw it in the {place}.")
            }
        });
        Worked::lines(lines, place)
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        let order = match self.kind {
            BeliefQuestion::Reality | BeliefQuestion::Memory => 0,
            BeliefQuestion::FirstOrder => 1,
            BeliefQuestion::SecondOrder => 2,
        };
        let is_false = u64::from(order > 0 && self.place(None) != self.story.last_place());
        vec![
            ("order", order),
            ("people", self.story.people() as u64),
            ("moves", self.story.placings().len() as u64 - 1),
            ("false_belief", is_false),
        ]
    }
}
