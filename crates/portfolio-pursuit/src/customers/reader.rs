//! Reads customers one at a time, in constant memory.

use std::io::Read;

use csv::StringRecord;

use super::{TableSpec, spec::is_missing};
use crate::{Error, Schema};

/// One customer of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Customer {
    /// Its row, counted from 1 without the header.
    pub row: u64,
    /// Its name, or its row where the table has no such column.
    pub id: String,
    /// Its features, as the table's schema has them.
    pub features: Vec<f64>,
    /// Its expected cost, in £.
    pub cost: f64,
    /// Its last price, in £.
    pub previous: Option<f64>,
    /// What a new customer would be asked, in £.
    pub new_business: Option<f64>,
    /// Columns whose value was missing and has been filled in, by their place among the declared ones.
    pub filled: Vec<usize>,
}

/// Reads the customers of a table.
#[derive(Debug)]
pub struct CustomerReader<R> {
    reader: csv::Reader<R>,
    spec: TableSpec,
    schema: Schema,
    /// Place in the table of each declared column.
    columns: Vec<usize>,
    cost: usize,
    id: Option<usize>,
    previous: Option<usize>,
    new_business: Option<usize>,
    record: StringRecord,
    row: u64,
}

impl<R: Read> CustomerReader<R> {
    /// Reads the header of a table with commas.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] and [`Error::UnknownColumn`] for headers that do not fit, [`Error::Csv`]
    /// for what is no table, and what [`TableSpec::schema`] refuses.
    pub fn new(source: R, spec: TableSpec) -> Result<Self, Error> {
        let schema = spec.schema()?;
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
        let headers = reader.headers().map_err(|e| Error::Csv(e.to_string()))?;
        // A byte-order mark is no part of the first name.
        let names: Vec<String> =
            headers.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                return Err(Error::Csv(format!("column {name:?} is there twice")));
            }
        }
        let find = |name: &str| {
            names
                .iter()
                .position(|n| n == name)
                .ok_or_else(|| Error::MissingColumn { name: name.to_owned(), known: names.clone() })
        };
        let optional = |name: &Option<String>| name.as_deref().map(find).transpose();
        let columns = spec.columns.iter().map(|c| find(&c.name)).collect::<Result<_, _>>()?;
        let cost = find(&spec.cost)?;
        let (id, previous, new_business) =
            (optional(&spec.id)?, optional(&spec.previous)?, optional(&spec.new_business)?);
        let used = spec.used();
        let known = |name: &&String| used.contains(&name.as_str()) || spec.ignore.contains(name);
        if let Some(name) = names.iter().find(|name| !known(name)) {
            let known = used.iter().map(|&name| name.to_owned()).collect();
            return Err(Error::UnknownColumn { name: name.clone(), known });
        }
        let record = StringRecord::new();
        let row = 0;
        Ok(Self { reader, spec, schema, columns, cost, id, previous, new_business, record, row })
    }

    /// The features that rows become.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Reads the next customer into `customer`; false at the end.
    ///
    /// # Errors
    /// [`Error::Row`] for a row that cannot be used; the next call goes on with the row after it.
    /// [`Error::Csv`] if the source fails.
    pub fn read(&mut self, customer: &mut Customer) -> Result<bool, Error> {
        self.row += 1;
        let row = self.row;
        let refuse = |reason: String| Error::Row { row, reason };
        match self.reader.read_record(&mut self.record) {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(error) => {
                return Err(match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        refuse(format!("expected {expected_len} fields, found {len}"))
                    }
                    csv::ErrorKind::Utf8 { .. } => refuse("text that is not UTF-8".to_owned()),
                    _ => Error::Csv(error.to_string()),
                });
            }
        }
        self.fill(customer).map_err(refuse)?;
        Ok(true)
    }

    fn fill(&self, customer: &mut Customer) -> Result<(), String> {
        customer.row = self.row;
        customer.id.clear();
        match self.id {
            Some(place) => customer.id.push_str(&self.record[place]),
            None => customer.id.push_str(&self.row.to_string()),
        }
        customer.features.resize(self.schema.len(), 0.0);
        customer.filled.clear();
        let mut at = 0;
        for (i, (column, &place)) in self.spec.columns.iter().zip(&self.columns).enumerate() {
            let features = &mut customer.features[at..at + column.width()];
            at += column.width();
            let mut field = &self.record[place];
            if is_missing(field) {
                field = column.fill.as_deref().ok_or_else(|| {
                    format!("column {:?}: the value is missing and nothing fills it", column.name)
                })?;
                customer.filled.push(i);
            }
            column.parse(field, features)?;
        }
        let pounds =
            |name: &str, place: usize| {
                let field = &self.record[place];
                field.parse::<f64>().ok().filter(|x| x.is_finite() && *x > 0.0).ok_or_else(|| {
                    format!("column {name:?}: expected pounds above 0, found {field:?}")
                })
            };
        customer.cost = pounds(&self.spec.cost, self.cost)?;
        let optional = |name: &Option<String>, place: Option<usize>| match (name, place) {
            (Some(name), Some(place)) if !is_missing(&self.record[place]) => {
                pounds(name, place).map(Some)
            }
            _ => Ok(None),
        };
        customer.previous = optional(&self.spec.previous, self.previous)?;
        customer.new_business = optional(&self.spec.new_business, self.new_business)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customers::{ColumnSpec, ValueType};

    fn spec() -> TableSpec {
        let column = |name: &str, value_type, levels: &[&str], fill: Option<&str>| ColumnSpec {
            name: name.into(),
            value_type,
            levels: levels.iter().map(|&l| l.into()).collect(),
            fill: fill.map(str::to_owned),
        };
        TableSpec {
            columns: vec![
                column("age", ValueType::Whole, &[], None),
                column("area", ValueType::Level, &["north", "south"], Some("south")),
                column("garage", ValueType::Flag, &[], Some("no")),
                column("value", ValueType::Number, &[], None),
            ],
            cost: "cost".into(),
            id: Some("policy".into()),
            previous: Some("last".into()),
            new_business: None,
            ignore: vec!["note".into()],
        }
    }

    fn read(text: &str) -> Vec<Result<Customer, String>> {
        let mut reader = CustomerReader::new(text.as_bytes(), spec()).unwrap();
        let mut customers = Vec::new();
        let mut customer = Customer::default();
        loop {
            match reader.read(&mut customer) {
                Ok(false) => return customers,
                Ok(true) => customers.push(Ok(customer.clone())),
                Err(error) => customers.push(Err(error.to_string())),
            }
        }
    }

    const HEADER: &str = "\u{feff}policy,age,area,garage,value,cost,last,note\n";

    #[test]
    fn rows_become_features() {
        let rows = read(&format!("{HEADER}P1, 44,north,Yes,1e4,310.5,300,x\nP2,19,NA,,7,90,,\n"));
        let first = rows[0].as_ref().unwrap();
        assert_eq!(first.features, [44.0, 1.0, 0.0, 1.0, 1e4]);
        assert_eq!((first.id.as_str(), first.cost, first.previous), ("P1", 310.5, Some(300.0)));
        let second = rows[1].as_ref().unwrap();
        assert_eq!(second.features, [19.0, 0.0, 1.0, 0.0, 7.0]);
        assert_eq!((second.row, second.previous, &second.filled), (2, None, &vec![1, 2]));
    }

    #[test]
    fn bad_rows_are_named_and_the_next_are_read() {
        let bad = [
            (",north,no,1,90,,", "column \"age\": the value is missing and nothing fills it"),
            (
                "4.5,north,no,1,90,,",
                "column \"age\": expected a whole number, 0 or above, found \"4.5\"",
            ),
            ("4,east,no,1,90,,", "column \"area\": expected one of north, south, found \"east\""),
            ("4,north,maybe,1,90,,", "column \"garage\": expected yes or no, found \"maybe\""),
            ("4,north,no,inf,90,,", "column \"value\": expected a number, found \"inf\""),
            ("4,north,no,1,0,,", "column \"cost\": expected pounds above 0, found \"0\""),
            ("4,north,no,1,-9,,", "column \"cost\": expected pounds above 0, found \"-9\""),
            ("4,north,no,1,NaN,,", "column \"cost\": expected pounds above 0, found \"NaN\""),
            ("4,north,no,1,90,zero,", "column \"last\": expected pounds above 0, found \"zero\""),
            ("4,north", "expected 8 fields, found 3"),
        ];
        for (fields, reason) in bad {
            let rows = read(&format!("{HEADER}P1,{fields}\nP2,19,north,no,7,90,,\n"));
            assert_eq!(rows[0], Err(format!("row 1: {reason}")));
            assert_eq!(rows[1].as_ref().unwrap().row, 2);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_a_customer_or_a_named_row(
            body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
            cuts in proptest::collection::vec(0..400_usize, 0..30),
        ) {
            // Mostly noise, with the separators that make rows of it.
            let mut text = HEADER.as_bytes().to_vec();
            for (i, byte) in body.iter().enumerate() {
                text.push(*byte);
                if cuts.contains(&i) {
                    text.push(if i % 3 == 0 { b'\n' } else { b',' });
                }
            }
            let mut reader = CustomerReader::new(text.as_slice(), spec()).unwrap();
            let mut customer = Customer::default();
            for row in 1.. {
                proptest::prop_assert!(row <= 500);
                match reader.read(&mut customer) {
                    Ok(false) => break,
                    Ok(true) => {
                        proptest::prop_assert!(customer.cost > 0.0);
                        proptest::prop_assert!(customer.features.iter().all(|x| x.is_finite()));
                    }
                    Err(Error::Row { row: named, .. }) => proptest::prop_assert_eq!(named, row),
                    Err(other) => proptest::prop_assert!(false, "{}", other),
                }
            }
        }
    }

    #[test]
    fn headers_must_fit() {
        let said =
            |header: &str| CustomerReader::new(header.as_bytes(), spec()).unwrap_err().to_string();
        assert_eq!(
            said("policy,age,area,garage,value,last,note\n"),
            "column \"cost\" is missing; there are policy, age, area, garage, value, last, note"
        );
        assert_eq!(
            said("policy,age,area,garage,value,cost,last,color\n"),
            "column \"color\" is unknown; declared are age, area, garage, value, cost, policy, last"
        );
        assert!(said("policy,age,age\n").contains("column \"age\" is there twice"));
        let mut bad = spec();
        bad.columns[1].fill = Some("east".into());
        let error = CustomerReader::new(HEADER.as_bytes(), bad).unwrap_err().to_string();
        assert!(error.starts_with("fill of column \"area\": expected a value, found"), "{error}");
    }
}
