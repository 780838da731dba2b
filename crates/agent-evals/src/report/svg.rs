//! Figures of an analysis as SVG, which follow the page's colors.

use std::fmt::Write as _;

use rl_core::stats::CalibrationBin;

use super::html::{escape, number};

const WIDTH: f64 = 760.0;
/// Room for names on the left.
const LEFT: f64 = 230.0;
const RIGHT: f64 = 130.0;
const ROW: f64 = 24.0;
const TOP: f64 = 12.0;
const FOOT: f64 = 44.0;

/// A row of a forest plot.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) value: Option<f64>,
    pub(super) interval: Option<[f64; 2]>,
    /// Said on the right: how many, and what is the matter.
    pub(super) note: String,
    /// Whether it is the total of the others.
    pub(super) total: bool,
}

/// Values with their intervals around zero, one row each.
pub(super) fn forest(label: &str, rows: &[Row]) -> String {
    let reach = rows
        .iter()
        .flat_map(|r| r.value.into_iter().chain(r.interval.into_iter().flatten()))
        .fold(0.1_f64, |most, v| most.max(v.abs()))
        .min(1.5);
    let x = |v: f64| LEFT + (v.clamp(-reach, reach) / reach + 1.0) * 0.5 * (WIDTH - LEFT - RIGHT);
    let height = TOP + ROW * rows.len() as f64 + FOOT;
    let mut svg = open(height, label);
    let bottom = height - FOOT;
    for tick in [-reach, -0.5 * reach, 0.0, 0.5 * reach, reach] {
        let class = if tick == 0.0 { "zero" } else { "grid" };
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\"/>\
             <text x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"middle\">{2}</text>",
            x(tick),
            bottom + 16.0,
            number(tick)
        );
    }
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        let weight = if row.total { " class=\"total\"" } else { "" };
        let _ = write!(
            svg,
            "<text{weight} x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 10.0,
            y + 4.0,
            escape(&row.name),
            WIDTH - RIGHT + 10.0,
            y + 4.0,
            escape(&row.note)
        );
        if let Some([low, high]) = row.interval {
            let _ = write!(
                svg,
                "<line class=\"whisker\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                x(low),
                x(high)
            );
        }
        if let Some(value) = row.value {
            let size = if row.total { 6.0 } else { 4.0 };
            let _ = write!(
                svg,
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"{size}\"/>",
                x(value)
            );
        }
    }
    close(svg, height, label)
}

/// Levels that lead from one to another, step by step: names with the level that each reaches.
pub(super) fn waterfall(label: &str, levels: &[(String, f64)], steps: &[String]) -> String {
    const HEIGHT: f64 = 260.0;
    const EDGE: f64 = 50.0;
    let highest = levels.iter().fold(0.1_f64, |most, (_, v)| most.max(*v));
    let y = |v: f64| HEIGHT - FOOT - v / highest * (HEIGHT - FOOT - 24.0);
    let slot = (WIDTH - 2.0 * EDGE) / levels.len().max(1) as f64;
    let mut svg = open(HEIGHT, label);
    let _ = write!(
        svg,
        "<line class=\"zero\" x1=\"{EDGE}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>",
        WIDTH - EDGE,
        y(0.0)
    );
    let mut before = 0.0;
    for (i, (name, level)) in levels.iter().enumerate() {
        let left = EDGE + slot * i as f64 + 0.15 * slot;
        let (low, high) = if *level < before { (*level, before) } else { (before, *level) };
        let class = match (i, *level < before) {
            (0, _) => "bar",
            (_, true) => "bar down",
            (_, false) => "bar up",
        };
        let step = i.checked_sub(1).and_then(|s| steps.get(s)).map_or("", String::as_str);
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <text x=\"{3:.1}\" y=\"{4:.1}\" text-anchor=\"middle\">{5}</text>\
             <text x=\"{3:.1}\" y=\"{6:.1}\" text-anchor=\"middle\">{7}</text>\
             <text class=\"small\" x=\"{3:.1}\" y=\"{8:.1}\" text-anchor=\"middle\">{9}</text>",
            y(high),
            0.7 * slot,
            (y(low) - y(high)).max(1.5),
            left + 0.35 * slot,
            y(high) - 6.0,
            number(*level),
            HEIGHT - FOOT + 16.0,
            escape(name),
            HEIGHT - FOOT + 32.0,
            escape(step)
        );
        before = *level;
    }
    svg.push_str("</svg>");
    svg
}

/// What happened against what was foretold, with bands.
pub(super) fn calibration(label: &str, bins: &[CalibrationBin]) -> String {
    const SIDE: f64 = 300.0;
    const EDGE: f64 = 46.0;
    let x = |p: f64| EDGE + p * (SIDE - EDGE - 14.0);
    let y = |p: f64| SIDE - EDGE - p * (SIDE - EDGE - 14.0);
    let mut svg = format!(
        "<svg class=\"square\" viewBox=\"0 0 {SIDE} {SIDE}\" role=\"img\" aria-label=\"{}\">",
        escape(label)
    );
    let _ = write!(
        svg,
        "<line class=\"grid\" x1=\"{0:.1}\" y1=\"{1:.1}\" x2=\"{2:.1}\" y2=\"{3:.1}\"/>",
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0)
    );
    for tick in [0.0, 0.5, 1.0] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
            x(tick),
            SIDE - EDGE + 16.0,
            EDGE - 6.0,
            y(tick) + 4.0
        );
    }
    for bin in bins {
        let _ = write!(
            svg,
            "<line class=\"whisker\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/>\
             <circle class=\"dot\" cx=\"{0:.1}\" cy=\"{3:.1}\" r=\"4\"><title>n = {4}</title></circle>",
            x(bin.predicted),
            y(bin.band[0]),
            y(bin.band[1]),
            y(bin.observed),
            bin.n
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">probability given</text></svg>",
        x(0.5),
        SIDE - 8.0
    );
    svg
}

fn open(height: f64, label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", escape(label))
}

fn close(mut svg: String, height: f64, label: &str) -> String {
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></svg>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        height - 8.0,
        escape(label)
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(svg: &str, name: &str) -> Vec<f64> {
        let mark = format!(" {name}=\"");
        svg.split(&mark).skip(1).map(|p| p.split('"').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn a_forest_has_its_dots_on_their_side() {
        let row = |value: Option<f64>| Row {
            name: "<b>".to_owned(),
            value,
            interval: value.map(|v| [v - 0.1, v + 0.1]),
            note: String::new(),
            total: false,
        };
        let svg = forest("gap", &[row(Some(-0.5)), row(Some(0.5)), row(None)]);
        let dots = attributes(&svg, "cx");
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        assert!(dots.len() == 2 && dots[0] < middle && dots[1] > middle);
        assert!((dots[0] + dots[1] - 2.0 * middle).abs() < 0.2);
        assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>"));
    }

    #[test]
    fn a_waterfall_ends_where_the_last_level_is() {
        let levels = [("Q0", 0.0), ("Q1", 0.5), ("A3", 0.25)].map(|(n, v)| (n.to_owned(), v));
        let svg = waterfall("ladder", &levels, &["inputs".to_owned(), "format".to_owned()]);
        assert!(svg.matches("<rect").count() == 3 && svg.contains("bar down"));
        let heights = attributes(&svg, "height");
        assert!((heights[1] - 2.0 * heights[2]).abs() < 0.2);
    }

    #[test]
    fn what_is_calibrated_lies_on_the_line() {
        let bin = CalibrationBin { predicted: 0.3, observed: 0.3, band: [0.1, 0.5], n: 7 };
        let svg = calibration("Qp", &[bin]);
        let (x, y) = (attributes(&svg, "cx")[0], attributes(&svg, "cy")[0]);
        assert!((x + y - 300.0).abs() < 0.2 && svg.contains("n = 7"));
    }
}
