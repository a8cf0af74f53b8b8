//! V95: every mapping of the manifest, run over real-shaped exchanges, offline.
//!
//! The same functions that judge live answers are used ([`crate::rules`]), so a fixture that passes here is read the same
//! way by the guest and the host. A mismatch is an error in the fixture's file; a missing kind of fixture is a warning.

mod signin;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::checks::Checker;
use super::finding::{Finding, FolderFacts, Severity};
use super::places::{Places, child, item};
use crate::message::{PlainRequest, PlainResponse};
use crate::model::{Manifest, RequestSpec, Test, TestCall, VARIANT_FIELD};
use crate::rules::{Failure, action_result, judge, judge_call, poll_page, token_answer};
use crate::scope::Scope;

/// One exchange.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    #[expect(dead_code, reason = "says what the exchange shows, to people")]
    name: String,
    #[expect(dead_code, reason = "read for its allowed values")]
    origin: Origin,
    #[serde(rename = "for")]
    subject: Subject,
    #[serde(default)]
    given: Given,
    /// Which step of a session, from 0.
    step: Option<usize>,
    request: Option<Sent>,
    /// Missing of a callback alone.
    response: Option<Answer>,
    expect: Map<String, Value>,
}

/// Where an exchange comes from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Origin {
    Recorded,
    VendorOpenapi,
    VendorDocs,
    Constructed,
}

/// What an exchange is about: `test`, or one of [`Of`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Subject {
    #[serde(untagged)]
    Plain(PlainTest),
    #[serde(untagged)]
    Of(Of),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlainTest {
    Test,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Of {
    Test(String),
    Token(String),
    Refresh(String),
    Callback(String),
    Session(String),
    Discovery(String),
    Action(String),
    Trigger(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    credentials: Map<String, Value>,
    #[serde(default)]
    capture: Map<String, Value>,
    /// Parameters of a callback.
    #[serde(default)]
    query: Map<String, Value>,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    cursor: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    method: String,
    url: String,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Value,
}

impl Answer {
    fn plain(&self) -> PlainResponse {
        PlainResponse {
            status: self.status,
            headers: self
                .headers
                .iter()
                .map(|(k, v)| (k.clone(), text(v)))
                .collect(),
            body: match &self.body {
                Value::String(s) => s.clone().into_bytes(),
                Value::Null => Vec::new(),
                tree => tree.to_string().into_bytes(),
            },
        }
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A time for answers whose expiry is counted from now.
const NOW: i64 = 1_767_323_045;

/// Runs every fixture of the folder.
pub(super) fn all(c: &mut Checker<'_>, folder: &FolderFacts) {
    let mut seen = Seen::default();
    for (name, yaml) in &folder.fixtures {
        let mut file = File {
            name,
            places: Places::default(),
            findings: Vec::new(),
        };
        match super::read_tree(yaml) {
            Err(found) => file.findings.extend(found.into_iter().map(|f| Finding {
                rule: "V95",
                file: Some(format!("fixtures/{name}")),
                ..f
            })),
            Ok((places, tree)) => {
                file.places = places;
                let items = tree.as_array().cloned().unwrap_or_default();
                if items.is_empty() {
                    file.say("", "a fixture file is a list of exchanges".to_owned());
                }
                for (i, one) in items.into_iter().enumerate() {
                    let path = item("", i);
                    match serde_json::from_value::<Exchange>(one) {
                        Ok(exchange) => run(c, &mut file, &path, &exchange, &mut seen),
                        Err(e) => file.say(&path, e.to_string()),
                    }
                }
            }
        }
        file.findings.into_iter().for_each(|f| c.elsewhere(f));
    }
    missing(c, &seen);
}

#[derive(Default)]
struct Seen {
    test_ok: bool,
    test_refused: bool,
    tokens: Vec<String>,
}

/// What every app should have fixtures for.
fn missing(c: &mut Checker<'_>, seen: &Seen) {
    let m = c.manifest;
    if matches!(m.test, Test::Call(_)) {
        if !seen.test_ok {
            c.warn(
                "V95",
                "test",
                "no fixture shows the test passing",
                Some("add one to fixtures/test.yaml"),
            );
        }
        if !seen.test_refused {
            c.warn(
                "V95",
                "test",
                "no fixture shows the test being refused",
                Some("add one to fixtures/test.yaml"),
            );
        }
    }
    for (id, _) in m.auth.iter().filter(|(_, a)| a.oauth2().is_some()) {
        if !seen.tokens.contains(id) {
            c.warn(
                "V95",
                &child("auth", id),
                "no fixture shows a token answer",
                Some("add one to fixtures/token.yaml"),
            );
        }
    }
}

struct File<'a> {
    name: &'a str,
    places: Places,
    findings: Vec<Finding>,
}

impl File<'_> {
    fn say(&mut self, path: &str, message: String) {
        let at = self.places.value(path);
        self.findings.push(Finding {
            rule: "V95",
            severity: Severity::Error,
            file: Some(format!("fixtures/{}", self.name)),
            message,
            path: path.to_owned(),
            line: at.line,
            column: at.column,
            fix: None,
            edit: None,
        });
    }

    /// Compares what was read with what was expected, if it was.
    fn compare(&mut self, path: &str, what: &str, expected: Option<&Value>, got: &Value) {
        if let Some(expected) = expected
            && expected != got
        {
            self.say(
                &child(&child(path, "expect"), what),
                format!("{what} is {got}, not {expected}"),
            );
        }
    }
}

fn run(c: &Checker<'_>, file: &mut File<'_>, path: &str, x: &Exchange, seen: &mut Seen) {
    let m = c.manifest;
    let scope = scope_of(m, &x.given);
    let is_callback = matches!(&x.subject, Subject::Of(Of::Callback(_)));
    let response = match (&x.response, is_callback) {
        (Some(answer), false) => answer.plain(),
        (None, true) => PlainResponse::default(),
        (None, false) => {
            file.say(path, "the exchange has no `response`".to_owned());
            return;
        }
        (Some(_), true) => {
            file.say(
                path,
                "a callback is given as `query`; it has no response".to_owned(),
            );
            return;
        }
    };
    let known: &[&str] = match &x.subject {
        Subject::Plain(_) | Subject::Of(Of::Test(_)) => &["account", "means"],
        Subject::Of(Of::Token(_) | Of::Refresh(_)) => &["token", "token_error"],
        Subject::Of(Of::Callback(_)) => &["captures"],
        Subject::Of(Of::Session(_)) => &["captures", "secret_captures", "expiry", "means"],
        Subject::Of(Of::Discovery(_)) => &["captures", "item", "means"],
        Subject::Of(Of::Action(_)) => &["result", "means"],
        Subject::Of(Of::Trigger(_)) => &["events", "cursor", "more", "means"],
    };
    if let Some(key) = x.expect.keys().find(|k| !known.contains(&k.as_str())) {
        file.say(
            &child(path, "expect"),
            format!(
                "there is no `{key}` to expect here; known: {}",
                known.join(", ")
            ),
        );
    }
    if x.expect.is_empty() {
        file.say(path, "the exchange expects nothing".to_owned());
    }
    match &x.subject {
        Subject::Plain(_) => test(file, path, x, &m.test, &scope, &response, seen),
        Subject::Of(Of::Test(id)) => match m.auth.get(id) {
            Some(_) => test(file, path, x, m.test_for(id), &scope, &response, seen),
            None => file.say(path, format!("there is no way to sign in `{id}`")),
        },
        Subject::Of(Of::Token(id)) => match m.auth.get(id).and_then(|a| a.oauth2()) {
            Some(oauth) => {
                seen.tokens.push(id.clone());
                signin::token(file, path, x, token_answer(oauth, &response, NOW));
            }
            None => file.say(path, format!("there is no OAuth way to sign in `{id}`")),
        },
        Subject::Of(Of::Refresh(id)) => signin::refresh(file, path, x, m, id, &response),
        Subject::Of(Of::Callback(id)) => signin::callback(file, path, x, m, id),
        Subject::Of(Of::Session(id)) => signin::session(file, path, x, m, id, &scope, &response),
        Subject::Of(Of::Discovery(id)) => {
            signin::discovery(file, path, x, m, id, &scope, &response);
        }
        Subject::Of(Of::Action(id)) => match m.actions.get(id) {
            Some(action) => {
                sent(file, path, x, action.request.as_ref(), &scope);
                match action_result(action, &response) {
                    Ok(result) => {
                        file.compare(path, "result", x.expect.get("result"), &result);
                        passed(file, path, x);
                    }
                    Err(failure) => refused(file, path, x, &failure, "result"),
                }
            }
            None => file.say(path, format!("there is no action `{id}`")),
        },
        Subject::Of(Of::Trigger(id)) => match m.triggers.get(id) {
            Some(trigger) => {
                sent(file, path, x, trigger.request.as_ref(), &scope);
                match poll_page(trigger, &scope, x.given.cursor.as_ref(), &response) {
                    Ok(page) => {
                        file.compare(
                            path,
                            "events",
                            x.expect.get("events"),
                            &Value::Array(page.events),
                        );
                        file.compare(path, "cursor", x.expect.get("cursor"), &page.cursor);
                        file.compare(path, "more", x.expect.get("more"), &Value::Bool(page.more));
                        passed(file, path, x);
                    }
                    Err(failure) => refused(file, path, x, &failure, "events"),
                }
            }
            None => file.say(path, format!("there is no trigger `{id}`")),
        },
    }
}

/// What templates may read: what is given, and the constants of the variant that `given.fields.variant` names, or of the
/// usual one.
fn scope_of(m: &Manifest, given: &Given) -> Scope {
    let variant = m.variants.as_ref().and_then(|v| {
        let chosen = given.fields.get(VARIANT_FIELD).and_then(Value::as_str);
        v.values(chosen.or(v.default.as_deref())?)
    });
    Scope::new()
        .with("variant", variant.unwrap_or_else(|| json!({})))
        .with("fields", Value::Object(given.fields.clone()))
        .with("credentials", Value::Object(given.credentials.clone()))
        .with("capture", Value::Object(given.capture.clone()))
        .with("input", given.input.clone().unwrap_or_else(|| json!({})))
        .with("cursor", given.cursor.clone().unwrap_or(Value::Null))
        .with("account", json!({"id": "account-id", "label": "Account"}))
        .with("now", Value::from(NOW))
}

fn test(
    file: &mut File<'_>,
    path: &str,
    x: &Exchange,
    test: &Test,
    scope: &Scope,
    response: &PlainResponse,
    seen: &mut Seen,
) {
    // Of several candidates, the one that the exchange sends.
    let wanted = x.request.as_ref().map(|r| r.url.as_str());
    let sends = |call: &&TestCall| {
        let built = call.request.build(scope);
        built.is_ok_and(|b| Some(b.url.as_str()) == wanted)
    };
    let call = test.calls().iter().find(sends).or(test.calls().first());
    sent(file, path, x, call.map(|call| &call.request), scope);
    let judged = match call {
        Some(call) => judge_call(call, scope, response),
        None => judge(test, scope, response),
    };
    match judged {
        Ok(account) => {
            seen.test_ok = true;
            file.compare(
                path,
                "account",
                x.expect.get("account"),
                &json!({"id": account.id, "label": account.label}),
            );
            passed(file, path, x);
        }
        Err(failure) => {
            seen.test_refused = true;
            refused(file, path, x, &failure, "account");
        }
    }
}

fn passed(file: &mut File<'_>, path: &str, x: &Exchange) {
    if let Some(means) = x.expect.get("means") {
        file.say(path, format!("this was read as a success, not as {means}"));
    }
}

fn refused(file: &mut File<'_>, path: &str, x: &Exchange, failure: &Failure, success: &str) {
    if x.expect.contains_key(success) {
        file.say(
            path,
            format!(
                "this was read as a failure ({}: {})",
                failure.means.as_str(),
                failure.say
            ),
        );
    } else {
        file.compare(
            path,
            "means",
            x.expect.get("means"),
            &Value::from(failure.means.as_str()),
        );
    }
}

/// Compares what would be sent, as far as the fixture says it.
fn sent(file: &mut File<'_>, path: &str, x: &Exchange, spec: Option<&RequestSpec>, scope: &Scope) {
    let built = match spec.map(|s| s.build(scope)) {
        None => return,
        Some(Ok(built)) => built,
        Some(Err(e)) => {
            file.say(
                path,
                format!("the request cannot be made from what is given: {e}"),
            );
            return;
        }
    };
    let Some(wanted) = &x.request else { return };
    let at = child(path, "request");
    if built.method != wanted.method || built.url != wanted.url {
        file.say(
            &at,
            format!(
                "the request is {} {}, not {} {}",
                built.method, built.url, wanted.method, wanted.url
            ),
        );
    }
    if let Some(body) = &wanted.body
        && !same_body(&built, body)
    {
        let got = built
            .body
            .as_deref()
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        file.say(&at, format!("the body is {got}"));
    }
}

fn same_body(built: &PlainRequest, wanted: &Value) -> bool {
    let bytes = built.body.as_deref().unwrap_or_default();
    match wanted {
        Value::String(text) => text.as_bytes() == bytes,
        tree => serde_json::from_slice::<Value>(bytes).is_ok_and(|v| v == *tree),
    }
}
