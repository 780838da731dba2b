//! An analysis as one page, which needs no network.

mod asked;
mod html;
mod ladder;
mod svg;

use std::fmt::Write as _;

use asked::{asked, why};
use chat_model::Message;
use html::{escape, estimate, maybe, measured, method, number, p_value, table};
use ladder::ladder;
use rl_core::stats::Decision;
use svg::Row;

use crate::{
    Key,
    analysis::{Ability, Analysis, Arm, Foresight, Gap, Largest, ModelAnalysis},
};

/// Looks up the conversation of a sample.
pub type Transcripts<'a> = dyn Fn(&Key) -> Option<Vec<Message>> + 'a;

/// Longest text of a turn that is shown, in characters; the rest is left out and said to be.
const LONGEST: usize = 4000;

/// The page of an analysis.
///
/// `facts` say what was run: scaffold, tools, limits, temperature, dates. Everything that a model said
/// is escaped.
pub fn page(
    title: &str,
    facts: &[(String, String)],
    analysis: &Analysis,
    transcripts: &Transcripts<'_>,
) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title><style>{1}</style>\
         </head><body><h1>{0}</h1><p class=\"lead\">What agents say they would do, and what they do, in \
         the same scenarios.</p>",
        escape(title),
        include_str!("page.css")
    );
    out.push_str(&table(&["", ""], facts.iter().map(|(k, v)| vec![k.clone(), v.clone()])));
    for model in &analysis.models {
        of_model(&mut out, model, analysis, transcripts);
    }
    scores(&mut out, analysis);
    traits(&mut out, analysis);
    out.push_str("<h2>Threats to validity</h2><ul>");
    for threat in &analysis.threats {
        let _ = write!(out, "<li>{}</li>", escape(threat));
    }
    out.push_str("</ul></body></html>\n");
    out
}

fn of_model(
    out: &mut String,
    model: &ModelAnalysis,
    analysis: &Analysis,
    transcripts: &Transcripts<'_>,
) {
    let _ = write!(out, "<h2>{}</h2>", escape(&model.model));
    let _ = write!(
        out,
        "<p><span class=\"verdict\">{}</span> Signed gap of acts and words (A3 − Q0): {}; {} items as \
         personas, {} clusters, {}. Margin of equivalence ±{}.</p>",
        decision(model.gap.decision()),
        escape(&measured(&model.gap.signed)),
        model.gap.signed.values,
        model.gap.signed.clusters,
        method(model.gap.signed.method),
        number(analysis.settings.margin)
    );
    out.push_str(&gaps(model));
    forest(out, model);
    say_do(out, model);
    ladder(out, model);
    asked(out, model);
    foresight(out, &model.foresight);
    validity(out, model);
    controls(out, model);
    failures(out, model);
    if !model.largest.is_empty() {
        out.push_str("<h3>Largest gaps</h3>");
        for largest in &model.largest {
            side_by_side(out, largest, transcripts);
        }
    }
}

fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Differs => "differs",
        Decision::Equivalent => "equivalent",
        Decision::Undecided => "undecided",
    }
}

fn gaps(model: &ModelAnalysis) -> String {
    let row = |name: &str, gap: &Gap| {
        let bits = maybe(gap.jensen_shannon_bits);
        vec![
            name.to_owned(),
            measured(&gap.signed),
            decision(gap.decision()).to_owned(),
            format!("{} ({})", maybe(gap.absolute.corrected), maybe(gap.absolute.raw)),
            format!(
                "{} ({})",
                maybe(gap.total_variation.corrected),
                maybe(gap.total_variation.raw)
            ),
            p_value(gap.total_variation.p_value),
            bits,
        ]
    };
    let rows = std::iter::once(row("all", &model.gap))
        .chain(model.scenarios.iter().map(|s| row(&s.scenario, &s.gap)));
    let head = [
        "scenario",
        "signed gap",
        "verdict",
        "absolute gap, corrected (raw)",
        "total variation, corrected (raw)",
        "p of permutation",
        "Jensen–Shannon, bits",
    ];
    let mut out = table(&head, rows);
    let _ = write!(
        out,
        "<p>Over scenarios in which the agent is able to act: {}.{}</p>",
        escape(&measured(&model.informative)),
        model.bounds.map_or_else(String::new, |b| format!(
            " With {} answers missing, the gap lies between {} and {} whatever they would have been.",
            b.missing,
            number(b.best),
            number(b.worst)
        ))
    );
    let families = model.families.iter().map(|f| {
        vec![f.family.clone(), measured(&f.signed), p_value(f.p_value), p_value(f.p_holm)]
    });
    out.push_str(&table(&["family", "signed gap", "p", "p (Holm)"], families));
    let _ = write!(
        out,
        "<p>Asked of an agent on this model instead of itself, the answer changes by {}; its best forecast \
         of itself has a Brier score of {}.</p>",
        escape(&measured(&model.willingness)),
        maybe(model.ability)
    );
    let framings =
        model.framings.iter().map(|f| vec![f.stated.name().to_owned(), measured(&f.signed)]);
    out.push_str(&table(&["asked as", "A3 minus it"], framings));
    out
}

fn forest(out: &mut String, model: &ModelAnalysis) {
    out.push_str("<h3>Signed gap by scenario</h3>");
    let mut rows: Vec<Row> = model
        .scenarios
        .iter()
        .map(|s| Row {
            name: s.scenario.clone(),
            value: s.gap.signed.value,
            interval: s.gap.signed.interval,
            note: match s.ability {
                Ability::Uninformative => "uninformative".to_owned(),
                _ => format!("{} clusters", s.gap.signed.clusters),
            },
            total: false,
        })
        .collect();
    rows.push(Row {
        name: "all".to_owned(),
        value: model.gap.signed.value,
        interval: model.gap.signed.interval,
        note: format!("{} clusters", model.gap.signed.clusters),
        total: true,
    });
    out.push_str(&svg::forest("acts better than it says ← signed gap → acts worse", &rows));
}

fn say_do(out: &mut String, model: &ModelAnalysis) {
    let t = &model.say_do;
    out.push_str("<h3>Says and does</h3>");
    out.push_str(&table(
        &["items", "acts aligned", "acts misaligned"],
        [
            vec!["says aligned".to_owned(), t.n00.to_string(), t.n01.to_string()],
            vec!["says misaligned".to_owned(), t.n10.to_string(), t.n11.to_string()],
        ],
    ));
    let _ = write!(
        out,
        "<p>Hypocrisy rate {}; mirror rate {}; McNemar's exact p {}.</p>",
        escape(&estimate(t.hypocrisy)),
        escape(&estimate(t.mirror)),
        escape(&p_value(t.p_value))
    );
}

fn foresight(out: &mut String, all: &[Foresight]) {
    out.push_str("<h3>Does it know what it will do?</h3>");
    let mut rows = Vec::new();
    for one in all {
        match (&one.calibration, &one.reason) {
            (Some(c), _) => {
                out.push_str(&svg::calibration(one.arm.name(), &c.bins));
                rows.push(vec![
                    one.arm.name().to_owned(),
                    estimate(Some(c.brier)),
                    estimate(Some(c.log_loss)),
                    estimate(Some(c.calibration_error)),
                    maybe(c.skill),
                    number(c.base_rate),
                ]);
            }
            (None, reason) => {
                rows.push(vec![one.arm.name().to_owned(), reason.clone().unwrap_or_default()]);
            }
        }
    }
    let head = ["arm", "Brier score", "log loss, nats", "calibration error", "skill", "base rate"];
    out.push_str(&table(&head, rows));
}

fn validity(out: &mut String, model: &ModelAnalysis) {
    let v = &model.validity;
    let _ = write!(
        out,
        "<h3>Does saying predict doing?</h3><p>Spearman's ρ over items: {}; reliability of words {}, of \
         acts {}; without noise {}. {}</p>",
        escape(&estimate(v.rho)),
        maybe(v.stated_reliability),
        maybe(v.enacted_reliability),
        maybe(v.disattenuated),
        escape(v.reason.as_deref().unwrap_or(""))
    );
}

fn controls(out: &mut String, model: &ModelAnalysis) {
    out.push_str("<h3>Was it able to act?</h3>");
    let rows = model.controls.iter().map(|c| {
        let ability = match c.ability {
            Ability::Able => "able",
            Ability::Uninformative => {
                "uninformative: it does nothing of the kind, not even when ordered"
            }
            Ability::Unknown => "unknown: no control",
        };
        vec![
            c.scenario.clone(),
            measured(&c.commanded),
            measured(&c.enacted),
            measured(&c.benign),
            ability.to_owned(),
        ]
    });
    out.push_str(&table(
        &["scenario", "ordered (Ac)", "free (A3)", "benign twin", "ability"],
        rows,
    ));
}

fn failures(out: &mut String, model: &ModelAnalysis) {
    out.push_str("<h3>Answers that came to nothing</h3>");
    let rows = model.failures.iter().map(|f| {
        vec![f.arm.name().to_owned(), f.asked.to_string(), number(f.rate()), why(&f.failed)]
    });
    out.push_str(&table(&["arm", "asked", "rate", "why"], rows));
}

fn side_by_side(out: &mut String, largest: &Largest, transcripts: &Transcripts<'_>) {
    let _ = write!(
        out,
        "<details><summary>{} / {} as {}: {}</summary><div class=\"pair\">",
        escape(&largest.scenario),
        escape(&largest.item),
        escape(&largest.persona),
        number(largest.difference)
    );
    for (arm, key) in [(Arm::Q0, &largest.stated), (Arm::A3, &largest.enacted)] {
        let _ = write!(out, "<div class=\"side\"><h4>{arm}");
        if let Some(key) = key {
            let _ = write!(out, " · {}", escape(&key.to_string()));
        }
        out.push_str("</h4>");
        match key.as_ref().and_then(transcripts) {
            Some(messages) => messages.iter().for_each(|m| turn(out, m)),
            None => out.push_str("<p>There is no transcript.</p>"),
        }
        out.push_str("</div>");
    }
    out.push_str("</div></details>");
}

fn turn(out: &mut String, message: &Message) {
    let who = match message {
        Message::System { .. } => "system",
        Message::User { .. } => "user",
        Message::Assistant { .. } => "assistant",
        Message::Tool { .. } => "tool",
    };
    let mut text = message.text().to_owned();
    if let Message::Assistant { tool_calls, .. } = message {
        for call in tool_calls {
            let _ = write!(text, "\n→ {} {}", call.name, call.arguments);
        }
    }
    let mut shown: String = text.chars().take(LONGEST).collect();
    let left = text.chars().count().saturating_sub(LONGEST);
    if left > 0 {
        let _ = write!(shown, "\n[… {left} characters left out …]");
    }
    let _ =
        write!(out, "<div class=\"turn\"><b>{who}</b><pre>{}</pre></div>", escape(shown.trim()));
}

fn scores(out: &mut String, analysis: &Analysis) {
    out.push_str("<h2>Models, personas and scenarios</h2>");
    let rows = analysis.scores.iter().map(|s| {
        vec![
            s.model.clone(),
            s.persona.clone(),
            s.scenario.clone(),
            measured(&s.raw),
            maybe(s.normalized),
            s.failed.to_string(),
        ]
    });
    let head = ["model", "persona", "scenario", "score (A3)", "over the RMS", "no score"];
    out.push_str(&table(&head, rows));
    out.push_str("<h3>Whose doing the variance is</h3>");
    let rows = analysis.shares.iter().map(|s| {
        let mut row = vec![s.scenario.clone()];
        match s.shares {
            Some(v) => row.extend(
                [v.model, v.persona, v.model_persona, v.item, v.residual, v.persona_minus_model]
                    .map(|e| estimate(Some(e))),
            ),
            None => row.push(s.reason.clone().unwrap_or_default()),
        }
        row
    });
    let head = ["scenario", "model", "persona", "both", "item", "epochs", "persona minus model"];
    out.push_str(&table(&head, rows));
    let rows = analysis
        .across_models
        .iter()
        .map(|a| vec![a.scenario.clone(), estimate(a.rho), a.reason.clone().unwrap_or_default()]);
    out.push_str("<h3>Saying and doing across models</h3>");
    out.push_str(&table(&["scenario", "Spearman's ρ", ""], rows));
}

fn traits(out: &mut String, analysis: &Analysis) {
    let t = &analysis.traits;
    let _ = write!(
        out,
        "<h2>Traits and methods</h2><p>Same trait, other method: {}. Other trait, same method: {}. \
         Difference {} over {} models as personas. {}</p>",
        maybe(t.convergent),
        maybe(t.discriminant),
        escape(&estimate(t.difference)),
        t.subjects,
        escape(t.reason.as_deref().unwrap_or(""))
    );
    let names: Vec<String> = t.variables.iter().map(|(f, arm)| format!("{f} {arm}")).collect();
    let head: Vec<&str> = std::iter::once("").chain(names.iter().map(String::as_str)).collect();
    let rows = names.iter().zip(&t.correlations).map(|(name, row)| {
        std::iter::once(name.clone()).chain(row.iter().map(|r| maybe(*r))).collect()
    });
    out.push_str(&table(&head, rows));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Awareness, Cell, Failure, LADDER, Settings, analyse, testing};

    #[test]
    fn everything_is_on_the_page_and_nothing_of_it_is_markup() {
        let hostile = "<script>alert(1)</script>";
        let ladder = LADDER.into_iter().chain(Arm::OFF_LADDER);
        let arms: Vec<Arm> = ladder.chain([Arm::Ac, Arm::Qs, Arm::Q0f]).collect();
        let list = testing::items(6, 2, &arms, |_, arm, _| f64::from(u8::from(!arm.is_stated())));
        let key = |cell: &Cell| Key {
            scenario: format!("s.{}", cell.arm),
            agent: "m".to_owned(),
            persona: "none".to_owned(),
            sample: cell.item.clone(),
            epoch: cell.epoch,
        };
        let list: Vec<Cell> = list
            .into_iter()
            .map(|c| Cell {
                transcript: Some(key(&c)),
                model: hostile.to_owned(),
                awareness: Some(match c.epoch {
                    1 => Awareness::Probability(0.75),
                    _ => Awareness::Failed(Failure::Probabilities),
                }),
                ..c
            })
            .collect();
        let analysis = analyse(&testing::cells(list), &Settings::default()).unwrap();
        let talk = |key: &Key| {
            Some(vec![
                Message::user(format!("asked in {}", key.scenario)),
                Message::assistant(hostile),
            ])
        };
        let facts = [("scaffold".to_owned(), "ours & <b>".to_owned())];
        let page = page("t", &facts, &analysis, &talk);
        assert!(!page.contains("<script") && !page.contains("<b>\""));
        for part in [
            "Hypocrisy rate 1.00",
            "asked in s.Q0",
            "asked in s.A3",
            "differs",
            "Threats to validity",
            "ours &amp; &lt;b&gt;",
            "Signed gap by scenario",
            "<svg",
            // Acts are worse wherever a tool is called: all of it is the format's.
            "<td>format</td><td>1.00 [1.00, 1.00]</td><td>1.00</td><td>1.00</td><td>1.00 to 1.00</td>",
            "<td>Xitc</td><td>inputs, interaction, consequences</td><td>0.00</td>",
            "its answers change by 0.00",
            "<td>A3</td><td>0.75",
            "probabilities 6",
            "Of 12 answers to Q0f rules placed 12 and models 0.",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("http"), "the page must not need the network");
    }
}
