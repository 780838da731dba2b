//! Organisms: what their arms are, and a small one that is trained.

use causal_lm::finetune::{FinetuneConfig, Length, Trainer};
use cot_metrics::{
    Arm,
    organisms::{
        Ask, ChainKind, EvaluateConfig, Language, LanguageConfig, Organism, Recipe, ScratchConfig,
        World as _, evaluate,
    },
    scoring::RolloutConfig,
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
