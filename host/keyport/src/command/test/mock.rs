//! The stand-in of the vendor: a server on loopback for each origin that the plays may reach. It answers what a fixture says, in
//! its order, or what fits the vendor's document, or what the vendor answers to a connection of a running host, and keeps what it
//! received.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::Response;
use keyport_manifest::{Manifest, PlainResponse, Scope};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::openapi::Vendor;
use super::play::{Expected, Play};
use super::relay::Relay;
use crate::command::Failure;

/// The largest request that is looked at.
const MAX_REQUEST: usize = 16 << 20;
/// What answers where nothing fits: no vendor uses it, so no fixture means it.
const NOTHING: StatusCode = StatusCode::NOT_IMPLEMENTED;

/// What arrived, with everything that the host attached.
pub struct Received {
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Where answers come from.
pub enum Answers {
    /// The fixtures, one after the other.
    Scripted,
    /// The vendor's document.
    Document(Vendor),
    /// The vendor, to a connection of a running host.
    Connection(Box<Relay>),
}

struct Stand {
    answers: Answers,
    script: Mutex<VecDeque<PlainResponse>>,
    received: Mutex<Vec<Received>>,
    remarks: Mutex<Vec<String>>,
}

/// See the module. The servers end with the process.
pub struct Mock {
    /// Each origin and where it stands.
    pub origins: Vec<(String, String)>,
    stand: Arc<Stand>,
}

impl Mock {
    /// Starts a server for each origin of the plays' connections.
    pub async fn start(
        manifest: &Manifest,
        plays: &[Play],
        mut answers: Answers,
    ) -> Result<Self, Failure> {
        let (bases, mut all) = origins_of(manifest, plays)?;
        if let (Answers::Connection(relay), Some(base)) = (&mut answers, bases.first()) {
            relay.stands_at(base);
            // A connection reaches nothing else.
            all = vec![base.origin().ascii_serialization()];
        }
        let stand = Arc::new(Stand {
            answers,
            script: Mutex::default(),
            received: Mutex::default(),
            remarks: Mutex::default(),
        });
        let mut origins: Vec<(String, String)> = Vec::new();
        for from in all {
            let failed = |source| Failure::Listen {
                address: "127.0.0.1".to_owned(),
                source,
            };
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            let router = Router::new()
                .fallback(answer)
                .with_state(Arc::clone(&stand));
            tokio::spawn(axum::serve(listener, router).into_future());
            origins.push((from, format!("http://127.0.0.1:{port}")));
        }
        Ok(Self { origins, stand })
    }

    /// Whether answers are the vendor's own.
    pub fn reaches_vendor(&self) -> bool {
        matches!(self.stand.answers, Answers::Connection(_))
    }

    /// What is answered from now on.
    pub fn expect(&self, script: &[Expected]) {
        *lock(&self.stand.script) = script.iter().map(|it| it.answer.clone()).collect();
    }

    /// What came since, and what is to be said of it.
    pub fn took(&self) -> (Vec<Received>, Vec<String>) {
        (
            std::mem::take(&mut *lock(&self.stand.received)),
            std::mem::take(&mut *lock(&self.stand.remarks)),
        )
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(stand): State<Arc<Stand>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_REQUEST)
        .await
        .unwrap_or_default()
        .to_vec();
    let target = parts
        .uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    let method = parts.method.as_str().to_owned();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let answer = match &stand.answers {
        Answers::Document(vendor) => vendor
            .answer(&method, &target)
            .map_err(|why| format!("the document has {why}")),
        Answers::Connection(relay) => relay.answer(&method, &target, &headers, body.clone()).await,
        Answers::Scripted => lock(&stand.script).pop_front().ok_or_else(|| {
            "it sends one request more than the fixture has; add its exchange under `then`"
                .to_owned()
        }),
    };
    lock(&stand.received).push(Received {
        target,
        headers,
        body,
    });
    answer
        .and_then(|answer| sendable(&answer))
        .unwrap_or_else(|why| {
            lock(&stand.remarks).push(why);
            let mut nothing = Response::default();
            *nothing.status_mut() = NOTHING;
            nothing
        })
}

/// The answer as HTTP has it, or why it has none.
fn sendable(answer: &PlainResponse) -> Result<Response, String> {
    let status = StatusCode::from_u16(answer.status)
        .ok()
        // What is before the answer is the server's own business.
        .filter(|status| !status.is_informational())
        .ok_or_else(|| {
            format!(
                "the fixture answers with the status {}, which is none; write one from 200 to 999",
                answer.status
            )
        })?;
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        let header = HeaderName::try_from(name).ok();
        let header = header.zip(HeaderValue::try_from(value).ok());
        let (name, value) = header.ok_or_else(|| {
            format!("the fixture answers with the header `{name}: {value}`, which cannot be sent")
        })?;
        headers.append(name, value);
    }
    if !headers.contains_key(CONTENT_TYPE) && !answer.body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(response)
}

/// The base URLs of the plays' connections, and all origins that these may reach, as far as they are written out.
fn origins_of(manifest: &Manifest, plays: &[Play]) -> Result<(Vec<Url>, Vec<String>), Failure> {
    let mut bases = Vec::new();
    let mut all: Vec<String> = Vec::new();
    for play in plays {
        let scope = Scope::new()
            .with("fields", object(&play.trial.fields))
            .with("credentials", object(&play.trial.credentials))
            .with("capture", object(&play.trial.capture));
        let scope = manifest.with_variant(&scope);
        let api = manifest
            .resolve_for(&play.trial.method, &scope)
            .map_err(|error| Failure::Said(format!("{}: {error}", play.name)))?;
        all.push(api.base_url.origin().ascii_serialization());
        all.extend(
            api.hosts
                .iter()
                .map(|host| host.to_string())
                .filter(|host| !host.contains('*'))
                .map(|host| format!("https://{host}"))
                .filter_map(|text| url::Url::parse(&text).ok())
                .map(|url| url.origin().ascii_serialization()),
        );
        bases.push(api.base_url);
    }
    all.sort();
    all.dedup();
    Ok((bases, all))
}

fn object<'v>(values: impl IntoIterator<Item = (&'v String, &'v String)>) -> Value {
    let all = values.into_iter();
    Value::Object(
        all.map(|(id, value)| (id.clone(), json!(value)))
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fixture_of_no_status_or_no_header_is_told_and_answered_501() {
        let with = |status: u16, headers: &[(&str, &str)]| PlainResponse {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..PlainResponse::default()
        };
        for (answer, expected) in [
            (with(1000, &[]), "the status 1000"),
            (with(0, &[]), "the status 0"),
            (with(101, &[]), "the status 101"),
            (with(200, &[("a b", "c")]), "`a b: c`"),
            (with(200, &[("a", "b\nc")]), "cannot be sent"),
        ] {
            let stand = Arc::new(Stand {
                answers: Answers::Scripted,
                script: Mutex::new([answer].into()),
                received: Mutex::default(),
                remarks: Mutex::default(),
            });
            let given = super::answer(State(Arc::clone(&stand)), Request::default()).await;
            assert_eq!(given.status(), NOTHING, "{expected}");
            let remarks = lock(&stand.remarks);
            assert!(
                remarks.len() == 1 && remarks[0].contains(expected),
                "{remarks:?}"
            );
        }
        let same = sendable(&with(999, &[("set-cookie", "a"), ("set-cookie", "b")])).unwrap();
        assert_eq!(same.status().as_u16(), 999);
        assert_eq!(same.headers().get_all("set-cookie").iter().count(), 2);
    }
}
