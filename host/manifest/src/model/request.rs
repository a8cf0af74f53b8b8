//! A request as a manifest writes it, and the plain request that it becomes.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::is_default;
use crate::message::{Decode, PlainRequest};
use crate::scope::Scope;
use crate::template::{RenderError, Slot, Template, TemplateError, percent};

/// HTTP methods that manifests may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET.
    #[default]
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// The method's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the method only reads (RFC 9110, 9.2.1).
    #[must_use]
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// A request: used by test calls, actions, triggers and revocation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// GET if not said.
    #[serde(default)]
    pub method: Method,
    /// Path under the base URL (starts with `/`), or an absolute URL within `api.hosts`.
    pub path: Template,
    /// Query parameters; a lone expression without a value leaves its parameter out, a list repeats it.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub query: IndexMap<String, Template>,
    /// Headers; a lone expression without a value leaves its header out.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, Template>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
    /// Says of a POST that it only reads, so that test calls and read actions may use it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub safe: bool,
    /// How the answer is written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub decode: Decode,
}

/// A body: `{json: tree}`, `{form: {name: template}}`, `{xml: template}` or `{text: template}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BodySpec {
    /// A tree whose texts are templates.
    Json(JsonTemplate),
    /// Form parameters.
    Form(IndexMap<String, Template>),
    /// XML: what its values hold is escaped, so that none of them can add an element.
    Xml(Template),
    /// Text.
    Text(Template),
}

/// A JSON tree whose texts are templates. A lone expression keeps its value's type, and one without a value leaves its
/// key out.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonTemplate {
    /// A text.
    Text(Template),
    /// A number, a boolean or null, sent as written.
    Plain(Value),
    /// A list.
    List(Vec<JsonTemplate>),
    /// An object.
    Object(IndexMap<String, JsonTemplate>),
}

impl JsonTemplate {
    fn from_json(value: Value) -> Result<Self, TemplateError> {
        Ok(match value {
            Value::String(s) => Self::Text(Template::parse(&s)?),
            Value::Array(items) => Self::List(
                items
                    .into_iter()
                    .map(Self::from_json)
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(map) => Self::Object(
                map.into_iter()
                    .map(|(k, v)| Ok((k, Self::from_json(v)?)))
                    .collect::<Result<_, _>>()?,
            ),
            plain => Self::Plain(plain),
        })
    }

    /// Every template in the tree.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(t) => vec![t],
            Self::Plain(_) => Vec::new(),
            Self::List(items) => items.iter().flat_map(Self::templates).collect(),
            Self::Object(map) => map.values().flat_map(Self::templates).collect(),
        }
    }

    /// Renders the tree; `None` where it is one expression without a value.
    ///
    /// # Errors
    /// A missing value that may not be left out, or a failed filter.
    pub fn render(&self, scope: &Scope) -> Result<Option<Value>, RenderError> {
        Ok(Some(match self {
            Self::Text(t) => return t.value_optional(scope),
            Self::Plain(v) => v.clone(),
            Self::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    out.extend(item.render(scope)?);
                }
                Value::Array(out)
            }
            Self::Object(map) => {
                let mut out = serde_json::Map::new();
                for (key, item) in map {
                    if let Some(value) = item.render(scope)? {
                        out.insert(key.clone(), value);
                    }
                }
                Value::Object(out)
            }
        }))
    }
}

impl Serialize for JsonTemplate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(t) => t.serialize(s),
            Self::Plain(v) => v.serialize(s),
            Self::List(items) => items.serialize(s),
            Self::Object(map) => map.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for JsonTemplate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(d)?).map_err(de::Error::custom)
    }
}

impl RequestSpec {
    /// Every template of the request, with its key: `path`, `query.page`, `headers.accept`, `body`.
    #[must_use]
    pub fn templates(&self) -> Vec<(String, &Template)> {
        let mut all = vec![("path".to_owned(), &self.path)];
        all.extend(self.query.iter().map(|(k, t)| (format!("query.{k}"), t)));
        all.extend(
            self.headers
                .iter()
                .map(|(k, t)| (format!("headers.{k}"), t)),
        );
        match &self.body {
            Some(BodySpec::Json(tree)) => all.extend(
                tree.templates()
                    .into_iter()
                    .map(|t| ("body.json".to_owned(), t)),
            ),
            Some(BodySpec::Form(map)) => {
                all.extend(map.iter().map(|(k, t)| (format!("body.form.{k}"), t)))
            }
            Some(BodySpec::Xml(t)) => all.push(("body.xml".to_owned(), t)),
            Some(BodySpec::Text(t)) => all.push(("body.text".to_owned(), t)),
            None => {}
        }
        all
    }

    /// Renders the request.
    ///
    /// # Errors
    /// A missing value, or one that its slot refuses.
    pub fn build(&self, scope: &Scope) -> Result<PlainRequest, RenderError> {
        let mut url = self.path.render(scope, Slot::PathSegment)?;
        for (name, template) in &self.query {
            for value in self.many(template, scope)? {
                url.push(if url.contains('?') { '&' } else { '?' });
                percent(name, &mut url);
                url.push('=');
                url.push_str(&value);
            }
        }
        let mut headers = Vec::new();
        for (name, template) in &self.headers {
            if let Some(value) = template.render_optional(scope, Slot::Header)? {
                headers.push((name.clone(), value));
            }
        }
        let (body, content_type) = match &self.body {
            None => (None, None),
            Some(BodySpec::Json(tree)) => {
                let value = tree.render(scope)?.unwrap_or(Value::Null);
                (
                    Some(value.to_string().into_bytes()),
                    Some("application/json"),
                )
            }
            Some(BodySpec::Form(map)) => {
                let mut text = String::new();
                for (name, template) in map {
                    if let Some(value) = template.render_optional(scope, Slot::Form)? {
                        if !text.is_empty() {
                            text.push('&');
                        }
                        text.extend(url::form_urlencoded::byte_serialize(name.as_bytes()));
                        text.push('=');
                        text.push_str(&value);
                    }
                }
                (
                    Some(text.into_bytes()),
                    Some("application/x-www-form-urlencoded"),
                )
            }
            Some(BodySpec::Xml(template)) => (
                Some(template.render(scope, Slot::Xml)?.into_bytes()),
                Some("application/xml"),
            ),
            Some(BodySpec::Text(template)) => (
                Some(template.render(scope, Slot::Raw)?.into_bytes()),
                Some("text/plain; charset=utf-8"),
            ),
        };
        if let Some(content_type) = content_type
            && !headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type".to_owned(), content_type.to_owned()));
        }
        Ok(PlainRequest {
            method: self.method.as_str().to_owned(),
            url,
            headers,
            body,
        })
    }

    /// The values of one query parameter: none, one, or the items of a list.
    fn many(&self, template: &Template, scope: &Scope) -> Result<Vec<String>, RenderError> {
        if template.lone_expression().is_some()
            && let Some(Value::Array(items)) = template.value_optional(scope)?
        {
            return items
                .iter()
                .map(|item| {
                    let text = match item {
                        Value::String(s) => s.clone(),
                        Value::Number(n) => n.to_string(),
                        Value::Bool(b) => b.to_string(),
                        _ => return Err(RenderError::NotText(template.source().to_owned())),
                    };
                    let mut out = String::new();
                    percent(&text, &mut out);
                    Ok(out)
                })
                .collect();
        }
        Ok(template
            .render_optional(scope, Slot::Query)?
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(value: Value) -> RequestSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_request_is_rendered_with_each_value_escaped_for_its_place() {
        let scope = Scope::new().with(
            "input",
            json!({"id": "a/b", "q": "x&y z", "tags": ["p q", 2], "title": "T \"1\"", "n": 3}),
        );
        let request = spec(json!({"method": "POST", "path": "/notes/{{ input.id }}",
            "query": {"q": "{{ input.q }}", "tag": "{{ input.tags }}", "gone": "{{ input.gone }}", "limit": 10},
            "headers": {"X-Title": "t-{{ input.n }}"},
            "body": {"json": {"title": "{{ input.title }}", "n": "{{ input.n }}", "opt": "{{ input.opt }}", "on": true}}}))
            .build(&scope).unwrap();
        assert_eq!(request.method, "POST");
        assert_eq!(
            request.url,
            "/notes/a%2Fb?q=x%26y%20z&tag=p%20q&tag=2&limit=10"
        );
        assert_eq!(
            request.headers,
            [
                ("X-Title".to_owned(), "t-3".to_owned()),
                ("content-type".to_owned(), "application/json".to_owned())
            ]
        );
        assert_eq!(
            serde_json::from_slice::<Value>(&request.body.unwrap()).unwrap(),
            json!({"title": "T \"1\"", "n": 3, "on": true})
        );
    }

    #[test]
    fn a_form_body_leaves_out_what_has_no_value() {
        let scope = Scope::new().with("input", json!({"a": "1 2"}));
        let request = spec(json!({"method": "POST", "path": "/x", "body": {"form": {"a": "{{ input.a }}", "b": "{{ input.b }}"}}}))
            .build(&scope).unwrap();
        assert_eq!(request.body.unwrap(), b"a=1+2");
    }

    #[test]
    fn a_missing_field_fails_instead_of_sending_a_blank() {
        let request = spec(json!({"path": "/x", "query": {"a": "{{ fields.a }}"}}));
        assert_eq!(
            request.build(&Scope::new()),
            Err(RenderError::Missing("fields.a".into()))
        );
    }

    #[test]
    fn a_header_value_cannot_add_a_line() {
        let scope = Scope::new().with("input", json!({"h": "a\r\nCookie: b"}));
        assert!(
            spec(json!({"path": "/x", "headers": {"X-A": "{{ input.h }}"}}))
                .build(&scope)
                .is_err()
        );
    }
}
