//! What the help of every verb ends with: commands as they are typed.

use clap::Command;

/// Each shown by the verb it begins with, in this order.
const EXAMPLES: &[&str] = &[
    // Language models
    "forthright lm inspect --model smollm2.gguf",
    "forthright lm generate --greedy --max-new-tokens 32 \"Why is the sky blue?\"",
    "forthright lm generate --input prompts.jsonl --temperature 0.7 --top-p 0.9 --seed 1",
    "forthright lm chat --model checkpoints/smollm2 --system \"Answer in one sentence.\"",
    "forthright lm finetune --data examples.jsonl --eval held-out.jsonl --out runs/mine",
    "forthright lm finetune --resume --out runs/mine",
    "forthright lm score --input texts.jsonl --dtype f32",
    "forthright lm perplexity text.txt --window 512",
    "forthright lm convert --model smollm2.gguf --out checkpoints/smollm2",
    "forthright lm convert --adapter runs/mine/adapter --out merged",
    "forthright lm bench --filter bfloat16/generate --out runs/lm-bench",
    "forthright lm bench --peer peers/bin/python --out runs/lm-bench",
    "forthright lm reproduce --out runs/lm",
    // KL-regularised Q-learning
    "forthright klq train --algorithm klq --task dialogue --iterations 30 --out runs/klq",
    "forthright klq train --config settings.toml --kl-coef 0.1 --out runs/klq",
    "forthright klq train --resume --out runs/klq",
    "forthright klq evaluate --config runs/klq/config.toml --policy runs/klq/adapter --group 4",
    "forthright klq judge --a runs/klq/adapter --b start --judge reward-model:runs/taste/model",
    "forthright klq judge --a runs/klq/adapter --b runs/ppo/adapter --judge endpoint \
     --url http://localhost:8000/v1 --judge-model judge --cache answers",
    "forthright klq reward-model train --data pairs.jsonl --out runs/taste",
    "forthright klq reward-model evaluate --reward-model runs/taste/model --data held-out.jsonl",
    "forthright klq oracle --problems 100 --json",
    "forthright klq bench --filter ppo --peer peers/bin/python --out runs/klq-bench",
    "forthright klq reproduce --scale laptop --out runs/klq-laptop",
    "forthright klq reproduce --scale paper --dry-run --out runs/klq-paper",
    // Early exits
    "forthright early-exit pretrain --task running_sum --out runs/base",
    "forthright early-exit pretrain --finetune --model checkpoints/mine --config settings.toml \
     --out runs/base",
    "forthright early-exit calibrate --model runs/base/model --recipe refreshed --out runs/gates",
    "forthright early-exit calibrate --model runs/base/model --exits runs/gates --recipe supervised \
     --out runs/right",
    "forthright early-exit train --model runs/base/model --exits runs/gates --depth-coef 0.1 \
     --out runs/trained",
    "forthright early-exit generate --model runs/base/model --exits runs/trained --task running_sum \
     --html depth.html",
    "forthright early-exit evaluate --model runs/base/model --exits runs/trained --rule greedy",
    "forthright early-exit evaluate --model runs/base/model --exits runs/trained \
     --rule threshold=0.7 --repeats 0 --json",
    "forthright early-exit reproduce --scale laptop --out runs/early-exit",
    "forthright early-exit reproduce --scale paper --model checkpoints/r1 --data gsm8k.jsonl \
     --dry-run --out runs/early-exit",
    // Chains of thought
    "forthright cot score --task addition --problems 64 --records records.jsonl",
    "forthright cot score --input transcripts.jsonl --format think --model checkpoints/thinks --json",
    "forthright cot diagnose --records records.jsonl --right-without-chain 27/200",
    "forthright cot compare --baseline before.jsonl --other after.jsonl --top 5",
    "forthright cot train-organism --organism baseline --out runs/baseline",
    "forthright cot train-organism --organism encoded --from runs/baseline/model --out runs/encoded",
    "forthright cot track --run runs/encoded --baseline runs/baseline",
    "forthright cot bench --filter monitor --out runs/cot-bench",
    "forthright cot reproduce --scale laptop --out runs/cot",
    "forthright cot reproduce --scale laptop --resume --out runs/cot",
    // Agents
    "forthright agents run --scenario all --actor worst --out runs/worst",
    "forthright agents run --scenario household_management --persona none --persona analyst \
     --url http://localhost:8000/v1 --model mine --key-env KEY --out runs/mine",
    "forthright agents arms --scenario household_management --actor hypocrite --items 4 \
     --out runs/arms",
    "forthright agents analyse runs/arms --margin 0.1",
    "forthright agents plan --config models.toml --power 0.9",
    "forthright agents reproduce --out runs/agents",
    "forthright agents reproduce --scale paper --url http://localhost:8000/v1 --key-env KEY \
     --max-cost 50 --dry-run --out runs/agents",
    "forthright agents list",
    "forthright agents list runs/mine --state error",
    "forthright agents resume runs/mine --errors",
    "forthright agents rescore runs/mine --as-published --out scores.jsonl",
    "forthright agents replay runs/mine --only \"household_management/*\"",
    "forthright agents export runs/mine --out logs",
    "forthright agents import logs/household_management.eval --json",
    "forthright agents view runs/mine --out samples.html",
    "forthright agents compare runs/mine --personas none analyst",
    "forthright agents compare runs/mine runs/worst",
    "forthright agents bench --filter turns --peer peers/bin/python --out runs/agents-bench",
    // Portfolios
    "forthright portfolio simulate --epochs 100 --json",
    "forthright portfolio simulate --write-customers customers.csv --rows 1000",
    "forthright portfolio solve --instance instance.toml",
    "forthright portfolio quote --plan plan.toml customers.csv",
    "forthright portfolio quote --plan plan.toml --models models.json --format csv -",
    "forthright portfolio off-policy --plan other.toml --outcomes outcomes.csv quotes.jsonl",
    "forthright portfolio train --loss-scale 5000 --out models.json",
    "forthright portfolio evaluate --arms structural.table,published.multiplier_0.02 --trials 8",
    "forthright portfolio frontier --loss-scales 0,1000,10000 --trials 4",
    "forthright portfolio reproduce --scale laptop --out runs/portfolio",
    "forthright portfolio bench --filter market --out runs/portfolio-bench",
    // Beside them
    "forthright report runs/reproduce-smoke",
    "forthright schema",
    "forthright schema klq train",
    "forthright completions bash",
];

/// The command with the examples in the help of its verbs.
pub(crate) fn in_help(command: Command) -> Command {
    let path = command.get_name().to_owned();
    below(command, &path)
}

fn below(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    if !names.is_empty() {
        return names.iter().fold(command, |command, name| {
            command.mut_subcommand(name, |verb| below(verb, &format!("{path} {name}")))
        });
    }
    let lines: Vec<String> = of(path).map(|example| format!("  {example}")).collect();
    if lines.is_empty() {
        return command;
    }
    let styles = command.get_styles().clone();
    let (on, off) = (styles.get_header().render(), styles.get_header().render_reset());
    command.after_help(format!("{on}Examples:{off}\n{}", lines.join("\n")))
}

/// Those of a verb, by the words it is called with.
fn of(path: &str) -> impl Iterator<Item = &'static str> {
    EXAMPLES.iter().copied().filter(move |example| {
        example.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::Cli;

    /// Words as a shell would make them of an example.
    fn words(example: &str) -> Vec<String> {
        let parts = example.split('"').enumerate();
        parts
            .flat_map(|(i, part)| {
                let quoted = i % 2 == 1;
                let words: Vec<&str> =
                    if quoted { vec![part] } else { part.split_whitespace().collect() };
                words.into_iter().map(str::to_owned)
            })
            .collect()
    }

    /// Paths of all verbs that a user sees.
    fn verbs(command: &Command, path: &str, out: &mut Vec<String>) {
        let mut below = command.get_subcommands().filter(|c| !c.is_hide_set()).peekable();
        if below.peek().is_none() {
            out.push(path.to_owned());
        }
        for verb in below {
            verbs(verb, &format!("{path} {}", verb.get_name()), out);
        }
    }

    #[test]
    fn every_verb_has_examples_that_the_command_takes_and_no_example_is_of_none() {
        let mut paths = Vec::new();
        verbs(&Cli::command(), "forthright", &mut paths);
        let mut shown = 0;
        for path in &paths {
            let mut any = false;
            for example in of(path) {
                let matches = Cli::command().try_get_matches_from(words(example));
                let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
                if let Err(error) = parsed {
                    panic!("{example}: {error}");
                }
                any = true;
                shown += 1;
            }
            assert!(any, "{path}: no example");
        }
        if cfg!(all(feature = "lm", feature = "agents", feature = "portfolio")) {
            assert_eq!(shown, EXAMPLES.len(), "an example of a verb that there is not");
        }
    }

    #[test]
    fn examples_end_the_help_of_their_verb() {
        let mut command = in_help(Cli::command());
        let report = command.find_subcommand_mut("report").unwrap();
        let help = report.render_help().to_string();
        assert!(help.ends_with("Examples:\n  forthright report runs/reproduce-smoke\n"), "{help}");
    }

    #[test]
    fn a_verb_is_not_shown_those_of_one_whose_name_begins_alike() {
        assert!(of("forthright lm gen").next().is_none());
        assert_eq!(of("forthright completions").count(), 1);
    }

    #[test]
    fn words_are_parted_as_by_a_shell() {
        assert_eq!(words("a \"b c\" --d e"), ["a", "b c", "--d", "e"]);
    }
}
