//! Keys, tokens and passwords: schemes that people paste something for.
//!
//! What a document says in prose decides between a bare key in `Authorization` and a bearer token; where it says nothing, that is
//! a blank, for a wrong word there looks to people like a wrong key.

use serde_json::Value;

use super::super::draft::{Field, Inject, Kind, Method, Said};
use super::super::text::{field_id, title};
use super::document::Document;
use super::security::Part;

/// A scheme of type `apiKey`.
pub fn api_key(document: &Document, scheme_name: &str, scheme: &Value, about: &str) -> Part {
    let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("name").trim();
    let lower = about.to_lowercase();
    match text("in") {
        "cookie" => {
            return Part::Left(format!(
                "The scheme `{scheme_name}` is a browser's cookie (`{name}`); Keyport sends no cookies. Look for another way to sign in."
            ));
        }
        "header" | "query" => {}
        _ => {
            return Part::Left(format!(
                "The scheme `{scheme_name}` does not say where its key goes."
            ));
        }
    }
    let query = text("in") == "query";
    let authorization = !query && name.eq_ignore_ascii_case("authorization");
    let signed = text("x-amazon-apigateway-authtype").eq_ignore_ascii_case("awssigv4");
    if authorization && signed {
        return match document.text("/info/x-serviceName") {
            Some(_) => Part::Method(Box::new(sigv4(document))),
            None => Part::Left(format!(
                "The scheme `{scheme_name}` signs requests (AWS Signature 4)."
            )),
        };
    }
    if !legal(name, query) {
        return Part::Left(format!(
            "The scheme `{scheme_name}` puts its key at `{name}`, which a manifest cannot fill in."
        ));
    }
    if authorization
        && (lower.contains("bearer") || lower.contains("jwt") || lower.contains("oauth"))
    {
        return Part::Method(Box::new(bearer(None)));
    }
    if authorization && lower.contains("basic ") {
        return Part::Method(Box::new(basic(about)));
    }
    let generic = authorization || name.len() < 3;
    let id = if generic {
        "api_key".to_owned()
    } else {
        key_id(name)
    };
    let label = if generic {
        "API key".to_owned()
    } else {
        key_label(name)
    };
    let field = Field::secret(&id, &label);
    let hole = format!("{{{{ credentials.{id} }}}}");
    let word = [
        ("token token=", "Token token="),
        ("token ", "Token "),
        ("apikey ", "ApiKey "),
        ("api-key ", "Api-Key "),
    ]
    .into_iter()
    .find(|(word, _)| authorization && lower.contains(&format!("`{word}")))
    .map_or("", |(_, word)| word);
    let (place, todo) = if authorization && word.is_empty() {
        let ask = "the key stands alone in the Authorization header: does the vendor want a word before it, such as `Token `?";
        (Said::known(name), Some(ask.to_owned()))
    } else {
        (Said::known(name), None)
    };
    Part::Place(
        Box::new(field),
        Inject {
            query,
            name: place,
            value: format!("{word}{hole}"),
        },
        todo,
    )
}

/// Whether a manifest may fill in a header or parameter of this name.
pub fn legal(name: &str, query: bool) -> bool {
    const TAKEN: &[&str] = &[
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "cookie",
        "set-cookie",
        "expect",
    ];
    let lower = name.to_ascii_lowercase();
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty()
        && name
            .bytes()
            .all(|b| token(b) || (query && matches!(b, b'[' | b']')))
        && (query
            || !(TAKEN.contains(&lower.as_str())
                || lower.starts_with("proxy-")
                || lower.starts_with("sec-")))
}

/// The id of a key's field: never a name that flows use themselves.
fn key_id(name: &str) -> String {
    let id = field_id(name).unwrap_or_else(|| "api_key".to_owned());
    let id = id.strip_prefix("x_").unwrap_or(&id).to_owned();
    match id.as_str() {
        "client_id" | "client_secret" | "access_token" | "refresh_token" | "redirect_uri"
        | "state" | "code" | "scope" => {
            format!("app_{id}")
        }
        _ => id,
    }
}

fn key_label(name: &str) -> String {
    match key_id(name).as_str() {
        "api_key" | "apikey" | "key" => "API key".to_owned(),
        "app_access_token" | "token" => "Access token".to_owned(),
        id => title(id),
    }
}

/// A bearer token.
pub fn bearer(todo: Option<String>) -> Method {
    Method {
        id: "token".to_owned(),
        label: "Access token".to_owned(),
        fields: vec![Field::secret("token", "Access token")],
        kind: Kind::Bearer,
        todo,
    }
}

/// HTTP Basic; for the many vendors whose "user name" is a key, with one field.
pub fn basic(about: &str) -> Method {
    let lower = about.to_lowercase();
    let key_as_name = (lower.contains("key") || lower.contains("token"))
        && (lower.contains("as the username")
            || lower.contains("as the user name")
            || lower.contains("as username")
            || lower.contains("username is your"))
        || lower.contains("password empty")
        || lower.contains("blank password")
        || lower.contains("empty password")
        || lower.contains("password blank");
    if key_as_name {
        return Method {
            id: "api_key".to_owned(),
            label: "API key".to_owned(),
            fields: vec![Field::secret("api_key", "API key")],
            kind: Kind::Basic("{{ credentials.api_key }}".to_owned(), String::new()),
            todo: None,
        };
    }
    Method {
        id: "basic".to_owned(),
        label: "User name and password".to_owned(),
        fields: vec![
            Field {
                id: "username".to_owned(),
                label: "User name".to_owned(),
                ..Field::default()
            },
            Field::secret("password", "Password"),
        ],
        kind: Kind::Basic(
            "{{ credentials.username }}".to_owned(),
            "{{ credentials.password }}".to_owned(),
        ),
        todo: None,
    }
}

/// A client certificate.
pub fn mtls() -> Method {
    let pem = |id: &str, label: &str, secret: bool| Field {
        secret,
        multiline: true,
        format: Some("pem"),
        ..Field::secret(id, label)
    };
    Method {
        id: "certificate".to_owned(),
        label: "Client certificate".to_owned(),
        fields: vec![
            pem("certificate", "Certificate", false),
            pem("private_key", "Private key", true),
        ],
        kind: Kind::Mtls,
        todo: None,
    }
}

fn sigv4(document: &Document) -> Method {
    let service = match document.text("/info/x-serviceName") {
        Some(name) => Said::blank(name, "the name of the service that signatures are made for"),
        None => Said::blank(
            "TODO",
            "the name of the service that signatures are made for",
        ),
    };
    Method {
        id: "access_key".to_owned(),
        label: "Access key".to_owned(),
        fields: vec![
            Field {
                id: "access_key".to_owned(),
                label: "Access key ID".to_owned(),
                secret: true,
                ..Field::default()
            },
            Field::secret("secret_key", "Secret access key"),
        ],
        kind: Kind::AwsSigv4(service),
        todo: None,
    }
}

/// Headers and parameters that look like a key, where no scheme is declared but most operations need them.
pub fn undeclared(document: &Document) -> Option<Method> {
    let operations = document.operations();
    let mut counted: Vec<(usize, &str, bool)> = Vec::new();
    for operation in &operations {
        for p in document
            .parameters(*operation)
            .iter()
            .filter(|p| p.required && matches!(p.place, "header" | "query"))
        {
            let lower = p.name.to_ascii_lowercase().replace(['-', '_'], "");
            if ![
                "apikey",
                "xapikey",
                "authorization",
                "accesstoken",
                "xauthtoken",
                "token",
            ]
            .contains(&lower.as_str())
            {
                continue;
            }
            let query = p.place == "query";
            match counted
                .iter_mut()
                .find(|(_, name, q)| *name == p.name && *q == query)
            {
                Some((count, ..)) => *count += 1,
                None => counted.push((1, p.name, query)),
            }
        }
    }
    let (count, name, query) = counted.into_iter().max_by_key(|(count, ..)| *count)?;
    if count * 2 < operations.len() || !legal(name, query) {
        return None;
    }
    if name.eq_ignore_ascii_case("authorization") {
        return Some(bearer(Some(
            "the document only names the Authorization header: is it a bearer token?".to_owned(),
        )));
    }
    let id = key_id(name);
    let field = Field::secret(&id, &key_label(name));
    Some(Method {
        id: "api_key".to_owned(),
        label: field.label.clone(),
        kind: Kind::ApiKey(vec![Inject {
            query,
            name: Said::known(name),
            value: format!("{{{{ credentials.{id} }}}}"),
        }]),
        fields: vec![field],
        todo: None,
    })
}

/// Whether a manifest may fill in a header of this name.
pub fn is_header(name: &str) -> bool {
    legal(name, false)
}

/// Whether a header is one that credentials travel in.
pub fn looks_like_key(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["key", "token", "secret", "signature", "password", "session"]
        .iter()
        .any(|w| lower.contains(w))
}
