//! How the requests of an OAuth sign-in are written: the authorization URL, and requests to a token endpoint.
//!
//! RFC 6749 with the deviations that a manifest declares: further parameters, other names, other orders, other bodies. What
//! a parameter's value is, is the caller's; in which form it is sent, is said here.

use indexmap::IndexMap;
use url::Url;

use crate::message::PlainRequest;
use crate::model::{
    ClientAuth, Exchange, Oauth2, Oauth2Grant, ParamRules, Pkce, TokenBody, TokenMethod,
};
use crate::resolve::{ResolveError, url_of};
use crate::scope::Scope;
use crate::template::{RenderError, Slot, Template, percent};

/// What the flow itself puts into an authorization URL.
#[derive(Debug, Clone, Copy)]
pub struct Authorizing<'a> {
    /// The client's id.
    pub client_id: &'a str,
    /// Where the person comes back to.
    pub redirect_uri: &'a str,
    /// What is asked for: the manifest's scopes and those that the operator added.
    pub scopes: &'a [&'a str],
    /// The state.
    pub state: &'a str,
    /// The PKCE challenge, unless the manifest turns PKCE off.
    pub challenge: &'a str,
    /// What the flow adds by itself: `nonce` (OpenID Connect), `resource` (RFC 8707).
    pub own: &'a [(&'a str, &'a str)],
}

/// The authorization URL. What the endpoint's own query or the manifest says never overrides the flow's own parameters, and
/// no parameter is there twice.
///
/// # Errors
/// A declared parameter that lacks its value.
pub fn authorize_url(
    oauth: &Oauth2,
    endpoint: &Url,
    flow: &Authorizing<'_>,
    scope: &Scope,
) -> Result<Url, RenderError> {
    let mut params: Vec<(String, String)> = endpoint.query_pairs().into_owned().collect();
    for (name, value) in rendered(&oauth.authorize_params, scope, Slot::Raw)? {
        set(&mut params, &name, value);
    }
    // Where no code comes back, none is asked for, and there is nothing that PKCE could prove.
    let with_code = oauth.grant != Oauth2Grant::AdminConsent;
    if with_code {
        let word = oauth.params.values.get("response_type").cloned();
        set(
            &mut params,
            "response_type",
            word.unwrap_or_else(|| "code".to_owned()),
        );
    }
    set(&mut params, "client_id", flow.client_id.to_owned());
    set(&mut params, "redirect_uri", flow.redirect_uri.to_owned());
    if let Some(scopes) = oauth.scopes.join(flow.scopes.iter().copied()) {
        set(&mut params, &oauth.scopes.param, scopes);
    }
    for extra in &oauth.scopes.extra {
        set(&mut params, &extra.param, extra.value(scope)?);
    }
    set(&mut params, "state", flow.state.to_owned());
    let method = match oauth.pkce {
        Pkce::S256 => Some("S256"),
        Pkce::Plain(_) => Some("plain"),
        Pkce::Off(_) => None,
    };
    if let Some(method) = method.filter(|_| with_code) {
        set(&mut params, "code_challenge", flow.challenge.to_owned());
        set(&mut params, "code_challenge_method", method.to_owned());
    }
    // A `resource` may be there several times (RFC 8707, 2): what was there of that name goes, what the flow says comes.
    params.retain(|(known, _)| !flow.own.iter().any(|(name, _)| known == name));
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    params.extend(flow.own.iter().map(own));
    let rules = &oauth.authorize;
    params = renamed(params, &oauth.params);
    // Empty parameters are left out: several apps refuse them, few need them.
    params.retain(|(name, value)| !value.is_empty() || rules.keep_empty.contains(name));
    params.sort_by_key(|(name, _)| {
        let at = rules.order.iter().position(|first| first == name);
        at.unwrap_or(rules.order.len())
    });
    let mut url = endpoint.clone();
    if let Some(route) = &rules.route {
        url.set_query(None);
        let written = query(&params, &rules.unescaped);
        url.set_fragment(Some(&format!("{route}?{written}")));
        return Ok(url);
    }
    if rules.unescaped.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(&params);
    } else {
        url.set_query(Some(&query(&params, &rules.unescaped)));
    }
    url.set_fragment(rules.fragment.as_deref());
    Ok(url)
}

/// A request to a token endpoint: `params` are the grant's own, `further` those of the manifest, which replace and never
/// repeat them.
///
/// The client proves itself as the manifest says; `client` is its id and, if it has one, its secret.
///
/// # Errors
/// A declared XML body that lacks a value.
pub fn token_request(
    oauth: &Oauth2,
    endpoint: &Url,
    params: &[(&str, &str)],
    further: &[(String, String)],
    headers: &[(String, String)],
    client: (&str, Option<&str>),
    scope: &Scope,
) -> Result<PlainRequest, RenderError> {
    let mut all: Vec<(String, String)> = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    if let Some(word) = oauth.params.values.get("grant_type") {
        let exchanges = |(name, value): &&mut (String, String)| {
            name == "grant_type" && value == "authorization_code"
        };
        if let Some((_, value)) = all.iter_mut().find(exchanges) {
            value.clone_from(word);
        }
    }
    let mut sent: Vec<(String, String)> =
        vec![("accept".to_owned(), "application/json".to_owned())];
    let (id, secret) = client;
    match oauth.client_auth {
        ClientAuth::Body => {
            set(&mut all, "client_id", id.to_owned());
            set(
                &mut all,
                "client_secret",
                secret.unwrap_or_default().to_owned(),
            );
        }
        ClientAuth::Basic | ClientAuth::BasicRaw => {
            let part = |text: &str| {
                if oauth.client_auth == ClientAuth::Basic {
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                } else {
                    text.to_owned()
                }
            };
            let pair = format!("{}:{}", part(id), part(secret.unwrap_or_default()));
            sent.push((
                "authorization".to_owned(),
                format!("Basic {}", base64(&pair)),
            ));
        }
        ClientAuth::BasicSecret => {
            let pair = format!("{}:", secret.unwrap_or_default());
            sent.push((
                "authorization".to_owned(),
                format!("Basic {}", base64(&pair)),
            ));
        }
        ClientAuth::None
        | ClientAuth::PrivateKeyJwt
        | ClientAuth::ClientSecretJwt
        | ClientAuth::Tls => set(&mut all, "client_id", id.to_owned()),
    }
    for (name, value) in further {
        set(&mut all, name, value.clone());
    }
    let mut all = renamed(all, &oauth.params);
    all.retain(|(_, value)| !value.is_empty());
    let in_url = oauth.token_method == TokenMethod::Get || oauth.token_body == TokenBody::Query;
    let mut url = endpoint.clone();
    let body = if in_url {
        let mut own = url.query_pairs().into_owned().collect::<Vec<_>>();
        own.retain(|(name, _)| !all.iter().any(|(other, _)| other == name));
        url.query_pairs_mut()
            .clear()
            .extend_pairs(own)
            .extend_pairs(&all);
        None
    } else {
        let (kind, text) = match &oauth.token_body {
            TokenBody::Json => {
                let tree: serde_json::Map<String, serde_json::Value> =
                    all.into_iter().map(|(n, v)| (n, v.into())).collect();
                (
                    "application/json",
                    serde_json::Value::Object(tree).to_string(),
                )
            }
            TokenBody::Xml(template) => ("application/xml", template.render(scope, Slot::Xml)?),
            TokenBody::Form | TokenBody::Query => (
                "application/x-www-form-urlencoded",
                url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(&all)
                    .finish(),
            ),
        };
        sent.push(("content-type".to_owned(), kind.to_owned()));
        Some(text.into_bytes())
    };
    for (name, value) in headers {
        // Replaces rather than repeats: a header that is there twice means something else to every server.
        sent.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        sent.push((name.clone(), value.clone()));
    }
    Ok(PlainRequest {
        method: match oauth.token_method {
            TokenMethod::Post => "POST",
            TokenMethod::Get => "GET",
        }
        .to_owned(),
        url: url.into(),
        headers: sent,
        body,
    })
}

/// The request of a further exchange, or of a refresh that is one: then `refresh_url` and `refresh_params` take the place of
/// the exchange's own where they are written.
///
/// # Errors
/// A value that is missing, or an address that is not safe.
pub fn exchange_request(
    oauth: &Oauth2,
    exchange: &Exchange,
    refreshes: bool,
    scope: &Scope,
) -> Result<PlainRequest, ResolveError> {
    let own = oauth.refresh_url.as_ref().filter(|_| refreshes);
    let mut url = url_of(own.unwrap_or(&exchange.url), scope)?;
    let declared = if refreshes && !oauth.refresh_params.is_empty() {
        &oauth.refresh_params
    } else {
        &exchange.params
    };
    let params = rendered(declared, scope, Slot::Raw)?;
    let mut headers = rendered(&exchange.headers, scope, Slot::Header)?;
    let (method, body) = match exchange.method {
        TokenMethod::Get => {
            if !params.is_empty() {
                url.query_pairs_mut().extend_pairs(&params);
            }
            ("GET", None)
        }
        TokenMethod::Post => {
            let kind = "application/x-www-form-urlencoded";
            headers.push(("content-type".to_owned(), kind.to_owned()));
            let text = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&params)
                .finish();
            ("POST", Some(text.into_bytes()))
        }
    };
    Ok(PlainRequest {
        method: method.to_owned(),
        url: url.into(),
        headers,
        body,
    })
}

/// Renders declared parameters or headers; those without a value are left out.
///
/// # Errors
/// A value that is missing or that its place refuses.
pub fn rendered(
    declared: &IndexMap<String, Template>,
    scope: &Scope,
    slot: Slot,
) -> Result<Vec<(String, String)>, RenderError> {
    let mut all = Vec::new();
    for (name, template) in declared {
        let value = template.render_optional(scope, slot)?;
        all.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(all)
}

fn set(params: &mut Vec<(String, String)>, name: &str, value: String) {
    params.retain(|(known, _)| known != name);
    params.push((name.to_owned(), value));
}

fn renamed(params: Vec<(String, String)>, rules: &ParamRules) -> Vec<(String, String)> {
    params
        .into_iter()
        .filter(|(name, _)| !rules.drop.contains(name))
        .map(|(name, value)| (rules.rename.get(&name).cloned().unwrap_or(name), value))
        .collect()
}

fn query(params: &[(String, String)], unescaped: &[String]) -> String {
    let mut out = String::new();
    for (name, value) in params {
        if !out.is_empty() {
            out.push('&');
        }
        percent(name, &mut out);
        out.push('=');
        if unescaped.contains(name) {
            // What would end the parameter or the query stays escaped: a value adds no parameter.
            for c in value.chars() {
                match c {
                    '&' | '#' | '%' | ' ' => percent(&c.to_string(), &mut out),
                    c if c.is_control() => percent(&c.to_string(), &mut out),
                    c => out.push(c),
                }
            }
        } else {
            percent(value, &mut out);
        }
    }
    out
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn oauth(extra: Value) -> Oauth2 {
        let mut base = json!({"label": "Sign in", "authorize_url": "https://a.test/go?team=1",
            "token_url": "https://a.test/token", "scopes": {"default": ["a", "b"]}});
        base.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        serde_json::from_value(base).unwrap()
    }

    fn url(extra: Value) -> String {
        let flow = Authorizing {
            client_id: "id",
            redirect_uri: "https://k.test/cb",
            scopes: &["a", "b"],
            state: "st",
            challenge: "ch",
            own: &[],
        };
        let endpoint = Url::parse("https://a.test/go?team=1").unwrap();
        authorize_url(&oauth(extra), &endpoint, &flow, &Scope::new())
            .unwrap()
            .into()
    }

    #[test]
    fn an_authorization_url_follows_the_rfc_unless_the_manifest_says_otherwise() {
        assert_eq!(
            url(json!({})),
            "https://a.test/go?team=1&response_type=code&client_id=id&redirect_uri=https%3A%2F%2Fk.test%2Fcb&scope=a+b\
             &state=st&code_challenge=ch&code_challenge_method=S256"
        );
        assert_eq!(
            url(json!({
                "pkce": {"off": "the app refuses it"},
                "params": {"rename": {"client_id": "appid"}, "drop": ["response_type"]},
                "authorize": {"order": ["appid", "state"], "unescaped": ["redirect_uri"], "fragment": "wechat_redirect"}
            })),
            "https://a.test/go?appid=id&state=st&team=1&redirect_uri=https://k.test/cb&scope=a%20b#wechat_redirect"
        );
    }

    #[test]
    fn the_flows_own_words_can_be_others() {
        let odd = json!({"params": {"values": {"response_type": "auth_code", "grant_type": "auth_code"}}});
        assert!(url(odd.clone()).contains("response_type=auth_code"));
        assert!(body(&token(odd.clone(), &[])).starts_with("grant_type=auth_code&"));
        let refresh = token_request(
            &oauth(odd),
            &Url::parse("https://a.test/token").unwrap(),
            &[("grant_type", "refresh_token")],
            &[],
            &[],
            ("id", None),
            &Scope::new(),
        );
        assert!(body(&refresh.unwrap()).starts_with("grant_type=refresh_token"));
    }

    #[test]
    fn parameters_go_behind_the_route_of_a_one_page_app() {
        let made = url(
            json!({"pkce": {"off": "the app refuses it"}, "authorize": {"route": "/oauth/authorize"},
            "authorize_params": {"x": "a&b#c"}}),
        );
        assert_eq!(
            made,
            "https://a.test/go#/oauth/authorize?team=1&x=a%26b%23c&response_type=code&client_id=id\
             &redirect_uri=https%3A%2F%2Fk.test%2Fcb&scope=a%20b&state=st"
        );
    }

    #[test]
    fn a_refresh_by_exchange_can_have_an_address_of_its_own() {
        let o = oauth(
            json!({"exchange": {"url": "https://a.test/long", "method": "GET", "params": {"grant_type": "long", "t": "{{ token.access_token }}"}},
            "refresh_url": "https://a.test/younger", "refresh_params": {"grant_type": "younger"}}),
        );
        let scope = Scope::new().with("token", json!({"access_token": "x y"}));
        let sent = |refreshes| {
            let exchange = o.exchange.as_deref().unwrap();
            exchange_request(&o, exchange, refreshes, &scope)
                .unwrap()
                .url
        };
        assert_eq!(sent(false), "https://a.test/long?grant_type=long&t=x+y");
        assert_eq!(sent(true), "https://a.test/younger?grant_type=younger");
    }

    #[test]
    fn the_manifest_never_sets_what_is_the_flows() {
        let url = url(json!({"authorize_params": {"state": "mine", "prompt": "consent"}}));
        assert!(url.contains("state=st") && !url.contains("mine"), "{url}");
        assert!(url.contains("prompt=consent"), "{url}");
    }

    fn token(extra: Value, further: &[(String, String)]) -> PlainRequest {
        token_request(
            &oauth(extra),
            &Url::parse("https://a.test/token").unwrap(),
            &[("grant_type", "authorization_code"), ("code", "c d")],
            further,
            &[],
            ("id", Some("s:/")),
            &Scope::new(),
        )
        .unwrap()
    }

    fn body(request: &PlainRequest) -> String {
        String::from_utf8(request.body.clone().unwrap()).unwrap()
    }

    #[test]
    fn the_client_proves_itself_in_the_declared_way() {
        let plain = token(json!({}), &[]);
        assert_eq!(
            body(&plain),
            "grant_type=authorization_code&code=c+d&client_id=id&client_secret=s%3A%2F"
        );
        let basic = token(json!({"client_auth": "basic"}), &[]);
        assert!(basic.headers.contains(&(
            "authorization".into(),
            format!("Basic {}", base64("id:s%3A%2F"))
        )));
        let raw = token(json!({"client_auth": "basic_raw"}), &[]);
        assert!(raw.headers.contains(&(
            "authorization".into(),
            format!("Basic {}", base64("id:s:/"))
        )));
        let public = token(json!({"client_auth": "none"}), &[]);
        assert!(body(&public).ends_with("&client_id=id"));
    }

    #[test]
    fn a_value_stays_a_value_in_xml() {
        let oauth = oauth(json!({"token_body": {"xml": "<code a=\"{{ callback.code }}\"/>"}}));
        let made = |code: &str| {
            let scope = Scope::new().with("callback", json!({ "code": code }));
            let url = Url::parse("https://a.test/token").unwrap();
            token_request(&oauth, &url, &[], &[], &[], ("id", None), &scope)
        };
        assert_eq!(
            body(&made("\"/><evil>&'").unwrap()),
            "<code a=\"&quot;/&gt;&lt;evil&gt;&amp;&apos;\"/>"
        );
        assert!(made("\u{1}").is_err());
    }

    #[test]
    fn a_token_request_is_written_as_the_app_wants_it() {
        let json = token(
            json!({"token_body": "json", "params": {"rename": {"code": "auth_code"}}}),
            &[("grant_type".into(), "other".into())],
        );
        let tree: Value = serde_json::from_str(&body(&json)).unwrap();
        assert_eq!(tree["auth_code"], "c d");
        assert_eq!(tree["grant_type"], "other");
        let get = token(json!({"token_method": "GET"}), &[]);
        assert_eq!((get.method.as_str(), get.body.is_none()), ("GET", true));
        assert!(get.url.contains("code=c+d"), "{}", get.url);
    }
}
