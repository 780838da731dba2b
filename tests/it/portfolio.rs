//! `forthright portfolio` as a user meets it.

use std::{fs, path::Path};

use forthright_tests::{Said, command, refused, said};
use serde_json::Value;
use tempfile::TempDir;

const PLAN: &str = "../crates/forthright/configs/portfolio/quote.toml";

fn run(args: &[&str], input: &str) -> Said {
    said(command(&[&["portfolio"][..], args].concat()), input)
}

fn fine(args: &[&str], input: &str) -> String {
    let found = run(args, input);
    assert_eq!(found.code, Some(0), "{}", found.err);
    found.out
}

fn customers(folder: &TempDir, rows: &str) -> String {
    let path = folder.path().join("customers.csv").to_str().unwrap().to_owned();
    fine(&["simulate", "--write-customers", &path, "--rows", rows, "--seed", "4"], "");
    path
}

#[test]
fn the_golden_instance_is_solved() {
    let document: Value = serde_json::from_str(&fine(&["solve", "--json"], "")).unwrap();
    let policies = document["policies"].as_array().unwrap();
    let reward = |name: &str| {
        let named = policies.iter().find(|p| p["policy"] == name).unwrap();
        named["evaluation"]["reward"].as_f64().unwrap()
    };
    for (name, expected) in [
        ("optimum", 48.82174),
        ("myopic", -9.01937),
        ("industry multiplier, 0.02", -3.96748),
        ("industry multiplier, 0.05", 0.56262),
        ("hinges next step", 48.82174),
    ] {
        assert!((reward(name) - expected).abs() < 1e-5, "{name}: {}", reward(name));
    }
    assert!(document["bellman_residual"].as_f64().unwrap() < 1e-9);
    assert!(fine(&["solve"], "").contains("Bellman residual"));
}

#[test]
fn simulations_do_not_depend_on_threads() {
    let of = |threads: &str| {
        let args = ["simulate", "--epochs", "20", "--threads", threads, "--json"];
        let mut document: Value = serde_json::from_str(&fine(&args, "")).unwrap();
        assert!(document["customers_per_second"].as_f64().unwrap() > 0.0);
        document["customers_per_second"] = Value::Null;
        document["threads"] = Value::Null;
        document
    };
    let one = of("1");
    assert_eq!(one, of("3"));
    assert!((one["walked_away"].as_f64().unwrap() - 0.339).abs() < 0.02);
}

#[test]
fn quotes_come_with_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let path = customers(&folder, "2000");
    let found = run(&["quote", "--plan", PLAN, &path], "");
    // About 2 % do not say how old they are.
    assert_eq!(found.code, Some(1), "{}", found.err);
    let quotes: Vec<Value> = found.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let refused = found.err.lines().filter(|l| l.contains("column \"age\"")).count();
    assert!((20..80).contains(&refused), "{refused}");
    assert!(found.err.contains("of 2000 customers were not quoted"));
    // The only others are policies whose bounds contradict each other.
    let contradictions = found.err.lines().filter(|l| l.contains("bounds cannot all hold")).count();
    assert_eq!(quotes.len() + refused + contradictions, 2000);
    for quote in &quotes {
        let number = |key: &str| quote[key].as_f64().unwrap();
        assert!(number("price") > 0.0 && number("propensity") > 0.0);
        let wanted = (30.0..=45.0).contains(&quote["features"]["age"].as_f64().unwrap());
        let unwanted = quote["features"]["claims"].as_f64().unwrap() >= 3.0;
        let worth = if wanted { 6.0 } else { 0.0 } - if unwanted { 15.0 } else { 0.0 };
        let k = 1.0 - worth / (1.02 * number("cost"));
        assert!((number("k") - k).abs() < 1e-9, "{quote}");
        assert_eq!(quote["bound"].is_null(), !quote["reasons"].to_string().contains(" by the "));
    }
    // The same from standard input, and the same prices as a table.
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(run(&["quote", "--plan", PLAN], &text).out, found.out);
    let table = run(&["quote", "--plan", PLAN, "--format", "csv", "-"], &text).out;
    assert_eq!(table.lines().count(), quotes.len() + 1);
    let first: Vec<&str> = table.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(
        first[2].parse::<f64>().unwrap().to_bits(),
        quotes[0]["price"].as_f64().unwrap().to_bits()
    );
}

#[test]
fn joint_limits_are_held_on_a_book() {
    let folder = tempfile::tempdir().unwrap();
    let path = customers(&folder, "500");
    let plan = folder.path().join("plan.toml");
    let text = fs::read_to_string(Path::new(PLAN)).unwrap();
    let with = |limits: &str| {
        fs::write(&plan, format!("{text}\n[joint]\n{limits}\n")).unwrap();
        run(&["quote", "--plan", plan.to_str().unwrap(), "--book", &path, &path], "")
    };
    let found = with("volume = 300.0");
    assert!(found.err.contains("shadow prices: volume "), "{}", found.err);
    assert!(found.out.contains("volume floor: shadow price £"), "{}", found.err);
    let found = with("volume = 900.0");
    assert_eq!(found.code, Some(2));
    assert!(found.err.contains("900.00 sales are asked for"), "{}", found.err);
}

#[test]
fn bad_input_is_one_sentence() {
    let plan = ["portfolio", "quote", "--plan", PLAN];
    let header = "policy,car_value,claims,years_driving,age,married,has_child,occupation,location,expected_cost";
    let message = refused(&plan, &format!("{header}\n"));
    assert!(message.contains("column \"last_price\" is missing"), "{message}");
    let message = refused(&plan, &format!("{header},last_price,shoe_size\n"));
    assert!(message.contains("column \"shoe_size\" is unknown"), "{message}");
    let message = refused(&["portfolio", "quote", "--plan", "nowhere.toml"], "");
    assert!(message.contains("cannot read nowhere.toml"), "{message}");
    let message = refused(&["portfolio", "simulate", "--epochs", "0"], "");
    assert!(message.contains("epochs: expected at least 1, found 0"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    fs::write(&file, "[market]\nfirms = 12\n").unwrap();
    let message = refused(&["portfolio", "simulate", "--config", file.to_str().unwrap()], "");
    assert!(message.contains("firms: expected 1 to 8, found 12"), "{message}");

    let rows = "P1,9000,0,5,30,yes,no,clerical,city,NaN,\nP2,9000,0,5,30,yes,no,clerical,city,-5,\n\
                P3,9000,0,5,30,yes,no,clerical,city,250,\n";
    let found = said(command(&plan), &format!("{header},last_price\n{rows}"));
    assert_eq!(found.code, Some(1));
    assert!(found.err.contains("standard input: row 1: column \"expected_cost\": expected pounds"));
    assert!(found.err.contains("row 2: column \"expected_cost\""), "{}", found.err);
    assert!(found.err.contains("2 of 3 customers were not quoted"), "{}", found.err);
    assert_eq!(found.out.lines().count(), 1);
}
