//! Calls into an app's component: the test call, actions, polls. Each gets a fresh store, one connection's pass, and no
//! credential.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use keyport_egress::{Methods, Pass, Purpose, SafeRequest};
use keyport_manifest::{Effect, Grant, Means, RecipeError, Scope, SecretText, Slot};
use keyport_plugin::{Call, CallError, LogLevel, LogLine, Minter, SecretKit};
use serde_json::Value;
use url::Url;

use super::held;
use super::pass::{PassParts, is_public};
use crate::actor::Actor;
use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::jose;
use crate::record::{Connection, Stored};
use crate::view::{KeyScope, PollResult};

impl Engine {
    /// What one call of this connection brings along.
    pub(crate) async fn component_call(
        &self,
        parts: &PassParts<'_>,
        read_only: bool,
    ) -> Result<Call, ConnectError> {
        let (mut pass, scope) = self.pass(parts, Purpose::Guest).await?;
        if read_only {
            let safe = safe_requests(parts, &pass, &scope);
            pass.methods = if safe.is_empty() {
                Methods::ReadOnly
            } else {
                Methods::ReadOnlyAnd(safe)
            };
        }
        let manifest = &parts.entry.manifest;
        let app = parts.entry.id().to_owned();
        Ok(Call {
            manifest: parts.entry.guest_view(parts.method),
            values: {
                let mut values = public_values(parts);
                values.extend(raw_values(parts)?);
                values
            },
            egress: self.inner.egress.clone(),
            pass,
            secrets: SecretKit {
                recipes: manifest.recipes.clone(),
                handles: manifest.handles.clone(),
                scope,
                minter: Some(minter(self.now())),
            },
            log: Arc::new(move |line| log(&app, &line)),
            read_only,
            deadline: self.inner.options.call,
        })
    }

    /// Runs an action.
    ///
    /// # Errors
    ///
    /// What the app said, in its own meaning; or that there is no such action, the connection cannot be used, or the
    /// component is at fault.
    pub async fn run_action(
        &self,
        actor: &Actor,
        id: &str,
        action: &str,
        input: &Value,
    ) -> Result<Value, ConnectError> {
        actor.require(KeyScope::Actions)?;
        let mut stored = self.ready(actor, id, None).await?;
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let declared = entry
            .manifest
            .actions
            .get(action)
            .ok_or(ConnectError::not_found("action"))?;
        held::input(&declared.input, input)?;
        let read_only = declared.effect == Effect::Read;
        let mut retried = false;
        loop {
            let config = self.config_of(&stored).await?;
            let parts = PassParts {
                entry: &entry,
                owner: stored.owner(),
                method: &stored.clear.method,
                sealed: stored.sealed()?,
                account: stored.clear.account.as_ref(),
                config: config.as_ref(),
            };
            let call = self.component_call(&parts, read_only).await?;
            match entry
                .component()?
                .action(call, action, input)
                .await
                .map_err(call_error)
            {
                Ok(output) => {
                    self.used(&stored).await;
                    held::output(declared, &output)?;
                    return Ok(output);
                }
                // The app did not accept the credentials, so nothing was done: renew them once, then ask again.
                Err(error) if refused(&error) && !retried => {
                    match self.after_refusal(&stored).await? {
                        Some(fresh) => {
                            stored = fresh;
                            retried = true;
                        }
                        None => return Err(error),
                    }
                }
                Err(error) => return Err(self.failed_in_use(&stored, error).await),
            }
        }
    }

    /// Asks a polling trigger for what is new since `cursor`.
    ///
    /// # Errors
    ///
    /// As [`Engine::run_action`].
    pub async fn poll_trigger(
        &self,
        actor: &Actor,
        id: &str,
        trigger: &str,
        input: &Value,
        cursor: Option<&Value>,
    ) -> Result<PollResult, ConnectError> {
        actor.require(KeyScope::Actions)?;
        let stored = self.ready(actor, id, None).await?;
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let declared = entry
            .manifest
            .triggers
            .get(trigger)
            .ok_or(ConnectError::not_found("trigger"))?;
        if declared.request.is_none() && !declared.code {
            return Err(ConnectError::state(
                "not_polled",
                "the app sends these events by itself; subscribe the trigger instead",
            ));
        }
        held::input(&declared.input, input)?;
        self.poll_with(stored, &entry, trigger, input, cursor).await
    }

    /// Asks for one page of what is new, by a connection that may be used.
    pub(crate) async fn poll_with(
        &self,
        mut stored: Stored<Connection>,
        entry: &AppEntry,
        trigger: &str,
        input: &Value,
        cursor: Option<&Value>,
    ) -> Result<PollResult, ConnectError> {
        let mut retried = false;
        loop {
            let config = self.config_of(&stored).await?;
            let parts = PassParts {
                entry,
                owner: stored.owner(),
                method: &stored.clear.method,
                sealed: stored.sealed()?,
                account: stored.clear.account.as_ref(),
                config: config.as_ref(),
            };
            let call = self.component_call(&parts, true).await?;
            match entry
                .component()?
                .poll(call, trigger, input, cursor)
                .await
                .map_err(call_error)
            {
                Ok(page) => {
                    self.used(&stored).await;
                    return Ok(PollResult {
                        events: page.events,
                        cursor: page.cursor,
                        more: page.more,
                    });
                }
                Err(error) if refused(&error) && !retried => {
                    match self.after_refusal(&stored).await? {
                        Some(fresh) => {
                            stored = fresh;
                            retried = true;
                        }
                        None => return Err(error),
                    }
                }
                Err(error) => return Err(self.failed_in_use(&stored, error).await),
            }
        }
    }

    /// Keeps count of a failure in use and hands the error on.
    async fn failed_in_use(
        &self,
        stored: &Stored<Connection>,
        error: ConnectError,
    ) -> ConnectError {
        if let ConnectError::App {
            means: Means::ProviderDown,
            ..
        } = &error
        {
            let verdict = crate::connection::verdict_of(&error);
            if let Err(unwritten) = self.judge(stored.id(), &verdict, false).await {
                tracing::warn!(
                    connection = stored.id(),
                    code = unwritten.code(),
                    "a failure was not written down"
                );
            }
        } else if refused(&error) {
            self.test_later(stored.id());
        }
        error
    }
}

/// What a rule says of an answer, for whoever asked.
pub(crate) fn rule_failed(failure: keyport_manifest::Failure) -> ConnectError {
    ConnectError::App {
        code: failure.means.as_str().to_owned(),
        means: failure.means,
        say: failure.say,
        retry_after_ms: failure.retry_after_ms,
    }
}

fn refused(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::App {
            means: Means::NeedsReconnect,
            ..
        }
    )
}

/// Requests that the manifest marks as safe although their method could write, with the exact paths that they have for this
/// connection. One whose path is made of a caller's input is not among them.
fn safe_requests(parts: &PassParts<'_>, pass: &Pass, scope: &Scope) -> Vec<SafeRequest> {
    let manifest = &parts.entry.manifest;
    let tests = manifest.test_for(parts.method).calls().iter();
    let reads = manifest
        .actions
        .values()
        .filter(|action| action.effect == Effect::Read)
        .filter_map(|action| action.request.as_ref());
    let polls = manifest
        .triggers
        .values()
        .filter_map(|trigger| trigger.request.as_ref());
    tests
        .map(|call| &call.request)
        .chain(reads)
        .chain(polls)
        .filter(|request| request.safe)
        .filter_map(|request| {
            let path = request.path.render(scope, Slot::PathSegment).ok()?;
            let url = match path.strip_prefix('/') {
                Some(_) => {
                    let mut url = pass.base_url.clone()?;
                    let under = url.path().trim_end_matches('/').to_owned();
                    url.set_path(&format!("{under}{}", path.split('?').next()?));
                    url
                }
                None => Url::parse(&path).ok()?,
            };
            Some(SafeRequest {
                method: Method::from_bytes(request.method.as_str().as_bytes()).ok()?,
                path: url.path().to_owned(),
            })
        })
        .collect()
}

/// Public fields and captures: what a guest may read.
fn public_values(parts: &PassParts<'_>) -> BTreeMap<String, String> {
    let manifest = &parts.entry.manifest;
    let mut values = BTreeMap::new();
    let auth = manifest.auth.get(parts.method);
    let own = auth.map(|auth| auth.fields()).unwrap_or_default();
    for (field, stored) in manifest
        .app_fields()
        .map(|field| (field, &parts.sealed.fields))
        .chain(own.iter().map(|field| (field, &parts.sealed.credentials)))
        .filter(|(field, _)| !field.secret)
    {
        if let Some(value) = stored.get(&field.id) {
            values.insert(field.id.clone(), value.expose().to_owned());
        }
    }
    let variant = manifest.variant_values(
        parts
            .sealed
            .fields
            .get(keyport_manifest::VARIANT_FIELD)
            .map(|key| key.expose()),
    );
    for (name, value) in variant.iter().filter_map(|v| v.as_object()).flatten() {
        if let Some(text) = value.as_str() {
            values.insert(format!("variant.{name}"), text.to_owned());
        }
    }
    for (id, value) in &parts.sealed.capture {
        if is_public(manifest, parts.method, id) {
            values.insert(id.clone(), value.expose().to_owned());
        }
    }
    if let Some(account) = parts.account {
        values.insert("account.id".into(), account.id.clone());
        values.insert("account.label".into(), account.label.clone());
    }
    values
}

/// Credentials in the clear, for a component whose manifest asks for them and that the operator lets have them: by their
/// names in templates. Never a refresh token or a client's secret, which are not for one call. An app that asks and was not
/// granted it does not run.
fn raw_values(parts: &PassParts<'_>) -> Result<BTreeMap<String, String>, ConnectError> {
    if !parts.entry.manifest.asks_for(Grant::RawCredentials) {
        return Ok(BTreeMap::new());
    }
    let granted = parts
        .config
        .is_some_and(|config| config.grants.raw_credentials);
    if !granted {
        return Err(ConnectError::misconfigured(
            "raw_credentials_not_granted",
            "this app's component asks for credentials in the clear; the operator has to grant `raw_credentials` in the app's configuration first",
        ));
    }
    let typed = [
        ("fields", &parts.sealed.fields),
        ("credentials", &parts.sealed.credentials),
    ];
    let mut values: BTreeMap<String, String> = typed
        .into_iter()
        .flat_map(|(root, values)| {
            values
                .iter()
                .map(move |(id, value)| (format!("{root}.{id}"), value.expose().to_owned()))
        })
        .collect();
    if let Some(token) = &parts.sealed.token {
        values.insert(
            "token.access_token".into(),
            token.access.expose().to_owned(),
        );
    }
    Ok(values)
}

/// What a component's failure is to whoever asked.
pub(crate) fn call_error(error: CallError) -> ConnectError {
    match error {
        CallError::Failure(failure) => ConnectError::App {
            code: if failure.code.is_empty() {
                failure.means.as_str().to_owned()
            } else {
                failure.code
            },
            means: failure.means,
            say: failure.say,
            retry_after_ms: failure.retry_after_ms,
        },
        CallError::Timeout { .. } => ConnectError::App {
            means: Means::ProviderDown,
            code: "timeout".into(),
            say: "the app took too long to answer; try again later".into(),
            retry_after_ms: None,
        },
        CallError::Busy => ConnectError::Unavailable {
            code: "busy",
            say: "too much is going on at once; try again in a moment".into(),
        },
        CallError::NoSuchExport { .. } => {
            ConnectError::not_found("action or trigger in this app's component")
        }
        other => {
            tracing::error!(error = %other, "a component is at fault");
            ConnectError::internal(other.code(), other.to_string())
        }
    }
}

/// Signs the tokens that recipes declare, at this time.
pub(crate) fn minter(now_ms: i64) -> Minter {
    Arc::new(move |jwt, scope| {
        let minted = jose::mint(jwt, scope, &[], now_ms.div_euclid(1000))
            .map_err(|error| RecipeError::NotSigned(error.to_string()))?;
        Ok(SecretText::new(minted.expose().to_owned()))
    })
}

pub(crate) fn log(app: &str, line: &LogLine) {
    let text = line.text.as_str();
    match line.level {
        LogLevel::Error | LogLevel::Warn => {
            tracing::warn!(target: "keyport::component", app, data = %line.data, "{text}")
        }
        LogLevel::Info => {
            tracing::info!(target: "keyport::component", app, data = %line.data, "{text}")
        }
        LogLevel::Debug => {
            tracing::debug!(target: "keyport::component", app, data = %line.data, "{text}")
        }
    }
}
