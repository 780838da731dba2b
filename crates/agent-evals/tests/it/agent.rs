//! The agent's loop: calls, limits, reactions, failures.

use std::{sync::Arc, time::Duration};

use agent_evals::{
    Agent, AgentConfig, CallFormat, Ending, Finished, FinishedIter, LimitKind, Limits, Next,
    Persona, Plan, Price, Refusal, Stopper, ToolOutcome, Verdict,
};
use chat_model::{Answer, ChatModel, Message, Request, Response, Scripted};

use crate::common::{Counting, call, counter, plan};

/// Runs a plan and reads what its journal holds, each sample replayed once.
pub(crate) async fn finished(plan: Plan) -> Vec<Finished> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    plan.run(&path, None, Stopper::default()).await.unwrap();
    let mut all: Vec<Finished> = FinishedIter::open(&path).unwrap().map(Result::unwrap).collect();
    all.sort_by_key(|f| f.start.key.clone());
    for one in &all {
        assert_eq!(one.replay().await.unwrap(), one.trace.events, "{}", one.start.key);
    }
    all
}

async fn one(plan: Plan) -> Finished {
    let mut all = finished(plan).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn verdict(finished: &Finished) -> &Verdict {
    &finished.finish.scores["reached"].verdict
}

fn scripted(replies: Vec<Response>) -> Agent {
    Agent::new(Scripted::sequence("m", replies.into_iter().map(Ok)))
}

#[tokio::test]
async fn an_agent_calls_until_it_is_done() {
    let done = one(plan(Counting::to(&[3]), Agent::new(counter(3)))).await;
    assert_eq!(*verdict(&done), Verdict::Scored(1.0));
    assert_eq!(done.trace.ending(), Some(&Ending::Done));
    assert_eq!(done.finish.spent.turns, 4);
    assert_eq!(done.finish.spent.tokens, 48);
    assert_eq!(done.finish.spent.prompt_tokens, 40);
    // system, user, then three calls with results, then the answer.
    assert_eq!(done.trace.conversation().len(), 9);
    let short = one(plan(Counting::to(&[3]), Agent::new(counter(2)))).await;
    assert_eq!(*verdict(&short), Verdict::Scored(0.0));
}

#[tokio::test]
async fn parallel_calls_answer_in_their_order() {
    let calls = vec![
        call("", "add", r#"{"by":1}"#),
        call("x", "add", r#"{"by":5}"#),
        call("x", "add", r#"{"by":0}"#),
        call("y", "sub", "{}"),
        call("z", "add", "{by: 1}"),
    ];
    let replies = vec![Response::from_calls("m", calls), Response::from_text("m", "Enough.")];
    let mut agent = scripted(replies);
    agent.config.max_calls = 5;
    let done = one(plan(Counting::to(&[6]), agent)).await;
    let outcomes: Vec<&ToolOutcome> = done.trace.calls().map(|(_, o)| o).collect();
    assert!(outcomes[0].to_text().starts_with("count 1,"), "{outcomes:?}");
    assert!(outcomes[1].to_text().starts_with("count 6,"), "{outcomes:?}");
    let refusal = |i: usize| match outcomes[i] {
        ToolOutcome::Refused { kind, message } => (*kind, message.clone()),
        ToolOutcome::Output { .. } => panic!("{outcomes:?}"),
    };
    assert_eq!(
        refusal(2),
        (Refusal::Arguments, "call of add: by: expected at least 1, found `0`".to_owned())
    );
    assert_eq!(refusal(3).0, Refusal::UnknownTool);
    assert!(refusal(3).1.contains("add, broken"), "{:?}", refusal(3));
    assert_eq!(refusal(4).0, Refusal::Arguments);
    // Whatever ids the model gave, its endpoint would take the conversation.
    Request { messages: done.trace.conversation(), ..Request::default() }.validate().unwrap();
    assert_eq!(*verdict(&done), Verdict::Scored(1.0));
}

#[tokio::test]
async fn more_calls_than_allowed_are_refused() {
    let calls = (0..4).map(|i| call(&i.to_string(), "add", r#"{"by":1}"#)).collect();
    let replies = vec![Response::from_calls("m", calls), Response::from_text("m", "Done.")];
    let mut agent = scripted(replies);
    agent.config.max_calls = 2;
    let done = one(plan(Counting::to(&[2]), agent)).await;
    assert_eq!(done.trace.evidence()["count"], 2);
    let refused = done.trace.calls().filter(|(_, o)| matches!(o, ToolOutcome::Refused { .. }));
    assert_eq!(refused.count(), 2);
}

#[tokio::test]
async fn calls_in_text_do_what_native_ones_do() {
    let texts = [
        "I add.\n<tool_call>{\"name\": \"add\", \"arguments\": {\"by\": 2}}</tool_call>\n\
         <tool_call>{\"name\": \"add\", \"arguments\": {\"by\": 1}}</tool_call>",
        "<tool_call>nonsense</tool_call>",
        "Done.",
    ];
    let mut agent = Agent::new(Scripted::texts("m", texts));
    agent.config.calls = CallFormat::Textual;
    let done = one(plan(Counting::to(&[3]), agent)).await;
    assert_eq!(*verdict(&done), Verdict::Scored(1.0));
    let roles: String = done
        .trace
        .conversation()
        .iter()
        .map(|m| match m {
            Message::System { .. } => 's',
            Message::User { .. } => 'u',
            Message::Assistant { .. } => 'a',
            Message::Tool { .. } => 't',
        })
        .collect();
    assert_eq!(roles, "suauaua");
    assert!(done.trace.conversation()[5].text().contains("expected one JSON object"));
}

#[tokio::test]
async fn the_textual_prompt_describes_the_tools() {
    let model = Scripted::function("m", |request, _| {
        assert!(request.tools.is_empty());
        let system = request.messages[0].text();
        assert!(system.starts_with("You count.\n\n"), "{system}");
        assert!(system.contains(r#""name":"add""#), "{system}");
        Ok(Response::from_text("m", "ok"))
    });
    let config = AgentConfig { calls: CallFormat::Textual, ..AgentConfig::default() };
    let done = one(plan(Counting::to(&[1]), Agent { config, ..Agent::new(model) })).await;
    assert_eq!(*verdict(&done), Verdict::Scored(0.0));
}

#[tokio::test]
async fn each_limit_ends_a_sample_which_is_still_scored() {
    let price = Price { prompt: 1000.0, completion: 0.0, cached: None };
    for (limits, kind, turns) in [
        (Limits { turns: Some(2), ..Limits::default() }, LimitKind::Turns, 2),
        (Limits { messages: Some(6), ..Limits::default() }, LimitKind::Messages, 2),
        (Limits { tokens: Some(25), ..Limits::default() }, LimitKind::Tokens, 3),
        (Limits { cost: Some(0.02), ..Limits::default() }, LimitKind::Cost, 2),
    ] {
        let mut agent = Agent::new(counter(100));
        agent.config.price = price;
        let done = one(Plan { limits, ..plan(Counting::to(&[2]), agent) }).await;
        let Some(Ending::Limit(reached)) = done.trace.ending() else {
            panic!("{:?}", done.trace.ending())
        };
        assert_eq!((reached.kind, done.finish.spent.turns), (kind, turns));
        assert_eq!(*verdict(&done), Verdict::Scored(1.0));
    }
}

/// Takes its time.
struct Slow(Duration);

impl ChatModel for Slow {
    fn model(&self) -> &'static str {
        "slow"
    }

    fn answer<'a>(&'a self, _request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            tokio::time::sleep(self.0).await;
            Ok(Response::from_calls("slow", vec![call("c", "add", r#"{"by":1}"#)]))
        })
    }
}

#[tokio::test]
async fn time_limits_cut_an_answer_short() {
    for (limits, kind) in [
        (Limits { wall_s: Some(0.05), ..Limits::default() }, LimitKind::Wall),
        (Limits { working_s: Some(0.05), ..Limits::default() }, LimitKind::Working),
    ] {
        let agent = Agent::new(Slow(Duration::from_mins(10)));
        let done = one(Plan { limits: limits.clone(), ..plan(Counting::to(&[1]), agent) }).await;
        let Some(Ending::Limit(reached)) = done.trace.ending() else { panic!() };
        assert_eq!((reached.kind, reached.limit), (kind, 0.05));
        assert_eq!(*verdict(&done), Verdict::Scored(0.0));
        // Between turns, too.
        let agent = Agent::new(Slow(Duration::from_millis(20)));
        let done = one(Plan { limits, ..plan(Counting::to(&[1]), agent) }).await;
        let Some(Ending::Limit(reached)) = done.trace.ending() else { panic!() };
        assert_eq!(reached.kind, kind);
        assert_eq!(*verdict(&done), Verdict::Scored(1.0));
    }
}

#[tokio::test]
async fn failures_are_never_scores() {
    // The endpoint fails in the second turn.
    let fails = Scripted::sequence(
        "m",
        [
            Ok(Response::from_calls("m", vec![call("c", "add", r#"{"by":9}"#)])),
            Err(chat_model::Error::Model { model: "m".to_owned(), reason: "gone".to_owned() }),
        ],
    );
    let done = one(plan(Counting::to(&[1]), Agent::new(fails))).await;
    assert_eq!(*verdict(&done), Verdict::Error("m: gone".to_owned()));
    assert!(matches!(done.trace.ending(), Some(Ending::Failed(_))));
    // A tool fails in a way that the agent cannot help.
    let replies = vec![Response::from_calls("m", vec![call("c", "broken", "")])];
    let done = one(plan(Counting::to(&[1]), scripted(replies))).await;
    assert_eq!(*verdict(&done), Verdict::Error("tool broken: it is broken".to_owned()));
    // A scenario panics.
    let mut scenario = Counting::to(&[1]);
    scenario.react = |_, _| panic!("no reaction");
    let done = one(plan(scenario, Agent::new(counter(1)))).await;
    assert_eq!(*verdict(&done), Verdict::Error("panicked: no reaction".to_owned()));
}

#[tokio::test]
async fn surroundings_react_and_end() {
    let mut scenario = Counting::to(&[2]);
    scenario.react = |_, turn| match (turn.called, turn.number) {
        (true, _) => Next::Continue,
        (false, 2) => Next::user("One more."),
        (false, _) => Next::End("enough".to_owned()),
    };
    let model = Scripted::function("m", |request, _| {
        let turns =
            request.messages.iter().filter(|m| matches!(m, Message::Assistant { .. })).count();
        Ok(if turns % 2 == 0 {
            Response::from_calls("m", vec![call("c", "add", r#"{"by":1}"#)])
        } else {
            Response::from_text("m", "There.")
        })
    });
    let done = one(plan(scenario, Agent::new(model))).await;
    assert_eq!(done.trace.ending(), Some(&Ending::Scenario("enough".to_owned())));
    assert_eq!(done.finish.spent.turns, 4);
    assert_eq!(*verdict(&done), Verdict::Scored(1.0));
    assert!(done.finish.spent.estimated == 4 && done.finish.spent.tokens > 0);
}

#[tokio::test]
async fn personas_come_first_and_none_changes_nothing() {
    let bold = Persona { name: "bold".to_owned(), text: "You are bold.".to_owned() };
    let both = Plan {
        personas: vec![Persona::none(), bold],
        ..plan(Counting::to(&[1]), Agent::new(counter(1)))
    };
    let all = finished(both).await;
    let system = |f: &Finished| f.trace.conversation()[0].text().to_owned();
    assert_eq!(system(&all[0]), "You are bold.\n\nYou count.");
    assert_eq!(system(&all[1]), "You count.");
    // The same surroundings for both.
    let luck = |f: &Finished| f.trace.calls().next().unwrap().1.clone();
    assert_eq!(luck(&all[0]), luck(&all[1]));
}

#[tokio::test]
async fn many_at_a_time_come_to_the_same() {
    let goals: Vec<u64> = (0..200).map(|i| i % 7).collect();
    let mut outcomes = Vec::new();
    for concurrent in [1, 1000] {
        let plan = Plan {
            concurrent: std::num::NonZeroUsize::new(concurrent).unwrap(),
            seed: 5,
            ..plan(Counting::to(&goals), Agent::new(counter(3)))
        };
        let all = finished(plan).await;
        let told: Vec<_> = all
            .iter()
            .map(|f| (f.start.key.clone(), f.trace.conversation(), f.finish.scores.clone()))
            .collect();
        outcomes.push(told);
    }
    assert_eq!(outcomes[0].len(), 200);
    assert_eq!(outcomes[0], outcomes[1]);
}

#[tokio::test]
async fn plans_are_checked_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let twice = Plan {
        scenarios: vec![Arc::new(Counting::to(&[1])), Arc::new(Counting::to(&[2]))],
        ..plan(Counting::to(&[1]), Agent::new(counter(1)))
    };
    let error = twice.run(&path, None, Stopper::default()).await.unwrap_err().to_string();
    assert_eq!(error, "scenarios: expected names that differ, found counting twice");
    assert!(!path.exists());
}
