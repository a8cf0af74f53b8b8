//! Token requests that a component makes: everything secret goes in and comes out as placeholders.
//!
//! The threats: a component that keeps a code, a client's secret or a token for itself; one that puts an account of its
//! author's in the place of the person's, by returning a token that it brought along; one that sends a code elsewhere. So
//! what goes in is a placeholder with the slots that the manifest declares, good towards the token endpoint alone; in
//! answers of the token endpoint every declared token, and whatever goes by a token's usual names, becomes a placeholder
//! before the component sees it; and where the component's answer has a token, only such a placeholder is taken.
//!
//! The endpoint is one address, not a host: on the host of an API, a code in a declared member could be posted to where its
//! component's author reads it.
//!
//! Left out: a component that redeems a grant of its author's own there, of which it knows the secret. What comes of that is
//! a sign-in to another account, and the test call shows whose it is before it counts. And answers that are neither JSON nor
//! a form: their body is withheld, for nobody can tell what in it is a token.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use keyport_egress::{Handles, Scrubber, Secret};
use keyport_manifest::{
    AllowedHosts, CaptureSource, ExchangeValue, JsonPath, Oauth2, SecretSlot, SecretText,
    TokenFields,
};
use serde_json::{Map, Value};
use url::Url;

use crate::imports::slots_of;

/// Members that hold a token wherever they stand, compared without case and without `_` and `-`.
const NAMES: &[&str] = &[
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "token",
    "sessiontoken",
    "authtoken",
    "oauthtoken",
    "oauthtokensecret",
    "tokensecret",
    "usertoken",
    "apikey",
    "secret",
    "clientsecret",
    "devicecode",
];

/// Shorter values under those names are no tokens (`"token": "1"` would make a placeholder of every `1`).
const MIN_TOKEN: usize = 8;

/// A token request that a component is to make.
#[derive(Clone)]
pub struct TokenRequest {
    /// The way to sign in: where its tokens are in answers, and what may be placed where.
    pub oauth: Arc<Oauth2>,
    /// What the component reads as it is: `url`, `client_id`, `redirect_uri`, `scope` …
    pub public: Map<String, Value>,
    /// What it gets as placeholders. A value without a declared slot is not handed over at all.
    pub secrets: Vec<(ExchangeValue, Secret)>,
}

/// The request while the call lasts.
#[derive(Clone)]
pub(crate) struct Exchange {
    oauth: Arc<Oauth2>,
    /// The token endpoint.
    url: Option<Url>,
    pub(crate) handles: Handles,
    audience: AllowedHosts,
    /// Placeholders of what answers of the token endpoint gave.
    answered: Arc<Mutex<HashSet<String>>>,
}

impl Exchange {
    /// The exchange, and what its component is told.
    pub(crate) fn begin(request: TokenRequest, audience: AllowedHosts) -> (Self, Value) {
        let exchange = Self {
            oauth: request.oauth,
            url: request
                .public
                .get("url")
                .and_then(Value::as_str)
                .and_then(|url| Url::parse(url).ok()),
            handles: Handles::default(),
            audience,
            answered: Arc::default(),
        };
        let mut input = request.public;
        for (name, value) in request.secrets {
            let Some(slots) = exchange.slots(name) else {
                continue;
            };
            let placeholder = exchange.issue(value, slots);
            if let Ok(Value::String(name)) = serde_json::to_value(name) {
                input.insert(name, placeholder.into());
            }
        }
        (exchange, Value::Object(input))
    }

    /// Whether a request goes to the token endpoint; its query is the component's to write.
    pub(crate) fn is_for(&self, url: &str) -> bool {
        let Ok(mut given) = Url::parse(url) else {
            return false;
        };
        self.url.clone().is_some_and(|mut own| {
            own.set_query(None);
            own.set_fragment(None);
            given.set_query(None);
            given.set_fragment(None);
            own == given
        })
    }

    fn slots(&self, name: ExchangeValue) -> Option<&[SecretSlot]> {
        let declared = self.oauth.by_component.as_ref()?;
        declared.slots.get(&name).map(Vec::as_slice)
    }

    fn issue(&self, value: Secret, slots: &[SecretSlot]) -> String {
        self.handles
            .issue_for(value, slots_of(slots), self.audience.clone())
    }

    /// An answer of the token endpoint as its component may see it.
    pub(crate) fn shown(&self, content_type: &str, body: &[u8]) -> Vec<u8> {
        let Some(mut tree) = parsed(content_type, body) else {
            return Vec::new();
        };
        let mut hidden: Vec<(String, Secret)> = Vec::new();
        let slots = self.slots(ExchangeValue::Answer).unwrap_or_default();
        for text in self.tokens(&tree) {
            if hidden.iter().any(|(_, known)| known.expose() == text) {
                continue;
            }
            let placeholder = self.issue(Secret::new(text.as_str()), slots);
            self.lock().insert(placeholder.clone());
            hidden.push((placeholder, Secret::new(text)));
        }
        each_text(&mut tree, &mut |text| {
            if let Some((placeholder, _)) = hidden.iter().find(|(_, known)| known.expose() == text)
            {
                placeholder.clone_into(text);
            }
        });
        // A token that stands in another text as well (an address, say) is taken out of that, and so is what went in.
        let scrubber = Scrubber::new(&self.handles.values());
        scrubber.bytes(tree.to_string().as_bytes())
    }

    /// The component's answer with the tokens in it.
    ///
    /// # Errors
    /// What is wrong with it, as a part of a sentence.
    pub(crate) fn taken(&self, mut answer: Value) -> Result<SecretText, &'static str> {
        let answered = self.lock().clone();
        let foreign = self
            .tokens(&answer)
            .iter()
            .any(|text| !answered.contains(text));
        if foreign {
            return Err("it has a token that the app's token endpoint did not give in this call");
        }
        let mut misplaced = false;
        each_text(&mut answer, &mut |text| {
            if answered.contains(text.as_str()) {
                if let Some(value) = self.handles.value_of(text) {
                    *text = value.expose().to_owned();
                }
            } else if text.contains("kph_") {
                misplaced = true;
            }
        });
        let out = SecretText::new(answer.to_string());
        wipe(&mut answer);
        if misplaced {
            Err("it has a placeholder where no token may stand")
        } else {
            Ok(out)
        }
    }

    /// Every text that stands where a token does.
    fn tokens(&self, tree: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let response = &self.oauth.response;
        let at_root = |root: Option<&JsonPath>, fields: &TokenFields, found: &mut Vec<String>| {
            let root = root.map_or(Some(tree), |root| root.first(tree));
            for path in [&fields.access_token, &fields.refresh_token] {
                let texts = root.zip(path.as_ref()).map(|(at, path)| path.select(at));
                found.extend(
                    texts
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .map(str::to_owned),
                );
            }
        };
        at_root(response.root.as_ref(), &response.fields, &mut found);
        for second in response.also.values() {
            at_root(Some(&second.root), &second.fields, &mut found);
        }
        for capture in self
            .oauth
            .capture
            .values()
            .filter(|capture| !capture.public)
        {
            if let Some(CaptureSource::Path(path)) = capture.source() {
                found.extend(path.text(tree));
            }
        }
        by_name(tree, &mut found);
        found.retain(|text| !text.is_empty());
        found
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Headers of a token endpoint's answer that say something to a component and hold no secret.
pub(crate) fn shown_header(name: &str) -> bool {
    matches!(name, "content-type" | "date" | "retry-after")
}

fn parsed(content_type: &str, body: &[u8]) -> Option<Value> {
    if let Ok(tree) = serde_json::from_slice(body) {
        return Some(tree);
    }
    if !content_type.contains("form-urlencoded") {
        return None;
    }
    let pairs = url::form_urlencoded::parse(body);
    Some(Value::Object(
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect(),
    ))
}

fn by_name(tree: &Value, found: &mut Vec<String>) {
    match tree {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if text.len() >= MIN_TOKEN && is_token(name) => {
                        found.push(text.clone());
                    }
                    other => by_name(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| by_name(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_token(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect();
    NAMES.contains(&plain.as_str())
}

fn each_text(tree: &mut Value, change: &mut impl FnMut(&mut String)) {
    match tree {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(map) => map.values_mut().for_each(|value| each_text(value, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes every text out of a tree and wipes it.
fn wipe(tree: &mut Value) {
    each_text(tree, &mut |text| drop(Secret::new(std::mem::take(text))));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exchange(response: Value) -> Exchange {
        let oauth: Oauth2 = serde_json::from_value(json!({
            "label": "In", "authorize_url": "https://acme.dev/a", "token_url": "https://acme.dev/t",
            "response": response,
            "capture": { "tenant": { "path": "$.tenant_key" }, "site": { "path": "$.site", "public": true } },
            "by_component": { "reason": "The request is signed over its body and the time.", "slots": {
                "code": [{ "body": "code" }], "answer": [{ "body": "refresh_token" }] } },
        }))
        .unwrap();
        let request = TokenRequest {
            oauth: Arc::new(oauth),
            public: Map::from_iter([("url".to_owned(), json!("https://acme.dev/t"))]),
            secrets: vec![
                (ExchangeValue::Code, Secret::new("the-code")),
                (ExchangeValue::ClientSecret, Secret::new("the-secret")),
            ],
        };
        let (exchange, input) = Exchange::begin(request, "acme.dev".parse().unwrap());
        assert!(input["code"].as_str().unwrap().starts_with("kph_"));
        assert_eq!(input["url"], "https://acme.dev/t");
        // No slot, so it is not handed over.
        assert!(input.get("client_secret").is_none());
        exchange
    }

    fn shown(exchange: &Exchange, kind: &str, body: &str) -> Value {
        serde_json::from_slice(&exchange.shown(kind, body.as_bytes())).unwrap_or(Value::Null)
    }

    #[test]
    fn tokens_come_out_as_placeholders_and_go_back_in_as_tokens() {
        let exchange = exchange(json!({ "root": "$.data", "fields": { "access_token": "$.key" } }));
        let answer = json!({ "data": { "key": "tok-12345678", "refreshToken": "ref-12345678", "expireTime": "x",
            "next": "https://acme.dev/?t=tok-12345678" }, "tenant_key": "ten-12345678", "site": "acme-site" });
        let seen = shown(&exchange, "application/json", &answer.to_string());
        let text = seen.to_string();
        for secret in ["tok-12345678", "ref-12345678", "ten-12345678"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(seen["site"], "acme-site");
        let back = exchange.taken(seen).unwrap();
        let back: Value = serde_json::from_str(back.expose()).unwrap();
        assert_eq!(back["data"]["key"], "tok-12345678");
        assert_eq!(back["data"]["refreshToken"], "ref-12345678");
    }

    #[test]
    fn the_endpoint_is_one_address_and_its_query_is_free() {
        let exchange = exchange(json!({}));
        for (url, is) in [
            ("https://acme.dev/t", true),
            ("https://acme.dev/t?code=x", true),
            ("https://ACME.dev:443/t", true),
            ("https://acme.dev/x/../t", true),
            ("https://acme.dev/", false),
            ("https://acme.dev/t/", false),
            ("https://acme.dev/api/messages", false),
            ("https://acme.dev:8443/t", false),
            ("https://user@acme.dev/t", false),
            ("http://acme.dev/t", false),
            ("https://other.dev/t", false),
            ("/t", false),
        ] {
            assert_eq!(exchange.is_for(url), is, "{url}");
        }
    }

    #[test]
    fn a_form_is_read_and_what_is_neither_is_withheld() {
        let exchange = exchange(json!({}));
        let seen = shown(
            &exchange,
            "application/x-www-form-urlencoded",
            "access_token=tok-12345678&scope=a",
        );
        assert!(seen["access_token"].as_str().unwrap().starts_with("kph_"));
        assert_eq!(seen["scope"], "a");
        assert!(
            exchange
                .shown("text/xml", b"<t>tok-12345678</t>")
                .is_empty()
        );
    }

    #[test]
    fn a_token_that_the_component_brings_along_is_refused() {
        let exchange = exchange(json!({}));
        shown(
            &exchange,
            "application/json",
            r#"{"access_token":"tok-12345678"}"#,
        );
        for answer in [
            json!({ "access_token": "token-of-another-account" }),
            json!({ "access_token": exchange.handles.issue(Secret::new("x"), vec![]) }),
            json!({ "data": [{ "refresh-token": "token-of-another-account" }] }),
        ] {
            assert!(exchange.taken(answer.clone()).is_err(), "{answer}");
        }
        let elsewhere = json!({ "site": exchange.handles.issue(Secret::new("x"), vec![]) });
        assert!(exchange.taken(elsewhere).is_err());
        assert!(exchange.taken(json!({ "error": "invalid_grant" })).is_ok());
    }
}
