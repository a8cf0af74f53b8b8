//! What time it is at an app whose clock is another one.
//!
//! A signature holds a time, and an app that finds it too far from its own refuses the request. Its answer carries its
//! time (`Date`, RFC 9110, 6.6.1); the difference is remembered for the app's host and used from then on. An app can thereby
//! only choose the times in signatures for itself. Forgotten when the process ends, and learned again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{DATE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use time::PrimitiveDateTime;
use time::macros::format_description;

use crate::clock::Clock;

/// Hosts that are remembered. More than any installation has apps; the list is emptied when it is full.
const MAX_HOSTS: usize = 4096;
/// A difference up to this is the network's, in seconds.
const TOLERATED: i64 = 60;

/// By host, how many seconds its clock is ahead of ours.
#[derive(Default)]
pub(crate) struct Clocks(Mutex<HashMap<String, i64>>);

/// The time at one host.
#[derive(Clone)]
pub(crate) struct HostTime {
    clock: Arc<dyn Clock>,
    clocks: Arc<Clocks>,
    host: String,
}

impl HostTime {
    pub(crate) fn new(clock: Arc<dyn Clock>, clocks: Arc<Clocks>, host: &str) -> Self {
        Self {
            clock,
            clocks,
            host: host.to_owned(),
        }
    }

    /// Seconds since 1970, as the host counts them.
    pub(crate) fn unix(&self) -> i64 {
        let ahead = self.table(|known| known.get(&self.host).copied().unwrap_or(0));
        self.clock.now_ms().div_euclid(1000).saturating_add(ahead)
    }

    /// Learns from a refusal. True where the host's clock is another one than was assumed, so that a new signature is worth
    /// a try. `said` is whether the refusal itself speaks of the time.
    pub(crate) fn learn(&self, headers: &HeaderMap, said: bool) -> bool {
        let Some(theirs) = headers
            .get(DATE)
            .and_then(|date| date.to_str().ok())
            .and_then(imf_date)
        else {
            return false;
        };
        let off = theirs.saturating_sub(self.unix()).abs();
        if off == 0 || (off <= TOLERATED && !said) {
            return false;
        }
        let ahead = theirs.saturating_sub(self.clock.now_ms().div_euclid(1000));
        self.table(|known| {
            if known.len() >= MAX_HOSTS {
                known.clear();
            }
            known.insert(self.host.clone(), ahead);
        });
        true
    }

    /// [`HostTime::learn`] for a refusal of which only the head is known.
    pub(crate) fn learn_from(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let about_us = matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        let said = headers.get_all(WWW_AUTHENTICATE).iter().any(|value| {
            value
                .to_str()
                .is_ok_and(|text| text.contains("timestamp_refused"))
        });
        about_us && self.learn(headers, said)
    }

    fn table<T>(&self, with: impl FnOnce(&mut HashMap<String, i64>) -> T) -> T {
        // A map entry is whole at any time.
        let mut known = self.clocks.0.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut known)
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`. The two forms from before 1994 are not read.
fn imf_date(text: &str) -> Option<i64> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    PrimitiveDateTime::parse(text.trim(), &format)
        .ok()
        .map(|at| at.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    struct Still(i64);
    impl Clock for Still {
        fn now_ms(&self) -> i64 {
            self.0
        }
    }

    fn at(unix: i64) -> HostTime {
        HostTime::new(Arc::new(Still(unix * 1000)), Arc::default(), "api.acme.dev")
    }

    fn dated(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, HeaderValue::from_static(text))])
    }

    /// 1994-11-06T08:49:37Z.
    const THEN: i64 = 784_111_777;

    #[test]
    fn the_difference_is_learned_from_a_refusal_once() {
        let time = at(THEN - 4000);
        let answer = dated("Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(!time.learn_from(StatusCode::OK, &answer));
        assert!(time.learn_from(StatusCode::UNAUTHORIZED, &answer));
        assert_eq!(time.unix(), THEN);
        assert!(
            !time.learn_from(StatusCode::UNAUTHORIZED, &answer),
            "no second try"
        );
    }

    #[test]
    fn a_small_difference_counts_only_where_the_refusal_is_about_the_time() {
        let answer = dated("Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(!at(THEN - 30).learn(&answer, false));
        assert!(at(THEN - 30).learn(&answer, true));
        assert!(!at(THEN).learn(&answer, true));
    }

    #[test]
    fn what_is_no_date_teaches_nothing() {
        for text in [
            "",
            "now",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0100",
        ] {
            assert!(!at(0).learn(&dated(text), true), "{text}");
        }
        assert!(!at(0).learn(&HeaderMap::new(), true));
    }
}
