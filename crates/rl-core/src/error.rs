/// What is wrong with an argument of the mathematics.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MathError {
    /// A tensor of another shape.
    #[error("{argument}: expected shape {expected}, found {found}")]
    Shape {
        /// The argument.
        argument: &'static str,
        /// Its shape, in numbers or in words.
        expected: String,
        /// The shape it has.
        found: String,
    },
    /// A tensor of numbers of another kind.
    #[error("{argument}: expected numbers of kind {expected}, found {found}")]
    Kind {
        /// The argument.
        argument: &'static str,
        /// The kinds that would do.
        expected: String,
        /// The kind it has.
        found: String,
    },
    /// A slice of another length.
    #[error("{argument}: expected {expected} values, found {found}")]
    Length {
        /// The argument.
        argument: &'static str,
        /// The length of the first argument.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A number out of its range.
    #[error("{argument}: expected {expected}, found {found}")]
    Range {
        /// The argument.
        argument: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// Values that do not make up whole groups.
    #[error("{argument}: expected a multiple of the group's size {expected}, found {found} values")]
    Group {
        /// The argument.
        argument: &'static str,
        /// Values of a group.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// Fewer steps count than are needed.
    #[error("{argument}: expected at least {expected} that count, found {found}")]
    TooFew {
        /// The argument.
        argument: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// An argument that another one needs.
    #[error("{argument}: expected it together with {expected}, found none")]
    Missing {
        /// The argument.
        argument: &'static str,
        /// The other one.
        expected: &'static str,
    },
}
