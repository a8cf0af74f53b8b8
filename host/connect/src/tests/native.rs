//! The manifest's rules run natively: what the component `rest` does, without WebAssembly round it.

use http::Request;
use keyport_egress::{Body, Methods};
use keyport_manifest::{Account, GuestView, Means, PlainRequest, PlainResponse, Scope};
use keyport_plugin::{Call, CallError, Failure, Page};
use serde_json::{Value, json};

fn view(call: &Call) -> GuestView {
    serde_json::from_str(&call.manifest).unwrap()
}

fn scope(call: &Call) -> Scope {
    let mut scope = Scope::new();
    for (name, value) in &call.values {
        let (root, name) = name.split_once('.').unwrap_or(("fields", name));
        scope.set_value(root, name, json!(value));
        if root == "fields" {
            scope.set_value("capture", name, json!(value));
        }
    }
    scope
}

async fn send(call: &Call, request: PlainRequest) -> Result<PlainResponse, CallError> {
    let mut pass = call.pass.clone();
    if call.read_only && pass.methods == Methods::Any {
        pass.methods = Methods::ReadOnly;
    }
    let mut builder = Request::builder()
        .method(request.method.as_str())
        .uri(request.url);
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    let request = builder
        .body(request.body.map_or_else(Body::empty, Body::from_bytes))
        .unwrap();
    let failed = |error: keyport_egress::EgressError| {
        let means = if error.is_transient() {
            Means::ProviderDown
        } else {
            Means::Other
        };
        CallError::Failure(Failure {
            means,
            code: error.code().into(),
            say: error.to_string(),
            retry_after_ms: None,
            data: Value::Null,
        })
    };
    let (parts, body) = call
        .egress
        .send(&pass, request)
        .await
        .map_err(failed)?
        .into_parts();
    let body = body.collect(1 << 20).await.map_err(failed)?;
    Ok(PlainResponse {
        status: parts.status.as_u16(),
        headers: parts
            .headers
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
            .collect(),
        body: body.to_vec(),
    })
}

fn refused(failure: keyport_manifest::Failure) -> CallError {
    CallError::Failure(Failure {
        means: failure.means,
        code: String::new(),
        say: failure.say,
        retry_after_ms: failure.retry_after_ms,
        data: Value::Null,
    })
}

pub(crate) async fn check(call: Call) -> Result<Account, CallError> {
    let view = view(&call);
    let scope = scope(&call);
    let request = view.test.call().unwrap().request.build(&scope).unwrap();
    let answer = send(&call, request).await?;
    keyport_manifest::judge(&view.test, &scope, &answer).map_err(refused)
}

pub(crate) async fn action(call: Call, name: &str, input: &Value) -> Result<Value, CallError> {
    let view = view(&call);
    let action = &view.actions[name];
    let scope = scope(&call).with("input", input.clone());
    let mut run = keyport_manifest::ActionRun::new(action, &scope).unwrap();
    loop {
        let answer = send(&call, run.request().clone()).await?;
        if let Some(output) = run.read(&answer).map_err(refused)? {
            return Ok(output);
        }
    }
}

pub(crate) async fn poll(
    call: Call,
    name: &str,
    input: &Value,
    cursor: Option<&Value>,
) -> Result<Page, CallError> {
    let view = view(&call);
    let trigger = &view.triggers[name];
    let scope = scope(&call)
        .with("input", input.clone())
        .with("cursor", cursor.cloned().unwrap_or(Value::Null));
    let mut run = keyport_manifest::PollRun::new(trigger, &scope, cursor).unwrap();
    while run
        .read(send(&call, run.request().clone()).await?)
        .map_err(refused)?
    {}
    let page = run.finish().map_err(refused)?;
    Ok(Page {
        events: page.events,
        cursor: page.cursor,
        more: page.more,
    })
}
