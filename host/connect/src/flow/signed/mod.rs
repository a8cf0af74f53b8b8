//! Sign-in by OAuth 1.0a (RFC 5849, part 2): temporary credentials, the app's own page, the token.
//!
//! There is no state in OAuth 1.0a. What binds the answer to the flow is that the callback's path names the app
//! configuration and its query the flow (`keyport_flow`, put there by us and returned by the app), that the browser has the
//! cookie of that flow, and that `oauth_token` is the temporary one that was issued for it (R55, R56). Without
//! `oauth_callback_confirmed=true` the app speaks the first version of the protocol, in which anybody could finish somebody
//! else's sign-in: it is refused.
//!
//! | module | what lives in it |
//! |---|---|
//! | this one | the sign-in begins: everything pinned and sealed |
//! | [`ask`] | the two signed requests: for temporary credentials, and for the token |
//! | [`callback`] | the browser leaves with the one and comes back for the other |

mod ask;
mod callback;

use keyport_manifest::resolve::url_of;
use keyport_manifest::{Oauth1, Scope, Slot, Template};
use keyport_vault::Expect;
use url::Url;

use super::begin::Begun;
use crate::configuration::pins;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;
use crate::record::{
    self, Entity as _, Flow, Seal, SignedFlow, SignedFlowClear, SignedFlowSealed, Stored,
};
use crate::signing::oauth1_client;
use crate::view::{FlowStarted, OauthStart, SessionCtx};

/// The parameter of our callback that names the flow.
pub(super) const FLOW: &str = "keyport_flow";

impl Engine {
    /// Begins a sign-in. Nothing leaves this host yet.
    pub(super) async fn start_signed(
        &self,
        session: &SessionCtx,
        start: OauthStart,
        rule: Oauth1,
    ) -> Result<FlowStarted, ConnectError> {
        let entry = self.inner.catalogue.get(&start.app)?;
        let Begun {
            typed,
            title,
            config,
            known,
            reactivates,
        } = self.begin(session, &entry, &start).await?;
        let request_url = endpoint(rule.request_token_url.as_ref(), &known)?;
        let authorize_url = endpoint(rule.authorize_url.as_ref(), &known)?;
        let access_url = endpoint(rule.access_token_url.as_ref(), &known)?;
        let authorize_url = with_params(authorize_url, &rule, &known)?;
        let operators = pins(config.sealed()?);
        let client = oauth1_client(&rule, &known, Some(config.sealed()?), || {
            [&request_url, &access_url]
                .into_iter()
                .all(|url| operators.allows(url))
        })?;
        let id = ids::random_id(self.inner.entropy.as_ref(), Flow::PREFIX)?;
        let mut callback = Url::parse(&self.redirect_uri(config.id())).map_err(|_| broken())?;
        callback.query_pairs_mut().append_pair(FLOW, &id);
        let sealed = SignedFlowSealed {
            method: start.method,
            config: config.id().to_owned(),
            rule,
            client,
            request_url: request_url.into(),
            authorize_url: authorize_url.into(),
            access_url: access_url.into(),
            callback: callback.into(),
            temporary: None,
            browser: None,
            fields: typed.fields,
            credentials: typed.credentials,
            title,
            reactivates,
        };
        let clear = self.new_flow(session, start.app, start.mode);
        let pinned = record::put::<SignedFlow>(
            &record::record_id::<SignedFlow>(&session.owner, &id),
            Expect::Absent,
            &SignedFlowClear {
                expires_at: clear.expires_at,
            },
            Seal::Put(&sealed),
        )?;
        let stored = self
            .put_flow(session, &id, clear, None, Some(pinned))
            .await?;
        Ok(FlowStarted {
            flow: super::bare_view(&stored),
            go_url: format!("/page/go/{id}"),
        })
    }

    /// What a flow pins, if it is one of OAuth 1.0a.
    pub(in crate::flow) async fn signed_flow(
        &self,
        flow_id: &str,
    ) -> Result<Option<Stored<SignedFlow>>, ConnectError> {
        match self.load::<SignedFlow>(flow_id).await {
            Ok(signed) => Ok(Some(signed)),
            Err(ConnectError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

fn endpoint(template: Option<&Template>, known: &Scope) -> Result<Url, ConnectError> {
    let template = template.ok_or_else(broken)?;
    url_of(template, known).map_err(|error| {
        ConnectError::invalid(
            "fields",
            format!("no safe address can be made of what was entered: {error}"),
        )
    })
}

fn with_params(mut url: Url, rule: &Oauth1, known: &Scope) -> Result<Url, ConnectError> {
    let mut params: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    for (name, template) in &rule.authorize_params {
        // The browser sees this URL, and what the flow itself puts there is the flow's.
        if name.starts_with("oauth_") {
            continue;
        }
        let value = template
            .render_optional(known, Slot::Raw)
            .map_err(|_| broken())?
            .unwrap_or_default();
        params.retain(|(known, _)| known != name);
        params.push((name.clone(), value));
    }
    params.retain(|(name, value)| name != "oauth_token" && !value.is_empty());
    url.query_pairs_mut().clear().extend_pairs(params);
    if url.query() == Some("") {
        url.set_query(None);
    }
    Ok(url)
}

fn broken() -> ConnectError {
    ConnectError::misconfigured(
        "bad_authorize_url",
        "this app's sign-in address cannot be used; tell the operator",
    )
}
