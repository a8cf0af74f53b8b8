//! Moments as texts. Only UTC, and only what request signing and odd query parameters need; no locale, no clock.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A moment, taken apart in UTC.
struct Moment {
    seconds: i64,
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    weekday: usize,
}

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Moment {
    /// `None` outside of the years 0 to 9999.
    fn of(unix: i64) -> Option<Self> {
        let days = unix.div_euclid(DAY);
        let (year, month, day) = civil(days);
        let first = days_before(year);
        (0..=9999).contains(&year).then_some(Self {
            seconds: unix.rem_euclid(DAY),
            year,
            month,
            day,
            day_of_year: days - first + 1,
            weekday: usize::try_from(days.rem_euclid(7)).unwrap_or(0),
        })
    }
}

/// Days from 1970-01-01 to the first of January of a year of the Gregorian calendar.
fn days_before(year: i64) -> i64 {
    let y = year - 1;
    365 * (year - 1970) + (y.div_euclid(4) - 492) - (y.div_euclid(100) - 19)
        + (y.div_euclid(400) - 4)
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // Never too late, and at most one year too early.
    let mut year = 1970 + (days * 400).div_euclid(146_097) - 1;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let leap = days_before(year + 1) - days_before(year) == 366;
    let mut left = days - days_before(year);
    let mut month = 1;
    for length in [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
    ] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

/// A moment in a format of `strftime` letters: `%Y %m %d %H %M %S %y %j %e %a %b %s %F %T %%`. `None` for other letters.
pub(super) fn date(unix: i64, format: &str) -> Option<String> {
    let m = Moment::of(unix)?;
    let (hour, minute, second) = (m.seconds / 3600, m.seconds / 60 % 60, m.seconds % 60);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        out += &match chars.next()? {
            'Y' => format!("{:04}", m.year),
            'y' => format!("{:02}", m.year % 100),
            'm' => format!("{:02}", m.month),
            'd' => format!("{:02}", m.day),
            'e' => m.day.to_string(),
            'j' => format!("{:03}", m.day_of_year),
            'H' => format!("{hour:02}"),
            'M' => format!("{minute:02}"),
            'S' => format!("{second:02}"),
            'F' => format!("{:04}-{:02}-{:02}", m.year, m.month, m.day),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            'a' => (*WEEKDAYS.get(m.weekday)?).to_owned(),
            'b' => (*MONTHS.get(usize::try_from(m.month - 1).ok()?)?).to_owned(),
            's' => unix.to_string(),
            '%' => "%".to_owned(),
            _ => return None,
        };
    }
    Some(out)
}

/// A moment as ISO 8601 and RFC 3339 write it: `2026-01-02T03:04:05Z`.
pub(super) fn iso8601(unix: i64) -> Option<String> {
    date(unix, "%FT%TZ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(iso8601(unix).as_deref(), Some(text), "{unix}");
        }
        assert_eq!(iso8601(253_402_300_800), None);
        assert_eq!(iso8601(i64::MAX / 1000), None);
    }

    #[test]
    fn formats_have_the_letters_of_strftime() {
        for (format, text) in [
            ("%Y%m%dT%H%M%SZ", Some("20260102T030405Z")),
            ("%a, %d %b %Y %T GMT", Some("Fri, 02 Jan 2026 03:04:05 GMT")),
            ("%y/%e/%j %s %%", Some("26/2/002 1767323045 %")),
            ("%Q", None),
            ("%", None),
        ] {
            assert_eq!(date(1_767_323_045, format).as_deref(), text, "{format}");
        }
    }
}
