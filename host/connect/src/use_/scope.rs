//! The values that templates see for one connection, and the addresses that they make.

use indexmap::IndexMap;
use keyport_manifest::{Oauth2, ResolveError, ResolvedApi, Scope};
use serde_json::{Map, Value, json};

use crate::catalogue::AppEntry;
use crate::error::ConnectError;
use crate::flow::fields::Typed;
use crate::hidden::Hidden;
use crate::record::{ConnectionSealed, Endpoints};
use crate::view::AccountView;

/// Everything that is known of a connection, secrets included: for what the host alone renders.
pub(crate) fn of_connection(sealed: &ConnectionSealed, account: Option<&AccountView>) -> Scope {
    let mut scope = Scope::new();
    scope.set("fields", object(&sealed.fields));
    scope.set("credentials", object(&sealed.credentials));
    scope.set("capture", object(&sealed.capture));
    if let Some(token) = &sealed.token {
        scope.set_value("token", "access_token", json!(token.access.expose()));
        if let Some(refresh) = &token.refresh {
            scope.set_value("token", "refresh_token", json!(refresh.expose()));
        }
    }
    for (name, token) in &sealed.tokens {
        let mut values = json!({ "access_token": token.access.expose() });
        if let (Some(refresh), Some(values)) = (&token.refresh, values.as_object_mut()) {
            values.insert("refresh_token".into(), json!(refresh.expose()));
        }
        scope.set_value("tokens", name, values);
    }
    if let Some(account) = account {
        scope.set(
            "account",
            json!({ "id": account.id, "label": account.label }),
        );
    }
    scope
}

/// What is known before anything was signed in.
pub(crate) fn of_typed(typed: &Typed) -> Scope {
    let mut scope = Scope::new();
    scope.set("fields", object(&typed.fields));
    scope.set("credentials", object(&typed.credentials));
    scope
}

/// Hidden values as one root of a scope, which wipes them when it goes.
pub(crate) fn object(values: &IndexMap<String, Hidden>) -> Value {
    Value::Object(
        values
            .iter()
            .map(|(name, value)| (name.clone(), json!(value.expose())))
            .collect::<Map<_, _>>(),
    )
}

/// The API of a connection that signed in by `method`.
pub(crate) fn api(
    entry: &AppEntry,
    method: &str,
    scope: &Scope,
) -> Result<ResolvedApi, ConnectError> {
    entry
        .manifest
        .resolve_for(method, scope)
        .map_err(address_error)
}

/// Where a sign-in talks to, as far as that is written down and known: what a callback or an answer has yet to say is
/// missing, and [`completed`] fills it in.
pub(crate) fn endpoints(
    entry: &AppEntry,
    oauth: &Oauth2,
    scope: &Scope,
) -> Result<Endpoints, ConnectError> {
    // The app's fields are checked by the manifest before they make an address; the method's own were when they came in.
    let scope = &entry.manifest.checked(scope).map_err(address_error)?;
    let made = oauth.declared_endpoints(scope).map_err(address_error)?;
    let text = |url: Option<url::Url>| url.map(String::from);
    Ok(Endpoints {
        authorize: text(made.authorize),
        token: text(made.token),
        refresh: text(made.refresh),
        issuer: made.issuer,
        revoke: text(made.revoke),
        device: text(made.device),
        introspect: text(made.introspect),
        resources: made.resources,
        jwks: None,
        resource: None,
        tenant: None,
        found: false,
        document: false,
    })
}

/// The endpoints of a flow once its callback is known. What was pinned stays; what was missing is made of the pinned
/// templates and the captures, which were held to their declared form when they came in.
pub(crate) fn completed(
    oauth: &Oauth2,
    pinned: &Endpoints,
    scope: &Scope,
) -> Result<Endpoints, ResolveError> {
    let mut endpoints = pinned.clone();
    if pinned.found || pinned.token.is_some() {
        return Ok(endpoints);
    }
    let made = oauth.declared_endpoints(scope)?;
    endpoints.token = made.token.map(String::from);
    endpoints.refresh = made.refresh.map(String::from);
    Ok(endpoints)
}

pub(crate) fn address_error(error: ResolveError) -> ConnectError {
    match error {
        ResolveError::Field(error) => ConnectError::invalid("fields", error.to_string()),
        other => ConnectError::invalid(
            "fields",
            format!("no safe address can be made of what was entered: {other}"),
        ),
    }
}
