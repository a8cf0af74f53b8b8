//! How many files this process may have open: as many as the system lets it.
//!
//! A component of an app's own keeps one open for as long as it is loaded (the beginning of its memory, from which each call
//! starts), and so does every connection. Many systems begin with 1,024 and allow far more to whoever asks; a thousand
//! apps with code of their own would stop loading there, with an error that names no app's fault.

/// No process of ours needs more, and tables of that many cost the system something.
#[cfg(unix)]
const ENOUGH: u64 = 65_536;

/// Asks for them. Where the system refuses, it stays as it was: that is enough for most.
#[cfg(unix)]
pub fn raise() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = wanted(limit.current, limit.maximum);
    if wanted == limit.current {
        return;
    }
    limit.current = wanted;
    // Not worth a word on the terminal of every command.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// What to ask for, of what there is and what is allowed; `None` is without a limit.
#[cfg(unix)]
fn wanted(current: Option<u64>, maximum: Option<u64>) -> Option<u64> {
    let allowed = maximum.unwrap_or(u64::MAX).min(ENOUGH);
    current.map(|current| current.max(allowed))
}

/// There is no such limit here.
#[cfg(not(unix))]
pub fn raise() {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn more_is_asked_for_up_to_what_is_allowed_and_never_less_than_there_is() {
        for (current, maximum, expected) in [
            (Some(1_024), Some(524_288), Some(ENOUGH)),
            (Some(1_024), Some(4_096), Some(4_096)),
            (Some(1_024), None, Some(ENOUGH)),
            (Some(100_000), Some(524_288), Some(100_000)),
            (Some(4_096), Some(4_096), Some(4_096)),
            (None, None, None),
        ] {
            assert_eq!(wanted(current, maximum), expected);
        }
        // And the system grants it.
        raise();
        let now = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        assert_eq!(wanted(now.current, now.maximum), now.current);
    }
}
