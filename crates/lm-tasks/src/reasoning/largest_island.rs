//! Area of the largest island of a grid.

use serde::{Deserialize, Serialize};

use super::{
    Form,
    draw::Draw,
    generate::{Generate, Instance, Worked, check_range, listed},
};
use crate::Error;

/// The area of the largest group of ones in a grid of zeros and ones that are connected by sides.
/// Islands are drawn by random walks, as in the published task and with its ranges; they may run into
/// each other. In words of ours.
///
/// Content: the grid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LargestIsland {
    /// Fewest rows and columns, at least 1.
    pub min_side: u64,
    /// Most rows and columns, at most 100.
    pub max_side: u64,
    /// Fewest islands.
    pub min_islands: u64,
    /// Most islands, at most 1,000.
    pub max_islands: u64,
    /// Fewest steps of an island's walk.
    pub min_island: u64,
    /// Most steps of an island's walk, at most 10,000.
    pub max_island: u64,
}

impl Default for LargestIsland {
    fn default() -> Self {
        Self {
            min_side: 5,
            max_side: 10,
            min_islands: 0,
            max_islands: 5,
            min_island: 0,
            max_island: 10,
        }
    }
}

impl Generate for LargestIsland {
    fn validate(&self) -> Result<(), Error> {
        let side = (self.min_side, self.max_side);
        check_range("largest_island side", side, (1, 100), "a range within 1 to 100")?;
        let islands = (self.min_islands, self.max_islands);
        check_range("largest_island islands", islands, (0, 1_000), "a range within 0 to 1000")?;
        let island = (self.min_island, self.max_island);
        check_range("largest_island island", island, (0, 10_000), "a range within 0 to 10000")
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let rows = draw.within(self.min_side, self.max_side) as usize;
        let columns = draw.within(self.min_side, self.max_side) as usize;
        let mut grid = Grid { land: vec![vec![false; columns]; rows], phrase: draw.index(2) };
        for _ in 0..draw.within(self.min_islands, self.max_islands) {
            let mut at = (draw.index(rows), draw.index(columns));
            for _ in 0..draw.within(self.min_island, self.max_island).min((rows * columns) as u64) {
                grid.land[at.0][at.1] = true;
                let mut next = grid.neighbors(at);
                next.retain(|&(row, column)| !grid.land[row][column]);
                if !next.is_empty() {
                    at = draw.pick(&next);
                }
            }
        }
        Box::new(grid)
    }
}

type Cell = (usize, usize);

struct Grid {
    land: Vec<Vec<bool>>,
    phrase: usize,
}

impl Grid {
    fn neighbors(&self, (row, column): Cell) -> Vec<Cell> {
        let (rows, columns) = (self.land.len(), self.land[0].len());
        let mut cells = Vec::with_capacity(4);
        cells.extend(row.checked_sub(1).map(|up| (up, column)));
        cells.extend((row + 1 < rows).then_some((row + 1, column)));
        cells.extend(column.checked_sub(1).map(|left| (row, left)));
        cells.extend((column + 1 < columns).then_some((row, column + 1)));
        cells
    }

    /// The cells of each island, in the order in which a reader meets them.
    fn islands(&self) -> Vec<Vec<Cell>> {
        let (rows, columns) = (self.land.len(), self.land[0].len());
        let mut seen = vec![vec![false; columns]; rows];
        let mut islands = Vec::new();
        for start in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            if !self.land[start.0][start.1] || seen[start.0][start.1] {
                continue;
            }
            seen[start.0][start.1] = true;
            let mut island = vec![start];
            let mut next = 0;
            while let Some(&cell) = island.get(next) {
                next += 1;
                for (row, column) in self.neighbors(cell) {
                    if self.land[row][column] && !std::mem::replace(&mut seen[row][column], true) {
                        island.push((row, column));
                    }
                }
            }
            islands.push(island);
        }
        islands
    }

    fn text(&self) -> String {
        let row = |row: &Vec<bool>| {
            row.iter().map(|&land| if land { "1" } else { "0" }).collect::<Vec<_>>().join(" ")
        };
        self.land.iter().map(row).collect::<Vec<_>>().join("\n")
    }
}

impl Instance for Grid {
    fn key(&self) -> String {
        self.text()
    }

    fn prompt(&self) -> String {
        let (rows, columns, text) = (self.land.len(), self.land[0].len(), self.text());
        match self.phrase {
            0 => format!(
                "In this map of {rows} rows and {columns} columns, 1 is land and 0 is water:\n\n{text}\
                 \n\nLand cells that share a side belong to the same island; corners do not count, and \
                 beyond the edges is water. How many cells has the largest island? Answer 0 if there \
                 is no land."
            ),
            _ => format!(
                "A {rows} by {columns} grid shows land as 1 and water as 0, and is surrounded by \
                 water:\n\n{text}\n\nCells of land are connected to the cells above, below, left and \
                 right of them. What is the area, in cells, of the largest connected piece of land? \
                 Without land the area is 0."
            ),
        }
    }

    fn form(&self) -> Form {
        Form::Number
    }

    fn styles(&self) -> usize {
        3
    }

    fn work(&self, style: usize, slip: Option<usize>) -> Worked {
        let mut lines = Vec::new();
        let mut areas = Vec::new();
        for (i, island) in self.islands().iter().enumerate() {
            // One cell counted twice.
            let area = island.len() + usize::from(slip == Some(i));
            let cells: Vec<String> = island
                .iter()
                .map(|(row, column)| format!("({}, {})", row + 1, column + 1))
                .collect();
            let (number, (row, column)) = (i + 1, (island[0].0 + 1, island[0].1 + 1));
            lines.push(match style {
                0 => format!("Island {number}: {}. Area {area}.", cells.join(" ")),
                1 => format!(
                    "From row {row}, column {column} one reaches {}, which makes {area}.",
                    listed(&cells)
                ),
                _ => format!("Piece {number} has the cells {}: {area} in all.", cells.join(", ")),
            });
            areas.push(area);
        }
        let area =
            areas.iter().max().copied().unwrap_or(0) + usize::from(slip == Some(lines.len()));
        lines.push(match (style, areas.is_empty()) {
            (0, true) => format!("There is no land, so the area is {area}."),
            (1, true) => format!("No cell is 1, which leaves {area}."),
            (_, true) => format!("Nothing but water: {area}."),
            (0, false) => format!("The largest of {} is {area}.", listed(&areas)),
            (1, false) => format!("No island has more than {area}."),
            (_, false) => format!("The greatest area is {area}."),
        });
        Worked::lines(lines, area)
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("rows", self.land.len() as u64),
            ("columns", self.land[0].len() as u64),
            ("islands", self.islands().len() as u64),
        ]
    }
}
