//! Answers by another way, from the text of the prompt alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lm_tasks::reasoning::{Problem, Task};

use super::{all, both, task};

fn of(name: &str, n: u64) -> Vec<Problem> {
    all().iter().filter(|task| task.name() == name).flat_map(|task| both(task, n)).collect()
}

/// Runs of digits of a text.
fn digits(text: &str) -> Vec<u128> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|d| !d.is_empty())
        .map(|d| d.parse().unwrap())
        .collect()
}

#[test]
fn sums_modulo_agree_with_adding_first() {
    for problem in of("sum_modulo", 100) {
        let mut terms = digits(&problem.prompt);
        let modulus = terms.pop().unwrap();
        let sum = terms.iter().sum::<u128>() % modulus;
        assert_eq!(problem.answer, sum.to_string());
        // Every step is true.
        for step in &problem.chains[0].steps {
            let [a, b, c] = digits(step)[..] else { panic!("{step}") };
            assert_eq!((a + b) % modulus, c, "{step}");
        }
    }
}

#[test]
fn running_sums_and_their_scratch_agree_with_adding_first() {
    for problem in of("running_sum", 100) {
        let width = problem.difficulty["digits"] as usize;
        let modulus = 10_u128.pow(width as u32);
        let sum = digits(&problem.prompt).iter().sum::<u128>() % modulus;
        assert_eq!(problem.answer, format!("{sum:0width$}"));
        for chain in &problem.chains {
            let long = chain.steps[0] == "L";
            for step in &chain.steps[1..] {
                let (left, right) = step.trim_end_matches(';').split_once('=').unwrap();
                let [a, b] = digits(left)[..] else { panic!("{step}") };
                let (scratch, sum) = right.split_at(right.len() - width);
                assert_eq!(sum.parse::<u128>().unwrap(), (a + b) % modulus, "{step}");
                // By hand, on the characters: column by column from the right.
                let mut expected = String::new();
                let mut carry = 0;
                let columns = left.split('+').map(|n| n.bytes().rev().map(|d| d - b'0'));
                let columns: Vec<Vec<u8>> = columns.map(Iterator::collect).collect();
                for (x, y) in columns[0].iter().zip(&columns[1]) {
                    let total = x + y + carry;
                    carry = total / 10;
                    expected.extend([carry, total % 10].map(|digit| char::from(b'0' + digit)));
                }
                assert_eq!(scratch, if long { &expected[..] } else { "" }, "{step}");
            }
        }
    }
}

#[test]
fn the_prototype_has_26_and_38_tokens() {
    for problem in both(&Task::named("running_sum").unwrap(), 100) {
        assert_eq!(problem.prompt.len(), 12);
        let mut lengths: Vec<(usize, char)> = problem
            .chains
            .iter()
            .map(|chain| (problem.after(chain).len() + 1, chain.text().chars().next().unwrap()))
            .collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [(26, 'S'), (38, 'L')]);
    }
    let long = both(&task(r#"{"task": "running_sum", "long_share": 0.25}"#), 1_000);
    let long = long.iter().filter(|problem| problem.completion().starts_with('L')).count();
    // Five standard deviations of a binomial of 2 000 draws.
    assert!(long.abs_diff(500) < 97, "{long}");
}

#[test]
fn additions_agree_with_adding() {
    for problem in of("addition", 200) {
        let [a, b] = digits(&problem.prompt)[..] else { panic!("{}", problem.prompt) };
        assert_eq!(problem.answer, (a + b).to_string());
    }
}

#[test]
fn every_equation_of_a_word_problem_is_true() {
    for problem in of("word_problems", 300) {
        for chain in &problem.chains {
            let text = chain.text();
            let words: Vec<&str> = text.split_whitespace().collect();
            let mut equations = 0;
            let mut last = 0;
            for window in words.windows(5).filter(|window| window[3] == "=") {
                let number = |i: usize| -> u128 {
                    window[i]
                        .trim_end_matches(['.', ','])
                        .parse()
                        .unwrap_or_else(|_| panic!("{window:?}"))
                };
                let (a, b, c) = (number(0), number(2), number(4));
                match window[1] {
                    "+" => assert_eq!(a + b, c),
                    "-" => assert_eq!(a - b, c),
                    "×" => assert_eq!(a * b, c),
                    "/" => assert_eq!(c * b, a),
                    other => panic!("{other}"),
                }
                equations += 1;
                last = c;
            }
            assert_eq!(equations, problem.difficulty["steps"], "{text}");
            assert_eq!(last.to_string(), problem.answer, "{text}");
            // All numbers of the story are used, and what is used is of the story or a result.
            let mut known: BTreeSet<u128> = digits(&problem.prompt).into_iter().collect();
            let all = digits(&text);
            assert!(known.iter().all(|n| all.contains(n)), "{}\n{text}", problem.prompt);
            for window in words.windows(5).filter(|window| window[3] == "=") {
                let used = digits(&window.join(" "));
                assert!(known.contains(&used[0]) && known.contains(&used[1]), "{text}");
                known.insert(used[2]);
            }
        }
    }
}

#[test]
fn wrong_word_problems_go_wrong_once() {
    for problem in of("word_problems", 100) {
        let text = problem.wrong_chain.unwrap().chain.text();
        let words: Vec<&str> = text.split_whitespace().collect();
        let is_false = |window: &&[&str]| {
            let d: Vec<i128> = digits(&window.join(" ")).into_iter().map(|n| n as i128).collect();
            match window[1] {
                "+" => d[0] + d[1] != d[2],
                "-" => d[0] - d[1] != d[2],
                "×" => d[0] * d[1] != d[2],
                _ => d[2] * d[1] != d[0],
            }
        };
        let equations = words.windows(5).filter(|window| window[3] == "=");
        assert_eq!(equations.filter(is_false).count(), 1, "{text}");
    }
}

/// Fewest swaps by breadth-first search over all texts.
fn fewest_swaps(text: &str) -> i64 {
    let start: Vec<u8> = text.bytes().collect();
    let mut seen = BTreeMap::from([(start.clone(), 0)]);
    let mut queue = VecDeque::from([start]);
    while let Some(bits) = queue.pop_front() {
        let swaps = seen[&bits];
        if bits.windows(2).all(|pair| pair[0] != pair[1]) {
            return swaps;
        }
        for i in 0..bits.len() {
            for j in 0..i {
                let mut next = bits.clone();
                next.swap(i, j);
                if !seen.contains_key(&next) {
                    seen.insert(next.clone(), swaps + 1);
                    queue.push_back(next);
                }
            }
        }
    }
    -1
}

#[test]
fn alternation_agrees_with_search() {
    let small = task(
        r#"{"task": "binary_alternation", "min_length": 1, "max_length": 10, "solvable": 0.6}"#,
    );
    let mut answers = BTreeMap::new();
    for problem in both(&small, 150) {
        let text = problem
            .prompt
            .split_whitespace()
            .filter(|word| word.bytes().all(|b| b == b'0' || b == b'1'));
        let text = text.max_by_key(|word| (*word == problem.key, word.len())).unwrap();
        assert_eq!(text, problem.key);
        let expected = fewest_swaps(text);
        assert_eq!(problem.answer, expected.to_string(), "{text}");
        *answers.entry(expected).or_insert(0) += 1;
    }
    assert!(answers.len() >= 4 && answers[&-1] > 60, "{answers:?}");
}

#[test]
fn published_lengths_and_shares() {
    let problems = both(&Task::named("binary_alternation").unwrap(), 1_000);
    let impossible = problems.iter().filter(|p| p.answer == "-1").count();
    assert!(impossible.abs_diff(400) < 90, "{impossible}: five standard deviations of 2 000 draws");
    let lengths: BTreeSet<usize> = problems.iter().map(|p| p.key.len()).collect();
    assert!(lengths.is_superset(&(10..=30).collect()) && lengths.len() <= 23, "{lengths:?}");
}

/// Area of the largest component by union and find.
fn largest(grid: &[Vec<u8>]) -> usize {
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    let (rows, columns) = (grid.len(), grid[0].len());
    let mut parent: Vec<usize> = (0..rows * columns).collect();
    for row in 0..rows {
        for column in 0..columns {
            let at = row * columns + column;
            if row > 0 && grid[row][column] == 1 && grid[row - 1][column] == 1 {
                let (a, b) = (root(&mut parent, at), root(&mut parent, at - columns));
                parent[a] = b;
            }
            if column > 0 && grid[row][column] == 1 && grid[row][column - 1] == 1 {
                let (a, b) = (root(&mut parent, at), root(&mut parent, at - 1));
                parent[a] = b;
            }
        }
    }
    let mut areas = BTreeMap::new();
    for at in 0..rows * columns {
        if grid[at / columns][at % columns] == 1 {
            *areas.entry(root(&mut parent, at)).or_insert(0) += 1;
        }
    }
    areas.values().max().copied().unwrap_or(0)
}

#[test]
fn islands_agree_with_union_and_find() {
    let mut seen = BTreeSet::new();
    for problem in of("largest_island", 200) {
        let is_row = |line: &&str| line.split(' ').all(|cell| cell == "0" || cell == "1");
        let grid: Vec<Vec<u8>> = problem
            .prompt
            .lines()
            .filter(|line| !line.is_empty())
            .filter(is_row)
            .map(|line| line.split(' ').map(|cell| cell.parse().unwrap()).collect())
            .collect();
        let size = (grid.len() as u64, grid[0].len() as u64);
        assert_eq!(size, (problem.difficulty["rows"], problem.difficulty["columns"]));
        let area = largest(&grid);
        assert_eq!(problem.answer, area.to_string(), "{}", problem.prompt);
        seen.insert(area);
    }
    assert!(seen.contains(&0) && seen.len() > 15, "{seen:?}");
}

#[test]
fn words_agree_with_the_prompt() {
    for problem in of("spell_backward", 200) {
        let answer: String = problem.key.chars().rev().collect();
        assert_eq!(problem.answer, answer);
        let quoted = format!("\"{}\"", problem.key);
        assert!(problem.prompt.contains(&quoted) || problem.prompt.ends_with(&problem.key));
    }
}
