//! A draft's fixtures: the test passing and refused, and for OAuth a token answer and a refusal.
//!
//! `validate` runs the manifest's mappings over them, so a scaffold's test is proved against the vendor's own document as far
//! as that has examples. What is made up says `origin: constructed`.

use serde_json::{Value, json};

use super::code::Reads;
use super::draft::{Draft, Kind, Oauth2};
use super::yaml::{Writer, flow, inline};

/// `fixtures/test.yaml`.
pub fn test(draft: &Draft) -> String {
    let mut w = Writer::default();
    let test = &draft.test;
    let reads = draft.lang.map(|_| Reads::of(draft));
    let body = reads.as_ref().map_or(&test.body, |reads| &reads.body);
    w.comment(0, "Exchanges with the app: what comes back, and what it must be read as. Replace these with real ones.");
    w.line(0, "- name: the test passes");
    let origin = if test.from_vendor {
        "vendor-openapi"
    } else {
        "constructed"
    };
    w.pair(1, "origin", origin);
    w.line(1, "for: test");
    given(&mut w, draft);
    w.line(1, "response:");
    w.line(2, &format!("status: {}", test.status));
    w.tree(2, "body", body);
    let (id, label) = match &reads {
        Some(reads) => (&reads.id, &reads.label),
        None => (&test.expect_id, &test.expect_label),
    };
    let expect = inline(&[
        ("id".to_owned(), id.clone()),
        ("label".to_owned(), label.clone()),
    ]);
    w.line(1, &format!("expect: {{ account: {expect} }}"));
    w.line(0, "- name: the sign-in is not accepted");
    w.line(1, "origin: constructed");
    w.line(1, "for: test");
    given(&mut w, draft);
    w.line(
        1,
        "response: { status: 401, body: { error: unauthorized } }",
    );
    w.line(1, "expect: { means: needs_reconnect }");
    if draft.lang.is_some() {
        w.line(0, "- name: the account");
        w.line(1, "origin: constructed");
        w.line(1, "for: { action: get_account }");
        given(&mut w, draft);
        w.line(1, "response:");
        w.line(2, &format!("status: {}", test.status));
        w.tree(2, "body", body);
        w.line(1, &format!("expect: {{ result: {expect} }}"));
    }
    w.finish().0
}

fn given(w: &mut Writer, draft: &Draft) {
    let fields = draft.given();
    if !fields.is_empty() {
        w.line(1, &format!("given: {{ fields: {} }}", inline(&fields)));
    }
}

/// `fixtures/token.yaml`, if there is OAuth.
pub fn token(draft: &Draft) -> Option<String> {
    let mut w = Writer::default();
    let mut any = false;
    for method in &draft.methods {
        if let Kind::Oauth2(oauth) = &method.kind {
            any = true;
            one(&mut w, &method.id, oauth);
        }
    }
    any.then(|| w.finish().0)
}

fn one(w: &mut Writer, method: &str, oauth: &Oauth2) {
    let subject = format!("for: {{ token: {} }}", flow(method));
    let mut body = json!({ "access_token": "constructed-access-token", "token_type": "bearer", "expires_in": 3600 });
    let renewed = !oauth.client_credentials;
    if let (Value::Object(map), true) = (&mut body, renewed) {
        map.insert(
            "refresh_token".to_owned(),
            json!("constructed-refresh-token"),
        );
    }
    w.line(0, "- name: the exchange answers with tokens");
    w.line(1, "origin: constructed");
    w.line(1, &subject);
    w.line(1, "response:");
    w.line(2, "status: 200");
    w.tree(2, "body", &body);
    w.line(
        1,
        &format!("expect: {{ token: {{ expires_in: 3600, refresh_token: {renewed} }} }}"),
    );
    w.line(0, "- name: the grant is not accepted any more");
    w.line(1, "origin: constructed");
    w.line(1, &subject);
    w.line(
        1,
        "response: { status: 400, body: { error: invalid_grant } }",
    );
    w.line(
        1,
        "expect: { token_error: { error: invalid_grant, kind: refused } }",
    );
}
