//! Requests that the host signs, against servers that check every signature: OAuth 1.0a by oauthlib (R53 to R58), AWS by
//! moto (R64).

use keyport_tests::browser::Browser;
use keyport_tests::http::{Answer, Client};
use keyport_tests::peer::Peer;
use serde_json::{Value, json};

use crate::signin_peers::{CONSUMER, CONSUMER_SECRET, Setting, said, setting};

/// A sign-in at the OAuth 1.0a server: the browser, the flow, and the callback that the server sends the browser to.
fn authorize(
    setting: &Setting,
    owner: &str,
    method: &str,
    fields: &Value,
    more: &str,
) -> (Browser, String, String) {
    let mut browser = setting.managing(owner);
    let (flow, go) = setting.begin(&mut browser, "signed1", method, fields);
    let left = browser.client.get(&go, &[]);
    let page = left
        .header("location")
        .unwrap_or_else(|| panic!("it does not leave: {}", left.text()));
    let agreed = Client::new().get(&format!("{page}{more}"), &[]);
    let back = agreed.header("location").expect("it comes back").to_owned();
    (browser, flow, back)
}

fn connect(setting: &Setting, owner: &str, method: &str, fields: &Value) -> String {
    let (mut browser, flow, back) = authorize(setting, owner, method, fields, "");
    let answer = browser.client.get(&back, &[]);
    assert!(answer.status < 400, "{}", answer.text());
    let view = browser.settled(&flow);
    assert_eq!(view["status"], "connected", "{method}: {view}");
    view["connection_id"].as_str().unwrap().to_owned()
}

/// A form with awkward values, through the proxy.
fn form(setting: &Setting, id: &str) -> Answer {
    let url = format!("{}/v1/connections/{id}/proxy/form?q=1", setting.host.url());
    let key = format!("Bearer {}", setting.platform.key());
    let headers = [
        ("authorization", key.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = b"z=1&a=x+y&a=%26".to_vec();
    Client::new().send("POST", &url, &headers, Some(body))
}

fn stats(server: &Peer) -> Value {
    said(&server.fact("origin"), "/stats")
}

/// R53, R54: HMAC-SHA256, PLAINTEXT, HMAC-SHA1 and RSA-SHA1, in the header, the query and forms; with parameters that have
/// to be encoded and sorted.
#[test]
fn an_oauth_1_server_takes_every_signature_in_every_place() {
    let setting = setting();
    let Some(server) = setting.oauth1() else {
        return;
    };
    let own = json!({ "client": server.fact("rsa_client"), "key": server.fact("rsa_key") });
    for (method, name, fields) in [
        ("hmac", "HMAC-SHA256", &json!({})),
        ("plain", "PLAINTEXT", &json!({})),
        ("query", "HMAC-SHA1", &json!({})),
        ("body", "HMAC-SHA1", &json!({})),
        ("rsa", "RSA-SHA1", &own),
    ] {
        let id = connect(&setting, &format!("signer-{method}"), method, fields);
        let awkward = "/x?b=2&a=x%20y&a=1%2B1&%C3%A9=%2F";
        let asked = setting.proxied(&id, awkward).expect(200).json();
        let path = asked["path"].as_str().unwrap();
        assert!(path.starts_with("/x?b=2&a=x%20y&a=1%2B1"), "{path}");
        let sent = form(&setting, &id);
        assert_eq!(sent.status, 200, "{method}: {}", sent.text());
        let seen = stats(server)["methods"].clone();
        let times = seen.as_array().unwrap().iter().filter(|m| *m == name);
        assert!(times.count() >= 3, "{method} was signed as {name}: {seen}");
    }
    let log = setting.host.log();
    let key = server.fact("rsa_key");
    let line = key.lines().nth(1).unwrap();
    assert!(!log.contains(CONSUMER_SECRET) && !log.contains(line));
}

/// R57: whoever has seen a request cannot send it again. The server forgets no nonce; the host never repeats one.
#[test]
fn a_signed_request_that_is_sent_again_is_refused() {
    let setting = setting();
    let Some(server) = setting.oauth1() else {
        return;
    };
    let id = connect(&setting, "replayed", "hmac", &json!({}));
    let before = stats(server)["replays"].as_u64().unwrap();
    assert_eq!(before, 0, "the host has not repeated a nonce so far");
    for _ in 0..2 {
        setting.proxied(&id, "/x").expect(200);
        let again = said(&server.fact("origin"), "/replay");
        assert_eq!(again["status"], 401, "{again}");
    }
    assert_eq!(stats(server)["replays"], 2);
}

/// R57: the server's clock is two hours ahead; its answers say so, and the sign-in works all the same.
#[test]
fn an_oauth_1_server_with_another_clock_is_signed_in_to() {
    let setting = setting();
    let Some(server) = setting.oauth1() else {
        return;
    };
    let id = connect(&setting, "late", "late", &json!({}));
    let refused = stats(server)["timestamps"].as_u64().unwrap();
    assert_eq!(refused, 1, "it is learned from the first refusal");
    setting.proxied(&id, "/x").expect(200);
    assert_eq!(stats(server)["timestamps"], 1, "and not forgotten");
}

/// R58: no dance: four pasted values, and the account as the realm of the header.
#[test]
fn a_token_that_was_made_by_hand_signs_with_its_realm() {
    let setting = setting();
    let Some(server) = setting.oauth1() else {
        return;
    };
    let tried = |owner: &str, change: &[(&str, &str)]| {
        let mut fields = json!({
            "account": server.fact("tba_realm"),
            "client": CONSUMER,
            "consumer_secret": CONSUMER_SECRET,
            "token": server.fact("tba_token"),
            "token_secret": server.fact("tba_secret"),
        });
        for (name, value) in change {
            fields[name] = json!(value);
        }
        let form = json!({ "app": "signed1", "method": "token", "fields": fields });
        let mut browser = setting.managing(owner);
        let answer = browser.call("POST", "/page/connections", Some(&form));
        answer.expect(200).json()
    };
    let right = tried("by-hand", &[]);
    assert_eq!(right["status"], "connected", "{right}");
    let id = right["connection_id"].as_str().unwrap();
    let asked = setting.proxied(id, "/x").expect(200).json();
    assert_eq!(asked["realm"], server.fact("tba_realm"));
    for wrong in [
        ("account", "7654321"),
        ("token_secret", "another-secret"),
        ("consumer_secret", "another-secret"),
        ("client", "another-client"),
        ("token", "another-token"),
    ] {
        let view = tried("by-hand-wrongly", &[wrong]);
        assert_eq!(view["status"], "failed", "{wrong:?}: {view}");
        assert!(view["error"]["say"].as_str().unwrap().contains("signature"));
    }
    assert!(!setting.host.log().contains(&server.fact("tba_secret")));
}

/// R55, R56 and A2, A4, A6 for OAuth 1.0a: another browser, another flow's token, a callback that comes twice, a person who
/// says no. The check of the cookie is in `Engine::signed_callback` (`same_browser`), that of the token in `flow::signed::returned`
/// (`ours`).
#[test]
fn a_callback_of_oauth_1_counts_once_for_its_own_flow_in_its_own_browser() {
    let setting = setting();
    if setting.oauth1().is_none() {
        return;
    }
    let begin = |more| authorize(&setting, "returning", "hmac", &json!({}), more);
    let (mut browser, flow, back) = begin("");
    let says = |answer: &Answer, code: &str| {
        let to = answer.header("location").unwrap_or_default();
        assert!(
            to.contains(code) || answer.text().contains(code),
            "{code}: {to} {}",
            answer.text()
        );
    };
    // A browser without the cookie changes nothing.
    says(&Client::new().get(&back, &[]), "wrong_browser");
    // Another flow's temporary token ends this one; nothing is asked of the server.
    let (mut other, other_flow, other_back) = begin("");
    let token = |url: &str| keyport_tests::http::query(url, "oauth_token").unwrap();
    let swapped = other_back.replace(&token(&other_back), &token(&back));
    other.client.get(&swapped, &[]);
    assert_eq!(other.settled(&other_flow)["error"]["code"], "mixed_up");
    // The right one connects, once.
    browser.client.get(&back, &[]);
    assert_eq!(browser.settled(&flow)["status"], "connected");
    says(&browser.client.get(&back, &[]), "already_used");
    let kept = setting.platform.get("/v1/connections?owner=returning");
    assert_eq!(kept["items"].as_array().unwrap().len(), 1, "{kept}");
    let (mut browser, flow, back) = begin("&deny=1");
    browser.client.get(&back, &[]);
    assert_eq!(browser.settled(&flow)["error"]["code"], "denied");
}

/// R64: a right key, a wrong secret, an unknown key, a missing right; and a role that the key may take on, whose temporary
/// keys sign. moto checks signatures and policies.
#[test]
fn aws_takes_the_signature_and_its_refusals_are_told_apart() {
    let setting = setting();
    let Some(aws) = setting.aws() else { return };
    let connect = |method: &str, fields: Value| {
        let mut browser = setting.managing("clouds");
        let form = json!({ "app": "aws", "method": method, "fields": fields });
        browser
            .call("POST", "/page/connections", Some(&form))
            .expect(200)
            .json()
    };
    let keys = |id: &str, secret: &str| json!({ "region": "us-east-1", "access_key_id": id, "secret_access_key": secret });
    let (id, secret) = (aws.fact("id"), aws.fact("secret"));
    let right = connect("access_key", keys(&id, &secret));
    assert_eq!(right["status"], "connected", "{right}");
    let right = setting.connection(right["connection_id"].as_str().unwrap());
    let label = right["account"]["label"].as_str().unwrap();
    assert!(label.ends_with(":user/ada"), "{right}");

    let with_role = |id: &str, secret: &str| {
        let mut fields = keys(id, secret);
        fields["role_arn"] = json!(aws.fact("role"));
        connect("role", fields)
    };
    let role = with_role(&id, &secret);
    assert_eq!(role["status"], "connected", "{role}");
    let role = setting.connection(role["connection_id"].as_str().unwrap());
    let label = role["account"]["label"].as_str().unwrap();
    assert!(label.ends_with(":assumed-role/reader/keyport"), "{role}");

    let wrong = "wrongwrongwrongwrongwrongwrongwrongwrong";
    let refusals = [
        connect("access_key", keys(&id, wrong)),
        connect("access_key", keys("AKIAIOSFODNN7EXAMPLE", &secret)),
        with_role(&aws.fact("other_id"), &aws.fact("other_secret")),
    ];
    let says = [
        "The secret access key does not belong to this access key ID.",
        "AWS does not know this access key, or the region is not switched on for the account.",
        "this key may not take on the role; look at the role's trust policy and the external id",
    ];
    for (view, say) in refusals.iter().zip(says) {
        assert_eq!(view["status"], "failed", "{view}");
        assert_eq!(view["error"]["say"], say, "{view}");
    }
    let log = setting.host.log();
    assert!(!log.contains(&secret) && !log.contains(&aws.fact("other_secret")));
}
