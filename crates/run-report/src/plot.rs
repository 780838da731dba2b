//! Line plots as SVG that follows the page's colors.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 40.0;
const MARGIN: f64 = 14.0;

/// Number of line styles in the page's style sheet; further series begin again.
const STYLES: usize = 6;

/// Series to plot, with what stands at the axes.
pub(crate) struct Lines<'a> {
    pub(crate) name: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) series: Vec<Series>,
}

/// Numbers of one line; what is not finite is left out.
#[derive(Default)]
pub(crate) struct Series {
    /// Shown beside the plot; empty where there is only one.
    pub(crate) name: String,
    pub(crate) points: Vec<[f64; 2]>,
}

/// An SVG element, or nothing if no series has two points.
pub(crate) fn plot(lines: &Lines<'_>) -> Option<String> {
    let finite = |series: &Series| -> Vec<[f64; 2]> {
        series.points.iter().copied().filter(|p| p.iter().all(|v| v.is_finite())).collect()
    };
    let each: Vec<Vec<[f64; 2]>> = lines.series.iter().map(finite).collect();
    if each.iter().all(|points| points.len() < 2) {
        return None;
    }
    let points = each.concat();
    let [x_axis, y_axis] = [0, 1].map(|i| Axis::of(points.iter().map(|p| p[i])));
    let place_x = |x: f64| LEFT + x_axis.fraction(x) * (WIDTH - LEFT - MARGIN);
    let place_y = |y: f64| HEIGHT - BOTTOM - y_axis.fraction(y) * (HEIGHT - BOTTOM - MARGIN);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{name} by {x}\">",
        name = lines.name,
        x = lines.x_label
    );
    for tick in y_axis.ticks() {
        let y = place_y(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - MARGIN,
            LEFT - 8.0,
            y + 4.0,
            short(tick)
        );
    }
    for tick in x_axis.ticks() {
        let (x, y) = (place_x(tick), HEIGHT - BOTTOM + 18.0);
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>",
            short(tick)
        );
    }
    for (i, points) in each.iter().enumerate() {
        let path: Vec<String> =
            points.iter().map(|&[x, y]| format!("{:.1},{:.1}", place_x(x), place_y(y))).collect();
        let (style, path) = (i % STYLES, path.join(" "));
        let _ = write!(svg, "<polyline class=\"line line-{style}\" points=\"{path}\"/>");
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text></svg>",
        f64::midpoint(LEFT, WIDTH - MARGIN),
        HEIGHT - 4.0,
        lines.x_label
    );
    Some(svg)
}

/// Names of the series in the colors of their lines; nothing where there is only one.
pub(crate) fn legend(lines: &Lines<'_>) -> Vec<(usize, String)> {
    if lines.series.len() < 2 {
        return Vec::new();
    }
    lines.series.iter().enumerate().map(|(i, s)| (i % STYLES, s.name.clone())).collect()
}

/// A range of numbers, in round steps.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let spread = if high > low { high - low } else { low.abs().max(1.0) };
        let rough = spread / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough);
        let step = step.unwrap_or(rough);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self { low, high: if high > low { high } else { low + step }, step }
    }

    fn fraction(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let count = ((self.high - self.low) / self.step).round() as usize;
        (0..=count).map(|i| self.low + i as f64 * self.step)
    }
}

/// A number with at most four significant digits.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9);
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 1.0, 0.125, 1234.5, -0.000_123_46, 20.0].map(short);
        assert_eq!(shown, ["0", "1", "0.125", "1234", "-0.0001235", "20"]);
    }

    #[test]
    fn the_line_stays_inside() {
        let points = vec![[1.0, 3.0], [2.0, f64::NAN], [3.0, -7.0], [4.0, 2.5]];
        let one = |points| Lines {
            name: "loss",
            x_label: "step",
            series: vec![Series { points, ..Series::default() }],
        };
        assert!(legend(&one(Vec::new())).is_empty());
        let svg = plot(&one(points)).unwrap();
        let path = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let pairs: Vec<(f64, f64)> = path
            .split(' ')
            .map(|p| p.split_once(',').unwrap())
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert_eq!(pairs.len(), 3, "what is not finite is left out");
        assert!(
            pairs.iter().all(|&(x, y)| (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y))
        );
        assert!(pairs[1].1 > pairs[0].1, "down is down");
        assert!(plot(&one(vec![[1.0, 1.0]])).is_none());
    }

    #[test]
    fn series_share_the_axes() {
        let series = |name: &str, high: f64| Series {
            name: name.into(),
            points: vec![[0.0, 0.0], [1.0, high]],
        };
        let all = vec![series("a", 1.0), series("b", 2.0)];
        let lines = Lines { name: "reward", x_label: "step", series: all };
        let svg = plot(&lines).unwrap();
        let ends: Vec<f64> = svg
            .split("points=\"")
            .skip(1)
            .map(|p| p.split('"').next().unwrap().rsplit(',').next().unwrap().parse().unwrap())
            .collect();
        let (top, bottom) = (MARGIN, HEIGHT - BOTTOM);
        assert!((ends[1] - top).abs() < 0.1 && (ends[0] - f64::midpoint(top, bottom)).abs() < 0.1);
        assert_eq!(legend(&lines), [(0, "a".to_owned()), (1, "b".to_owned())]);
    }
}
