//! Text for a page.

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
    let cells = |tag: &str, cells: &[String]| -> String {
        cells.iter().map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect()
    };
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    let rows: String =
        rows.into_iter().map(|row| format!("<tr>{}</tr>", cells("td", &row))).collect();
    format!(
        "<div class=\"wide\"><table><thead><tr>{}</tr></thead><tbody>{rows}</tbody></table></div>",
        cells("th", &head)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_no_markup_and_numbers_are_short() {
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        assert_eq!([0.5, -0.1234, -1e-9, 1.0].map(number), ["0.50", "-0.123", "0.00", "1.00"]);
        assert!(table(&["<h>"], [vec!["<d>".to_owned()]]).contains("<td>&lt;d&gt;</td>"));
    }
}
