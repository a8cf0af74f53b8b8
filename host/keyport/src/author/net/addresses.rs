//! V89: the addresses answer.
//!
//! A page that people are led to is asked for, and so is the page that they sign in at; of the API only that something speaks
//! TLS there. 403 is an answer: many vendors keep programs out.

use keyport_manifest::rules::outgoing::{Authorizing, authorize_url};
use keyport_manifest::yaml::Remark;
use keyport_manifest::{Manifest, Oauth2Grant};
use serde_json::json;
use url::Url;

use super::door::Door;
use super::given::{Given, Look, not_known};

/// What an address is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A page for people: it must be there.
    Page,
    /// An API: any answer will do.
    Api,
}

/// Everything but sign-in pages, which need a client: those are [`authorize`]'s.
pub async fn look(door: &Door, manifest: &Manifest, given: &Given, remarks: &mut Vec<Remark>) {
    let mut seen: Vec<Url> = Vec::new();
    for (path, text) in pages(manifest) {
        match Url::parse(&text) {
            Ok(url) if !seen.contains(&url) => {
                ask(door, &path, &url, Kind::Page, remarks).await;
                seen.push(url);
            }
            _ => {}
        }
    }
    if let Some(open) = given.unsettled(manifest, &manifest.api.base_url) {
        remarks.push(Remark::note("V89", "api.base_url", not_known(&open)));
        return;
    }
    let first = manifest.auth.iter().next();
    let api = first.and_then(|(id, auth)| given.of_method(manifest, id, auth).ok()?.api.ok());
    if let Some(api) = api {
        ask(door, "api.base_url", &api.base_url, Kind::Api, remarks).await;
    }
}

/// The page that a person is sent to, with what would really be sent there.
pub async fn authorize(door: &Door, look: &Look<'_>, remarks: &mut Vec<Remark>) {
    let Some(oauth) = look.auth.oauth2() else {
        return;
    };
    let Some(template) = &oauth.authorize_url else {
        return;
    };
    if oauth.grant != Oauth2Grant::AuthorizationCode {
        return;
    }
    let path = format!("{}.authorize_url", look.path());
    if let Some(open) = look.unsettled(template) {
        remarks.push(Remark::note("V89", path, not_known(&open)));
        return;
    }
    let Ok(Some(endpoints)) = look.manifest.endpoints(look.id, &look.public) else {
        return;
    };
    let (client, _, own) = look.oauth_client(oauth);
    let Ok(asked) = oauth.scopes.defaults(&look.public) else {
        return;
    };
    let scopes: Vec<&str> = asked.iter().map(String::as_str).collect();
    let flow = Authorizing {
        client_id: &client,
        redirect_uri: super::tokens::REDIRECT,
        scopes: &scopes,
        state: "keyport-validate-state",
        challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        own: &[],
    };
    let scope = look
        .public
        .clone()
        .with("app", json!({"client_id": client}));
    let Some(endpoint) = &endpoints.authorize else {
        return;
    };
    let Ok(url) = authorize_url(oauth, endpoint, &flow, &scope) else {
        return;
    };
    let before = remarks.len();
    ask(door, &path, &url, Kind::Page, remarks).await;
    if !own {
        for remark in remarks.iter_mut().skip(before) {
            // Some vendors have no page for a client that they do not know.
            remark.fix = Some(format!(
                "the client was made up; with a real one, set {}",
                look.variable("client_id")
            ));
        }
    }
}

async fn ask(door: &Door, path: &str, url: &Url, kind: Kind, remarks: &mut Vec<Remark>) {
    let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
    match door.get(url).await {
        Err(error) => remarks.push(Remark::warning("V89", path, error.to_string())),
        Ok(answer) if kind == Kind::Page && matches!(answer.status, 404 | 410 | 500..) => {
            remarks.push(Remark::warning(
                "V89",
                path,
                format!("{shown} answers {}", answer.status),
            ));
        }
        Ok(_) => {}
    }
}

/// Pages that people are led to, with where the manifest says so.
fn pages(manifest: &Manifest) -> Vec<(String, String)> {
    let links = &manifest.links;
    let mut all: Vec<(String, String)> = [
        ("home", &links.home),
        ("docs", &links.docs),
        ("support", &links.support),
        ("register", &links.register),
    ]
    .into_iter()
    .filter_map(|(name, url)| Some((format!("links.{name}"), url.clone()?)))
    .collect();
    let own = manifest.fields.iter().enumerate();
    let mut help = |path: String, url: &Option<String>| {
        all.extend(
            url.iter()
                .map(|url| (format!("{path}.help_url"), url.clone())),
        );
    };
    for (i, field) in own {
        help(format!("fields[{i}]"), &field.help_url);
    }
    for (id, auth) in &manifest.auth {
        for (i, field) in auth.fields().iter().enumerate() {
            help(format!("auth.{id}.fields[{i}]"), &field.help_url);
        }
    }
    all
}
