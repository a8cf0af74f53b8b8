//! The vendor's document as a tree, read the same way whichever of its three dialects it is written in.
//!
//! Only references within the document are followed, a fixed number of times: a document that refers to itself ends.

use serde_json::{Map, Value};

/// Most references in a row.
const MAX_HOPS: usize = 16;

/// A vendor's document.
pub struct Document {
    root: Value,
    /// Whether it is Swagger 2.0.
    pub swagger2: bool,
}

/// Why a file is not such a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpenApi {
    /// It is neither JSON nor YAML.
    #[error("this is neither JSON nor YAML: {0}")]
    Unreadable(String),
    /// It does not say that it is one.
    #[error(
        "this is not an OpenAPI document: it has neither `openapi: 3.x` nor `swagger: \"2.0\"` at its top"
    )]
    Unknown,
    /// It is of a version that is not read.
    #[error("OpenAPI {0} is not read; give a document of version 2.0, 3.0 or 3.1")]
    Version(String),
}

/// One operation.
#[derive(Clone, Copy)]
pub struct Operation<'d> {
    /// Its path, with holes.
    pub path: &'d str,
    /// Its method, lower case.
    pub method: &'d str,
    /// What all methods of the path share.
    pub item: &'d Value,
    /// The operation itself.
    pub own: &'d Value,
}

/// One parameter of an operation.
pub struct Parameter<'d> {
    /// Its name.
    pub name: &'d str,
    /// `path`, `query`, `header`, `cookie`, `body` or `formData`.
    pub place: &'d str,
    /// Whether it must be there.
    pub required: bool,
    /// The one value that it has, or its default.
    pub constant: Option<String>,
    /// Whether its description says that the word `me` stands for the caller.
    pub says_me: bool,
}

impl Document {
    /// Reads JSON or YAML.
    ///
    /// # Errors
    /// When it is neither, or no OpenAPI document of a version that is known.
    pub fn read(text: &str) -> Result<Self, NotOpenApi> {
        let text = text.trim_start_matches('\u{feff}');
        let root: Value = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).or_else(|e| {
                serde_yaml::from_str(text).map_err(|_| NotOpenApi::Unreadable(e.to_string()))
            })?
        } else {
            serde_yaml::from_str(text).map_err(|e| NotOpenApi::Unreadable(e.to_string()))?
        };
        let version = |key: &str| match root.get(key) {
            Some(Value::String(v)) => Some(v.clone()),
            Some(Value::Number(v)) => Some(v.to_string()),
            _ => None,
        };
        let swagger2 = match (version("openapi"), version("swagger")) {
            (Some(v), _) if v.starts_with("3.") => false,
            (Some(v), _) => return Err(NotOpenApi::Version(v)),
            (None, Some(v)) if v.starts_with('2') => true,
            (None, Some(v)) => return Err(NotOpenApi::Version(v)),
            (None, None) => return Err(NotOpenApi::Unknown),
        };
        Ok(Self { root, swagger2 })
    }

    /// What is at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.root.pointer(pointer)
    }

    /// Text at a JSON pointer, unless it is empty.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?
            .as_str()
            .map(str::trim)
            .filter(|t| !t.is_empty())
    }

    /// What a node is, its references followed.
    pub fn follow<'d>(&'d self, mut node: &'d Value) -> &'d Value {
        for _ in 0..MAX_HOPS {
            let Some(target) = node.get("$ref").and_then(Value::as_str) else {
                return node;
            };
            let Some(found) = target
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(&decoded(pointer)))
            else {
                return &Value::Null;
            };
            node = found;
        }
        &Value::Null
    }

    /// The declared security schemes, by name.
    pub fn schemes(&self) -> Vec<(&str, &Value)> {
        let pointer = if self.swagger2 {
            "/securityDefinitions"
        } else {
            "/components/securitySchemes"
        };
        self.at(pointer)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, scheme)| (name.as_str(), self.follow(scheme)))
            .collect()
    }

    /// Every operation, in the document's order.
    pub fn operations(&self) -> Vec<Operation<'_>> {
        const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];
        let paths = self.at("/paths").and_then(Value::as_object);
        let mut all = Vec::new();
        for (path, item) in paths.into_iter().flatten() {
            let item = self.follow(item);
            for (method, own) in item.as_object().into_iter().flatten() {
                if METHODS.contains(&method.as_str()) && own.is_object() {
                    all.push(Operation {
                        path,
                        method,
                        item,
                        own,
                    });
                }
            }
        }
        all
    }

    /// The parameters of an operation, its path's included.
    pub fn parameters<'d>(&'d self, operation: Operation<'d>) -> Vec<Parameter<'d>> {
        let mut all: Vec<Parameter<'d>> = Vec::new();
        for list in [
            operation.own.get("parameters"),
            operation.item.get("parameters"),
        ] {
            for one in list.and_then(Value::as_array).into_iter().flatten() {
                let Some(parameter) = self.parameter(self.follow(one)) else {
                    continue;
                };
                // The operation's own come first and win.
                if !all
                    .iter()
                    .any(|p| p.name == parameter.name && p.place == parameter.place)
                {
                    all.push(parameter);
                }
            }
        }
        all
    }

    fn parameter<'d>(&'d self, node: &'d Value) -> Option<Parameter<'d>> {
        let text = |key: &str| node.get(key).and_then(Value::as_str);
        let schema = node.get("schema").map_or(node, |s| self.follow(s));
        Some(Parameter {
            name: text("name")?,
            place: text("in")?,
            required: node.get("required") == Some(&Value::Bool(true)),
            constant: constant(schema),
            says_me: text("description").is_some_and(|said| {
                ["\"me\"", "'me'", "`me`", "“me”", "*me*"]
                    .iter()
                    .any(|me| said.contains(me))
            }),
        })
    }

    /// The requirements of an operation: its own, or the document's. `None` if neither says anything.
    pub fn security<'d>(&'d self, operation: Operation<'d>) -> Option<&'d Vec<Value>> {
        operation
            .own
            .get("security")
            .or_else(|| self.at("/security"))
            .and_then(Value::as_array)
    }

    /// The JSON success of an operation: its status, its schema and its example.
    pub fn success<'d>(&'d self, operation: Operation<'d>) -> Option<Success<'d>> {
        let responses = operation.own.get("responses")?.as_object()?;
        let (status, response) = responses
            .iter()
            .find(|(code, _)| *code == "200")
            .or_else(|| responses.iter().find(|(code, _)| code.starts_with('2')))
            .or_else(|| responses.iter().find(|(code, _)| *code == "default"))?;
        let status = status.parse().unwrap_or(200);
        let response = self.follow(response);
        if self.swagger2 {
            let example = response
                .get("examples")
                .and_then(Value::as_object)
                .and_then(|all| all.iter().find(|(kind, _)| is_json(kind)))
                .map(|(_, example)| example);
            let schema = response.get("schema");
            let json = self.produces_json(operation);
            return Some(Success {
                status,
                schema,
                example,
                json,
            });
        }
        let content = response.get("content").and_then(Value::as_object);
        let media = content.and_then(|c| c.iter().find(|(kind, _)| is_json(kind)));
        let Some((_, media)) = media else {
            let json = content.is_none_or(Map::is_empty);
            return Some(Success {
                status,
                schema: None,
                example: None,
                json,
            });
        };
        let example = media.get("example").or_else(|| {
            let first = media.get("examples")?.as_object()?.values().next()?;
            self.follow(first).get("value")
        });
        Some(Success {
            status,
            schema: media.get("schema"),
            example,
            json: true,
        })
    }

    fn produces_json(&self, operation: Operation<'_>) -> bool {
        operation
            .own
            .get("produces")
            .or_else(|| self.at("/produces"))
            .and_then(Value::as_array)
            .is_none_or(|all| all.is_empty() || all.iter().filter_map(Value::as_str).any(is_json))
    }
}

/// The success of an operation.
pub struct Success<'d> {
    /// Its status.
    pub status: u16,
    /// The schema of its body.
    pub schema: Option<&'d Value>,
    /// An example of its body.
    pub example: Option<&'d Value>,
    /// Whether the body is JSON, or not said to be something else.
    pub json: bool,
}

fn is_json(kind: impl AsRef<str>) -> bool {
    let kind = kind.as_ref().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.ends_with("/json") || kind.ends_with("+json") || kind == "*/*"
}

/// The one value of a schema: `const`, an enumeration of one, or its default.
fn constant(schema: &Value) -> Option<String> {
    let one = schema
        .get("const")
        .or_else(|| {
            match schema
                .get("enum")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
            {
                Some([one]) => Some(one),
                _ => None,
            }
        })
        .or_else(|| schema.get("default"))?;
    match one {
        Value::String(text) => Some(text.clone()).filter(|t| !t.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A reference's fragment as a JSON pointer: percent escapes undone (RFC 6901, 6).
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match (first, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
