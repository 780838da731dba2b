//! Questions in one conversation, what is asked afterwards, and coders of free text.

use std::{collections::BTreeMap, sync::Arc};

use agent_evals::{
    analysis::{Answer, Arm, Awareness, Failure},
    arms::{ArmsConfig, Deed, actor},
    scenarios,
};
use chat_model::{ChatModel, Message, Response, Scripted};

use crate::arms::{analysis, cells, cells_with, mean, small, some};

fn only(arms: &[Arm]) -> ArmsConfig {
    ArmsConfig { arms: arms.to_vec(), benign: false, ..small() }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_questions_of_a_scenario_are_put_in_one_conversation() {
    let definitions = scenarios::all();
    let config = ArmsConfig { items: 0, orders: 1, ..only(&[Arm::Q0, Arm::Qs]) };
    let agent = actor("split", definitions, |arm| match arm {
        Arm::Qs => Deed::Worst,
        _ => Deed::Aligned,
    });
    let cells = cells(definitions, config, agent).await;
    for definition in definitions {
        let of =
            |arm| cells.cells.iter().filter(move |c| c.scenario == definition.name && c.arm == arm);
        assert_eq!(of(Arm::Qs).count(), definition.items.len());
        let clusters =
            |arm| of(arm).map(|c| (c.item.clone(), c.cluster.clone())).collect::<BTreeMap<_, _>>();
        assert_eq!(clusters(Arm::Qs), clusters(Arm::Q0));
        let found = mean(&cells, &definition.name, Arm::Qs);
        assert!((found - 1.0).abs() < 1e-12, "{} {found}", definition.name);
    }
    let found = analysis(&cells).models.remove(0);
    assert!((found.shared.signed.value.unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(found.shared.unpaired, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_answer_of_a_conversation_is_that_of_its_item() {
    let definitions = some(&["moral_flexibility"]);
    let agent = Scripted::function("second", |request, _| {
        let mine = |m: &&Message| matches!(m, Message::Assistant { .. });
        let said = match request.messages.iter().filter(mine).count() {
            1 => "I cannot answer that.",
            _ => "A",
        };
        Ok(Response::from_text("second", said))
    });
    let config = ArmsConfig { items: 4, ..only(&[Arm::Qs]) };
    let cells = cells(&definitions, config, agent).await;
    let outcomes = definitions[0].outcomes.len();
    assert_eq!(cells.cells.len(), 4 * outcomes);
    let mut refused: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    let mut named: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for cell in &cells.cells {
        match &cell.answer {
            Answer::Failed(failure) => {
                assert_eq!(*failure, Failure::Refused);
                refused.entry(cell.order).or_default().push(&cell.item);
            }
            Answer::Outcome { id, .. } => *named.entry((&cell.item, id)).or_default() += 1,
            Answer::Forecast(_) => panic!("{cell:?}"),
        }
    }
    // One a conversation, and not the same item in all of them: the order of items turns.
    assert!(refused.len() == outcomes && refused.values().all(|items| items.len() == 1));
    let items: std::collections::BTreeSet<&&str> = refused.values().flatten().collect();
    assert!(items.len() > 1, "{refused:?}");
    // Whoever names the first place names each option of an item once at most.
    assert!(named.values().all(|n| *n == 1), "{named:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_asked_afterwards_and_nothing_else_changes() {
    let definitions = some(&["moral_flexibility", "household_management"]);
    let arms = [Arm::Q0, Arm::Qs, Arm::A1, Arm::A3, Arm::Ac];
    let hypocrite = || {
        actor("a", &definitions, |arm| if arm.is_stated() { Deed::Aligned } else { Deed::Worst })
    };
    let plain = cells(&definitions, only(&arms), hypocrite()).await;
    assert!(plain.cells.iter().all(|c| c.awareness.is_none()));
    let config = ArmsConfig { awareness: true, ..only(&arms) };
    let mut asked = cells(&definitions, config.clone(), hypocrite()).await;
    for cell in &mut asked.cells {
        assert_eq!(cell.awareness.take(), Some(Awareness::Probability(1.0)));
    }
    assert_eq!(asked, plain);

    // Its own words in its own conversation, after everything else; a failure is no other's.
    let policy = hypocrite();
    let agent = Scripted::function("a", move |request, turn| {
        if !request.lane.ends_with("/after") {
            return futures_util::FutureExt::now_or_never(policy.answer(request)).unwrap();
        }
        assert!(turn > 0 || !request.lane.is_empty());
        let last = request.messages.last().unwrap();
        assert!(matches!(last, Message::User { text } if text.ends_with("and nothing else.")));
        let mine = |m: &&Message| matches!(m, Message::Assistant { .. });
        assert!(request.messages.iter().filter(mine).count() > 0);
        if request.lane.contains(".A3/") {
            return Err(chat_model::Error::ScriptEnded { model: "a".to_owned(), replies: 1 });
        }
        Ok(Response::from_text("a", "Perhaps 25%."))
    });
    let mut asked = cells(&definitions, config, agent).await;
    let found = analysis(&asked).models.remove(0).suspicion.unwrap();
    for arm in &found.arms {
        let p = arm.probability.value;
        match arm.arm {
            Arm::A3 => assert_eq!((p, arm.failed[&Failure::Broken]), (None, arm.asked)),
            _ => assert!((p.unwrap() - 0.25).abs() < 1e-12 && arm.failed.is_empty()),
        }
    }
    for cell in &mut asked.cells {
        cell.awareness = None;
    }
    assert_eq!(asked, plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_coders_place_what_rules_cannot_where_they_agree() {
    let definitions = some(&["moral_flexibility"]);
    let agent = Scripted::function("vague", |_, _| Ok(Response::from_text("vague", "Turtles.")));
    let coder = |name: &'static str, letters: [&'static str; 2]| -> Arc<dyn ChatModel> {
        Arc::new(Scripted::function(name, move |request, _| {
            let asked = request.messages[0].text();
            assert!(asked.contains("Turtles.") && asked.contains("Options:"));
            // By the item that is asked about, so that the order of samples does not matter.
            let first = asked.len() % 2;
            Ok(Response::from_text(name, letters[first]))
        }))
    };
    let agreeing = [coder("one", ["A", "A"]), coder("two", ["A", "A"])];
    let config = ArmsConfig { items: 4, ..only(&[Arm::Q0f]) };
    let placed = cells_with(&definitions, config.clone(), agent, &agreeing).await;
    let first = &definitions[0].outcomes[0];
    for cell in &placed.cells {
        let expected = Answer::Outcome { id: first.id.clone(), value: first.value };
        assert_eq!((&cell.answer, &cell.codes), (&expected, &vec![Some(0), Some(0)]));
    }
    let found = analysis(&placed).models.remove(0).coding.unwrap();
    assert_eq!((found.texts, found.by_rules, found.by_models), (4, 0, 4));
    assert!(found.alpha.is_none() && found.reason.is_some());

    let agent = Scripted::function("vague", |_, _| Ok(Response::from_text("vague", "Turtles.")));
    let torn = [coder("one", ["A", "A"]), coder("two", ["B", "B"])];
    let torn = cells_with(&definitions, config, agent, &torn).await;
    for cell in &torn.cells {
        assert_eq!(cell.answer, Answer::Failed(Failure::Uncoded));
        assert_eq!(cell.codes, [Some(0), Some(1)]);
    }
    let found = analysis(&torn).models.remove(0).coding.unwrap();
    assert!(found.by_models == 0 && found.alpha.unwrap() < 0.0);
}
