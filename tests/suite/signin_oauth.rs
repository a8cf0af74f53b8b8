//! The ways of OAuth 2.0 beside a client that an operator registered, against servers that nobody here wrote: a client's own
//! key, a device's code, metadata, registration, signed tokens, resources, revocation, reuse of a refresh token; MCP.

use keyport_tests::browser::Browser;
use keyport_tests::http::{Client, join};
use keyport_tests::peer::Peer;
use serde_json::{Value, json};

use crate::signin_peers::{Setting, said, setting};

/// A person at the server's own pages.
struct Person<'a> {
    setting: &'a Setting,
    server: &'a Peer,
    /// Whom they sign in as.
    name: &'a str,
}

impl Person<'_> {
    /// Does what a person does on the server's pages, form by form, until one has none or leads back to the host.
    fn through(&self, client: &mut Client, at: &str) -> (String, String) {
        let end = self.callback();
        let first = client.get(at, &[]);
        let (mut url, mut page) = client.follow(at, first, |next| !next.starts_with(&end));
        for _ in 0..8 {
            let html = page.text();
            let action = between(&html, "action=\"", "\"");
            let (Some(action), false) = (action, url.starts_with(&end)) else {
                return (url, html);
            };
            let mut fields = hidden(&html);
            if html.contains("name=\"login\"") {
                fields.push(("login".into(), self.name.into()));
                fields.push(("password".into(), "any".into()));
            }
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            let target = self.here(&join(&url, &action));
            let answer = client.form(&target, &[], &fields);
            (url, page) = client.follow(&target, answer, |next| !next.starts_with(&end));
        }
        panic!("the server never came to an end: {url}");
    }

    fn callback(&self) -> String {
        format!("{}/oauth/callback/", self.setting.host.url())
    }

    /// The server's address as this machine reaches it.
    fn here(&self, url: &str) -> String {
        url.replace(&self.server.fact("issuer"), &self.server.fact("origin"))
    }

    /// Signs in by a method that leads to the server's page: the session, its browser, the flow, and the callback that the
    /// server sends the browser to.
    fn sign_in(&self, owner: &str, method: &str) -> (String, Browser, String, String) {
        let (session, mut browser) = self.setting.connecting(owner, "signin");
        let (flow, go) = self
            .setting
            .begin(&mut browser, "signin", method, &json!({}));
        let (callback, page) = self.through(&mut browser.client, &go);
        assert!(callback.starts_with(&self.callback()), "{callback}\n{page}");
        (session, browser, flow, callback)
    }

    /// The whole way: the connection's id.
    fn connects(&self, owner: &str, method: &str) -> String {
        let (session, mut browser, flow, callback) = self.sign_in(owner, method);
        let back = browser.client.get(&callback, &[]);
        assert!(back.status < 400, "{}", back.text());
        let view = browser.settled(&flow);
        self.setting.taken(&session, owner, &view)
    }

    /// What the server has given out to this person, in order.
    fn grants(&self) -> Vec<Value> {
        let log = said(&self.server.fact("origin"), "/control/log");
        of(&log["grants"], "account", self.name)
    }

    fn control(&self, what: &str) -> Value {
        let path = format!("/control/{what}?account={}", self.name);
        said(&self.server.fact("origin"), &path)
    }
}

/// The entries of a server's log with this value.
fn of(log: &Value, key: &str, value: &str) -> Vec<Value> {
    let all = log.as_array().unwrap();
    all.iter()
        .filter(|one| one[key] == value)
        .cloned()
        .collect()
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0.to_owned())
}

/// The hidden fields of a page's form, and the button that agrees.
fn hidden(html: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = html
        .split("<input")
        .skip(1)
        .filter_map(|input| input.split('>').next())
        .filter(|input| input.contains("type=\"hidden\""))
        .filter_map(|input| {
            let name = between(input, "name=\"", "\"")?;
            Some((name, between(input, "value=\"", "\"").unwrap_or_default()))
        })
        .collect();
    if html.contains("name=\"confirm\"") && !fields.iter().any(|(name, _)| name == "confirm") {
        fields.push(("confirm".into(), "yes".into()));
    }
    fields
}

/// R43: the server checks issuer, audience, life and signature of each assertion, and takes none twice.
#[test]
fn a_client_with_a_key_of_its_own_signs_in_and_again_when_its_token_ends() {
    let setting = setting();
    let Some(server) = setting.oidc() else { return };
    let (session, mut browser) = setting.connecting("robots", "signin");
    let form = json!({
        "app": "signin", "method": "keys",
        "fields": { "client": server.fact("robot"), "key": server.fact("robot_key") },
    });
    let answer = browser
        .call("POST", "/page/connections", Some(&form))
        .expect(200);
    let id = setting.taken(&session, "robots", &answer.json());
    let whose = || setting.proxied(&id, "/api/whose").expect(200).json()["client"].clone();
    assert_eq!(whose(), "robot");
    said(&server.fact("origin"), "/control/expire?client=robot");
    assert_eq!(whose(), "robot", "it signed in again");
    let log = said(&server.fact("origin"), "/control/log");
    assert_eq!(of(&log["grants"], "client", "robot").len(), 2, "{log}");
    assert!(of(&log["errors"], "client", "robot").is_empty(), "{log}");

    // Somebody else's client with this key is refused by the server, and nothing is kept.
    let mut strange = form.clone();
    strange["fields"]["client"] = json!(server.fact("device"));
    let (_, mut browser) = setting.connecting("strangers", "signin");
    let view = browser
        .call("POST", "/page/connections", Some(&strange))
        .expect(200)
        .json();
    assert_eq!(view["status"], "failed", "{view}");
    let kept = setting.platform.get("/v1/connections?owner=strangers");
    assert_eq!(kept["items"], json!([]));
}

/// R38, R39, R40: the code is typed on the server's page, in another browser; a sign-out ends the refresh token first.
#[test]
fn a_code_that_the_person_types_elsewhere_connects_them_and_a_sign_out_ends_it() {
    let setting = setting();
    let Some(server) = setting.oidc() else { return };
    let (session, mut browser) = setting.connecting("viewers", "signin");
    let wanted = json!({
        "app": "signin", "method": "device", "fields": { "client": server.fact("device") },
    });
    let started = browser
        .call("POST", "/page/flows", Some(&wanted))
        .expect(200)
        .json();
    let shown = &started["flow"]["device"];
    assert_eq!(
        shown["verification_uri"],
        "https://oidc.keyport.test/device"
    );
    let code = shown["user_code"].as_str().unwrap();
    let person = Person {
        setting: &setting,
        server,
        name: "vera",
    };
    let page = format!("{}/device?user_code={code}", server.fact("origin"));
    let (_, end) = person.through(&mut Client::new(), &page);
    assert!(end.contains("Success"), "{end}");
    let view = browser.settled(started["flow"]["id"].as_str().unwrap());
    let id = setting.taken(&session, "viewers", &view);
    assert_eq!(
        setting.proxied(&id, "/me").expect(200).json()["sub"],
        "vera"
    );

    let credentials = format!("/v1/connections/{id}/credentials");
    let token = setting.platform.get(&credentials)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/connections/{id}/disconnect");
    let answer = setting.platform.post(&path, &json!({})).expect(200).json();
    assert_eq!(answer["revoked"], "yes", "{answer}");
    let log = said(&server.fact("origin"), "/control/log");
    let ended = of(&log["revocations"], "client", &server.fact("device"));
    let hints: Vec<&Value> = ended.iter().map(|one| &one["hint"]).collect();
    assert_eq!(hints, ["refresh_token", "access_token"], "{log}");
    let bearer = format!("Bearer {token}");
    let dead = Client::new().get(
        &format!("{}/me", server.fact("origin")),
        &[("authorization", &bearer)],
    );
    assert_eq!(dead.status, 401, "the grant is dead at the server");
}

/// R47, R50, R52: metadata by OpenID Connect Discovery, one registration for each owner, an `id_token` that is checked.
#[test]
fn a_server_that_nobody_registered_at_is_found_out_registered_at_and_believed() {
    let setting = setting();
    let Some(server) = setting.oidc() else { return };
    let person = |name| Person {
        setting: &setting,
        server,
        name,
    };
    let (ada, grace) = (person("found-ada"), person("found-grace"));
    for (owner, person) in [
        ("finder-1", &ada),
        ("finder-2", &grace),
        ("finder-1", &grace),
    ] {
        let id = person.connects(owner, "found");
        let me = setting.proxied(&id, "/me").expect(200).json();
        assert_eq!(me["sub"], person.name);
    }
    let clients = |person: &Person<'_>| -> Vec<Value> {
        let grants = person.grants();
        grants.iter().map(|one| one["client"].clone()).collect()
    };
    let (first, both) = (clients(&ada), clients(&grace));
    assert_eq!((first.len(), both.len()), (1, 2));
    assert_eq!(
        first[0], both[1],
        "the second account of an owner uses the registration of the first"
    );
    assert_ne!(first[0], both[0], "another owner has another registration");
}

/// R22: the server's metadata promises `iss` in each callback, so one without it is somebody else's.
#[test]
fn a_callback_without_the_issuer_that_was_promised_is_not_redeemed() {
    let setting = setting();
    let Some(server) = setting.oidc() else { return };
    let person = Person {
        setting: &setting,
        server,
        name: "iris",
    };
    let (_, mut browser, flow, callback) = person.sign_in("issuers", "found");
    let iss = "&iss=https%3A%2F%2Foidc.keyport.test";
    assert!(callback.contains(iss), "{callback}");
    browser.client.get(&callback.replace(iss, ""), &[]);
    let view = browser.settled(&flow);
    assert_eq!(view["error"]["code"], "wrong_issuer", "{view}");
    browser.client.get(&callback, &[]);
    assert_eq!(browser.settled(&flow)["status"], "failed", "too late");
    assert!(person.grants().is_empty(), "no code was redeemed");
}

/// R30: the resource goes along each time, the server signs it into `aud`, and the API checks both.
#[test]
fn a_token_for_a_resource_says_so_from_the_first_to_the_last() {
    let setting = setting();
    let Some(server) = setting.oidc() else { return };
    let person = Person {
        setting: &setting,
        server,
        name: "rosa",
    };
    let id = person.connects("resources", "resource");
    let credentials = format!("/v1/connections/{id}/credentials");
    let token = setting.platform.get(&credentials)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(claims(&token)["aud"], server.fact("audience"));
    let whose = setting.proxied(&id, "/api/whose").expect(200).json();
    assert_eq!(whose["resource"], server.fact("audience"));
    person.control("expire");
    let again = setting.proxied(&id, "/api/whose").expect(200).json();
    assert_eq!(again["resource"], server.fact("audience"));
    let grants = person.grants();
    assert_eq!(grants.len(), 2, "{grants:?}");
    for grant in grants {
        assert_eq!(grant["resource"], server.fact("audience"), "{grant}");
    }
}

/// R30: a resource that the server does not know ends the sign-in with a word of its own.
#[test]
fn a_resource_that_the_server_does_not_know_ends_the_sign_in() {
    let setting = setting();
    let Some(server) = setting.oidc() else { return };
    let person = Person {
        setting: &setting,
        server,
        name: "stella",
    };
    let (_, mut browser, flow, callback) = person.sign_in("strange-resources", "stranger");
    browser.client.get(&callback, &[]);
    let view = browser.settled(&flow);
    let say = view["error"]["say"].as_str().unwrap();
    assert!(say.contains("invalid_target"), "{view}");
    assert!(person.grants().is_empty());
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let body = token.split('.').nth(1).unwrap();
    let body = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(body)
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// Somebody has copied a refresh token and shows it after it was spent: the server ends the whole family. The connection
/// says that it has to be signed in again; the host asks no second time.
#[test]
fn a_stolen_refresh_token_that_is_shown_again_ends_the_sign_in_and_is_said() {
    let setting = setting();
    let Some(server) = setting.oidc() else { return };
    let person = Person {
        setting: &setting,
        server,
        name: "thea",
    };
    let id = person.connects("robbed", "found");
    person.control("expire");
    let me = setting.proxied(&id, "/me").expect(200).json();
    assert_eq!(me["sub"], "thea", "it was renewed, and rotated");
    let client = person.grants()[0]["client"].as_str().unwrap().to_owned();
    let errors = || {
        let log = said(&server.fact("origin"), "/control/log");
        of(&log["errors"], "client", &client).len()
    };
    assert_eq!(errors(), 0);
    let thief = person.control("replay");
    assert_eq!(thief["status"], 400, "the spent token is refused");
    assert!(setting.proxied(&id, "/me").status >= 400);
    let test = format!("/v1/connections/{id}/test");
    setting.platform.post(&test, &json!({}));
    let connection = setting.connection(&id);
    assert_eq!(connection["state"], "needs_reconnect", "{connection}");
    let asked = errors();
    assert!(setting.proxied(&id, "/me").status >= 400);
    assert_eq!(errors(), asked, "a dead grant is not asked for again");
}

/// R19, R47 to R50, R30: the MCP SDK's own server, by its address alone, with the app that everybody gets.
#[test]
fn an_mcp_server_is_connected_by_its_address_alone() {
    let setting = setting();
    let Some(server) = setting.mcp() else { return };
    let fields = json!({ "origin": "https://mcp.keyport.test", "path": "mcp" });
    for owner in ["mcp-1", "mcp-1", "mcp-2"] {
        let (session, mut browser) = setting.connecting(owner, "mcp-server");
        let (flow, go) = setting.begin(&mut browser, "mcp-server", "oauth", &fields);
        let first = browser.client.get(&go, &[]);
        let end = format!("{}/oauth/callback/", setting.host.url());
        let (callback, page) = browser
            .client
            .follow(&go, first, |next| !next.starts_with(&end));
        assert!(callback.starts_with(&end), "{callback} {}", page.text());
        browser.client.get(&callback, &[]);
        let view = browser.settled(&flow);
        let id = setting.taken(&session, owner, &view);
        let tools = setting
            .platform
            .post(
                &format!("/v1/connections/{id}/actions/list_tools"),
                &json!({ "input": {} }),
            )
            .expect(200)
            .json();
        assert!(tools.to_string().contains("hello"), "{tools}");
    }
    let log = said(&server.fact("server"), "/control/log");
    let count = |what: &str| {
        let all = log.as_array().unwrap();
        all.iter().filter(|line| *line == what).count()
    };
    // A 401 leads to the resource's metadata, that to the server's; a client is made for each owner; then a code each.
    assert_eq!(count("resource GET /mcp 401"), 3, "{log}");
    for known in [
        "resource GET /.well-known/oauth-protected-resource/mcp 200",
        "server GET /.well-known/oauth-authorization-server 200",
    ] {
        assert!(count(known) >= 1, "{known}: {log}");
    }
    assert_eq!(count("server POST /register 201"), 2, "{log}");
    assert_eq!(count("server POST /token 200"), 3, "{log}");
    assert_eq!(
        count("resource POST /mcp 200"),
        6,
        "a test and a call each: {log}"
    );
}
