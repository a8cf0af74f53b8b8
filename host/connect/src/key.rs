//! Platform keys: 256 random bits, shown once, kept as a hash, with scopes.

use keyport_vault::{Expect, Owner};

use crate::actor::{Actor, PlatformKey};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::record::{self, Entity as _, Key, KeyClear, KeySealed, Seal, Stored};
use crate::view::{CreatedKey, KeyScope, KeyView};
use crate::{clock, ids};

const HASH: &str = "platform key";
const SECRET_PREFIX: &str = "kp_";
/// How exact `last_used_at` is: a write per request would wear out the store for nothing.
const USED_STEP_MS: i64 = 60_000;

impl Engine {
    /// Makes a key. Its secret is in the answer and nowhere else. A platform key gives no scope that it lacks itself: else
    /// `manage` would be every scope.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long, no scope is given, the actor may not, or the store cannot be written.
    pub async fn create_key(
        &self,
        actor: &Actor,
        name: &str,
        scopes: &[KeyScope],
    ) -> Result<CreatedKey, ConnectError> {
        actor.require(KeyScope::Manage)?;
        for scope in scopes {
            actor.require(*scope)?;
        }
        let name = self.check_name("name", name)?;
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            return Err(ConnectError::invalid(
                "scopes",
                "name at least one scope that the key is to have",
            ));
        }
        let entropy = self.inner.entropy.as_ref();
        let id = ids::random_id(entropy, Key::PREFIX)?;
        let secret = ids::random_secret(entropy)?;
        let clear = KeyClear {
            name,
            scopes,
            created_at: self.now(),
            last_used_at: None,
        };
        let sealed = KeySealed {
            hash: ids::hash(HASH, &secret),
        };
        let at = record::record_id::<Key>(&Owner::keyport(), &id);
        self.commit(vec![
            record::put::<Key>(&at, Expect::Absent, &clear, Seal::Put(&sealed))?,
            self.note(Note::by(actor, "key.created").code(&id))?,
        ])
        .await?;
        let number = id.strip_prefix(Key::PREFIX).unwrap_or_default();
        Ok(CreatedKey {
            secret: format!("{SECRET_PREFIX}{}", &*ids::bearer(number, &secret)),
            key: view(&id, &clear),
        })
    }

    /// The key that `secret` is, if it is one. Anything else is `None`, whatever is wrong with it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read; that is not a verdict on the key.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<PlatformKey>, ConnectError> {
        let Some((number, given)) = secret
            .strip_prefix(SECRET_PREFIX)
            .and_then(|rest| rest.split_once('.'))
        else {
            return Ok(None);
        };
        let stored: Stored<Key> = match self.load(&format!("{}{number}", Key::PREFIX)).await {
            Ok(stored) => stored,
            Err(ConnectError::NotFound { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        if !ids::matches(HASH, given, &stored.sealed()?.hash) {
            return Ok(None);
        }
        let now = self.now();
        if stored
            .clear
            .last_used_at
            .is_none_or(|last| now.saturating_sub(last) >= USED_STEP_MS)
        {
            let mut clear = stored.clear.clone();
            clear.last_used_at = Some(now);
            // Only a convenience: whoever wrote in between has written a time as good.
            let _ = self
                .commit(vec![record::put::<Key>(
                    &stored.id,
                    Expect::At(stored.rev),
                    &clear,
                    Seal::Keep,
                )?])
                .await;
        }
        Ok(Some(PlatformKey {
            id: stored.id().to_owned(),
            scopes: stored.clear.scopes,
        }))
    }

    /// All keys, without their secrets.
    ///
    /// # Errors
    ///
    /// When the actor may not, or the store cannot be read.
    pub async fn list_keys(&self, actor: &Actor) -> Result<Vec<KeyView>, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let keys = self.heads::<Key>(Some(&Owner::keyport())).await?;
        Ok(keys.iter().map(|key| view(key.id(), &key.clear)).collect())
    }

    /// Ends a key. Requests that come after it are refused.
    ///
    /// # Errors
    ///
    /// When there is no such key, or the actor may not.
    pub async fn revoke_key(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> {
        actor.require(KeyScope::Manage)?;
        let stored: Stored<Key> = self.load(id).await?;
        self.commit(vec![
            record::delete(&stored.id, Expect::Exists),
            self.note(Note::by(actor, "key.revoked").code(id))?,
        ])
        .await?;
        Ok(())
    }
}

fn view(id: &str, key: &KeyClear) -> KeyView {
    KeyView {
        id: id.to_owned(),
        name: key.name.clone(),
        scopes: key.scopes.clone(),
        created_at: clock::rfc3339(key.created_at),
        last_used_at: key.last_used_at.map(clock::rfc3339),
    }
}
