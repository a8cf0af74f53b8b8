//! What was asked for and what was granted.
//!
//! RFC 6749, 3.3: an app may grant less than it was asked for, and says so. What it grants is kept and shown, and what is
//! missing beside it, so that the person can agree anew. Apps write the same scope in different ways (`email` becomes
//! `https://www.googleapis.com/auth/userinfo.email`, `User.Read` comes back with the API's address in front), and some
//! never name `offline_access`: what is granted under a longer name is not missing. And a scope may include another that
//! is then not named. So a missing scope alone stops nothing; it is the test call that decides, and when that is refused
//! for want of a right, what was not granted is named.

use keyport_manifest::{Means, Test};

use super::check::Subject;
use crate::error::ConnectError;
use crate::record::{ConnectionClear, ConnectionSealed};

/// Scopes that say something to the sign-in service and grant nothing at the API: they are seldom echoed.
const NEVER_ECHOED: [&str; 2] = ["offline_access", "openid"];

/// Scopes that were asked for and are not among those granted.
pub(crate) fn missing_scopes(sealed: &ConnectionSealed) -> Vec<String> {
    // An app that says nothing has granted what was asked (RFC 6749, 5.1).
    if sealed.scopes.is_empty() {
        return Vec::new();
    }
    sealed
        .asked
        .iter()
        .filter(|asked| !NEVER_ECHOED.contains(&asked.as_str()))
        .filter(|asked| !sealed.scopes.iter().any(|granted| same(asked, granted)))
        .cloned()
        .collect()
}

/// Which of these scopes were not granted. Where the app says nothing of it, what was asked for was granted; of a sign-in that asked for
/// nothing, none.
pub(crate) fn lacking_scopes(sealed: &ConnectionSealed, wanted: &[String]) -> Vec<String> {
    let granted = if sealed.scopes.is_empty() {
        &sealed.asked
    } else {
        &sealed.scopes
    };
    let has = |scope: &String| granted.iter().any(|granted| same(scope, granted));
    wanted.iter().filter(|scope| !has(scope)).cloned().collect()
}

/// Keeps what the clear part says of scopes in step with the sealed part. Whether more is missing now than was.
pub(crate) fn scopes_changed(clear: &mut ConnectionClear, sealed: &ConnectionSealed) -> bool {
    let now = missing_scopes(sealed);
    let shrunk = now
        .iter()
        .any(|scope| !clear.missing_scopes.contains(scope));
    clear.missing_scopes = now;
    shrunk
}

/// The test call's refusal for want of a right, in the words of what was not granted, where that is known.
pub(super) fn insufficient(error: ConnectError, subject: &Subject<'_>) -> ConnectError {
    let wants_a_right = matches!(
        error,
        ConnectError::App {
            means: Means::MissingScope,
            ..
        }
    );
    let mut missing = missing_scopes(subject.sealed);
    if let Test::Call(call) = subject.entry.manifest.test_for(subject.method) {
        // What the test needs is what its refusal is about.
        if missing.iter().any(|scope| call.scopes.contains(scope)) {
            missing.retain(|scope| call.scopes.contains(scope));
        }
    }
    if !wants_a_right || missing.is_empty() {
        return error;
    }
    ConnectError::App {
        means: Means::MissingScope,
        code: "insufficient_scope".into(),
        say: format!(
            "{} did not grant {}; sign in again and allow everything that is asked for",
            subject.entry.manifest.name,
            missing.join(", ")
        ),
        retry_after_ms: None,
    }
}

/// Whether `granted` is `asked`, in other letters or under a longer name that ends with it.
fn same(asked: &str, granted: &str) -> bool {
    let (asked, granted) = (asked.to_ascii_lowercase(), granted.to_ascii_lowercase());
    granted
        .strip_suffix(&asked)
        .is_some_and(|before| before.is_empty() || before.ends_with(['/', '.', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(asked: &[&str], granted: &[&str]) -> Vec<String> {
        let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        missing_scopes(&ConnectionSealed {
            asked: own(asked),
            scopes: own(granted),
            ..ConnectionSealed::default()
        })
    }

    #[test]
    fn what_was_not_granted_is_missing() {
        assert_eq!(missing(&["read", "write"], &["read"]), ["write"]);
        assert!(missing(&["read"], &["read", "write"]).is_empty());
    }

    #[test]
    fn an_app_that_says_nothing_has_granted_all() {
        assert!(missing(&["read", "write"], &[]).is_empty());
    }

    #[test]
    fn a_scope_under_its_longer_name_is_granted() {
        assert!(
            missing(
                &["email", "User.Read", "offline_access"],
                &[
                    "https://www.googleapis.com/auth/userinfo.email",
                    "https://graph.microsoft.com/user.read"
                ]
            )
            .is_empty()
        );
        assert_eq!(missing(&["read"], &["spread"]), ["read"]);
    }
}
