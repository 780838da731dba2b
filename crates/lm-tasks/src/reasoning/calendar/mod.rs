//! Dates, weekdays, leap years.

mod date;
mod question;

use date::{Date, days_of_month, days_of_year};
use question::Question;
use serde::{Deserialize, Serialize};

use super::{
    draw::Draw,
    generate::{Generate, Instance, check_range},
};
use crate::Error;

/// Questions about the calendar, of the seven kinds of the published task and with its ranges, in
/// words of ours.
///
/// Content: kind and dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Calendar {
    /// Kinds of questions, each equally likely; at least one. A kind that is named twice is twice as
    /// likely.
    pub questions: Vec<CalendarQuestion>,
    /// The year of all dates that are drawn, 100 to 9,000.
    pub year: u64,
    /// Most days between two dates, 1 to 365.
    pub max_days: u64,
    /// Years before and after `year` that are asked about in questions of leap years, at most 99.
    pub leap_years: u64,
}

/// Kinds of questions about the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CalendarQuestion {
    /// Which weekday it is some days before or after a date whose weekday is given.
    WeekdayOffset,
    /// Which weekday a date is.
    WeekdayOfDate,
    /// Which weekday a date is in a year whose first weekday is given.
    WeekdayFromFirst,
    /// On which day of a month its third Tuesday is.
    Recurring,
    /// How many Fridays lie in a range of dates.
    CountWeekday,
    /// How many days from Monday to Friday lie in a range of dates.
    CountBusinessDays,
    /// Whether a year is a leap year.
    LeapYear,
}

impl CalendarQuestion {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::WeekdayOffset,
        Self::WeekdayOfDate,
        Self::WeekdayFromFirst,
        Self::Recurring,
        Self::CountWeekday,
        Self::CountBusinessDays,
        Self::LeapYear,
    ];
}

impl Default for Calendar {
    fn default() -> Self {
        Self { questions: CalendarQuestion::ALL.into(), year: 2022, max_days: 100, leap_years: 99 }
    }
}

impl Generate for Calendar {
    fn validate(&self) -> Result<(), Error> {
        let count = self.questions.len() as u64;
        check_range("calendar questions", (count, count), (1, 1_000), "1 to 1000 kinds")?;
        check_range("calendar year", (self.year, self.year), (100, 9_000), "100 to 9000")?;
        let days = (self.max_days, self.max_days);
        check_range("calendar max_days", days, (1, 365), "1 to 365")?;
        let years = (self.leap_years, self.leap_years);
        check_range("calendar leap_years", years, (0, 99), "0 to 99")
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let kind = draw.pick(&self.questions);
        Box::new(question::Asked { question: self.question(kind, draw), phrase: draw.index(3) })
    }
}

impl Calendar {
    fn question(&self, kind: CalendarQuestion, draw: &mut Draw) -> Question {
        let year = self.year;
        let date = |draw: &mut Draw| {
            let month = draw.within(1, 12);
            Date::new(year, month, draw.within(1, days_of_month(year, month)))
        };
        match kind {
            CalendarQuestion::WeekdayOffset => Question::WeekdayOffset {
                start: date(draw),
                days: draw.within(1, self.max_days),
                back: draw.below(2) == 1,
            },
            CalendarQuestion::WeekdayOfDate => Question::WeekdayOfDate { date: date(draw) },
            CalendarQuestion::WeekdayFromFirst => {
                let last = (self.max_days + 1).min(days_of_year(year));
                Question::WeekdayFromFirst {
                    first: draw.index(7),
                    date: Date::of_year_day(year, draw.within(2, last)),
                }
            }
            CalendarQuestion::Recurring => Question::Recurring {
                year,
                month: draw.within(1, 12),
                nth: draw.within(1, 5),
                weekday: draw.index(7),
            },
            CalendarQuestion::CountWeekday | CalendarQuestion::CountBusinessDays => {
                let start = date(draw).year_day();
                let mut last = start + self.max_days;
                if kind == CalendarQuestion::CountWeekday {
                    last = last.min(days_of_year(year));
                }
                let end = Date::of_year_day(year, draw.within(start, last));
                let start = Date::of_year_day(year, start);
                if kind == CalendarQuestion::CountWeekday {
                    Question::CountWeekday { weekday: draw.index(7), start, end }
                } else {
                    Question::CountBusinessDays { start, end }
                }
            }
            CalendarQuestion::LeapYear => {
                let years = (self.year - self.leap_years, self.year + self.leap_years);
                Question::LeapYear { year: draw.within(years.0, years.1) }
            }
        }
    }
}
