//! Pursuits on the instance that is solved exactly.

use rl_core::seed::Seed;

use super::{
    BackwardConfig, BackwardPursuit, FluidConfig, Goal, InstanceBids, MirrorConfig, MirrorPursuit,
    NoPursuit, PacingConfig, PacingPursuit, Pursuit, Responses, StaticPursuit, Step, TableConfig,
    TablePursuit,
};
use crate::{
    exact::{Acceptance, CustomerType, Instance, evaluate, solve},
    portfolio::{Loss, Members},
};

const MYOPIC: f64 = -9.019_37;
const OPTIMUM: f64 = 48.821_74;

/// Customers with their costs times a factor, beside the goal with its loss times the same.
fn scaled(factor: f64) -> (Responses, Goal) {
    let mut golden = Instance::golden();
    golden.types.iter_mut().for_each(|kind| kind.cost *= factor);
    golden.loss.scale *= factor;
    InstanceBids(&golden).problem(2).unwrap()
}

/// Exact reward of a pursuit whose worths depend on time and portfolio alone.
fn reward(worth: impl Fn(Members, &[u32], u32) -> f64) -> f64 {
    reward_on(&Instance::golden(), worth)
}

fn reward_on(instance: &Instance, worth: impl Fn(Members, &[u32], u32) -> f64) -> f64 {
    let decide = |time, portfolio: &[u32], kind: usize| {
        let CustomerType { cost, categories, .. } = &instance.types[kind];
        let m = worth(Members::new(categories.iter().copied()), portfolio, time);
        instance.best_price(kind, 1.0 - m / cost)
    };
    evaluate(instance, decide).unwrap().reward
}

/// Share of the way from myopic to the optimum.
fn closed(reward: f64) -> f64 {
    (reward - MYOPIC) / (OPTIMUM - MYOPIC)
}

fn table(responses: &Responses, goal: &Goal) -> TablePursuit {
    TablePursuit::plan(responses, goal, 0.0, &TableConfig::default()).unwrap()
}

fn backward(config: &BackwardConfig) -> BackwardPursuit {
    let (responses, goal) = scaled(1.0);
    let average = [5.498_34; 2];
    BackwardPursuit::learn(&responses, &goal, &average, 0.0, config, Seed::new(1)).unwrap()
}

#[test]
fn tables_close_the_gap() {
    let (responses, goal) = scaled(1.0);
    let plan = table(&responses, &goal);
    let found = closed(reward(|m, p, t| (&plan).worth(m, p, t)));
    assert!(found > 0.99, "{found}");
}

#[test]
fn worths_of_tables_are_those_of_the_exact_solution() {
    let (responses, goal) = scaled(1.0);
    let plan = table(&responses, &goal);
    let exact = solve(&Instance::golden()).unwrap();
    for (time, portfolio) in [(0, [0, 0]), (7, [2, 4]), (12, [3, 3]), (19, [6, 3])] {
        for i in 0..2 {
            let expected = exact.table().gain(time + 1, &portfolio, Members::new([i]));
            let found = plan.category(i, portfolio[i], time);
            // What straight lines between two k cost.
            assert!((found - expected).abs() < 0.05, "{time} {i}: {found} {expected}");
        }
    }
}

/// Where customers are in two categories tables are not exact, and what a category is worth to the
/// other, found by sweeps, has to be counted.
#[test]
fn categories_that_share_customers_count_each_other() {
    let mut shared = Instance::golden();
    let both = CustomerType { cost: 150.0, categories: vec![0, 1], ..shared.types[0].clone() };
    shared.types.push(both);
    shared.types.iter_mut().for_each(|kind| kind.probability = 1.0 / 3.0);
    let (responses, goal) = InstanceBids(&shared).problem(2).unwrap();
    let of = |sweeps, damping| {
        let config = TableConfig { sweeps, damping };
        let plan = TablePursuit::plan(&responses, &goal, 0.0, &config).unwrap();
        reward_on(&shared, |m, p, t| (&plan).worth(m, p, t))
    };
    let optimum = solve(&shared).unwrap().table().value(0, &[0, 0]);
    let myopic = reward_on(&shared, |_, _, _| 0.0);
    let closed = |reward: f64| (reward - myopic) / (optimum - myopic);
    let usual = TableConfig::default();
    let (alone, found) = (closed(of(1, 0.0)), closed(of(usual.sweeps, usual.damping)));
    assert!(alone < 0.9 && 0.94 < found && found < 1.0, "{alone} {found}");
}

#[test]
fn hinges_close_the_gap_and_lines_do_not() {
    let all = BackwardConfig { portfolios: 1000, customers: 400, ..BackwardConfig::default() };
    let of = |step| {
        let plan = backward(&BackwardConfig { step, knots: 20, ..all });
        closed(reward(|m, p, t| plan.gain(m, p, t)))
    };
    let hinges = of(Step::Hinges);
    assert!(hinges > 0.98, "{hinges}");
    let (linear, quadratic) = (of(Step::Linear), of(Step::Quadratic));
    assert!(linear < 0.5, "{linear}");
    assert!(linear < quadratic && quadratic < 0.75, "{linear} {quadratic}");
}

#[test]
fn a_static_plan_is_better_than_none_and_no_better_than_the_best_fixed_prices() {
    let (responses, goal) = scaled(1.0);
    let plan = StaticPursuit::plan(&responses, &goal, 0.0, &FluidConfig::default(), None).unwrap();
    let worths = plan.worths().to_vec();
    let found = reward(|m, _, _| m.iter().map(|i| worths[i]).sum());
    // The best pair of fixed prices gains 2.79760 on a grid of hundredths, hardly more on this one;
    // the plan takes counts of ten customers for normal.
    assert!(found > -5.0 && found < 3.5, "{found}");
}

#[test]
fn without_a_loss_nothing_is_pursued() {
    let (responses, goal) = scaled(1.0);
    let none = Loss { scale: 0.0, ..*goal.loss() };
    let goal = Goal::new(none, goal.target().to_vec(), goal.horizon()).unwrap();
    let fluid = StaticPursuit::plan(&responses, &goal, 0.0, &FluidConfig::default(), None).unwrap();
    let mut pursuits: Vec<Box<dyn Pursuit>> = vec![
        Box::new(table(&responses, &goal)),
        Box::new(MirrorPursuit::new(&goal, &MirrorConfig::default()).unwrap()),
        Box::new(PacingPursuit::new(&fluid, &goal, &PacingConfig::default()).unwrap()),
        Box::new(NoPursuit),
    ];
    for pursuit in &mut pursuits {
        for (time, portfolio) in [(0, [0, 0]), (9, [4, 1]), (19, [9, 9])] {
            for i in 0..2 {
                assert!(pursuit.worth(Members::new([i]), &portfolio, time).abs() < 1e-12);
            }
        }
    }
    let golden = Instance::golden();
    let plan = table(&responses, &goal);
    let decide = |t, p: &[u32], kind: usize| {
        let m = (&plan).worth(Members::new([kind]), p, t);
        golden.best_price(kind, 1.0 - m / golden.types[kind].cost)
    };
    let profit = evaluate(&golden, decide).unwrap().profit;
    assert!((profit - 90.722_61).abs() < 1e-5, "{profit}");
}

#[test]
fn a_customer_in_no_category_is_worth_nothing() {
    let (responses, goal) = scaled(1.0);
    let fluid = |every| {
        StaticPursuit::plan(&responses, &goal, 0.0, &FluidConfig::default(), every).unwrap()
    };
    let plan = fluid(None);
    let mirror = MirrorConfig::default();
    let mut pursuits: Vec<Box<dyn Pursuit>> = vec![
        Box::new(table(&responses, &goal)),
        Box::new(backward(&BackwardConfig::default())),
        Box::new(backward(&BackwardConfig { portfolios: 300, ..BackwardConfig::hinges() })),
        Box::new(fluid(Some(5))),
        Box::new(PacingPursuit::new(&plan, &goal, &PacingConfig::default()).unwrap()),
        Box::new(MirrorPursuit::from_plan(&plan, &goal, &mirror).unwrap()),
    ];
    for pursuit in &mut pursuits {
        for time in 0..20 {
            let worth = pursuit.worth(Members::NONE, &[time / 2, time / 3], time);
            assert_eq!(worth.abs().to_bits(), 0);
            pursuit.observe(Members::new([0]), time % 3 == 0, time);
        }
    }
}

#[test]
fn at_the_last_step_what_is_missing_is_wanted_and_what_is_there_is_not() {
    let (responses, goal) = scaled(1.0);
    let plan = table(&responses, &goal);
    let right = backward(&BackwardConfig::default());
    let wrong = backward(&BackwardConfig { published_sign: true, ..BackwardConfig::default() });
    for (count, sign) in [(0, 1.0), (2, 1.0), (6, -1.0), (9, -1.0)] {
        let (portfolio, members) = ([count, count], Members::new([0]));
        assert!(sign * (&plan).worth(members, &portfolio, 19) > 0.0);
        assert!(sign * right.gain(members, &portfolio, 19) > 0.0);
        assert!(sign * wrong.gain(members, &portfolio, 19) < 0.0);
    }
    // k_A and k_B with one customer left at the target.
    let k = |i: usize, cost: f64| 1.0 - plan.category(i, [6, 3][i], 19) / cost;
    assert!((k(0, 100.0) - 17.0 / 14.0).abs() < 1e-6 && (k(1, 200.0) - 1.1875).abs() < 1e-6);
}

#[test]
fn worths_scale_with_costs_and_loss() {
    let [(small, small_goal), (large, large_goal)] = [scaled(1.0), scaled(7.0)];
    let (one, seven) = (table(&small, &small_goal), table(&large, &large_goal));
    for (time, count) in [(0, 0), (6, 2), (15, 7), (19, 3)] {
        for i in 0..2 {
            let (a, b) = (one.category(i, count, time), seven.category(i, count, time) / 7.0);
            assert!((a - b).abs() < 0.02, "{a} {b}");
        }
    }
}

#[test]
fn a_plan_that_is_made_again_follows_the_portfolio() {
    let (responses, goal) = scaled(1.0);
    let config = FluidConfig::default();
    let mut plan = StaticPursuit::plan(&responses, &goal, 0.0, &config, Some(5)).unwrap();
    let members = Members::new([0]);
    let before = plan.worth(members, &[0, 0], 4);
    assert!(plan.worth(members, &[0, 0], 15) > before, "far behind");
    assert!(plan.worth(members, &[9, 0], 15) < 0.0, "above the target");
}

#[test]
fn controllers_want_more_of_what_is_behind() {
    let (responses, goal) = scaled(1.0);
    let plan = StaticPursuit::plan(&responses, &goal, 0.0, &FluidConfig::default(), None).unwrap();
    let members = Members::new([0]);
    let after = |pursuit: &mut dyn Pursuit, won: bool| {
        (0..10).for_each(|t| pursuit.observe(members, won, t));
        pursuit.worth(members, &[0, 0], 10)
    };
    let gains = PacingConfig { proportional: 0.3, integral: 0.1, derivative: 0.0 };
    let pacing = || PacingPursuit::new(&plan, &goal, &gains).unwrap();
    let mirror = || MirrorPursuit::from_plan(&plan, &goal, &MirrorConfig::default()).unwrap();
    assert!(after(&mut pacing(), false) > after(&mut pacing(), true));
    assert!(after(&mut mirror(), false) > after(&mut mirror(), true));
}

/// The formula of the controllers over a course of sales, each of its three terms alone.
#[test]
fn controllers_follow_their_formula() {
    let (responses, goal) = scaled(1.0);
    let goal = Goal::new(*goal.loss(), goal.target().to_vec(), 120).unwrap();
    let plan = StaticPursuit::plan(&responses, &goal, 0.0, &FluidConfig::default(), None).unwrap();
    let members = Members::new([0]);
    let (base, rate) = (plan.worths()[0], plan.rates()[0]);
    let unit = 300.0 / (2.0 * f64::max(6.0, 120.0 * rate));
    let won = |t: u32| t.is_multiple_of(3);
    // After 70 customers, with a look after 50, of which the gap before the fiftieth is kept.
    let gap = |n: u32| f64::from(n) * rate - f64::from((0..n).filter(|&t| won(t)).count() as u32);
    let mean = (1..=70).map(gap).sum::<f64>() / 70.0;
    for (gains, control) in [
        ([0.3, 0.0, 0.0], 0.3 * gap(70)),
        ([0.0, 0.2, 0.0], 0.2 * mean),
        ([0.0, 0.0, 0.7], 0.7 * (gap(70) - gap(49))),
    ] {
        let [proportional, integral, derivative] = gains;
        let config = PacingConfig { proportional, integral, derivative };
        let mut pacing = PacingPursuit::new(&plan, &goal, &config).unwrap();
        (0..70).for_each(|t| pacing.observe(members, won(t), t));
        let (found, expected) = (pacing.worth(members, &[0, 0], 70), base + unit * control);
        assert!((found - expected).abs() < 1e-9, "{gains:?}: {found} {expected}");
    }
}

/// μ ← μ + η (n(μ)/T − won), with n(μ) found by hand: −l(n) − μ n is largest at 0, the target or the
/// horizon, and a worth above the slope of the loss asks for none at all.
#[test]
fn duals_follow_their_formula() {
    let (responses, goal) = scaled(1.0);
    let config = MirrorConfig { step: 0.4 };
    let plan = StaticPursuit::plan(&responses, &goal, 0.0, &FluidConfig::default(), None).unwrap();
    let members = Members::new([0]);
    let step = 0.4 * 300.0 / (2.0 * 6.0);
    // l(0) = 150 and l(6) = 0: below 25 a sale the target is best, above it nothing is.
    let wanted = |worth: f64| if worth < 25.0 { 6.0 } else { 0.0 };
    for (mut dual, mut worth) in [
        (MirrorPursuit::new(&goal, &config).unwrap(), 0.0),
        (MirrorPursuit::from_plan(&plan, &goal, &config).unwrap(), plan.worths()[0]),
    ] {
        assert!((dual.worth(members, &[0, 0], 0) - worth).abs() < 1e-12);
        for t in 0..20 {
            let won = t == 3;
            dual.observe(members, won, t);
            worth += step * (wanted(worth) / 20.0 - f64::from(u8::from(won)));
            let found = dual.worth(members, &[0, 0], t + 1);
            assert!((found - worth).abs() < 1e-9, "{t}: {found} {worth}");
        }
        assert!(worth > 25.0, "{worth} has met what asks for none");
    }
}

/// A cost that is loaded by a twentieth is one so much higher, over which the same prices are lower.
#[test]
fn tables_count_the_loading() {
    let loading = 0.05;
    let (responses, goal) = scaled(1.0);
    let plan = TablePursuit::plan(&responses, &goal, loading, &TableConfig::default()).unwrap();
    let mut loaded = Instance::golden();
    loaded.prices.iter_mut().for_each(|a| *a /= 1.0 + loading);
    for kind in &mut loaded.types {
        kind.cost *= 1.0 + loading;
        let (slope, center) = (40.0 * (1.0 + loading), 1.06 / (1.0 + loading));
        kind.acceptance = Acceptance::Logistic { slope, center };
    }
    let exact = solve(&loaded).unwrap();
    for (time, portfolio) in [(0, [0, 0]), (7, [2, 4]), (12, [3, 3]), (19, [6, 3])] {
        for i in 0..2 {
            let expected = exact.table().gain(time + 1, &portfolio, Members::new([i]));
            let found = plan.category(i, portfolio[i], time);
            assert!((found - expected).abs() < 0.05, "{time} {i}: {found} {expected}");
        }
    }
}

#[test]
fn a_damped_sweep_goes_part_of_the_way() {
    let (responses, goal) = scaled(1.0);
    let of = |damping| {
        let config = TableConfig { sweeps: 1, damping };
        TablePursuit::plan(&responses, &goal, 0.0, &config).unwrap().start().to_vec()
    };
    for (whole, part) in of(0.0).into_iter().zip(of(0.75)) {
        assert!(whole.abs() > 1.0 && (part - 0.25 * whole).abs() < 1e-9, "{whole} {part}");
    }
}
