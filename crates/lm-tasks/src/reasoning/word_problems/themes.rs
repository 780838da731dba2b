//! What stories with numbers are about.

/// A setting: who has what, and how it becomes more or less. `{n}` stands for a number, `{them}` for
/// the things, `{k}` for a second number.
pub(super) struct Theme {
    pub(super) things: &'static str,
    /// How the story begins: `{name}` has `{n}` things.
    pub(super) start: [&'static str; 2],
    pub(super) gain: [&'static str; 2],
    pub(super) loss: [&'static str; 2],
    /// Groups of `{k}` are added.
    pub(super) groups: [&'static str; 2],
    /// The number is multiplied.
    pub(super) times: [&'static str; 2],
    /// All are divided equally, into `{n}` parts.
    pub(super) share: [&'static str; 2],
    /// The question after a story that does not end in a division, and after one that does.
    pub(super) question: [&'static str; 2],
    pub(super) shared: &'static str,
}

pub(super) const NAMES: [&str; 24] = [
    "Amara", "Bodo", "Celia", "Davor", "Edith", "Femi", "Greta", "Henk", "Ines", "Jarek", "Kirsi",
    "Lars", "Mina", "Nils", "Olga", "Paolo", "Rita", "Stefan", "Tamar", "Ulrich", "Vesna", "Wim",
    "Yara", "Zeno",
];

pub(super) const THEMES: [Theme; 6] = [
    Theme {
        things: "stamps",
        start: [
            "{name} keeps {n} stamps in an album.",
            "There are {n} stamps in {name}'s collection.",
        ],
        gain: ["An uncle sends {n} more stamps.", "At a fair {name} finds another {n} stamps."],
        loss: ["{n} of them are torn and thrown away.", "{name} trades {n} stamps for a postcard."],
        groups: [
            "Then {n} envelopes arrive with {k} stamps each.",
            "{name} buys {n} sheets of {k} stamps.",
        ],
        times: [
            "A year later the collection is {n} times as large.",
            "With a gift from a neighbor, the number of stamps becomes {n} times what it was.",
        ],
        share: [
            "{name} spreads all stamps evenly over {n} pages.",
            "All of the stamps go into {n} boxes, the same number in each.",
        ],
        question: [
            "How many stamps does {name} have now?",
            "How many stamps are there in the end?",
        ],
        shared: "How many stamps are in each part?",
    },
    Theme {
        things: "rolls",
        start: [
            "{name} bakes {n} rolls early in the morning.",
            "{name}'s bakery opens with {n} rolls.",
        ],
        gain: ["Later {n} more rolls come out of the oven.", "A second tray adds {n} rolls."],
        loss: ["By noon {n} rolls are sold.", "A hotel takes {n} rolls."],
        groups: [
            "A helper brings {n} baskets with {k} rolls in each.",
            "Then {n} trays of {k} rolls are ready.",
        ],
        times: [
            "For a feast, {name} bakes on until there are {n} times as many.",
            "Before the market there are {n} times as many rolls as before.",
        ],
        share: [
            "All rolls are packed into {n} bags, equally many in each.",
            "{name} divides the rolls equally among {n} tables.",
        ],
        question: ["How many rolls are left?", "How many rolls are there now?"],
        shared: "How many rolls does each one get?",
    },
    Theme {
        things: "tiles",
        start: ["{name} has {n} tiles for a floor.", "A pile of {n} tiles lies in {name}'s yard."],
        gain: ["A van delivers {n} more tiles.", "{name} finds {n} further tiles in the shed."],
        loss: ["{n} tiles break.", "A neighbor borrows {n} tiles."],
        groups: [
            "{name} orders {n} crates of {k} tiles.",
            "Then {n} packs with {k} tiles each arrive.",
        ],
        times: [
            "The plan grows, and {name} gets enough to have {n} times as many.",
            "After a sale there are {n} times as many tiles.",
        ],
        share: [
            "{name} lays all tiles in {n} rows of the same length.",
            "All tiles are used for {n} rooms, equally many in each.",
        ],
        question: ["How many tiles does {name} have?", "How many tiles are there at last?"],
        shared: "How many tiles go into each?",
    },
    Theme {
        things: "seedlings",
        start: [
            "{name} grows {n} seedlings on the balcony.",
            "In spring {name} counts {n} seedlings in the greenhouse.",
        ],
        gain: ["A week later {n} more seedlings come up.", "A friend gives {name} {n} seedlings."],
        loss: ["Snails eat {n} of them.", "{n} seedlings dry out."],
        groups: [
            "{name} adds {n} pots with {k} seedlings in each.",
            "Then {n} trays of {k} seedlings are sown and come up.",
        ],
        times: [
            "By May there are {n} times as many.",
            "After some warm days the number has become {n} times as large.",
        ],
        share: [
            "{name} plants all of them in {n} equal rows.",
            "All seedlings are given to {n} gardens, the same number to each.",
        ],
        question: [
            "How many seedlings are there now?",
            "How many seedlings does {name} have then?",
        ],
        shared: "How many seedlings are in each?",
    },
    Theme {
        things: "pages",
        start: ["{name} has written {n} pages of a novel.", "{name}'s report is {n} pages long."],
        gain: ["Over the weekend {n} pages are added.", "A new chapter brings {n} more pages."],
        loss: ["The editor strikes out {n} pages.", "{n} pages turn out to be useless and go."],
        groups: [
            "In the next {n} weeks {name} writes {k} pages a week.",
            "{n} appendices of {k} pages each are attached.",
        ],
        times: [
            "In the revised edition there are {n} times as many pages.",
            "A year later the text has {n} times as many pages.",
        ],
        share: [
            "All pages are bound in {n} volumes of equal length.",
            "{name} splits the pages evenly among {n} readers.",
        ],
        question: [
            "How many pages are there now?",
            "How many pages does the text have in the end?",
        ],
        shared: "How many pages is that for each?",
    },
    Theme {
        things: "liters",
        start: [
            "{name}'s tank holds {n} liters of water.",
            "{name} starts with {n} liters in a tank.",
        ],
        gain: ["Rain adds {n} liters.", "{name} pours in another {n} liters."],
        loss: ["{n} liters leak out.", "{name} uses {n} liters for the garden."],
        groups: [
            "{name} empties {n} buckets of {k} liters into it.",
            "For {n} hours a pump adds {k} liters an hour.",
        ],
        times: [
            "After a storm there is {n} times as much water in it.",
            "By evening the amount has become {n} times as large.",
        ],
        share: [
            "All of the water is filled into {n} equal barrels.",
            "{name} shares the water equally among {n} fields.",
        ],
        question: ["How many liters are in the tank now?", "How many liters are there at the end?"],
        shared: "How many liters does each get?",
    },
];
