//! Questions about the calendar, answered by counting days one by one from the text of the prompt.

use std::collections::BTreeMap;

use lm_tasks::reasoning::{Problem, Task};

use super::{all, both, task};

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

type Date = (u64, usize, u64);

fn is_leap(year: u64) -> bool {
    match (year % 400, year % 100, year % 4) {
        (0, _, _) => true,
        (_, 0, _) => false,
        (_, _, rest) => rest == 0,
    }
}

/// All days of a year in order, each with its weekday, counted from a Saturday that is known:
/// January 1, 2000.
fn days(year: u64) -> Vec<(Date, usize)> {
    let mut weekday = 5_i64;
    let length = |year| if is_leap(year) { 366_i64 } else { 365 };
    for y in 2000..year {
        weekday += length(y);
    }
    for y in year..2000 {
        weekday -= length(y);
    }
    let mut days = Vec::new();
    for month in 1..=12 {
        let last =
            [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                [month - 1];
        for day in 1..=last {
            days.push(((year, month, day), weekday.rem_euclid(7) as usize));
            weekday += 1;
        }
    }
    days
}

/// Words of a prompt, without punctuation.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

/// Dates in a text, such as `March 5, 2022` or `March 5`, in order.
fn dates(words: &[&str], year: u64) -> Vec<Date> {
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let Some(month) = MONTHS.iter().position(|name| name == word) else { continue };
        let Some(Ok(day)) = words.get(i + 1).map(|w| w.parse()) else { continue };
        if day > 31 {
            continue;
        }
        let written = words.get(i + 2).and_then(|w| w.parse().ok()).filter(|y| *y >= 100);
        found.push((written.unwrap_or(year), month + 1, day));
    }
    found
}

fn answer(problem: &Problem) -> String {
    let prompt = &problem.prompt;
    let words = words(prompt);
    let numbers: Vec<u64> = words.iter().filter_map(|w| w.parse().ok()).collect();
    let named = |text: &str| WEEKDAYS.iter().position(|name| text.contains(name));
    if prompt.contains("leap year?") || prompt.contains("a February 29?") || prompt.contains("366")
    {
        return if is_leap(numbers[0]) { "Yes" } else { "No" }.into();
    }
    if prompt.contains("both days included") {
        let ends = dates(&words, 0);
        let (start, end) = (ends[0], ends[1]);
        let counted =
            (start.0..=end.0).flat_map(days).filter(|(date, _)| (start..=end).contains(date));
        let open = prompt.contains("Monday to Friday");
        let weekday = |text: &str| -> usize {
            // The weekday that is asked for stands outside of the range.
            let (before, rest) = text.split_once("rom ").unwrap();
            let after = rest.rsplit("included").next().unwrap();
            named(before).or_else(|| named(after)).unwrap()
        };
        // The first date of the range must be given with its right weekday.
        let first = days(start.0).into_iter().find(|(date, _)| *date == start).unwrap().1;
        let given =
            format!("rom {}, {} {}, {}", WEEKDAYS[first], MONTHS[start.1 - 1], start.2, start.0);
        assert!(prompt.contains(&given), "{prompt}");
        let count = if open {
            counted.filter(|(_, weekday)| *weekday < 5).count()
        } else {
            let asked = weekday(prompt);
            counted.filter(|(_, weekday)| *weekday == asked).count()
        };
        return count.to_string();
    }
    let ordinals = ["first", "second", "third", "fourth", "last"];
    if let Some(nth) = ordinals.iter().position(|o| prompt.contains(&format!("the {o} "))) {
        let weekday = named(prompt).unwrap();
        let month = MONTHS.iter().position(|name| words.contains(name)).unwrap() + 1;
        let year = *numbers.last().unwrap();
        let those = days(year).into_iter().filter(|((_, m, _), w)| *m == month && *w == weekday);
        let those: Vec<u64> = those.map(|((_, _, day), _)| day).collect();
        let day = if nth == 4 { those[those.len() - 1] } else { those[nth] };
        return day.to_string();
    }
    if prompt.contains("January 1 is a") || prompt.contains("begins on a") {
        let year = if prompt.contains("leap year") { 2024 } else { 2023 };
        let first = prompt.split("January 1 is a ").nth(1).or(prompt.split("begins on a ").nth(1));
        let mut weekday =
            WEEKDAYS.iter().position(|name| first.unwrap().starts_with(name)).unwrap();
        let target = *dates(&words, year).iter().find(|(_, m, d)| (*m, *d) != (1, 1)).unwrap();
        for (date, _) in days(year) {
            if (date.1, date.2) == (target.1, target.2) {
                return WEEKDAYS[weekday].into();
            }
            weekday = (weekday + 1) % 7;
        }
    }
    if prompt.contains(" day")
        && (prompt.contains(" ago")
            || prompt.contains("from now")
            || prompt.contains("before")
            || prompt.contains("after"))
    {
        let start = dates(&words, 0)[0];
        let at = words.iter().position(|w| *w == "day" || *w == "days").unwrap();
        let offset: usize = words[at - 1].parse().unwrap();
        let all: Vec<(Date, usize)> = (start.0 - 2..=start.0 + 2).flat_map(days).collect();
        let at = all.iter().position(|(date, _)| *date == start).unwrap();
        assert!(prompt.contains(WEEKDAYS[all[at].1]), "{prompt}");
        let back = prompt.contains(" ago") || prompt.contains("before");
        return WEEKDAYS[all[if back { at - offset } else { at + offset }].1].into();
    }
    let date = dates(&words, 0)
        .first()
        .copied()
        .unwrap_or_else(|| (numbers[0], numbers[1] as usize, numbers[2]));
    WEEKDAYS[days(date.0).into_iter().find(|(d, _)| *d == date).unwrap().1].into()
}

#[test]
fn answers_agree_with_counting_days() {
    let mut kinds = BTreeMap::new();
    let tasks = all().into_iter().filter(|task| task.name() == "calendar");
    let years = [1582, 1900, 2000, 2023, 2024]
        .map(|year| task(&format!(r#"{{"task": "calendar", "year": {year}}}"#)));
    for task in tasks.chain(years) {
        for problem in both(&task, 300) {
            assert_eq!(problem.answer, answer(&problem), "{}", problem.prompt);
            *kinds.entry(problem.difficulty["kind"]).or_insert(0) += 1;
        }
    }
    assert!(kinds.len() == 7 && kinds.values().all(|&n| n > 200), "{kinds:?}");
}

#[test]
fn every_equation_of_a_chain_is_true() {
    // Such as `71 = 10 × 7 + 1`, `31 + 28 + 12 = 71` and `130 - 62 + 1 = 69`.
    fn value(side: &[&str]) -> Option<i64> {
        let mut sum = 0;
        let mut sign = 1;
        let mut words = side.iter();
        while let Some(word) = words.next() {
            let mut product: i64 = word.parse().ok()?;
            let mut rest = words.clone();
            while rest.next() == Some(&"×") {
                product *= rest.next()?.parse::<i64>().ok()?;
                words = rest.clone();
            }
            sum += sign * product;
            sign = match words.next() {
                Some(&"+") => 1,
                Some(&"-") => -1,
                None => return Some(sum),
                Some(_) => return None,
            };
        }
        None
    }
    let is_term = |word: &&str| word.parse::<i64>().is_ok() || ["+", "-", "×"].contains(word);
    let mut checked = 0;
    for problem in both(&Task::named("calendar").unwrap(), 400) {
        for chain in &problem.chains {
            for step in &chain.steps {
                let step = step.replace([',', '.', ':', ';'], "");
                let words: Vec<&str> = step.split_whitespace().collect();
                for (i, _) in words.iter().enumerate().filter(|(_, word)| **word == "=") {
                    let left = words[..i].iter().rev().take_while(|w| is_term(w)).count();
                    let right = words[i + 1..].iter().take_while(|w| is_term(w)).count();
                    let (left, right) =
                        (value(&words[i - left..i]), value(&words[i + 1..=i + right]));
                    // A number before the left side is not part of it; then nothing can be read.
                    if let (Some(left), Some(right)) = (left, right) {
                        assert_eq!(left, right, "{step}");
                        checked += 1;
                    }
                }
            }
        }
    }
    assert!(checked > 800, "{checked}");
}
