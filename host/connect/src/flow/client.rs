//! Whose OAuth client signs in, and which hosts may see its secret.
//!
//! Threat: the operator's client secret is sent to a host that a user typed. An operator's client is used only where
//! every endpoint of the flow is on a host that its configuration pins; anywhere else the owner brings a client of their
//! own, or the flow is refused before a request leaves.

use keyport_manifest::{Oauth2, RenderError, Scope, Slot};
use url::Url;

use crate::configuration::pins;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{ClientKeys, ConfigurationSealed, Endpoints, Whose};

/// The client for a flow or a refresh at these endpoints. `scope` holds the person's fields.
pub(crate) fn choose(
    oauth: &Oauth2,
    scope: &Scope,
    endpoints: &Endpoints,
    config: Option<&ConfigurationSealed>,
) -> Result<ClientKeys, ConnectError> {
    if let Some(own) = owners(oauth, scope)? {
        return Ok(own);
    }
    let operators = config
        .filter(|_| oauth.client.operator)
        .and_then(|config| Some((config, config.client_id.clone()?)));
    let Some((config, id)) = operators else {
        return Err(if oauth.client.owner.is_some() {
            ConnectError::invalid(
                owner_field(oauth),
                "enter the OAuth client that you registered at the app for this",
            )
        } else {
            ConnectError::misconfigured(
                "not_configured",
                "the operator has to register an OAuth client for this app and enter it in a configuration",
            )
        });
    };
    let allowed = pins(config);
    // An endpoint that a callback has yet to say is held to the pins when it is used.
    let everywhere = [
        endpoints.token.as_ref(),
        endpoints.refresh.as_ref(),
        endpoints.revoke.as_ref(),
        endpoints.device.as_ref(),
        endpoints.introspect.as_ref(),
    ];
    for url in everywhere.into_iter().flatten() {
        let pinned = Url::parse(url).is_ok_and(|url| allowed.allows(&url));
        if !pinned {
            return Err(ConnectError::misconfigured(
                "client_not_for_this_host",
                if oauth.client.owner.is_some() {
                    "the operator's OAuth client is not for this host; enter one that you registered there"
                } else {
                    "the operator's OAuth client is not for this host; the operator has to add its origin to the configuration"
                },
            ));
        }
    }
    Ok(ClientKeys {
        id,
        secret: config.client_secret.clone(),
        auth: None,
        whose: Whose::Operator,
        pins: Some(config.origins.clone()),
    })
}

/// The client that a connection's own requests may name, where its manifest says so: the owner's, or the operator's. Its
/// secret is for its pins alone; whoever sends it looks at them.
pub(crate) fn of_app(
    oauth: &Oauth2,
    scope: &Scope,
    config: Option<&ConfigurationSealed>,
) -> Result<Option<ClientKeys>, ConnectError> {
    if let Some(own) = owners(oauth, scope)? {
        return Ok(Some(own));
    }
    let config = config.filter(|_| oauth.client.operator);
    Ok(config.and_then(|config| {
        Some(ClientKeys {
            id: config.client_id.clone()?,
            secret: config.client_secret.clone(),
            auth: None,
            whose: Whose::Operator,
            pins: Some(config.origins.clone()),
        })
    }))
}

/// The owner's own client, if they entered one.
pub(crate) fn owners(oauth: &Oauth2, scope: &Scope) -> Result<Option<ClientKeys>, ConnectError> {
    let Some(own) = &oauth.client.owner else {
        return Ok(None);
    };
    let render = |template: &keyport_manifest::Template| match template.render(scope, Slot::Raw) {
        Ok(text) => Ok(Some(text)),
        // The field was left empty.
        Err(RenderError::Missing(_)) => Ok(None),
        Err(_) => Err(ConnectError::invalid(
            owner_field(oauth),
            "the OAuth client that you entered cannot be used",
        )),
    };
    let Some(id) = render(&own.id)?.filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let secret = match &own.secret {
        Some(template) => render(template)?
            .filter(|secret| !secret.is_empty())
            .map(Hidden::new),
        None => None,
    };
    Ok(Some(ClientKeys {
        id,
        secret,
        auth: None,
        whose: Whose::Owner,
        pins: None,
    }))
}

/// The field that the owner's client id comes from, for messages at the form.
fn owner_field(oauth: &Oauth2) -> String {
    oauth
        .client
        .owner
        .as_ref()
        .and_then(|own| {
            own.id
                .refs()
                .first()
                .and_then(|at| at.name().map(str::to_owned))
        })
        .unwrap_or_else(|| "client_id".to_owned())
}
