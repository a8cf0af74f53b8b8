//! Sign-in without a page: the client signs in as itself, or with a signed assertion (RFC 6749, 4.4; RFC 7523, 2.1).
//!
//! The person fills in a form, mostly with a client or a key of their own; the token is asked for at once. From then on it is
//! asked for again whenever it is about to end: there is nothing to refresh.

use indexmap::IndexMap;
use keyport_vault::Owner;

use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{Configuration, Flow, FlowSealed, Stored};
use crate::token::client::{For, TokenClient};
use crate::token::exchange::{flow_scope, token_scope};
use crate::use_::scope;

use super::fields::Typed;
use super::start::Prepared;

impl Engine {
    /// Everything that asking for the token takes, decided once.
    pub(super) async fn prepare_unattended(
        &self,
        owner: &Owner,
        entry: &AppEntry,
        method: &str,
        typed: Typed,
        config: Option<&Stored<Configuration>>,
    ) -> Result<FlowSealed, ConnectError> {
        let oauth = entry.oauth(method)?.clone();
        let known = entry.manifest.with_variant(&scope::of_typed(&typed));
        let Prepared {
            oauth,
            endpoints,
            client,
            scopes,
        } = self.prepare(owner, entry, oauth, &known, config).await?;
        let variant = typed.fields.get(keyport_manifest::VARIANT_FIELD);
        let variant = entry
            .manifest
            .variant_values(variant.map(|key| key.expose()));
        Ok(FlowSealed {
            variant,
            method: method.to_owned(),
            config: config
                .map(|config| config.id().to_owned())
                .unwrap_or_default(),
            redirect_uri: String::new(),
            oauth,
            client,
            endpoints,
            scopes,
            verifier: None,
            state: None,
            browser: None,
            fields: typed.fields,
            credentials: typed.credentials,
            title: None,
            reactivates: None,
            nonce: None,
            anew: false,
            device: None,
        })
    }

    /// Asks for the token and finishes the flow with it, whatever came.
    pub(super) async fn sign_in_unattended(&self, flow: Stored<Flow>, sealed: FlowSealed) {
        let seen = token_scope(flow_scope(&sealed), &sealed.client, self.now());
        let granted = {
            let client = TokenClient {
                engine: self,
                owner: flow.owner(),
                app: &flow.clear.app,
                method: &sealed.method,
                oauth: &sealed.oauth,
                keys: &sealed.client,
                endpoints: &sealed.endpoints,
                scope: &seen,
                purpose: For::Grant,
            };
            self.ask_unattended(&client, &sealed.scopes, 1).await
        };
        self.finish_sign_in(flow, sealed, granted, IndexMap::new())
            .await;
    }
}
