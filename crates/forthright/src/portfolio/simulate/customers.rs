//! Customers of the synthetic market as an insurer's table might hold them.

use std::{fs::File, io::BufWriter, path::Path};

use anyhow::Context as _;
use portfolio_pursuit::{
    MarketModel as _, Stream, SyntheticMarket,
    market::{LOCATIONS, OCCUPATIONS},
};
use rl_core::seed::Seed;

const HEADER: [&str; 11] = [
    "policy",
    "car_value",
    "claims",
    "years_driving",
    "age",
    "married",
    "has_child",
    "occupation",
    "location",
    "expected_cost",
    "last_price",
];

/// Writes `rows` customers. A feature is left out with probability `missing`; two customers of three
/// renew and have a last price.
pub(super) fn write(
    path: &Path,
    market: &SyntheticMarket,
    seed: Seed,
    rows: u64,
    missing: f64,
) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let file = BufWriter::new(File::create(path).with_context(cannot)?);
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(HEADER).with_context(cannot)?;
    let (customers, table) = (seed.derive("customers", 0), seed.derive("table", 0));
    for row in 0..rows {
        let visitor = market.visitor(customers, row);
        let person = &visitor.person;
        let mut stream = Stream::at(table, row);
        let cost = market.cost(&visitor, 0);
        let yes_no = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
        let features = [
            format!("{:.0}", person.car_value),
            person.claims.to_string(),
            person.years_driving.to_string(),
            person.age.to_string(),
            yes_no(person.married),
            yes_no(person.children > 0),
            OCCUPATIONS[person.occupation as usize].to_owned(),
            LOCATIONS[person.location as usize].to_owned(),
        ];
        let mut fields = vec![format!("P{row:07}")];
        fields.extend(
            features.into_iter().map(
                |field| {
                    if stream.unit() < missing { String::new() } else { field }
                },
            ),
        );
        fields.push(format!("{cost:.2}"));
        let (renews, change) = (stream.below(3) > 0, stream.unit());
        fields.push(if renews {
            format!("{:.2}", cost * (0.95 + 0.2 * change))
        } else {
            String::new()
        });
        writer.write_record(&fields).with_context(cannot)?;
    }
    writer.flush().with_context(cannot)
}
