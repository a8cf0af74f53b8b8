//! The shapes of values that are not read by a derived reader: texts with a grammar of their own, and values with a short
//! and a long form.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::hosts::HostPattern;
use crate::model::{Choice, Condition, HostEntry, JsonTemplate, Logout, Revoke, StatusSet, Test};
use crate::path::JsonPath;
use crate::pattern::Pattern;
use crate::template::Template;

/// One item, or a list of them.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "stands for how a list may be written; no value of it is made"
)]
pub(crate) enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

/// Gives a type a schema under its own name.
macro_rules! shape {
    ($type:ty, $name:literal, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

shape!(Template, "Template", |_g| json_schema!({
    "type": ["string", "number", "boolean"],
    "description": "Text with `{{ … }}` holes: names like `fields.subdomain` and filters like `| base64`. What is put into a hole is escaped for where it lands.",
}));

shape!(JsonPath, "JsonPath", |_g| json_schema!({
    "type": "string",
    "pattern": "^\\$",
    "description": "JSONPath (RFC 9535) into an answer: `$.user.id`.",
}));

shape!(Pattern, "Pattern", |_g| json_schema!({
    "type": "string",
    "description": "A regular expression without look-around. It has to match the whole value.",
}));

shape!(HostPattern, "HostPattern", |_g| json_schema!({
    "type": "string",
    "description": "`host`, `*.suffix`, or either with a port.",
}));

shape!(StatusSet, "StatusSet", |_g| json_schema!({
    "description": "An HTTP status like 200, a class like `2xx`, or a list of them.",
    "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 },
        { "type": "string", "pattern": "^[1-5]xx$" },
        { "type": "array", "minItems": 1, "items": { "anyOf": [
            { "type": "integer", "minimum": 100, "maximum": 599 },
            { "type": "string", "pattern": "^[1-5]xx$" },
        ] } },
    ],
}));

shape!(Condition, "Condition", |g| {
    let path = g.subschema_for::<JsonPath>();
    let pattern = g.subschema_for::<Pattern>();
    json_schema!({
        "description": "Something that an answer says: a path alone (it selects something that is neither null, false nor empty), or `{path | header, equals | matches | exists}`.",
        "anyOf": [
            path,
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "path": path,
                    "header": { "type": "string", "description": "The header that is looked at, instead of a path." },
                    "equals": { "description": "The value is equal to this one." },
                    "matches": pattern,
                    "exists": { "type": "boolean", "description": "Something is selected, or nothing is." },
                },
            },
        ],
    })
});

shape!(Choice, "Choice", |_g| json_schema!({
    "description": "One of the values that a field can have: the value alone, or `{value, label}`.",
    "anyOf": [
        { "type": "string" },
        {
            "type": "object",
            "additionalProperties": false,
            "required": ["value", "label"],
            "properties": {
                "value": { "type": "string", "description": "What is stored." },
                "label": { "type": "string", "description": "What is shown." },
            },
        },
    ],
}));

shape!(HostEntry, "HostEntry", |g| {
    let host = g.subschema_for::<Template>();
    let credential = g.subschema_for::<crate::model::CredentialRef>();
    json_schema!({
        "description": "A host that requests may go to: the host alone, or `{host, credential}`.",
        "anyOf": [
            host,
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["host"],
                "properties": { "host": host, "credential": credential },
            },
        ],
    })
});

shape!(JsonTemplate, "JsonTemplate", |_g| json_schema!({
    "description": "A JSON tree whose texts are templates. A lone expression keeps its value's type; one without a value leaves its key out.",
}));

/// The forms of a value, of which one is a section with `{none: reason}`.
fn none_because() -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "required": ["none"],
        "properties": { "none": { "type": "string", "minLength": 10, "description": "Why there is none." } },
    })
}

shape!(Test, "Test", |g| {
    let call = g.subschema_for::<crate::model::TestCall>();
    json_schema!({
        "description": "How a connection is tested: the call itself, `{any_of: […]}`, `{code: true}` or `{none: reason}`.",
        "anyOf": [
            call,
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["any_of"],
                "properties": { "any_of": {
                    "type": "array",
                    "minItems": 1,
                    "items": call,
                    "description": "Calls of which the first that passes decides.",
                } },
            },
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["code"],
                "properties": { "code": { "const": true, "description": "The app's own component tests the connection." } },
            },
            none_because(),
        ],
    })
});

shape!(Logout, "Logout", |g| {
    let request = g.subschema_for::<crate::model::RequestSpec>();
    json_schema!({
        "description": "How a session is ended: a request with the session's credential, or `{none: reason}`.",
        "anyOf": [request, none_because()],
    })
});

shape!(Revoke, "Revoke", |g| {
    let url = g.subschema_for::<Template>();
    let request = g.subschema_for::<crate::model::RequestSpec>();
    json_schema!({
        "description": "How a grant is ended at the app: `{url}` (RFC 7009), a request with the connection's credential, or `{none: reason}`.",
        "anyOf": [
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["url"],
                "properties": { "url": url },
            },
            request,
            none_because(),
        ],
    })
});
