//! The developer page: how to sign in, everybody's credentials to copy, replace and revoke, and the apps that were allowed in.
//!
//! This is where a person plays "my key was revoked" and "I removed the app" without knowing the control API. It shows
//! working secrets on purpose; `guard` keeps other sites from reading it and `browser` from sending its forms.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::Vendor;
use crate::browser::Browser;
use crate::clock::rfc3339;
use crate::form::{Params, is_form};
use crate::html::{Forms, Markup, page, sorry};
use crate::state::{Account, CredentialKind, State as Everything};

const PURPOSE: &str = "developer";

pub(crate) fn routes() -> Router<Vendor> {
    Router::new()
        .route("/", get(show))
        .route("/developer", get(show))
        .route("/developer/credentials", post(credentials))
        .route("/developer/grants", post(grants))
        .route(
            "/assets/vendora.css",
            get(async || asset("text/css", include_str!("../assets/vendora.css"))),
        )
        .route(
            "/assets/vendora.js",
            get(async || asset("text/javascript", include_str!("../assets/vendora.js"))),
        )
        .route(
            "/assets/vendora.svg",
            get(async || asset("image/svg+xml", include_str!("../assets/vendora.svg"))),
        )
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

async fn show(
    State(vendor): State<Vendor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Ok(browser) = Browser::of(&headers) else {
        return sorry(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong",
            "The vendor could not do this. Try again.",
        );
    };
    let csrf = browser.token(&vendor, PURPOSE, "");
    let mut html = Markup::new();
    html.raw("<h1>Developers</h1>");
    if let Some(words) = Params::parse(query.unwrap_or_default().as_bytes())
        .get("done")
        .and_then(done)
    {
        html.raw("<p class=\"done\" role=\"status\">")
            .raw(words)
            .raw("</p>");
    }
    introduction(&mut html, &vendor);
    {
        let state = vendor.state();
        for account in &state.accounts {
            person(&mut html, account, &csrf);
        }
        allowed(&mut html, &state, &csrf);
    }
    let mut response = page(StatusCode::OK, "Developers", &html, Forms::Here);
    browser.remember(&vendor, &mut response);
    response
}

/// What the page says after a form; only words of ours.
fn done(code: &str) -> Option<&'static str> {
    match code {
        "revoked" => Some("Revoked. Whatever still uses it will have to sign in again."),
        "renewed" => Some("Created. The one before no longer works."),
        "removed" => Some("Access removed. The app's tokens no longer work."),
        _ => None,
    }
}

fn introduction(html: &mut Markup, vendor: &Vendor) {
    let origin = vendor.0.public.origin().ascii_serialization();
    html.raw("<section class=\"card\"><h2>Ways to sign in</h2><dl class=\"ways\"><dt>OAuth 2.0</dt><dd>Authorization code with PKCE (S256) at <code>");
    html.text(&origin).raw("/oauth/authorize</code>. Scopes: <code>notes:read</code> <code>notes:write</code>. Access tokens are short-lived, refresh tokens work once. <a href=\"/.well-known/oauth-authorization-server\">Server metadata</a></dd>");
    html.raw("<dt>API key</dt><dd><code>X-Api-Key: …</code></dd>");
    html.raw("<dt>Personal access token</dt><dd><code>Authorization: Bearer …</code></dd>");
    html.raw("<dt>E-mail address and password</dt><dd>Basic authentication</dd>");
    html.raw("<dt>Signed calls</dt><dd>Under <code>/signed</code>. Send <code>X-Vendor-Key-Id</code>, <code>X-Vendor-Timestamp</code> (unix seconds) and <code>X-Vendor-Signature</code>: the hexadecimal HMAC-SHA256, under your signing secret, of timestamp, method, path with query, and body, with a line feed between them.</dd></dl>");
    html.raw("<p>Try one: <code id=\"try\">curl -H 'X-Api-Key: …' ")
        .text(&origin);
    html.raw("/api/me</code></p></section>");
}

fn person(html: &mut Markup, account: &Account, csrf: &str) {
    let (user, own) = (&account.user, &account.credentials);
    html.raw("<section class=\"card\" aria-labelledby=\"")
        .text(&user.id);
    html.raw("\"><div class=\"who\">").avatar(&user.name);
    html.raw("<div><h2 id=\"")
        .text(&user.id)
        .raw("\">")
        .text(&user.name);
    html.raw("</h2><p class=\"quiet\">")
        .text(&user.email)
        .raw(" · ")
        .text(&user.workspace);
    html.raw("</p></div></div>");
    let rows: [Row<'_>; 4] = [
        ("api_key", "API key", vec![("key", own.api_key.as_deref())]),
        (
            "personal_token",
            "Personal access token",
            vec![("token", own.personal_token.as_deref())],
        ),
        (
            "password",
            "Password",
            vec![("password", own.password.as_deref())],
        ),
        (
            "signing_key",
            "Signing key",
            vec![
                ("id", own.signing_key_id.as_deref()),
                ("secret", own.signing_secret.as_deref()),
            ],
        ),
    ];
    for (kind, label, values) in rows {
        let revoked = values.iter().all(|(_, value)| value.is_none());
        html.raw("<div class=\"credential\"><h3>")
            .raw(label)
            .raw("</h3><div class=\"values\">");
        for (part, value) in values {
            let Some(value) = value else { continue };
            html.raw("<div class=\"value\">");
            if kind == "signing_key" {
                html.raw("<small>").raw(part).raw("</small>");
            }
            html.raw("<code id=\"")
                .text(&user.id)
                .raw("-")
                .raw(kind)
                .raw("-")
                .raw(part);
            html.raw("\">")
                .text(value)
                .raw("</code><button type=\"button\" hidden data-copy=\"");
            html.text(&user.id).raw("-").raw(kind).raw("-").raw(part);
            html.raw("\" aria-label=\"Copy ")
                .raw(label)
                .raw(" ")
                .raw(part)
                .raw(" of ")
                .text(&user.name);
            html.raw("\">Copy</button></div>");
        }
        if revoked {
            html.raw("<p class=\"revoked\">Revoked</p>");
        }
        html.raw("</div><form method=\"post\" action=\"/developer/credentials\">");
        html.hidden("csrf", csrf)
            .hidden("user", &user.id)
            .hidden("kind", kind);
        let actions: &[(&'static str, &'static str)] = if revoked {
            &[("renew", "Create")]
        } else {
            &[("renew", "Replace"), ("revoke", "Revoke")]
        };
        for (action, word) in actions {
            html.raw("<button name=\"action\" value=\"")
                .raw(action)
                .raw("\" aria-label=\"")
                .raw(word)
                .raw(" ");
            html.raw(label)
                .raw(" of ")
                .text(&user.name)
                .raw("\">")
                .raw(word)
                .raw("</button>");
        }
        html.raw("</form></div>");
    }
    html.raw("</section>");
}

/// The kind in forms, its label, and its parts with their values.
type Row<'a> = (
    &'static str,
    &'static str,
    Vec<(&'static str, Option<&'a str>)>,
);

fn allowed(html: &mut Markup, state: &Everything, csrf: &str) {
    html.raw(
        "<section class=\"card\" aria-labelledby=\"apps\"><h2 id=\"apps\">Apps with access</h2>",
    );
    let grants: Vec<_> = state.grants.in_force().collect();
    if grants.is_empty() {
        html.raw("<p class=\"quiet\">No app has been allowed in yet.</p></section>");
        return;
    }
    html.raw("<ul class=\"grants\">");
    for (id, grant) in grants.iter().rev() {
        let client = state
            .client(&grant.client)
            .map_or(grant.client.as_str(), |client| &client.name);
        let user = state
            .account(&grant.user)
            .map_or(grant.user.as_str(), |account| &account.user.name);
        html.raw("<li><div><strong>")
            .text(client)
            .raw("</strong> for ")
            .text(user);
        html.raw("<small><code>")
            .text(&grant.scopes.to_string())
            .raw("</code> since ");
        html.text(&rfc3339(grant.created_ms)).raw("</small></div>");
        html.raw("<form method=\"post\" action=\"/developer/grants\">");
        html.hidden("csrf", csrf).hidden("grant", &id.to_string());
        html.raw("<button aria-label=\"Revoke access of ")
            .text(client)
            .raw(" for ")
            .text(user);
        html.raw("\">Revoke</button></form></li>");
    }
    html.raw("</ul></section>");
}

async fn credentials(State(vendor): State<Vendor>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(form) = own_form(&vendor, &headers, &body) else {
        return not_ours();
    };
    let kind = match form.get("kind") {
        Some("api_key") => CredentialKind::ApiKey,
        Some("personal_token") => CredentialKind::PersonalToken,
        Some("password") => CredentialKind::Password,
        Some("signing_key") => CredentialKind::SigningKey,
        _ => return unclear(),
    };
    let (renew, said) = match form.get("action") {
        Some("renew") => (true, "/developer?done=renewed"),
        Some("revoke") => (false, "/developer?done=revoked"),
        _ => return unclear(),
    };
    match vendor.set_credential(form.get("user").unwrap_or_default(), kind, renew) {
        Ok(()) => Redirect::to(said).into_response(),
        Err(_) => unclear(),
    }
}

async fn grants(State(vendor): State<Vendor>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(form) = own_form(&vendor, &headers, &body) else {
        return not_ours();
    };
    let Some(id) = form.get("grant").and_then(|id| id.parse().ok()) else {
        return unclear();
    };
    // Twice is fine: the page may be older than the grant's end.
    vendor.state().grants.revoke_grant(id);
    Redirect::to("/developer?done=removed").into_response()
}

/// The form, if it came from this page in this browser.
fn own_form(vendor: &Vendor, headers: &HeaderMap, body: &[u8]) -> Option<Params> {
    let form = Params::parse(body);
    let ours = is_form(headers)
        && !form.has_repeated()
        && Browser::known(headers)?.sent(vendor, PURPOSE, "", form.get("csrf"));
    ours.then_some(form)
}

fn not_ours() -> Response {
    sorry(
        StatusCode::FORBIDDEN,
        "This form is not valid any more",
        "It did not come from the page that this browser was shown. Open the developer page again; cookies must be allowed.",
    )
}

fn unclear() -> Response {
    sorry(
        StatusCode::BAD_REQUEST,
        "That did not work",
        "The form named nothing that is here. Open the developer page again.",
    )
}
