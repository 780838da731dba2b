//! Rewards that fail, reward models, and what a wrong one is told.

use klq::{
    Algorithm, Error, TrainConfig, Trainer,
    reward::{Answer, Pair, RewardModel, RewardModelConfig, Rule, preferences, train_reward_model},
};
use rl_core::{optim::Schedule, seed::Seed};

use crate::trainer::common::{algorithms, config, prompts, tiny, tokenizer};

fn trainer_of<'a>(
    config: &TrainConfig,
    tokenizer: &'a causal_lm::tokenizer::Tokenizer,
) -> Trainer<'a> {
    Trainer::new(&tiny(1), tokenizer, prompts(9), config).unwrap()
}

#[test]
fn an_answer_without_a_score_is_left_out() {
    for algorithm in algorithms() {
        let groups = algorithm.needs_groups();
        let tokenizer = tokenizer();
        let config = TrainConfig { max_unscored: 0.2, ..config(algorithm) };
        let mut trainer = trainer_of(&config, &tokenizer);
        let mut count = 0;
        let mut reward = Rule::new("broken", |_: &Answer<'_>| {
            count += 1;
            match count {
                1 => Ok(f64::NAN),
                5 => Err("no".to_owned()),
                _ => Ok(f64::from(count)),
            }
        });
        let made = trainer.iterate(&mut reward).unwrap();
        // Four prompts, three answers each: groups lose their whole prompt.
        let left = if groups { 6 } else { 10 };
        assert_eq!(made.rollouts.len(), left);
        assert_eq!(made.report.unscored, 12 - left);
        assert!(made.report.loss.is_finite());
    }
}

#[test]
fn too_many_without_a_score_stop_the_run_and_change_nothing() {
    let tokenizer = tokenizer();
    let config = config(Algorithm::default());
    let mut trainer = trainer_of(&config, &tokenizer);
    let before: Vec<_> = trainer.parameters().into_iter().map(|(_, t)| t.copy()).collect();
    let mut reward = Rule::new("broken", |a: &Answer<'_>| match a.prompt.id.as_str() {
        "3" => Ok(1.0),
        _ => Err("the server is away".to_owned()),
    });
    let error = trainer.iterate(&mut reward).unwrap_err();
    assert!(matches!(error, Error::Rewards { of: 12, allowed: 1, .. }), "{error}");
    assert!(error.to_string().ends_with("the server is away"), "{error}");
    assert_eq!(trainer.iterations(), 0);
    let after: Vec<_> = trainer.parameters().into_iter().map(|(_, t)| t).collect();
    assert_eq!(before, after);
}

/// Random texts; the better one of a pair has more `a`s than the other.
fn pairs(count: usize, seed: u64) -> Vec<Pair> {
    use rand::RngExt as _;
    let mut rng = Seed::new(seed).derive("pairs", 0).rng();
    let mut text = || -> Vec<u32> {
        let n = rng.random_range(3..9);
        (0..n).map(|_| rng.random_range(0..4)).collect()
    };
    let share = |t: &[u32]| t.iter().filter(|&&id| id == 0).count();
    (0..)
        .map(|_| (text(), text()))
        .filter(|(a, b)| share(a) != share(b))
        .map(|(a, b)| {
            let (chosen, rejected) = if share(&a) > share(&b) { (a, b) } else { (b, a) };
            Pair { chosen, rejected }
        })
        .take(count)
        .collect()
}

#[test]
fn a_reward_model_learns_what_is_preferred() {
    let lm = tiny(2);
    let config = RewardModelConfig {
        epochs: 6,
        lr: 1e-2,
        head_lr: 1e-2,
        schedule: Schedule::default(),
        ..RewardModelConfig::default()
    };
    let mut losses = Vec::new();
    let model =
        train_reward_model(&lm, &pairs(200, 1), &config, |step, _| losses.push(step.loss)).unwrap();
    assert!(losses[0] > 0.5 && *losses.last().unwrap() < 0.35, "{losses:?}");
    let held_out = pairs(200, 2);
    let judged = preferences(&model, &held_out).unwrap();
    let accuracy = judged.iter().map(|(win, _)| win).sum::<f64>() / 200.0;
    assert!(accuracy > 0.85, "{accuracy}");

    // Rewards of the training answers are standardized; the file gives the same again.
    let all: Vec<Vec<u32>> =
        pairs(200, 1).into_iter().flat_map(|p| [p.chosen, p.rejected]).collect();
    let rewards = model.rewards(&all).unwrap();
    let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
    assert!(mean.abs() < 1e-6, "{mean}");
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path(), "tiny").unwrap();
    let read = RewardModel::load(folder.path(), &lm).unwrap();
    let again = read.rewards(&all).unwrap();
    // The adapter is merged after reading.
    assert!(rewards.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-4));
    // Batch mates and padding change nothing.
    let alone = model.rewards(&all[..1]).unwrap();
    assert!((alone[0] - rewards[0]).abs() < 1e-5);
}

#[test]
fn a_reward_model_is_the_same_for_the_same_seed() {
    let config = RewardModelConfig { epochs: 1, ..RewardModelConfig::default() };
    let train = || {
        let model = train_reward_model(&tiny(2), &pairs(40, 1), &config, |_, _| {}).unwrap();
        model.rewards(&[vec![1, 2, 3]]).unwrap()
    };
    assert_eq!(train(), train());
    let none = train_reward_model(&tiny(2), &[], &config, |_, _| {}).unwrap_err();
    assert!(matches!(none, Error::Setting { name: "pairs", .. }));
    let foreign = Pair { chosen: vec![99], rejected: vec![1] };
    let message = train_reward_model(&tiny(2), &[foreign], &config, |_, _| {}).unwrap_err();
    assert!(message.to_string().contains("below 13"), "{message}");
}
