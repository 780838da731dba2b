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

const TRAINED_PLAN: &str = "../crates/forthright/configs/portfolio/quote_trained.toml";

/// A market in which firms learn little, fast.
const QUICK: &str = r"
compare = false
[experiment]
trials = 2
burn_in = 1
fit_after = [1]
memory = 1
planning_customers = 100
epoch = { customers = 300 }
[experiment.published]
process_rows = 20
forest = { trees = 2 }
network = { hidden = [4], epochs = 3 }
";

#[test]
fn what_train_learns_quotes_a_table_and_another_plan_is_judged_by_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("quick.toml"), QUICK).unwrap();
    let models = at("models.json");
    fine(&["train", "--config", &at("quick.toml"), "--loss-scale", "10000", "--out", &models], "");
    let learned: Value = serde_json::from_str(&fs::read_to_string(&models).unwrap()).unwrap();
    let path = customers(&folder, "1500");
    let args = ["quote", "--plan", TRAINED_PLAN, "--models", &models, &path];
    let found = run(&args, "");
    assert!(found.err.contains("column \"age\""), "{}", found.err);
    let quotes: Vec<Value> = found.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(quotes.len() > 1300, "{}", found.err);
    // Worths are those that were learned.
    let mut wanted = 0;
    for quote in &quotes {
        let categories = learned["categories"].as_array().unwrap();
        let worth =
            categories.iter().zip(learned["worth"].as_array().unwrap()).map(|(c, worth)| {
                let value = quote["features"][c["column"].as_str().unwrap()].as_f64().unwrap();
                let within =
                    value >= c["low"].as_f64().unwrap() && value <= c["high"].as_f64().unwrap();
                if within { worth.as_f64().unwrap() } else { 0.0 }
            });
        let worth: f64 = worth.sum();
        assert!((quote["worth"].as_f64().unwrap() - worth).abs() < 1e-9, "{quote}");
        wanted += usize::from(worth.abs() > 1e-9);
        let all = quote["alternatives"].as_array().unwrap();
        let sum: f64 = all.iter().map(|a| a["probability"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }
    assert!(wanted > 100, "{wanted}");

    // Sold as the models expect; judged by a plan that loads costs by half a percent more.
    let log = at("log.jsonl");
    fs::write(&log, &found.out).unwrap();
    let sold = quotes.iter().enumerate().map(|(i, quote)| {
        let u = (i as f64 * 0.618_033_988_75).fract();
        let sold = if u < quote["acceptance"].as_f64().unwrap() { "yes" } else { "no" };
        format!("{},{sold}\n", quote["id"].as_str().unwrap())
    });
    let outcomes = at("outcomes.csv");
    fs::write(&outcomes, format!("id,sold\n{}", sold.collect::<String>())).unwrap();
    let plan = at("other.toml");
    let text =
        fs::read_to_string(TRAINED_PLAN).unwrap().replace("loading = 0.02", "loading = 0.025");
    fs::write(&plan, text.split("[exploration]").next().unwrap()).unwrap();
    let judge = |more: &[&str]| {
        let args = ["off-policy", "--plan", &plan, "--models", &models, "--outcomes", &outcomes];
        run(&[&args[..], more].concat(), "")
    };
    let judged = judge(&["--json", &log]);
    assert_eq!(judged.code, Some(0), "{}", judged.err);
    let document: Value = serde_json::from_str(&judged.out).unwrap();
    let profit = &document["found"]["profit"];
    let number = |value: &Value| value.as_f64().unwrap();
    let robust = &profit["doubly_robust"];
    let [low, high] = [0, 1].map(|i| number(&robust["estimate"]["interval"][i]));
    assert!(low < number(&profit["logged"]["value"]) && number(&profit["logged"]["value"]) < high);
    assert!((100.0..1500.0).contains(&number(&robust["effective"])), "{robust}");
    let table = judge(&[&log]);
    assert!(table.out.contains("the plan less the log, doubly robust"), "{}", table.err);

    // What does not fit is one sentence that says what it is.
    let bad = |found: Said, says: &str| {
        assert_eq!(found.code, Some(2), "{}", found.err);
        assert!(found.err.contains(says), "{}", found.err);
    };
    let other = fs::read_to_string(TRAINED_PLAN).unwrap().replace("has_child", "children");
    fs::write(at("features.toml"), other).unwrap();
    let found = run(&["quote", "--plan", &at("features.toml"), "--models", &models, &path], "");
    bad(found, "features do not match: expected car_value (amount), claims (count)");
    bad(run(&["quote", "--plan", PLAN, "--models", &models, &path], ""), "found both");
    bad(run(&["quote", "--plan", TRAINED_PLAN, &path], ""), "or trained models, found neither");
    let twice = fs::read_to_string(&log).unwrap();
    let first = twice.lines().next().unwrap();
    fs::write(at("twice.jsonl"), format!("{first}\n{first}\n")).unwrap();
    bad(judge(&[&at("twice.jsonl")]), "twice.jsonl: line 2: quote \"P0000");
    fs::write(&outcomes, "id,sold\nP1,perhaps\n").unwrap();
    bad(judge(&[&log]), "row 1: column \"sold\": expected yes or no, found \"perhaps\"");
    fs::write(&outcomes, "id,bought\nP1,yes\n").unwrap();
    bad(judge(&[&log]), "column \"sold\" is missing; there are id, bought");
}
