//! `forthright portfolio quote`.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use portfolio_pursuit::{
    Error,
    customers::{Customer, CustomerReader},
    quoting::{Plan, QuoteRecord, Quoter, Trained},
};
use rl_core::run::read_json;
use serde_json::{Map, Value};

use crate::{
    Unfinished,
    terminal::{note, stdout},
};

/// How quotes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line, with features and reasons
    Jsonl,
    /// A table, with the reasons in one column
    Csv,
}

/// What is quoted by.
#[derive(Args)]
pub(super) struct By {
    /// The plan in TOML: columns, conversion curve, wanted categories, bounds
    #[arg(long)]
    plan: PathBuf,
    /// Models and categories that `train` has written, in the place of the plan's conversion curve
    #[arg(long)]
    models: Option<PathBuf>,
}

impl By {
    pub(super) fn quoter(&self) -> anyhow::Result<Quoter> {
        let plan: Plan = crate::settings::read_toml(&self.plan)?;
        let in_plan = || self.plan.display().to_string();
        let Some(path) = &self.models else { return Quoter::new(plan).with_context(in_plan) };
        let trained: Option<Trained> = read_json(path)?;
        let trained = trained
            .with_context(|| format!("cannot read {}: there is no such file", path.display()))?;
        let both = || format!("{} with {}", self.plan.display(), path.display());
        Quoter::trained(plan, trained).with_context(both)
    }
}

/// Quote a stream of customers, with the reasons for every price
///
/// Reads a table of customers and writes one offer after the other, in memory that does not grow with
/// the stream. A row that cannot be used is named on standard error, and never quoted; the command then
/// ends with code 1.
#[derive(Args)]
pub(crate) struct Quote {
    #[command(flatten)]
    by: By,
    /// The customers, in CSV; standard input if not given or "-"
    customers: Option<PathBuf>,
    /// A book like the stream, in CSV, on which to find the shadow prices of the plan's joint limits
    #[arg(long)]
    book: Option<PathBuf>,
    /// How quotes are written
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

impl Quote {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut quoter = self.by.quoter()?;
        let table = quoter.plan().table.clone();
        if let Some(path) = &self.book {
            hold_jointly(path, &mut quoter)?;
        }
        let name = self.customers.as_deref().filter(|path| *path != Path::new("-"));
        let source: Box<dyn Read> = match name {
            Some(path) => Box::new(open(path)?),
            None => Box::new(std::io::stdin().lock()),
        };
        let name = name.map_or("standard input".to_owned(), |path| path.display().to_string());
        let mut reader = CustomerReader::new(source, table).with_context(|| name.clone())?;
        let mut sink = Sink::new(self.format, &quoter)?;
        let (mut customer, mut record) = (Customer::default(), QuoteRecord::default());
        let (mut quoted, mut refused) = (0_u64, 0_u64);
        loop {
            let read = reader.read(&mut customer).and_then(|more| {
                if more {
                    quoter.quote(&customer, &mut record)?;
                }
                Ok(more)
            });
            match read {
                Ok(false) => break,
                Ok(true) => {
                    sink.write(&record)?;
                    quoted += 1;
                }
                Err(error @ Error::Row { .. }) => {
                    note(format_args!("{name}: {error}"));
                    refused += 1;
                }
                Err(error) => return Err(error).with_context(|| name.clone()),
            }
        }
        sink.finish()?;
        if refused > 0 {
            let all = quoted + refused;
            anyhow::bail!(Unfinished(format!("{refused} of {all} customers were not quoted")));
        }
        note(format_args!("{quoted} customers quoted"));
        Ok(())
    }
}

pub(super) fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(BufReader::new(file))
}

/// Finds shadow prices on a book, and says what they lead to there.
fn hold_jointly(path: &Path, quoter: &mut Quoter) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    let mut reader =
        CustomerReader::new(open(path)?, quoter.plan().table.clone()).with_context(named)?;
    let mut book = Vec::new();
    let mut customer = Customer::default();
    loop {
        match reader.read(&mut customer) {
            Ok(false) => break,
            Ok(true) => book.push(customer.clone()),
            Err(error @ Error::Row { .. }) => note(format_args!("{}: {error}", path.display())),
            Err(error) => return Err(error).with_context(named),
        }
    }
    let joint = quoter.hold_jointly(&book).with_context(named)?;
    let prices = joint.shadow_prices;
    let percent = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{:.2} %", 100.0 * x));
    note(format_args!(
        "{}: {} customers: {:.1} sales expected, loss ratio {}, rate change {}; shadow prices: volume \
         {:.6}, loss_ratio {:.6}, rate_change {:.6}",
        path.display(),
        book.len(),
        joint.volume,
        percent(joint.loss_ratio),
        percent(joint.rate_change),
        prices.volume,
        prices.loss_ratio,
        prices.rate_change,
    ));
    Ok(())
}

/// Where quotes go.
enum Sink {
    Jsonl { out: BufWriter<crate::terminal::Out>, names: Vec<String> },
    Csv(Box<csv::Writer<crate::terminal::Out>>),
}

const HEADER: [&str; 13] = [
    "row",
    "id",
    "price",
    "cost",
    "multiplier",
    "k",
    "worth",
    "acceptance",
    "unbounded",
    "bound",
    "propensity",
    "explored",
    "reasons",
];

impl Sink {
    fn new(format: Format, quoter: &Quoter) -> anyhow::Result<Self> {
        Ok(match format {
            Format::Jsonl => {
                Self::Jsonl { out: BufWriter::new(stdout()), names: quoter.schema().names() }
            }
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(stdout());
                writer.write_record(HEADER).map_err(of_csv)?;
                Self::Csv(Box::new(writer))
            }
        })
    }

    fn write(&mut self, record: &QuoteRecord) -> anyhow::Result<()> {
        match self {
            Self::Jsonl { out, names } => {
                let mut object = serde_json::to_value(record)?;
                let features =
                    names.iter().cloned().zip(record.features.iter().map(|x| Value::from(*x)));
                object["features"] = Value::Object(features.collect::<Map<_, _>>());
                serde_json::to_writer(&mut *out, &object).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            Self::Csv(writer) => {
                let r = record;
                let numbers =
                    [r.price, r.cost, r.multiplier, r.k, r.worth, r.acceptance, r.unbounded];
                let mut fields = vec![r.row.to_string(), r.id.clone()];
                fields.extend(numbers.iter().map(ToString::to_string));
                fields.push(r.bound.map(|b| b.to_string()).unwrap_or_default());
                fields.extend([
                    r.propensity.to_string(),
                    r.explored.to_string(),
                    r.reasons.join("; "),
                ]);
                writer.write_record(&fields).map_err(of_csv)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Jsonl { mut out, .. } => out.flush()?,
            Self::Csv(mut writer) => writer.flush()?,
        }
        Ok(())
    }
}

/// A broken pipe stays one.
fn of_csv(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => anyhow::anyhow!("cannot write the table: {other:?}"),
    }
}
