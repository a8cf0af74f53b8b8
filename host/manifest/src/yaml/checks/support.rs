//! What an app needs of its host.
//!
//! V97 what this version of Keyport reads and checks, and does not run (the list is `model::support`'s) · V79 a right beyond the usual
//! has a reason that an operator can decide by.

use super::Checker;
use crate::model::Grant;

/// Shortest reason that says something, in characters.
const MIN_REASON: usize = 20;

pub(super) fn check(c: &mut Checker<'_>) {
    for part in c.manifest.not_yet() {
        c.note("V97", &part.path, part.sentence());
    }
    let grants = c.manifest.requires.iter().flat_map(|r| &r.grants);
    for (grant, reason) in grants {
        let Grant::RawCredentials = grant;
        if reason.trim().chars().count() < MIN_REASON {
            c.warn(
                "V79",
                "requires.grants.raw_credentials",
                "the component asks for credentials in the clear, and the reason says too little to decide by",
                Some("say what it does with them that the host cannot do for it"),
            );
        }
    }
}
