//! Time and randomness, passed in so that tests can hold them still.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::ConnectError;

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970 in UTC.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            })
    }
}

/// Where random bytes come from.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `out` with bytes that nobody can guess.
    ///
    /// # Errors
    ///
    /// When the system has none to give; nothing may be done without.
    fn fill(&self, out: &mut [u8]) -> Result<(), ConnectError>;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), ConnectError> {
        getrandom::fill(out).map_err(|_| ConnectError::Unavailable {
            code: "no_entropy",
            say: "the operating system gave no random bytes; try again".into(),
        })
    }
}

/// RFC 3339 in UTC, to the second. Times out of the calendar's range are shown as its ends.
pub(crate) fn rfc3339(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "9999-12-31T23:59:59Z".into())
}

/// Reads RFC 3339 into milliseconds since 1970.
pub(crate) fn parse_rfc3339(field: &str, text: &str) -> Result<i64, ConnectError> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(|at| at.unix_timestamp().saturating_mul(1000))
        .map_err(|_| {
            ConnectError::invalid(field, "this is not a time such as 2026-01-31T12:00:00Z")
        })
}
