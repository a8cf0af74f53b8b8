//! Minted tokens and temporary keys, kept in memory until shortly before they end.
//!
//! They are found by a digest of everything that they are made of, keys included, so that a changed key, claim or role is
//! another entry: nothing has to be thrown away when an account's details change. Never stored; wiped when dropped.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::hidden::Hidden;

/// Entries that are kept. One is a few hundred bytes.
const MAX: usize = 10_000;

/// The digest of what something is made of.
pub(crate) type Made = [u8; 32];

#[derive(Default)]
pub(crate) struct Kept(Mutex<HashMap<Made, Entry>>);

struct Entry {
    values: Vec<Hidden>,
    until: i64,
}

/// The digest of these texts, each told from the next by its length.
pub(crate) fn made_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Made {
    let mut sum = Sha256::new();
    for text in texts {
        sum.update((text.len() as u64).to_be_bytes());
        sum.update(text.as_bytes());
    }
    sum.finalize().into()
}

impl Kept {
    /// The values, if they are good for longer than `now` (milliseconds since 1970).
    pub(crate) fn get(&self, of: &Made, now: i64) -> Option<Vec<Hidden>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(of)
            .filter(|entry| now < entry.until)
            .map(|entry| entry.values.clone())
    }

    /// Keeps values until shortly before `ends`: a minute, or a fifth of what is left where that is less.
    pub(crate) fn put(&self, of: Made, values: Vec<Hidden>, now: i64, ends: i64) {
        let left = ends.saturating_sub(now).max(0);
        let until = ends.saturating_sub((left / 5).min(60_000));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX {
            kept.retain(|_, entry| now < entry.until);
        }
        if kept.len() >= MAX {
            kept.clear();
        }
        kept.insert(of, Entry { values, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_goes_before_it_ends() {
        let kept = Kept::default();
        let of = made_of(["app", "key"]);
        kept.put(of, vec![Hidden::new("token")], 0, 3_600_000);
        assert!(kept.get(&of, 3_539_999).is_some());
        assert!(kept.get(&of, 3_540_000).is_none());
        kept.put(of, vec![Hidden::new("token")], 0, 10_000);
        assert!(kept.get(&of, 7_999).is_some() && kept.get(&of, 8_000).is_none());
        kept.put(of, vec![Hidden::new("token")], 10, 0);
        assert!(kept.get(&of, 10).is_none());
    }

    #[test]
    fn another_key_finds_nothing_and_texts_do_not_run_together() {
        let kept = Kept::default();
        kept.put(made_of(["app", "key"]), vec![], 0, 1_000_000);
        for other in [
            made_of(["app", "kex"]),
            made_of(["appk", "ey"]),
            made_of(["app", "key", ""]),
        ] {
            assert!(kept.get(&other, 1).is_none());
        }
    }
}
