//! A client that this host registers by itself (RFC 7591), or that is nothing but its own document (Client ID Metadata
//! Documents).
//!
//! One registration for each owner, server and callback address, made when somebody first signs in there and used from then
//! on. What the server answers wins over what was asked, but for one thing: a callback address that is not ours would send
//! codes elsewhere, so such an answer is refused. An attacker's server may answer with somebody else's `client_id`; it is
//! only ever used at that server (A35). Nothing that a registration links to is fetched.

use keyport_manifest::{ClientAuth, Oauth2, PlainRequest};
use keyport_vault::{Expect, Owner};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::discover::Found;
use super::failure::TokenFailure;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::ids;
use crate::record::{
    self, ClientKeys, Endpoints, Entity as _, Registration, RegistrationClear, RegistrationSealed,
    Seal, Stored, Whose,
};

/// What servers call this host in their lists.
const NAME: &str = "Keyport";
/// The longest id or secret that is taken.
const LONGEST: usize = 4096;

#[derive(Deserialize)]
struct Answer {
    client_id: String,
    #[serde(default)]
    client_secret: Option<String>,
    /// Seconds since 1970; 0 is never.
    #[serde(default)]
    client_secret_expires_at: Option<i64>,
    #[serde(default)]
    redirect_uris: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    registration_access_token: Option<String>,
    #[serde(default)]
    registration_client_uri: Option<String>,
}

impl Engine {
    /// The client for a server that nobody registered at: this host's own document where the server takes one, else the
    /// registration that there is, else a new one.
    pub(crate) async fn client_found(
        &self,
        owner: &Owner,
        oauth: &Oauth2,
        found: &Found,
        config: &str,
        scopes: &[String],
    ) -> Result<ClientKeys, ConnectError> {
        if let Some(keys) = self.registered(owner, &found.endpoints, config).await? {
            return Ok(keys);
        }
        let at = found.registration.as_deref().ok_or_else(|| {
            ConnectError::misconfigured(
                "not_configured",
                "this server does not let clients register by themselves; the operator has to register an OAuth client there and enter it in a configuration",
            )
        })?;
        Ok(self
            .register(owner, oauth, found, at, config, scopes)
            .await?)
    }

    /// The client that is good at these endpoints, if there is one already.
    pub(crate) async fn registered(
        &self,
        owner: &Owner,
        endpoints: &Endpoints,
        config: &str,
    ) -> Result<Option<ClientKeys>, ConnectError> {
        let issuer = endpoints.issuer.as_deref().unwrap_or_default();
        let segment = Engine::callback_of_server(config, issuer);
        if endpoints.document
            && let Some(id) = self.client_document_url(&segment)
        {
            return Ok(Some(ClientKeys {
                id,
                secret: None,
                auth: Some(ClientAuth::None),
                whose: Whose::Document,
                pins: None,
            }));
        }
        let id = registration_id(owner, issuer, &self.redirect_uri(&segment));
        match self.load::<Registration>(&id).await {
            Ok(stored) => {
                let over = |until: i64| self.now() >= until;
                if stored.clear.secret_until.is_some_and(over) {
                    return Ok(None);
                }
                let sealed = stored.sealed()?;
                Ok((sealed.issuer == issuer).then(|| sealed.client.clone()))
            }
            Err(ConnectError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Forgets a registration that its server does not know any more, so that it is registered anew. `client` is the one that
    /// was refused: one that somebody has registered meanwhile is left alone.
    pub(crate) async fn forget_registration(
        &self,
        owner: &Owner,
        endpoints: &Endpoints,
        config: &str,
        client: Option<&str>,
    ) {
        let issuer = endpoints.issuer.as_deref().unwrap_or_default();
        let segment = Engine::callback_of_server(config, issuer);
        let id = registration_id(owner, issuer, &self.redirect_uri(&segment));
        let Ok(stored) = self.load::<Registration>(&id).await else {
            return;
        };
        let kept = stored.sealed().ok().map(|sealed| sealed.client.id.as_str());
        if client.is_some_and(|refused| kept.is_some_and(|kept| kept != refused)) {
            return;
        }
        let gone = record::delete(&stored.id, Expect::At(stored.rev));
        match self.commit(vec![gone]).await {
            Ok(_) | Err(ConnectError::Stale) => {}
            Err(error) => {
                tracing::warn!(%owner, code = error.code(), "a dead registration was not forgotten");
            }
        }
    }

    async fn register(
        &self,
        owner: &Owner,
        oauth: &Oauth2,
        found: &Found,
        at: &str,
        config: &str,
        scopes: &[String],
    ) -> Result<ClientKeys, TokenFailure> {
        let url = Url::parse(at).map_err(|_| TokenFailure::misconfigured("bad_endpoint"))?;
        let issuer = found.endpoints.issuer.as_deref().unwrap_or_default();
        let redirect = self.redirect_uri(&Engine::callback_of_server(config, issuer));
        let wanted = method_name(oauth.client_auth)
            .ok_or_else(|| TokenFailure::misconfigured("client_auth_not_registrable"))?;
        let mut body = json!({
            "client_name": NAME,
            "redirect_uris": [redirect],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": wanted,
        });
        if let (Some(scopes), Some(body)) = (
            oauth.scopes.join(scopes.iter().map(String::as_str)),
            body.as_object_mut(),
        ) {
            body.insert("scope".into(), Value::String(scopes));
        }
        let request = PlainRequest {
            method: "POST".to_owned(),
            url: url.to_string(),
            headers: vec![
                ("accept".to_owned(), "application/json".to_owned()),
                ("content-type".to_owned(), "application/json".to_owned()),
            ],
            body: Some(body.to_string().into_bytes()),
        };
        let response = self.fetch(owner, &url, request).await?;
        // RFC 7591, 3.2.1 says 201; 200 is common.
        if !matches!(response.status, 200 | 201) {
            return Err(match response.status {
                408 | 425 | 429 | 500..=599 => TokenFailure::Down {
                    code: format!("http_{}", response.status),
                    unseen: false,
                    retry_after_ms: None,
                },
                _ => TokenFailure::misconfigured("registration_refused"),
            });
        }
        let unreadable = || TokenFailure::misconfigured("registration_unreadable");
        let answer: Answer = serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
        let fits = |text: &String| {
            !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
        };
        if !fits(&answer.client_id) || !answer.client_secret.iter().all(fits) {
            return Err(unreadable());
        }
        if answer
            .redirect_uris
            .as_ref()
            .is_some_and(|uris| !uris.contains(&redirect))
        {
            return Err(TokenFailure::misconfigured("registration_redirect"));
        }
        let auth = match answer.token_endpoint_auth_method.as_deref() {
            None => oauth.client_auth,
            Some(name) => method_of(name).ok_or_else(unreadable)?,
        };
        let client = ClientKeys {
            id: answer.client_id,
            secret: answer.client_secret.map(Hidden::new),
            auth: Some(auth),
            whose: Whose::Registered,
            pins: None,
        };
        let sealed = RegistrationSealed {
            issuer: found.endpoints.issuer.clone().unwrap_or_default(),
            client: client.clone(),
            access_token: answer.registration_access_token.map(Hidden::new),
            uri: answer.registration_client_uri,
        };
        let clear = RegistrationClear {
            created_at: self.now(),
            secret_until: answer
                .client_secret_expires_at
                .filter(|at| *at > 0)
                .map(|at| at.saturating_mul(1000)),
        };
        let id = registration_id(owner, &sealed.issuer, &redirect);
        let at = record::record_id::<Registration>(owner, &id);
        let expect = match self.load::<Registration>(&id).await {
            Ok(old) => Expect::At(old.rev),
            Err(_) => Expect::Absent,
        };
        let write = record::put::<Registration>(&at, expect, &clear, Seal::Put(&sealed));
        match self
            .commit(vec![write.map_err(|error| TokenFailure::from(&error))?])
            .await
        {
            Ok(_) => Ok(client),
            // Somebody else of this owner registered at the same time: theirs is used, this one is never heard of again.
            Err(ConnectError::Stale) => {
                let stored: Stored<Registration> = self
                    .load(&id)
                    .await
                    .map_err(|error| TokenFailure::from(&error))?;
                let sealed = stored
                    .sealed()
                    .map_err(|error| TokenFailure::from(&error))?;
                Ok(sealed.client.clone())
            }
            Err(error) => Err(TokenFailure::from(&error)),
        }
    }

    /// The address of this host's own client document for one server, where servers can reach it: https, and not this
    /// machine.
    fn client_document_url(&self, segment: &str) -> Option<String> {
        let public = &self.inner.public_url;
        let reachable = public.scheme() == "https"
            && matches!(public.host(), Some(url::Host::Domain(name)) if name.contains('.'));
        reachable.then(|| self.here(&format!("/oauth/client/{segment}")))
    }

    /// What this host says about itself as a client (Client ID Metadata Documents): the document at the address that it
    /// says is its id. Holds nothing that is not public. `segment` is a configuration and a server, as in a callback's
    /// address; whoever makes one up gets a document that leads to no flow.
    ///
    /// # Errors
    ///
    /// When there is no such configuration, or no server could reach it here.
    pub async fn client_document(&self, segment: &str) -> Result<Value, ConnectError> {
        let missing = || ConnectError::not_found(record::Configuration::WHAT);
        let id = self.client_document_url(segment).ok_or_else(missing)?;
        let config = Engine::configuration_of_callback(segment);
        let _: Stored<record::Configuration> = self.load(config).await?;
        Ok(json!({
            "client_id": id,
            "client_name": NAME,
            "client_uri": self.here("/"),
            "redirect_uris": [self.redirect_uri(segment)],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }))
    }
}

/// Made of what a registration belongs to, so that it is found without an index.
fn registration_id(owner: &Owner, issuer: &str, redirect: &str) -> String {
    let mut sha = Sha256::new();
    for part in [owner.as_str(), issuer, redirect] {
        sha.update(u64::try_from(part.len()).unwrap_or(0).to_be_bytes());
        sha.update(part.as_bytes());
    }
    ids::id_of_digest(Registration::PREFIX, &sha.finalize())
}

/// The name of a way to prove a client (RFC 7591, 2), of those that a registration can have without a key of ours.
fn method_name(auth: ClientAuth) -> Option<&'static str> {
    Some(match auth {
        ClientAuth::None => "none",
        ClientAuth::Body => "client_secret_post",
        ClientAuth::Basic | ClientAuth::BasicRaw => "client_secret_basic",
        ClientAuth::ClientSecretJwt => "client_secret_jwt",
        ClientAuth::BasicSecret | ClientAuth::PrivateKeyJwt | ClientAuth::Tls => return None,
    })
}

fn method_of(name: &str) -> Option<ClientAuth> {
    Some(match name {
        "none" => ClientAuth::None,
        "client_secret_post" => ClientAuth::Body,
        "client_secret_basic" => ClientAuth::Basic,
        "client_secret_jwt" => ClientAuth::ClientSecretJwt,
        _ => return None,
    })
}
