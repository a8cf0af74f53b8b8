//! Token requests that an app's component makes, where no manifest can say them.
//!
//! The component gets placeholders, reaches the pinned token endpoint and nothing else, and hands on what that answered;
//! tokens are placeholders to it as well (`keyport-plugin`, `exchange`). What it returns is read as an answer of the token
//! endpoint, by the same rules as any other: who the token is for, how long it lives and what is captured stay the
//! manifest's to say.
//!
//! Left out: the manifest's own token parameters and headers (the component writes the request), and refreshes that only
//! prolong a token.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyport_egress::{Purpose, Secret};
use keyport_manifest::{ClientAuth, ExchangeValue, Means, PlainResponse};
use keyport_plugin::{Call, CallError, SecretKit, TokenRequest};
use serde_json::{Map, Value};
use url::Url;

use super::client::{TokenClient, TokenFailure};
use crate::use_::call::{log, minter};

/// What a grant's step is called to a component.
fn step(params: &[(String, String)]) -> &'static str {
    let grant = params.iter().find(|(name, _)| name == "grant_type");
    match grant.map(|(_, grant)| grant.as_str()) {
        Some("refresh_token") => "refresh",
        Some("client_credentials") => "client_credentials",
        Some("urn:ietf:params:oauth:grant-type:device_code") => "device",
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => "jwt_bearer",
        _ => "code",
    }
}

/// Which parameters of a grant are secret.
fn secret(name: &str) -> Option<ExchangeValue> {
    match name {
        "code" | "device_code" => Some(ExchangeValue::Code),
        "code_verifier" => Some(ExchangeValue::CodeVerifier),
        "refresh_token" => Some(ExchangeValue::RefreshToken),
        "assertion" => Some(ExchangeValue::Assertion),
        _ => None,
    }
}

impl TokenClient<'_> {
    /// Has the component ask for a token with these parameters of a grant.
    pub(super) async fn by_component(
        &self,
        url: &Url,
        params: &[(String, String)],
    ) -> Result<PlainResponse, TokenFailure> {
        self.pinned(url)?;
        let broken = |_| TokenFailure::misconfigured("app_gone");
        let entry = self.engine.inner.catalogue.get(self.app).map_err(broken)?;
        let component = entry.component().map_err(broken)?;
        let mut public = Map::new();
        public.insert("url".to_owned(), url.as_str().into());
        public.insert("client_id".to_owned(), self.keys.id.as_str().into());
        let mut secrets = Vec::new();
        for (name, value) in params {
            match secret(name) {
                Some(which) => secrets.push((which, Secret::new(value.as_str()))),
                None => {
                    public.insert(name.clone(), value.as_str().into());
                }
            }
        }
        if let Some(key) = &self.keys.secret {
            secrets.push((ExchangeValue::ClientSecret, Secret::new(key.expose())));
        }
        let mut pass = self.engine.own_pass(self.owner, url)?;
        pass.purpose = Purpose::Guest;
        pass.base_url = Some(url.clone());
        if self.keys.auth.unwrap_or(self.oauth.client_auth) == ClientAuth::Tls {
            pass.identity = Some(self.certificate(&pass.hosts)?);
        }
        let app = self.app.to_owned();
        let call = Call {
            manifest: entry.guest_view(self.method),
            values: self.public_values(&entry.manifest),
            egress: self.engine.inner.egress.clone(),
            pass,
            secrets: SecretKit {
                recipes: entry.manifest.recipes.clone(),
                handles: entry.manifest.handles.clone(),
                scope: self.scope.clone(),
                minter: Some(minter(self.engine.now())),
            },
            log: Arc::new(move |line| log(&app, &line)),
            read_only: false,
            deadline: self.engine.inner.options.token_request,
        };
        let request = TokenRequest {
            oauth: Arc::new(self.oauth.clone()),
            public,
            secrets,
        };
        let answer = self
            .in_turn(url, async {
                component
                    .exchange(call, step(params), request)
                    .await
                    .map_err(failure)
            })
            .await?;
        Ok(PlainResponse {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: answer.expose().as_bytes().to_vec(),
        })
    }

    /// What was typed and is no secret.
    fn public_values(&self, manifest: &keyport_manifest::Manifest) -> BTreeMap<String, String> {
        let own = manifest.auth.get(self.method);
        let own = own.map(|auth| auth.fields()).unwrap_or_default();
        let app = manifest.app_fields().map(|field| ("fields", field));
        app.chain(own.iter().map(|field| ("credentials", field)))
            .filter(|(_, field)| !field.secret)
            .filter_map(|(root, field)| {
                let value = self.scope.get(root, &field.id).and_then(Value::as_str)?;
                Some((field.id.clone(), value.to_owned()))
            })
            .collect()
    }
}

/// What a component's failure is to a sign-in. One that broke in the middle may have used up what it was given.
fn failure(error: CallError) -> TokenFailure {
    match error {
        CallError::Failure(failure) => {
            let code = if failure.code.is_empty() {
                failure.means.as_str().to_owned()
            } else {
                failure.code
            };
            match failure.means {
                Means::NeedsReconnect | Means::MissingScope | Means::InvalidInput => {
                    TokenFailure::Refused { code }
                }
                Means::RateLimited | Means::ProviderDown => TokenFailure::Down {
                    code,
                    unseen: false,
                    retry_after_ms: failure.retry_after_ms,
                },
                _ => TokenFailure::Unreadable { code },
            }
        }
        CallError::Timeout { .. } => TokenFailure::Down {
            code: "timeout".into(),
            unseen: false,
            retry_after_ms: None,
        },
        CallError::Busy => TokenFailure::Down {
            code: "busy".into(),
            unseen: true,
            retry_after_ms: None,
        },
        CallError::NoSuchExport { .. } => TokenFailure::misconfigured("no_exchange_export"),
        other => {
            tracing::error!(error = %other, "a component is at fault");
            TokenFailure::Unreadable {
                code: other.code().into(),
            }
        }
    }
}
