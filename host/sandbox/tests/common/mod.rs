//! A client for the vendor's router, and the steps that most tests begin with.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt, and no test file uses all helpers"
)]

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyport_sandbox::{Client, Clock, Seed, User, Vendor, VendorConfig};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use url::{Url, form_urlencoded};

pub const NOW: i64 = 1_800_000_000;
pub const CALLBACK: &str = "https://keyport.example/oauth/callback/cfg_1";
pub const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters.~_";
pub const ISSUER: &str = "https://vendor.keyport.test";

/// The vendor, the clock it reads, and what a browser or a client would remember.
pub struct Site {
    pub vendor: Vendor,
    pub clock: Clock,
    pub cookie: Option<String>,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the answer is JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// A parameter of the address that this redirects to.
    pub fn sent_back(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.header("location")).expect("a redirect");
        let mut pairs = url.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let from = self.text.find(&start).expect("the field is on the page") + start.len();
        let length = self.text[from..].find('"').unwrap();
        self.text[from..from + length].replace("&amp;", "&")
    }
}

pub fn site() -> Site {
    site_with(|_| {})
}

pub fn site_with(change: impl FnOnce(&mut VendorConfig)) -> Site {
    let clock = Clock::manual(NOW);
    let mut config = VendorConfig::new("http://127.0.0.1:4702");
    config.clock = clock.clone();
    config.control = true;
    let mut keyport = Client::new("keyport", "s3cret/+:%");
    keyport.name = "Keyport <dev>".to_owned();
    keyport.redirect_uris = vec![CALLBACK.to_owned()];
    keyport.redirect_prefixes = vec!["http://localhost:4700/oauth/callback/".to_owned()];
    let mut public = Client::new("public", "");
    public.secret = None;
    public.redirect_uris = vec![CALLBACK.to_owned()];
    config.clients = vec![keyport, public];
    let ada = User {
        seed: Seed {
            api_key: Some("ada-api-key".to_owned()),
            personal_token: Some("ada-personal-token".to_owned()),
            password: Some("ada:pass:word".to_owned()),
            signing_key_id: Some("ada-key-id".to_owned()),
            signing_secret: Some("ada-signing-secret".to_owned()),
        },
        ..User::ada()
    };
    config.users = vec![ada, User::grace()];
    change(&mut config);
    Site {
        vendor: Vendor::new(config).unwrap(),
        clock,
        cookie: None,
    }
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The header of a client that encodes its id and secret as RFC 6749, 2.3.1 says.
pub fn client_basic() -> String {
    basic("keyport", "s3cret%2F%2B%3A%25")
}

pub fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

/// An authorization request with some parameters replaced, and those with an empty value left out.
pub fn authorize(changes: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", "keyport"),
        ("redirect_uri", CALLBACK),
        ("scope", "notes:read notes:write"),
        ("state", "the state & more"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        pairs.retain(|(other, _)| other != name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    format!("/oauth/authorize?{}", form(&pairs))
}

impl Site {
    pub async fn send(&mut self, mut request: Request<Body>) -> Reply {
        if let Some(cookie) = &self.cookie {
            request
                .headers_mut()
                .insert(header::COOKIE, cookie.parse().unwrap());
        }
        let response = self.vendor.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        if let Some(set) = parts.headers.get(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            self.cookie = Some(pair.to_owned());
        }
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.call("GET", path, headers, "").await
    }

    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    pub async fn post_form(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        pairs: &[(&str, &str)],
    ) -> Reply {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.call("POST", path, &all, &form(pairs)).await
    }

    pub async fn post_json(&mut self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.call("POST", path, &all, &body.to_string()).await
    }

    /// Opens the consent page and presses a button.
    pub async fn consent(&mut self, request: &str, user: &str, decision: &str) -> Reply {
        let page = self.get(request, &[]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let (asked, csrf) = (page.hidden("request"), page.hidden("csrf"));
        let pairs = [
            ("request", asked.as_str()),
            ("csrf", &csrf),
            ("user", user),
            ("decision", decision),
        ];
        self.post_form("/oauth/authorize", &[], &pairs).await
    }

    pub async fn code(&mut self, changes: &[(&str, &str)]) -> String {
        let back = self.consent(&authorize(changes), "u_ada", "allow").await;
        back.sent_back("code").expect("a code")
    }

    pub async fn exchange(&mut self, code: &str) -> Reply {
        self.exchange_with(code, &[]).await
    }

    pub async fn exchange_with(&mut self, code: &str, changes: &[(&str, &str)]) -> Reply {
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in changes {
            pairs.retain(|(other, _)| other != name);
            pairs.push((name, value));
        }
        let auth = client_basic();
        self.post_form("/oauth/token", &[("authorization", &auth)], &pairs)
            .await
    }

    pub async fn refresh(&mut self, token: &str) -> Reply {
        let auth = client_basic();
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post_form("/oauth/token", &[("authorization", &auth)], &pairs)
            .await
    }

    /// Signs in as Ada: access and refresh token.
    pub async fn sign_in(&mut self, scope: &str) -> (String, String) {
        let code = self.code(&[("scope", scope)]).await;
        let tokens = self.exchange(&code).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
        pair(&tokens)
    }

    pub async fn me(&mut self, bearer: &str) -> Reply {
        let value = format!("Bearer {bearer}");
        self.get("/api/me", &[("authorization", &value)]).await
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Access and refresh token of an answer.
pub fn pair(reply: &Reply) -> (String, String) {
    let json = reply.json();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}
