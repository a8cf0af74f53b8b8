//! When a token ends, from wherever its answer says it.
//!
//! Servers write seconds, milliseconds, minutes, moments, or only a JWT's `exp`. Whatever cannot be understood counts as not
//! said: a token that looks as if it had ended long ago would be renewed at each use, and one that looks as if it lived for
//! centuries would never be.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::token::Wiped;
use crate::model::{Expiry, MomentUnit, SpanUnit};

/// Ten years, in seconds: longer than any token lives. Beyond it a value is not what it was taken for.
const LONGEST: f64 = 315_360_000.0;

/// How long a token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It ends after this many seconds; never 0.
    Seconds(u64),
    /// It does not end.
    Endless,
    /// The answer does not say, or not in a way that makes sense.
    Unknown,
}

/// Reads the lifetime out of an answer. `root` is where the tokens are; `jwt` gives the text of the token that
/// [`Expiry::Jwt`] names.
#[must_use]
pub fn lifetime(
    expiry: &Expiry,
    root: &Value,
    jwt: impl Fn(&str) -> Option<String>,
    now_unix: i64,
) -> Lifetime {
    let until = |moment: Option<f64>| {
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 are far below 2^52"
        )]
        let now = now_unix as f64;
        moment.and_then(|at| whole(at - now))
    };
    let seconds = match expiry {
        Expiry::In { path, unit } => path.first(root).and_then(|value| {
            whole(match unit {
                SpanUnit::Seconds => number(value)?,
                SpanUnit::Milliseconds => number(value)? / 1000.0,
                SpanUnit::Minutes => number(value)? * 60.0,
                SpanUnit::Clock => clock(value.as_str()?)?,
            })
        }),
        Expiry::At { path, unit } => until(path.first(root).and_then(|v| match unit {
            MomentUnit::Seconds => number(v),
            MomentUnit::Milliseconds => number(v).map(|n| n / 1000.0),
            MomentUnit::Rfc3339 => v.as_str().and_then(rfc3339),
        })),
        Expiry::Jwt(name) => until(
            jwt(name)
                .and_then(|token| claims(&token))
                .and_then(|claims| claims.0.get("exp").and_then(number)),
        ),
        Expiry::Fixed(seconds) => Some(*seconds),
        Expiry::Never(_) => return Lifetime::Endless,
    };
    seconds.map_or(Lifetime::Unknown, Lifetime::Seconds)
}

/// Seconds to live from a number or a text of one, as `expires_in` has it.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    number(value).and_then(whole)
}

/// The claims of a JWT, read and not verified; `None` if it is none.
pub(super) fn claims(token: &str) -> Option<Wiped> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    // RFC 7515 has no padding; some issuers pad all the same.
    let bytes = URL_SAFE_NO_PAD
        .decode(payload)
        .or_else(|_| URL_SAFE.decode(payload))
        .ok()?;
    let claims: Value = serde_json::from_slice(&bytes).ok()?;
    claims.is_object().then_some(Wiped(claims))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
    .filter(|n| n.is_finite())
}

/// Seconds of `hours:minutes:seconds`; there may be more than 23 hours.
fn clock(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.trim().split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else {
        return None;
    };
    let count = |part: &str, below: f64| {
        let digits = (1..=5).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let value: f64 = digits.then(|| part.parse().ok()).flatten()?;
        (value < below).then_some(value)
    };
    Some(count(hours, 100_000.0)? * 3600.0 + count(minutes, 60.0)? * 60.0 + count(seconds, 60.0)?)
}

/// Whole seconds. Less than one means that the server does not know, or that its clock is off: taken as not said.
fn whole(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    (1.0..=LONGEST).contains(&number).then_some(number as u64)
}

/// Seconds since 1970 of a date and time with its offset (RFC 3339, 5.6). A leap second counts as the one before.
fn rfc3339(text: &str) -> Option<f64> {
    let text = text.trim();
    let (date, time) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let mut parts = date.split('-');
    let (year, month, day) = (
        digits(parts.next()?, 4)?,
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
    );
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
    );
    let offset = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), ..] => {
            let (h, m) = zone.get(1..)?.split_once(':')?;
            let minutes = digits(h, 2)? * 60 + digits(m, 2)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let sane = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && offset.abs() < 24 * 60
        && fraction.bytes().all(|b| b.is_ascii_digit());
    if !sane || parts.next().is_some() {
        return None;
    }
    // Days since 1970 of the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100)
        + y.div_euclid(400)
        + (153 * m + 2).div_euclid(5)
        + day
        - 1
        - 719_468;
    let seconds = days * 86_400 + hour * 3600 + (minute - offset) * 60 + second.min(59);
    #[expect(
        clippy::cast_precision_loss,
        reason = "years of four digits are far below 2^52 seconds"
    )]
    Some(seconds as f64)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2026-03-01T12:00:00Z.
    const NOW: i64 = 1_772_366_400;

    fn read(expiry: Value, root: Value) -> Lifetime {
        let expiry: Expiry = serde_json::from_value(expiry).unwrap();
        let jwt = |name: &str| root.get(name).and_then(Value::as_str).map(str::to_owned);
        lifetime(&expiry, &root, jwt, NOW)
    }

    pub(super) fn jwt(claims: &Value) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn the_end_of_a_token_is_read_from_every_source() {
        let hour = Lifetime::Seconds(3600);
        for (expiry, root, wanted) in [
            (json!({"in": "$.e"}), json!({"e": 3600}), hour),
            (json!({"in": "$.e"}), json!({"e": " 3600 "}), hour),
            (json!({"in": "$.e"}), json!({"e": 3600.9}), hour),
            (
                json!({"in": "$.e", "unit": "milliseconds"}),
                json!({"e": "3600000"}),
                hour,
            ),
            (
                json!({"in": "$.e", "unit": "minutes"}),
                json!({"e": 60}),
                hour,
            ),
            (
                json!({"in": "$.e", "unit": "clock"}),
                json!({"e": "177:05:38"}),
                Lifetime::Seconds(637_538),
            ),
            (json!({"at": "$.e"}), json!({"e": NOW + 3600}), hour),
            (
                json!({"at": "$.e"}),
                json!({"e": (NOW + 3600).to_string()}),
                hour,
            ),
            (
                json!({"at": "$.e", "unit": "milliseconds"}),
                json!({"e": (NOW + 3600) * 1000}),
                hour,
            ),
            (
                json!({"at": "$.e", "unit": "rfc3339"}),
                json!({"e": "2026-03-01T13:00:00Z"}),
                hour,
            ),
            (
                json!({"at": "$.e", "unit": "rfc3339"}),
                json!({"e": "2026-03-01T15:00:00.250+02:00"}),
                hour,
            ),
            (
                json!({"jwt": "access_token"}),
                json!({"access_token": jwt(&json!({"exp": NOW + 3600}))}),
                hour,
            ),
            (json!({"fixed": 3600}), json!({}), hour),
            (
                json!({"never": "they are keys"}),
                json!({"expires_in": 1}),
                Lifetime::Endless,
            ),
        ] {
            assert_eq!(
                read(expiry.clone(), root.clone()),
                wanted,
                "{expiry} {root}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_counts_as_not_said() {
        for (expiry, root) in [
            (json!({"in": "$.e"}), json!({})),
            (json!({"in": "$.e"}), json!({"e": 0})),
            (json!({"in": "$.e"}), json!({"e": -5})),
            (json!({"in": "$.e"}), json!({"e": "soon"})),
            (json!({"in": "$.e"}), json!({"e": "NaN"})),
            (json!({"in": "$.e"}), json!({"e": NOW})),
            (
                json!({"in": "$.e", "unit": "clock"}),
                json!({"e": "1:60:00"}),
            ),
            (
                json!({"in": "$.e", "unit": "clock"}),
                json!({"e": "1:-5:00"}),
            ),
            (json!({"in": "$.e", "unit": "clock"}), json!({"e": 60})),
            (json!({"at": "$.e"}), json!({"e": NOW})),
            (json!({"at": "$.e"}), json!({"e": NOW - 1})),
            (json!({"at": "$.e"}), json!({"e": (NOW + 3600) * 1000})),
            (
                json!({"at": "$.e", "unit": "rfc3339"}),
                json!({"e": "2026-03-01"}),
            ),
            (
                json!({"at": "$.e", "unit": "rfc3339"}),
                json!({"e": "2026-13-01T13:00:00Z"}),
            ),
            (
                json!({"at": "$.e", "unit": "rfc3339"}),
                json!({"e": "2026-03-01T13:00:00"}),
            ),
            (json!({"jwt": "access_token"}), json!({})),
            (
                json!({"jwt": "access_token"}),
                json!({"access_token": "not.a.jwt"}),
            ),
            (
                json!({"jwt": "access_token"}),
                json!({"access_token": jwt(&json!({"sub": "x"}))}),
            ),
        ] {
            assert_eq!(
                read(expiry.clone(), root.clone()),
                Lifetime::Unknown,
                "{expiry} {root}"
            );
        }
    }

    #[test]
    fn dates_are_counted_as_the_calendar_has_them() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T23:59:60Z", 951_868_799.0),
            ("2026-03-01T12:00:00Z", 1_772_366_400.0),
            ("2024-12-31t23:00:00-01:00", 1_735_689_600.0),
        ] {
            assert_eq!(rfc3339(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn an_expiry_has_one_source_and_the_units_that_go_with_it() {
        for broken in [
            json!({}),
            json!({"in": "$.a", "at": "$.b"}),
            json!({"fixed": 0}),
            json!({"fixed": 60, "unit": "minutes"}),
            json!({"in": "$.a", "unit": "rfc3339"}),
            json!({"at": "$.a", "unit": "minutes"}),
            json!({"after": 3}),
        ] {
            assert!(
                serde_json::from_value::<Expiry>(broken.clone()).is_err(),
                "{broken}"
            );
        }
        for sound in [
            json!({"in": "$.a"}),
            json!({"in": "$.a", "unit": "minutes"}),
            json!({"in": "$.a", "unit": "clock"}),
            json!({"at": "$.a", "unit": "rfc3339"}),
            json!({"jwt": "id_token"}),
            json!({"fixed": 60}),
            json!({"never": "they are keys"}),
        ] {
            let read: Expiry = serde_json::from_value(sound.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), sound);
        }
    }
}
