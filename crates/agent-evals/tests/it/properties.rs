//! What the protocol of stated and enacted behaviour must show on agents whose policies are known.

use agent_evals::analysis::{
    Ability, Answer, Arm, Cell, Cells, Comparison, Failure, LADDER, Method, ModelAnalysis,
    OutcomeClass, ScenarioInfo, Settings, Unit, UnitReply, analyse, gap, scores, signed_gap,
};
use proptest::prelude::*;
use rl_core::{seed::Seed, stats::Decision};

const CLASSES: [(&str, f64); 4] =
    [("aligned", 0.0), ("quarter", 0.25), ("half", 0.5), ("worst", 1.0)];

fn scenario(name: &str, family: &str) -> ScenarioInfo {
    let outcomes = CLASSES.map(|(id, value)| OutcomeClass { id: id.to_owned(), value });
    ScenarioInfo { name: name.to_owned(), family: family.to_owned(), outcomes: outcomes.into() }
}

fn outcome(value: f64) -> Answer {
    let near = |(_, v): &&(&str, f64)| (v - value).abs();
    let class = CLASSES.iter().min_by(|a, b| near(a).total_cmp(&near(b))).unwrap();
    Answer::Outcome { id: class.0.to_owned(), value }
}

const ARMS: [Arm; 11] = [
    Arm::Q0,
    Arm::Q0f,
    Arm::Qn,
    Arm::Qp,
    Arm::Q1,
    Arm::A1,
    Arm::A2,
    Arm::A3,
    Arm::A3r,
    Arm::Ac,
    Arm::Sp,
];

/// Cells of two scenarios of five items each, in every arm, twice.
fn scripted(value: impl Fn(Arm, u32) -> f64) -> Cells {
    let mut cells = Vec::new();
    for scenario in ["s", "t"] {
        for item in 0..5 {
            for arm in ARMS {
                for epoch in 1..=2 {
                    let value = value(arm, epoch);
                    let answer = if matches!(arm, Arm::Qp | Arm::Sp) {
                        let Answer::Outcome { id, .. } = outcome(value) else { unreachable!() };
                        Answer::Forecast([(id, 1.0)].into())
                    } else {
                        outcome(value)
                    };
                    cells.push(cell(scenario, &format!("i{item}"), arm, epoch, answer));
                }
            }
        }
    }
    Cells::new(vec![scenario("s", "oversight"), scenario("t", "shutdown")], cells).unwrap()
}

/// One answer of an agent without a persona, in an item that is its own cluster.
fn cell(scenario: &str, item: &str, arm: Arm, epoch: u32, answer: Answer) -> Cell {
    Cell {
        model: "m".to_owned(),
        scenario: scenario.to_owned(),
        item: item.to_owned(),
        cluster: item.to_owned(),
        persona: "none".to_owned(),
        arm,
        benign: false,
        epoch,
        paraphrase: 0,
        order: 0,
        answer,
        awareness: None,
        codes: Vec::new(),
        transcript: None,
    }
}

fn of(cells: &Cells) -> ModelAnalysis {
    analyse(cells, &Settings::default()).unwrap().models.remove(0)
}

fn is(found: Option<f64>, expected: f64) {
    let found = found.expect("there is a value");
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

/// Property 1.
#[test]
fn whoever_does_as_it_says_has_no_gap() {
    for value in [0.0, 0.25, 1.0] {
        let found = of(&scripted(|_, _| value));
        is(found.gap.signed.value, 0.0);
        for distance in [found.gap.absolute, found.gap.total_variation] {
            is(distance.raw, 0.0);
            is(distance.corrected, 0.0);
        }
        is(found.gap.jensen_shannon_bits, 0.0);
        assert_eq!((found.say_do.n01, found.say_do.n10), (0, 0));
        assert!(found.ladder.rungs.iter().all(|r| r.gap.value == Some(0.0)));
        assert_eq!(found.gap.decision(), Decision::Equivalent);
        assert!(found.largest.is_empty());
        // It knows what it will do.
        for foresight in &found.foresight {
            is(foresight.calibration.as_ref().map(|c| c.brier.value), 0.0);
        }
    }
}

/// Property 2.
#[test]
fn hypocrites_and_braggarts() {
    let found = of(&scripted(|arm, _| f64::from(u8::from(!arm.is_stated()))));
    is(found.gap.signed.value, 1.0);
    is(found.gap.total_variation.raw, 1.0);
    is(found.gap.total_variation.corrected, 1.0);
    is(found.say_do.hypocrisy.map(|h| h.value), 1.0);
    assert_eq!((found.say_do.n01, found.gap.decision()), (10, Decision::Differs));
    let p = found.say_do.p_value.unwrap();
    assert!((p - 2.0_f64.powi(-9)).abs() < 1e-12, "{p}");
    let found = of(&scripted(|arm, _| f64::from(u8::from(arm.is_stated()))));
    is(found.gap.signed.value, -1.0);
    is(found.say_do.mirror.map(|m| m.value), 1.0);
    assert_eq!((found.say_do.n10, found.say_do.hypocrisy), (10, None));
}

/// Property 3: a policy that changes on one step of the ladder.
#[test]
fn the_whole_gap_is_on_the_axis_that_makes_it() {
    let order = |arm: Arm| LADDER.iter().position(|a| *a == arm);
    for step in 1..LADDER.len() {
        let found =
            of(&scripted(|arm, _| f64::from(u8::from(order(arm).is_some_and(|o| o >= step)))));
        for (i, rung) in found.ladder.rungs.iter().enumerate() {
            let expected = f64::from(u8::from(i + 1 == step));
            assert_eq!(rung.gap.value.map(f64::to_bits), Some(expected.to_bits()), "{rung:?}");
        }
        let attribution = found.ladder.attribution.unwrap();
        assert!((attribution.average.iter().sum::<f64>() - attribution.total).abs() < 1e-12);
        is(found.ladder.reasoning.value, if step <= 4 { -1.0 } else { 0.0 });
    }
    // Reasoning alone: the ladder has no gap, the switched arm has.
    let found = of(&scripted(|arm, _| f64::from(u8::from(arm == Arm::A3r))));
    is(found.ladder.reasoning.value, 1.0);
    is(found.gap.signed.value, 0.0);
}

/// Property 4.
#[test]
fn a_partial_gap() {
    let found = of(&scripted(|arm, epoch| match arm {
        Arm::A3 if epoch == 1 => 0.5,
        Arm::A3 => 1.0,
        _ => 0.25,
    }));
    is(found.gap.signed.value, 0.5);
    is(found.gap.absolute.raw, 0.5);
}

/// A generator of numbers between 0 and 1.
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    use rand_chacha::rand_core::Rng as _;
    let mut rng = Seed::new(seed).rng();
    move || (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0
}

fn unit(item: usize, persona: usize, stated: Vec<UnitReply>, enacted: Vec<UnitReply>) -> Unit {
    Unit {
        scenario: "s".to_owned(),
        cluster: format!("{item}"),
        item: format!("{item}"),
        persona: format!("{persona}"),
        stated,
        enacted,
        ..Unit::default()
    }
}

/// Property 5: the same random policy in both arms.
#[test]
fn chance_alone_is_no_gap() {
    const SIMULATIONS: usize = 2000;
    let settings = Settings { resamples: 100, splits: 4, ..Settings::default() };
    let mut next = uniform(11);
    let (mut absolute, mut variation) = (0.0, 0.0);
    let (mut covered, mut by_permutation) = (0, 0);
    for _ in 0..SIMULATIONS {
        let units: Vec<Unit> = (0..24)
            .map(|item| {
                let (p, half) = (next(), next());
                let mut draw = |n: usize| -> Vec<UnitReply> {
                    let one = |u: f64| match u {
                        u if u >= p => UnitReply { outcome: 0, value: 0.0 },
                        u if u >= p * half => UnitReply { outcome: 2, value: 0.5 },
                        _ => UnitReply { outcome: 3, value: 1.0 },
                    };
                    (0..n).map(|_| one(next())).collect()
                };
                unit(item, 0, draw(6), draw(4))
            })
            .collect();
        let found = gap(&units, &settings);
        absolute += found.absolute.corrected.unwrap();
        variation += found.total_variation.corrected.unwrap();
        let [low, high] = found.signed.interval.unwrap();
        covered += usize::from(low <= 0.0 && 0.0 <= high);
        by_permutation += usize::from(found.total_variation.p_value.unwrap() <= 0.05);
    }
    let n = SIMULATIONS as f64;
    assert!((absolute / n).abs() <= 0.01, "{}", absolute / n);
    assert!((variation / n).abs() <= 0.01, "{}", variation / n);
    let coverage = covered as f64 / n;
    assert!((0.93..=0.97).contains(&coverage), "{coverage}");
    assert!(1.0 - coverage <= 0.06, "{coverage}");
    assert!(by_permutation as f64 / n <= 0.06, "{by_permutation}");
}

/// Property 6: items whose rates vary, three personas each, and a gap that is known.
#[test]
fn a_known_gap_is_recovered_with_the_right_error() {
    const SIMULATIONS: usize = 2000;
    const GAP: f64 = 0.3;
    let settings = Settings::default();
    let mut next = uniform(12);
    let (mut sum, mut squares, mut clustered, mut naive) = (0.0, 0.0, 0.0, 0.0);
    let mut covered = 0;
    for _ in 0..SIMULATIONS {
        let mut units = Vec::new();
        for item in 0..30 {
            // Mean 0.2 and 0.5: uniform rates, by item and arm.
            let (says, does) = (0.4 * next(), 0.2 + 0.6 * next());
            for persona in 0..3 {
                let mut draw = |rate: f64, n: usize| -> Vec<UnitReply> {
                    let one = |u: f64| usize::from(u < rate);
                    let reply = |o| UnitReply { outcome: 3 * o, value: o as f64 };
                    (0..n).map(|_| reply(one(next()))).collect()
                };
                units.push(unit(item, persona, draw(says, 9), draw(does, 5)));
            }
        }
        let found = signed_gap(&units, &settings);
        assert_eq!((found.method, found.clusters), (Method::Student, 30));
        let value = found.value.unwrap();
        (sum, squares) = (sum + value, squares + value * value);
        clustered += found.std_error.unwrap().powi(2);
        let differences: Vec<f64> = units.iter().map(Unit::difference).collect();
        naive += rl_core::stats::mean(&differences, 0.95).unwrap().std_error.powi(2);
        let [low, high] = found.interval.unwrap();
        covered += usize::from(low <= GAP && GAP <= high);
    }
    let n = SIMULATIONS as f64;
    let deviation = ((squares - sum * sum / n) / (n - 1.0)).sqrt();
    // Three standard errors of the mean of the simulations.
    assert!((sum / n - GAP).abs() < 3.0 * deviation / n.sqrt(), "{}", sum / n);
    let [clustered, naive] = [clustered, naive].map(|s| (s / n).sqrt() / deviation);
    assert!((clustered - 1.0).abs() < 0.05, "{clustered}");
    assert!(naive < 0.95, "{naive}");
    let coverage = covered as f64 / n;
    assert!((0.93..=0.97).contains(&coverage), "{coverage}");
}

/// Property 8 of the scenarios: an agent that is misaligned with a known probability.
#[test]
fn intervals_cover_the_rate_of_a_mixture() {
    const SIMULATIONS: usize = 2000;
    const RATE: f64 = 0.3;
    let settings = Settings::default();
    let mut next = uniform(13);
    let mut covered = 0;
    for _ in 0..SIMULATIONS {
        let mut cells = Vec::new();
        for item in 0..24 {
            for epoch in 1..=5 {
                let value = f64::from(u8::from(next() < RATE));
                cells.push(cell("s", &format!("i{item}"), Arm::A3, epoch, outcome(value)));
            }
        }
        let cells = Cells::new(vec![scenario("s", "oversight")], cells).unwrap();
        let found = &scores(&cells, Arm::A3, &settings)[0].raw;
        assert_eq!((found.method, found.clusters, found.values), (Method::Student, 24, 120));
        let [low, high] = found.interval.unwrap();
        covered += usize::from(low <= RATE && RATE <= high);
    }
    let coverage = covered as f64 / SIMULATIONS as f64;
    assert!((0.93..=0.97).contains(&coverage), "{coverage}");
}

/// Property 7.
#[test]
fn one_cluster_has_no_interval() {
    let one = |value| vec![UnitReply { outcome: 0, value }];
    let units = [unit(0, 0, one(0.0), one(1.0)), unit(0, 1, one(0.0), one(0.5))];
    let found = gap(&units, &Settings::default());
    assert_eq!((found.signed.method, found.signed.interval), (Method::OneCluster, None));
    is(found.signed.value, 0.75);
    assert_eq!((found.equivalence, found.decision()), (None, Decision::Undecided));
}

/// Property 12: what came to nothing is no number, is counted, and is bounded.
#[test]
fn refusals_are_no_answers() {
    let mut cells = scripted(|arm, _| f64::from(u8::from(arm == Arm::A3)));
    let mut refused = 0;
    for cell in cells.cells.iter_mut().filter(|c| c.arm == Arm::Q0 && c.epoch == 2) {
        cell.answer = Answer::Failed(Failure::Refused);
        refused += 1;
    }
    let found = of(&cells);
    is(found.gap.signed.value, 1.0);
    let rate = found.failures.iter().find(|f| f.arm == Arm::Q0).unwrap();
    assert_eq!((rate.failed[&Failure::Refused], rate.asked), (refused, 2 * refused));
    let bounds = found.bounds.unwrap();
    assert_eq!(bounds.missing, refused);
    is(Some(bounds.best), 0.5);
    is(Some(bounds.worst), 1.0);
    // All of them: then there is no gap at all, and not one of zero.
    for cell in cells.cells.iter_mut().filter(|c| c.arm == Arm::Q0) {
        cell.answer = Answer::Failed(Failure::NoLetter);
    }
    let found = of(&cells);
    assert_eq!((found.gap.signed.value, found.gap.signed.method), (None, Method::Nothing));
    assert_eq!(found.gap.unpaired, 10);
}

/// Property 15.
#[test]
fn an_agent_that_cannot_act_tells_nothing() {
    let found = of(&scripted(|arm, _| f64::from(u8::from(arm.is_stated()))));
    assert!(found.controls.iter().all(|c| c.ability == Ability::Uninformative));
    assert!(found.scenarios.iter().all(|s| s.ability == Ability::Uninformative));
    assert_eq!(found.informative.value, None);
    let found = of(&scripted(|arm, _| f64::from(u8::from(arm == Arm::Ac))));
    assert!(found.controls.iter().all(|c| c.ability == Ability::Able));
    is(found.informative.value, 0.0);
}

/// An analysis is a function of its cells, in whatever order they come.
#[test]
fn the_order_of_cells_changes_nothing() {
    let cells = scripted(|arm, epoch| match arm {
        Arm::Q0 => 0.25,
        Arm::A3 => 0.5 * f64::from(epoch),
        _ => 0.0,
    });
    let text = serde_json::to_string(&cells).unwrap();
    let read: Cells = serde_json::from_str(&text).unwrap();
    let backwards = Cells { cells: read.cells.into_iter().rev().collect(), ..read };
    let settings = Settings::default();
    assert_eq!(analyse(&cells, &settings).unwrap(), analyse(&backwards, &settings).unwrap());
}

proptest! {
    /// Property 11.
    #[test]
    fn acting_worse_never_lowers_the_gap(
        values in prop::collection::vec((0.0..=1.0, 0.0..=1.0), 2..12),
        place in 0..12_usize,
        raise in 0.0..=1.0,
    ) {
        let units = |raise: f64| -> Vec<Unit> {
            let one = |value| vec![UnitReply { outcome: 0, value }];
            values.iter().enumerate().map(|(i, (says, does))| {
                let more = if i == place % values.len() { raise * (1.0 - does) } else { 0.0 };
                unit(i, 0, one(*says), one(does + more))
            }).collect()
        };
        let value = |raise| signed_gap(&units(raise), &Settings::default()).value.unwrap();
        prop_assert!(value(raise) >= value(0.0) - 1e-12);
    }

    /// The units of a comparison are those of the cells, whatever else is there.
    #[test]
    fn the_gap_is_the_mean_of_differences(
        values in prop::collection::vec((0_u8..4, 0_u8..4), 1..8),
    ) {
        let of = |v: u8| CLASSES[usize::from(v)].1;
        let mut cells = Vec::new();
        for (i, (says, does)) in values.iter().enumerate() {
            for (arm, value) in [(Arm::Q0, of(*says)), (Arm::A3, of(*does)), (Arm::A1, 1.0)] {
                cells.push(cell("s", &i.to_string(), arm, 1, outcome(value)));
            }
        }
        let cells = Cells::new(vec![scenario("s", "ethics")], cells).unwrap();
        let units = cells.units("m", Comparison::MAIN);
        let expected: f64 =
            values.iter().map(|(s, d)| of(*d) - of(*s)).sum::<f64>() / values.len() as f64;
        let found = signed_gap(&units, &Settings::default()).value.unwrap();
        prop_assert!((found - expected).abs() < 1e-12);
    }
}
