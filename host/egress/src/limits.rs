//! How long and how large one call may be.
//!
//! A pass carries its own limits; the operator's [`EgressConfig::limits`](crate::EgressConfig) are the
//! ceiling: the smaller of the two holds. Zero is a limit like any other (nothing gets through), never
//! "unlimited".

use std::time::Duration;

use tokio::time::Instant;

/// Limits of one call, or the operator's ceilings for all calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Name look-up, TCP and TLS together, per connection. Connections are shared by an owner's calls,
    /// so only the operator's value is used; a pass cannot change it.
    pub connect: Duration,
    /// From the first byte of the call to the end of the answer's headers, redirects included. For a
    /// guest and for the host's own flows the answer's body must also have arrived by then; a proxied
    /// body may stream for longer, as long as [`idle`](Self::idle) is kept.
    pub total: Duration,
    /// The longest silence between two pieces of an answer's body.
    pub idle: Duration,
    /// All header names and values of a request or of an answer, in bytes (each line counts 4 more).
    pub header_bytes: usize,
    /// The request's body in bytes.
    pub request_body: u64,
    /// The answer's body in bytes, as received *and* after decompression.
    pub response_body: u64,
}

impl Default for Limits {
    /// 10 s to connect, 60 s in all, 30 s of silence, 64 KiB of headers, 16 MiB up, 64 MiB down.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            header_bytes: 64 << 10,
            request_body: 16 << 20,
            response_body: 64 << 20,
        }
    }
}

impl Limits {
    /// The smaller of the two, limit by limit.
    #[must_use]
    pub fn within(self, ceiling: Self) -> Self {
        Self {
            connect: self.connect.min(ceiling.connect),
            total: self.total.min(ceiling.total),
            idle: self.idle.min(ceiling.idle),
            header_bytes: self.header_bytes.min(ceiling.header_bytes),
            request_body: self.request_body.min(ceiling.request_body),
            response_body: self.response_body.min(ceiling.response_body),
        }
    }
}

/// The moment after this wait. One that is too long for the clock is ten years.
pub(crate) fn after(wait: Duration) -> Instant {
    const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    Instant::now() + wait.min(TEN_YEARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_longer_than_the_clock_reaches_is_long_and_no_panic() {
        assert!(after(Duration::MAX) > after(Duration::from_secs(3600)));
    }

    #[test]
    fn a_pass_can_only_narrow_the_operators_limits() {
        let wide = Limits {
            total: Duration::from_secs(900),
            response_body: u64::MAX,
            idle: Duration::from_secs(1),
            ..Limits::default()
        };
        let effective = wide.within(Limits::default());
        assert_eq!(effective.total, Limits::default().total);
        assert_eq!(effective.response_body, Limits::default().response_body);
        assert_eq!(effective.idle, Duration::from_secs(1));
    }
}
