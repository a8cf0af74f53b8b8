//! V90: what the vendor publishes about its sign-in, held against the manifest.
//!
//! RFC 8414 and OpenID Connect Discovery 1.0. Many vendors publish nothing, and that is no finding; a list that is absent from
//! the document says nothing either, although the RFC gives some of them a default that vendors rarely mean.

use keyport_manifest::yaml::Remark;
use keyport_manifest::{ClientAuth, Endpoints, Oauth2, Oauth2Grant, Pkce, Revoke};
use serde_json::Value;
use url::Url;

use super::door::Door;
use super::given::Look;

/// Asks the hosts of the issuer and of the endpoints, and compares with the first that has such a document.
pub async fn look(door: &Door, look: &Look<'_>, remarks: &mut Vec<Remark>) {
    let Some(oauth) = look.auth.oauth2() else {
        return;
    };
    let known = [&oauth.authorize_url, &oauth.token_url]
        .into_iter()
        .flatten()
        .all(|template| look.unsettled(template).is_none());
    if !known {
        return;
    }
    let Ok(Some(endpoints)) = look.manifest.endpoints(look.id, &look.public) else {
        return;
    };
    for url in places(&endpoints) {
        let Ok(answer) = door.get(&url).await else {
            continue;
        };
        let document = answer.json().filter(|_| answer.status == 200);
        // A page for people can have the status of a document.
        if let Some(document) = document.filter(|d| d.get("token_endpoint").is_some()) {
            compare(&look.path(), oauth, &endpoints, &document, remarks);
            return;
        }
    }
}

/// Where such a document would be.
fn places(endpoints: &Endpoints) -> Vec<Url> {
    let issuer = endpoints
        .issuer
        .as_ref()
        .and_then(|text| Url::parse(text).ok());
    let mut roots: Vec<Url> = issuer.into_iter().collect();
    for url in endpoints.authorize.iter().chain([&endpoints.token]) {
        let mut root = url.clone();
        root.set_path("");
        root.set_query(None);
        root.set_fragment(None);
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    let mut all = Vec::new();
    for root in roots {
        let path = root.path().trim_end_matches('/').to_owned();
        for made in [
            // OpenID Connect puts it behind the issuer's path, RFC 8414 before it.
            format!("{path}/.well-known/openid-configuration"),
            format!("/.well-known/oauth-authorization-server{path}"),
        ] {
            let mut url = root.clone();
            url.set_path(&made);
            all.push(url);
        }
    }
    all
}

fn compare(
    path: &str,
    oauth: &Oauth2,
    endpoints: &Endpoints,
    document: &Value,
    remarks: &mut Vec<Remark>,
) {
    let mut warn = |key: &str, message: String| {
        remarks.push(Remark::warning("V90", format!("{path}.{key}"), message));
    };
    let is_code = oauth.grant == Oauth2Grant::AuthorizationCode;
    for (member, key, url) in [
        (
            "authorization_endpoint",
            "authorize_url",
            endpoints.authorize.as_ref(),
        ),
        ("token_endpoint", "token_url", Some(&endpoints.token)),
    ] {
        let published = document.get(member).and_then(Value::as_str);
        if let Some(url) = url
            && let Some(published) = published.and_then(|text| Url::parse(text).ok())
            && (is_code || member != "authorization_endpoint")
            && (published.origin() != url.origin() || published.path() != url.path())
        {
            warn(key, format!("the vendor publishes {published} for this"));
        }
    }
    if let Some(methods) = list(document, "code_challenge_methods_supported").filter(|_| is_code) {
        match &oauth.pkce {
            Pkce::S256 if !methods.contains(&"S256") => warn(
                "pkce",
                format!("the vendor publishes no S256, only: {}", methods.join(", ")),
            ),
            Pkce::Off(_) | Pkce::Plain(_) if methods.contains(&"S256") => {
                warn("pkce", "the vendor publishes that it takes S256".to_owned())
            }
            _ => {}
        }
    }
    if let Some(methods) = list(document, "token_endpoint_auth_methods_supported") {
        let ours: &[&str] = match oauth.client_auth {
            ClientAuth::Body => &["client_secret_post"],
            ClientAuth::Basic | ClientAuth::BasicRaw | ClientAuth::BasicSecret => {
                &["client_secret_basic"]
            }
            ClientAuth::None => &["none"],
            ClientAuth::PrivateKeyJwt => &["private_key_jwt"],
            ClientAuth::ClientSecretJwt => &["client_secret_jwt"],
            ClientAuth::Tls => &["tls_client_auth", "self_signed_tls_client_auth"],
        };
        if !ours.iter().any(|one| methods.contains(one)) {
            warn(
                "client_auth",
                format!(
                    "the client proves itself by {}, and the vendor publishes: {}",
                    ours.join(" or "),
                    methods.join(", ")
                ),
            );
        }
    }
    if let Some(grants) = list(document, "grant_types_supported") {
        let ours = match oauth.grant {
            Oauth2Grant::AuthorizationCode => "authorization_code",
            Oauth2Grant::ClientCredentials | Oauth2Grant::AdminConsent => "client_credentials",
            Oauth2Grant::Device => "urn:ietf:params:oauth:grant-type:device_code",
            Oauth2Grant::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        };
        if !grants.contains(&ours) {
            warn(
                "grant",
                format!(
                    "the vendor publishes no `{ours}`, only: {}",
                    grants.join(", ")
                ),
            );
        }
    }
    if let Some(scopes) = list(document, "scopes_supported") {
        let missing: Vec<&str> = oauth
            .scopes
            .default
            .iter()
            .filter_map(|scope| scope.as_literal())
            .filter(|scope| !scopes.contains(scope))
            .collect();
        // Most vendors publish a part of their scopes: worth knowing, and no more.
        if !missing.is_empty() {
            remarks.push(Remark::note(
                "V90",
                format!("{path}.scopes"),
                format!(
                    "among the scopes that the vendor publishes there is no {}",
                    missing.join(", ")
                ),
            ));
        }
    }
    let ends = matches!(
        oauth.revoke,
        Some(Revoke::Rfc7009 { .. } | Revoke::Request(_))
    );
    if let Some(url) = document.get("revocation_endpoint").and_then(Value::as_str)
        && !ends
    {
        remarks.push(Remark::note(
            "V90",
            format!("{path}.revoke"),
            format!("the vendor publishes where a grant is ended: {url}"),
        ));
    }
}

fn list<'d>(document: &'d Value, key: &str) -> Option<Vec<&'d str>> {
    let items = document.get(key)?.as_array()?;
    Some(items.iter().filter_map(Value::as_str).collect())
}
