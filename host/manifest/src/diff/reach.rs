//! V85: where requests, tokens and secrets go, and what rights the app asks for. The gate before an update: an app that is
//! trusted today is not to send its credentials to one more host tomorrow without anybody having looked.

use crate::model::{CredentialRef, Field, Grant, Manifest};
use crate::template::Template;

use super::{Change, quoted};

pub(super) fn compare(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    let base = |m: &Manifest| m.api.base_url.clone();
    address(
        "api.base_url",
        "requests with credentials",
        &base(old),
        &base(new),
        changes,
    );
    hosts(old, new, changes);
    sign_in(old, new, changes);
    suffixes(old, new, changes);
    variants(old, new, changes);
    rights(old, new, changes);
}

/// The part of a URL template that decides who gets the request.
fn host_of(source: &str) -> &str {
    let rest = source.split_once("://").map_or(source, |(_, rest)| rest);
    // A hole may hold slashes of its own (filters), so only those outside of holes end the host.
    let mut depth = 0_u32;
    let mut previous = ' ';
    for (at, c) in rest.char_indices() {
        match c {
            '{' if previous == '{' => depth = depth.saturating_add(1),
            '}' if previous == '}' => depth = depth.saturating_sub(1),
            '/' | '?' | '#' if depth == 0 => return rest.get(..at).unwrap_or(rest),
            _ => {}
        }
        previous = c;
    }
    rest
}

fn address(path: &str, what: &str, old: &Template, new: &Template, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    let (before, after) = (host_of(old.source()), host_of(new.source()));
    if before == after {
        changes.push(Change::warning(
            "V85",
            path,
            format!(
                "{what} went to `{}` and go to `{}`: the same host, another path",
                old.source(),
                new.source()
            ),
        ));
    } else {
        changes.push(
            Change::error(
                "V85",
                path,
                format!(
                    "{what} went to `{before}` and go to `{after}`; operators have to agree before existing connections use it"
                ),
            )
            .fix("if the vendor really moved, say so in the release notes and allow this finding with that reason"),
        );
    }
}

fn hosts(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    for (at, entry) in new.api.hosts.iter().enumerate() {
        let before = old
            .api
            .hosts
            .iter()
            .find(|e| e.host.source() == entry.host.source());
        let message = match before {
            None => format!(
                "`{}` is a new host that the app may send requests to{}",
                entry.host.source(),
                match entry.credential {
                    CredentialRef::None => ", without a credential",
                    _ => ", with credentials",
                }
            ),
            Some(before) if before.credential != entry.credential => format!(
                "`{}` got {} and gets {}",
                entry.host.source(),
                credential(&before.credential),
                credential(&entry.credential)
            ),
            Some(_) => continue,
        };
        let is_base = host_of(old.api.base_url.source()) == entry.host.source()
            && entry.credential == CredentialRef::Main;
        if !is_base {
            changes.push(
                Change::error("V85", format!("api.hosts[{at}]"), message).fix(
                    "operators have to agree; allow this finding with the reason why it is needed",
                ),
            );
        }
    }
    let gone: Vec<&str> = old
        .api
        .hosts
        .iter()
        .map(|e| e.host.source())
        .filter(|host| !new.api.hosts.iter().any(|e| e.host.source() == *host))
        .collect();
    if !gone.is_empty() {
        changes.push(Change::note(
            "V85",
            "api.hosts",
            format!(
                "{} cannot be reached any more; automations that call it are refused",
                quoted(gone.iter().copied())
            ),
        ));
    }
}

fn credential(credential: &CredentialRef) -> String {
    match credential {
        CredentialRef::Main => "the main credential".to_owned(),
        CredentialRef::None => "no credential".to_owned(),
        CredentialRef::Named(name) => format!("the credential `{name}`"),
    }
}

/// Every address of the sign-in itself. Read from the written form, so that no way to sign in is forgotten.
fn sign_in(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    for (id, now) in &new.auth {
        let Some(before) = old.auth.get(id) else {
            continue;
        };
        if before.base_url() != now.base_url() {
            address(
                &format!("auth.{id}.base_url"),
                "requests with credentials",
                old.base_url_for(id),
                new.base_url_for(id),
                changes,
            );
        }
        let (Ok(before), Ok(now)) = (serde_json::to_value(before), serde_json::to_value(now))
        else {
            continue;
        };
        let (before, now) = (addresses(&before), addresses(&now));
        for (key, what) in ADDRESSES {
            let find = |all: &[(String, String)]| {
                all.iter()
                    .find(|(known, _)| known == key)
                    .map(|(_, text)| Template::literal(text))
            };
            let path = format!("auth.{id}.{key}");
            match (find(&before), find(&now)) {
                (Some(before), Some(now)) => address(&path, what, &before, &now, changes),
                (None, Some(now)) => changes.push(Change::error(
                    "V85",
                    path,
                    format!("{what} now go to `{}`", host_of(now.source())),
                )),
                (Some(_), None) | (None, None) => {}
            }
        }
    }
}

/// Keys that hold an address of the sign-in, and what is sent there.
const ADDRESSES: &[(&str, &str)] = &[
    ("authorize_url", "people who sign in"),
    ("token_url", "codes and the client's secret"),
    ("refresh_url", "refresh tokens and the client's secret"),
    ("device_url", "device sign-ins"),
    (
        "introspect_url",
        "access tokens and the client's secret, to ask when a token ends",
    ),
    ("request_token_url", "requests for a temporary token"),
    ("access_token_url", "verifiers and the client's secret"),
    ("revoke.url", "tokens that are revoked"),
    ("exchange.url", "tokens that are exchanged"),
    ("discover.issuer", "questions about where to sign in"),
    ("discover.resource", "questions about where to sign in"),
];

fn addresses(method: &serde_json::Value) -> Vec<(String, String)> {
    ADDRESSES
        .iter()
        .filter_map(|(key, _)| {
            let pointer = format!("/{}", key.replace('.', "/"));
            let text = method.pointer(&pointer)?.as_str()?;
            Some(((*key).to_owned(), text.to_owned()))
        })
        .collect()
}

/// A value that may stand in a host decides where requests go as much as the host itself does.
fn suffixes(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    if new.self_hosted && !old.self_hosted {
        changes.push(
            Change::error(
                "V85",
                "self_hosted",
                "people may now name any host of their own, and their credentials go there"
                    .to_owned(),
            )
            .fix("operators have to agree; allow this finding with the reason"),
        );
    }
    let before = |id: &str, home: Option<&str>| {
        let fields = match home {
            None => old.fields.as_slice(),
            Some(method) => old.auth.get(method).map(|m| m.fields()).unwrap_or_default(),
        };
        fields.iter().find(|f| f.id == id)
    };
    let homes = std::iter::once((None, "fields".to_owned(), new.fields.as_slice())).chain(
        new.auth
            .iter()
            .map(|(id, m)| (Some(id.as_str()), format!("auth.{id}.fields"), m.fields())),
    );
    for (home, around, fields) in homes {
        for (at, field) in fields.iter().enumerate() {
            if let Some(before) = before(&field.id, home) {
                widened(&format!("{around}[{at}]"), before, field, changes);
            }
        }
    }
}

fn widened(path: &str, old: &Field, new: &Field, changes: &mut Vec<Change>) {
    if !new.format.is_host_safe() || old.suffixes.is_empty() {
        return;
    }
    let more: Vec<&str> = new
        .suffixes
        .iter()
        .filter(|s| !old.suffixes.contains(s))
        .map(String::as_str)
        .collect();
    let message = if new.suffixes.is_empty() {
        format!(
            "the host in `{}` had to end in {} and may now be any",
            new.id,
            quoted(old.suffixes.iter().map(String::as_str))
        )
    } else if !more.is_empty() {
        format!(
            "the host in `{}` may now also end in {}",
            new.id,
            quoted(more)
        )
    } else {
        return;
    };
    changes.push(
        Change::error("V85", format!("{path}.suffixes"), message)
            .fix("operators have to agree; allow this finding with the reason"),
    );
}

/// Constants of variants stand in hosts, so another constant is another host.
fn variants(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    let Some(now) = &new.variants else { return };
    let known: Vec<&String> = old
        .variants
        .iter()
        .flat_map(|v| v.choices.values())
        .flat_map(|choice| choice.values.values())
        .collect();
    for (key, choice) in &now.choices {
        let before = old.variants.as_ref().and_then(|v| v.choices.get(key));
        for (name, value) in &choice.values {
            let was = before.and_then(|choice| choice.values.get(name));
            // A value that some choice had before is an address that was looked at before.
            if was == Some(value) || (was.is_none() && known.contains(&value)) {
                continue;
            }
            let message = match was {
                Some(was) => {
                    format!("`{name}` of the variant `{key}` was `{was}` and is `{value}`")
                }
                None => format!("the variant `{key}` brings a new `{name}`: `{value}`"),
            };
            changes.push(
                Change::error(
                    "V85",
                    format!("variants.choices.{key}.values.{name}"),
                    format!("{message}; requests with credentials may go elsewhere"),
                )
                .fix("operators have to agree; allow this finding with the reason"),
            );
        }
    }
}

fn rights(old: &Manifest, new: &Manifest, changes: &mut Vec<Change>) {
    let grants = |m: &Manifest| -> Vec<Grant> {
        m.requires
            .iter()
            .flat_map(|r| r.grants.keys().copied())
            .collect()
    };
    let before = grants(old);
    for grant in grants(new).into_iter().filter(|g| !before.contains(g)) {
        let name = serde_json::to_value(grant)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default();
        changes.push(Change::error(
            "V85",
            format!("requires.grants.{name}"),
            format!("the app asks for the right `{name}`, which it did not need before; until operators grant it, it does not run"),
        ));
    }
}
