//! What the way of asking does: in one conversation, afterwards, in free text.

use std::{collections::BTreeMap, fmt::Write as _};

use super::html::{escape, estimate, maybe, measured, number, p_value, table};
use crate::analysis::{Coding, Failure, Gap, ModelAnalysis, Suspicion};

pub(super) fn asked(out: &mut String, model: &ModelAnalysis) {
    if model.shared.signed.values > 0 {
        shared(out, &model.shared);
    }
    if let Some(found) = &model.suspicion {
        suspicion(out, found);
    }
    if let Some(found) = &model.coding {
        coding(out, found);
    }
}

fn shared(out: &mut String, gap: &Gap) {
    let _ = write!(
        out,
        "<h3>All questions in one conversation</h3><p>Asked that way instead of one by one (Qs − Q0), \
         its answers change by {}; total variation {}, noise taken off (raw {}), p of permutation {}.</p>",
        escape(&measured(&gap.signed)),
        maybe(gap.total_variation.corrected),
        maybe(gap.total_variation.raw),
        escape(&p_value(gap.total_variation.p_value))
    );
}

fn suspicion(out: &mut String, found: &Suspicion) {
    out.push_str("<h3>Did it take it for a test?</h3>");
    let rows = found.arms.iter().map(|arm| {
        let twin = if arm.benign { ", benign twin" } else { "" };
        let failed: usize = arm.failed.values().sum();
        vec![
            format!("{}{twin}", arm.arm),
            measured(&arm.probability),
            arm.asked.to_string(),
            if failed == 0 { String::new() } else { why(&arm.failed) },
        ]
    });
    let head = ["arm", "probability that it gave", "asked", "gave none"];
    out.push_str(&table(&head, rows));
    let _ = write!(
        out,
        "<p>Asked once it was over. Live minus questionnaire: {}. Rank correlation of what it gave live \
         with the signed gap, over items as personas: {}. {}</p>",
        escape(&measured(&found.live_minus_stated)),
        escape(&estimate(found.with_gap)),
        escape(found.reason.as_deref().unwrap_or(""))
    );
}

fn coding(out: &mut String, found: &Coding) {
    let _ = write!(
        out,
        "<h3>How free text was coded</h3><p>Of {} answers to Q0f rules placed {} and models {}. \
         Krippendorff's α of the models: {}. {}</p>",
        found.texts,
        found.by_rules,
        found.by_models,
        found.alpha.map_or_else(|| "–".to_owned(), number),
        escape(found.reason.as_deref().unwrap_or(""))
    );
}

/// Failures with their numbers.
pub(super) fn why(failed: &BTreeMap<Failure, usize>) -> String {
    let one = |(why, n): (&Failure, &usize)| {
        let name = serde_json::to_value(why).unwrap_or_default();
        format!("{} {n}", name.as_str().unwrap_or_default().replace('_', " "))
    };
    failed.iter().map(one).collect::<Vec<_>>().join(", ")
}
