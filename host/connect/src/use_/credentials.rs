//! The credentials themselves, for a key that may read them.
//!
//! Never a refresh token, a client secret or a signing key: what one call needs, not what makes more of it. That they
//! were read is durable before they leave.

use indexmap::IndexMap;

use crate::actor::Actor;
use crate::clock;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::view::{IssuedCredentials, KeyScope};

impl Engine {
    /// A connection's access token or keys, in the clear.
    ///
    /// # Errors
    ///
    /// When the key may not, or the connection cannot be used. When it cannot be audited, nothing is told.
    pub async fn credentials(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<IssuedCredentials, ConnectError> {
        actor.require(KeyScope::ReadCredentials)?;
        let stored = self.ready(actor, id, None).await?;
        let sealed = stored.sealed()?;
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let auth = entry.method(&stored.clear.method)?;
        let note = Note::by(actor, "credentials.read")
            .owner(stored.owner())
            .app(&stored.clear.app)
            .connection(id);
        self.commit(vec![self.note(note)?]).await?;
        let token = sealed.token.as_ref();
        // What a recipe signs with stays here: a signing key is not a credential for one call.
        let signing: Vec<String> = signing_fields(&entry.manifest);
        let fields = if token.is_some() {
            IndexMap::new()
        } else {
            auth.fields()
                .iter()
                .filter(|field| !signing.contains(&field.id))
                .filter_map(|field| {
                    Some((
                        field.id.clone(),
                        sealed.credentials.get(&field.id)?.expose().to_owned(),
                    ))
                })
                .collect()
        };
        self.used(&stored).await;
        Ok(IssuedCredentials {
            kind: stored.clear.kind.clone(),
            access_token: token.map(|token| token.access.expose().to_owned()),
            fields,
            expires_at: token.and_then(|token| token.expires_at).map(clock::rfc3339),
        })
    }
}

fn signing_fields(manifest: &keyport_manifest::Manifest) -> Vec<String> {
    manifest
        .recipes
        .values()
        .filter_map(|recipe| match recipe {
            keyport_manifest::Recipe::HmacSha256 { key, .. } => Some(key),
            keyport_manifest::Recipe::Basic { .. } => None,
        })
        .flat_map(|key| key.refs())
        .filter(|at| at.root == "credentials")
        .filter_map(|at| at.name().map(str::to_owned))
        .collect()
}
