//! The credentials themselves, for a key that may read them.
//!
//! Never a refresh token, a client secret or a signing key: what one call needs, not what makes more of it. That they
//! were read is durable before they leave.

use indexmap::IndexMap;
use keyport_manifest::{AuthMethod, Manifest, Recipe, Template};

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
        let signing: Vec<String> = signing_fields(&entry.manifest, auth);
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

/// The method's fields that sign: with one of these, whoever reads it makes as many requests or tokens as they like.
fn signing_fields(manifest: &Manifest, auth: &AuthMethod) -> Vec<String> {
    let recipes = manifest.recipes.values().filter_map(Recipe::signing_key);
    let own: Vec<&Template> = match auth {
        AuthMethod::Jwt(m) => vec![&m.sign.key],
        AuthMethod::Hmac(m) => vec![&m.key],
        AuthMethod::Wsse(m) => vec![&m.secret],
        AuthMethod::Mtls(m) => vec![&m.private_key],
        AuthMethod::AwsSigv4(m) => vec![&m.secret_access_key],
        AuthMethod::Oauth1(m) => {
            let client = m.client.owner.as_ref().and_then(|own| own.secret.as_ref());
            client.into_iter().chain(&m.token_secret).collect()
        }
        AuthMethod::Oauth2(_)
        | AuthMethod::ApiKey(_)
        | AuthMethod::Basic(_)
        | AuthMethod::Bearer(_)
        | AuthMethod::Session(_)
        | AuthMethod::None(_) => Vec::new(),
    };
    recipes
        .chain(own)
        .flat_map(Template::refs)
        .filter(|at| at.root == "credentials")
        .filter_map(|at| at.name().map(str::to_owned))
        .collect()
}
