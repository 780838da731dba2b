//! Worlds of the published protocol, as small as they can be.

use std::ops::ControlFlow;

use portfolio_pursuit::{
    Enquiry, EpochConfig, MarketModel as _, Stream, SyntheticConfig, SyntheticMarket,
    experiment::{Arm, Arms, BidsOf, ExperimentConfig, Way, World, WorldOutcome, run},
    models::{Bids as _, ForestConfig, NetworkConfig, PublishedBidsConfig},
    portfolio::Members,
    pursuit::{BackwardConfig, FluidConfig, TableConfig},
};
use rl_core::seed::Seed;

const BIDS: [BidsOf; 3] = [BidsOf::Published, BidsOf::Structural, BidsOf::Informed];
const WAYS: [Way; 10] = [
    Way::Myopic,
    Way::Multiplier { beta: 0.02 },
    Way::Linear,
    Way::Hinges,
    Way::Table,
    Way::Static,
    Way::Resolve { every: 40 },
    Way::Pacing,
    Way::MirrorFromZero,
    Way::MirrorFromPlan,
];

fn small() -> ExperimentConfig {
    ExperimentConfig {
        trials: 2,
        burn_in: 2,
        fit_after: vec![2],
        memory: 2,
        test_epochs: 1,
        epoch: EpochConfig { customers: 150, ..EpochConfig::default() },
        loss_scales: vec![2000.0],
        published: PublishedBidsConfig {
            forest: ForestConfig { trees: 4, ..ForestConfig::default() },
            network: NetworkConfig {
                hidden: vec![12],
                learning_rate: 0.01,
                epochs: 20,
                ..NetworkConfig::default()
            },
            process_rows: 40,
            ..PublishedBidsConfig::default()
        },
        informed_customers: 600,
        planning_customers: 120,
        table: TableConfig { sweeps: 2, ..TableConfig::default() },
        linear: BackwardConfig { customers: 20, ..BackwardConfig::default() },
        hinges: BackwardConfig { portfolios: 30, customers: 10, ..BackwardConfig::hinges() },
        fluid: FluidConfig { customers: 60, halvings: 4 },
        ..ExperimentConfig::default()
    }
}

fn market() -> SyntheticMarket {
    SyntheticMarket::new(SyntheticConfig::default()).unwrap()
}

#[test]
fn worlds_are_the_same_for_any_number_of_threads() {
    let market = market();
    let mut config = small();
    config.arms = [Way::Multiplier { beta: 0.02 }, Way::Linear, Way::Table]
        .into_iter()
        .flat_map(|way| BIDS.map(|bids| Arm::new(bids, way)))
        .collect();
    config.arms.push(Arm { explores: true, ..Arm::new(BidsOf::Structural, Way::Table) });
    let worlds = |threads| -> Vec<WorldOutcome> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let go_on = |_: &WorldOutcome| ControlFlow::Continue(());
        pool.install(|| run(&market, &config, &[3, 0], go_on)).unwrap()
    };
    let one = worlds(1);
    assert_eq!(one.iter().map(|w| w.trial).collect::<Vec<_>>(), [3, 0]);
    assert!(one.iter().all(|w| w.arms.len() == 10 && w.arms[9].epochs[0].sales > 0));
    assert!(one.iter().all(|w| w.bounds[0].bound.separable <= w.bounds[0].bound.dual));
    assert_eq!(one, worlds(2));
    // A trial is the same without the other.
    let alone = run(&market, &config, &[0], |_| ControlFlow::Break(())).unwrap();
    assert_eq!(alone[0], one[1]);
}

/// Every arm quotes the same newcomers, taken to be in no category, so that a sale is worth nothing
/// beside its profit, with and without a loading: the loaded offer is the best at a cost so much higher.
#[test]
fn loading_moves_every_way_of_every_bids() {
    const LOADING: f64 = 0.05;
    let market = market();
    let mut config = small();
    config.arms = BIDS.map(|bids| Arm::new(bids, Way::Myopic)).to_vec();
    let world = World::burn_in(&market, &config, 0).unwrap();
    let arms = Arms::fit(&world).unwrap();
    let structural = world.structural().unwrap();
    let portfolio = vec![0; world.categories.len()];
    let mut features = vec![0.0; market.schema().len()];
    for (bids, way) in BIDS.into_iter().flat_map(|bids| WAYS.map(|way| (bids, way))) {
        let plain = Arm::new(bids, way);
        let plans =
            [plain, Arm { loading: LOADING, ..plain }].map(|arm| arms.plan(&arm, 2000.0).unwrap());
        let mut sums = [0.0, 0.0];
        for index in 0..60 {
            let visitor = market.visitor(Seed::new(5), index);
            market.features(&visitor, &mut features);
            let cost = market.cost(&visitor, 0);
            let enquiry = Enquiry {
                features: &features,
                cost,
                members: Members::NONE,
                portfolio: &portfolio,
                time: 0,
                horizon: 150,
            };
            let mut stream = Stream::at(Seed::new(0), index);
            let quotes =
                plans.each_ref().map(|plan| plan.policy().unwrap().quote(&enquiry, &mut stream));
            sums[0] += quotes[0];
            sums[1] += quotes[1];
            if bids == BidsOf::Structural {
                let prospect = structural.prospect(&features, cost);
                let best = |k| structural.offer(&prospect, k);
                assert!((quotes[0] - best(1.0)).abs() < 1e-12, "{}", plain.name());
                assert!((quotes[1] - best(1.0 + LOADING)).abs() < 1e-12, "{}", plain.name());
                // p (C (a − 1) − loading C) is no better at any other offer.
                let value = |a: f64| structural.probability(&prospect, a) * (a - 1.0 - LOADING);
                let offers = (0..=1000).map(|i| 1.0 + f64::from(i) / 1000.0);
                let most = offers.map(value).fold(f64::NEG_INFINITY, f64::max);
                assert!(value(quotes[1]) > most - 1e-6, "{}", plain.name());
            }
        }
        let rise = (sums[1] - sums[0]) / 60.0;
        assert!(rise > 0.1 * LOADING, "{}: offers rose by {rise}", plain.name());
    }
}
