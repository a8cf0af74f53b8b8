//! Connection pools, one per owner.
//!
//! Sharing a connection between owners would let one owner's half-read answer, connection-bound sign-in or
//! timing reach another. So an owner's client (its idle connections and its TLS sessions) is an entry of its
//! own; the number of entries is bounded, and the least recently used one goes first. Dropping an entry
//! closes its idle connections; calls in progress keep theirs until they end.
//!
//! Within an owner, calls with a client certificate have entries of their own, one for each certificate: what a server has
//! granted to a connection's certificate must not serve a call that did not bring it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An owner, and the certificate that connections were made with.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Whose {
    owner: String,
    identity: Option<String>,
}

/// A bounded map from owner to client. Time is passed in.
pub(crate) struct Pools<C> {
    entries: Mutex<HashMap<Whose, Entry<C>>>,
    max: usize,
    idle: Duration,
}

struct Entry<C> {
    client: C,
    last_used: Instant,
}

impl<C: Clone> Pools<C> {
    /// At most `max` owners, each forgotten after `idle` without a call.
    pub(crate) fn new(max: usize, idle: Duration) -> Self {
        Self {
            entries: Mutex::default(),
            max,
            idle,
        }
    }

    /// The owner's client for this certificate or none, made if there is none.
    pub(crate) fn client(
        &self,
        owner: &str,
        identity: Option<&str>,
        now: Instant,
        make: impl FnOnce() -> C,
    ) -> C {
        let whose = Whose {
            owner: owner.to_owned(),
            identity: identity.map(str::to_owned),
        };
        let mut entries = self.lock();
        entries.retain(|_, entry| now.saturating_duration_since(entry.last_used) < self.idle);
        if let Some(entry) = entries.get_mut(&whose) {
            entry.last_used = now;
            return entry.client.clone();
        }
        while entries.len() >= self.max.max(1) {
            drop_oldest(&mut entries, None);
        }
        let client = make();
        entries.insert(
            whose,
            Entry {
                client: client.clone(),
                last_used: now,
            },
        );
        client
    }

    /// Closes the idle connections of the owner who has been quiet for longest, other than `owner`.
    pub(crate) fn make_room(&self, owner: &str) {
        drop_oldest(&mut self.lock(), Some(owner));
    }

    // Nothing between lock and unlock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, Entry<C>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_oldest<C>(entries: &mut HashMap<Whose, Entry<C>>, except: Option<&str>) {
    let oldest = entries
        .iter()
        .filter(|(whose, _)| Some(whose.owner.as_str()) != except)
        .min_by_key(|(_, entry)| entry.last_used)
        .map(|(whose, _)| whose.clone());
    if let Some(oldest) = oldest {
        entries.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_keeps_a_client_and_shares_it_with_nobody() {
        let pools = Pools::new(10, Duration::from_secs(60));
        let now = Instant::now();
        assert_eq!(pools.client("a", None, now, || 1), 1);
        assert_eq!(pools.client("a", None, now, || 2), 1);
        assert_eq!(pools.client("b", None, now, || 3), 3);
    }

    #[test]
    fn the_least_recently_used_owner_goes_when_there_are_too_many() {
        let pools = Pools::new(2, Duration::from_secs(60));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        pools.client("a", None, at(0), || 1);
        pools.client("b", None, at(1), || 1);
        pools.client("a", None, at(2), || 2);
        pools.client("c", None, at(3), || 1);
        assert_eq!(pools.lock().len(), 2);
        assert_eq!(pools.client("a", None, at(4), || 9), 1);
        assert_eq!(pools.client("b", None, at(5), || 9), 9);
    }

    #[test]
    fn a_quiet_owner_is_forgotten() {
        let pools = Pools::new(2, Duration::from_secs(60));
        let start = Instant::now();
        pools.client("a", None, start, || 1);
        assert_eq!(
            pools.client("a", None, start + Duration::from_secs(59), || 2),
            1
        );
        assert_eq!(
            pools.client("a", None, start + Duration::from_secs(120), || 3),
            3
        );
    }

    #[test]
    fn room_is_made_at_the_cost_of_others() {
        let pools = Pools::new(9, Duration::from_secs(60));
        let start = Instant::now();
        pools.client("a", None, start, || 1);
        pools.client("b", None, start + Duration::from_secs(1), || 1);
        pools.make_room("a");
        assert_eq!(pools.client("a", None, start, || 2), 1);
        assert_eq!(pools.client("b", None, start, || 2), 2);
    }

    #[test]
    fn a_certificate_has_connections_of_its_own() {
        let pools = Pools::new(10, Duration::from_secs(60));
        let now = Instant::now();
        assert_eq!(pools.client("a", None, now, || 1), 1);
        assert_eq!(pools.client("a", Some("x"), now, || 2), 2);
        assert_eq!(pools.client("a", Some("y"), now, || 3), 3);
        assert_eq!(pools.client("b", Some("x"), now, || 4), 4);
        assert_eq!(pools.client("a", Some("x"), now, || 9), 2);
        assert_eq!(pools.client("a", None, now, || 9), 1);
    }
}
