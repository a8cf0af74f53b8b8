//! The test call: of all GETs that need nothing, the one that most plausibly says whose credential it is.
//!
//! Signs are counted: the last word of the path, words of the operation, an id and a label in the answer. An operation that
//! the document calls public proves nothing, for any key would pass; one that needs a parameter cannot be called.

use serde_json::Value;

use super::super::draft::{Said, Test};
use super::answer::{Whose, put, whose};
use super::document::{Document, Operation, Parameter};
use super::security::Needed;

/// The chosen call.
pub struct Chosen {
    /// The call, with an answer.
    pub test: Test,
    /// The scopes that it needs, by scheme.
    pub needed: Needed,
}

/// Last words of a path that say who one is, and how well.
const WORDS: &[(&str, i32)] = &[
    ("me", 100),
    ("whoami", 100),
    ("who_am_i", 100),
    ("whoiam", 90),
    ("myself", 95),
    ("self", 95),
    ("@me", 100),
    ("~", 60),
    ("current", 85),
    ("current_user", 100),
    ("currentuser", 100),
    ("current-user", 100),
    ("userinfo", 90),
    ("user_info", 85),
    ("user-info", 85),
    ("authenticated_user", 95),
    ("get_current_account", 90),
    ("user", 72),
    ("account", 72),
    ("profile", 70),
    ("my", 60),
    ("viewer", 80),
    ("identity", 60),
    ("account_info", 72),
    ("accountinfo", 72),
    ("verify", 45),
    ("verify_credentials", 90),
    ("auth.test", 95),
    ("tokeninfo", 50),
    ("token", 25),
    ("authenticate", 35),
    ("auth", 35),
    ("introspect", 30),
    ("organization", 52),
    ("org", 50),
    ("organisation", 52),
    ("company", 52),
    ("merchant", 52),
    ("workspace", 48),
    ("team", 46),
    ("company-information", 50),
    ("balance", 30),
    ("credits", 28),
    ("usage", 22),
    ("quota", 22),
    ("settings", 24),
    ("ping", 14),
    ("accounts", 36),
    ("organizations", 34),
    ("orgs", 34),
    ("workspaces", 34),
    ("companies", 32),
    ("users", 28),
    ("teams", 26),
    ("projects", 22),
    ("sites", 20),
    ("stores", 20),
];

/// Words of an operation's own texts.
const SIGNS: &[(&str, i32)] = &[
    ("authenticated user", 30),
    ("current user", 30),
    ("currently authenticated", 30),
    ("logged in user", 28),
    ("logged-in user", 28),
    ("your account", 18),
    ("your user", 18),
    ("current account", 22),
    ("currently logged", 25),
    ("token's owner", 20),
    ("own profile", 15),
    ("your profile", 18),
    ("the account", 6),
];

/// Words of paths that answer anybody, or say nothing about an account.
const PUBLIC: &[&str] = &[
    "health",
    "healthcheck",
    "healthz",
    "heartbeat",
    "status",
    "systemstatus",
    "version",
    "versions",
    "openapi",
    "openapi.json",
    "swagger",
    "swagger.json",
    "docs",
    "languages",
    "countries",
    "currencies",
    "timezones",
    "random",
    "robots.txt",
    "time",
    "info",
    "categories",
    "search",
    "schema",
    "metadata",
    "public",
    "features",
    "jwks",
    "certs",
    "types",
];

/// Below this the best call is a guess, and the author is asked.
const GUESS: i32 = 45;
/// Below this there is none.
const NONE: i32 = 0;

/// The best call, or a blank one.
pub fn choose(document: &Document, app: &str, prefix: Option<&str>) -> Chosen {
    let mut best: Option<(i32, String, Operation<'_>)> = None;
    for operation in document
        .operations()
        .into_iter()
        .filter(|o| o.method == "get")
    {
        // The first of equals wins.
        if let Some((points, path)) = score(document, operation)
            && best.as_ref().is_none_or(|(most, ..)| points > *most)
        {
            best = Some((points, path, operation));
        }
    }
    match best {
        Some((points, path, operation)) if points > NONE => {
            let mut chosen = build(document, operation, &path, app, prefix);
            if points < GUESS {
                chosen.test.path.todo = Some(
                    "a guess: does this need the credential, and does it say whose it is?"
                        .to_owned(),
                );
            }
            chosen
        }
        _ => Chosen {
            test: blank(app, "/TODO", prefix),
            needed: Vec::new(),
        },
    }
}

/// The call of a path that somebody named; from the document, if that knows it.
pub fn named(document: &Document, path: &str, app: &str, prefix: Option<&str>) -> Chosen {
    document
        .operations()
        .into_iter()
        .find(|o| o.method == "get" && o.path == path)
        .map_or_else(
            || Chosen {
                test: Test {
                    path: Said::known(path),
                    ..blank(app, path, prefix)
                },
                needed: Vec::new(),
            },
            |o| build(document, o, o.path, app, prefix),
        )
}

/// A call that is not known yet.
pub fn blank(app: &str, path: &str, prefix: Option<&str>) -> Test {
    let whose = Whose {
        id: Some(vec!["id".to_owned()]),
        labels: vec![vec!["email".to_owned()]],
        list: false,
        body: serde_json::json!({ "id": "1", "email": "ann@acme.example" }),
        from_vendor: false,
    };
    let mut test = from_whose(&whose, app, prefix, 200);
    test.path = Said::blank(
        path,
        "a GET that only reads, needs the credential and says whose it is",
    );
    let ask = |text: &str, todo: &str| Said::blank(text, todo);
    test.account_id = ask(
        &test.account_id.text,
        "where the answer has an id that never changes",
    );
    test.account_label = ask(&test.account_label.text, "what people know the account by");
    test
}

/// How well an operation can be the test, and its path. `None` if it cannot be.
fn score(document: &Document, operation: Operation<'_>) -> Option<(i32, String)> {
    let parameters = document.parameters(operation);
    let path = without_holes(operation.path, &parameters)?;
    let plain = path.starts_with('/')
        && path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/-._~@:".contains(&b));
    // Some documents repeat the server at each path; another one would need a base URL of its own.
    let address = |servers: &Value| servers.get(0).and_then(|s| s.get("url")).cloned();
    let elsewhere = operation
        .own
        .get("servers")
        .or_else(|| operation.item.get("servers"))
        .and_then(address)
        .is_some_and(|url| document.at("/servers").and_then(address) != Some(url));
    if !plain || path.len() > 120 || elsewhere {
        return None;
    }
    let mut score = 0;
    match document.security(operation) {
        Some(list) if list.is_empty() => return None,
        Some(list)
            if list
                .iter()
                .any(|r| r.as_object().is_some_and(serde_json::Map::is_empty)) =>
        {
            score -= 30;
        }
        _ => {}
    }
    for parameter in parameters
        .iter()
        .filter(|p| p.required && p.place != "path")
    {
        match parameter.place {
            "query" | "header" if is_credential(parameter.name) => {}
            "query" if parameter.constant.is_some() => score -= 8,
            "header" if parameter.constant.is_some() => score -= 2,
            "header"
                if ["accept", "content-type"]
                    .contains(&parameter.name.to_ascii_lowercase().as_str()) => {}
            _ => return None,
        }
    }
    let success = document.success(operation)?;
    if !success.json || !(200..300).contains(&success.status) {
        score -= 40;
    }
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let last = segments
        .last()
        .copied()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let last = last.strip_suffix(".json").unwrap_or(&last);
    let word = WORDS
        .iter()
        .find(|(w, _)| *w == last)
        .map_or(0, |(_, points)| *points);
    score += word;
    if word == 0 {
        let inner = segments.iter().any(|s| {
            matches!(
                s.to_ascii_lowercase().as_str(),
                "me" | "self" | "current" | "whoami" | "myself"
            )
        });
        score += if inner { 25 } else { 5 };
    }
    score -= 3 * i32::try_from(segments.len()).unwrap_or(40).min(40);
    let text = |key: &str| {
        operation
            .own
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase()
    };
    let head: String = text("description").chars().take(300).collect();
    let said = format!("{} {head}", text("summary"));
    score += SIGNS
        .iter()
        .filter(|(sign, _)| said.contains(sign))
        .map(|(_, points)| *points)
        .max()
        .unwrap_or(0);
    let id = text("operationId");
    if [
        "currentuser",
        "current_user",
        "authenticateduser",
        "whoami",
        "getme",
        "get-me",
        "get_me",
        "users-me",
        "getself",
        "/get-authenticated",
    ]
    .iter()
    .any(|w| id.contains(w))
    {
        score += 25;
    }
    if operation.own.get("deprecated") == Some(&Value::Bool(true)) {
        score -= 45;
    }
    let whose = whose(document, &success);
    if segments
        .iter()
        .any(|s| PUBLIC.contains(&s.to_ascii_lowercase().as_str()))
    {
        score -= 40;
    }
    score += i32::from(whose.id.is_some()) * 22 + i32::from(!whose.labels.is_empty()) * 14
        - i32::from(whose.list) * 30;
    Some((score, path))
}

/// A path whose holes are filled: only where a parameter is said to take the word `me` for the caller.
fn without_holes(path: &str, parameters: &[Parameter<'_>]) -> Option<String> {
    let Some((before, rest)) = path.split_once('{') else {
        return Some(path.to_owned());
    };
    let (name, after) = rest.split_once('}')?;
    let me = parameters
        .iter()
        .find(|p| p.place == "path" && p.name == name)?
        .says_me;
    (me && !after.contains('{')).then(|| format!("{before}me{after}"))
}

fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase().replace(['-', '_'], "");
    matches!(
        lower.as_str(),
        "authorization"
            | "apikey"
            | "xapikey"
            | "key"
            | "accesstoken"
            | "xauthtoken"
            | "token"
            | "xaccesstoken"
    )
}

fn build(
    document: &Document,
    operation: Operation<'_>,
    path: &str,
    app: &str,
    prefix: Option<&str>,
) -> Chosen {
    let success = document.success(operation);
    let found = success
        .as_ref()
        .map(|s| whose(document, s))
        .unwrap_or_default();
    let status = success.as_ref().map_or(200, |s| s.status);
    let status = if (200..300).contains(&status) {
        status
    } else {
        200
    };
    let mut test = from_whose(&found, app, prefix, status);
    test.path = Said::known(path);
    test.query = document
        .parameters(operation)
        .iter()
        .filter(|p| p.place == "query" && p.required && !is_credential(p.name))
        .filter_map(|p| {
            Some((
                p.name.to_owned(),
                p.constant
                    .clone()
                    .filter(|c| !c.contains("{{") && !c.contains("{%") && !c.contains("{#"))?,
            ))
        })
        .collect();
    let mut needed = Needed::new();
    for requirement in document.security(operation).into_iter().flatten() {
        for (scheme, scopes) in requirement.as_object().into_iter().flatten() {
            let scopes: Vec<String> = scopes
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            // Alternatives ask for more and more: the first is the least.
            if !scopes.is_empty() && !needed.iter().any(|(known, _)| known == scheme) {
                needed.push((scheme.clone(), scopes));
            }
        }
    }
    Chosen { test, needed }
}

/// The rule of success and the account, from what an answer says.
fn from_whose(whose: &Whose, app: &str, prefix: Option<&str>, status: u16) -> Test {
    let root = if whose.list { "body[0]" } else { "body" };
    let hole = |path: &[String]| format!("{root}.{}", path.join("."));
    let fallback = format!("{} account", app.replace(['\'', '"', '\\', '{', '}'], ""));
    let mut body = if whose.body.is_null() {
        serde_json::json!({})
    } else {
        whose.body.clone()
    };
    let first = if whose.list {
        body.get(0).cloned().unwrap_or_default()
    } else {
        body.clone()
    };
    let text_at = |path: &[String]| {
        path.iter()
            .try_fold(&first, |at, name| at.get(name))
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    };
    let (account_id, id_text) = match (&whose.id, whose.list) {
        (Some(id), false) => (Said::known(format!("{{{{ {} }}}}", hole(id))), text_at(id)),
        (Some(id), true) => (
            Said::blank(
                format!("{{{{ {} }}}}", hole(id)),
                "the answer is a list: what in it tells one account from another and never changes?",
            ),
            text_at(id),
        ),
        (None, _) => {
            let path = vec!["id".to_owned()];
            let inner = if whose.list {
                body.get_mut(0)
            } else {
                Some(&mut body)
            };
            if let Some(inner) = inner {
                put(inner, &path, "1".into());
            }
            (
                Said::blank(
                    format!("{{{{ {root}.id }}}}"),
                    "where the answer has an id that never changes",
                ),
                Some("1".to_owned()),
            )
        }
    };
    let mut expect_id = id_text.unwrap_or_default();
    let account_id = match prefix {
        Some(field) => {
            expect_id = format!("acme:{expect_id}");
            Said {
                text: format!("{{{{ fields.{field} }}}}:{}", account_id.text),
                todo: account_id.todo,
            }
        }
        None => account_id,
    };
    let mut holes: Vec<String> = whose.labels.iter().map(|l| hole(l)).collect();
    let todo = holes
        .is_empty()
        .then(|| "what people know the account by: a name or an address in the answer".to_owned());
    if let (true, Some(id)) = (holes.is_empty(), &whose.id) {
        holes.push(hole(id));
    }
    if holes.is_empty() {
        holes.push(format!("{root}.name"));
    }
    let expect_label = whose
        .labels
        .first()
        .or(whose.id.as_ref())
        .and_then(|path| text_at(path))
        .unwrap_or_else(|| fallback.clone());
    let chain = holes_chain(&holes, &fallback);
    Test {
        path: Said::known("/"),
        query: Vec::new(),
        status,
        ok: whose
            .id
            .as_ref()
            .filter(|_| !whose.list)
            .map(|id| format!("$.{}", id.join("."))),
        account_id,
        account_label: Said { text: chain, todo },
        body,
        from_vendor: whose.from_vendor,
        expect_id,
        expect_label,
    }
}

/// `{{ a | default(b) | default('App account') }}`.
fn holes_chain(holes: &[String], fallback: &str) -> String {
    let mut out = String::new();
    for (i, hole) in holes.iter().enumerate() {
        if i == 0 {
            out.push_str(hole);
        } else {
            out.push_str(&format!(" | default({hole})"));
        }
    }
    format!("{{{{ {out} | default('{fallback}') }}}}")
}
