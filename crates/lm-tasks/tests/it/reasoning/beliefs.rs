//! Stories read sentence by sentence: who believes what, kept up to date at each event.

use std::collections::{BTreeMap, BTreeSet};

use lm_tasks::reasoning::{Problem, Task};

use super::{both, task, unusual};

/// Beliefs of first and second order, updated event by event.
#[derive(Default)]
struct World {
    people: BTreeSet<String>,
    inside: BTreeSet<String>,
    watching: Option<String>,
    first: Option<String>,
    now: String,
    believes: BTreeMap<String, String>,
    believes_of: BTreeMap<(String, String), String>,
}

impl World {
    fn read(story: &str) -> Self {
        let mut world = Self::default();
        for sentence in story.trim_end_matches('.').split(". ") {
            world.hear(sentence);
        }
        world
    }

    fn hear(&mut self, sentence: &str) {
        let words: Vec<&str> = sentence.split(' ').collect();
        let who = words[0].to_owned();
        if let Some((names, _)) = sentence.split_once(" are in the ") {
            let names = names.replace(" and ", ", ");
            self.people = names.split(", ").map(str::to_owned).collect();
            self.inside = self.people.clone();
        } else if sentence.starts_with("There are a closed ") {
        } else if let Some(rest) = sentence.strip_prefix("Unnoticed, ") {
            self.watching = rest.split(' ').next().map(str::to_owned);
        } else if sentence.contains(" leaves the ") {
            assert!(self.inside.remove(&who), "{sentence}");
        } else if sentence.contains(" comes back to the ") {
            assert!(self.people.contains(&who) && self.inside.insert(who), "{sentence}");
        } else {
            let moved = words[1] == "moves";
            assert!(moved || words[1] == "puts", "{sentence}");
            assert!(self.inside.contains(&who), "{sentence}");
            let place = (*words.last().unwrap()).to_owned();
            assert!(moved == self.first.is_some() && place != self.now, "{sentence}");
            self.place(&place);
        }
    }

    fn place(&mut self, place: &str) {
        let watcher = self.watching.take();
        assert!(watcher.as_ref().is_none_or(|watcher| !self.inside.contains(watcher)));
        self.first.get_or_insert(place.to_owned());
        place.clone_into(&mut self.now);
        for person in &self.inside {
            self.believes.insert(person.clone(), place.to_owned());
            for other in &self.inside {
                self.believes_of.insert((person.clone(), other.clone()), place.to_owned());
            }
        }
        if let Some(watcher) = watcher {
            self.believes.insert(watcher.clone(), place.to_owned());
            for other in &self.inside {
                self.believes_of.insert((watcher.clone(), other.clone()), place.to_owned());
            }
        }
    }

    fn answer(&self, question: &str) -> &str {
        let named: Vec<String> = question
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| self.people.contains(*word))
            .map(str::to_owned)
            .collect();
        match &named[..] {
            [] if question.contains("first put") || question.contains("beginning") => {
                self.first.as_ref().unwrap()
            }
            [] => &self.now,
            [who] => &self.believes[who],
            [who, about] => &self.believes_of[&(who.clone(), about.clone())],
            more => panic!("{more:?}"),
        }
    }
}

fn problems() -> Vec<Problem> {
    let named = Task::named("false_belief").unwrap();
    let tasks = unusual().into_iter().filter(|task| task.name() == "false_belief").chain([named]);
    tasks.flat_map(|task| both(&task, 400)).collect()
}

#[test]
fn answers_agree_with_beliefs_kept_up_to_date() {
    let mut seen: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    for problem in problems() {
        let (story, question) = problem.prompt.split_once("\n\n").unwrap();
        let world = World::read(story);
        assert_eq!(problem.answer, world.answer(question), "{}", problem.prompt);
        assert_eq!(problem.difficulty["people"], world.people.len() as u64);
        let order = problem.difficulty["order"];
        let is_false = u64::from(order > 0 && problem.answer != world.now);
        assert_eq!(problem.difficulty["false_belief"], is_false, "{}", problem.prompt);
        *seen.entry((order, is_false)).or_default() += 1;
    }
    // Controls, and beliefs true and false of both orders.
    let kinds = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1)];
    assert!(kinds.iter().all(|kind| seen[kind] > 50), "{seen:?}");
}

#[test]
fn watching_unnoticed_splits_the_orders() {
    // Somebody watches: they know, but those inside do not know that they know.
    let watched = task(r#"{"task": "false_belief", "watching": 1, "questions": ["second_order"]}"#);
    let mut split = 0;
    for problem in both(&watched, 300) {
        let (story, question) = problem.prompt.split_once("\n\n").unwrap();
        let world = World::read(story);
        let named: Vec<&String> =
            world.people.iter().filter(|name| question.contains(*name)).collect();
        let other = named.iter().find(|name| world.believes[**name] == world.now);
        split += u32::from(other.is_some() && problem.answer != world.now);
    }
    assert!(split > 50, "{split}");
}

#[test]
fn one_story_by_hand() {
    let story = "Ana and Bob are in the attic. There are a closed jar, a closed box and a closed tin; \
                 what is in them cannot be seen. Ana puts the key in the jar. Bob leaves the attic. \
                 Unnoticed, Bob looks in through the window. Ana moves the key to the box. Bob comes \
                 back to the attic.";
    let world = World::read(story);
    assert_eq!(world.answer("Where will Bob look?"), "box");
    assert_eq!(world.answer("According to Ana, where does Bob think it is?"), "jar");
    assert_eq!(world.answer("Where does Bob think that Ana will look?"), "box");
    assert_eq!(world.answer("Where was it at the beginning?"), "jar");
}
