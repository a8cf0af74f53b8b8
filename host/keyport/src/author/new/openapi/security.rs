//! Ways to sign in, from security schemes and from what operations require of them together.
//!
//! A requirement that names several schemes needs all of them at once: they become one way to sign in. What nobody should
//! imitate (cookies, the implicit and the password grant) or the language has no word for is left out with a remark.

use serde_json::Value;

use super::super::draft::{Field, Inject, Kind, Method, Said};
use super::document::Document;
use super::keys::{api_key, basic, bearer, mtls, undeclared};
use super::oauth;

/// Most ways to sign in that are offered.
const MAX_METHODS: usize = 5;

/// The scopes that a call needs, by the name of the scheme.
pub type Needed = Vec<(String, Vec<String>)>;

/// What is known beside the schemes themselves.
pub struct Context<'a> {
    /// The app's name.
    pub name: &'a str,
    /// The app's base URL, as far as it has no holes.
    pub base: Option<&'a str>,
    /// The scopes of the test call.
    pub needed: &'a Needed,
}

/// The ways to sign in, best first, and what was left out.
pub fn methods(document: &Document, context: &Context<'_>) -> (Vec<Method>, Vec<String>) {
    let schemes = document.schemes();
    let mut remarks = Vec::new();
    let mut methods: Vec<Method> = Vec::new();
    for names in requirements(document, &schemes) {
        let parts: Vec<(&str, &Value)> = names
            .iter()
            .filter_map(|name| schemes.iter().find(|(n, _)| n == name).copied())
            .collect();
        if let Some(method) = together(document, &parts, context, &mut remarks) {
            add(&mut methods, method);
        }
    }
    in_query(&mut methods, &mut remarks);
    if methods.is_empty() {
        methods.extend(undeclared(document));
    }
    methods.sort_by_key(|m| match m.kind {
        Kind::Oauth2(ref o) if !o.client_credentials => 0,
        Kind::Oauth2(_) => 2,
        _ => 1,
    });
    methods.truncate(MAX_METHODS);
    if methods.is_empty() {
        methods.push(bearer(Some(
            "the document declares no way to sign in that can be used: which one has the app? (oauth2, api_key, basic, bearer)".to_owned(),
        )));
    }
    for i in 1..methods.len() {
        let (before, rest) = methods.split_at_mut(i);
        if let Some(method) = rest.first_mut() {
            let taken = |id: &str| before.iter().any(|m| m.id == id);
            let base = method.id.clone();
            let mut n = 2;
            while taken(&method.id) {
                method.id = format!("{base}_{n}");
                method.label = format!(
                    "{} ({n})",
                    method.label.trim_end_matches(|c: char| c == ')'
                        || c == '('
                        || c == ' '
                        || c.is_ascii_digit())
                );
                n += 1;
            }
        }
    }
    remarks.dedup();
    (methods, remarks)
}

/// The sets of schemes that calls need: the document's own, else those of its operations by how many need them, else each.
fn requirements<'d>(document: &'d Document, schemes: &[(&'d str, &'d Value)]) -> Vec<Vec<&'d str>> {
    fn names(requirement: &Value) -> Vec<&str> {
        requirement
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect()
    }
    let mut counted: Vec<(usize, Vec<&str>)> = Vec::new();
    let own = document.at("/security").and_then(Value::as_array);
    let mut add = |list: &'d Value| {
        let set = names(list);
        match counted.iter_mut().find(|(_, known)| *known == set) {
            _ if set.is_empty() => {}
            Some((count, _)) => *count += 1,
            None => counted.push((1, set)),
        }
    };
    own.into_iter().flatten().for_each(&mut add);
    if own.is_none_or(|own| own.iter().all(|r| names(r).is_empty())) {
        for operation in document.operations() {
            let list = operation.own.get("security").and_then(Value::as_array);
            list.into_iter().flatten().for_each(&mut add);
        }
        counted.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        counted.truncate(MAX_METHODS + 3);
    }
    if counted.is_empty() {
        return schemes.iter().map(|(name, _)| vec![*name]).collect();
    }
    counted.into_iter().map(|(_, set)| set).collect()
}

/// What one scheme brings to a way to sign in.
pub enum Part {
    /// A whole way to sign in.
    Method(Box<Method>),
    /// A field, where it goes, and what to check about it.
    Place(Box<Field>, Inject, Option<String>),
    /// Nothing, and why.
    Left(String),
}

/// Schemes that are needed at the same time.
fn together(
    document: &Document,
    parts: &[(&str, &Value)],
    context: &Context<'_>,
    remarks: &mut Vec<String>,
) -> Option<Method> {
    let mut whole: Option<Method> = None;
    let mut places: Vec<(Field, Inject, Option<String>)> = Vec::new();
    for (name, scheme) in oauth::best_of(parts) {
        match part(document, name, scheme, context) {
            Part::Left(remark) => {
                if !remarks.contains(&remark) {
                    remarks.push(remark);
                }
                return None;
            }
            Part::Place(field, inject, todo) => {
                let known = places.iter().any(|(f, i, _)| {
                    f.id == field.id
                        || (i.name.text.eq_ignore_ascii_case(&inject.name.text)
                            && i.query == inject.query)
                });
                if !known {
                    places.push((*field, inject, todo));
                }
            }
            Part::Method(method) => match &mut whole {
                None => whole = Some(*method),
                Some(_) => remarks.push(format!(
                    "The document asks for `{name}` beside another sign-in; that was left out."
                )),
            },
        }
    }
    match whole {
        None => {
            let todo = places.iter().find_map(|(_, _, todo)| todo.clone());
            let (fields, inject): (Vec<Field>, Vec<Inject>) =
                places.into_iter().map(|(f, i, _)| (f, i)).unzip();
            let first = fields.first()?;
            let (id, label) = if fields.len() == 1 {
                ("api_key".to_owned(), first.label.clone())
            } else {
                ("api_keys".to_owned(), "API keys".to_owned())
            };
            Some(Method {
                id,
                label,
                fields,
                kind: Kind::ApiKey(inject),
                todo,
            })
        }
        Some(mut method) => {
            let added = !places.is_empty();
            let mut inject = Vec::new();
            for (field, place, _) in places {
                if !method.fields.iter().any(|f| f.id == field.id) {
                    method.fields.push(field);
                    inject.push(place);
                }
            }
            if added {
                beside(&mut method, inject);
            }
            Some(method)
        }
    }
}

/// Adds further injections to a way to sign in that has its own.
fn beside(method: &mut Method, further: Vec<Inject>) {
    let authorization = |value: &str| Inject {
        query: false,
        name: Said::known("Authorization"),
        value: value.to_owned(),
    };
    match &mut method.kind {
        Kind::Oauth2(oauth) => {
            oauth
                .inject
                .push(authorization("Bearer {{ token.access_token }}"));
            oauth.inject.extend(further);
        }
        Kind::Bearer => {
            let mut inject = vec![authorization("Bearer {{ credentials.token }}")];
            inject.extend(further);
            method.kind = Kind::ApiKey(inject);
        }
        Kind::Basic(username, password) => {
            let name = |t: &str| {
                t.trim_start_matches("{{ ")
                    .trim_end_matches(" }}")
                    .to_owned()
            };
            let pair = if password.is_empty() {
                format!("{} ~ \":\"", name(username))
            } else {
                format!("{} ~ \":\" ~ {}", name(username), name(password))
            };
            let mut inject = vec![authorization(&format!("Basic {{{{ ({pair}) | base64 }}}}"))];
            inject.extend(further);
            method.kind = Kind::ApiKey(inject);
        }
        Kind::ApiKey(inject) => inject.extend(further),
        Kind::AwsSigv4(_) | Kind::Mtls => {}
    }
}

fn part(document: &Document, name: &str, scheme: &Value, context: &Context<'_>) -> Part {
    let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
    let about = format!("{name} {}", text("description"));
    let kind = text("type").to_ascii_lowercase();
    match (kind.as_str(), text("scheme").to_ascii_lowercase().as_str()) {
        ("apikey", _) => api_key(document, name, scheme, &about),
        ("basic", _) | ("http", "basic") => Part::Method(Box::new(basic(&about))),
        ("http", "bearer" | "oauth") => Part::Method(Box::new(bearer(None))),
        ("http", "mutual") | ("mutualtls", _) => Part::Method(Box::new(mtls())),
        ("http", other) => Part::Left(format!(
            "The scheme `{name}` (HTTP {other}) is not one that the manifest language has."
        )),
        ("oauth2", _) => match oauth::method(scheme, name, document.swagger2, context) {
            Ok(method) => Part::Method(Box::new(method)),
            Err(remark) => Part::Left(remark),
        },
        ("openidconnect", _) => match oauth::discovered(text("openIdConnectUrl"), name, context) {
            Ok(method) => Part::Method(Box::new(method)),
            Err(remark) => Part::Left(remark),
        },
        _ => Part::Left(format!(
            "The scheme `{name}` has a type that OpenAPI does not know."
        )),
    }
}

/// Adds a way to sign in, unless it is there already; two at the same OAuth server are one with the scopes of both.
fn add(methods: &mut Vec<Method>, method: Method) {
    for known in methods.iter_mut() {
        if known.kind == method.kind && known.fields == method.fields {
            return;
        }
        if let (Kind::Oauth2(known), Kind::Oauth2(new)) = (&mut known.kind, &method.kind)
            && known.authorize_url == new.authorize_url
            && known.token_url == new.token_url
            && known.client_credentials == new.client_credentials
            && known.inject == new.inject
        {
            for scope in new.scopes.iter().chain(&new.optional) {
                if !known.scopes.contains(scope) && !known.optional.contains(scope) {
                    known.optional.push(scope.clone());
                }
            }
            return;
        }
    }
    methods.push(method);
}

/// Keys in the query are left out where a header takes one too: addresses end up in logs.
fn in_query(methods: &mut Vec<Method>, remarks: &mut Vec<String>) {
    let single = |method: &Method, in_query: bool| matches!(&method.kind, Kind::ApiKey(places) if matches!(places.as_slice(), [one] if one.query == in_query));
    let header = methods
        .iter()
        .any(|m| single(m, false) || matches!(m.kind, Kind::Bearer));
    if header && methods.iter().any(|m| single(m, true)) {
        methods.retain(|m| !single(m, true));
        remarks.push(
            "The document also takes the key in the query, where logs keep it; the header is used."
                .to_owned(),
        );
    }
}
