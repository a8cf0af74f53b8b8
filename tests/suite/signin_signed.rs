//! Requests that the host signs, against servers that check every signature: OAuth 1.0a by oauthlib (R53 to R57), AWS by
//! moto (R64).

use std::collections::BTreeMap;

use keyport_tests::binary::repository;
use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::{Client, join};
use keyport_tests::peer::Peer;
use keyport_tests::platform::Platform;
use serde_json::{Value, json};

const KEY: &str = "consumer-key-1";
const SECRET: &str = "canary-consumer-secret-2f7a91";

struct Setting {
    host: Host,
    platform: Platform,
    server: Peer,
}

fn setting(skew: i64) -> Option<Setting> {
    let server = Peer::start(
        "oauth1.py",
        &json!({ "key": KEY, "secret": SECRET, "skew": skew }),
    )?;
    let mut host = Host::start(Setup {
        origins: BTreeMap::from([(
            "https://signed1.keyport.test".to_owned(),
            server.fact("origin"),
        )]),
        apps: vec![repository().join("tests/apps/signed1")],
        ..Setup::default()
    });
    let platform = host.platform();
    platform.configure(
        "signed1",
        &json!({ "client_id": KEY, "client_secret": SECRET }),
    );
    Some(Setting {
        host,
        platform,
        server,
    })
}

impl Setting {
    /// Begins a sign-in: the browser, the flow, and where the app sends the browser back to.
    fn authorize(&self, method: &str, deny: bool) -> (Browser, String, String) {
        let (_, link) = self.platform.session("owner-1", "manage", &json!({}));
        let mut browser = Browser::open(&link);
        let wanted = json!({ "app": "signed1", "method": method, "mode": "redirect" });
        let started = browser
            .call("POST", "/page/flows", Some(&wanted))
            .expect(200)
            .json();
        let flow = started["flow"]["id"].as_str().unwrap().to_owned();
        let go = join(&self.host.url(), started["go_url"].as_str().unwrap());
        let left = browser.client.get(&go, &[]);
        let mut page = left.header("location").expect("it leaves").to_owned();
        if deny {
            page.push_str("&deny=1");
        }
        let agreed = Client::new().get(&page, &[]);
        let back = agreed.header("location").expect("it comes back").to_owned();
        (browser, flow, back)
    }

    fn connect(&self, method: &str) -> String {
        let (mut browser, flow, back) = self.authorize(method, false);
        let answer = browser.client.get(&back, &[]);
        assert!(answer.status < 400, "{}", answer.text());
        let view = browser.settled(&flow);
        assert_eq!(
            view["status"],
            "connected",
            "{method}: {view}\n{}",
            self.host.log()
        );
        view["connection_id"].as_str().unwrap().to_owned()
    }

    fn stats(&self) -> Value {
        Client::new()
            .get(&format!("{}/stats", self.server.fact("origin")), &[])
            .json()
    }

    fn proxy(&self, id: &str, path: &str) -> keyport_tests::http::Answer {
        let path = format!("/v1/connections/{id}/proxy{path}");
        self.platform.call("GET", &path, None)
    }
}

/// R53, R54, R57: HMAC-SHA256, PLAINTEXT and HMAC-SHA1, in the header, the query and forms; with parameters that have to be
/// encoded and sorted. The server refuses a nonce that it has seen.
#[test]
fn an_oauth_1_server_takes_every_signature_in_every_place() {
    let Some(setting) = setting(0) else { return };
    for method in ["hmac", "plain", "query", "body"] {
        let id = setting.connect(method);
        let asked = setting
            .proxy(&id, "/x?b=2&a=x%20y&a=1%2B1&%C3%A9=%2F")
            .expect(200)
            .json();
        assert!(
            asked["path"]
                .as_str()
                .unwrap()
                .starts_with("/x?b=2&a=x%20y&a=1%2B1"),
            "{asked}"
        );
        let form = Client::new().send(
            "POST",
            &format!("{}/v1/connections/{id}/proxy/form?q=1", setting.host.url()),
            &[
                (
                    "authorization",
                    &format!("Bearer {}", setting.platform.key()),
                ),
                ("content-type", "application/x-www-form-urlencoded"),
            ],
            Some(b"z=1&a=x+y&a=%26".to_vec()),
        );
        assert_eq!(form.status, 200, "{method}: {}", form.text());
    }
    assert_eq!(setting.stats()["replays"], 0);
    assert!(!setting.host.log().contains(SECRET));
}

/// R57: the server's clock is two hours ahead; its answers say so, and the sign-in works all the same.
#[test]
fn an_oauth_1_server_with_another_clock_is_signed_in_to() {
    let Some(setting) = setting(7200) else { return };
    let id = setting.connect("hmac");
    let before = setting.stats()["requests"].as_u64().unwrap();
    setting.proxy(&id, "/x").expect(200);
    assert_eq!(
        setting.stats()["requests"].as_u64().unwrap(),
        before + 2,
        "no second try: it is learned"
    );
}

/// R55, R56 and A2, A4, A6 for OAuth 1.0a: another browser, another flow's token, a callback that comes twice, a person who
/// says no. The check of the cookie is in `Engine::signed_callback` (`same_browser`), that of the token in `flow::signed::returned`
/// (`ours`).
#[test]
fn a_callback_of_oauth_1_counts_once_for_its_own_flow_in_its_own_browser() {
    let Some(setting) = setting(0) else { return };
    let (mut browser, flow, back) = setting.authorize("hmac", false);
    // A browser without the cookie changes nothing.
    let stranger = Client::new().get(&back, &[]);
    assert!(
        stranger.text().contains("wrong_browser")
            || stranger
                .header("location")
                .is_some_and(|to| to.contains("wrong_browser")),
        "{}",
        stranger.text()
    );
    assert_eq!(setting.stats()["tokens"], 0);
    // Another flow's temporary token ends this one without a token request.
    let (mut other, other_flow, other_back) = setting.authorize("hmac", false);
    let swap = |to: &str, from: &str| {
        let token = from
            .split("oauth_token=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        let own = to
            .split("oauth_token=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        to.replace(own, token)
    };
    other.client.get(&swap(&other_back, &back), &[]);
    assert_eq!(other.settled(&other_flow)["error"]["code"], "mixed_up");
    assert_eq!(setting.stats()["tokens"], 0);
    // The right one connects, once.
    browser.client.get(&back, &[]);
    assert_eq!(browser.settled(&flow)["status"], "connected");
    let again = browser.client.get(&back, &[]);
    assert!(
        again.text().contains("already_used")
            || again
                .header("location")
                .is_some_and(|to| to.contains("already_used")),
        "{}",
        again.text()
    );
    assert_eq!(setting.stats()["tokens"], 1);
    let (mut browser, flow, back) = setting.authorize("hmac", true);
    browser.client.get(&back, &[]);
    assert_eq!(browser.settled(&flow)["error"]["code"], "denied");
}

/// R64: a right key, a wrong secret, an unknown key; and a role that the key may take on. moto checks the signatures.
#[test]
fn aws_takes_the_signature_and_its_refusals_are_told_apart() {
    let Some(aws) = Peer::start("aws.py", &json!({})) else {
        return;
    };
    let mut host = Host::start(Setup {
        origins: BTreeMap::from([(
            "https://sts.us-east-1.amazonaws.com".to_owned(),
            aws.fact("origin"),
        )]),
        apps: Vec::new(),
        ..Setup::default()
    });
    let platform = host.platform();
    let connect = |method: &str, fields: Value| {
        let (_, link) = platform.session("owner-1", "manage", &json!({}));
        let mut browser = Browser::open(&link);
        let form = json!({ "app": "aws", "method": method, "fields": fields });
        browser
            .call("POST", "/page/connections", Some(&form))
            .expect(200)
            .json()
    };
    let (id, secret) = (aws.fact("id"), aws.fact("secret"));
    let keys = |id: &str, secret: &str| json!({ "region": "us-east-1", "access_key_id": id, "secret_access_key": secret });
    let right = connect("access_key", keys(&id, &secret));
    assert_eq!(right["status"], "connected", "{right}\n{}", host.log());
    let wrong = connect(
        "access_key",
        keys(&id, "wrongwrongwrongwrongwrongwrongwrongwrong"),
    );
    let unknown = connect("access_key", keys("AKIAIOSFODNN7EXAMPLE", &secret));
    let said = |view: &Value| view["error"]["say"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        said(&wrong),
        "The secret access key does not belong to this access key ID.",
        "{wrong}"
    );
    assert!(
        said(&unknown).starts_with("AWS does not know this access key"),
        "{unknown}"
    );
    let mut role = keys(&id, &secret);
    role["role_arn"] = json!(aws.fact("role"));
    let role = connect("role", role);
    assert_eq!(role["status"], "connected", "{role}\n{}", host.log());
    assert!(!host.log().contains(&secret));
}
