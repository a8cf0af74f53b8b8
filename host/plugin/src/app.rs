//! One app's component, and calls into it.
//!
//! Each call gets a store of its own and drops it: nothing of one call can be seen by another, and a call that was cut off
//! in the middle leaves nothing behind that is used again.

#![expect(
    clippy::result_large_err,
    reason = "an error is made at most once per call; a box would be in every caller's way"
)]

use std::sync::Arc;
use std::time::Duration;

use keyport_manifest::SecretText;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};
use wasmtime_wasi_http::FieldMapError;

use crate::bindings::exports::keyport::provider::{
    actions, connection, exchange, lifecycle, triggers,
};
use crate::bindings::keyport::provider::types;
use crate::call::{Call, Exports, Page};
use crate::error::{CallError, Failure};
use crate::exchange::{Exchange, TokenRequest};
use crate::host::Compiled;
use crate::json::{self, NotRead};
use crate::limits::CallLimits;
use crate::state::{OverLimit, State};
use crate::wasi_http::OUTGOING;
use crate::{Account, Means};

/// An app's component, compiled and linked. Cheap to clone.
#[derive(Clone)]
pub struct LoadedApp(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub app: String,
    pub sha256: String,
    pub engine: Engine,
    pub pre: InstancePre<State>,
    pub connection: connection::GuestIndices,
    pub lifecycle: Option<lifecycle::GuestIndices>,
    pub actions: Option<actions::GuestIndices>,
    pub triggers: Option<triggers::GuestIndices>,
    pub exchange: Option<exchange::GuestIndices>,
    /// Held so that other apps with the same component find it compiled.
    pub _compiled: Arc<Compiled>,
    pub limits: CallLimits,
    /// This app's places for calls, whichever version of it is called; fewer than there are over all.
    pub own_permits: Arc<Semaphore>,
    /// Places for calls, over all apps.
    pub permits: Arc<Semaphore>,
}

impl LoadedApp {
    /// What it does beside the test call.
    #[must_use]
    pub fn exports(&self) -> Exports {
        Exports {
            lifecycle: self.0.lifecycle.is_some(),
            actions: self.0.actions.is_some(),
            triggers: self.0.triggers.is_some(),
            exchange: self.0.exchange.is_some(),
        }
    }

    /// The component's SHA-256, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// Whether it sends requests by `wasi:http` (`fetch`) as well.
    #[must_use]
    pub fn imports_wasi_http(&self) -> bool {
        let engine = &self.0.engine;
        let kind = self.0.pre.component().component_type();
        let mut imports = kind.imports(engine);
        imports.any(|(name, _)| name.split('@').next() == Some(OUTGOING))
    }

    /// Runs the test call. Requests that write are refused, whatever the call says.
    ///
    /// # Errors
    /// The component's failure; a trap, a limit or a time-out of the component's.
    pub async fn check(&self, mut call: Call) -> Result<Account, CallError> {
        call.read_only = true;
        let account = self
            .run(
                call,
                async |store: &mut Store<State>, instance: &Instance| {
                    let guest = self.0.connection.load(&mut *store, instance)?;
                    guest.call_check(store).await
                },
            )
            .await?
            .map_err(|told| self.failure(told))?;
        if account.id.is_empty() || account.label.is_empty() {
            return Err(self.bad_answer("the account has no id or no label"));
        }
        let extra = self.json(&account.extra, "the account's extra is not JSON")?;
        Ok(Account {
            id: account.id,
            label: account.label,
            extra,
        })
    }

    /// Runs an action.
    ///
    /// # Errors
    /// As [`check`](Self::check), and where the component has no actions.
    pub async fn action(&self, call: Call, name: &str, input: &Value) -> Result<Value, CallError> {
        let indices = self
            .0
            .actions
            .as_ref()
            .ok_or_else(|| self.no_such("actions"))?;
        let input = input.to_string();
        let output = self
            .run(
                call,
                async |store: &mut Store<State>, instance: &Instance| {
                    let guest = indices.load(&mut *store, instance)?;
                    guest.call_run(store, name, &input).await
                },
            )
            .await?
            .map_err(|told| self.failure(told))?;
        self.json(&output, "the action's output is not JSON")
    }

    /// Polls a trigger.
    ///
    /// # Errors
    /// As [`check`](Self::check), and where the component has no triggers.
    pub async fn poll(
        &self,
        call: Call,
        trigger: &str,
        input: &Value,
        cursor: Option<&Value>,
    ) -> Result<Page, CallError> {
        let indices = self
            .0
            .triggers
            .as_ref()
            .ok_or_else(|| self.no_such("triggers"))?;
        let input = input.to_string();
        let cursor = cursor.map(Value::to_string);
        let page = self
            .run(
                call,
                async |store: &mut Store<State>, instance: &Instance| {
                    let guest = indices.load(&mut *store, instance)?;
                    guest
                        .call_poll(store, trigger, &input, cursor.as_ref())
                        .await
                },
            )
            .await?
            .map_err(|told| self.failure(told))?;
        let values = page.events.iter().map(|event| json::count(event)).sum();
        self.few_values(values)?;
        let events: Result<Vec<Value>, CallError> = page
            .events
            .iter()
            .map(|event| self.json(event, "an event is not JSON"))
            .collect();
        Ok(Page {
            events: events?,
            cursor: self.json(&page.cursor, "the cursor is not JSON")?,
            more: page.more,
        })
    }

    /// The component's code after connecting: an object of public captures.
    ///
    /// # Errors
    /// As [`check`](Self::check), and where the component has no such code.
    pub async fn connected(&self, call: Call) -> Result<Value, CallError> {
        let indices = self
            .0
            .lifecycle
            .as_ref()
            .ok_or_else(|| self.no_such("lifecycle"))?;
        let output = self
            .run(
                call,
                async |store: &mut Store<State>, instance: &Instance| {
                    indices
                        .load(&mut *store, instance)?
                        .call_connected(store)
                        .await
                },
            )
            .await?
            .map_err(|told| self.failure(told))?;
        self.json(&output, "the answer to connected is not JSON")
    }

    /// The component's code before the credentials are destroyed.
    ///
    /// # Errors
    /// As [`check`](Self::check), and where the component has no such code.
    pub async fn disconnecting(&self, call: Call) -> Result<Value, CallError> {
        let indices = self
            .0
            .lifecycle
            .as_ref()
            .ok_or_else(|| self.no_such("lifecycle"))?;
        let output = self
            .run(
                call,
                async |store: &mut Store<State>, instance: &Instance| {
                    indices
                        .load(&mut *store, instance)?
                        .call_disconnecting(store)
                        .await
                },
            )
            .await?
            .map_err(|told| self.failure(told))?;
        self.json(&output, "the answer to disconnecting is not JSON")
    }

    /// A token request that the component makes: the answer of the token endpoint, as the component hands it on. The pass
    /// reaches the token endpoint and nothing else.
    ///
    /// # Errors
    /// As [`check`](Self::check); where the component has no such code; where it answers with a token that is not of this
    /// call's own answers.
    pub async fn exchange(
        &self,
        call: Call,
        step: &str,
        request: TokenRequest,
    ) -> Result<SecretText, CallError> {
        let indices = self
            .0
            .exchange
            .as_ref()
            .ok_or_else(|| self.no_such("exchange"))?;
        let (exchange, input) = Exchange::begin(request, call.pass.hosts.clone());
        let input = input.to_string();
        let output = self
            .run_with(
                call,
                Some(exchange.clone()),
                async |store: &mut Store<State>, instance: &Instance| {
                    indices
                        .load(&mut *store, instance)?
                        .call_run(store, step, &input)
                        .await
                },
            )
            .await?
            .map_err(|told| self.failure(told))?;
        let answer = self.json(&output, "the answer of the token request is not JSON")?;
        exchange.taken(answer).map_err(|why| self.bad_answer(why))
    }

    async fn run<T>(
        &self,
        call: Call,
        guest: impl AsyncFnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        self.run_with(call, None, guest).await
    }

    /// One call: a permit, a store, an instance, the guest's function, all within one time limit.
    async fn run_with<T>(
        &self,
        mut call: Call,
        exchange: Option<Exchange>,
        guest: impl AsyncFnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let time = call.deadline.min(self.0.limits.wall);
        let end = Instant::now() + time;
        if call.read_only && call.pass.methods == keyport_egress::Methods::Any {
            call.pass.methods = keyport_egress::Methods::ReadOnly;
        }
        call.pass.limits.request_body = call
            .pass
            .limits
            .request_body
            .min(self.0.limits.request_bytes);
        call.pass.limits.response_body = call
            .pass
            .limits
            .response_body
            .min(self.0.limits.response_bytes);
        // The app's own place first: whoever waits for it holds none of the others'.
        let _own = room(&self.0.own_permits, end).await?;
        let _permit = room(&self.0.permits, end).await?;
        let mut store = store(&self.0.engine, &self.0.app, call, exchange, self.0.limits);
        let work = async {
            let instance = self.0.pre.instantiate_async(&mut store).await?;
            guest(&mut store, &instance).await
        };
        match tokio::time::timeout_at(end, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => Err(self.timed_out(time)),
        }
    }

    /// What ended a call: a limit of ours, or the guest's own fault.
    fn broken(&self, error: &wasmtime::Error) -> CallError {
        let app = self.0.app.clone();
        if let Some(OverLimit(limit)) = error.downcast_ref::<OverLimit>() {
            return CallError::Limit { app, limit };
        }
        if error.is::<FieldMapError>() {
            let limit = "header bytes";
            return CallError::Limit { app, limit };
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return match trap {
                Trap::StackOverflow => CallError::Limit {
                    app,
                    limit: "stack",
                },
                trap => CallError::Trap {
                    app,
                    detail: trap.to_string(),
                },
            };
        }
        // wasmtime gives no type to these; their first line is its own text, never the guest's.
        let text = error.root_cause().to_string();
        let limit = if text.contains("fuel allocated for hostcalls") {
            "bytes per host call"
        } else if text.contains("handle limit exceeded") || text.contains("table has no free keys")
        {
            "handles"
        } else if text.contains("requested len") && text.contains("exceeds limit") {
            "random bytes"
        } else {
            tracing::debug!(app, error = %text, "a component call failed in the engine");
            return CallError::Trap {
                app,
                detail: first_line(&text),
            };
        };
        CallError::Limit { app, limit }
    }

    fn timed_out(&self, time: Duration) -> CallError {
        let after_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        CallError::Timeout {
            app: self.0.app.clone(),
            after_ms,
        }
    }

    fn no_such(&self, interface: &'static str) -> CallError {
        CallError::NoSuchExport {
            app: self.0.app.clone(),
            interface,
        }
    }

    fn bad_answer(&self, why: &'static str) -> CallError {
        CallError::BadAnswer {
            app: self.0.app.clone(),
            why,
        }
    }

    /// What the component says went wrong.
    fn failure(&self, failure: types::Failure) -> CallError {
        let (means, note) = match failure {
            types::Failure::NeedsReconnect(note) => (Means::NeedsReconnect, note),
            types::Failure::MissingScope(note) => (Means::MissingScope, note),
            types::Failure::RateLimited(note) => (Means::RateLimited, note),
            types::Failure::ProviderDown(note) => (Means::ProviderDown, note),
            types::Failure::NotFound(note) => (Means::NotFound, note),
            types::Failure::InvalidInput(note) => (Means::InvalidInput, note),
            types::Failure::Other(note) => (Means::Other, note),
        };
        CallError::Failure(Failure {
            means,
            code: first_line(&note.code),
            say: first_line(&note.say),
            retry_after_ms: note.retry_after_ms,
            data: json::read(&note.data, self.0.limits.json_values).unwrap_or(Value::Null),
        })
    }

    fn json(&self, text: &str, why: &'static str) -> Result<Value, CallError> {
        json::read(text, self.0.limits.json_values).map_err(|error| match error {
            NotRead::TooMany => self.too_many_values(),
            NotRead::NotJson => self.bad_answer(why),
        })
    }

    fn few_values(&self, values: usize) -> Result<(), CallError> {
        if values > self.0.limits.json_values {
            Err(self.too_many_values())
        } else {
            Ok(())
        }
    }

    fn too_many_values(&self) -> CallError {
        CallError::Limit {
            app: self.0.app.clone(),
            limit: "values in json",
        }
    }
}

/// A place for a call, or `Busy` where there is none in time.
async fn room(permits: &Semaphore, end: Instant) -> Result<SemaphorePermit<'_>, CallError> {
    match tokio::time::timeout_at(end, permits.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(CallError::Busy),
    }
}

/// A store with every limit set.
pub(crate) fn store(
    engine: &Engine,
    app: &str,
    call: Call,
    exchange: Option<Exchange>,
    limits: CallLimits,
) -> Store<State> {
    let mut store = Store::new(engine, State::new(app, call, exchange, limits));
    store.limiter(|state| state);
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(limits.handles);
    // Each tick that the guest is running costs it one; waiting costs at most one, however long it was.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        state.ticks_left = state
            .ticks_left
            .checked_sub(1)
            .ok_or(OverLimit("cpu time"))?;
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    store
}

/// At most 200 characters of the first line, without control characters.
pub(crate) fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}
