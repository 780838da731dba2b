//! Text for a page.

use std::fmt::Write as _;

use rl_core::stats::Estimate;

use crate::analysis::{Measured, Method};

/// A text that can be no markup.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A number with two or three digits behind the point.
pub(super) fn number(value: f64) -> String {
    // No zero with a sign.
    let value = if value.abs() < 5e-4 { 0.0 } else { value };
    if (value * 100.0 - (value * 100.0).round()).abs() < 1e-9 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

pub(super) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

/// A probability that is small without being none.
pub(super) fn p_value(value: Option<f64>) -> String {
    match value {
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        other => maybe(other),
    }
}

/// A value with its interval and how it was made.
pub(super) fn measured(of: &Measured) -> String {
    match (of.value, of.interval) {
        (Some(value), Some([low, high])) => {
            format!("{} [{}, {}]", number(value), number(low), number(high))
        }
        (Some(value), None) => format!("{} (no interval: {})", number(value), method(of.method)),
        (None, _) => format!("– ({})", method(of.method)),
    }
}

pub(super) fn estimate(of: Option<Estimate>) -> String {
    of.map_or_else(
        || "–".to_owned(),
        |e| format!("{} [{}, {}]", number(e.value), number(e.interval[0]), number(e.interval[1])),
    )
}

pub(super) fn method(method: Method) -> &'static str {
    match method {
        Method::Student => "clustered, Student's t",
        Method::WildBootstrap => "wild cluster bootstrap",
        Method::StudentFewClusters => "clustered, Student's t of fewer than 6 clusters",
        Method::OneCluster => "one cluster",
        Method::Nothing => "no answers",
    }
}

/// A table of texts that are escaped here.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = String::from("<div class=\"wide\"><table>");
    let mut row = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        out.push_str("<tr>");
        for cell in cells {
            let _ = write!(out, "<{tag}>{}</{tag}>", escape(cell));
        }
        out.push_str("</tr>");
    };
    row("th", &mut head.iter().copied());
    for cells in rows {
        row("td", &mut cells.iter().map(String::as_str));
    }
    out.push_str("</table></div>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_no_markup_and_numbers_are_short() {
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        assert_eq!([0.5, -0.1234, -1e-9, 1.0].map(number), ["0.50", "-0.123", "0.00", "1.00"]);
        let p = [Some(0.0004), Some(0.0), Some(0.25), None].map(p_value);
        assert_eq!(p, ["< 0.001", "< 0.001", "0.25", "–"]);
        assert!(table(&["<h>"], [vec!["<d>".to_owned()]]).contains("<td>&lt;d&gt;</td>"));
    }
}
