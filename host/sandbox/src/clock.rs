//! The vendor's clock, passed in so that a test can let an hour pass without waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where the vendor reads the time from. Clones share one clock.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `unix_seconds` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(unix_seconds: i64) -> Self {
        let millis = unix_seconds.saturating_mul(1000);
        Self(Source::Manual(Arc::new(AtomicI64::new(millis))))
    }

    /// Moves a manual clock forward. The machine's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Source::Manual(now) => now.load(Ordering::SeqCst),
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, millis),
        }
    }
}

/// A duration in whole milliseconds; one that is too long becomes the longest there is.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1000))
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_for_all_its_clones() {
        let clock = Clock::manual(1_000);
        let other = clock.clone();
        assert_eq!(other.now_ms(), 1_000_000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(other.now_ms(), 1_002_000);
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }
}
