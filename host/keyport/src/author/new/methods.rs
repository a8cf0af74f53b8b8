//! Ways to sign in, as the manifest writes them.

use super::draft::{Field, Inject, Kind, Method, Oauth2, Said};
use super::yaml::{Writer, flow};

/// One method under `auth:`.
pub fn write(w: &mut Writer, method: &Method) {
    if let Some(todo) = &method.todo {
        w.todo(1, todo);
    }
    w.line(1, &format!("{}:", flow(&method.id)));
    w.line(2, &format!("type: {}", kind(&method.kind)));
    w.pair(2, "label", &method.label);
    if let Kind::Oauth2(oauth) = &method.kind {
        fields(w, &method.fields);
        self::oauth(w, oauth);
        return;
    }
    fields(w, &method.fields);
    match &method.kind {
        Kind::Basic(username, password) => {
            w.pair(2, "username", username);
            w.pair(2, "password", password);
        }
        Kind::ApiKey(places) => inject(w, places),
        Kind::AwsSigv4(service) => {
            w.pair(2, "access_key_id", "{{ credentials.access_key }}");
            w.pair(2, "secret_access_key", "{{ credentials.secret_key }}");
            w.pair(2, "region", "{{ fields.region }}");
            w.said(2, "service", service);
        }
        Kind::Mtls => {
            w.pair(2, "certificate", "{{ credentials.certificate }}");
            w.pair(2, "private_key", "{{ credentials.private_key }}");
        }
        Kind::Bearer | Kind::Oauth2(_) => {}
    }
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Oauth2(_) => "oauth2",
        Kind::ApiKey(_) => "api_key",
        Kind::Basic(..) => "basic",
        Kind::Bearer => "bearer",
        Kind::AwsSigv4(_) => "aws_sigv4",
        Kind::Mtls => "mtls",
    }
}

fn fields(w: &mut Writer, fields: &[Field]) {
    if fields.is_empty() {
        return;
    }
    w.line(2, "fields:");
    for one in fields {
        field(w, 3, one);
    }
}

/// One item of a list of fields. Secret ones have blanks for where people find them.
pub fn field(w: &mut Writer, level: usize, field: &Field) {
    w.line(level, &format!("- id: {}", flow(&field.id)));
    let level = level + 1;
    w.pair(level, "label", &field.label);
    if field.secret {
        w.line(level, "secret: true");
    }
    if field.multiline {
        w.line(level, "multiline: true");
    }
    for (key, value) in [
        ("format", field.format.map(str::to_owned)),
        ("prefix", field.prefix.clone()),
        ("suffix", field.suffix.clone()),
    ] {
        if let Some(value) = value {
            w.pair(level, key, &value);
        }
    }
    if !field.choices.is_empty() {
        w.list(level, "choices", &field.choices);
    }
    for (key, value) in [("default", &field.default), ("example", &field.example)] {
        if let Some(value) = value {
            w.pair(level, key, value);
        }
    }
    let what = &field.label;
    w.said(
        level,
        "help",
        &Said::blank(
            "TODO: say where people find this.",
            format!("where people find this ({what}): in which menu, with which rights"),
        ),
    );
    if field.secret {
        w.said(
            level,
            "help_url",
            &Said::blank(
                "https://example.com/TODO",
                "the vendor's page that shows or makes it",
            ),
        );
    }
}

fn oauth(w: &mut Writer, oauth: &Oauth2) {
    if oauth.client_credentials {
        w.line(2, "grant: client_credentials");
        w.line(2, "client:");
        w.line(3, "operator: false");
        w.line(
            3,
            "owner: { id: \"{{ credentials.client }}\", secret: \"{{ credentials.client_key }}\" }",
        );
    }
    if let Some(issuer) = &oauth.issuer {
        w.line(2, &format!("discover: {{ issuer: {} }}", flow(issuer)));
    }
    for (key, url) in [
        ("authorize_url", &oauth.authorize_url),
        ("token_url", &oauth.token_url),
    ] {
        if let Some(url) = url {
            w.said(2, key, url);
        }
    }
    if let Some(url) = &oauth.refresh_url {
        w.pair(2, "refresh_url", url);
    }
    if !oauth.scopes.is_empty() || !oauth.optional.is_empty() || oauth.scopes_todo.is_some() {
        if let Some(todo) = &oauth.scopes_todo {
            w.todo(2, todo);
        }
        if oauth.scopes.is_empty() && oauth.optional.is_empty() {
            w.line(2, "scopes: { default: [] }");
        } else {
            w.line(2, "scopes:");
            w.list(3, "default", &oauth.scopes);
            if !oauth.optional.is_empty() {
                w.list(3, "optional", &oauth.optional);
            }
        }
    }
    if oauth.client_basic {
        w.line(2, "client_auth: basic");
    }
    if !oauth.authorize_params.is_empty() {
        w.map(2, "authorize_params", &oauth.authorize_params);
    }
    if !oauth.inject.is_empty() {
        inject(w, &oauth.inject);
    }
    if !oauth.client_credentials {
        w.todo(
            2,
            "whether a refresh gives a new refresh token and ends the old one: always, maybe or never",
        );
        w.line(2, "refresh: { rotates: maybe }");
    }
    match &oauth.revoke_url {
        Some(url) => w.line(2, &format!("revoke: {{ url: {} }}", flow(url))),
        None => {
            w.todo(
                2,
                "how a grant is ended at the app: `{ url: … }` if it follows RFC 7009, a request of its own, or why there is no way",
            );
            w.line(2, "revoke: { none: \"TODO: say how a grant is ended.\" }");
        }
    }
}

fn inject(w: &mut Writer, places: &[Inject]) {
    w.line(2, "inject:");
    for place in places {
        if let Some(todo) = &place.name.todo {
            w.todo(3, todo);
        }
        let key = if place.query { "query" } else { "header" };
        w.line(
            3,
            &format!(
                "- {{ {key}: {}, value: {} }}",
                flow(&place.name.text),
                flow(&place.value)
            ),
        );
    }
}
