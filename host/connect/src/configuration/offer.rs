//! Which of an app's ways to sign in can be used now, and why the others cannot.

use std::collections::BTreeMap;

use keyport_manifest::{AuthMethod, Manifest};

use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{ConfigurationSealed, Stored};

/// Whether a way to sign in can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Usable {
    Yes,
    /// Why not, for the operator.
    No(String),
}

impl Engine {
    /// Which of an app's ways to sign in can be used now.
    pub(crate) async fn usable(
        &self,
        entry: &AppEntry,
    ) -> Result<BTreeMap<String, Usable>, ConnectError> {
        let config = self.configuration_for(entry.id(), None).await?;
        let sealed = config.as_ref().map(Stored::sealed).transpose()?;
        Ok(entry
            .manifest
            .auth
            .iter()
            .map(|(id, auth)| (id.clone(), usable(&entry.manifest, id, auth, sealed)))
            .collect())
    }
}

/// Refuses a method that this version of Keyport does not run yet, though its manifest is read and checked. Nothing begins
/// past this: neither a sign-in nor an import.
pub(crate) fn check_runs(manifest: &Manifest, id: &str) -> Result<(), ConnectError> {
    match manifest.why_not_run(id) {
        None => Ok(()),
        Some(why) => Err(ConnectError::misconfigured("method_not_run_yet", why)),
    }
}

/// Refuses a method that cannot run here, or that the configuration does not offer.
pub(crate) fn check_offered(
    manifest: &Manifest,
    id: &str,
    auth: &AuthMethod,
    sealed: Option<&ConfigurationSealed>,
) -> Result<(), ConnectError> {
    check_runs(manifest, id)?;
    match usable(manifest, id, auth, sealed) {
        Usable::Yes => Ok(()),
        Usable::No(why) => Err(ConnectError::misconfigured("method_not_available", why)),
    }
}

fn usable(
    manifest: &Manifest,
    id: &str,
    auth: &AuthMethod,
    sealed: Option<&ConfigurationSealed>,
) -> Usable {
    if let Some(why) = manifest.why_not_run(id) {
        return Usable::No(why);
    }
    if let Some(methods) = sealed.and_then(|config| config.methods.as_ref())
        && !methods.iter().any(|offered| offered == id)
    {
        return Usable::No("the operator does not offer this way to sign in".into());
    }
    match auth {
        AuthMethod::Oauth1(oauth)
            if oauth.client.owner.is_none() && sealed.is_none_or(|config| config.client_id.is_none()) =>
        {
            Usable::No("the operator has to register a client for this app and enter its key and secret in a configuration".into())
        }
        AuthMethod::Oauth2(oauth)
            if oauth.client.owner.is_none()
                && !oauth.register
                && sealed.is_none_or(|config| config.client_id.is_none()) =>
        {
            Usable::No("the operator has to register an OAuth client for this app and enter it in a configuration".into())
        }
        _ => Usable::Yes,
    }
}
