//! `GET /oauth/authorize` shows the consent page, its form comes back by POST.
//!
//! The form repeats the whole request as it was asked, and it is checked anew: nothing is kept in between. Until client and
//! redirect URI are known to be good, errors are shown here and never sent to the address in the request (RFC 6749,
//! 4.1.2.1); from then on every answer goes there with `iss` (RFC 9207).

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::Vendor;
use crate::browser::Browser;
use crate::form::{Params, append, is_form};
use crate::grants::Consent;
use crate::html::{Forms, Markup, page, sorry};
use crate::redirects;
use crate::scopes::Scopes;

const PURPOSE: &str = "consent";
/// Longest `state` that is carried.
const MAX_STATE: usize = 2048;

/// A request that may be put before a person.
struct Asked {
    client: String,
    client_name: String,
    redirect_uri: String,
    state: Option<String>,
    challenge: String,
    scopes: Scopes,
    login_hint: Option<String>,
}

/// A request that is refused.
enum Refused {
    /// To the person: the client cannot be trusted with an answer.
    Here(&'static str),
    /// To the client.
    There {
        back: Back,
        error: &'static str,
        description: &'static str,
    },
}

/// Where answers go.
struct Back {
    redirect_uri: String,
    state: Option<String>,
}

impl Back {
    fn send(&self, vendor: &Vendor, pairs: &[(&str, &str)]) -> Response {
        let mut all = pairs.to_vec();
        if let Some(state) = &self.state {
            all.push(("state", state));
        }
        all.push(("iss", &vendor.0.issuer));
        match HeaderValue::from_str(&append(&self.redirect_uri, &all)) {
            // 303, so that the browser does not repeat the POST at the client.
            Ok(target) => (StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response(),
            Err(_) => bad("The redirect URI cannot be sent."),
        }
    }
}

impl Refused {
    fn answer(&self, vendor: &Vendor) -> Response {
        match self {
            Self::Here(words) => bad(words),
            Self::There {
                back,
                error,
                description,
            } => back.send(
                vendor,
                &[("error", error), ("error_description", description)],
            ),
        }
    }
}

fn bad(words: &'static str) -> Response {
    sorry(StatusCode::BAD_REQUEST, "This sign-in cannot go on", words)
}

/// Checks an authorization request.
fn read(vendor: &Vendor, query: &str) -> Result<Asked, Refused> {
    let params = Params::parse(query.as_bytes());
    if ["client_id", "redirect_uri"]
        .iter()
        .any(|name| params.is_repeated(name))
    {
        return Err(Refused::Here("The app named itself or its address twice."));
    }
    let state = vendor.state();
    let client = params
        .get("client_id")
        .and_then(|id| state.client(id))
        .ok_or(Refused::Here("No app is registered under this client_id."))?;
    let redirect_uri = params
        .get("redirect_uri")
        .filter(|uri| redirects::is_allowed(client, uri))
        .ok_or(Refused::Here(
            "The redirect_uri is missing or is not one that was registered for this app.",
        ))?;
    let given_state = params.get("state").map(str::to_owned);
    let refuse = |error, description| Refused::There {
        back: Back {
            redirect_uri: redirect_uri.to_owned(),
            state: given_state.clone(),
        },
        error,
        description,
    };
    let invalid = |description| refuse("invalid_request", description);
    if params.has_repeated() {
        return Err(invalid("give each parameter once"));
    }
    if given_state
        .as_ref()
        .is_some_and(|state| state.len() > MAX_STATE)
    {
        return Err(Refused::Here("The app sent a state that is too long."));
    }
    match params.get("response_type") {
        Some("code") => {}
        Some(_) => {
            return Err(refuse(
                "unsupported_response_type",
                "response_type must be code",
            ));
        }
        None => return Err(invalid("response_type is missing")),
    }
    if params.get("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method must be S256"));
    }
    let challenge = params
        .get("code_challenge")
        .filter(|text| {
            text.len() == 43
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
        .ok_or_else(|| invalid("code_challenge must be 43 base64url characters"))?;
    let scopes = Scopes::parse(params.get("scope").unwrap_or_default())
        .ok_or_else(|| refuse("invalid_scope", "the scopes are notes:read and notes:write"))?;
    Ok(Asked {
        client: client.id.clone(),
        client_name: client.name.clone(),
        redirect_uri: redirect_uri.to_owned(),
        state: given_state.clone(),
        challenge: challenge.to_owned(),
        scopes,
        login_hint: params.get("login_hint").map(str::to_owned),
    })
}

impl Asked {
    fn back(&self) -> Back {
        Back {
            redirect_uri: self.redirect_uri.clone(),
            state: self.state.clone(),
        }
    }

    /// The person said yes.
    fn allow(&self, vendor: &Vendor, user: &str) -> Response {
        let consent = Consent {
            client: self.client.clone(),
            redirect_uri: self.redirect_uri.clone(),
            challenge: self.challenge.clone(),
            scopes: self.scopes,
            user: user.to_owned(),
        };
        let code = vendor.state().grants.issue_code(consent);
        match code {
            Ok(code) => self.back().send(vendor, &[("code", &code)]),
            Err(_) => self.back().send(vendor, &[("error", "server_error")]),
        }
    }
}

pub(super) async fn ask(
    State(vendor): State<Vendor>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let asked = match read(&vendor, &query) {
        Ok(asked) => asked,
        Err(refused) => return refused.answer(&vendor),
    };
    let auto = vendor.state().auto_consent.clone();
    if let Some(user) = auto {
        return asked.allow(&vendor, &user);
    }
    let Ok(browser) = Browser::of(&headers) else {
        return bad("The vendor could not do this. Try again.");
    };
    let csrf = browser.token(&vendor, PURPOSE, &query);
    let main = consent(&vendor, &asked, &query, &csrf);
    let mut response = page(StatusCode::OK, "Allow access", &main, Forms::Anywhere);
    browser.remember(&vendor, &mut response);
    response
}

pub(super) async fn decide(
    State(vendor): State<Vendor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = Params::parse(&body);
    let query = form.get("request").unwrap_or_default();
    let ours = is_form(&headers)
        && !form.has_repeated()
        && Browser::known(&headers)
            .is_some_and(|browser| browser.sent(&vendor, PURPOSE, query, form.get("csrf")));
    if !ours {
        return sorry(
            StatusCode::FORBIDDEN,
            "This form is not valid any more",
            "It did not come from the page that this browser was shown. Go back to the app and start again; \
             cookies must be allowed.",
        );
    }
    let asked = match read(&vendor, query) {
        Ok(asked) => asked,
        Err(refused) => return refused.answer(&vendor),
    };
    match form.get("decision") {
        Some("deny") => asked.back().send(
            &vendor,
            &[
                ("error", "access_denied"),
                ("error_description", "the person did not allow access"),
            ],
        ),
        Some("allow") => {
            let who = form.get("user").unwrap_or_default();
            let user = vendor
                .state()
                .account(who)
                .map(|account| account.user.id.clone());
            match user {
                Some(user) => asked.allow(&vendor, &user),
                None => bad("Choose the account to sign in with."),
            }
        }
        _ => bad("The form said neither allow nor deny."),
    }
}

fn consent(vendor: &Vendor, asked: &Asked, query: &str, csrf: &str) -> Markup {
    let mut html = Markup::new();
    html.raw("<section class=\"card narrow\" aria-labelledby=\"ask\"><h1 id=\"ask\"><strong>");
    html.text(&asked.client_name);
    html.raw("</strong> asks for access to your Vendora account</h1><h2>It will be able to</h2><ul class=\"scopes\">");
    html.raw("<li>See your name, e-mail address and workspace</li>");
    if asked.scopes.read {
        html.raw("<li>Read your notes <code>notes:read</code></li>");
    }
    if asked.scopes.write {
        html.raw("<li>Write new notes <code>notes:write</code></li>");
    }
    html.raw("</ul><form method=\"post\" action=\"/oauth/authorize\">");
    html.hidden("request", query).hidden("csrf", csrf);
    html.raw("<fieldset><legend>Sign in as</legend>");
    let state = vendor.state();
    let hinted = asked
        .login_hint
        .as_deref()
        .and_then(|hint| state.account(hint))
        .or(state.accounts.first())
        .map(|account| account.user.id.clone());
    for account in &state.accounts {
        let user = &account.user;
        html.raw("<label class=\"person\"><input type=\"radio\" name=\"user\" value=\"")
            .text(&user.id);
        html.raw("\"");
        if hinted.as_ref() == Some(&user.id) {
            html.raw(" checked");
        }
        html.raw(">").avatar(&user.name);
        html.raw("<span><strong>")
            .text(&user.name)
            .raw("</strong><small>")
            .text(&user.email);
        html.raw(" · ")
            .text(&user.workspace)
            .raw("</small></span></label>");
    }
    html.raw(
        "</fieldset><div class=\"actions\">\
         <button class=\"primary\" name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\">Deny</button></div></form><p class=\"quiet\">You will go back to ",
    );
    let host = url::Url::parse(&asked.redirect_uri).map(|url| url.origin().ascii_serialization());
    html.raw("<code>").text(&host.unwrap_or_default());
    html.raw("</code>. You can take access back on the <a href=\"/developer\">developer page</a>.</p></section>");
    html
}
