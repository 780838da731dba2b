//! Questions about the calendar in words, and how they are worked out.

use super::{
    super::{
        Form,
        generate::{Instance, Worked, counted, listed},
    },
    date::{Date, WEEKDAYS, days_of_month, days_of_year, is_leap, month_name},
};

#[derive(Debug)]
pub(super) enum Question {
    WeekdayOffset {
        start: Date,
        days: u64,
        back: bool,
    },
    WeekdayOfDate {
        date: Date,
    },
    /// The year shows only in whether it is a leap year.
    WeekdayFromFirst {
        first: usize,
        date: Date,
    },
    /// The `nth` of 5 is the last.
    Recurring {
        year: u64,
        month: u64,
        nth: u64,
        weekday: usize,
    },
    CountWeekday {
        weekday: usize,
        start: Date,
        end: Date,
    },
    CountBusinessDays {
        start: Date,
        end: Date,
    },
    LeapYear {
        year: u64,
    },
}

pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) phrase: usize,
}

const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "last"];

impl Instance for Asked {
    fn key(&self) -> String {
        match &self.question {
            Question::WeekdayFromFirst { first, date } => {
                format!("from {first} to {} leap {}", date.year_day(), is_leap(date.year))
            }
            question => format!("{question:?}"),
        }
    }

    fn prompt(&self) -> String {
        let pick = |phrases: [String; 3]| phrases[self.phrase].clone();
        match &self.question {
            Question::WeekdayOffset { start, days, back } => {
                let today = format!("{}, {start}", start.weekday_name());
                let s = if *days == 1 { "" } else { "s" };
                let (when, direction) = if *back {
                    (format!("was it {days} day{s} ago"), "before")
                } else {
                    (format!("will it be {days} day{s} from now"), "after")
                };
                pick([
                    format!("Today is {today}. Which weekday {when}?"),
                    format!("Which weekday is {days} day{s} {direction} {today}?"),
                    format!("Name the weekday {days} day{s} {direction} {today}."),
                ])
            }
            Question::WeekdayOfDate { date } => pick([
                format!("Which weekday is {date}?"),
                format!("Name the weekday of {date}."),
                format!(
                    "A calendar shows the date {:04}-{:02}-{:02}. Which weekday is that?",
                    date.year, date.month, date.day
                ),
            ]),
            Question::WeekdayFromFirst { first, date } => {
                let (first, date) = (WEEKDAYS[*first], *date);
                let year = if is_leap(date.year) { "a leap year" } else { "a common year" };
                let date = date.in_year();
                pick([
                    format!("In {year}, January 1 is a {first}. Which weekday is {date}?"),
                    format!("If {year} begins on a {first}, on which weekday does {date} fall?"),
                    format!("{date} of {year} is which weekday, when January 1 is a {first}?"),
                ])
            }
            Question::Recurring { year, month, nth, weekday } => {
                let nth = ORDINALS[*nth as usize - 1];
                let (weekday, month) = (WEEKDAYS[*weekday], month_name(*month));
                pick([
                    format!("On which day of the month is the {nth} {weekday} of {month} {year}?"),
                    format!(
                        "A club meets on the {nth} {weekday} of each month. On which day does it meet in {month} {year}?"
                    ),
                    format!("Give the day of the month of the {nth} {weekday} in {month} {year}."),
                ])
            }
            Question::CountWeekday { weekday, start, end } => {
                let weekday = WEEKDAYS[*weekday];
                let range = range(*start, *end);
                pick([
                    format!("How many {weekday}s are there {range}?"),
                    format!("Count the {weekday}s {range}."),
                    format!("{range}, how often is it {weekday}?").replacen("from", "From", 1),
                ])
            }
            Question::CountBusinessDays { start, end } => {
                let range = range(*start, *end);
                pick([
                    format!("How many days from Monday to Friday are there {range}?"),
                    format!("Count the working days, Monday to Friday, {range}."),
                    format!(
                        "An office is open from Monday to Friday. On how many days is it open {range}?"
                    ),
                ])
            }
            Question::LeapYear { year } => pick([
                format!("Is {year} a leap year? Answer Yes or No."),
                format!("Yes or No: has the year {year} a February 29?"),
                format!("Does the year {year} have 366 days? Answer Yes or No."),
            ]),
        }
    }

    fn form(&self) -> Form {
        match self.question {
            Question::Recurring { .. }
            | Question::CountWeekday { .. }
            | Question::CountBusinessDays { .. } => Form::Number,
            Question::WeekdayOffset { .. }
            | Question::WeekdayOfDate { .. }
            | Question::WeekdayFromFirst { .. }
            | Question::LeapYear { .. } => Form::Words,
        }
    }

    fn styles(&self) -> usize {
        2
    }

    fn work(&self, style: usize, slip: Option<usize>) -> Worked {
        let mut pen = Pen { style, slip, lines: Vec::new() };
        let answer = match self.question {
            Question::WeekdayOffset { start, days, back } => {
                pen.weekday(start.weekday(), days, back)
            }
            Question::WeekdayOfDate { date } => pen.weekday_of(date),
            Question::WeekdayFromFirst { first, date } => {
                let days = pen.days_into_year(date);
                pen.weekday(first, days, false)
            }
            Question::Recurring { year, month, nth, weekday } => {
                pen.recurring(year, month, nth, weekday).to_string()
            }
            Question::CountWeekday { weekday, start, end } => {
                pen.count_weekday(weekday, start, end).to_string()
            }
            Question::CountBusinessDays { start, end } => {
                pen.count_business_days(start, end).to_string()
            }
            Question::LeapYear { year } => pen.leap_year(year),
        };
        Worked::lines(pen.lines, answer)
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        let (kind, days) = match self.question {
            Question::LeapYear { .. } => (0, 0),
            Question::WeekdayOffset { days, .. } => (1, days),
            Question::WeekdayFromFirst { date, .. } => (2, date.year_day() - 1),
            Question::WeekdayOfDate { date } => (3, date.year_day() - 1),
            Question::Recurring { year, month, .. } => (4, Date::new(year, month, 1).year_day()),
            Question::CountWeekday { start, end, .. } => (5, end.number() - start.number()),
            Question::CountBusinessDays { start, end } => (6, end.number() - start.number()),
        };
        vec![("kind", kind), ("days", days)]
    }
}

fn range(start: Date, end: Date) -> String {
    let (first, last) = (start.weekday_name(), end.weekday_name());
    format!("from {first}, {start}, to {last}, {end}, both days included")
}

/// Writes steps, and goes wrong at one of them.
struct Pen {
    style: usize,
    slip: Option<usize>,
    lines: Vec<String>,
}

impl Pen {
    /// 1 if the step written next is to go wrong.
    fn error(&self) -> u64 {
        u64::from(self.slip == Some(self.lines.len()))
    }

    fn write(&mut self, [first, second]: [String; 2]) {
        self.lines.push(if self.style == 0 { first } else { second });
    }

    /// The weekday some days after another, or before it.
    fn weekday(&mut self, from: usize, days: u64, back: bool) -> String {
        let weeks = days / 7;
        let rest = (days % 7 + self.error()) % 7;
        self.write([
            format!("{days} = {weeks} × 7 + {rest}, so the weekday moves by {rest}."),
            format!(
                "Whole weeks change nothing: of {}, {} and {rest} count.",
                counted(days, "day"),
                if weeks == 1 { "1 week goes".to_owned() } else { format!("{weeks} weeks go") }
            ),
        ]);
        let step = |i: u64| WEEKDAYS[(from as u64 + if back { 7 - i } else { i }) as usize % 7];
        let passed: Vec<&str> = (1..=rest).map(step).collect();
        let to = step((rest + self.error()) % 7);
        let (from, direction) = (WEEKDAYS[from], if back { "back" } else { "on" });
        self.write(if rest == 0 {
            [format!("It stays {to}."), format!("So it is {to} again.")]
        } else {
            let passed = passed.join(", ");
            [
                format!("From {from} {direction}: {passed}. It is {to}."),
                format!("Counting {direction} after {from}, that is {passed}, hence {to}."),
            ]
        });
        to.to_owned()
    }

    /// Days from January 1 to a date.
    fn days_into_year(&mut self, date: Date) -> u64 {
        let mut terms: Vec<String> =
            (1..date.month).map(|m| days_of_month(date.year, m).to_string()).collect();
        terms.push(date.day.to_string());
        let sum = format!("{} - 1", terms.join(" + "));
        let days = date.year_day() - 1 + self.error();
        let date = date.in_year();
        self.write([
            format!("From January 1 to {date} it is {sum} = {}.", counted(days, "day")),
            format!("{date} comes {} after January 1, since {sum} = {days}.", counted(days, "day")),
        ]);
        days
    }

    fn weekday_of(&mut self, date: Date) -> String {
        let first = Date::new(date.year, 1, 1);
        let (year, weekday) = (date.year, (first.weekday() + self.error() as usize) % 7);
        let name = WEEKDAYS[weekday];
        self.write([
            format!("January 1, {year} is a {name}."),
            format!("The year {year} begins on a {name}."),
        ]);
        let days = self.days_into_year(date);
        self.weekday(weekday, days, false)
    }

    fn recurring(&mut self, year: u64, month: u64, nth: u64, weekday: usize) -> u64 {
        let first = Date::new(year, month, 1);
        let first_name = self.weekday_of(first);
        let first_weekday = WEEKDAYS.iter().position(|name| *name == first_name).unwrap_or(0);
        let name = WEEKDAYS[weekday];
        let wait = (7 + weekday - first_weekday) as u64 % 7;
        let day = 1 + (wait + self.error()) % 7;
        self.write([
            format!("The month begins on a {first_name}, so the first {name} is day {day}."),
            format!("With a {first_name} on day 1, {name} comes first on day {day}."),
        ]);
        let last = days_of_month(year, month);
        if nth == 5 {
            let mut days: Vec<u64> = (0..5).map(|i| day + 7 * i).filter(|d| *d <= last).collect();
            if self.error() == 1 {
                days.pop();
            }
            let (days, day) = (listed(&days), days[days.len() - 1]);
            self.write([
                format!("Of {last} days, {days} are {name}s; the last is {day}."),
                format!("{name}s are {days} of {last} days, and {day} is the last."),
            ]);
            return day;
        }
        let weeks = nth - 1;
        let answer = day + 7 * weeks + self.error();
        self.write([
            format!("{day} + {weeks} × 7 = {answer}."),
            format!("{} later it is day {answer}.", counted(weeks, "week")),
        ]);
        answer
    }

    /// Days of a range, both ends counted.
    fn days_of_range(&mut self, start: Date, end: Date) -> u64 {
        let first = start.year_day();
        let mut last = end.year_day();
        let mut how = String::new();
        if end.year > start.year {
            let before = days_of_year(start.year);
            how = format!(" ({before} + {last})");
            last += before;
        }
        let days = last - first + 1 + self.error();
        self.write([
            format!("{start} is day {first} and {end} day {last}{how}: {last} - {first} + 1 = {}.", counted(days, "day")),
            format!("Counted from January 1, the range goes from day {first} to day {last}{how}, which is {}.", counted(days, "day")),
        ]);
        days
    }

    fn count_weekday(&mut self, weekday: usize, start: Date, end: Date) -> u64 {
        let days = self.days_of_range(start, end);
        let (name, first) = (WEEKDAYS[weekday], start.weekday_name());
        let wait = (7 + weekday - start.weekday()) as u64 % 7;
        let wait = (wait + self.error()) % 7;
        self.write([
            format!(
                "The range starts on a {first}, so the first {name} is day {} of it.",
                wait + 1
            ),
            format!("After {first}, the first {name} comes on day {} of the range.", wait + 1),
        ]);
        let count = if wait < days { (days - 1 - wait) / 7 + 1 } else { 0 };
        let count = count + self.error();
        let every = (0..).map(|i| wait + 1 + 7 * i).take_while(|d| *d <= days);
        let every = listed(&every.collect::<Vec<_>>());
        self.write([
            format!(
                "Every 7 days there is one more; days up to {days}: {every}. That makes {count}."
            ),
            format!("Up to day {days} these are {every}, so {count} in all."),
        ]);
        count
    }

    fn count_business_days(&mut self, start: Date, end: Date) -> u64 {
        let days = self.days_of_range(start, end);
        let (weeks, rest) = (days / 7, days % 7);
        let whole = weeks * 5 + self.error();
        self.write([
            format!("{days} = {weeks} × 7 + {rest}, and {weeks} × 5 = {whole}."),
            format!("Whole weeks: {weeks}, with {whole} working days. Days left: {rest}."),
        ]);
        let names: Vec<&str> =
            (0..rest).map(|i| WEEKDAYS[(start.weekday() as u64 + i) as usize % 7]).collect();
        let open = names.iter().filter(|name| !name.starts_with('S')).count() as u64 + self.error();
        let names = listed(&names);
        self.write([
            format!("Days left over: {names}. Working days among them: {open}."),
            format!("What is left is {names}, with {}.", counted(open, "working day")),
        ]);
        let count = whole + open + self.error();
        self.write([format!("{whole} + {open} = {count}."), format!("Together that is {count}.")]);
        count
    }

    fn leap_year(&mut self, year: u64) -> String {
        let mut leap = false;
        for (divisor, then) in [(4, true), (100, false), (400, true)] {
            let divides = year.is_multiple_of(divisor) != (self.error() == 1);
            let not = if divides { "" } else { "not " };
            self.write([
                format!("{year} is {not}divisible by {divisor}."),
                format!(
                    "Dividing {year} by {divisor} leaves {} rest.",
                    if divides { "no" } else { "a" }
                ),
            ]);
            if !divides {
                break;
            }
            leap = then;
        }
        let leap = leap != (self.error() == 1);
        let (answer, not) = if leap { ("Yes", "") } else { ("No", "not ") };
        self.write([
            format!("So it is {not}a leap year: {answer}."),
            format!("Hence {answer}, February has {} days.", if leap { 29 } else { 28 }),
        ]);
        answer.to_owned()
    }
}
