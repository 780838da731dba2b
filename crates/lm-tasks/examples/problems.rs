//! Prints a problem of each task, with its chains of thought.
//!
//! `cargo run -p lm-tasks --example problems [TASK [INDEX]]`
#![expect(clippy::print_stdout, reason = "an example shows what it makes")]

use std::error::Error;

use lm_tasks::{Split, reasoning::Task};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next();
    let index = arguments.next().map_or(Ok(0), |index| index.parse())?;
    let tasks = match &name {
        Some(name) => vec![Task::named(name)?],
        None => Task::NAMES.into_iter().map(Task::named).collect::<Result<_, _>>()?,
    };
    for task in tasks {
        let problem = task.problem(Split::Train, 0, index)?;
        println!("== {}\n{}\n", problem.id, problem.request());
        for chain in &problem.chains {
            println!("-- right\n{}", problem.after(chain));
        }
        if let Some(wrong) = &problem.wrong_chain {
            println!("-- wrong at step {}\n{}", wrong.step + 1, wrong.chain.text());
        }
    }
    Ok(())
}
