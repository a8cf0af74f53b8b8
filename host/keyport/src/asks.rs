//! What an app asks for, what it sends where, and what it may do: one line each, so that a new version can be held against the
//! one that is installed. The manifest is what binds: the host attaches credentials to nothing else.

use std::fmt::Write as _;

use keyport_manifest::{AuthMethod, Component, CredentialRef, Effect, Manifest, Place, SecretSlot};
use wasmparser::{Parser, Payload};

/// The interface that sends requests by the standard.
pub const OUTGOING: &str = "wasi:http/outgoing-handler";

/// A heading and the lines under it.
pub struct Part {
    /// What the lines are about.
    pub title: &'static str,
    /// One statement each.
    pub lines: Vec<String>,
}

/// What an app's own component says of itself.
pub struct Code {
    /// SHA-256 of its file, in hexadecimal, where it is to be shown.
    pub sha256: Option<String>,
    /// Whether it imports `wasi:http`.
    pub fetches: bool,
}

/// Whether a component sends requests by `wasi:http` (`fetch`). Its outermost imports say so; what is within is skipped.
pub fn fetches(component: &[u8]) -> bool {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentImportSection(imports)) if depth == 0 => {
                let asks = |name: &str| name.split('@').next() == Some(OUTGOING);
                let mut imports = imports.into_iter();
                if imports.any(|import| import.map_or(true, |import| asks(import.name.name))) {
                    return true;
                }
            }
            Ok(_) => {}
            // What cannot be read is not run either; a right too many is shown before one too few.
            Err(_) => return true,
        }
    }
    false
}

/// Everything that whoever installs an app should know, in the order in which it matters.
pub fn parts(app: &Manifest, code: Option<&Code>) -> Vec<Part> {
    let mut all = vec![
        Part {
            title: "Runs",
            lines: runs(app, code),
        },
        Part {
            title: "Sends requests to",
            lines: hosts(app),
        },
    ];
    let grants = app.requires.iter().flat_map(|it| &it.grants);
    all.push(Part {
        title: "Asks for rights beyond the usual",
        lines: grants
            .map(|(grant, reason)| {
                format!("{grant:?}: its code sees credentials in the clear; reason given: {reason}")
            })
            .collect(),
    });
    all.push(Part {
        title: "Its code may place secrets that it does not see",
        lines: placed(app),
    });
    all.push(Part {
        title: "Ways to sign in",
        lines: app
            .auth
            .iter()
            .flat_map(|(id, method)| sign_in(app, id, method))
            .collect(),
    });
    all.push(Part {
        title: "Actions",
        lines: app
            .actions
            .iter()
            .map(|(id, one)| {
                let effect = match (one.effect, one.destructive) {
                    (Effect::Read, _) => "reads",
                    (Effect::Write, false) => "writes",
                    (Effect::Write, true) => "writes, and destroys what cannot be brought back",
                };
                format!("{id}: {} ({effect}{})", one.title, by(one.code))
            })
            .collect(),
    });
    all.push(Part {
        title: "Triggers",
        lines: app
            .triggers
            .iter()
            .map(|(id, one)| format!("{id}: {}{}", one.title, by(one.code)))
            .collect(),
    });
    all
}

/// The same as text, `+` before what `before` did not have.
pub fn text(app: &Manifest, parts: &[Part], before: Option<&[Part]>) -> String {
    let mut out = format!(
        "{} ({}) {}\n{}\n",
        app.name, app.id, app.version, app.summary
    );
    let known = |title: &str, line: &String| {
        before.is_none_or(|before| {
            before
                .iter()
                .any(|part| part.title == title && part.lines.contains(line))
        })
    };
    for part in parts.iter().filter(|part| !part.lines.is_empty()) {
        let _ = writeln!(out, "\n{}:", part.title);
        for line in &part.lines {
            let mark = if known(part.title, line) { ' ' } else { '+' };
            let _ = writeln!(out, "{mark} {line}");
        }
    }
    let gone: Vec<&String> = before
        .into_iter()
        .flatten()
        .flat_map(|old| {
            let now = parts.iter().find(|part| part.title == old.title);
            old.lines
                .iter()
                .filter(move |line| !now.is_some_and(|now| now.lines.contains(line)))
        })
        .collect();
    if !gone.is_empty() {
        let _ = writeln!(out, "\nNo longer:");
        for line in gone {
            let _ = writeln!(out, "- {line}");
        }
    }
    out
}

fn by(code: bool) -> &'static str {
    if code { ", by its own code" } else { "" }
}

fn runs(app: &Manifest, code: Option<&Code>) -> Vec<String> {
    match (&app.component, code) {
        (Component::Rest, _) => {
            vec!["no code of its own; what the manifest says is done by Keyport's".to_owned()]
        }
        (Component::Provider(name), _) => vec![format!("the component {name} of this program")],
        (Component::Path(path), Some(Code { sha256, fetches })) => {
            let digest = sha256.as_ref().map(|it| format!(", sha256 {it}"));
            let mut lines = vec![format!(
                "code of its own in the sandbox: {path}{}",
                digest.unwrap_or_default()
            )];
            if *fetches {
                lines.push(
                    "its code sends requests by wasi:http (fetch) as well: to the same hosts, with the same credentials"
                        .to_owned(),
                );
            }
            lines
        }
        (Component::Path(path), None) => vec![format!("code of its own in the sandbox: {path}")],
    }
}

fn hosts(app: &Manifest) -> Vec<String> {
    let mut lines = vec![format!(
        "{} (with the credential)",
        app.api.base_url.source()
    )];
    for method in app.auth.values() {
        if let Some(own) = method.base_url() {
            lines.push(format!("{} (with the credential)", own.source()));
        }
    }
    for host in &app.api.hosts {
        let credential = match &host.credential {
            CredentialRef::Main => "with the credential",
            CredentialRef::None => "without a credential",
            CredentialRef::Named(_) => "with a credential of its own",
        };
        lines.push(format!("{} ({credential})", host.host.source()));
    }
    lines.dedup();
    lines
}

fn placed(app: &Manifest) -> Vec<String> {
    let slots = |slots: &[SecretSlot]| {
        let names: Vec<String> = slots
            .iter()
            .map(|slot| match slot {
                SecretSlot::Header(name) => format!("header {name}"),
                SecretSlot::Query(name) => format!("query parameter {name}"),
                SecretSlot::Body(name) => format!("member {name} of the body"),
                SecretSlot::Recipe(name) => format!("what {name} signs"),
            })
            .collect();
        names.join(", ")
    };
    let handles = app
        .handles
        .iter()
        .map(|(name, it)| format!("{name}, in {}", slots(&it.slots)));
    let recipes = app
        .recipes
        .iter()
        .map(|(name, it)| format!("what {name} makes of one, in {}", slots(it.slots())));
    handles.chain(recipes).collect()
}

fn sign_in(app: &Manifest, id: &str, method: &AuthMethod) -> Vec<String> {
    let mut lines = vec![format!("{id}: {} ({})", method.label(), method.kind())];
    if let AuthMethod::Oauth2(oauth) = method {
        if let Some(url) = &oauth.authorize_url {
            lines.push(format!("  authorizes at {}", url.source()));
        }
        if let Some(url) = &oauth.token_url {
            lines.push(format!("  tokens from   {}", url.source()));
        }
        let scopes: Vec<&str> = oauth.scopes.default.iter().map(|s| s.source()).collect();
        if !scopes.is_empty() {
            lines.push(format!("  scopes        {}", scopes.join(" ")));
        }
    }
    for injection in method.injections() {
        let place = match injection.place {
            Place::Header => "header",
            Place::Query => "query parameter",
            Place::Cookie => "cookie",
            Place::Body => "member of the body",
        };
        lines.push(format!("  attaches      {place} {}", injection.name));
    }
    for field in app.fields_for(id) {
        let secret = if field.secret { " (secret)" } else { "" };
        lines.push(format!("  asks for      {}{secret}", field.label));
    }
    lines
}
