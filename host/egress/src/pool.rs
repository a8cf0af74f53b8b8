//! Connection pools, one per owner.
//!
//! Sharing a connection between owners would let one owner's half-read answer, connection-bound sign-in or
//! timing reach another. So an owner's client (its idle connections and its TLS sessions) is an entry of its
//! own; the number of entries is bounded, and the least recently used one goes first. Dropping an entry
//! closes its idle connections; calls in progress keep theirs until they end.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A bounded map from owner to client. Time is passed in.
pub(crate) struct Pools<C> {
    entries: Mutex<HashMap<String, Entry<C>>>,
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

    /// The owner's client, made if there is none.
    pub(crate) fn client(&self, owner: &str, now: Instant, make: impl FnOnce() -> C) -> C {
        let mut entries = self.lock();
        entries.retain(|_, entry| now.saturating_duration_since(entry.last_used) < self.idle);
        if let Some(entry) = entries.get_mut(owner) {
            entry.last_used = now;
            return entry.client.clone();
        }
        while entries.len() >= self.max.max(1) {
            drop_oldest(&mut entries, None);
        }
        let client = make();
        entries.insert(
            owner.to_owned(),
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
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry<C>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_oldest<C>(entries: &mut HashMap<String, Entry<C>>, except: Option<&str>) {
    let oldest = entries
        .iter()
        .filter(|(owner, _)| Some(owner.as_str()) != except)
        .min_by_key(|(_, entry)| entry.last_used)
        .map(|(owner, _)| owner.clone());
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
        assert_eq!(pools.client("a", now, || 1), 1);
        assert_eq!(pools.client("a", now, || 2), 1);
        assert_eq!(pools.client("b", now, || 3), 3);
    }

    #[test]
    fn the_least_recently_used_owner_goes_when_there_are_too_many() {
        let pools = Pools::new(2, Duration::from_secs(60));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        pools.client("a", at(0), || 1);
        pools.client("b", at(1), || 1);
        pools.client("a", at(2), || 2);
        pools.client("c", at(3), || 1);
        assert_eq!(pools.lock().len(), 2);
        assert_eq!(pools.client("a", at(4), || 9), 1);
        assert_eq!(pools.client("b", at(5), || 9), 9);
    }

    #[test]
    fn a_quiet_owner_is_forgotten() {
        let pools = Pools::new(2, Duration::from_secs(60));
        let start = Instant::now();
        pools.client("a", start, || 1);
        assert_eq!(pools.client("a", start + Duration::from_secs(59), || 2), 1);
        assert_eq!(pools.client("a", start + Duration::from_secs(120), || 3), 3);
    }

    #[test]
    fn room_is_made_at_the_cost_of_others() {
        let pools = Pools::new(9, Duration::from_secs(60));
        let start = Instant::now();
        pools.client("a", start, || 1);
        pools.client("b", start + Duration::from_secs(1), || 1);
        pools.make_room("a");
        assert_eq!(pools.client("a", start, || 2), 1);
        assert_eq!(pools.client("b", start, || 2), 2);
    }
}
