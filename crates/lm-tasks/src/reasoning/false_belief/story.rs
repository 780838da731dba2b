//! A story: who is where, and what happens to the thing.

use super::super::{draw::Draw, generate::listed};

const NAMES: [&str; 32] = [
    "Abel", "Beate", "Carlo", "Dunja", "Emil", "Farah", "Goran", "Hanna", "Ilias", "Jolanda",
    "Kofi", "Leni", "Marek", "Nadia", "Otto", "Pilar", "Quentin", "Rosa", "Samir", "Tilda", "Ugo",
    "Vera", "Wanja", "Xenia", "Yusuf", "Zofia", "Aino", "Bruno", "Clara", "Dario", "Elif", "Finn",
];

const PLACES: [&str; 10] = [
    "kitchen",
    "workshop",
    "office",
    "library",
    "cabin",
    "studio",
    "cellar",
    "classroom",
    "garage",
    "attic",
];

const THINGS: [&str; 20] = [
    "key", "letter", "coin", "ring", "photo", "map", "whistle", "ticket", "candle", "notebook",
    "watch", "compass", "brush", "marble", "battery", "spoon", "badge", "ribbon", "lens", "stamp",
];

const CONTAINERS: [&str; 16] = [
    "drawer", "basket", "box", "bag", "jar", "cupboard", "suitcase", "tin", "chest", "backpack",
    "bucket", "envelope", "crate", "teapot", "locker", "purse",
];

/// Containers in a story.
const STANDING: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Leave(usize),
    Return(usize),
    Watch(usize),
    /// Somebody puts the thing into a container, or moves it there.
    Place {
        who: usize,
        container: usize,
    },
}

/// One placing of the thing, with those who know of it.
#[derive(Debug, Clone)]
pub(super) struct Placing {
    pub(super) mover: usize,
    pub(super) container: usize,
    /// Who is in the room.
    present: Vec<bool>,
    /// Who watches unnoticed from outside.
    watching: Option<usize>,
}

impl Placing {
    /// Whether a person knows of it.
    pub(super) fn knows(&self, who: usize) -> bool {
        self.present[who] || self.watching == Some(who)
    }

    /// Whether a person knows that another knows of it.
    pub(super) fn knows_of(&self, who: usize, about: usize) -> bool {
        self.knows(who) && self.present[about]
    }
}

pub(super) struct Story {
    names: Vec<&'static str>,
    place: &'static str,
    thing: &'static str,
    containers: Vec<&'static str>,
    events: Vec<Event>,
    placings: Vec<Placing>,
}

impl Story {
    pub(super) fn draw(people: usize, moves: u64, watching: f64, draw: &mut Draw) -> Self {
        let mut story = Self {
            names: draw.several(&NAMES, people),
            place: draw.pick(&PLACES),
            thing: draw.pick(&THINGS),
            containers: draw.several(&CONTAINERS, STANDING),
            events: Vec::new(),
            placings: Vec::new(),
        };
        let mut present = vec![true; people];
        story.put(&present, None, draw);
        for _ in 0..moves {
            for _ in 0..draw.within(1, 2) {
                story.come_or_go(&mut present, draw);
            }
            let outside = those(&present, false);
            let watcher =
                (!outside.is_empty() && draw.chance(watching)).then(|| draw.pick(&outside));
            story.events.extend(watcher.map(Event::Watch));
            story.put(&present, watcher, draw);
        }
        story
    }

    /// Somebody leaves or comes back; one person always stays. Who has just come or gone is left
    /// alone.
    fn come_or_go(&mut self, present: &mut [bool], draw: &mut Draw) {
        let inside = those(present, true).len();
        let just = self.events.last().copied();
        let may = |&who: &usize| {
            (!present[who] || inside > 1)
                && ![Some(Event::Leave(who)), Some(Event::Return(who))].contains(&just)
        };
        let can: Vec<usize> = (0..present.len()).filter(may).collect();
        if can.is_empty() {
            return;
        }
        let who = draw.pick(&can);
        present[who] = !present[who];
        self.events.push(if present[who] { Event::Return(who) } else { Event::Leave(who) });
    }

    fn put(&mut self, present: &[bool], watching: Option<usize>, draw: &mut Draw) {
        let now = self.placings.last().map(|placing| placing.container);
        let free: Vec<usize> = (0..STANDING).filter(|&i| Some(i) != now).collect();
        let (who, container) = (draw.pick(&those(present, true)), draw.pick(&free));
        self.events.push(Event::Place { who, container });
        self.placings.push(Placing { mover: who, container, present: present.to_vec(), watching });
    }

    pub(super) fn placings(&self) -> &[Placing] {
        &self.placings
    }

    pub(super) fn people(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, person: usize) -> &'static str {
        self.names[person]
    }

    pub(super) fn thing(&self) -> &'static str {
        self.thing
    }

    pub(super) fn container(&self, container: usize) -> &'static str {
        self.containers[container]
    }

    pub(super) fn other_container(&self, container: usize) -> usize {
        (container + 1) % self.containers.len()
    }

    /// Where the thing is in the end.
    pub(super) fn last_place(&self) -> usize {
        self.placings[self.placings.len() - 1].container
    }

    pub(super) fn key(&self) -> String {
        let Self { place, thing, containers, events, names, .. } = self;
        format!("{place} {thing} {containers:?} {} {events:?}", names.len())
    }

    pub(super) fn text(&self) -> String {
        let Self { names, place, thing, containers, events, .. } = self;
        let containers = listed(containers);
        let containers = containers.replace(", ", ", a closed ").replace(" and ", " and a closed ");
        let mut sentences = vec![
            format!("{} are in the {place}.", listed(names)),
            format!("There are a closed {containers}; what is in them cannot be seen."),
        ];
        for (i, event) in events.iter().enumerate() {
            sentences.push(match *event {
                Event::Leave(who) => format!("{} leaves the {place}.", names[who]),
                Event::Return(who) => format!("{} comes back to the {place}.", names[who]),
                Event::Watch(who) => {
                    format!("Unnoticed, {} looks in through the window.", names[who])
                }
                Event::Place { who, container } => {
                    let (who, container) = (names[who], self.containers[container]);
                    if i == 0 {
                        format!("{who} puts the {thing} in the {container}.")
                    } else {
                        format!("{who} moves the {thing} to the {container}.")
                    }
                }
            });
        }
        sentences.join(" ")
    }
}

fn those(present: &[bool], inside: bool) -> Vec<usize> {
    (0..present.len()).filter(|&who| present[who] == inside).collect()
}
