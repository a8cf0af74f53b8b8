//! A small checker of linearizability, for histories of one register with compare-and-swap (Wing and Gong's search, with
//! Lowe's memory of what was tried). The register is a row, its value the row's revision.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the register holds: a revision, or nothing.
pub type Held = Option<u64>;

/// What somebody did and saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// Read this.
    Read(Held),
    /// Replaced what was there.
    Swapped { from: Held, to: Held },
    /// Was refused, because this was there.
    Refused { found: Held },
}

/// One operation, from asking to being answered, in the order of one counter.
#[derive(Debug, Clone)]
pub struct Event {
    pub asked: u64,
    pub answered: u64,
    pub did: Did,
}

/// Gives out moments.
#[derive(Default)]
pub struct Moments(AtomicU64);

impl Moments {
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

impl Did {
    fn after(&self, held: Held) -> Option<Held> {
        match self {
            Did::Read(found) | Did::Refused { found } => (*found == held).then_some(held),
            Did::Swapped { from, to } => (*from == held).then_some(*to),
        }
    }
}

/// Whether there is an order of all events that keeps to who was answered before who asked, and in which each saw what
/// those before it left.
pub fn is_linearizable(start: Held, events: &[Event]) -> bool {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.asked);
    // How far: all before `first` are placed, and these after it.
    type Place = (usize, Vec<usize>, Held);
    let mut tried: HashSet<Place> = HashSet::new();
    let mut open: Vec<Place> = vec![(0, Vec::new(), start)];
    while let Some((first, placed, held)) = open.pop() {
        if first == events.len() {
            return true;
        }
        // Whoever is next must have asked before anyone that is left was answered.
        let mut bound = u64::MAX;
        for (at, event) in events.iter().enumerate().skip(first) {
            if event.asked > bound {
                break;
            }
            if placed.contains(&at) {
                continue;
            }
            bound = bound.min(event.answered);
        }
        for (at, event) in events.iter().enumerate().skip(first) {
            if event.asked > bound {
                break;
            }
            if placed.contains(&at) {
                continue;
            }
            let Some(next) = event.did.after(held) else {
                continue;
            };
            let (mut first, mut placed) = (first, placed.clone());
            placed.push(at);
            placed.sort_unstable();
            while let Some(here) = placed.iter().position(|at| *at == first) {
                placed.remove(here);
                first += 1;
            }
            let place = (first, placed, next);
            if tried.insert(place.clone()) {
                open.push(place);
            }
        }
    }
    false
}

fn event(asked: u64, answered: u64, did: Did) -> Event {
    Event {
        asked,
        answered,
        did,
    }
}

#[test]
fn the_checker_takes_what_can_be_ordered_and_nothing_else() {
    let swap = |from, to| Did::Swapped { from, to };
    let wrote = event(0, 3, swap(None, Some(1)));
    // Together with the write, a read may see either; after it, only the new.
    assert!(is_linearizable(
        None,
        &[wrote.clone(), event(1, 2, Did::Read(None))]
    ));
    assert!(is_linearizable(
        None,
        &[wrote.clone(), event(1, 2, Did::Read(Some(1)))]
    ));
    assert!(!is_linearizable(
        None,
        &[wrote.clone(), event(4, 5, Did::Read(None))]
    ));
    // Once one has seen the new, nobody sees the old.
    let seen = event(1, 2, Did::Read(Some(1)));
    assert!(!is_linearizable(
        None,
        &[wrote.clone(), seen, event(3, 4, Did::Read(None))]
    ));
    // Two who replace the same.
    assert!(!is_linearizable(
        None,
        &[wrote.clone(), event(1, 2, swap(None, Some(2)))]
    ));
    // A refusal by what was never there, and by what came later.
    assert!(!is_linearizable(
        None,
        &[wrote.clone(), event(1, 2, Did::Refused { found: Some(7) })]
    ));
    let later = event(6, 7, swap(Some(1), Some(2)));
    let refused = event(4, 5, Did::Refused { found: Some(2) });
    assert!(!is_linearizable(
        None,
        &[wrote.clone(), refused, later.clone()]
    ));
    // A lost update: it was acknowledged, and then it was not there.
    let lost = event(4, 5, swap(Some(1), Some(2)));
    assert!(!is_linearizable(
        None,
        &[wrote, lost, event(6, 7, Did::Read(Some(1)))]
    ));
}
