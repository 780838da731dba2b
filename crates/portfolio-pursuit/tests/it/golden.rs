//! The golden instance: numbers from an independent program (dense NumPy arrays, exact forward
//! evaluation), checked by a hundred thousand simulated epochs.

use portfolio_pursuit::{
    Stream,
    baseline::IndustryMultiplier,
    exact::{Evaluation, Instance, bellman_residual, evaluate, simulate, solve, solve_fitted},
    next_value::{Basis, Regression},
    portfolio::{Loss, Members},
};
use rl_core::seed::Seed;

const OPTIMUM: f64 = 48.821_737;
const MYOPIC: f64 = -9.019_371;

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "expected {expected}, found {found}");
}

#[track_caller]
fn same(found: &Evaluation, [profit, loss, reward]: [f64; 3], tolerance: f64) {
    close(found.profit, profit, tolerance);
    close(found.loss, loss, tolerance);
    close(found.reward, reward, tolerance);
}

fn fixed(prices: [usize; 2]) -> Evaluation {
    evaluate(&Instance::golden(), |_, _, kind| prices[kind]).unwrap()
}

/// Share of the way from myopic to optimal.
fn closed(reward: f64) -> f64 {
    (reward - MYOPIC) / (OPTIMUM - MYOPIC)
}

#[test]
fn the_optimum_has_the_published_numbers() {
    let instance = Instance::golden();
    let solution = solve(&instance).unwrap();
    let found = evaluate(&instance, |t, p, kind| solution.decide(t, p, kind)).unwrap();
    same(&found, [58.198_88, 9.377_14, 48.821_74], 5e-6);
    close(found.portfolio[0], 5.7442, 5e-5);
    close(found.portfolio[1], 2.9564, 5e-5);
    let table = solution.table();
    close(table.value(0, &[0, 0]), 48.821_737, 5e-7);
    close(table.value(10, &[3, 1]), 15.685_882, 5e-7);
    close(table.value(10, &[5, 5]), -48.735_185, 2e-6);
    close(table.value(20, &[0, 0]), -300.0, 1e-4);
    // One customer left, on target: another of A costs 300/2/7, another of B 300/2/4.
    close(solution.k(19, &[6, 3], 0), 17.0 / 14.0, 1e-6);
    close(solution.k(19, &[6, 3], 1), 1.1875, 1e-6);
    close(solution.k(0, &[0, 0], 0), 0.960_240, 5e-7);
    close(solution.k(0, &[0, 0], 1), 1.031_398, 5e-7);
}

#[test]
fn the_table_satisfies_bellmans_equation_and_ends_at_the_loss() {
    let instance = Instance::golden();
    let solution = solve(&instance).unwrap();
    assert!(bellman_residual(&instance, solution.table()) < 1e-9);
    close(solution.table().value(20, &[6, 4]), -150.0 / 4.0, 1e-6);
}

#[test]
fn fixed_prices_have_the_published_numbers() {
    // 1.055 is place 11 of the grid 1.000, 1.005, …
    let instance = Instance::golden();
    assert_eq!(instance.best_price(0, 1.0), 11);
    let myopic = fixed([11, 11]);
    same(&myopic, [90.722_61, 99.741_98, -9.019_37], 6e-6);
    close(myopic.portfolio[0], 5.498_34, 5e-6);
    same(&fixed([10, 14]), [86.118_11, 83.320_51, 2.797_60], 6e-6);
    let on_the_coarse_grid = (0..=30).flat_map(|a| (0..=30).map(move |b| [2 * a, 2 * b]));
    let best = on_the_coarse_grid
        .map(|prices| (fixed(prices).reward, prices))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(best.unwrap().1, [10, 14]);
}

#[test]
fn the_industrys_multiplier_has_the_published_numbers() {
    let instance = Instance::golden();
    let average = fixed([11, 11]).portfolio;
    let quoted = |strength: f64| {
        let multiplier = IndustryMultiplier::new(&average, &instance.target, strength).unwrap();
        fixed([0, 1].map(|category| {
            let price = instance.prices[11] * multiplier.factor(Members::new([category]));
            ((price - 1.0) / 0.005).round() as usize
        }))
    };
    same(&quoted(0.02), [90.24, 94.21, -3.967_48], 5e-3);
    same(&quoted(0.05), [86.42, 85.86, 0.562_62], 5e-3);
    same(&quoted(0.10), [75.65, 86.67, -11.014_77], 5e-3);
    close(quoted(0.02).reward, -3.967_48, 5e-6);
    close(quoted(0.05).reward, 0.562_62, 5e-6);
    close(quoted(0.10).reward, -11.014_77, 6e-6);
    // Where the target is the average, it changes nothing.
    let neutral = IndustryMultiplier::new(&average, &average, 0.1).unwrap();
    assert!(neutral.factors().iter().all(|f| f.to_bits() == 1.0_f64.to_bits()));
}

fn through(basis: &Basis, weight: impl Fn(&[u32], u32) -> f64) -> Evaluation {
    let instance = Instance::golden();
    let fitted = solve_fitted(&instance, || Regression::new(basis.clone()), weight).unwrap();
    evaluate(&instance, |t, p, kind| fitted.decide(t, p, kind)).unwrap()
}

fn reachable(portfolio: &[u32], time: u32) -> f64 {
    f64::from(u8::from(Instance::golden().reachable(portfolio, time)))
}

#[test]
fn separable_hinges_find_the_optimum() {
    let hinges = Basis::hinges_at_every_count(2, 20);
    for found in [through(&hinges, |_, _| 1.0), through(&hinges, reachable)] {
        close(found.reward, 48.821_74, 1e-4);
        assert!(closed(found.reward) > 0.9999);
    }
}

#[test]
fn linear_and_quadratic_models_fall_short() {
    // They depend on where they are fitted: everywhere, or where twenty customers can lead.
    same(&through(&Basis::Linear, |_, _| 1.0), [85.351_919, 84.011_171, 1.340_748], 1e-5);
    same(&through(&Basis::Linear, reachable), [85.290_485, 77.487_075, 7.803_409], 1e-5);
    same(&through(&Basis::Quadratic, |_, _| 1.0), [83.375_632, 72.772_943, 10.602_689], 1e-5);
    same(&through(&Basis::Quadratic, reachable), [83.511_037, 79.558_746, 3.952_291], 1e-5);
    // The published finding: a linear model closes about 28 % of the gap.
    let share = closed(through(&Basis::Linear, reachable).reward);
    assert!((0.25..0.32).contains(&share), "{share}");
}

#[test]
fn without_a_loss_every_k_is_one_and_offers_are_myopic() {
    let loss = Loss { scale: 0.0, ..Loss::default() };
    let instance = Instance { loss, ..Instance::golden() };
    let solution = solve(&instance).unwrap();
    let linear = solve_fitted(&instance, || Regression::new(Basis::Linear), |_, _| 1.0).unwrap();
    for time in 0..20 {
        for portfolio in [[0, 0], [time, 0], [time / 2, time]] {
            for kind in 0..2 {
                close(solution.k(time, &portfolio, kind), 1.0, 1e-12);
                assert_eq!(solution.decide(time, &portfolio, kind), 11);
                assert_eq!(linear.decide(time, &portfolio, kind), 11);
            }
        }
    }
    close(solution.table().value(0, &[0, 0]), 90.722_61, 5e-6);
}

#[test]
fn simulated_rewards_agree_with_the_value() {
    let instance = Instance::golden();
    let solution = solve(&instance).unwrap();
    let n = 4000;
    let rewards: Vec<f64> = (0..n)
        .map(|i| {
            let mut stream = Stream::at(Seed::new(5), i);
            simulate(&instance, |t, p, kind| solution.decide(t, p, kind), &mut stream).unwrap()
        })
        .collect();
    let mean = rl_core::stats::mean(&rewards, 0.95).unwrap();
    close(mean.value, OPTIMUM, 4.0 * mean.std_error);
    assert!(mean.std_error < 1.0);
}

#[test]
fn scaling_costs_and_loss_scales_the_value() {
    let mut instance = Instance::golden();
    instance.loss.scale *= 7.0;
    instance.types.iter_mut().for_each(|kind| kind.cost *= 7.0);
    let (scaled, plain) = (solve(&instance).unwrap(), solve(&Instance::golden()).unwrap());
    close(scaled.table().value(0, &[0, 0]), 7.0 * OPTIMUM, 1e-5);
    for kind in 0..2 {
        assert_eq!(scaled.decide(10, &[3, 1], kind), plain.decide(10, &[3, 1], kind));
    }
}

#[test]
fn a_customer_in_no_category_stands_for_its_cost() {
    let mut instance = Instance::golden();
    instance.types[1].categories.clear();
    let solution = solve(&instance).unwrap();
    let linear = solve_fitted(&instance, || Regression::new(Basis::Quadratic), |_, _| 1.0).unwrap();
    for time in [0, 7, 19] {
        let portfolio = [time / 2, 0];
        assert_eq!(solution.k(time, &portfolio, 1).to_bits(), 1.0_f64.to_bits());
        assert_eq!(linear.k(time, &portfolio, 1).to_bits(), 1.0_f64.to_bits());
    }
}

#[test]
fn prices_rise_with_k_and_k_has_the_right_side_of_one() {
    let instance = Instance::golden();
    let prices: Vec<usize> =
        (0..200).map(|i| instance.best_price(0, 0.7 + 0.004 * f64::from(i))).collect();
    assert!(prices.is_sorted() && prices[0] < prices[199]);
    let solution = solve(&instance).unwrap();
    for (portfolio, kind, wanted) in
        [([5, 3], 0, true), ([6, 3], 0, false), ([6, 2], 1, true), ([6, 3], 1, false)]
    {
        assert_eq!(solution.k(19, &portfolio, kind) < 1.0, wanted, "{portfolio:?} {kind}");
    }
}

#[test]
fn overlapping_categories_are_solved_too() {
    assert!(Instance::golden().reachable(&[1, 2], 3) && !Instance::golden().reachable(&[2, 2], 3));
    // One type in both categories, one price, sure to be taken: everything is known beforehand.
    let mut instance = Instance::golden();
    instance.types[0].categories = vec![0, 1];
    instance.prices = vec![1.1];
    for kind in &mut instance.types {
        kind.acceptance = portfolio_pursuit::exact::Acceptance::Table(vec![1.0]);
    }
    assert!(instance.reachable(&[2, 3], 3) && !instance.reachable(&[2, 4], 3));
    let solution = solve(&instance).unwrap();
    let found = evaluate(&instance, |t, p, kind| solution.decide(t, p, kind)).unwrap();
    close(solution.table().value(0, &[0, 0]), found.reward, 1e-9);
    close(found.portfolio[0], 10.0, 1e-9);
    close(found.portfolio[1], 20.0, 1e-9);
    assert!(bellman_residual(&instance, solution.table()) < 1e-9);
}

#[test]
fn instances_that_make_no_sense_are_refused() {
    let refused = |change: fn(&mut Instance), expected: &str| {
        let mut instance = Instance::golden();
        change(&mut instance);
        let message = solve(&instance).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    refused(|i| i.target[1] = -3.0, "target of category 1: expected a finite count");
    refused(|i| i.types[0].probability = 0.7, "sum of the types' probabilities: expected 1");
    refused(|i| i.types[1].cost = f64::NAN, "cost of type 1: expected a number above 0, found NaN");
    refused(|i| i.types[1].categories = vec![2], "category of type 1: expected below 2, found 2");
    refused(|i| i.prices.swap(0, 1), "prices: expected finite numbers that increase");
    refused(|i| i.horizon = 4_000_000_000, "an exact solution holds at most");
}
