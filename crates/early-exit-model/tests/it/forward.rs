//! The forward pass over whole sequences.

use causal_lm::model::{Layout, Pass};
use early_exit_model::{Error, Exits, Sequences, Skipped, forward::traced};
use tch::{Kind, Tensor};

use crate::{
    common::{
        FAMILIES, LAYERS, ROUNDING, ids, max_abs_diff, model, places, tensor, tiny, uniform,
        vec_i64,
    },
    naive,
};

const SKIPPED: [Skipped; 3] = [Skipped::Propagate, Skipped::Backfill, Skipped::Hide];

/// Exits of the tokens after a prompt of three: every depth, sites and others.
const DEPTHS: [i64; 9] = [1, 6, 3, 2, 5, 6, 4, 3, 1];

/// Property 1: with no exit taken the pass is that of the plain model, to the bit.
#[test]
fn full_depth_is_the_plain_model() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let exits = crate::common::model(&lm, false);
        let tokens = tensor(&[ids(12, 2), ids(9, 3)]);
        let layout = Layout::RightPadded(vec![12, 9]);
        let plain = lm.hidden(&tokens, &layout).unwrap();
        let free = places(&[4, 5, 6, 20]);
        let sequences = Sequences { input_ids: &tokens, layout: &layout, free: &free };
        let never = Tensor::full([4], LAYERS as i64, (Kind::Int64, tch::Device::Cpu));
        let ones = uniform(&[4, 3], 1).ones_like();
        for how in
            [Exits::Off, Exits::Prescribed(&never), Exits::Sampled(&ones), Exits::Threshold(1.0)]
        {
            let found = exits.forward(&sequences, how).unwrap();
            assert_eq!(max_abs_diff(&found.hidden, &plain), 0.0, "{family} {how:?}");
            assert_eq!(vec_i64(&found.exits), [6; 4]);
        }
        assert_eq!(max_abs_diff(&exits.teacher(&sequences).unwrap(), &plain), 0.0);
        // A fresh adapter changes nothing either.
        let fresh = early_exit_model::EarlyExitModel::new(
            &lm,
            &early_exit_model::ExitConfig { every: 2, ..Default::default() },
            rl_core::seed::Seed::new(1),
        )
        .unwrap();
        let found = fresh.forward(&sequences, Exits::Off).unwrap();
        assert_eq!(max_abs_diff(&found.hidden, &plain), 0.0);
    }
}

/// Properties 2, 3, 4, 6 and the ablations: every depth against the pass written out token by token.
#[test]
fn prescribed_exits_are_the_pass_token_by_token() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let row = ids(12, 2);
        let tokens = tensor(std::slice::from_ref(&row));
        let free = places(&(3..12).collect::<Vec<_>>());
        let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
        let exits = model(&lm, false);
        let depths: Vec<usize> =
            std::iter::repeat_n(LAYERS, 3).chain(DEPTHS.iter().map(|&d| d as usize)).collect();
        for skipped in SKIPPED {
            let expected = naive::forward(&lm, &row, &depths, skipped);
            let prescribed = Tensor::from_slice(&DEPTHS);
            let found = traced(
                &lm,
                exits.gates(),
                exits.sites(),
                skipped,
                &sequences,
                Exits::Prescribed(&prescribed),
            )
            .unwrap();
            let gap = max_abs_diff(&found.hidden.get(0), &expected.hidden(&lm));
            assert!(gap < ROUNDING, "{family} {skipped:?}: {gap}");
            for (site, states) in exits.sites().blocks().iter().zip(&found.site_states) {
                let expected = Tensor::stack(&expected.states[*site][3..], 0);
                let gap = max_abs_diff(states, &expected);
                assert!(gap < ROUNDING, "{family} {skipped:?}, site {site}: {gap}");
            }
        }
    }
}

/// Property 2: if all tokens leave at `l`, the model is one of `l` blocks, to the bit.
#[test]
fn leaving_together_truncates_the_model() {
    for family in FAMILIES {
        let lm = tiny(family, 4);
        let tokens = tensor(&[ids(8, 5), ids(8, 6)]);
        let exits = model(&lm, false);
        let free = places(&(0..16).collect::<Vec<_>>());
        let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
        for blocks in 1..=LAYERS {
            let mut short = Pass::new(&lm, &tokens, &Layout::Dense, Skipped::Propagate).unwrap();
            short.run_to(blocks);
            let expected = lm.final_norm().forward(&short.states());
            let prescribed = Tensor::full([16], blocks as i64, (Kind::Int64, tch::Device::Cpu));
            for skipped in SKIPPED {
                let found = traced(
                    &lm,
                    exits.gates(),
                    exits.sites(),
                    skipped,
                    &sequences,
                    Exits::Prescribed(&prescribed),
                )
                .unwrap();
                assert_eq!(
                    max_abs_diff(&found.hidden, &expected),
                    0.0,
                    "{family} {blocks} {skipped:?}"
                );
            }
        }
    }
}

/// Properties 3, 4 and 5: what has left never changes again, to the bit, and only the others are
/// computed.
#[test]
fn frozen_tokens_stay_and_cost_nothing() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let tokens = tensor(&[ids(10, 2)]);
        let mut pass = Pass::new(&lm, &tokens, &Layout::Dense, Skipped::Propagate).unwrap();
        let mut left: Vec<(usize, Tensor)> = Vec::new();
        let mut executed = 0;
        for block in 0..LAYERS {
            // Tokens 4, 5, … leave before blocks 1, 2, …
            if block > 0 {
                let place = 3 + block;
                let leaving: Vec<bool> = (0..10).map(|t| t == place).collect();
                left.push((place, pass.states().get(0).get(place as i64).copy()));
                pass.leave(&Tensor::from_slice(&leaving));
            }
            assert_eq!(pass.running(), 10 - left.len());
            executed += pass.running();
            pass.run_to(block + 1);
            let states = pass.states().get(0);
            for (place, state) in &left {
                assert_eq!(max_abs_diff(&states.get(*place as i64), state), 0.0);
            }
        }
        let depths: Vec<usize> =
            (0..10).map(|t| if (4..9).contains(&t) { t - 3 } else { 6 }).collect();
        assert_eq!(executed, depths.iter().sum::<usize>());
        let hidden = pass.finish().get(0);
        for (place, state) in &left {
            let expected = lm.final_norm().forward(state);
            assert!(max_abs_diff(&hidden.get(*place as i64), &expected) < 1e-6);
        }
    }
}

/// Property 8: an exit changes nothing of what stands before it.
#[test]
fn exits_reach_forward_only() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let tokens = tensor(&[ids(10, 2)]);
        let exits = model(&lm, false);
        let free = places(&[6]);
        let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
        let plain = lm.hidden(&tokens, &Layout::Dense).unwrap().get(0);
        for skipped in [Skipped::Propagate, Skipped::Hide] {
            let early = Tensor::from_slice(&[2_i64]);
            let found = traced(
                &lm,
                exits.gates(),
                exits.sites(),
                skipped,
                &sequences,
                Exits::Prescribed(&early),
            )
            .unwrap()
            .hidden
            .get(0);
            assert!(
                max_abs_diff(&found.narrow(0, 0, 6), &plain.narrow(0, 0, 6)) < 1e-5,
                "{family}"
            );
            for later in 6..10 {
                assert!(
                    max_abs_diff(&found.get(later), &plain.get(later)) > 1e-3,
                    "{family} {later}"
                );
            }
        }
    }
}

/// Property 9: padding and neighbors change nothing, with exits of all depths.
#[test]
fn rows_do_not_see_each_other() {
    for family in FAMILIES {
        let lm = tiny(family, 1);
        let exits = model(&lm, true);
        let rows = [ids(12, 2), ids(7, 3), ids(9, 4)];
        let tokens = tensor(&rows);
        let mut free = Vec::new();
        let mut of_row: Vec<Vec<usize>> = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            of_row.push((3..row.len()).collect());
            free.extend((3..row.len()).map(|t| i * 12 + t));
        }
        let uniforms = uniform(&[free.len() as i64, 3], 9);
        let layout = Layout::RightPadded(rows.iter().map(Vec::len).collect());
        let free = places(&free);
        let sequences = Sequences { input_ids: &tokens, layout: &layout, free: &free };
        let together = exits.forward(&sequences, Exits::Sampled(&uniforms)).unwrap();
        let depths: std::collections::BTreeSet<i64> =
            vec_i64(&together.exits).into_iter().collect();
        assert!(depths.len() > 2, "{depths:?}");
        let mut at = 0;
        for (i, row) in rows.iter().enumerate() {
            let n = of_row[i].len() as i64;
            let (tokens, free) = (tensor(std::slice::from_ref(row)), places(&of_row[i]));
            let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
            let alone =
                exits.forward(&sequences, Exits::Sampled(&uniforms.narrow(0, at, n))).unwrap();
            assert_eq!(vec_i64(&alone.exits), vec_i64(&together.exits.narrow(0, at, n)));
            let beside = together.hidden.get(i as i64).narrow(0, 0, row.len() as i64);
            assert!(max_abs_diff(&alone.hidden.get(0), &beside) < ROUNDING);
            let [a, b] = [&alone, &together].map(|t| t.log_prob(exits.sites()).unwrap());
            assert!(max_abs_diff(&a, &b.narrow(0, at, n)) < ROUNDING);
            at += n;
        }
    }
}

/// Property 7, in one pass: exits drawn and the same exits prescribed are the same pass.
#[test]
fn drawn_exits_prescribed_are_the_same_pass() {
    let lm = tiny("llama", 1);
    let exits = model(&lm, true);
    let tokens = tensor(&[ids(12, 2)]);
    let free = places(&(3..12).collect::<Vec<_>>());
    let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
    let drawn = exits.forward(&sequences, Exits::Sampled(&uniform(&[9, 3], 9))).unwrap();
    let again = exits.forward(&sequences, Exits::Prescribed(&drawn.exits)).unwrap();
    assert_eq!(max_abs_diff(&drawn.hidden, &again.hidden), 0.0);
    let [a, b] = [&drawn, &again].map(|t| t.log_prob(exits.sites()).unwrap());
    assert_eq!(max_abs_diff(&a, &b), 0.0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let lm = tiny("llama", 1);
    let exits = model(&lm, false);
    let tokens = tensor(&[ids(6, 2)]);
    let free = places(&[3, 4]);
    let sequences = Sequences { input_ids: &tokens, layout: &Layout::Dense, free: &free };
    let refused = |how: Exits<'_>| exits.forward(&sequences, how).unwrap_err().to_string();
    let prescribed = |exits: &[i64]| refused(Exits::Prescribed(&Tensor::from_slice(exits)));
    assert_eq!(prescribed(&[1]), "prescribed exits: expected [2], found [1]");
    assert_eq!(prescribed(&[1, 7]), "exit sites: expected exits after 1 to 6 blocks, found 7");
    assert_eq!(prescribed(&[0, 6]), "exit sites: expected exits after 1 to 6 blocks, found 0");
    assert_eq!(
        refused(Exits::Sampled(&uniform(&[2, 2], 1))),
        "uniform numbers: expected [2, 3], found [2, 2]"
    );
    assert_eq!(refused(Exits::Threshold(1.5)), "threshold: expected a probability, found 1.5");
    // Exits where there is no site have no probability.
    let between = Tensor::from_slice(&[2_i64, 6]);
    let found = exits.forward(&sequences, Exits::Prescribed(&between)).unwrap();
    let message = found.log_prob(exits.sites()).unwrap_err().to_string();
    let expected = "exit sites: expected one of [1, 3, 5, 6], found an exit after 2 blocks";
    assert_eq!(message, expected);
    // Gates that are not finite.
    let _guard = tch::no_grad_guard();
    exits.gates().shift(f64::NAN);
    let never = Tensor::from_slice(&[6_i64, 6]);
    let error = exits.forward(&sequences, Exits::Prescribed(&never)).unwrap_err();
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
}
