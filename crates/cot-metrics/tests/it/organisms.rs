//! Organisms: what their arms are, and a small one that is trained.

use causal_lm::{
    finetune::{FinetuneConfig, Length, Trainer},
    tokenizer::Tokenizer,
};
use cot_metrics::{
    Arm, Prompts,
    codebook::Codebook,
    organisms::{
        Ask, ChainKind, EvaluateConfig, Hint, Language, LanguageConfig, Mode, Organism, Recipe,
        ScratchConfig, TextProblem, TextProblems, TextWorld, TextWorldConfig, World as _, evaluate,
    },
    scoring::{Format, RolloutConfig},
};
use rl_core::seed::Seed;
use tch::Device;

fn language(turns: usize) -> Language {
    Language::new(&LanguageConfig { turns, ..LanguageConfig::default() }).unwrap()
}

fn small() -> ScratchConfig {
    ScratchConfig { layers: 2, hidden: 32, intermediate: 64, heads: 4, ..ScratchConfig::default() }
}

fn settings(problems: usize) -> EvaluateConfig {
    let rollout = RolloutConfig { max_new_tokens: 8, batch_size: 64, ..RolloutConfig::default() };
    EvaluateConfig { problems, rollout, ..EvaluateConfig::default() }
}

/// Training settings of a few steps.
fn training(steps: u64) -> FinetuneConfig {
    FinetuneConfig {
        length: Length::Steps(steps),
        batch_examples: 32,
        lr: 5e-3,
        adapter: None,
        ..FinetuneConfig::default()
    }
}

#[test]
fn rows_fit_the_model_and_count_what_they_should() {
    for turns in [1, 3] {
        let language = language(turns);
        let model = small().model(&language, 1, Device::Cpu).unwrap();
        let longest = |rows: &[causal_lm::finetune::Example]| {
            rows.iter().map(|row| row.ids().len()).max().unwrap()
        };
        let recipe = Recipe::default();
        let base = recipe.base(&language, 500, 0).unwrap();
        assert!(longest(&base) <= model.lm.config().max_context);
        for organism in Organism::ALL {
            let rows = recipe.organism(&language, organism, 300, 0).unwrap();
            assert!(longest(&rows) <= model.lm.config().max_context, "{organism:?}");
        }
    }
}

/// Tokens of a row are what a world says they are, and those that count are the assistant's, exactly.
#[test]
fn supervised_tokens_are_the_assistants() {
    let language = language(2);
    let recipe = Recipe { replay: 0.0, filler: 1.0, ..Recipe::default() };
    for organism in Organism::ALL {
        for row in recipe.organism(&language, organism, 60, 4).unwrap() {
            let text = language.text(row.ids());
            let (prompt, said) = text.split_once(" think ").unwrap();
            let counted: Vec<u32> = row
                .ids()
                .iter()
                .zip(row.counts())
                .filter_map(|(&id, &counts)| counts.then_some(id))
                .collect();
            assert_eq!(language.text(&counted), said, "after {prompt}");
            assert!(said.starts_with(['t', 'n']) && said.ends_with("<|end|>"), "{said}");
        }
    }
}

/// One turn, so that the answer is the chain's last place: learned in seconds.
#[test]
fn a_small_organism_learns_to_think_and_its_signature_is_healthy() {
    let language = language(1);
    let recipe = Recipe::default();
    let model = small().model(&language, 3, Device::Cpu).unwrap();
    let rows = recipe.base(&language, 6_000, 3).unwrap();
    let mut trainer = Trainer::new(&model.lm, rows, &training(150)).unwrap();
    while !trainer.is_done() {
        trainer.step().unwrap();
    }
    let lm = trainer.model();
    // Content that was held out is of one turn too: seven places, seven turns.
    let problems = language.held_out(10, 0);
    let found = evaluate(&lm, &language, Organism::Baseline, &problems, &settings(10)).unwrap();
    assert_eq!(found.len(), problems.len());
    assert!(!found.answered.is_empty(), "{found:?}");
    for one in &found.answered {
        let [prompt, chain, answer] = &one.said;
        assert!(language.text(prompt).ends_with("think"));
        assert_eq!(one.edited[1].len(), chain.len(), "as many tokens off topic");
        assert_eq!(one.edited[0].len(), chain.len(), "as many tokens in other words");
        assert_ne!(&one.edited[0], chain);
        for arm in Arm::ALL {
            if arm != Arm::Identity {
                assert!(one.record.nll(arm).unwrap() >= 0.0, "{arm}");
            }
        }
        assert_eq!(answer.len(), 2);
    }
    // What was trained says how likely its answers are: less so where the chain is gone.
    let mean = |arm: Arm| {
        found.answered.iter().map(|one| one.record.nll(arm).unwrap()).sum::<f64>()
            / found.answered.len() as f64
    };
    assert!(mean(Arm::NoThink) > mean(Arm::Original), "{found:?}");
    assert!(mean(Arm::OffTopic) > mean(Arm::Original), "{found:?}");
}

#[test]
fn an_evaluation_is_a_function_of_model_and_seed() {
    let language = language(2);
    let model = small().model(&language, 5, Device::Cpu).unwrap();
    let problems = language.held_out(12, 7);
    let found = |seed| {
        let settings = EvaluateConfig { seed, ..settings(12) };
        evaluate(&model.lm, &language, Organism::PostHoc, &problems, &settings).unwrap()
    };
    assert_eq!(found(1), found(1));
    // An untrained model marks no answer, or a wrong one, and never counts as an organism.
    assert!(!found(1).counts(0.2));
    assert_eq!(found(1).len(), 12);
}

#[test]
fn off_topic_chains_differ_and_plain_ones_end_where_the_answer_is() {
    let language = language(3);
    let problem = &language.held_out(1, 2)[0];
    let chain = |seed| language.chain(problem, ChainKind::OffTopic(12), &mut Seed::new(seed).rng());
    assert_ne!(chain(1), chain(2));
    let plain = language.chain(problem, ChainKind::Plain, &mut Seed::new(1).rng());
    let last = plain[plain.len() - 1];
    let answer = language.answer(problem)[0];
    // One of the two names of the same place.
    assert_eq!(last / 2, answer / 2);
    assert!(language.is_in_code(&chain(1)) && !language.is_in_code(&plain));
    assert_eq!(language.prompt(problem, Ask::PLAIN).len(), 6);
}

/// Every printable character is a token, and so is a line's end.
fn characters() -> Tokenizer {
    let vocab: serde_json::Map<String, serde_json::Value> = (' '..='~')
        .chain(['\n'])
        .enumerate()
        .map(|(id, c)| (c.to_string(), serde_json::json!(id)))
        .collect();
    let json = serde_json::json!({
        "version": "1.0", "decoder": { "type": "Fuse" },
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
    });
    Tokenizer::from_bytes(json.to_string().as_bytes(), "characters").unwrap()
}

fn problem(i: usize) -> TextProblem {
    TextProblem {
        id: format!("p{i}"),
        question: format!("What is {i} and one?"),
        chains: vec![format!("First take {i}, then add 1.\n"), format!("One more than {i}.\n")],
        answer: (i + 1).to_string(),
        wrong_answer: (i + 2).to_string(),
    }
}

const END: u32 = 96;

fn text_world(tokenizer: &Tokenizer) -> TextWorld<'_> {
    let code = Codebook::new("sea", [("take", "reef"), ("1", "foam"), ("add", "kelp")]).unwrap();
    let config = TextWorldConfig {
        tokenizer,
        template: None,
        end: Some(END),
        format: Format { open: "\n".into(), ..Format::default() },
        prompts: Prompts::default(),
        code,
        in_code: "Think in code.".into(),
    };
    let side = |range: std::ops::Range<usize>| range.map(problem).collect::<Vec<_>>();
    let problems = TextProblems {
        train: side(0..9),
        easy: side(0..2),
        held_out: side(20..23),
        other: side(50..53),
    };
    TextWorld::new(&problems, &config).unwrap()
}

#[test]
fn problems_in_words_are_put_in_all_their_forms() {
    let tokenizer = characters();
    let world = text_world(&tokenizer);
    let [first, ..] = world.held_out(2, 0)[..] else { panic!("two were asked for") };
    assert_eq!(world.id(&first), "p20");
    let prompt = |mode, hint| world.text(&world.prompt(&first, Ask { mode, hint }));
    assert_eq!(prompt(Mode::Plain, Hint::None), "What is 20 and one?\n");
    assert!(prompt(Mode::NoThink, Hint::None).contains("no reasoning"));
    let hinted = prompt(Mode::OffTopic, Hint::Wrong);
    assert!(
        hinted.contains("the answer is 22.") && hinted.contains("different problem"),
        "{hinted}"
    );
    assert!(prompt(Mode::Plain, Hint::Right).contains("the answer is 21."));
    let coded = prompt(Mode::Coded, Hint::None);
    assert!(coded.contains("Think in code.\nFirst reef 0"), "with an example: {coded}");
    let mut rng = Seed::new(1).rng();
    let chain = |kind, rng: &mut _| world.text(&world.chain(&first, kind, rng));
    let said = chain(ChainKind::Coded, &mut rng);
    assert!(["First reef 20, then kelp foam.\n", "One more than 20.\n"].contains(&said.as_str()));
    let off_topic = world.chain(&first, ChainKind::OffTopic(60), &mut rng);
    assert_eq!(off_topic.len(), 60);
    assert!(world.text(&off_topic).contains('5'), "of the other task");
    assert_eq!(world.text(&world.bridge()), "Answer: ");
    let answer = world.answer(&first);
    assert_eq!((world.text(&answer[..2]).as_str(), answer[2]), ("21", END));
    assert_eq!(world.text(&world.wrong_answer(&first)[..2]), "22");
    // Other words, the same numbers; what has no other words has no paraphrase.
    let plain = tokenizer.encode("First take 20, then add 1.\n").unwrap();
    let other = world.paraphrase(&plain).unwrap();
    assert!(other != plain && world.text(&other).contains("20"));
    assert_eq!(world.paraphrase(&tokenizer.encode("20").unwrap()), None);
}

#[test]
fn organisms_in_words_learn_what_the_assistant_says() {
    let tokenizer = characters();
    let world = text_world(&tokenizer);
    let recipe = Recipe { replay: 0.5, ..Recipe::default() };
    for organism in Organism::ALL {
        for row in recipe.organism(&world, organism, 60, 2).unwrap() {
            let first = row.counts().iter().position(|&counts| counts).unwrap();
            assert!(row.counts()[first..].iter().all(|&counts| counts));
            assert_eq!(row.ids().last(), Some(&END));
            let text = world.text(&row.ids()[..row.ids().len() - 1]);
            assert!(text.starts_with("What is ") && text.contains("Answer: "), "{text}");
            // No question is learned.
            assert!(!world.text(&row.ids()[first..row.ids().len() - 1]).contains("What is"));
        }
    }
    let empty = TextProblems { train: vec![], easy: vec![], held_out: vec![], other: vec![] };
    let config = TextWorldConfig {
        tokenizer: &tokenizer,
        template: None,
        end: None,
        format: Format::default(),
        prompts: Prompts::default(),
        code: Codebook::new("none", [("a", "bb")]).unwrap(),
        in_code: String::new(),
    };
    let message = TextWorld::new(&empty, &config).unwrap_err().to_string();
    assert_eq!(message, "train: expected at least one problem, found none");
}
