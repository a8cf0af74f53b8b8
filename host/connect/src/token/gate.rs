//! How many token requests go to one host at once, and when it is left alone.
//!
//! A thousand tokens that end together must not become a thousand requests at once, and a provider that is down must not
//! be hammered by everyone who waits for it. Per origin: a few requests at a time, the rest waits its turn; after several
//! failures in a row the circuit opens and nobody asks for a while; then one request probes whether it is back.
//!
//! Only what shows that the *host* is down opens its circuit: no connection, no answer, 5xx. A 429 or a refusal is
//! about one client or grant and is held against that connection alone (`refresh`). Otherwise one owner's client could
//! shut an app for everybody. Somebody who sits in front of a sign-in is never turned away, only counted.
//!
//! Kept in memory, per process: a restart asks once more, which does no harm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

/// Token requests to one origin at the same time.
pub(crate) const AT_ONCE: usize = 8;
/// How long a request waits for its turn. The refresh's lease covers it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Failures in a row that open the circuit.
const OPENS_AFTER: u32 = 5;
/// How long it stays open the first time, in milliseconds; doubled with each probe that fails, to at most …
const OPEN_MS: i64 = 15_000;
/// … this long.
const OPEN_MOST_MS: i64 = 5 * 60_000;
/// Origins that are remembered; beyond it those without trouble are forgotten.
const ORIGINS: usize = 4096;

/// Why a request may not go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The host is down, as far as is known; in so many milliseconds it is asked again.
    Open { wait_ms: i64 },
    /// Too many others wait for the same host.
    Crowded,
}

/// How a request went, as far as it tells about the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It answers, whatever it says.
    Up,
    /// It does not, or with a fault of its own.
    Down,
    /// The request did not leave.
    Nothing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// Nobody asks before this time.
    open_until: i64,
    /// A probe is under way.
    probing: bool,
}

impl Circuit {
    /// Whether a request may go, and whether it is the probe.
    fn enter(&mut self, now: i64) -> Result<bool, Closed> {
        if self.failures < OPENS_AFTER {
            return Ok(false);
        }
        if now < self.open_until || self.probing {
            return Err(Closed::Open {
                wait_ms: self.open_until.saturating_sub(now).max(1000),
            });
        }
        self.probing = true;
        Ok(true)
    }

    fn leave(&mut self, probe: bool, seen: Seen, now: i64) {
        if probe {
            self.probing = false;
        }
        match seen {
            Seen::Up => *self = Circuit::default(),
            Seen::Down => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= OPENS_AFTER {
                    let doubled = OPEN_MS
                        .saturating_mul(1_i64 << (self.failures - OPENS_AFTER).min(10))
                        .min(OPEN_MOST_MS);
                    self.open_until = now.saturating_add(doubled);
                }
            }
            Seen::Nothing => {}
        }
    }
}

struct Door {
    slots: Arc<Semaphore>,
    circuit: Mutex<Circuit>,
}

impl Door {
    fn circuit(&self) -> std::sync::MutexGuard<'_, Circuit> {
        // A circuit is whole at any time.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gates of all hosts.
#[derive(Default)]
pub(crate) struct Gate(Mutex<HashMap<String, Arc<Door>>>);

/// A request's turn. Whoever drops it without saying how it went has seen nothing.
pub(crate) struct Turn {
    door: Arc<Door>,
    probe: bool,
    ended: bool,
    _slot: OwnedSemaphorePermit,
}

impl Gate {
    /// Waits for a turn at the host of `url`. With `polite`, not while its circuit is open.
    pub(crate) async fn enter(&self, url: &Url, polite: bool, now: i64) -> Result<Turn, Closed> {
        let door = self.door(&url.origin().ascii_serialization());
        // Whoever would be turned away does not stand in line for it.
        let probe = polite && door.circuit().enter(now)?;
        let waited = tokio::time::timeout(PATIENCE, Arc::clone(&door.slots).acquire_owned()).await;
        match waited {
            Ok(Ok(slot)) => Ok(Turn {
                door,
                probe,
                ended: false,
                _slot: slot,
            }),
            Ok(Err(_)) | Err(_) => {
                door.circuit().leave(probe, Seen::Nothing, now);
                Err(Closed::Crowded)
            }
        }
    }

    fn door(&self, origin: &str) -> Arc<Door> {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if doors.len() >= ORIGINS {
            doors.retain(|_, door| {
                door.circuit().failures > 0 || door.slots.available_permits() < AT_ONCE
            });
        }
        Arc::clone(doors.entry(origin.to_owned()).or_insert_with(|| {
            Arc::new(Door {
                slots: Arc::new(Semaphore::new(AT_ONCE)),
                circuit: Mutex::default(),
            })
        }))
    }
}

impl Turn {
    /// Says how it went.
    pub(crate) fn end(mut self, seen: Seen, now: i64) {
        self.ended = true;
        self.door.circuit().leave(self.probe, seen, now);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.ended {
            self.door.circuit().leave(self.probe, Seen::Nothing, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    async fn fail(gate: &Gate, at: &Url, times: u32, now: i64) {
        for _ in 0..times {
            gate.enter(at, true, now)
                .await
                .unwrap()
                .end(Seen::Down, now);
        }
    }

    #[tokio::test]
    async fn a_host_that_fails_five_times_is_left_alone_and_then_probed_by_one() {
        let gate = Gate::default();
        let at = url("https://a.example/token");
        fail(&gate, &at, 5, 0).await;
        assert!(gate.enter(&at, true, 14_999).await.is_err());
        let probe = gate.enter(&at, true, 15_000).await.unwrap();
        assert!(gate.enter(&at, true, 15_000).await.is_err(), "one probes");
        probe.end(Seen::Down, 15_000);
        assert!(
            gate.enter(&at, true, 44_999).await.is_err(),
            "a probe that fails doubles the wait"
        );
        let probe = gate.enter(&at, true, 45_000).await.unwrap();
        probe.end(Seen::Up, 45_000);
        assert!(gate.enter(&at, true, 45_001).await.is_ok(), "it is closed");
    }

    #[tokio::test]
    async fn a_person_in_front_of_a_sign_in_is_not_turned_away() {
        let gate = Gate::default();
        let at = url("https://a.example/token");
        fail(&gate, &at, 5, 0).await;
        gate.enter(&at, false, 1).await.unwrap().end(Seen::Up, 1);
        assert!(gate.enter(&at, true, 2).await.is_ok(), "and helps the rest");
    }

    #[tokio::test]
    async fn one_hosts_trouble_is_not_anothers() {
        let gate = Gate::default();
        fail(&gate, &url("https://a.example/token"), 5, 0).await;
        for other in ["https://b.example/token", "https://a.example:444/token"] {
            assert!(gate.enter(&url(other), true, 1).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_probe_that_is_dropped_lets_the_next_one_probe() {
        let gate = Gate::default();
        let at = url("https://a.example/token");
        fail(&gate, &at, 5, 0).await;
        drop(gate.enter(&at, true, 15_000).await.unwrap());
        assert!(gate.enter(&at, true, 15_000).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_requests_at_a_time_go_to_one_host_and_the_rest_waits_its_turn() {
        let gate = Gate::default();
        let at = url("https://a.example/token");
        let mut turns = Vec::new();
        for _ in 0..AT_ONCE {
            turns.push(gate.enter(&at, true, 0).await.unwrap());
        }
        assert_eq!(
            gate.enter(&at, true, 0).await.err(),
            Some(Closed::Crowded),
            "not for ever"
        );
        turns.pop();
        assert!(gate.enter(&at, true, 0).await.is_ok());
    }
}
