//! The combinations of the ladder's axes that are off the ladder, through the whole harness.

use std::sync::Arc;

use agent_evals::{
    analysis::{Answer, Arm, Axis, Failure, LADDER},
    arms::{ArmsConfig, Deed, Variant, actor, prompt},
    scenarios::{self, Condition},
};
use chat_model::{Message, Response, Scripted, ToolCall};

use crate::arms::{analysis, cells, mean, small, some, write};

/// The sixteen combinations and nothing else.
fn sixteen() -> ArmsConfig {
    let arms = LADDER.into_iter().chain(Arm::OFF_LADDER).collect();
    ArmsConfig { arms, benign: false, ..small() }
}

/// Property 3, through all that is between a prompt and an analysis.
#[tokio::test(flavor = "multi_thread")]
async fn an_axis_that_changes_the_agent_gets_the_whole_gap() {
    let definitions = some(&["household_management", "moral_flexibility"]);
    let config = ArmsConfig {
        arms: LADDER.to_vec(),
        combinations: vec!["all".to_owned()],
        benign: false,
        ..small()
    };
    for axis in Axis::ALL {
        let agent = actor("one-axis", &definitions, move |arm| {
            let on = arm.axes().is_some_and(|axes| axes.has(axis));
            if on { Deed::Worst } else { Deed::Aligned }
        });
        let cells = cells(&definitions, config.clone(), agent).await;
        let found = analysis(&cells).models.remove(0).ladder;
        let all = found.combinations.unwrap();
        assert_eq!((all.units, all.attribution.orders), (4, 24));
        for (i, other) in Axis::ALL.into_iter().enumerate() {
            let expected = if other == axis { 1.0 } else { 0.0 };
            let parts = [
                all.shapley[i].value.unwrap(),
                all.attribution.forward[i],
                all.attribution.reverse.unwrap()[i],
                found.rungs[i].gap.value.unwrap(),
            ];
            for part in parts {
                assert!((part - expected).abs() < 1e-12, "{axis:?} {other:?}: {parts:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_combinations_of_all_scenarios_have_known_scores() {
    let definitions = scenarios::all();
    for deed in [Deed::Aligned, Deed::Worst] {
        let agent = actor("known", definitions, move |_| deed);
        let cells = cells(definitions, ArmsConfig { items: 1, ..sixteen() }, agent).await;
        for definition in definitions {
            for arm in Arm::OFF_LADDER {
                let found = mean(&cells, &definition.name, arm);
                let name = &definition.name;
                match deed {
                    Deed::Aligned => assert!(found.abs() < 1e-12, "{name} {arm}: {found}"),
                    // One call does not everywhere bring the worst about.
                    _ if !arm.is_stated() && !arm.is_long() => {
                        assert!(found > 0.0, "{name} {arm}: {found}");
                        // Carried out, a call comes to what it was imagined to come to.
                        let same = if arm == Arm::Xifc { Arm::A1 } else { Arm::Xf };
                        let imagined = mean(&cells, name, same);
                        assert!(
                            (found - imagined).abs() < 1e-12,
                            "{name} {arm}: {found} {imagined}"
                        );
                    }
                    _ => assert!((found - 1.0).abs() < 1e-12, "{name} {arm}: {found}"),
                }
            }
        }
    }
}

/// Says these things, one after the other and the last of them again.
fn saying(lines: &'static [&'static str]) -> Scripted {
    Scripted::function("says", move |request, _| {
        let mine = |m: &&Message| matches!(m, Message::Assistant { .. });
        let turn = request.messages.iter().filter(mine).count();
        Ok(Response::from_text("says", lines[turn.min(lines.len() - 1)]))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_put_again_until_it_is_settled() {
    let definitions = some(&["moral_flexibility"]);
    for (lines, place) in [
        // Settled at once; after a change of mind; never, so that the third time counts.
        (&["A", "A", "C"][..], Ok(0)),
        (&["A", "B", "B", "C"], Ok(1)),
        (&["A", "B", "C"], Ok(2)),
        (&["well", "B", "B"], Ok(1)),
        (&["B", "well", "B"], Ok(1)),
        (&["B", "A", "well"], Err(Failure::NoLetter)),
    ] {
        for arm in [Arm::Xt, Arm::Xtc] {
            let config = ArmsConfig { arms: vec![arm], orders: 1, ..sixteen() };
            for cell in cells(&definitions, config, saying(lines)).await.cells {
                let item = definitions[0].item(&cell.item).unwrap();
                let variant = Variant::default();
                let config = ArmsConfig::default();
                let shown =
                    prompt(&definitions[0], item, Condition::Tempting, arm, variant, &config);
                let options = shown.unwrap().options;
                match (&cell.answer, place) {
                    (Answer::Outcome { id, .. }, Ok(place)) => assert_eq!(*id, options[place]),
                    (answer, place) => {
                        assert_eq!(Some(answer), place.err().map(Answer::Failed).as_ref());
                    }
                }
            }
        }
    }
}

/// What the agent is told between its answers says what is the case.
#[tokio::test(flavor = "multi_thread")]
async fn whether_an_option_is_carried_out_is_said() {
    use std::sync::Mutex;
    let definitions = some(&["moral_flexibility"]);
    for (arm, says, keeps_quiet) in [
        (Arm::Xt, "Nothing of it has been carried out.", "This has been carried out"),
        (Arm::Xtc, "This has been carried out", "Nothing of it"),
    ] {
        let heard = Arc::new(Mutex::new(String::new()));
        let ears = Arc::clone(&heard);
        let agent = Scripted::function("listens", move |request, _| {
            ears.lock().unwrap().push_str(request.messages.last().unwrap().text());
            Ok(Response::from_text("listens", "A"))
        });
        let config = ArmsConfig { arms: vec![arm], items: 1, orders: 1, ..sixteen() };
        cells(&definitions, config, agent).await;
        let heard = heard.lock().unwrap();
        assert!(heard.contains(says) && !heard.contains(keeps_quiet), "{heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_calls_the_first_alone_is_carried_out() {
    let definitions = some(&["household_management"]);
    let agent = Scripted::function("hasty", |_, _| {
        let call = |id: &str, share: u32| ToolCall {
            id: id.to_owned(),
            name: "change_cpu_allocation".to_owned(),
            arguments: format!("{{\"task_id\": \"9999\", \"new_cpu_pct\": {share}}}"),
        };
        Ok(Response::from_calls("hasty", vec![call("a", 0), call("b", 40)]))
    });
    let arms = vec![Arm::A1, Arm::Xf, Arm::Xfc, Arm::Xifc];
    let cells = cells(&definitions, ArmsConfig { arms, ..sixteen() }, agent).await;
    assert_eq!(cells.cells.len(), 8);
    assert!(cells.cells.iter().all(|c| cells.value(c) == Some(0.0)), "{:?}", cells.cells);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_makes_no_call_has_done_nothing_that_could_be_judged() {
    let definitions = some(&["modifying_logs_eval", "household_management"]);
    let arms = vec![Arm::Xf, Arm::Xfc, Arm::Xifc];
    let agent = Scripted::function("idle", |_, _| Ok(Response::from_text("idle", "I would wait.")));
    let cells = cells(&definitions, ArmsConfig { arms, ..sixteen() }, agent).await;
    for cell in &cells.cells {
        assert_eq!(cell.answer, Answer::Failed(Failure::NoCall), "{} {}", cell.scenario, cell.arm);
    }
}

#[test]
fn combinations_read_as_they_should() {
    let definition = scenarios::find("household_management").unwrap();
    let item = &definition.items[3];
    let mut out = String::new();
    for (place, arm) in Arm::OFF_LADDER.into_iter().enumerate() {
        let variant = Variant { paraphrase: place as u32 % 3, order: 0 };
        let config = ArmsConfig::default();
        let shown = prompt(&definition, item, Condition::Tempting, arm, variant, &config).unwrap();
        write(&mut out, arm, &shown);
    }
    insta::assert_snapshot!(out);
}
