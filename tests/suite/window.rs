//! A real browser in front of a running host: the rarer steps of a sign-in as a person sees them, with a provider that says
//! what the test tells it to.

use keyport_tests::binary::repository;
use keyport_tests::host::{Host, Setup};
use keyport_tests::peer::run_browser;
use keyport_tests::script::Provider;
use serde_json::{Value, json};

const LOGIN: &str = "https://login.ways.example";
const API: &str = "https://api.ways.example";

/// The provider's own page: whoever clicks is who is signed in, and the answer is posted.
const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>Ways</title><h1>Sign in to Ways</h1>
<form method="post"><input type="hidden" name="code"><input type="hidden" name="state"></form>
<p><button data-code="ada">Ada allows</button> <button data-code="narrow">Ada allows to read</button>
<button data-code="grace">Grace allows</button> <button data-error="access_denied">Deny</button></p>
<script>
const asked = new URLSearchParams(location.search);
const form = document.querySelector('form');
form.action = asked.get('redirect_uri');
form.elements.state.value = asked.get('state');
for (const button of document.querySelectorAll('button')) button.addEventListener('click', () => {
  const answer = form.elements[0];
  answer.name = button.dataset.code ? 'code' : 'error';
  answer.value = button.dataset.code ?? button.dataset.error;
  form.submit();
});
</script>"#;

fn exchange(request: Value, answer: Value) -> Value {
    json!({ "request": request, "answer": answer })
}

fn token(name: &str, scope: &str) -> Value {
    json!({ "json": {
        "access_token": format!("at-{name}"), "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": format!("rt-{name}"), "scope": scope,
    } })
}

/// A grant of this person: what their token opens, and how many places they may choose from.
fn person(name: &str, id: &str, label: &str, sites: usize) -> Vec<Value> {
    let bearer = json!({ "authorization": format!("Bearer at-{name}") });
    let sites: Vec<Value> = (1..=sites)
        .map(|n| json!({ "id": format!("s{n}"), "name": format!("{} {n}", if n % 2 == 0 { "Studio" } else { "Workshop" }) }))
        .collect();
    let mut all = vec![exchange(
        json!({ "method": "GET", "url": format!("{LOGIN}/sites"), "headers": bearer }),
        json!({ "json": { "sites": sites } }),
    )];
    for site in ["s1", "s2", "s3"] {
        all.push(exchange(
            json!({ "method": "GET", "url": format!("{API}/{site}/me"), "headers": bearer }),
            json!({ "json": { "id": id, "name": label } }),
        ));
    }
    all
}

#[test]
fn the_rarer_ways_to_sign_in_can_be_gone_by_a_person() {
    let provider = Provider::start([LOGIN.to_owned(), API.to_owned()]);
    let mut host = Host::start(Setup {
        origins: provider.overrides(),
        apps: vec![repository().join("tests/apps/ways")],
        ..Setup::default()
    });
    let platform = host.platform();
    let client = json!({ "client_id": "the-client", "client_secret": "the-secret-value" });
    let config = platform.configure("ways", &client);

    let mut allowed = vec![exchange(
        json!({ "method": "GET", "url": format!("{LOGIN}/authorize") }),
        json!({ "headers": { "content-type": "text/html" }, "body": PAGE }),
    )];
    for (code, scope) in [
        ("ada", "read write"),
        ("narrow", "read"),
        ("grace", "read write"),
    ] {
        let name = if code == "grace" { "grace" } else { "ada" };
        allowed.push(exchange(
            json!({ "url": format!("{LOGIN}/token"), "form": { "grant_type": "authorization_code", "code": code } }),
            token(name, scope),
        ));
    }
    allowed.extend(person("ada", "u1", "Ada Lovelace", 1));
    allowed.extend(person("grace", "u2", "Grace Hopper", 1));
    allowed.extend(person("typed", "u1", "Ada Lovelace", 3));
    allowed.extend(person("device", "u3", "Edsger Dijkstra", 3));
    allowed.push(exchange(
        json!({ "url": format!("{LOGIN}/device") }),
        json!({ "json": {
            "device_code": "dev-1", "user_code": "WDJB-MJHT", "verification_uri": format!("{LOGIN}/activate"),
            "expires_in": 900, "interval": 2,
        } }),
    ));
    // Browsers ask for it of themselves.
    allowed.push(exchange(
        json!({ "method": "GET", "url": format!("{LOGIN}/favicon.ico") }),
        json!({ "status": 404 }),
    ));
    allowed.push(exchange(
        json!({ "method": "GET", "url": format!("{LOGIN}/agree") }),
        json!({ "json": {} }),
    ));
    // What is asked with a wrong token.
    for path in [format!("{LOGIN}/sites"), format!("{API}/s1/me")] {
        allowed.push(exchange(
            json!({ "method": "GET", "url": path, "headers": { "authorization": "Bearer wrong-token" } }),
            json!({ "status": 401, "json": {} }),
        ));
    }
    provider.allow(&allowed);
    let asked = json!({ "url": format!("{LOGIN}/token"), "form": { "device_code": "dev-1" } });
    let pending = json!({ "status": 400, "json": { "error": "authorization_pending" } });
    // The page is loaded, looked at and loaded anew before the person agrees.
    let agree = format!("{LOGIN}/agree");
    provider.play(&[
        json!({ "request": asked.clone(), "answer": pending, "until": agree }),
        exchange(asked, token("device", "read write")),
    ]);

    let (_, link) = platform.session("owner-1", "manage", &json!({ "owner_label": "Northwind" }));
    let ran = run_browser(&json!({
        "scenario": "ways",
        "link": link,
        "keyport": host.url(),
        "agree": format!("{}/agree", provider.overrides()[LOGIN]),
        "callback": format!("{}/oauth/callback/{config}", host.url()),
        "artefacts": repository().join("tests/artefacts"),
    }));
    match ran {
        None => return,
        Some(Ok(())) => {}
        Some(Err(said)) => panic!("{said}\n--- keyport serve\n{}", host.log()),
    }
    let (complaints, _) = provider.finish();
    assert!(complaints.is_empty(), "{}", complaints.join("; "));
}
