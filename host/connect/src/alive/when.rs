//! When a connection has something due: pure rules over its clear part, its manifest and this host's options.

use std::time::Duration;

use keyport_manifest::{AuthMethod, Expiry, Test};
use sha2::{Digest, Sha256};

use crate::engine::{Engine, Options};
use crate::record::{ConnectionClear, Token};
use crate::view::ConnectionState;

/// How long a pending connection's test is left alone between two tries.
const PENDING_MS: i64 = 15_000;
/// A test is put off by up to this share of its interval, so that connections made together are not tested together.
const TEST_SPREAD: i64 = 8;

/// What a manifest and this host's options say about renewing and testing one way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// How long before its end a token is renewed when somebody uses it.
    ahead: i64,
    /// The manifest's own word on it: then nobody renews earlier, for some apps refuse that.
    told: bool,
    /// The manifest says that tokens never end, and how one knows.
    endless: bool,
    /// How long a token is taken to live whose answer and manifest do not say.
    assumed: i64,
    /// After this long a grant is renewed whether or not anybody uses it, where nothing says how long it lives so.
    idle: i64,
    /// A connection that was used within this time has its token renewed ahead.
    warm: i64,
    /// How often a connection is tested; 0 where there is no test call.
    test: i64,
    /// How often one is tested that has trouble.
    failing: i64,
}

impl Timing {
    pub(crate) fn of(options: &Options, auth: Option<&AuthMethod>, test: Option<&Test>) -> Self {
        let oauth = auth.and_then(AuthMethod::oauth2);
        let early = oauth.and_then(|oauth| oauth.refresh.early);
        let testable = test.is_some_and(|test| !matches!(test, Test::None { .. }));
        Timing {
            ahead: early.map_or(millis(options.refresh_ahead), |seconds| {
                millis(Duration::from_secs(seconds))
            }),
            told: early.is_some(),
            endless: oauth
                .is_some_and(|oauth| matches!(oauth.response.expiry, Some(Expiry::Never(_)))),
            assumed: millis(options.assumed_life),
            idle: millis(options.idle_renewal),
            warm: millis(options.warm),
            test: if testable {
                millis(options.test_every)
            } else {
                0
            },
            failing: millis(options.failing_test),
        }
    }

    /// When this token ends, as far as is known or has to be assumed; `None`: never, as the manifest says.
    fn ends(&self, obtained_at: i64, expires_at: Option<i64>) -> Option<i64> {
        expires_at.or_else(|| (!self.endless).then(|| obtained_at.saturating_add(self.assumed)))
    }

    /// The longest time before its end at which a token may be renewed: a quarter of its life. A token that lives shorter
    /// than the usual lead would otherwise be renewed at each use.
    fn lead(&self, obtained_at: i64, end: i64) -> i64 {
        self.ahead.min(end.saturating_sub(obtained_at).max(0) / 4)
    }

    /// Whether somebody who is about to use this token should have a new one.
    pub(crate) fn ends_soon(&self, token: &Token, now: i64) -> bool {
        self.ends(token.obtained_at, token.expires_at)
            .is_some_and(|end| end.saturating_sub(now) <= self.lead(token.obtained_at, end))
    }

    /// When the token is renewed ahead of its users: between two and four leads before its end, or where the manifest
    /// tells the lead, between that and half of it.
    fn ahead_of_use(&self, id: &str, obtained_at: i64, end: i64) -> i64 {
        let lead = self.lead(obtained_at, end);
        let (most, share) = if self.told {
            (lead, lead / 2)
        } else {
            let quarter = end.saturating_sub(obtained_at).max(0) / 4;
            let most = lead.saturating_mul(4).min(quarter);
            (most, most / 2)
        };
        end.saturating_sub(most)
            .saturating_add(spread(id, 0, share))
    }

    /// When this connection next has something due, in milliseconds since 1970; `None`: nothing, until somebody does
    /// something.
    pub(crate) fn due(&self, id: &str, clear: &ConnectionClear) -> Option<i64> {
        match clear.state {
            ConnectionState::Pending => Some(pending_due(clear)),
            ConnectionState::NeedsReconnect | ConnectionState::Disconnected => None,
            ConnectionState::Connected | ConnectionState::Failing => {
                let token = self.token_due(id, clear);
                let test = self.test_due(id, clear);
                [token, test].into_iter().flatten().min()
            }
        }
    }

    /// When its token or grant is to be renewed.
    pub(crate) fn token_due(&self, id: &str, clear: &ConnectionClear) -> Option<i64> {
        let obtained_at = clear.token_at.filter(|_| clear.renews)?;
        // Half of a grant's idle life leaves time for a provider that is away for weeks; some die within the day.
        let idle = match clear.idle_until {
            Some(until) => {
                let half = until.saturating_sub(obtained_at).max(0) / 2;
                let put_forward = spread(id, 2, half / TEST_SPREAD);
                obtained_at.saturating_add(half - put_forward)
            }
            None => obtained_at.saturating_add(self.idle),
        };
        let used = clear.last_used_at.unwrap_or(clear.created_at);
        let ahead = self
            .ends(obtained_at, clear.expires_at)
            .map(|end| self.ahead_of_use(id, obtained_at, end))
            .filter(|at| clear.enabled && at.saturating_sub(used) <= self.warm);
        let due = ahead.map_or(idle, |at| at.min(idle));
        // Not while the token endpoint is left alone.
        Some(clear.refresh_not_before.map_or(due, |not| due.max(not)))
    }

    /// When it is to be tested. A use does not count: some APIs answer a dead key with what looks like success.
    pub(crate) fn test_due(&self, id: &str, clear: &ConnectionClear) -> Option<i64> {
        if self.test == 0 || !clear.enabled {
            return None;
        }
        let last = clear.last_tested_at.unwrap_or(clear.created_at);
        if clear.state == ConnectionState::Failing {
            let since = clear.failing_since.unwrap_or(last).max(last);
            return Some(since.saturating_add(self.failing));
        }
        let put_off = spread(id, 1, self.test / TEST_SPREAD);
        Some(last.saturating_add(self.test).saturating_add(put_off))
    }
}

fn pending_due(clear: &ConnectionClear) -> i64 {
    if let Some(awaiting) = &clear.awaiting {
        return awaiting.until;
    }
    let again = clear
        .last_tested_at
        .unwrap_or(clear.created_at)
        .saturating_add(PENDING_MS);
    clear.retry_until.map_or(again, |until| until.min(again))
}

/// A number below `span` that is always the same for this id and `salt`, and different for others: it spreads what would
/// otherwise happen at once. Not for secrets.
pub(crate) fn spread(id: &str, salt: u32, span: i64) -> i64 {
    let Ok(span) = u64::try_from(span) else {
        return 0;
    };
    let mut sha = Sha256::new();
    sha.update(salt.to_be_bytes());
    sha.update(id.as_bytes());
    let digest = sha.finalize();
    let number = digest
        .iter()
        .take(8)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    number
        .checked_rem(span)
        .and_then(|rest| i64::try_from(rest).ok())
        .unwrap_or(0)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Engine {
    /// The timing of a connection. An app that is gone is timed by this host's options alone.
    pub(crate) fn timing(&self, clear: &ConnectionClear) -> Timing {
        let entry = self.inner.catalogue.get(&clear.app).ok();
        let auth = entry
            .as_ref()
            .and_then(|entry| entry.manifest.auth.get(&clear.method));
        let test = entry
            .as_ref()
            .map(|entry| entry.manifest.test_for(&clear.method));
        Timing::of(&self.inner.options, auth, test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Awaiting;

    const HOUR: i64 = 3_600_000;

    fn timing() -> Timing {
        Timing {
            ahead: 60_000,
            told: false,
            endless: false,
            assumed: HOUR,
            idle: 24 * HOUR,
            warm: 24 * HOUR,
            test: 24 * HOUR,
            failing: 300_000,
        }
    }

    fn clear() -> ConnectionClear {
        ConnectionClear {
            state: ConnectionState::Connected,
            enabled: true,
            renews: true,
            token_at: Some(0),
            expires_at: Some(HOUR),
            last_used_at: Some(0),
            ..ConnectionClear::default()
        }
    }

    #[test]
    fn a_token_in_use_is_renewed_before_a_caller_would_wait_and_not_all_at_once() {
        let at: std::collections::BTreeSet<i64> = (0..1000)
            .map(|n| timing().due(&format!("con_{n}"), &clear()).unwrap())
            .collect();
        assert!(
            at.iter()
                .all(|at| (HOUR - 240_000..HOUR - 60_000).contains(at))
        );
        assert!(at.len() > 900);
    }

    #[test]
    fn an_app_that_tells_its_lead_is_not_asked_earlier() {
        let told = Timing {
            ahead: 30_000,
            told: true,
            ..timing()
        };
        for n in 0..100 {
            let at = told.due(&format!("con_{n}"), &clear()).unwrap();
            assert!((HOUR - 30_000..HOUR).contains(&at), "{at}");
        }
    }

    #[test]
    fn an_idle_grant_is_renewed_once_a_day_only() {
        let idle = ConnectionClear {
            last_used_at: None,
            created_at: -48 * HOUR,
            ..clear()
        };
        assert_eq!(timing().token_due("con_a", &idle), Some(24 * HOUR));
        let paused = ConnectionClear {
            enabled: false,
            ..clear()
        };
        assert_eq!(
            timing().due("con_a", &paused),
            Some(24 * HOUR),
            "pausing keeps the sign-in and tests nothing"
        );
    }

    #[test]
    fn an_idle_grant_is_renewed_before_half_of_the_life_that_its_app_gives_it() {
        // QuickBooks gives it a hundred days, others an hour: once a day would be too often for one and too late for the other.
        for life in [100 * 24 * HOUR, HOUR] {
            let idle = ConnectionClear {
                last_used_at: None,
                created_at: -48 * HOUR,
                token_at: Some(1000),
                idle_until: Some(1000 + life),
                expires_at: Some(2 * life),
                ..clear()
            };
            let at: std::collections::BTreeSet<i64> = (0..100)
                .map(|n| timing().token_due(&format!("con_{n}"), &idle).unwrap())
                .collect();
            let half = 1000 + life / 2;
            assert!(at.iter().all(|at| (half - life / 16..=half).contains(at)));
            assert!(at.len() > 50, "not all at once");
        }
        // A clock that was set back, or an answer that makes no sense, does not put it into the past.
        let odd = ConnectionClear {
            token_at: Some(1000),
            idle_until: Some(0),
            ..clear()
        };
        assert_eq!(timing().token_due("con_a", &odd), Some(1000));
    }

    #[test]
    fn a_token_of_unknown_life_is_not_taken_to_live_for_ever() {
        let unknown = ConnectionClear {
            expires_at: None,
            ..clear()
        };
        assert!(timing().token_due("con_a", &unknown).unwrap() < HOUR);
        let endless = Timing {
            endless: true,
            ..timing()
        };
        assert_eq!(endless.token_due("con_a", &unknown), Some(24 * HOUR));
    }

    #[test]
    fn a_token_without_a_way_to_renew_it_is_tested_and_not_renewed() {
        let key = ConnectionClear {
            renews: false,
            token_at: None,
            expires_at: None,
            ..clear()
        };
        assert_eq!(timing().token_due("con_a", &key), None);
        let at = timing().due("con_a", &key).unwrap();
        assert!((24 * HOUR..27 * HOUR).contains(&at));
    }

    #[test]
    fn a_token_endpoint_that_is_left_alone_is_not_asked_by_the_schedule() {
        let backing_off = ConnectionClear {
            refresh_not_before: Some(2 * HOUR),
            ..clear()
        };
        assert_eq!(timing().token_due("con_a", &backing_off), Some(2 * HOUR));
    }

    #[test]
    fn one_that_has_trouble_is_tested_soon_and_one_that_only_its_person_can_mend_is_left_alone() {
        let failing = ConnectionClear {
            state: ConnectionState::Failing,
            failing_since: Some(1000),
            ..clear()
        };
        assert_eq!(timing().test_due("con_a", &failing), Some(301_000));
        let dead = ConnectionClear {
            state: ConnectionState::NeedsReconnect,
            ..clear()
        };
        assert_eq!(timing().due("con_a", &dead), None);
    }

    #[test]
    fn a_pending_one_is_looked_at_when_its_time_to_be_taken_over_ends() {
        let pending = ConnectionClear {
            state: ConnectionState::Pending,
            awaiting: Some(Awaiting {
                session: "ses_a".into(),
                until: 7,
            }),
            ..clear()
        };
        assert_eq!(timing().due("con_a", &pending), Some(7));
    }
}
