//! A call of an app's component for a connection that nobody made: an author tries the app (`keyport test`).
//!
//! The call is built as every other one is, from the manifest and the values that are given, so it may do what a call of a
//! real connection may and no more. Nothing is stored, and no session, discovery or token request is run before: what those
//! would have found is given. Where egress leads is decided by whoever made this engine.

use indexmap::IndexMap;
use keyport_plugin::{Call, LoadedApp};
use keyport_vault::Owner;

use super::pass::PassParts;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{ConnectionSealed, Oauth1Token, Token};
use crate::view::AccountView;

/// What a connection of the app would hold. It has no `Debug`: there may be real credentials in it.
#[derive(Clone, Default)]
pub struct Trial {
    /// The way to sign in.
    pub method: String,
    /// The app's fields.
    pub fields: IndexMap<String, String>,
    /// The fields of the way to sign in.
    pub credentials: IndexMap<String, String>,
    /// What a sign-in or discovery would have kept.
    pub capture: IndexMap<String, String>,
    /// The access token, where the way to sign in has one.
    pub access_token: Option<String>,
    /// The token's secret, where the way to sign in is OAuth 1.0a.
    pub token_secret: Option<String>,
    /// Whose connection it would be: id and label.
    pub account: Option<(String, String)>,
}

impl Engine {
    /// A call for such a connection, and the component that it is for.
    ///
    /// # Errors
    ///
    /// When there is no such app or way to sign in, or the values make no safe address or no credential.
    pub async fn trial(
        &self,
        app: &str,
        trial: &Trial,
        read_only: bool,
    ) -> Result<(Call, LoadedApp), ConnectError> {
        let entry = self.inner.catalogue.get(app)?;
        entry.method(&trial.method)?;
        let hidden = |values: &IndexMap<String, String>| {
            values
                .iter()
                .map(|(id, value)| (id.clone(), Hidden::new(value.as_str())))
                .collect()
        };
        let mut sealed = ConnectionSealed {
            fields: hidden(&trial.fields),
            credentials: hidden(&trial.credentials),
            capture: hidden(&trial.capture),
            ..ConnectionSealed::default()
        };
        match (&trial.access_token, &trial.token_secret) {
            (Some(token), Some(secret)) => {
                sealed.oauth1 = Some(Oauth1Token {
                    token: Hidden::new(token.as_str()),
                    secret: Hidden::new(secret.as_str()),
                });
            }
            (Some(token), None) => {
                sealed.token = Some(Token {
                    access: Hidden::new(token.as_str()),
                    ..Token::default()
                });
            }
            (None, _) => {}
        }
        let account = trial.account.as_ref().map(|(id, label)| AccountView {
            id: id.clone(),
            label: label.clone(),
        });
        let parts = PassParts {
            entry: &entry,
            owner: &Owner::keyport(),
            method: &trial.method,
            sealed: &sealed,
            account: account.as_ref(),
            config: None,
        };
        let call = self.component_call(&parts, read_only).await?;
        Ok((call, entry.loaded_app()?))
    }
}
