//! Fixtures of what happens around a sign-in (V95): what is read as it is expected is silent, and the rest is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may be blunt"
)]

use keyport_manifest::{FolderFacts, check};

const MANIFEST: &str = "manifest: 1
id: acme
name: Acme
version: 1.0.0
summary: Notes of a vendor that is not there.
component: rest
api:
  base_url: https://api.acme.dev
auth:
  oauth:
    type: oauth2
    label: Sign in with Acme
    authorize_url: https://acme.dev/authorize
    token_url: https://acme.dev/token
    callback:
      code: auth_code
      verify: { type: hmac_sha256, key: \"{{ app.client_secret }}\", param: hmac }
    capture:
      realm: { callback: realm, public: true, format: digits }
    revoke: { none: Acme has no way to do it. }
  session:
    type: session
    label: Password
    fields:
      - { id: password, label: Password, secret: true, help: The one that you sign in with. }
    steps:
      - request: { method: POST, path: /session, body: { json: { password: \"{{ credentials.password }}\" } } }
        ok: { status: 200 }
        capture:
          session_id: { path: $.id }
          server: { path: $.server, public: true, format: digits }
        failures:
          - { status: 401, means: needs_reconnect, say: Acme does not accept this password. }
    expiry: { in: $.ttl, unit: minutes }
    logout: { none: Acme has no way to do it. }
    inject:
      - { header: X-Session, value: \"{{ capture.session_id }}\" }
discovery:
  - id: site
    methods: [oauth]
    request: { path: /sites }
    ok: { status: 200 }
    items: $[*]
    pick: ask
    label: \"{{ item.name }}\"
    capture:
      site_id: { path: $.id, public: true }
test:
  request: { path: /me }
  ok: { status: 200, body: $.id }
  account: { id: \"{{ body.id }}\", label: \"{{ body.name }}\" }
";

/// What is said of one exchange.
fn told(exchange: &str) -> Vec<String> {
    let facts = FolderFacts {
        name: "acme".to_owned(),
        fixtures: vec![("signin.yaml".to_owned(), exchange.to_owned())],
        ..FolderFacts::default()
    };
    check("manifest.yaml", MANIFEST, Some(&facts))
        .findings
        .into_iter()
        .filter(|f| f.file.as_deref() == Some("fixtures/signin.yaml"))
        .map(|f| f.message)
        .collect()
}

fn exchange(rest: &str) -> Vec<String> {
    told(&format!("- name: one\n  origin: constructed\n{rest}"))
}

#[test]
fn a_callback_is_read_under_the_names_that_the_manifest_says() {
    let good = "  for: { callback: oauth }
  given: { query: { auth_code: c, state: s, hmac: h, realm: '12' } }
  expect: { captures: { realm: '12' } }
";
    assert_eq!(exchange(good), [""; 0]);
    let usual = good.replace("auth_code: c", "code: c");
    assert_eq!(
        exchange(&usual),
        ["the callback has no `auth_code`, the parameter with the code"]
    );
    let unsigned = good.replace("hmac: h, ", "");
    assert_eq!(
        exchange(&unsigned),
        ["the callback has no `hmac`, the parameter with its signature"]
    );
    let without = good.replace(", realm: '12' } }", " } }");
    assert_eq!(
        exchange(&without),
        ["the callback has no `realm`, which the manifest keeps of it"]
    );
    let other = good.replace("{ realm: '12' } }\n", "{ realm: '13' } }\n");
    assert_eq!(exchange(&other).len(), 1, "{:?}", exchange(&other));
}

#[test]
fn a_callback_whose_value_has_another_form_is_refused() {
    let said = exchange(
        "  for: { callback: oauth }
  given: { query: { auth_code: c, state: s, hmac: h, realm: evil.example } }
  expect: { captures: { realm: evil.example } }
",
    );
    assert_eq!(
        said,
        ["`realm` of the callback is not of the declared form"]
    );
}

#[test]
fn a_callback_has_no_response_and_everything_else_has_one() {
    let said = exchange(
        "  for: { callback: oauth }
  response: { status: 200 }
  expect: { captures: {} }
",
    );
    assert_eq!(
        said,
        ["a callback has no `response`; its parameters are `given.query`"]
    );
    let said = exchange("  for: { session: session }\n  expect: { expiry: 60 }\n");
    assert_eq!(said, ["the exchange has no `response`"]);
}

#[test]
fn a_step_of_a_session_says_what_is_kept_and_when_it_ends() {
    let good = "  for: { session: session }
  step: 0
  given: { credentials: { password: p } }
  request: { method: POST, url: /session, body: { password: p } }
  response: { status: 200, body: { id: x, server: 7, ttl: 2 } }
  expect: { captures: { server: '7' }, secret_captures: [session_id], expiry: 120 }
";
    assert_eq!(exchange(good), [""; 0]);
    let other = good.replace("expiry: 120", "expiry: 2");
    assert_eq!(exchange(&other), ["expiry is 120, not 2"]);
    let later = good.replace("step: 0", "step: 1");
    assert_eq!(
        exchange(&later),
        ["there is no step 1; there are 1, and the first one is 0"]
    );
    let lacking = good.replace("id: x, ", "");
    assert_eq!(exchange(&lacking).len(), 1, "{:?}", exchange(&lacking));
    let refused = "  for: { session: session }
  given: { credentials: { password: p } }
  response: { status: 401 }
  expect: { means: needs_reconnect }
";
    assert_eq!(exchange(refused), [""; 0]);
    let not_steps = refused.replace("session: session", "session: oauth");
    assert_eq!(
        exchange(&not_steps),
        ["there is no way to sign in `oauth` with steps (`type: session`)"]
    );
}

#[test]
fn of_several_things_found_the_fixture_names_the_one_that_a_person_chooses() {
    let good = "  for: { discovery: site }
  response: { status: 200, body: [{ id: a, name: One }, { id: b, name: Two }] }
  expect: { item: Two, captures: { site_id: b } }
";
    assert_eq!(exchange(good), [""; 0]);
    let nobody = good.replace("item: Two, ", "");
    assert_eq!(
        exchange(&nobody),
        ["a person chooses from [\"One\",\"Two\"]; name one of them as `item`"]
    );
    let wrong = good.replace("site_id: b", "site_id: a");
    assert_eq!(exchange(&wrong).len(), 1, "{:?}", exchange(&wrong));
    let nowhere = good.replace("discovery: site", "discovery: tenant");
    assert_eq!(
        exchange(&nowhere),
        ["there is no step of discovery `tenant`"]
    );
}

#[test]
fn a_refresh_is_read_like_an_exchange() {
    let good = "  for: { refresh: oauth }
  response: { status: 200, body: { access_token: t, token_type: bearer, expires_in: 60 } }
  expect: { token: { expires_in: 60, refresh_token: false } }
";
    assert_eq!(exchange(good), [""; 0]);
    let dead = "  for: { refresh: oauth }
  response: { status: 400, body: { error: invalid_grant } }
  expect: { token_error: { error: invalid_grant, kind: refused } }
";
    assert_eq!(exchange(dead), [""; 0]);
    let wrong = dead.replace("refresh: oauth", "refresh: session");
    assert_eq!(
        exchange(&wrong),
        ["there is no OAuth way to sign in `session`"]
    );
}
