//! What is sent while somebody signs in, stays signed in and leaves.

use keyport_manifest::rules::outgoing::{self, Authorizing};
use keyport_manifest::{
    AuthMethod, CertificateAt, Endpoints, Logout, Manifest, Oauth2, Oauth2Grant, PlainRequest,
    RefreshBy, Revoke, Slot, resolve,
};
use serde_json::json;

use super::Step;
use super::operations::credentials;
use super::values::Values;

/// What the host attaches to requests of the connection, as [`credentials`] gives it.
type Attached = Result<Vec<(bool, String, String)>, String>;

/// The steps of one way to sign in.
pub fn steps(manifest: &Manifest, id: &str, auth: &AuthMethod, values: &Values) -> Vec<Step> {
    let mut steps = match auth {
        AuthMethod::Oauth2(oauth) => {
            let attached = credentials(auth, values);
            oauth2(manifest, id, oauth, &attached, values)
        }
        AuthMethod::Session(session) => {
            let mut steps: Vec<Step> = Vec::new();
            for (at, step) in session.steps.iter().enumerate() {
                let made = step.request.build(&values.all).map_err(|e| e.to_string());
                let mut shown = Step::request(
                    format!("sign-in {}", at + 1),
                    made.and_then(|request| values.sent(request, &[])),
                );
                if step.sign.is_some() && shown.note.is_none() {
                    shown.note = Some("‹jwt.token› is signed by the host".to_owned());
                }
                steps.push(shown);
            }
            match &session.logout {
                Some(Logout::Request(request)) => {
                    let made = request.build(&values.all).map_err(|e| e.to_string());
                    steps.push(Step::request(
                        "revoke",
                        made.and_then(|request| values.sent(request, &[])),
                    ));
                }
                Some(Logout::None { reason }) => steps.push(Step::note("revoke", reason.clone())),
                None => {}
            }
            steps
        }
        AuthMethod::Oauth1(oauth) => [
            ("request token", &oauth.request_token_url),
            ("authorize", &oauth.authorize_url),
            ("access token", &oauth.access_token_url),
        ]
        .into_iter()
        .filter_map(|(step, url)| Some((step, url.as_ref()?)))
        .map(|(step, url)| match resolve::url_of(url, &values.public) {
            Ok(url) => Step::note(step, format!("{url} (signed by the host)")),
            Err(error) => Step::note(step, error.to_string()),
        })
        .collect(),
        _ => Vec::new(),
    };
    for discovery in manifest.discovery.iter().filter(|d| d.is_for(id)) {
        let made = discovery
            .request
            .build(&values.public)
            .map_err(|e| e.to_string());
        steps.push(Step::request(
            format!("discovery {}", discovery.id),
            made.and_then(|request| values.sent(request, &credentials(auth, values)?)),
        ));
    }
    steps
}

fn oauth2(
    manifest: &Manifest,
    id: &str,
    oauth: &Oauth2,
    attached: &Attached,
    values: &Values,
) -> Vec<Step> {
    if let Some(discover) = &oauth.discover {
        let (what, template) = match discover {
            keyport_manifest::Discover::Issuer(template) => ("issuer", template),
            keyport_manifest::Discover::Resource(template) => ("resource", template),
        };
        let at = values.rendered(template).unwrap_or_else(|why| why);
        return vec![Step::note(
            "discover",
            match &oauth.issuer_pattern {
                Some(issuer) => format!(
                    "the endpoints are found out from the {what} {at}, whose issuer is {issuer}"
                ),
                None => format!("the endpoints are found out from the {what} {at}"),
            },
        )];
    }
    let endpoints = match manifest.endpoints(id, &values.public) {
        Ok(Some(endpoints)) => Ok(endpoints),
        Ok(None) => Err("there are no endpoints".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let endpoints = match endpoints {
        Ok(endpoints) => endpoints,
        Err(why) => return vec![Step::note("authorize", why)],
    };
    let mut steps = Vec::new();
    if let Some(own) = &oauth.client_certificate {
        steps.push(Step::note("certificate", presented(own.at)));
    }
    let grant = grant(oauth, &endpoints, values, &mut steps);
    steps.push(token(oauth, "token", &endpoints, &grant, values));
    if let Some(url) = &endpoints.introspect {
        steps.push(introspection(oauth, url, values));
    }
    refresh(oauth, &endpoints, values, &mut steps);
    revoke(oauth, &endpoints, attached, values, &mut steps);
    steps
}

/// Where a certificate beside the client is presented, in words.
fn presented(at: CertificateAt) -> &'static str {
    match at {
        CertificateAt::Both => {
            "a client certificate is presented to the token endpoint and to the API"
        }
        CertificateAt::Token => "a client certificate is presented to the token endpoint",
        CertificateAt::Api => "a client certificate is presented to the API",
    }
}

/// The parameters of the first token request; what comes before it is put into `steps`.
fn grant(
    oauth: &Oauth2,
    endpoints: &Endpoints,
    values: &Values,
    steps: &mut Vec<Step>,
) -> Vec<(&'static str, String)> {
    let asked = match oauth.scopes.defaults(&values.public) {
        Ok(asked) => asked,
        Err(why) => {
            steps.push(Step::note("scopes", why.to_string()));
            Vec::new()
        }
    };
    let scopes = oauth.scopes.join(asked.iter().map(String::as_str));
    let scope = scopes.map(|scopes| ("scope", scopes));
    match oauth.grant {
        Oauth2Grant::AuthorizationCode | Oauth2Grant::AdminConsent => {
            let redirect = values.placeholder("callback address");
            let scopes: Vec<&str> = asked.iter().map(String::as_str).collect();
            let flow = Authorizing {
                client_id: &values.placeholder("app.client_id"),
                redirect_uri: &redirect,
                scopes: &scopes,
                state: &values.placeholder("state"),
                challenge: &values.placeholder("challenge"),
                own: &resources(&endpoints.resources),
            };
            // The browser sees this URL: the host renders it without any secret.
            let seen = values
                .public
                .clone()
                .with("app", json!({"client_id": flow.client_id}));
            let made = match &endpoints.authorize {
                Some(url) => {
                    outgoing::authorize_url(oauth, url, &flow, &seen).map_err(|e| e.to_string())
                }
                None => Err("there is no authorization endpoint".to_owned()),
            };
            steps.push(Step::request(
                "authorize",
                made.map(|url| {
                    values.shown(PlainRequest {
                        method: "GET".to_owned(),
                        url: url.into(),
                        headers: Vec::new(),
                        body: None,
                    })
                }),
            ));
            if oauth.grant == Oauth2Grant::AdminConsent {
                let mut grant = vec![("grant_type", "client_credentials".to_owned())];
                grant.extend(scope);
                return grant;
            }
            let mut grant = vec![
                ("grant_type", "authorization_code".to_owned()),
                ("code", values.placeholder("code")),
                ("redirect_uri", redirect),
            ];
            if !matches!(oauth.pkce, keyport_manifest::Pkce::Off(_)) {
                grant.push(("code_verifier", values.placeholder("verifier")));
            }
            grant
        }
        Oauth2Grant::ClientCredentials => {
            let mut grant = vec![("grant_type", "client_credentials".to_owned())];
            grant.extend(scope);
            grant
        }
        Oauth2Grant::Device => {
            if let Some(url) = &oauth.device_url {
                let note = resolve::url_of(url, &values.public).map_or_else(
                    |e| e.to_string(),
                    |url| format!("a code is asked for at {url}"),
                );
                steps.push(Step::note("device", note));
            }
            vec![
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:device_code".to_owned(),
                ),
                ("device_code", values.placeholder("device code")),
            ]
        }
        Oauth2Grant::JwtBearer => {
            let mut grant = vec![
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned(),
                ),
                ("assertion", values.placeholder("signed assertion")),
            ];
            grant.extend(scope);
            grant
        }
    }
}

fn token(
    oauth: &Oauth2,
    step: &str,
    endpoints: &Endpoints,
    grant: &[(&'static str, String)],
    values: &Values,
) -> Step {
    let is_refresh = step == "refresh";
    let (url, declared) = if is_refresh {
        (&endpoints.refresh, &oauth.refresh_params)
    } else {
        (&endpoints.token, &oauth.token_params)
    };
    let mut params: Vec<(&str, &str)> = grant.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut written = oauth.clone();
    if let Some(own) = oauth.refresh.client_auth.filter(|_| is_refresh) {
        written.client_auth = own;
    }
    params.extend(resources(&endpoints.resources));
    let made = || {
        let further = outgoing::rendered(declared, &values.all, Slot::Raw)?;
        let mut headers = outgoing::rendered(&oauth.token_headers, &values.all, Slot::Header)?;
        if is_refresh {
            headers.extend(outgoing::rendered(
                &oauth.refresh.headers,
                &values.all,
                Slot::Header,
            )?);
        }
        outgoing::token_request(
            &written,
            url,
            &params,
            &further,
            &headers,
            (
                &values.placeholder("app.client_id"),
                Some(&values.placeholder("app.client_secret")),
            ),
            &values.all,
        )
    };
    Step::request(
        step,
        made()
            .map(|request| values.shown(request))
            .map_err(|e: keyport_manifest::RenderError| e.to_string()),
    )
}

/// What the token is for, as parameters (RFC 8707).
fn resources(all: &[String]) -> Vec<(&str, &str)> {
    all.iter().map(|uri| ("resource", uri.as_str())).collect()
}

/// The question when a token ends (RFC 7662): a form, whatever form the app's token requests have.
fn introspection(oauth: &Oauth2, url: &url::Url, values: &Values) -> Step {
    let mut plain = oauth.clone();
    plain.token_method = keyport_manifest::TokenMethod::Post;
    plain.token_body = keyport_manifest::TokenBody::Form;
    let token = values.placeholder("token.access_token");
    let params = [
        ("token", token.as_str()),
        ("token_type_hint", "access_token"),
    ];
    let made =
        outgoing::rendered(&oauth.token_headers, &values.all, Slot::Header).and_then(|headers| {
            let client = (
                values.placeholder("app.client_id"),
                values.placeholder("app.client_secret"),
            );
            let client = (client.0.as_str(), Some(client.1.as_str()));
            outgoing::token_request(&plain, url, &params, &[], &headers, client, &values.all)
        });
    Step::request(
        "introspect",
        made.map(|request| values.shown(request))
            .map_err(|error| error.to_string()),
    )
}

fn refresh(oauth: &Oauth2, endpoints: &Endpoints, values: &Values, steps: &mut Vec<Step>) {
    match oauth.refresh.by {
        RefreshBy::RefreshToken if oauth.grant == Oauth2Grant::ClientCredentials => {}
        RefreshBy::RefreshToken => {
            let grant = [
                ("grant_type", "refresh_token".to_owned()),
                ("refresh_token", values.placeholder("token.refresh_token")),
            ];
            steps.push(token(oauth, "refresh", endpoints, &grant, values));
        }
        RefreshBy::Exchange => steps.push(Step::note("refresh", "the exchange is made again")),
        RefreshBy::SignInAgain => {
            steps.push(Step::note(
                "refresh",
                "a new token is asked for in the same way",
            ));
        }
    }
}

fn revoke(
    oauth: &Oauth2,
    endpoints: &Endpoints,
    attached: &Attached,
    values: &Values,
    steps: &mut Vec<Step>,
) {
    match (&oauth.revoke, &endpoints.revoke) {
        (Some(Revoke::Rfc7009 { .. }), Some(url)) => {
            let body = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("token", &values.placeholder("token.refresh_token"))
                .append_pair("token_type_hint", "refresh_token")
                .finish();
            steps.push(Step::request(
                "revoke",
                Ok(values.shown(PlainRequest {
                    method: "POST".to_owned(),
                    url: url.to_string(),
                    headers: vec![(
                        "content-type".to_owned(),
                        "application/x-www-form-urlencoded".to_owned(),
                    )],
                    body: Some(body.into_bytes()),
                })),
            ));
        }
        (Some(Revoke::Request(request)), _) => {
            let made = request.build(&values.all).map_err(|e| e.to_string());
            steps.push(Step::request(
                "revoke",
                made.and_then(|request| {
                    values.sent(request, attached.as_ref().map_err(Clone::clone)?)
                }),
            ));
        }
        (Some(Revoke::None { reason }), _) => steps.push(Step::note("revoke", reason.clone())),
        _ => steps.push(Step::note(
            "revoke",
            "nothing is sent: the manifest says no way to revoke",
        )),
    }
}
