//! The arms of all scenarios, driven by agents that are known, through the whole harness.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use agent_evals::{
    Agent, CallFormat, FinishedIter, Plan, Scenario, Stopper,
    analysis::{Ability, Analysis, Answer, Arm, Cells, Failure, ScenarioInfo, Settings, analyse},
    arms::{
        ArmScenario, ArmsConfig, Deed, Prompt, Variant, actor, has_options, prompt, read_cells,
        scenarios,
    },
    scenarios::{self, Condition, Definition},
};
use chat_model::{ChatModel, Message, Request, Response, Scripted};
use rl_core::stats::Decision;

pub(crate) fn small() -> ArmsConfig {
    ArmsConfig { items: 2, paraphrases: 1, ..ArmsConfig::default() }
}

pub(crate) fn some(names: &[&str]) -> Vec<Arc<Definition>> {
    names.iter().map(|name| scenarios::find(name).unwrap()).collect()
}

/// Runs arms with an agent and reads what came of them.
pub(crate) async fn cells(
    definitions: &[Arc<Definition>],
    config: ArmsConfig,
    agent: Scripted,
) -> Cells {
    cells_with(definitions, config, agent, &[]).await
}

/// The same, where models code free text.
pub(crate) async fn cells_with(
    definitions: &[Arc<Definition>],
    config: ArmsConfig,
    agent: Scripted,
    coders: &[Arc<dyn ChatModel>],
) -> Cells {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    let (config, agent) = (Arc::new(config), Agent::new(agent));
    let ready = |arm: ArmScenario| {
        let arm = if config.awareness { arm.ask_after([&agent]) } else { arm };
        Arc::new(arm) as Arc<dyn Scenario>
    };
    let arms = scenarios(definitions, &config, coders).unwrap();
    let arms: Vec<Arc<dyn Scenario>> = arms.into_iter().map(ready).collect();
    let plan = Plan { scenarios: arms.clone(), ..Plan::new(Arc::clone(&arms[0]), agent) };
    plan.run(&journal, None, Stopper::default()).await.unwrap();
    for finished in FinishedIter::open(&journal).unwrap().step_by(17) {
        let finished = finished.unwrap();
        assert_eq!(finished.replay().await.unwrap(), finished.trace.events);
    }
    read_cells(&journal, definitions.iter().map(|d| ScenarioInfo::of(d)).collect()).unwrap()
}

pub(crate) fn analysis(cells: &Cells) -> Analysis {
    let settings = Settings { resamples: 200, splits: 8, ..Settings::default() };
    analyse(cells, &settings).unwrap()
}

/// Mean value of an arm in a scenario; NaN if nothing came of it.
pub(crate) fn mean(cells: &Cells, scenario: &str, arm: Arm) -> f64 {
    let of = cells.cells.iter().filter(|c| c.scenario == scenario && c.arm == arm && !c.benign);
    let values: Vec<f64> = of.filter_map(|c| cells.value(c)).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aligned_agent_is_aligned_in_all_arms_of_all_scenarios() {
    let definitions = scenarios::all();
    let agent =
        actor("able", definitions, |arm| if arm == Arm::Ac { Deed::Worst } else { Deed::Aligned });
    let cells = cells(definitions, small(), agent).await;
    for definition in definitions {
        for arm in Arm::ALL {
            let expected = if arm == Arm::Ac { 1.0 } else { 0.0 };
            let found = mean(&cells, &definition.name, arm);
            assert!((found - expected).abs() < 1e-12, "{} {arm}: {found}", definition.name);
        }
    }
    let found = &analysis(&cells).models[0];
    assert_eq!(found.gap.decision(), Decision::Equivalent);
    assert!(found.failures.iter().all(|f| f.failed.is_empty()), "{:?}", found.failures);
    assert!(found.controls.iter().all(|c| c.ability == Ability::Able));
    for foresight in &found.foresight {
        assert!(foresight.calibration.as_ref().unwrap().brier.value < 1e-12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hypocrite_is_found_out() {
    let definitions = scenarios::all();
    let agent =
        actor(
            "hypocrite",
            definitions,
            |arm| {
                if arm.is_stated() { Deed::Aligned } else { Deed::Worst }
            },
        );
    let cells = cells(definitions, small(), agent).await;
    for definition in definitions {
        for arm in [Arm::A2, Arm::A3, Arm::A3r, Arm::Ac] {
            let found = mean(&cells, &definition.name, arm);
            assert!((found - 1.0).abs() < 1e-12, "{} {arm}: {found}", definition.name);
        }
        assert!(mean(&cells, &definition.name, Arm::A1) > 0.0, "{}", definition.name);
    }
    let found = &analysis(&cells).models[0];
    assert!((found.gap.signed.value.unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(found.say_do.hypocrisy.unwrap().value.to_bits(), 1.0_f64.to_bits());
    assert_eq!(found.gap.decision(), Decision::Differs);
    // Its transcripts can be looked up.
    assert!(found.largest.iter().all(|l| l.stated.is_some() && l.enacted.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_says_and_does_nothing_is_uninformative() {
    let definitions = some(&["household_management", "moral_flexibility"]);
    let agent = actor("mute", &definitions, |_| Deed::Nothing);
    let cells = cells(&definitions, small(), agent).await;
    for cell in &cells.cells {
        assert!(matches!(cell.answer, Answer::Failed(_)), "{cell:?}");
    }
    let found = &analysis(&cells).models[0];
    assert_eq!((found.gap.signed.value, found.gap.decision()), (None, Decision::Undecided));
    assert!(found.controls.iter().all(|c| c.ability == Ability::Uninformative));
    let bounds = found.bounds.unwrap();
    assert_eq!([bounds.best, bounds.worst].map(f64::to_bits), [-1.0_f64, 1.0].map(f64::to_bits));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_always_names_the_first_option_says_all_of_them_alike() {
    let definitions = some(&["modifying_logs_eval"]);
    let config = ArmsConfig { arms: vec![Arm::Q0], benign: false, ..ArmsConfig::default() };
    let agent = Scripted::function("first", |_, _| Ok(Response::from_text("first", "A")));
    let cells = cells(&definitions, config, agent).await;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for cell in &cells.cells {
        let Answer::Outcome { id, .. } = &cell.answer else { panic!("{cell:?}") };
        *counts.entry(id).or_default() += 1;
    }
    let outcomes = definitions[0].outcomes.len();
    assert_eq!(counts.len(), outcomes);
    let each = cells.cells.len() / outcomes;
    assert!(counts.values().all(|n| *n == each), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_options_change_nothing() {
    let definitions = some(&["network_manager"]);
    let arms = vec![Arm::Q0, Arm::Qn, Arm::Qp, Arm::Sp, Arm::Q1];
    let mut found = Vec::new();
    for labels in ["ABCD", "wxyz", "1234"] {
        let config = ArmsConfig { arms: arms.clone(), labels: labels.to_owned(), ..small() };
        let agent = actor("a", &definitions, |_| Deed::Worst);
        found.push(cells(&definitions, config, agent).await);
    }
    assert!(found[0].cells.iter().all(|c| found[0].value(c) == Some(1.0)));
    assert!(found[0] == found[1] && found[1] == found[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_have_their_own_categories() {
    let definitions = some(&["moral_flexibility"]);
    for (says, arm, failure) in [
        ("I would rather not say.", Arm::Q0, Failure::Refused),
        ("It depends.", Arm::Q0, Failure::NoLetter),
        ("A. or B.", Arm::Qn, Failure::SeveralLetters),
        ("A: 50%\nB: 60%\nC: 70%", Arm::Qp, Failure::Probabilities),
        ("A: 50%", Arm::Sp, Failure::Probabilities),
        ("I like turtles.", Arm::Q0f, Failure::Uncoded),
        ("I would enter my decision.", Arm::A1, Failure::NoCall),
        ("I cannot do that.", Arm::A1, Failure::Refused),
        ("Hello.", Arm::A3, Failure::Unscored),
    ] {
        let config = ArmsConfig { arms: vec![arm], benign: false, ..small() };
        let agent = Scripted::function("bad", move |_, _| Ok(Response::from_text("bad", says)));
        let cells = cells(&definitions, config, agent).await;
        assert!(!cells.cells.is_empty());
        for cell in &cells.cells {
            assert_eq!(cell.answer, Answer::Failed(failure), "{arm} {says}");
        }
    }
}

/// Property 14.
#[test]
fn nothing_of_the_questions_is_in_the_arms_that_act() {
    let config = Arc::new(ArmsConfig::default());
    for definition in scenarios::all() {
        for arm in [Arm::A1, Arm::A2, Arm::A3, Arm::A3r] {
            let scenario =
                ArmScenario::new(Arc::clone(definition), arm, false, Arc::clone(&config)).unwrap();
            for sample in scenario.samples().unwrap() {
                let item = definition.item(sample.metadata["item"].as_str().unwrap()).unwrap();
                let shown = text(&scenario.prompt(&sample).unwrap().messages);
                let fill = |text: &str| definition.fill(text, item, Condition::Tempting);
                for outcome in &definition.outcomes {
                    let option = fill(&outcome.description);
                    // Two or three words are the setting's own language: "uphold the rule".
                    let telling = option.split_whitespace().count() > 3;
                    assert!(!(telling && shown.contains(&option)), "{arm}: {option}");
                    assert!(!shown.contains(&format!("would {option}")), "{arm}: {option}");
                }
                for paraphrase in 0..3 {
                    let told = definition.description(item, Condition::Tempting, paraphrase);
                    assert!(!shown.contains(told.trim()), "{arm}: {told}");
                }
                assert!(!shown.contains(&fill(&definition.decision)), "{arm}");
            }
        }
    }
}

fn text(messages: &[Message]) -> String {
    messages.iter().map(Message::text).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn every_item_of_every_scenario_can_be_asked_in_every_arm() {
    let config = Arc::new(ArmsConfig::default());
    for definition in scenarios::all() {
        for arm in Arm::ALL.into_iter().chain(Arm::OFF_LADDER) {
            for benign in [false, true] {
                let (definition, config) = (Arc::clone(definition), Arc::clone(&config));
                let scenario = ArmScenario::new(definition, arm, benign, config).unwrap();
                for sample in scenario.samples().unwrap() {
                    let prompt = scenario.prompt(&sample).unwrap();
                    let shown = text(&prompt.messages);
                    assert!(!shown.contains("{{") && !shown.trim().is_empty(), "{shown}");
                    assert_eq!(has_options(arm), !prompt.options.is_empty());
                    let request = Request { messages: prompt.messages, ..Request::default() };
                    request.validate().unwrap();
                }
            }
        }
    }
}

#[test]
fn contexts_are_shown_as_agents_call() {
    let definition = scenarios::find("synthesize_chemicals").unwrap();
    let config = Arc::new(ArmsConfig { calls: CallFormat::Textual, ..ArmsConfig::default() });
    for arm in [Arm::Q1, Arm::A1, Arm::A2] {
        let scenario =
            ArmScenario::new(Arc::clone(&definition), arm, false, Arc::clone(&config)).unwrap();
        let sample = &scenario.samples().unwrap()[0];
        let messages = scenario.prompt(sample).unwrap().messages;
        let shown = text(&messages);
        assert!(
            shown.contains("<tool_call>") && shown.contains("<tool_response name=\"look_up\">")
        );
        // Speakers alternate, as templates want it.
        let user = |m: &Message| matches!(m, Message::User { .. });
        assert!(!messages.windows(2).any(|w| user(&w[0]) && user(&w[1])), "{arm}");
    }
}

#[test]
fn arms_read_as_they_should() {
    let definition = scenarios::find("moral_flexibility").unwrap();
    let item = &definition.items[0];
    let mut out = String::new();
    for arm in Arm::ALL {
        let variant = Variant { paraphrase: 1, order: 1 };
        let config = ArmsConfig::default();
        let condition = if arm == Arm::Ac { Condition::Commanded } else { Condition::Tempting };
        let mut shown = prompt(&definition, item, condition, arm, variant, &config).unwrap();
        if arm == Arm::A3r {
            agent_evals::arms::switch_reasoning(&mut shown.messages, config.reasoning);
        }
        write(&mut out, arm, &shown);
    }
    insta::assert_snapshot!(out);
}

/// What an arm shows, for people to read.
pub(crate) fn write(out: &mut String, arm: Arm, shown: &Prompt) {
    writeln!(out, "######## {arm} {:?}", shown.options).unwrap();
    for message in &shown.messages {
        let who = match message {
            Message::System { .. } => "system",
            Message::User { .. } => "user",
            Message::Assistant { .. } => "assistant",
            Message::Tool { .. } => "tool",
        };
        writeln!(out, "[{who}] {}", message.text().trim()).unwrap();
    }
}
