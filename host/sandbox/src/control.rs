//! The control API for tests: what a vendor does behind one's back, on request.
//!
//! Off unless the configuration says so. It has no credential; every write wants a JSON content type, which keeps other
//! sites' forms out, and `guard` keeps their scripts out.
//!
//! | call | body | effect |
//! |---|---|---|
//! | `GET /control/stats` | | counts: [`crate::Stats`] |
//! | `GET /control/credentials` | | everybody's demo credentials |
//! | `POST /control/credentials` | `{user, kind, action: renew \| revoke}` | replaces or revokes one |
//! | `POST /control/revoke-grants` | `{user?}` | ends a user's grants, or all |
//! | `POST /control/expire-access-tokens` | `{}` | ends all access tokens, leaves refresh tokens |
//! | `POST /control/faults` | [`Fault`] | lines up misbehaviour; `DELETE` forgets it |
//! | `POST /control/auto-consent` | `{user?}` | that user allows everything unasked; without one, the page is back |
//! | `POST /control/redirects` | `{client, uri?, prefix?}` | registers a redirect URI or a loopback prefix |
//! | `POST /control/clients` | `{id, secret, redirect_prefix}` | registers a client |
//! | `POST /control/client-events` | `{client, url, secret}` | where that client has everybody's events sent; it must answer a challenge |
//! | `GET /control/deliveries` | | webhooks that were sent, with what was answered |
//! | `POST /control/deliveries` | `{id, how, account?}` | sends one again, as it should or as it should not be: `deliver::How` |
//!
//! `user` is an id or an e-mail address.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::VendorError;
use crate::errors::ApiError;
use crate::hooks::deliver::How;
use crate::hooks::{Hook, HookOf, address};
use crate::{Client, CredentialKind, Fault, Stats, Vendor, random};

pub(crate) fn routes() -> Router<Vendor> {
    Router::new()
        .route("/control/stats", get(stats))
        .route(
            "/control/credentials",
            get(credentials).post(set_credential),
        )
        .route("/control/revoke-grants", post(revoke_grants))
        .route("/control/expire-access-tokens", post(expire))
        .route("/control/faults", post(fault).delete(clear))
        .route("/control/auto-consent", post(auto_consent))
        .route("/control/redirects", post(redirects))
        .route("/control/clients", post(client))
        .route("/control/client-events", post(client_events))
        .route("/control/deliveries", get(deliveries).post(redeliver))
}

type Body<T> = Result<Json<T>, JsonRejection>;

fn body<T>(body: Body<T>) -> Result<T, ApiError> {
    body.map(|Json(value)| value).map_err(|_| {
        ApiError::bad_request("send the JSON that this call takes, with its content type")
    })
}

impl From<VendorError> for ApiError {
    fn from(error: VendorError) -> Self {
        match error {
            VendorError::UnknownUser => {
                Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such user")
            }
            VendorError::UnknownClient => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is no such client",
            ),
            VendorError::NoRandomness => Self::internal(),
            _ => Self::bad_request("this redirect cannot be registered"),
        }
    }
}

async fn stats(State(vendor): State<Vendor>) -> Json<Stats> {
    Json(vendor.stats())
}

async fn credentials(State(vendor): State<Vendor>) -> Json<Value> {
    let all: Vec<Value> = vendor
        .demo_credentials()
        .iter()
        .map(|own| {
            json!({
                "user_id": own.user_id,
                "email": own.email,
                "api_key": own.api_key,
                "personal_token": own.personal_token,
                "password": own.password,
                "signing_key_id": own.signing_key_id,
                "signing_secret": own.signing_secret,
            })
        })
        .collect();
    Json(json!({ "credentials": all }))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Renew,
    Revoke,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetCredential {
    user: String,
    kind: CredentialKind,
    action: Change,
}

async fn set_credential(
    State(vendor): State<Vendor>,
    sent: Body<SetCredential>,
) -> Result<StatusCode, ApiError> {
    let set = body(sent)?;
    vendor.set_credential(&set.user, set.kind, matches!(set.action, Change::Renew))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    #[serde(default)]
    user: Option<String>,
}

async fn revoke_grants(
    State(vendor): State<Vendor>,
    sent: Body<Who>,
) -> Result<Json<Value>, ApiError> {
    let who = body(sent)?;
    let revoked = vendor.revoke_grants(who.user.as_deref())?;
    Ok(Json(json!({ "revoked": revoked })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn expire(State(vendor): State<Vendor>, sent: Body<Nothing>) -> Result<StatusCode, ApiError> {
    body(sent)?;
    vendor.expire_access_tokens();
    Ok(StatusCode::NO_CONTENT)
}

async fn fault(State(vendor): State<Vendor>, sent: Body<Fault>) -> Result<StatusCode, ApiError> {
    if vendor.fault(body(sent)?) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::bad_request(
            "a fault needs times above 0, a status from 200 to 599 if any, at most 120000 hang_ms, and room in the queue",
        ))
    }
}

async fn clear(State(vendor): State<Vendor>) -> StatusCode {
    vendor.clear_faults();
    StatusCode::NO_CONTENT
}

async fn auto_consent(
    State(vendor): State<Vendor>,
    sent: Body<Who>,
) -> Result<StatusCode, ApiError> {
    let who = body(sent)?;
    vendor.auto_consent(who.user.as_deref())?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redirects {
    client: String,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    prefix: Option<String>,
}

async fn redirects(
    State(vendor): State<Vendor>,
    sent: Body<Redirects>,
) -> Result<StatusCode, ApiError> {
    let sent = body(sent)?;
    if let Some(uri) = &sent.uri {
        vendor.allow_redirect(&sent.client, uri)?;
    }
    if let Some(prefix) = &sent.prefix {
        vendor.allow_redirect_prefix(&sent.client, prefix)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClient {
    id: String,
    secret: String,
    redirect_prefix: String,
}

async fn client(
    State(vendor): State<Vendor>,
    sent: Body<NewClient>,
) -> Result<StatusCode, ApiError> {
    let sent = body(sent)?;
    let mut client = Client::new(sent.id, sent.secret);
    client.redirect_prefixes = vec![sent.redirect_prefix];
    vendor.state().add_client(&client)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientEvents {
    client: String,
    url: String,
    secret: String,
}

async fn client_events(
    State(vendor): State<Vendor>,
    sent: Body<ClientEvents>,
) -> Result<StatusCode, ApiError> {
    let sent = body(sent)?;
    if vendor.state().client(&sent.client).is_none() {
        return Err(VendorError::UnknownClient.into());
    }
    let hook = Hook {
        id: random::credential("h_")?,
        of: HookOf::Client(sent.client),
        url: address(&sent.url)?,
        secret: sent.secret,
        event: None,
    };
    vendor.challenge(&hook).await?;
    vendor.state().hooks.add(hook);
    Ok(StatusCode::NO_CONTENT)
}

async fn deliveries(State(vendor): State<Vendor>) -> Json<Value> {
    let state = vendor.state();
    let all: Vec<Value> = state
        .hooks
        .deliveries()
        .map(|one| {
            json!({
                "id": one.id,
                "hook": one.hook.id,
                "url": one.hook.url.as_str(),
                "event": serde_json::from_str::<Value>(&one.body).unwrap_or(Value::Null),
                "answers": one.answers,
            })
        })
        .collect();
    Json(json!({ "deliveries": all }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redelivery {
    id: String,
    how: How,
    #[serde(default)]
    account: Option<String>,
}

async fn redeliver(
    State(vendor): State<Vendor>,
    sent: Body<Redelivery>,
) -> Result<Json<Value>, ApiError> {
    let sent = body(sent)?;
    let answers = vendor
        .redeliver(&sent.id, sent.how, sent.account.as_deref())
        .await?;
    Ok(Json(json!({ "answers": answers })))
}
