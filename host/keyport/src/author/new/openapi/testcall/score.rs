//! How well an operation can be the test.

use serde_json::Value;

use super::super::answer::whose;
use super::super::document::{Document, Operation, Parameter};
use super::words::{PUBLIC, SIGNS, WORDS};

/// How well an operation can be the test, and its path. `None` if it cannot be.
pub(super) fn score(document: &Document, operation: Operation<'_>) -> Option<(i32, String)> {
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
pub(super) fn without_holes(path: &str, parameters: &[Parameter<'_>]) -> Option<String> {
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

pub(super) fn is_credential(name: &str) -> bool {
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
