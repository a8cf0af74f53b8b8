//! V97: what this version of Keyport reads and checks, and does not run. The list is `model::support`'s.

use super::Checker;

pub(super) fn check(c: &mut Checker<'_>) {
    for part in c.manifest.not_yet() {
        c.note("V97", &part.path, part.sentence());
    }
}
