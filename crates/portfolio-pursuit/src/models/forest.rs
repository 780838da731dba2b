//! A random forest for several targets at once.
//!
//! Trees share their splits among the targets, as the published market model's do, which one forest
//! for each target would not.

use rand::RngExt as _;
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::History;
use crate::Error;

/// Targets: the three that [`History::top`] has.
const TARGETS: usize = 3;

/// Most different thresholds of a column; columns with fewer values have all of them.
const BINS: usize = 255;

/// How a forest is grown. The default is the published one: a library's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ForestConfig {
    /// Number of trees, at least 1.
    pub trees: usize,
    /// Rows below which a node is not split, at least 2.
    pub least_rows: usize,
}

impl Default for ForestConfig {
    fn default() -> Self {
        Self { trees: 100, least_rows: 2 }
    }
}

impl ForestConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        Error::check("forest.trees", "at least 1", self.trees, self.trees >= 1)?;
        Error::check("forest.least_rows", "at least 2", self.least_rows, self.least_rows >= 2)
    }
}

/// Bagged regression trees: each is grown on as many rows as there are, drawn with replacement, every
/// node split where the squared error of all targets falls most.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    columns: usize,
    trees: Vec<Vec<Node>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    /// Rows at or below the threshold go to the next node, the others to `above`.
    Split {
        column: u32,
        above: u32,
        threshold: f64,
    },
    Leaf([f32; TARGETS]),
}

impl Forest {
    /// Grows trees from streams `tree` of the seed.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration, [`Error::Fit`] as [`History::check`].
    pub fn fit(history: &History, config: &ForestConfig, seed: Seed) -> Result<Self, Error> {
        config.validate()?;
        history.check(2)?;
        let binned = Binned::of(history);
        let trees = (0..config.trees as u64)
            .map(|tree| {
                let mut rng = seed.derive("tree", tree).rng();
                let n = history.len();
                let mut rows: Vec<u32> = (0..n).map(|_| rng.random_range(0..n) as u32).collect();
                let mut grower = Grower {
                    binned: &binned,
                    targets: &history.top,
                    least_rows: config.least_rows,
                    nodes: Vec::new(),
                    sums: vec![Sums::default(); BINS + 1],
                    occupied: Vec::new(),
                    sorted: Vec::new(),
                };
                grower.grow(&mut rows);
                grower.nodes
            })
            .collect();
        Ok(Self { columns: history.columns, trees })
    }

    /// What it expects for one customer, `[columns]`.
    pub fn predict(&self, row: &[f64]) -> [f64; 3] {
        debug_assert_eq!(row.len(), self.columns);
        let mut sums = [0.0; TARGETS];
        for tree in &self.trees {
            let mut at = 0;
            let leaf = loop {
                match tree[at] {
                    Node::Split { column, above, threshold } => {
                        let below = row[column as usize] <= threshold;
                        at = if below { at + 1 } else { above as usize };
                    }
                    Node::Leaf(values) => break values,
                }
            };
            sums.iter_mut().zip(leaf).for_each(|(s, v)| *s += f64::from(v));
        }
        sums.map(|s| s / self.trees.len() as f64)
    }
}

/// Columns cut into bins between which a split may lie.
struct Binned {
    /// Bin of each row, column by column, `[columns, rows]`.
    bins: Vec<Vec<u8>>,
    /// Thresholds above each bin but the last.
    thresholds: Vec<Vec<f64>>,
}

impl Binned {
    fn of(history: &History) -> Self {
        let (columns, n) = (history.columns, history.len());
        let (mut bins, mut thresholds) = (Vec::new(), Vec::new());
        for column in 0..columns {
            let values: Vec<f64> = (0..n).map(|i| history.row(i)[column]).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let mut distinct = sorted.clone();
            distinct.dedup();
            let mut cuts: Vec<f64> = if distinct.len() <= BINS {
                distinct.windows(2).map(|w| f64::midpoint(w[0], w[1])).collect()
            } else {
                // Between quantiles of the rows.
                (1..BINS).map(|i| sorted[i * n / BINS]).collect()
            };
            cuts.dedup();
            let bin = |v: &f64| cuts.partition_point(|cut| cut < v) as u8;
            bins.push(values.iter().map(bin).collect());
            thresholds.push(cuts);
        }
        Self { bins, thresholds }
    }
}

/// Number of rows and sums of their targets.
#[derive(Clone, Copy, Default)]
struct Sums {
    rows: f64,
    targets: [f64; TARGETS],
}

impl Sums {
    fn count(&mut self, targets: &[f64; TARGETS]) {
        self.rows += 1.0;
        self.targets.iter_mut().zip(targets).for_each(|(a, b)| *a += b);
    }

    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.targets.iter_mut().zip(other.targets).for_each(|(a, b)| *a += b);
    }

    /// Σ over targets of (Σ y)² / n: the squared error is Σ y² less this.
    fn explained(&self) -> f64 {
        self.targets.iter().map(|t| t * t).sum::<f64>() / self.rows
    }

    fn without(&self, other: &Self) -> Self {
        let mut rest = *self;
        rest.rows -= other.rows;
        rest.targets.iter_mut().zip(other.targets).for_each(|(a, b)| *a -= b);
        rest
    }
}

struct Grower<'a> {
    binned: &'a Binned,
    targets: &'a [[f64; TARGETS]],
    least_rows: usize,
    nodes: Vec<Node>,
    /// Of every bin of a column.
    sums: Vec<Sums>,
    /// Of the bins that have rows, in order.
    occupied: Vec<(u8, Sums)>,
    /// Rows by bin, where they are few.
    sorted: Vec<(u8, u32)>,
}

/// Rows are sorted where there are fewer than a bin in so many.
const SPARSE: usize = 4;

impl Grower<'_> {
    /// Appends the tree over `rows`, which it reorders.
    fn grow(&mut self, rows: &mut [u32]) {
        let mut total = Sums::default();
        for row in &*rows {
            total.count(&self.targets[*row as usize]);
        }
        let split = if rows.len() < self.least_rows { None } else { self.best_split(rows, &total) };
        let Some((column, bin)) = split else {
            self.nodes.push(Node::Leaf(total.targets.map(|t| (t / total.rows) as f32)));
            return;
        };
        let bins = &self.binned.bins[column];
        let mut middle = 0;
        for i in 0..rows.len() {
            if bins[rows[i] as usize] <= bin {
                rows.swap(i, middle);
                middle += 1;
            }
        }
        let threshold = self.binned.thresholds[column][usize::from(bin)];
        let here = self.nodes.len();
        self.nodes.push(Node::Leaf([0.0; TARGETS]));
        let (below, above) = rows.split_at_mut(middle);
        self.grow(below);
        let next = self.nodes.len() as u32;
        self.nodes[here] = Node::Split { column: column as u32, above: next, threshold };
        self.grow(above);
    }

    /// Column and last bin below the best split; none if no split makes the error smaller.
    fn best_split(&mut self, rows: &[u32], total: &Sums) -> Option<(usize, u8)> {
        // Smaller gains are rounding.
        let mut best_score = total.explained() * (1.0 + 1e-12) + 1e-12;
        let mut best = None;
        for (column, cuts) in self.binned.thresholds.iter().enumerate() {
            if cuts.is_empty() {
                continue;
            }
            let bins = &self.binned.bins[column];
            self.occupied.clear();
            if rows.len() * SPARSE < cuts.len() {
                self.sorted.clear();
                self.sorted.extend(rows.iter().map(|row| (bins[*row as usize], *row)));
                self.sorted.sort_unstable();
                for (bin, row) in &self.sorted {
                    if self.occupied.last().is_none_or(|(last, _)| last != bin) {
                        self.occupied.push((*bin, Sums::default()));
                    }
                    if let Some((_, sums)) = self.occupied.last_mut() {
                        sums.count(&self.targets[*row as usize]);
                    }
                }
            } else {
                let sums = &mut self.sums[..=cuts.len()];
                sums.fill(Sums::default());
                for row in rows {
                    sums[usize::from(bins[*row as usize])].count(&self.targets[*row as usize]);
                }
                let filled = sums.iter().enumerate().filter(|(_, sums)| sums.rows > 0.0);
                self.occupied.extend(filled.map(|(bin, sums)| (bin as u8, *sums)));
            }
            let mut below = Sums::default();
            let Some((_, but_last)) = self.occupied.split_last() else { continue };
            for (bin, sums) in but_last {
                below.add(sums);
                let score = below.explained() + total.without(&below).explained();
                if score > best_score {
                    (best_score, best) = (score, Some((column, *bin)));
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;

    fn steps(n: usize) -> History {
        let mut rng = Seed::new(2).rng();
        let mut history = History::new(2);
        for i in 0..n {
            let row = [rng.random_range(0.0..10.0), f64::from(rng.random_range(0..2_u8))];
            let y = if row[0] < 4.0 { 1.0 } else { 2.0 } + 0.5 * row[1];
            history.push(&row, 100.0, 1.1, [y, 2.0 * y, -y], f64::from((i % 2) as u8));
        }
        history
    }

    #[test]
    fn steps_are_found() {
        let forest = Forest::fit(
            &steps(600),
            &ForestConfig { trees: 20, ..Default::default() },
            Seed::new(1),
        )
        .unwrap();
        for (row, y) in [([1.0, 0.0], 1.0), ([3.5, 1.0], 1.5), ([4.5, 0.0], 2.0), ([9.0, 1.0], 2.5)]
        {
            let found = forest.predict(&row);
            for (f, e) in found.iter().zip([y, 2.0 * y, -y]) {
                assert!((f - e).abs() < 0.02, "{row:?}: {found:?}");
            }
        }
    }

    #[test]
    fn one_tree_on_its_own_rows_is_exact_where_rows_differ() {
        // Rows that were drawn are in leaves of their own.
        let history = steps(50);
        let forest =
            Forest::fit(&history, &ForestConfig { trees: 1, ..Default::default() }, Seed::new(4))
                .unwrap();
        let exact = (0..history.len())
            .filter(|i| (forest.predict(history.row(*i))[0] - history.top[*i][0]).abs() < 1e-6)
            .count();
        assert!(exact > 45, "{exact}");
    }

    #[test]
    fn a_target_without_variance_is_a_leaf() {
        let mut history = steps(30);
        history.top.fill([1.0, 1.1, 1.2]);
        let forest = Forest::fit(&history, &ForestConfig::default(), Seed::new(1)).unwrap();
        assert!(forest.trees.iter().all(|tree| tree.len() == 1));
        assert!((forest.predict(&[5.0, 0.0])[1] - 1.1).abs() < 1e-6);
    }
}
