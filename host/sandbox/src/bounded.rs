//! A map that forgets its oldest entry when it is full.
//!
//! The vendor answers anyone who reaches it, so everything that a request can add to has a ceiling: a loop
//! against the authorization page costs the loop its own oldest attempts, not the machine its memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(crate) struct Bounded<K, V> {
    cap: usize,
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            cap: cap.max(1),
            map: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Adds an entry; the oldest one goes when there are more than the cap.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.cap {
            if let Some(oldest) = self.order.pop_front() {
                self.map.remove(&oldest);
            }
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.order
            .iter()
            .filter_map(|key| self.map.get(key).map(|value| (key, value)))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.map.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_makes_room_for_the_newest() {
        let mut map = Bounded::new(2);
        for n in 1..=3 {
            map.insert(n, n * 10);
        }
        assert!(map.get(&1).is_none());
        let left: Vec<_> = map.iter().map(|(key, _)| *key).collect();
        assert_eq!(left, [2, 3]);
    }

    #[test]
    fn changing_an_entry_does_not_make_it_younger() {
        let mut map = Bounded::new(2);
        map.insert(1, "a");
        map.insert(2, "b");
        map.insert(1, "c");
        map.insert(3, "d");
        assert!(map.get(&1).is_none() && map.get(&2).is_some());
    }
}
