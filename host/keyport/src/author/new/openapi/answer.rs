//! What an answer looks like: a small tree from its schema or example, and in it the account's id and label.
//!
//! Schemas of vendors refer to themselves and run to thousands of properties; the tree is cut at a depth and a number of nodes.

use serde_json::{Map, Value, json};

use super::document::{Document, Success};

/// Deepest object that is looked into.
const MAX_DEPTH: usize = 4;
/// Most nodes of a tree.
const MAX_NODES: usize = 1500;

/// A part of an answer.
enum Tree {
    Object(Vec<(String, Tree)>),
    List(Box<Tree>),
    Leaf(Leaf, Option<Value>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaf {
    Text,
    Number,
    Any,
    Other,
}

/// What an answer says about whose it is.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Whose {
    /// Names that lead to the id.
    pub id: Option<Vec<String>>,
    /// Names that lead to labels, best first.
    pub labels: Vec<Vec<String>>,
    /// Whether the answer is a list of things.
    pub list: bool,
    /// A body with these values, and nothing else.
    pub body: Value,
    /// Whether the id in it is the vendor's own example.
    pub from_vendor: bool,
}

/// Names of an id, best first.
const IDS: &[&str] = &[
    "id",
    "uuid",
    "uid",
    "guid",
    "sid",
    "gid",
    "_id",
    "Id",
    "ID",
    "user_id",
    "userId",
    "account_id",
    "accountId",
    "userid",
    "sub",
    "organization_id",
    "organizationId",
    "team_id",
    "company_id",
    "customer_id",
    "customerId",
    "login",
    "username",
    "userName",
    "user_name",
    "email",
    "emailAddress",
];

/// Names of a label, best first.
const LABELS: &[&str] = &[
    "email",
    "emailAddress",
    "email_address",
    "Email",
    "login",
    "username",
    "userName",
    "user_name",
    "display_name",
    "displayName",
    "name",
    "full_name",
    "fullName",
    "Name",
    "friendly_name",
    "title",
    "screen_name",
    "first_name",
    "firstName",
    "company",
    "slug",
];

/// Objects that wrap what matters.
const WRAPPERS: &[&str] = &[
    "data",
    "user",
    "account",
    "result",
    "response",
    "me",
    "profile",
    "viewer",
    "organization",
    "org",
    "company",
    "customer",
    "team",
    "workspace",
    "attributes",
    "payload",
    "content",
    "body",
    "item",
    "member",
    "merchant",
    "Data",
    "User",
    "Account",
    "results",
    "current_user",
    "currentUser",
    "person",
    "contact",
];

/// Words that an expression cannot use as a name after a dot.
const RESERVED: &[&str] = &[
    "in", "is", "not", "and", "or", "if", "else", "true", "false", "none", "null",
];

/// Reads a success: the schema, and the example where there is none.
pub fn whose(document: &Document, success: &Success<'_>) -> Whose {
    let mut budget = MAX_NODES;
    let tree = success
        .schema
        .map(|schema| of_schema(document, schema, 0, &mut budget))
        .filter(|tree| !matches!(tree, Tree::Leaf(..)))
        .or_else(|| success.example.map(|e| of_example(e, 0, &mut budget)));
    let Some(tree) = tree else {
        return Whose::default();
    };
    let mut found = Whose::default();
    let tree = match tree {
        Tree::List(inner) => {
            found.list = true;
            *inner
        }
        tree => tree,
    };
    found.id = search(&tree, IDS, &[Leaf::Text, Leaf::Number, Leaf::Any])
        .into_iter()
        .next();
    let near = found
        .id
        .as_ref()
        .and_then(|id| id.split_last())
        .map(|(_, around)| around.to_vec());
    let mut labels = search(&tree, LABELS, &[Leaf::Text, Leaf::Any]);
    if let Some(near) = near {
        // A label stands beside the id: a plan's or a manager's name is somebody else's.
        labels.retain(|l| l.len() > near.len() && l.starts_with(&near));
    }
    labels.truncate(2);
    found.labels = labels;
    found.body = sample(&tree, success.example, &mut found);
    found
}

fn of_schema(document: &Document, schema: &Value, depth: usize, budget: &mut usize) -> Tree {
    let schema = document.follow(schema);
    *budget = budget.saturating_sub(1);
    if *budget == 0 || depth > MAX_DEPTH {
        return Tree::Leaf(Leaf::Other, None);
    }
    let mut properties: Vec<(String, &Value)> = Vec::new();
    collect(document, schema, 0, &mut properties);
    if !properties.is_empty() {
        let inner = properties
            .into_iter()
            .map(|(name, one)| (name, of_schema(document, one, depth + 1, budget)))
            .collect();
        return Tree::Object(inner);
    }
    if let Some(items) = schema.get("items") {
        return Tree::List(Box::new(of_schema(document, items, depth + 1, budget)));
    }
    let example = schema
        .get("example")
        .or_else(|| {
            schema
                .get("examples")
                .and_then(Value::as_array)
                .and_then(|all| all.first())
        })
        .cloned();
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|k| *k != "null")
            .collect(),
        _ => Vec::new(),
    };
    let leaf = match kinds.as_slice() {
        ["string"] => Leaf::Text,
        ["integer" | "number"] => Leaf::Number,
        [] if schema.get("oneOf").is_none() && schema.get("anyOf").is_none() => Leaf::Any,
        ["string" | "integer", "string" | "integer"] => Leaf::Any,
        _ => Leaf::Other,
    };
    Tree::Leaf(leaf, example)
}

/// Properties of a schema and of what it is composed of.
fn collect<'d>(
    document: &'d Document,
    schema: &'d Value,
    depth: usize,
    into: &mut Vec<(String, &'d Value)>,
) {
    if depth > 6 {
        return;
    }
    let schema = document.follow(schema);
    for (name, one) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if !into.iter().any(|(known, _)| known == name) {
            into.push((name.clone(), one));
        }
    }
    for one in schema
        .get("allOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        collect(document, one, depth + 1, into);
    }
    for key in ["oneOf", "anyOf"] {
        let first = schema
            .get(key)
            .and_then(Value::as_array)
            .and_then(|all| all.first());
        if let Some(first) = first {
            collect(document, first, depth + 1, into);
        }
    }
}

fn of_example(example: &Value, depth: usize, budget: &mut usize) -> Tree {
    *budget = budget.saturating_sub(1);
    if *budget == 0 || depth > MAX_DEPTH {
        return Tree::Leaf(Leaf::Other, None);
    }
    match example {
        Value::Object(map) => Tree::Object(
            map.iter()
                .map(|(name, one)| (name.clone(), of_example(one, depth + 1, budget)))
                .collect(),
        ),
        Value::Array(items) => items
            .first()
            .map_or(Tree::Leaf(Leaf::Other, None), |first| {
                Tree::List(Box::new(of_example(first, depth + 1, budget)))
            }),
        Value::String(_) => Tree::Leaf(Leaf::Text, Some(example.clone())),
        Value::Number(_) => Tree::Leaf(Leaf::Number, Some(example.clone())),
        _ => Tree::Leaf(Leaf::Other, None),
    }
}

/// Paths to leaves of the wanted names: nearer ones first, then by the order of names.
fn search(tree: &Tree, names: &[&str], leaves: &[Leaf]) -> Vec<Vec<String>> {
    let mut found: Vec<(usize, usize, Vec<String>)> = Vec::new();
    let mut level: Vec<(Vec<String>, &Tree)> = vec![(Vec::new(), tree)];
    for depth in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for (around, tree) in level {
            let Tree::Object(properties) = tree else {
                continue;
            };
            for (name, inner) in properties {
                let path = [around.as_slice(), std::slice::from_ref(name)].concat();
                match inner {
                    Tree::Leaf(leaf, _) if leaves.contains(leaf) => {
                        if let Some(rank) = names.iter().position(|n| n == name) {
                            found.push((depth, rank, path));
                        }
                    }
                    Tree::Object(_) if WRAPPERS.contains(&name.as_str()) && is_name(name) => {
                        next.push((path, inner))
                    }
                    _ => {}
                }
            }
        }
        level = next;
    }
    found.retain(|(_, _, path)| path.iter().all(|n| is_name(n)));
    found.sort();
    found.into_iter().map(|(_, _, path)| path).collect()
}

/// A name that an expression can use after a dot.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !RESERVED.contains(&name.to_ascii_lowercase().as_str())
}

/// A body that holds the id and the labels: the vendor's values where it gives some.
fn sample(tree: &Tree, example: Option<&Value>, found: &mut Whose) -> Value {
    let example = match example {
        Some(Value::Array(items)) => items.first(),
        other => other,
    };
    let mut body = json!({});
    let mut from_vendor = false;
    for path in found.id.iter().chain(&found.labels) {
        let given = example.and_then(|e| path.iter().try_fold(e, |at, name| at.get(name)));
        let (leaf, own) = leaf(tree, path);
        let number_only = leaf == Leaf::Number;
        let usable = |v: &&Value| match v {
            Value::String(text) => {
                let length = text.chars().count();
                (1..=80).contains(&length)
                    && text.trim() == text
                    && !text.chars().any(char::is_control)
                    && !number_only
            }
            Value::Number(n) => n.is_u64() && leaf != Leaf::Text,
            _ => false,
        };
        let value = given.filter(usable).or(own.filter(usable)).cloned();
        if found.id.as_ref() == Some(path) {
            from_vendor = value.is_some();
        }
        let value = value.unwrap_or_else(|| made_up(path, leaf));
        put(&mut body, path, value);
    }
    found.from_vendor = from_vendor;
    if found.list { json!([body]) } else { body }
}

fn leaf<'t>(tree: &'t Tree, path: &[String]) -> (Leaf, Option<&'t Value>) {
    let mut at = tree;
    for name in path {
        let Tree::Object(properties) = at else {
            return (Leaf::Other, None);
        };
        match properties.iter().find(|(n, _)| n == name) {
            Some((_, inner)) => at = inner,
            None => return (Leaf::Other, None),
        }
    }
    match at {
        Tree::Leaf(leaf, example) => (*leaf, example.as_ref()),
        _ => (Leaf::Other, None),
    }
}

fn made_up(path: &[String], leaf: Leaf) -> Value {
    let last = path
        .last()
        .map(|n| n.to_ascii_lowercase())
        .unwrap_or_default();
    match leaf {
        Leaf::Number => json!(1),
        _ if last.contains("email") => json!("ann@acme.example"),
        _ if last.contains("name") || last == "login" || last == "title" => json!("Ann"),
        _ => json!("1"),
    }
}

/// Puts a value at a path of names, making what is around it.
pub fn put(body: &mut Value, path: &[String], value: Value) {
    let Some((last, around)) = path.split_last() else {
        return;
    };
    let mut at = body;
    for name in around {
        let Value::Object(map) = at else { return };
        at = map
            .entry(name.clone())
            .or_insert_with(|| Value::Object(Map::new()));
    }
    if let Value::Object(map) = at {
        map.insert(last.clone(), value);
    }
}
