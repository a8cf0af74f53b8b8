//! The test call: of all GETs that need nothing, the one that most plausibly says whose credential it is.
//!
//! Signs are counted: the last word of the path, words of the operation, an id and a label in the answer. An operation that
//! the document calls public proves nothing, for any key would pass; one that needs a parameter cannot be called.

mod account;
mod score;
mod words;

use super::super::draft::{Said, Test};
use super::answer::{Whose, whose};
use super::document::{Document, Operation};
use super::security::Needed;
use account::from_whose;
use score::{is_credential, score};

/// The chosen call.
pub struct Chosen {
    /// The call, with an answer.
    pub test: Test,
    /// The scopes that it needs, by scheme.
    pub needed: Needed,
}
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
                .filter_map(serde_json::Value::as_str)
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
