//! Connections that an older version of an app's manifest made are brought to what the loaded one asks for.
//!
//! It happens when a connection is read the first time after the update, before anybody uses its values, and is written
//! down at once: a crash in between leaves the old record, to which the same is done again. Of two hosts that read it at the
//! same time, the revision lets one write; the other reads again. Nothing is asked of the app, and nothing of it is revoked.
//! The schedule reads every connection (its test, or its token, is due within days), so none is left behind for long.
//!
//! The threat is a value under a name that means something else now. So a value goes only where its migration sends it, is
//! held to the form of the field that it becomes, and what is not complete afterwards says so instead of being tried.
//!
//! What is left out: a host of the version before cannot read what was brought up; hosts that share a store are updated
//! together ([`host/vault`](../../../vault/README.md)).

use indexmap::IndexMap;
use keyport_manifest::{Field, Manifest, Migration};
use keyport_vault::Expect;

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::hidden::Hidden;
use crate::record::{Connection, ConnectionClear, ConnectionSealed, Seal, Stored};
use crate::view::{ConnectionState, Reason};

/// The reason of a connection whose person has to sign in again because the app's manifest says so.
pub(crate) const MIGRATED: &str = "migrated";
/// The reason of one whose details are not complete any more.
const DETAILS_MISSING: &str = "details_missing";

/// Whether a reason is one that only the person's own doing ends, not a test that passes.
pub(crate) fn asks_again(code: &str) -> bool {
    matches!(code, MIGRATED | DETAILS_MISSING)
}

/// How often it is tried again when somebody else wrote in between.
const TRIES: usize = 8;

impl Engine {
    /// Whether no migration of the loaded manifest is for this connection.
    pub(crate) fn is_as_expected(&self, stored: &Stored<Connection>) -> bool {
        let entry = self.inner.catalogue.get(&stored.clear.app);
        entry.map_or(true, |entry| {
            let version = stored.clear.version.as_deref();
            stored.sealed.is_none() || entry.manifest.migrations_from(version).is_empty()
        })
    }

    /// The connection as the loaded manifest has it.
    ///
    /// # Errors
    /// When it cannot be written down; nobody uses it then.
    pub(crate) async fn migrated(
        &self,
        mut stored: Stored<Connection>,
    ) -> Result<Stored<Connection>, ConnectError> {
        for _ in 0..TRIES {
            let Ok(entry) = self.inner.catalogue.get(&stored.clear.app) else {
                return Ok(stored);
            };
            let manifest = &entry.manifest;
            let steps = manifest.migrations_from(stored.clear.version.as_deref());
            let Some(sealed) = stored.sealed.as_ref().filter(|_| !steps.is_empty()) else {
                return Ok(stored);
            };
            let mut sealed = sealed.clone();
            let mut clear = stored.clear.clone();
            let complete = bring(manifest, &clear.method, &steps, &mut sealed);
            clear.version = Some(manifest.version.to_string());
            clear.updated_at = self.now();
            let reconnect = steps.iter().find_map(|step| step.reconnect.as_ref());
            let reason = match (reconnect, complete) {
                (Some(say), _) => Some((MIGRATED, say.clone())),
                (None, Err(label)) => Some((
                    DETAILS_MISSING,
                    format!("this app asks for more now: {label}; connect it again"),
                )),
                (None, Ok(())) => None,
            };
            if let Some((code, say)) = reason {
                ask_again(&mut clear, code, say);
            }
            let mut writes = self.put_connection(
                &stored.id,
                Expect::At(stored.rev),
                &mut clear,
                Seal::Put(&sealed),
            )?;
            let mut note = Note::by(&Actor::Host, "connection.migrated")
                .owner(stored.owner())
                .app(&clear.app)
                .connection(stored.id());
            if let Some(reason) = clear.reason.as_ref() {
                note = note.code(&reason.code).say(&reason.say);
            }
            writes.push(self.note(note)?);
            match self.commit(writes).await {
                Ok(rev) => {
                    self.tell("connection", stored.owner(), stored.id());
                    return Ok(Stored {
                        rev,
                        clear,
                        sealed: Some(sealed),
                        ..stored
                    });
                }
                Err(ConnectError::Stale) => {
                    let id = stored.id().to_owned();
                    stored = self.load_as_it_is(&id).await?;
                }
                Err(other) => return Err(other),
            }
        }
        Err(ConnectError::Stale)
    }
}

/// Only a connection that counts changes its state: a pending one is tested anyway, a signed-out one stays so.
fn ask_again(clear: &mut ConnectionClear, code: &str, say: String) {
    if matches!(
        clear.state,
        ConnectionState::Connected | ConnectionState::Failing | ConnectionState::NeedsReconnect
    ) {
        clear.state = ConnectionState::NeedsReconnect;
        clear.reason = Some(Reason {
            code: code.to_owned(),
            say,
        });
        clear.failures = 0;
        clear.failing_since = None;
    }
}

/// Brings stored values to the names and forms of this manifest. The label of the first field that has no value now and
/// needs one is the error.
fn bring(
    manifest: &Manifest,
    method: &str,
    steps: &[&Migration],
    sealed: &mut ConnectionSealed,
) -> Result<(), String> {
    let own: &[Field] = manifest.auth.get(method).map_or(&[], |auth| auth.fields());
    let app: Vec<&Field> = manifest.app_fields().collect();
    // Where a value comes from: it stays there unless a field of its name stands elsewhere now.
    let mut values: IndexMap<String, (Home, Hidden)> = IndexMap::new();
    for (home, group) in [
        (Home::Capture, &mut sealed.capture),
        (Home::Credentials, &mut sealed.credentials),
        (Home::Fields, &mut sealed.fields),
    ] {
        values.extend(group.drain(..).map(|(id, value)| (id, (home, value))));
    }
    Migration::apply(steps, &mut values, |text| (Home::New, Hidden::new(text)));
    let mut missing = None;
    for (id, (home, value)) in values {
        let (target, field) = if let Some(field) = app.iter().find(|field| field.id == id) {
            (&mut sealed.fields, Some(*field))
        } else if let Some(field) = own.iter().find(|field| field.id == id) {
            (&mut sealed.credentials, Some(field))
        } else {
            match home {
                Home::Fields => (&mut sealed.fields, None),
                Home::Credentials => (&mut sealed.credentials, None),
                Home::Capture => (&mut sealed.capture, None),
                // A constant for a field of another way to sign in.
                Home::New => continue,
            }
        };
        let value = match field {
            None => value,
            Some(field) if value.expose().is_empty() && !field.required => value,
            Some(field) => match field.parse(value.expose()) {
                Ok(parsed) => Hidden::new(parsed),
                Err(_) => {
                    missing.get_or_insert_with(|| field.label.clone());
                    continue;
                }
            },
        };
        target.insert(id, value);
    }
    // New fields take their default, as a form that was sent would have them.
    let known: IndexMap<String, String> = sealed
        .fields
        .iter()
        .chain(&sealed.credentials)
        .map(|(id, value)| (id.clone(), value.expose().to_owned()))
        .collect();
    let shown = |field: &Field| field.is_shown(|id| known.get(id).cloned());
    for (fields, group) in [
        (app, &mut sealed.fields),
        (own.iter().collect(), &mut sealed.credentials),
    ] {
        for field in fields {
            if group.contains_key(&field.id) || !shown(field) {
                continue;
            }
            match field.parse("") {
                Ok(default) if default.is_empty() => {}
                Ok(default) => {
                    group.insert(field.id.clone(), Hidden::new(default));
                }
                Err(_) => {
                    missing.get_or_insert_with(|| field.label.clone());
                }
            }
        }
    }
    missing.map_or(Ok(()), Err)
}

/// Which group of stored values one was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    Fields,
    Credentials,
    Capture,
    New,
}
