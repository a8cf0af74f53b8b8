//! Placeholders that a guest may hold instead of secrets.
//!
//! A guest that must place a secret or a derived value itself (a signature header, say) gets a random
//! placeholder. Egress puts the real value in, and only in the slots that the manifest declares and only
//! towards the handle's audience. A placeholder is worth nothing outside its call, so a guest that prints
//! or stores one gives nothing away; egress still refuses one out of its slot, because it is always a
//! mistake or an attempt to have the value echoed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyport_manifest::hosts::AllowedHosts;

use crate::secret::Secret;

/// A place where a handle may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// In the value of this header (name compared without case).
    Header(String),
    /// In the value of this query parameter (name compared exactly).
    Query(String),
    /// In the value of this member of a JSON body, however deep, or of this parameter of a form.
    Body(String),
    /// In an argument of this recipe: a value is signed whose text the guest does not have.
    Recipe(String),
}

/// The handles of one call. Clones share their entries: the guest's imports issue, egress redeems.
///
/// Beside them stands what signers derived from secrets in this call, since an answer to any of its requests, one that was sent
/// earlier included, may hold it as well.
#[derive(Clone, Default)]
pub struct Handles(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    issued: Vec<Issued>,
    derived: Vec<Secret>,
}

/// How much a call knew at some moment; it only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    issued: usize,
    derived: usize,
}

#[derive(Clone)]
pub(crate) struct Issued {
    pub placeholder: String,
    pub value: Secret,
    pub slots: Vec<Slot>,
    /// `None`: wherever the call's credential may go.
    pub audience: Option<AllowedHosts>,
}

impl Handles {
    /// Makes a placeholder for `value`, good in these slots, towards the call's credential audience (or
    /// its base URL, where the call has no credential).
    pub fn issue(&self, value: Secret, slots: Vec<Slot>) -> String {
        self.push(value, slots, None)
    }

    /// As [`issue`](Self::issue), towards an audience of its own.
    pub fn issue_for(&self, value: Secret, slots: Vec<Slot>, audience: AllowedHosts) -> String {
        self.push(value, slots, Some(audience))
    }

    fn push(&self, value: Secret, slots: Vec<Slot>, audience: Option<AllowedHosts>) -> String {
        let Some(placeholder) = random_placeholder() else {
            // A machine without randomness. A placeholder that could repeat might be redeemed for
            // another's value, so this one is not redeemed at all: it goes out as it stands.
            tracing::error!("the operating system gives no randomness; a handle is useless");
            return "kph_none".to_owned();
        };
        self.lock().issued.push(Issued {
            placeholder: placeholder.clone(),
            value,
            slots,
            audience,
        });
        placeholder
    }

    /// The text with values in place of the placeholders that may be arguments of this recipe; `None` if one stands there
    /// that may not.
    pub fn redeem_for_recipe(&self, recipe: &str, text: &str) -> Option<Secret> {
        let mut real = Secret::new(text);
        for handle in &self.lock().issued {
            if !text.contains(&handle.placeholder) {
                continue;
            }
            let declared = |slot: &Slot| matches!(slot, Slot::Recipe(name) if name == recipe);
            if !handle.slots.iter().any(declared) {
                return None;
            }
            real = Secret::new(
                real.expose()
                    .replace(&handle.placeholder, handle.value.expose()),
            );
        }
        Some(real)
    }

    /// Every value that was issued or derived so far, to be searched for.
    pub fn values(&self) -> Vec<Secret> {
        let known = self.lock();
        let issued = known.issued.iter().map(|one| &one.value);
        issued.chain(&known.derived).cloned().collect()
    }

    /// How much there is to be searched for by now.
    pub fn mark(&self) -> Mark {
        let known = self.lock();
        Mark {
            issued: known.issued.len(),
            derived: known.derived.len(),
        }
    }

    /// Adds what a signer derived from a secret and sends.
    pub(crate) fn derived(&self, values: Vec<Secret>) {
        self.lock().derived.extend(values);
    }

    /// A snapshot of what was issued so far.
    pub(crate) fn issued(&self) -> Vec<Issued> {
        self.lock().issued.clone()
    }

    // A panic elsewhere cannot leave a list half-written: a push is all that ever happens to it.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each begins with, and stands nowhere else in it.
const BEGINNING: &str = "kph_";
/// Characters after that.
const RANDOM: usize = 26;

/// `kph_` and 26 characters of base 32: 130 bits, URL-safe and header-safe as they are.
fn random_placeholder() -> Option<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut random = [0_u8; RANDOM];
    getrandom::fill(&mut random).ok()?;
    let tail = random
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)))
        .map(|&letter| char::from(letter));
    Some(BEGINNING.chars().chain(tail).collect())
}

/// All placeholders of a call at once: a body is looked through once, however many there are.
pub(crate) struct Placeholders<'a>(HashMap<&'a [u8], &'a Issued>);

impl<'a> Placeholders<'a> {
    /// Bytes of each.
    pub(crate) const LEN: usize = BEGINNING.len() + RANDOM;

    pub(crate) fn of(issued: &'a [Issued]) -> Self {
        let named = issued.iter().map(|one| (one.placeholder.as_bytes(), one));
        Self(named.collect())
    }

    /// Where they stand in a text, in order.
    pub(crate) fn find(&self, text: &[u8]) -> impl Iterator<Item = (usize, &'a Issued)> {
        let windows = text.windows(Self::LEN).enumerate();
        windows
            .filter(|(_, at)| at.starts_with(BEGINNING.as_bytes()))
            .filter_map(|(at, window)| Some((at, *self.0.get(window)?)))
    }

    /// Whether one stands in a text.
    pub(crate) fn any(&self, text: &[u8]) -> bool {
        self.find(text).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_random_and_say_nothing_of_the_value() {
        let handles = Handles::default();
        let one = handles.issue(Secret::new("hunter2hunter2"), vec![]);
        let two = handles.issue(Secret::new("hunter2hunter2"), vec![]);
        assert_ne!(one, two);
        assert!(one.starts_with("kph_") && one.len() == 30 && !one.contains("hunter"));
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        assert_eq!(handles.clone().issued().len(), 2);
    }
}
