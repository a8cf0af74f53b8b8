//! The component that serves every purely declarative app.
//!
//! It has no rule of its own. It renders the manifest's requests, has the host send them, and asks `keyport-manifest`
//! what the answers mean: the very code that the host and `keyport validate` use. It sees no credential and no secret
//! field, because its scope is filled from what the host calls public.
//!
//! Left out: anything that needs two different requests; that is what a component of an app's own is for.

mod scope;

use keyport_manifest::{
    Action, ActionRun, Failure as Verdict, GuestView, Means, PlainRequest, PlainResponse, PollRun,
    RenderError, TestCall, Trigger,
};
use keyport_sdk::{Account, Failure, Host, Page, Provider, Request, Value};

use crate::scope::scope;

/// Every declarative app.
pub struct Rest;

keyport_sdk::export!(Rest, actions, triggers);

impl Provider for Rest {
    fn check(host: &dyn Host) -> Result<Account, Failure> {
        let view: GuestView = host.manifest()?;
        let mut failures = Vec::new();
        for call in view.test.calls() {
            let scope = test_scope(host, call);
            let request = call.request.build(&scope).map_err(|e| unrenderable(&e))?;
            let answer = send(host, request)?;
            match keyport_manifest::judge_call(call, &scope, &answer) {
                Ok(account) => {
                    return Ok(Account {
                        id: account.id,
                        label: account.label,
                        extra: account.extra,
                    });
                }
                Err(failure) => failures.push(failure),
            }
        }
        if failures.is_empty() {
            return Err(Failure::other(
                "the manifest declares no test call that this component could make",
            )
            .code("no_test"));
        }
        Err(verdict(keyport_manifest::refused_by_all(failures)))
    }

    fn run(host: &dyn Host, action: &str, input: Value) -> Result<Value, Failure> {
        let view: GuestView = host.manifest()?;
        let declared: &Action = view
            .actions
            .get(action)
            .ok_or_else(|| undeclared("action", action))?;
        let request = declared
            .request
            .as_ref()
            .ok_or_else(|| needs_code("action", action))?;
        let templates: Vec<_> = request
            .templates()
            .into_iter()
            .map(|(_, template)| template)
            .collect();
        let mut scope = scope(host, &templates);
        scope.set("input", input);
        let mut run = ActionRun::new(declared, &scope).map_err(|e| unbuilt(e, "action", action))?;
        loop {
            let answer = send(host, run.request().clone())?;
            if let Some(output) = run.read(&answer).map_err(verdict)? {
                return Ok(output);
            }
        }
    }

    fn poll(
        host: &dyn Host,
        trigger: &str,
        input: Value,
        cursor: Option<Value>,
    ) -> Result<Page, Failure> {
        let view: GuestView = host.manifest()?;
        let declared: &Trigger = view
            .triggers
            .get(trigger)
            .ok_or_else(|| undeclared("trigger", trigger))?;
        let request = declared
            .request
            .as_ref()
            .ok_or_else(|| needs_code("trigger", trigger))?;
        let mut templates: Vec<_> = request
            .templates()
            .into_iter()
            .map(|(_, template)| template)
            .collect();
        templates.extend(declared.dedupe.iter().chain(&declared.cursor));
        let mut scope = scope(host, &templates);
        scope
            .set("input", input)
            .set("cursor", cursor.clone().unwrap_or(Value::Null));
        let mut run = PollRun::new(declared, &scope, cursor.as_ref())
            .map_err(|e| unbuilt(e, "trigger", trigger))?;
        while run
            .read(send(host, run.request().clone())?)
            .map_err(verdict)?
        {}
        let page = run.finish().map_err(verdict)?;
        Ok(Page {
            events: page.events,
            cursor: page.cursor,
            more: page.more,
        })
    }
}

/// What the templates of one test call name.
fn test_scope(host: &dyn Host, call: &TestCall) -> keyport_manifest::Scope {
    let mut templates = call
        .request
        .templates()
        .into_iter()
        .map(|(_, template)| template)
        .collect::<Vec<_>>();
    templates.extend([&call.account.id, &call.account.label]);
    templates.extend(call.account.extra.values());
    scope(host, &templates)
}

fn send(host: &dyn Host, request: PlainRequest) -> Result<PlainResponse, Failure> {
    let answer = host.send(&Request {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: request.body,
    })?;
    Ok(PlainResponse {
        status: answer.status,
        headers: answer.headers,
        body: answer.body,
    })
}

fn verdict(failure: Verdict) -> Failure {
    let means = match failure.means {
        Means::NeedsReconnect => keyport_sdk::Means::NeedsReconnect,
        Means::MissingScope => keyport_sdk::Means::MissingScope,
        Means::RateLimited => keyport_sdk::Means::RateLimited,
        Means::ProviderDown => keyport_sdk::Means::ProviderDown,
        Means::NotFound => keyport_sdk::Means::NotFound,
        Means::InvalidInput => keyport_sdk::Means::InvalidInput,
        Means::Other => keyport_sdk::Means::Other,
    };
    Failure {
        retry_after_ms: failure.retry_after_ms,
        ..Failure::new(means, failure.say)
    }
}

/// The request could not be written: the caller's input is at fault where the expression reads it.
fn unrenderable(error: &RenderError) -> Failure {
    let expression = match error {
        RenderError::Missing(expression)
        | RenderError::NotText(expression)
        | RenderError::Unsafe { expression, .. }
        | RenderError::Failed { expression, .. } => expression,
    };
    if expression.contains("input") {
        Failure::invalid_input(format!("the input does not fit: {error}")).code("input")
    } else {
        Failure::other(format!("the request cannot be made: {error}")).code("request")
    }
}

/// There is no request to send, or it could not be written.
fn unbuilt(error: Option<RenderError>, what: &str, name: &str) -> Failure {
    error.map_or_else(|| needs_code(what, name), |error| unrenderable(&error))
}

fn undeclared(what: &str, name: &str) -> Failure {
    Failure::not_found(format!("this app's manifest has no {what} {name}"))
        .code(format!("no_such_{what}"))
}

fn needs_code(what: &str, name: &str) -> Failure {
    Failure::other(format!(
        "the {what} {name} declares no request, so it needs a component of the app's own"
    ))
    .code("needs_code")
}

#[cfg(test)]
mod tests;
