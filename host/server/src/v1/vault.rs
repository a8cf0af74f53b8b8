//! The vault's keys, verification and backups, and the proven audit trail. Scope `manage`, or the operator at the machine.
//!
//! Long work is begun here and looked at with `GET /v1/vault`: whoever asked may go away. What takes a root key or a file's name is
//! done at the machine only (see [`crate::control`]), so these routes answer a platform key with 403.

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use http::request::Parts;
use http::{StatusCode, header};
use keyport_connect::view::KeyScope;
use keyport_connect::{Actor, AuditLine, AuditReport, Level, RootKey, Rotate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

use super::answer::{Answer, Json, Problems};
use crate::auth::Platform;
use crate::control::AtTheMachine;
use crate::extract::{Json as JsonBody, OptionalJson, Query};
use crate::problem::Problem;
use crate::state::ServerState;

/// How much of a backup waits for a slow reader.
const PIPE: usize = 256 * 1024;

/// Whoever may look after the vault.
pub(crate) struct Operator(Actor);

impl FromRequestParts<ServerState> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, Problem> {
        if parts.extensions.get::<AtTheMachine>().is_some() {
            return Ok(Self(Actor::Host));
        }
        let key = <Platform as FromRequestParts<ServerState>>::from_request_parts(parts, state);
        Ok(Self(key.await?.with(KeyScope::Manage)?))
    }
}

/// What to look at.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusQuery {
    /// Also count every owner's keys, which takes a moment.
    owners: Option<bool>,
}

/// Look at the vault
///
/// Which keys there are, how old and how often used; what is being done, and what the last work found.
#[utoipa::path(get, path = "/v1/vault", tag = "vault", params(StatusQuery),
    responses((status = 200, description = "Keys, work and report", body = Value), Problems))]
pub(crate) async fn vault_status(
    State(state): State<ServerState>,
    Operator(actor): Operator,
    Query(query): Query<StatusQuery>,
) -> Answer<Json<Value>> {
    let status = state
        .engine()
        .upkeep(&actor, query.owners.unwrap_or(false))
        .await?;
    Ok(Json(serde_json::to_value(status).unwrap_or_default()))
}

/// What to rotate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateBody {
    /// `terms` or `owners`; the root key is changed at the machine.
    what: Rotate,
    /// At most so many rows per second; as fast as it goes when absent.
    rate: Option<u32>,
    /// The next root key, base64; only at the machine, with `root`.
    root_key: Option<String>,
}

/// Begin to rotate keys
///
/// While everything is served. A rotation that is interrupted goes on by itself.
#[utoipa::path(post, path = "/v1/vault/rotate", tag = "vault", request_body = RotateBody,
    responses((status = 202, description = "It has begun; `GET /v1/vault` tells how far it is"), Problems))]
pub(crate) async fn rotate(
    State(state): State<ServerState>,
    Operator(actor): Operator,
    JsonBody(body): JsonBody<RotateBody>,
) -> Answer<StatusCode> {
    let level = match body.what {
        Rotate::Terms => Level::Terms,
        Rotate::Owners => Level::Owners,
        Rotate::Root => {
            let key = root_key(&actor, body.root_key)?;
            state.engine().change_root(&actor, &key).await?;
            return Ok(StatusCode::OK);
        }
    };
    state.engine().rotate(&actor, level, body.rate).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What to retire.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetireBody {
    /// Which level.
    what: Rotate,
}

/// Begin to destroy old keys
///
/// Only those that a count over everything finds no use of. For `root`: ends the change of the root key.
#[utoipa::path(post, path = "/v1/vault/retire", tag = "vault", request_body = RetireBody,
    responses((status = 202, description = "It has begun; `GET /v1/vault` tells how far it is"), Problems))]
pub(crate) async fn retire(
    State(state): State<ServerState>,
    Operator(actor): Operator,
    JsonBody(body): JsonBody<RetireBody>,
) -> Answer<StatusCode> {
    state.engine().retire(&actor, body.what).await?;
    Ok(match body.what {
        Rotate::Root => StatusCode::OK,
        Rotate::Terms | Rotate::Owners => StatusCode::ACCEPTED,
    })
}

/// How to verify.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyBody {
    /// At most so many rows per second; as fast as it goes when absent.
    rate: Option<u32>,
    /// A backup's file, which tells what was put back to an older state; only at the machine.
    against: Option<String>,
    /// The root key that opens it, base64.
    root_key: Option<String>,
}

/// Begin to open everything
///
/// Every record is opened; what does not open is listed by kind, owner and id, in the report of `GET /v1/vault`.
#[utoipa::path(post, path = "/v1/vault/verify", tag = "vault", request_body = VerifyBody,
    responses((status = 202, description = "It has begun"), Problems))]
pub(crate) async fn verify(
    State(state): State<ServerState>,
    Operator(actor): Operator,
    OptionalJson(body): OptionalJson<VerifyBody>,
) -> Answer<StatusCode> {
    let remembered = match body.against {
        None => None,
        Some(path) => {
            let key = root_key(&actor, body.root_key)?;
            Some(state.engine().remembered(&actor, path.into(), key).await?)
        }
    };
    state
        .engine()
        .verify_vault(&actor, body.rate, remembered)
        .await?;
    Ok(StatusCode::ACCEPTED)
}

/// Take a backup
///
/// Sealed as it lies in the store, with the wrapped keyring: it opens with the root key and nothing else. Streamed; it is whole
/// only if its own end is there, which `keyport vault restore --verify-only` checks.
#[utoipa::path(get, path = "/v1/vault/backup", tag = "vault",
    responses((status = 200, description = "The backup", content_type = "application/octet-stream"), Problems))]
pub(crate) async fn backup(
    State(state): State<ServerState>,
    Operator(actor): Operator,
) -> Answer<Response> {
    stream(state, actor, None)
}

/// Which key an export is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportBody {
    /// The root key that is to open it, base64.
    root_key: Option<String>,
}

/// An export; only at the machine, so it is not in the document.
pub(crate) async fn export(
    State(state): State<ServerState>,
    Operator(actor): Operator,
    JsonBody(body): JsonBody<ExportBody>,
) -> Answer<Response> {
    let key = root_key(&actor, body.root_key)?;
    stream(state, actor, Some(key))
}

fn stream(state: ServerState, actor: Actor, for_root: Option<RootKey>) -> Answer<Response> {
    let (mut into, from) = tokio::io::duplex(PIPE);
    let engine = state.engine().clone();
    tokio::spawn(async move {
        // Its error ends the stream early, and a backup without its end is none.
        if let Err(error) = engine.backup(&actor, &mut into, for_root.as_ref()).await {
            tracing::error!(code = error.code(), %error, "a backup ended early");
        }
    });
    let bytes = futures_util::stream::unfold(from, |mut from| async move {
        let mut chunk = bytes::BytesMut::with_capacity(64 * 1024);
        match from.read_buf(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((Ok::<_, std::io::Error>(chunk.freeze()), from)),
            Err(error) => Some((Err(error), from)),
        }
    });
    let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, Body::from_stream(bytes.boxed())).into_response())
}

/// Hash of all rows
///
/// The same in two stores that hold the same.
#[utoipa::path(get, path = "/v1/vault/digest", tag = "vault",
    responses((status = 200, description = "The hash", body = Value), Problems))]
pub(crate) async fn digest(
    State(state): State<ServerState>,
    Operator(actor): Operator,
) -> Answer<Json<Value>> {
    let digest = state.engine().digest(&actor).await?;
    Ok(Json(serde_json::json!({"digest": digest})))
}

/// Whose keys to destroy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestroyBody {
    /// The owner.
    owner: String,
}

/// Destroy an owner's keys
///
/// Their secrets never open again, here or from a later backup; their connections stay listed until deleted.
#[utoipa::path(post, path = "/v1/vault/destroy-owner", tag = "vault", request_body = DestroyBody,
    responses((status = 204, description = "Destroyed"), Problems))]
pub(crate) async fn destroy_owner(
    State(state): State<ServerState>,
    Operator(actor): Operator,
    JsonBody(body): JsonBody<DestroyBody>,
) -> Answer<StatusCode> {
    state.engine().destroy_owner(&actor, &body.owner).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which part of the trail.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// After this number; from the first that is kept when absent.
    after: Option<u64>,
    /// At most this many, 1 to 1000; 500 when absent.
    limit: Option<usize>,
}

/// The audit trail, proven
///
/// One JSON document a line, oldest first, numbered without gaps and chained with a keyed MAC. Hand the last `seq` back as `after`. Keep the
/// last line off the machine: against it, a trail whose end was cut off is told.
#[utoipa::path(get, path = "/v1/audit", tag = "events", params(AuditQuery),
    responses((status = 200, description = "JSON lines", body = AuditLine, content_type = "application/jsonl"), Problems))]
pub(crate) async fn audit(
    State(state): State<ServerState>,
    Operator(actor): Operator,
    Query(query): Query<AuditQuery>,
) -> Answer<Response> {
    let lines = state
        .engine()
        .audit(&actor, query.after.unwrap_or(0), query.limit.unwrap_or(500))
        .await?;
    let mut text = String::new();
    for line in &lines {
        text += &serde_json::to_string(line).unwrap_or_default();
        text.push('\n');
    }
    let headers = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((headers, text).into_response())
}

/// An earlier line of the trail.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct Anchor {
    /// Its number.
    seq: u64,
    /// Its MAC.
    mac: String,
}

/// What to prove it against.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProveBody {
    /// A line that was kept off the machine.
    anchor: Option<Anchor>,
}

/// Prove the audit trail
///
/// Tells what was edited, deleted, exchanged, put in or cut off.
#[utoipa::path(post, path = "/v1/audit/verify", tag = "events", request_body = ProveBody,
    responses((status = 200, description = "What was found", body = AuditReport), Problems))]
pub(crate) async fn verify_audit(
    State(state): State<ServerState>,
    Operator(actor): Operator,
    OptionalJson(body): OptionalJson<ProveBody>,
) -> Answer<Json<AuditReport>> {
    let anchor = body
        .anchor
        .as_ref()
        .map(|anchor| (anchor.seq, anchor.mac.as_str()));
    Ok(Json(state.engine().verify_audit(&actor, anchor).await?))
}

/// A root key comes over the machine's own socket or not at all.
fn root_key(actor: &Actor, text: Option<String>) -> Result<RootKey, Problem> {
    let text = text.map(Zeroizing::new);
    if *actor != Actor::Host {
        return Err(Problem::forbidden(
            "only_at_the_machine",
            "this takes a root key, so it is done at the machine: `keyport vault`",
        ));
    }
    text.as_ref()
        .and_then(|text| RootKey::from_base64(text).ok())
        .ok_or_else(|| Problem::bad_request("`root_key` must be a root key, base64"))
}
