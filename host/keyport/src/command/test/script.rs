//! What is played: the exchanges of an app's fixtures, or one call of everything that the manifest lists.

use std::path::{Path, PathBuf};

use keyport_connect::Trial;
use keyport_egress::Secret;
use keyport_manifest::yaml::fixtures;
use keyport_manifest::yaml::fixtures::exchange::{Exchange, Given, Of, Subject};
use keyport_manifest::{AuthMethod, Effect, Field, Manifest, Test, example};
use serde_json::{Map, Value, json};

use super::play::{Expected, Play, What};
use crate::apps::folder;
use crate::author::net::given::variable;
use crate::author::render::{self, sample};
use crate::command::Failure;

/// What every marked secret begins with. Letters and digits alone, so that no way of writing changes it.
const MARK: &str = "kpmarked";

/// A play for each exchange about the test, an action or a trigger. Those of several test calls are left to `validate`: which one
/// answers is the host's choice.
pub fn of_fixtures(manifest: &Manifest, app: &Path) -> Result<Vec<Play>, Failure> {
    let mut plays = Vec::new();
    for (name, exchange) in exchanges(app)? {
        let (what, method) = match &exchange.subject {
            Subject::Test => (What::Check, None),
            Subject::Of(Of::Test(id)) => (What::Check, Some(id.as_str())),
            Subject::Of(Of::Action(id)) => (What::Action(id.clone()), None),
            Subject::Of(Of::Trigger(id)) => (What::Trigger(id.clone()), None),
            Subject::Of(_) => continue,
        };
        let method = chosen(manifest, method)?;
        if what == What::Check
            && matches!(
                manifest.test_for(&method),
                Test::AnyOf(_) | Test::None { .. }
            )
        {
            continue;
        }
        let Some(read_only) = read_only(manifest, &what) else {
            return Err(Failure::Said(format!(
                "{name}: the manifest has no {}",
                what.text()
            )));
        };
        let Some(answer) = &exchange.response else {
            return Err(Failure::Said(format!(
                "{name}: `{}` has no `response`",
                exchange.name
            )));
        };
        let (trial, secrets) = marked(manifest, &method, &exchange.given)?;
        let mut script = vec![Expected {
            answer: answer.plain(),
            request: exchange.request,
        }];
        script.extend(exchange.then.into_iter().map(|further| Expected {
            answer: further.response.plain(),
            request: further.request,
        }));
        plays.push(Play {
            name: exchange.name,
            what,
            trial,
            secrets,
            input: exchange.given.input.unwrap_or_else(|| json!({})),
            cursor: exchange.given.cursor,
            read_only,
            script,
            expect: Some(exchange.expect),
        });
    }
    Ok(plays)
}

/// A play for the test and for everything that the manifest lists, with inputs of the fixtures, else of the schemas.
pub fn of_schemas(
    manifest: &Manifest,
    app: &Path,
    method: Option<&str>,
) -> Result<Vec<Play>, Failure> {
    let method = chosen(manifest, method)?;
    let known = exchanges(app)?;
    let (trial, secrets) = marked(manifest, &method, &Given::default())?;
    Ok(all(manifest, &known, &(trial, secrets), &method, true))
}

/// The same for the author's own account; what writes is left out.
pub fn live(
    manifest: &Manifest,
    app: &Path,
    method: Option<&str>,
    set: &[String],
) -> Result<Vec<Play>, Failure> {
    let of_flags = public(manifest, set, |name| {
        format!("give it by {} in the environment", variable(manifest, name))
    })?;
    let given = |field: &Field| {
        let of_flag = of_flags.get(&field.id).cloned();
        of_flag.or_else(|| own(manifest, &field.id))
    };
    let has_all = |id: &str| {
        let fields = manifest
            .fields_for(id)
            .all(|it| !it.required || it.default.is_some() || given(it).is_some());
        let token = manifest.auth.get(id).is_none_or(|it| !has_token(it))
            || own(manifest, "access_token").is_some();
        fields && token
    };
    let method = match method {
        Some(id) => chosen(manifest, Some(id))?,
        None => manifest.auth.keys().find(|id| has_all(id)).cloned().ok_or_else(|| {
            let id = manifest.auth.keys().next().cloned().unwrap_or_default();
            let names: Vec<String> = needed(manifest, &id);
            Failure::Said(format!(
                "nothing signs in: set {} (or what another way to sign in asks for; `--method` names it)",
                names.join(", ")
            ))
        })?,
    };
    of_method(manifest, &method, &of_flags)?;
    if !has_all(&method) {
        return Err(Failure::Said(format!(
            "`{method}` needs {}",
            needed(manifest, &method).join(", ")
        )));
    }
    let mut trial = Trial {
        method: method.clone(),
        ..Trial::default()
    };
    let mut secrets = Vec::new();
    let own_fields = manifest
        .auth
        .get(&method)
        .map(AuthMethod::fields)
        .unwrap_or_default();
    for field in manifest.fields_for(&method) {
        let Some(typed) = given(field).or_else(|| field.default.clone()) else {
            continue;
        };
        let value = field
            .parse(&typed)
            .map_err(|error| Failure::Said(error.to_string()))?;
        if field.secret {
            secrets.push(Secret::new(value.as_str()));
        }
        let into = if own_fields.iter().any(|it| it.id == field.id) {
            &mut trial.credentials
        } else {
            &mut trial.fields
        };
        into.insert(field.id.clone(), value);
    }
    if let Some(token) =
        own(manifest, "access_token").filter(|_| manifest.auth.get(&method).is_some_and(has_token))
    {
        secrets.push(Secret::new(token.as_str()));
        trial.access_token = Some(token);
    }
    let known = exchanges(app)?;
    Ok(all(manifest, &known, &(trial, secrets), &method, false))
}

/// The same for an account that a running host has connected: marks stand in the place of its credentials.
pub fn connected(
    manifest: &Manifest,
    app: &Path,
    method: &str,
    account: Option<&(String, String)>,
    set: &[String],
) -> Result<Vec<Play>, Failure> {
    let method = chosen(manifest, Some(method))?;
    let of_flags = public(manifest, set, |_| {
        "the host that has the connection has it already".to_owned()
    })?;
    of_method(manifest, &method, &of_flags)?;
    let mut given = Given::default();
    for (name, value) in &of_flags {
        for group in [&mut given.fields, &mut given.credentials] {
            group.insert(name.clone(), json!(value));
        }
    }
    let (mut trial, secrets) = marked(manifest, &method, &given)?;
    trial.account = account.cloned();
    let known = exchanges(app)?;
    Ok(all(manifest, &known, &(trial, secrets), &method, false))
}

/// What `--set` gives: fields that may be seen, as they are kept. A secret among arguments would stand in the shell's history and in
/// the list of processes; `instead` says where it comes from.
fn public(
    manifest: &Manifest,
    set: &[String],
    instead: impl Fn(&str) -> String,
) -> Result<render::Given, Failure> {
    let mut given = render::given(manifest, set)?;
    if given.len() < set.len() {
        return Err(Failure::Said(
            "`--set` names a field twice; give it one value".to_owned(),
        ));
    }
    for (name, value) in &mut given {
        let all = manifest.auth.keys().flat_map(|id| manifest.fields_for(id));
        for field in all.filter(|field| field.id == *name) {
            if field.secret {
                return Err(Failure::Said(format!(
                    "`{name}` is a secret, and `--set` would show it to everybody on this machine; {}",
                    instead(name)
                )));
            }
            *value = field
                .parse(value)
                .map_err(|error| Failure::Said(format!("`--set {name}`: {error}")))?;
        }
    }
    Ok(given)
}

/// Refuses what this way to sign in does not ask for: it would be given for nothing.
fn of_method(manifest: &Manifest, method: &str, given: &render::Given) -> Result<(), Failure> {
    let stray = given
        .keys()
        .find(|name| manifest.fields_for(method).all(|it| it.id != **name));
    match stray {
        Some(name) => Err(Failure::Said(format!(
            "`--set {name}`: `{method}` does not ask for it; `--method` names another way to sign in"
        ))),
        None => Ok(()),
    }
}

fn needed(manifest: &Manifest, method: &str) -> Vec<String> {
    let fields = manifest
        .fields_for(method)
        .filter(|it| it.required && it.default.is_none());
    let token = manifest
        .auth
        .get(method)
        .is_some_and(has_token)
        .then_some("access_token");
    fields
        .map(|it| it.id.as_str())
        .chain(token)
        .map(|name| variable(manifest, name))
        .collect()
}

fn has_token(auth: &AuthMethod) -> bool {
    matches!(auth, AuthMethod::Oauth2(_) | AuthMethod::Oauth1(_))
}

fn own(manifest: &Manifest, name: &str) -> Option<String> {
    std::env::var(variable(manifest, name))
        .ok()
        .filter(|text| !text.is_empty())
}

fn all(
    manifest: &Manifest,
    known: &[(String, Exchange)],
    connection: &(Trial, Vec<Secret>),
    method: &str,
    writes: bool,
) -> Vec<Play> {
    let input = |what: &What, schema: &Value| {
        let of = known.iter().find(|(_, it)| match (&it.subject, what) {
            (Subject::Of(Of::Action(id)), What::Action(wanted))
            | (Subject::Of(Of::Trigger(id)), What::Trigger(wanted)) => id == wanted,
            _ => false,
        });
        of.and_then(|(_, it)| it.given.input.clone())
            .unwrap_or_else(|| sample::input(schema))
    };
    let play = |what: What, schema: &Value, read_only: bool| Play {
        name: what.text(),
        input: input(&what, schema),
        what,
        trial: connection.0.clone(),
        secrets: connection.1.clone(),
        cursor: None,
        read_only,
        script: Vec::new(),
        expect: None,
    };
    let mut plays = Vec::new();
    if !matches!(manifest.test_for(method), Test::None { .. }) {
        plays.push(play(What::Check, &Value::Null, true));
    }
    for (id, action) in &manifest.actions {
        if writes || action.effect == Effect::Read {
            plays.push(play(
                What::Action(id.clone()),
                &action.input,
                action.effect == Effect::Read,
            ));
        }
    }
    for (id, trigger) in &manifest.triggers {
        plays.push(play(What::Trigger(id.clone()), &trigger.input, true));
    }
    plays
}

fn read_only(manifest: &Manifest, what: &What) -> Option<bool> {
    match what {
        What::Check => Some(true),
        What::Action(id) => manifest.actions.get(id).map(|it| it.effect == Effect::Read),
        What::Trigger(id) => manifest.triggers.get(id).map(|_| true),
    }
}

fn chosen(manifest: &Manifest, wanted: Option<&str>) -> Result<String, Failure> {
    match wanted {
        Some(id) if manifest.auth.contains_key(id) => Ok(id.to_owned()),
        Some(id) => Err(Failure::Said(format!("there is no way to sign in `{id}`"))),
        None => manifest
            .auth
            .keys()
            .next()
            .cloned()
            .ok_or_else(|| Failure::Said("the manifest has no way to sign in".to_owned())),
    }
}

/// A connection that nobody made: what is given, examples for the rest, and a mark in the place of every secret.
fn marked(
    manifest: &Manifest,
    method: &str,
    given: &Given,
) -> Result<(Trial, Vec<Secret>), Failure> {
    let mut trial = Trial {
        method: method.to_owned(),
        ..Trial::default()
    };
    let mut secrets = Vec::new();
    let own = manifest
        .auth
        .get(method)
        .map(AuthMethod::fields)
        .unwrap_or_default();
    for field in manifest.fields_for(method) {
        let of_own = own.iter().any(|it| it.id == field.id);
        let group = if of_own {
            &given.credentials
        } else {
            &given.fields
        };
        let value = match group.get(&field.id) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
            None if field.secret => {
                let mark = mark()?;
                // A key of a form of its own can't be a mark; its example is as good, if less easily told.
                if field.parse(&mark).is_ok() {
                    Some(mark)
                } else {
                    example::values(field).into_iter().next()
                }
            }
            None => example::values(field).into_iter().next(),
        };
        let Some(value) = value.filter(|it| !it.is_empty()) else {
            continue;
        };
        if field.secret {
            secrets.push(Secret::new(value.as_str()));
        }
        let into = if of_own {
            &mut trial.credentials
        } else {
            &mut trial.fields
        };
        into.insert(field.id.clone(), value);
    }
    for connection in example::connections(manifest, method, 1) {
        trial.capture.extend(texts(&connection.capture));
    }
    trial.capture.extend(texts(&given.capture));
    if manifest.auth.get(method).is_some_and(has_token) {
        let said = given
            .token
            .get("access_token")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let token = said.map_or_else(mark, Ok)?;
        secrets.push(Secret::new(token.as_str()));
        trial.access_token = Some(token);
        if matches!(manifest.auth.get(method), Some(AuthMethod::Oauth1(_))) {
            let secret = mark()?;
            secrets.push(Secret::new(secret.as_str()));
            trial.token_secret = Some(secret);
        }
    }
    trial.account = Some(("account-id".to_owned(), "Account".to_owned()));
    Ok((trial, secrets))
}

fn texts(values: &Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    values.iter().map(|(id, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (id.clone(), text)
    })
}

fn mark() -> Result<String, Failure> {
    use std::fmt::Write as _;
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|error| Failure::Said(error.to_string()))?;
    Ok(bytes.iter().fold(MARK.to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Every exchange of the app's fixtures, with its file.
fn exchanges(app: &Path) -> Result<Vec<(String, Exchange)>, Failure> {
    let entries = std::fs::read_dir(app.join("fixtures"))
        .into_iter()
        .flatten()
        .flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let read = fixtures::read(&folder::text(&file)?)
            .map_err(|why| Failure::Said(format!("{name}: {why}")))?;
        all.extend(read.into_iter().map(|one| (name.clone(), one)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let field = |id: &str, secret: bool| json!({ "id": id, "label": id, "secret": secret });
        serde_json::from_value(json!({
            "manifest": 1, "id": "a", "name": "A", "version": "1.0.0", "summary": "S.", "component": "component.wasm",
            "fields": [field("region", false)],
            "api": {"base_url": "https://api.acme.test"},
            "auth": {
                "key": {"type": "bearer", "label": "Key", "fields": [field("api_key", true)]},
                "user": {"type": "basic", "label": "User", "fields": [field("login", false), field("pass", true)]},
            },
            "test": {"code": true}
        }))
        .unwrap()
    }

    #[test]
    fn a_flag_sets_fields_of_the_way_to_sign_in_that_may_be_seen_and_nothing_else() {
        let (manifest, folder) = (manifest(), Path::new("."));
        let refused = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|&text| text.to_owned()).collect();
            let said = |result: Result<Vec<Play>, Failure>| match result {
                Ok(_) => panic!("{set:?} was taken"),
                Err(error) => error.to_string(),
            };
            [
                said(live(&manifest, folder, Some("key"), &set)),
                said(connected(&manifest, folder, "key", None, &set)),
            ]
        };
        for (set, expected) in [
            (&["region"][..], "write `--set field=value`"),
            (
                &["regoin=eu"],
                "asks for no `regoin`; it asks for: region, api_key",
            ),
            (&["region=eu", "region=us"], "names a field twice"),
            (&["login=ada"], "`key` does not ask for it"),
        ] {
            for told in refused(set) {
                assert!(told.contains(expected), "{set:?}: {told}");
            }
        }
        let [live, connected] = refused(&["api_key=hush-hush"]);
        assert!(
            live.contains("KEYPORT_NET_A_API_KEY in the environment"),
            "{live}"
        );
        assert!(connected.contains("has it already"), "{connected}");
        assert!(!live.contains("hush-hush") && !connected.contains("hush-hush"));
        let set = ["region=eu".to_owned()];
        let plays = super::connected(&manifest, folder, "key", None, &set).unwrap();
        assert_eq!(plays[0].trial.fields["region"], "eu");
    }
}
