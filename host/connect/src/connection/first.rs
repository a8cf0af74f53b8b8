//! What a refusal is to somebody who has only just typed a key.
//!
//! A manifest's sentence for a refused credential is mostly about one that worked before (`GitHub no longer accepts this sign-in`).
//! Whoever mistyped a key has never been signed in: they are told to look at what they typed, by the name that the form has for it. A
//! sentence that does not speak of a sign-in that was is the manifest's to say.

use keyport_manifest::{AuthMethod, Means};

use crate::catalogue::AppEntry;
use crate::error::ConnectError;

/// How such sentences speak of what was.
const PAST: &str = "no longer accepts";

/// The app's refusal of what was just typed, or of a sign-in that was just made, as whoever did it has to hear it.
pub(super) fn at_first(error: ConnectError, entry: &AppEntry, method: &str) -> ConnectError {
    let ConnectError::App {
        code,
        means: Means::NeedsReconnect,
        say,
        retry_after_ms,
    } = error
    else {
        return error;
    };
    let say = if say.contains(PAST) {
        sentence(&entry.manifest.name, entry.manifest.auth.get(method))
    } else {
        say
    };
    ConnectError::App {
        code,
        means: Means::NeedsReconnect,
        say,
        retry_after_ms,
    }
}

fn sentence(app: &str, auth: Option<&AuthMethod>) -> String {
    let Some(auth) = auth else {
        return format!("{app} did not accept this; check it and try again");
    };
    let secrets: Vec<&str> = auth
        .fields()
        .iter()
        .filter(|field| field.secret)
        .map(|field| field.label.as_str())
        .collect();
    match (auth.fields().len(), secrets.as_slice()) {
        (0, _) => format!("{app} did not accept the sign-in that was just made; sign in again"),
        (_, [one]) => {
            let name = within(one);
            format!("{app} did not accept this {name}; check it and enter it again")
        }
        _ => format!("{app} did not accept these details; check them and enter them again"),
    }
}

/// A label in the middle of a sentence: `Access token` becomes `access token`, `API key` stays.
fn within(label: &str) -> String {
    let mut chars = label.chars();
    let (first, second) = (chars.next(), chars.next());
    match (first, second) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            let rest = label.get(first.len_utf8()..).unwrap_or_default();
            format!("{}{rest}", first.to_lowercase())
        }
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_reads_well_in_a_sentence() {
        for (label, read) in [
            ("API key", "API key"),
            ("Personal access token", "personal access token"),
            ("Éclair", "éclair"),
            ("X", "X"),
            ("", ""),
        ] {
            assert_eq!(within(label), read);
        }
    }
}
