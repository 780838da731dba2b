//! From describing to living, step by step and in every order.

use std::fmt::Write as _;

use super::{
    html::{escape, maybe, measured, number, table},
    svg,
};
use crate::analysis::{Axis, ModelAnalysis};

pub(super) fn ladder(out: &mut String, model: &ModelAnalysis) {
    let ladder = &model.ladder;
    out.push_str("<h3>From describing to living</h3>");
    if ladder.levels.is_empty() {
        out.push_str("<p>No item has an answer in every arm of the ladder.</p>");
        return;
    }
    let levels: Vec<(String, f64)> =
        ladder.levels.iter().map(|(arm, v)| (arm.name().to_owned(), *v)).collect();
    let steps: Vec<String> = ladder.rungs.iter().map(|r| r.axis.name().to_owned()).collect();
    out.push_str(&svg::waterfall("mean value of each arm", &levels, &steps));
    let rows = ladder.rungs.iter().map(|rung| {
        vec![
            rung.axis.name().to_owned(),
            format!("{} → {}", rung.from, rung.to),
            measured(&rung.gap),
        ]
    });
    out.push_str(&table(&["what is switched on", "arms", "what it adds"], rows));
    let _ = write!(
        out,
        "<p>{} items as personas have the whole ladder. Reasoning switched: {}.</p>",
        ladder.units,
        escape(&measured(&ladder.reasoning))
    );
    let Some(all) = &ladder.combinations else {
        out.push_str(
            "<p>What a step adds depends on the order of the steps, and no item has an answer in all \
             sixteen combinations of what is switched on: Shapley's values are not defined.</p>",
        );
        return;
    };
    let _ = write!(
        out,
        "<h3>Whichever is switched on first</h3><p>{} items as personas have an answer in all sixteen \
         combinations; over them the whole gap is {}. Shapley's values average what an axis adds over \
         the 24 orders, and sum to it.</p>",
        all.units,
        number(all.attribution.total)
    );
    let part = |of: Option<[f64; 4]>, axis: usize| maybe(of.map(|parts| parts[axis]));
    let rows = Axis::ALL.into_iter().enumerate().map(|(i, axis)| {
        let [least, most] = all.attribution.range[i];
        vec![
            axis.name().to_owned(),
            measured(&all.shapley[i]),
            part(Some(all.attribution.forward), i),
            part(all.attribution.reverse, i),
            format!("{} to {}", number(least), number(most)),
        ]
    });
    let head =
        ["axis", "Shapley's value", "in the ladder's order", "in the reverse", "in any order"];
    out.push_str(&table(&head, rows));
    let levels = all.levels.iter().map(|&(arm, value)| {
        let on = Axis::ALL.into_iter().filter(|a| arm.axes().is_some_and(|axes| axes.has(*a)));
        let on: Vec<&str> = on.map(Axis::name).collect();
        vec![arm.name().to_owned(), on.join(", "), number(value)]
    });
    out.push_str(&table(&["arm", "what is on", "mean value"], levels));
}
