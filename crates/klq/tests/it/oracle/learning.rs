use klq::oracle::{
    Error, Study, StudyConfig,
    learner::{
        Advantages, Clip, Corrections, Klq, OptimizerConfig, Penalty, Ppo, Replay, Schedule, Start,
        TargetScale, TrainConfig, train,
    },
    soft, study,
};
use rl_core::seed::Seed;

use crate::oracle::common::fixed;

/// The gap that a learner has to reach.
const CLOSED: f64 = 1e-3;

#[test]
fn klq_and_ppo_close_the_gap_and_whitening_stops_before() {
    let seeds: Vec<u64> = (0..20).collect();
    let study = study(&StudyConfig::default(), &seeds).unwrap();
    let [klq, ppo, whitened] = study.summaries(CLOSED);
    let starts: f64 = study.instances.iter().map(|i| i.gap_start).sum::<f64>() / 20.0;
    assert!(starts > 0.3, "{starts}");
    assert_eq!((klq.below, ppo.below), (20, 20), "{klq:?} {ppo:?}");
    assert!(whitened.geometric_mean > 3.0 * klq.geometric_mean, "{klq:?} {whitened:?}");
    assert!(study.whitened_higher() >= 18, "{}", study.whitened_higher());
    for instance in &study.instances {
        for curve in [&instance.klq, &instance.ppo, &instance.klq_whitened] {
            assert_eq!(curve[0].gap.to_bits(), instance.gap_start.to_bits());
            assert_eq!((curve[0].batch, curve[curve.len() - 1].batch), (0, 1500));
        }
    }
}

#[test]
fn a_study_is_the_same_for_any_number_of_threads() {
    let mut config = StudyConfig::default();
    config.train.batches = 20;
    let with = |threads: usize| -> Study {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| study(&config, &[3, 1, 2]).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(3));
    assert_eq!(one.instances.iter().map(|i| i.seed).collect::<Vec<_>>(), [3, 1, 2]);
    assert!(matches!(study(&config, &[]), Err(Error::Setting { name: "seeds", .. })));
}

#[test]
fn every_option_learns() {
    let mdp = fixed(5);
    let config = TrainConfig { batches: 600, ..TrainConfig::default() };
    let options = [
        Klq { alpha: 0.5, ..Klq::default() },
        Klq { penalty: Penalty::Huber { delta: 0.5 }, ..Klq::default() },
        Klq { clip: Clip::Q { by: 0.2 }, ..Klq::default() },
        Klq { clip: Clip::Ratio { by: 0.2 }, ..Klq::default() },
        Klq { clip: Clip::Both { q: 0.2, ratio: 0.2 }, ..Klq::default() },
        Klq { target_scale: TargetScale::TargetStd, ..Klq::default() },
        Klq { replay: Some(Replay { batches: 3, trace_clip: 1.0 }), ..Klq::default() },
    ];
    for klq in options {
        let run = train(&mdp, &klq, &config, Seed::new(1)).unwrap();
        assert!(run.gap() < CLOSED, "{klq:?}: {}", run.gap());
    }
    for gae_lambda in [0.0, 1.0] {
        let config = TrainConfig { gae_lambda, ..config.clone() };
        let run = train(&mdp, &Klq::default(), &config, Seed::new(1)).unwrap();
        assert!(run.gap() < CLOSED, "{gae_lambda}: {}", run.gap());
    }
    let whitened = Ppo { advantages: Advantages::Whitened, ..Ppo::default() };
    let run = train(&mdp, &whitened, &config, Seed::new(1)).unwrap();
    assert!(run.gap() < 0.1 * run.curve[0].gap, "{}", run.gap());
    let plain = OptimizerConfig::Sgd { momentum: 0.0 };
    let config = TrainConfig { optimizer: plain, learning_rate: 2.0, ..config };
    let run = train(&mdp, &Klq::default(), &config, Seed::new(1)).unwrap();
    assert!(run.gap() < 0.1 * run.curve[0].gap, "{}", run.gap());
}

#[test]
fn a_run_is_a_function_of_its_seed_and_reports_exact_gaps() {
    let mdp = fixed(1);
    let start = Start::Random { std: 0.5 };
    let config = TrainConfig { batches: 30, curve_every: 7, start, ..TrainConfig::default() };
    let with = |seed| train(&mdp, &Klq::default(), &config, Seed::new(seed)).unwrap();
    let run = with(1);
    assert_eq!(run, with(1));
    assert_ne!(run.gap().to_bits(), with(2).gap().to_bits());
    assert_eq!(run.curve.iter().map(|p| p.batch).collect::<Vec<_>>(), [0, 7, 14, 21, 28, 30]);
    let gap = soft::gap(&mdp, &run.parameters.policy(&mdp).unwrap()).unwrap();
    assert!((run.gap() - gap).abs() < 1e-12, "{} {gap}", run.gap());
}

#[test]
fn a_rate_that_is_too_large_is_reported() {
    let optimizer = OptimizerConfig::Sgd { momentum: 0.9 };
    let schedule = Schedule::Constant;
    let config = TrainConfig { optimizer, schedule, learning_rate: 1e6, ..TrainConfig::default() };
    let error = train(&fixed(1), &Klq::default(), &config, Seed::new(1)).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
}

#[test]
fn configurations_survive_a_file_and_unknown_keys_do_not() {
    let mut config = StudyConfig::default();
    config.klq.clip = Clip::Both { q: 0.5, ratio: 0.25 };
    config.klq.corrections = Corrections::Whitened;
    config.klq.replay = Some(Replay { batches: 2, trace_clip: 1.0 });
    config.mdp.cut_off = klq::oracle::CutOff::Replaced { score: -1.0 };
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<StudyConfig>(&text).unwrap(), config);
    assert!(toml::from_str::<StudyConfig>("[mdp]\nvocabulary = 3").is_err());
    assert!(toml::from_str::<StudyConfig>("[klq.clip.q]\nby = 1.0\nto = 2.0").is_err());
}
