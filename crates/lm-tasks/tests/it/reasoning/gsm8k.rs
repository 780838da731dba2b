//! The layout of GSM8K in every container, and its faults.

use lm_tasks::{
    BadRows, Error, Layout, Place, ReadOptions, Split, preferences, prompts,
    reasoning::{
        Grade,
        gsm8k::{self, Calculation, Solution},
    },
};

use crate::common::{golden, skipping};

fn parse(text: &str) -> Result<Vec<lm_tasks::reasoning::Problem>, Error> {
    gsm8k::parse("x.jsonl", text, &ReadOptions::default()).map(|data| data.items)
}

#[test]
fn every_container_gives_the_same_problems() {
    let read = |name| gsm8k::read(&golden(name), &ReadOptions::default()).unwrap();
    let lines = read("gsm8k.jsonl");
    assert_eq!(lines.provenance.layout, Layout::Gsm8k);
    let answers: Vec<&str> = lines.items.iter().map(|p| p.answer.as_str()).collect();
    assert_eq!(answers, ["36", "1250", "-4.5"]);
    let first = &lines.items[0];
    assert_eq!(
        first.chains[0].steps,
        ["The second shelf holds 24/2=12 jars.\n", "Together there are 24+12=36 jars.\n"]
    );
    assert_eq!(first.difficulty["calculations"], 2);
    assert_eq!(lines.items[2].split, Some(Split::Evaluation));
    for name in ["gsm8k.jsonl.gz", "gsm8k.parquet"] {
        let other = read(name);
        assert_eq!(other.items, lines.items, "{name}");
        assert_eq!(other.provenance.digest, lines.provenance.digest, "{name}");
    }
}

#[test]
fn problems_verify_responses() {
    let data = gsm8k::read(&golden("gsm8k.parquet"), &ReadOptions::default()).unwrap();
    for problem in &data.items {
        assert!(problem.verify(&problem.completion()).is_right());
        assert!(problem.verify(&format!("So \\boxed{{{}}}.", problem.answer)).is_right());
        assert_eq!(problem.verify("Answer: 7").grade(), Grade::Wrong);
    }
    assert!(data.items[1].verify("Final Answer: $1,250.00").is_right());
}

#[test]
fn a_solution_is_taken_apart() {
    let text = "Half: 48/2 = <<48/2=24>>24, twice <<24*2 = 48>>48.\n\n  Done.  \n#### $1,072.50\n";
    let solution = Solution::parse(text).unwrap();
    assert_eq!(solution.steps, ["Half: 48/2 = 24, twice 48.", "Done."]);
    let calculation = |expression: &str, result: &str| Calculation {
        step: 0,
        expression: expression.into(),
        result: result.into(),
    };
    assert_eq!(solution.calculations, [calculation("48/2", "24"), calculation("24*2", "48")]);
    assert_eq!(solution.answer, "1072.5");
    assert!(Solution::parse("#### 5").unwrap().steps.is_empty());
}

#[test]
fn faults_name_line_and_field() {
    let good = r#####"{"question": "a", "answer": "#### 1"}"#####;
    for (row, message) in [
        (
            r#"{"question": "a", "answer": "5"}"#,
            "answer: expected text that ends in #### and a number, found no ####",
        ),
        (
            r#####"{"question": "a", "answer": "#### six"}"#####,
            "answer: expected text that ends in #### and a number, found six",
        ),
        (
            r#####"{"question": "a", "answer": "#### "}"#####,
            "answer: expected text that ends in #### and a number, found ",
        ),
        (
            r#####"{"question": "a", "answer": "#### ٣"}"#####,
            "answer: expected text that ends in #### and a number, found ٣",
        ),
        (
            r#"{"question": "a", "answer": "1 <<2\n#### 1"}"#,
            "answer: expected annotations that are closed by >>, found 1 <<2",
        ),
        (
            r#"{"question": "a", "answer": "1 <<2>>\n#### 1"}"#,
            "answer: expected annotations with a =, found 2",
        ),
        (
            r#####"{"question": " ", "answer": "#### 1"}"#####,
            "question: expected text that is not empty, found no characters but white space",
        ),
        (r#"{"question": "a", "answer": 1}"#, "answer: expected text, found the number 1"),
        (r#####"{"answer": "#### 1"}"#####, "question: expected text, found the fields answer"),
    ] {
        let text = format!("{good}\n\n{row}\n{good}\n");
        let error = parse(&text).unwrap_err();
        assert_eq!(error.to_string(), format!("x.jsonl: line 3: {message}"));
        let skip = ReadOptions { bad_rows: BadRows::Skip, ..ReadOptions::default() };
        let read = gsm8k::parse("x.jsonl", &text, &skip).unwrap();
        assert_eq!((read.items.len(), read.provenance.skipped), (2, 1));
        assert_eq!(read.provenance.first_skipped[0].place, Place::Line(3));
    }
}

#[test]
fn layouts_are_told_apart() {
    let error = gsm8k::read(&golden("posts.jsonl"), &skipping()).unwrap_err();
    assert!(matches!(error, Error::NoProblems { found: Layout::Posts, .. }));
    assert!(error.to_string().ends_with("expected the layout gsm8k, found posts"), "{error}");
    let pairs = preferences::read(&golden("gsm8k.jsonl"), &ReadOptions::default());
    assert!(matches!(pairs, Err(Error::NoPairs { found: Layout::Gsm8k, .. })));
    // As prompts, with the answer as reference.
    let read = prompts::read(&golden("gsm8k.jsonl"), &ReadOptions::default()).unwrap();
    assert_eq!(read.items[1].reference.as_deref(), Some("1250"));
    assert!(matches!(parse(""), Err(Error::Empty { .. })));
    assert!(matches!(parse("{\"text\": 1}"), Err(Error::UnknownLayout { .. })));
}
