//! Fixtures of what happens around a sign-in (V95): what is read as it is expected is silent, and the rest is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may be blunt"
)]

use keyport_manifest::{FolderFacts, Severity, check};

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
    exchange:
      url: https://acme.dev/long
      method: GET
      params: { secret: \"{{ app.client_secret }}\", token: \"{{ token.access_token }}\" }
      response: { default_ttl: 5184000 }
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
  cookies:
    type: session
    label: Cookies
    fields:
      - { id: password, label: Password, secret: true, help: The one that you sign in with. }
    steps:
      - request: { method: POST, path: /nonce }
        ok: { status: 204 }
        capture:
          nonce: { header: X-Nonce, public: true }
      - request: { method: POST, path: /login, query: { n: \"{{ capture.nonce }}\" } }
        ok: { status: 200 }
        capture:
          sid: { cookie: SID }
    expiry: { at: $.until, unit: rfc3339 }
    logout: { none: Acme has no way to do it. }
    inject:
      - { header: Cookie, value: \"SID={{ capture.sid }}\" }
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
    told_of(MANIFEST, exchange)
}

fn told_of(manifest: &str, exchange: &str) -> Vec<String> {
    let facts = FolderFacts {
        name: "acme".to_owned(),
        fixtures: vec![("signin.yaml".to_owned(), exchange.to_owned())],
        ..FolderFacts::default()
    };
    check("manifest.yaml", manifest, Some(&facts))
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

#[test]
fn a_callback_may_be_shown_to_be_refused() {
    let refused = "  for: { callback: oauth }
  given: { query: { auth_code: c, state: s, hmac: h, realm: evil.example } }
  expect: { callback_error: capture_not_allowed }
";
    assert_eq!(exchange(refused), [""; 0]);
    let missing = refused.replace("auth_code: c, ", "");
    assert_eq!(
        exchange(&missing),
        ["callback_error is \"code_missing\", not \"capture_not_allowed\""]
    );
    let good = refused.replace("evil.example", "'12'");
    assert_eq!(
        exchange(&good),
        ["this was read as a good callback, not as \"capture_not_allowed\""]
    );
}

#[test]
fn a_callbacks_signature_is_checked_with_the_key_that_is_given() {
    // The HMAC-SHA256, with the key `hush`, of `auth_code=c&realm=12&state=s`.
    let good = "  for: { callback: oauth }
  given:
    app: { client_secret: hush }
    query: { auth_code: c, state: s, hmac: HMAC, realm: '12' }
  expect: { code: c, verified: true }
"
    .replace(
        "HMAC",
        "a26d07a1566d6a4219d8df721a9eeddfc438a18b3071a53c67763094881bcade",
    );
    assert_eq!(exchange(&good), [""; 0]);
    let forged = good.replace("realm: '12'", "realm: '13'");
    assert_eq!(exchange(&forged), ["verified is false, not true"]);
    let keyless = good.replace("    app: { client_secret: hush }\n", "");
    assert_eq!(exchange(&keyless), ["verified is false, not true"]);
}

#[test]
fn a_person_is_shown_the_labels_in_the_apps_order() {
    let good = "  for: { discovery: site }
  response: { status: 200, body: [{ id: a, name: One }, { id: b, name: Two }] }
  expect: { choices: [One, Two] }
";
    assert_eq!(exchange(good), [""; 0]);
    let other = good.replace("[One, Two]", "[Two, One]");
    assert_eq!(
        exchange(&other),
        ["choices is [\"One\",\"Two\"], not [\"Two\",\"One\"]"]
    );
    let single = good.replace(", { id: b, name: Two }", "");
    assert_eq!(
        exchange(&single),
        ["nobody is asked here: one item is taken by itself; leave `choices` out"]
    );
    let refused = good
        .replace(
            "status: 200, body: [{ id: a, name: One }, { id: b, name: Two }]",
            "status: 401",
        )
        .replace("choices: [One, Two]", "means: needs_reconnect");
    assert_eq!(exchange(&refused), [""; 0]);
    let nothing = good
        .replace("[{ id: a, name: One }, { id: b, name: Two }]", "[]")
        .replace("choices: [One, Two]", "means: other");
    assert_eq!(exchange(&nothing), [""; 0]);
}

#[test]
fn steps_keep_headers_and_cookies_and_only_the_last_says_when_the_session_ends() {
    let first = "  for: { session: cookies }
  response: { status: 204, headers: { X-Nonce: n } }
  expect: { captures: { nonce: n } }
";
    assert_eq!(exchange(first), [""; 0]);
    let early = first.replace("captures: { nonce: n }", "expiry: 60");
    assert_eq!(
        exchange(&early),
        ["only the last step says when the session ends"]
    );
    let last = "  for: { session: cookies }
  step: 1
  given: { now: 1767225600, capture: { nonce: n } }
  request: { method: POST, url: /login?n=n }
  response: { status: 200, headers: { Set-Cookie: [LANG=en, SID=abc; HttpOnly] }, body: { until: '2026-01-01T00:01:00Z' } }
  expect: { secret_captures: [sid], expiry: 60 }
";
    assert_eq!(exchange(last), [""; 0]);
    let lost = last.replace("SID=abc", "OTHER=abc");
    assert_eq!(
        exchange(&lost),
        [
            "this was read as a failure (other: the app's answer lacks `sid`, which the manifest keeps of it)"
        ]
    );
    let unsaid = last
        .replace("until: '2026-01-01T00:01:00Z'", "until: soon")
        .replace("expiry: 60", "expiry: null");
    assert_eq!(exchange(&unsaid), [""; 0]);
}

#[test]
fn an_exchange_is_sent_and_read_as_the_manifest_says() {
    let good = "  for: { exchange: oauth }
  given: { app: { client_secret: hush }, token: { access_token: short } }
  request: { method: GET, url: 'https://acme.dev/long?secret=hush&token=short' }
  response: { status: 200, body: { access_token: long } }
  expect: { token: { expires_in: 5184000, expiry: 5184000, refresh_token: false } }
";
    assert_eq!(exchange(good), [""; 0]);
    let other = good.replace("token=short'", "token=long'");
    assert_eq!(exchange(&other).len(), 1, "{:?}", exchange(&other));
    let refused = good
        .replace("status: 200", "status: 400")
        .replace("access_token: long", "error: invalid_grant");
    assert_eq!(
        exchange(&refused),
        ["this was read as a refusal: invalid_grant"]
    );
    let without = good.replace("exchange: oauth", "exchange: session");
    assert_eq!(
        exchange(&without),
        ["there is no way to sign in `session` with an `exchange`"]
    );
}

#[test]
fn the_end_of_a_token_is_read_from_each_source() {
    let jwt = "e30.eyJleHAiOjE3NjcyMjU2NjB9.s";
    for (source, body, wanted) in [
        ("{ in: $.ms, unit: milliseconds }", "ms: 60000", "60"),
        ("{ in: $.min, unit: minutes }", "min: '1'", "60"),
        ("{ at: $.at }", "at: 1767225660", "60"),
        (
            "{ at: $.at, unit: milliseconds }",
            "at: 1767225660000",
            "60",
        ),
        (
            "{ at: $.at, unit: rfc3339 }",
            "at: '2026-01-01T01:01:00+01:00'",
            "60",
        ),
        ("{ jwt: id_token }", &format!("id_token: {jwt}"), "60"),
        ("{ fixed: 60 }", "expires_in: 5", "60"),
        ("{ never: They are keys. }", "expires_in: 5", "never"),
        ("{ in: $.ttl }", "ttl: soon", "null"),
    ] {
        let manifest = MANIFEST.replace(
            "revoke: {",
            &format!("response: {{ expiry: {source} }}\n    revoke: {{"),
        );
        let said = |expiry: &str| {
            told_of(
                &manifest,
                &format!(
                    "- name: one
  origin: constructed
  for: {{ token: oauth }}
  given: {{ now: 1767225600 }}
  response: {{ status: 200, body: {{ access_token: t, {body} }} }}
  expect: {{ token: {{ expiry: {expiry} }} }}
"
                ),
            )
        };
        assert_eq!(said(wanted), [""; 0], "{source}");
        assert_eq!(said("7").len(), 1, "{source}");
    }
}

#[test]
fn a_test_of_several_calls_is_shown_call_by_call() {
    let manifest = MANIFEST.replace(
        "test:
  request: { path: /me }
  ok: { status: 200, body: $.id }
  account: { id: \"{{ body.id }}\", label: \"{{ body.name }}\" }
",
        "test:
  any_of:
    - request: { path: /me }
      ok: { status: 200, body: $.id }
      account: { id: \"{{ body.id }}\", label: \"{{ body.name }}\" }
    - request: { path: /org }
      ok: { status: 200, body: $.org }
      account: { id: \"{{ body.org }}\", label: \"{{ body.org }}\" }
",
    );
    assert_ne!(manifest, MANIFEST);
    let about = |rest: &str| {
        let head = "- name: one\n  origin: constructed\n  for: test\n";
        told_of(&manifest, &format!("{head}{rest}"))
    };
    let org = "  response: { status: 200, body: { org: o } }\n  expect: { account: { id: o, label: o } }\n";
    assert_eq!(about(&format!("  candidate: 1\n{org}")), [""; 0]);
    let by_request = format!("  request: {{ method: GET, url: /org }}\n{org}");
    assert_eq!(about(&by_request), [""; 0]);
    assert_eq!(about(org).len(), 1, "the first is meant");
    assert_eq!(
        about(&format!("  candidate: 2\n{org}")),
        ["the test has no candidate 2; the last one is 1"]
    );
}

#[test]
fn keys_that_do_not_go_with_the_subject_are_told() {
    for (stray, wanted) in [
        ("step: 0", "`step` only goes with a session"),
        ("candidate: 0", "`candidate` only goes with a test"),
        (
            "given: { query: { a: b } }",
            "`given.query` only goes with a callback",
        ),
        (
            "request: { method: POST, url: /token }",
            "`request` only goes with a request that the manifest writes",
        ),
    ] {
        let said = exchange(&format!(
            "  for: {{ refresh: oauth }}
  {stray}
  response: {{ status: 400, body: {{ error: invalid_grant }} }}
  expect: {{ token_error: {{ error: invalid_grant, kind: refused }} }}
"
        ));
        assert_eq!(said, [wanted]);
    }
    let odd = exchange("  for: { webhook: x }\n  response: { status: 200 }\n  expect: {}\n");
    assert_eq!(odd.len(), 1);
    assert!(
        odd.iter()
            .all(|m| m.contains("`for` is `test`, or one kind with a name")),
        "{odd:?}"
    );
}

#[test]
fn what_no_fixture_shows_is_a_warning_at_its_place() {
    let facts = FolderFacts {
        name: "acme".to_owned(),
        fixtures: vec![(
            "session.yaml".to_owned(),
            "- name: one
  origin: constructed
  for: { session: cookies }
  response: { status: 204, headers: { X-Nonce: n } }
  expect: { captures: { nonce: n } }
"
            .to_owned(),
        )],
        ..FolderFacts::default()
    };
    let report = check("manifest.yaml", MANIFEST, Some(&facts));
    let missing: Vec<(Severity, &str, &str)> = report
        .findings
        .iter()
        .filter(|f| f.rule == "V95")
        .map(|f| (f.severity, f.path.as_str(), f.message.as_str()))
        .collect();
    let warn = Severity::Warning;
    assert_eq!(
        missing,
        [
            (warn, "auth.oauth", "no fixture shows a token answer"),
            (
                warn,
                "auth.session.steps[0]",
                "no fixture shows the answer to this step"
            ),
            (
                warn,
                "auth.cookies.steps[1]",
                "no fixture shows the answer to this step"
            ),
            (
                warn,
                "discovery[0]",
                "no fixture shows the answer to this step"
            ),
            (warn, "test", "no fixture shows the test passing"),
            (warn, "test", "no fixture shows the test being refused"),
        ]
    );
}
