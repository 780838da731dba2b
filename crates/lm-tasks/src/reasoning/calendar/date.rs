//! Dates of the Gregorian calendar, also before it was introduced.

/// Days from Monday.
pub(super) const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date {
    pub(super) year: u64,
    /// 1 to 12.
    pub(super) month: u64,
    /// From 1.
    pub(super) day: u64,
}

pub(super) fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

pub(super) fn month_name(month: u64) -> &'static str {
    MONTHS[month as usize - 1]
}

pub(super) fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub(super) fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

/// Days before January 1 of a year, from January 1 of year 1, a Monday.
fn days_before(year: u64) -> u64 {
    let years = year - 1;
    365 * years + years / 4 - years / 100 + years / 400
}

impl Date {
    pub(super) fn new(year: u64, month: u64, day: u64) -> Self {
        Self { year, month, day }
    }

    /// The date so many days, from 1, into a year; the year may overflow.
    pub(super) fn of_year_day(mut year: u64, mut day: u64) -> Self {
        while day > days_of_year(year) {
            day -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while day > days_of_month(year, month) {
            day -= days_of_month(year, month);
            month += 1;
        }
        Self { year, month, day }
    }

    /// The day's number in its year, from 1.
    pub(super) fn year_day(self) -> u64 {
        (1..self.month).map(|month| days_of_month(self.year, month)).sum::<u64>() + self.day
    }

    /// Days from January 1 of year 1.
    pub(super) fn number(self) -> u64 {
        days_before(self.year) + self.year_day() - 1
    }

    /// 0 for Monday.
    pub(super) fn weekday(self) -> usize {
        (self.number() % 7) as usize
    }

    pub(super) fn weekday_name(self) -> &'static str {
        WEEKDAYS[self.weekday()]
    }

    /// Such as `March 5`.
    pub(super) fn in_year(self) -> String {
        format!("{} {}", month_name(self.month), self.day)
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}, {}", month_name(self.month), self.day, self.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_counting_day_by_day() {
        let mut date = Date::new(1, 1, 1);
        let (mut number, mut year_day) = (0, 1);
        while date.year <= 2_801 {
            assert_eq!((date.number(), date.year_day()), (number, year_day), "{date}");
            assert_eq!(date.weekday() as u64, number % 7);
            assert_eq!(Date::of_year_day(date.year, year_day), date);
            number += 1;
            year_day += 1;
            let leap = match (date.year % 400, date.year % 100, date.year % 4) {
                (0, _, _) => true,
                (_, 0, _) => false,
                (_, _, rest) => rest == 0,
            };
            let last = match date.month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            date.day += 1;
            if date.day > last {
                (date.month, date.day) = (date.month + 1, 1);
            }
            if date.month > 12 {
                (date.year, date.month, year_day) = (date.year + 1, 1, 1);
            }
        }
    }

    #[test]
    fn weekdays_that_are_known() {
        for (date, weekday) in [
            (Date::new(1969, 7, 20), "Sunday"),
            (Date::new(1989, 11, 9), "Thursday"),
            (Date::new(2000, 2, 29), "Tuesday"),
            (Date::new(2022, 1, 1), "Saturday"),
        ] {
            assert_eq!(date.weekday_name(), weekday, "{date}");
        }
        assert_eq!(Date::of_year_day(2022, 366), Date::new(2023, 1, 1));
    }
}
