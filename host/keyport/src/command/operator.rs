//! How commands reach the vault: the host that has the store, by its socket; or, when none runs, the store itself.
//!
//! Either way the same routes answer (`keyport_server::control`), so a command is written once. Opening the store here loads no app.

use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use futures_util::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use keyport_connect::Engine;
use keyport_server::ServerState;
use keyport_server::control::{self, SOCKET};
use keyport_vault::StoreError;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Failure, HostArguments};
use crate::config::Config;
use crate::progress::Progress;
use crate::wiring::{self, WiringError};

/// An answer of JSON is at most this long.
const JSON_MAX: usize = 64 << 20;
/// How often long work is looked at.
const LOOK: std::time::Duration = std::time::Duration::from_millis(150);

/// The way to the vault.
pub enum Door {
    /// A host runs, and this is its socket.
    #[cfg(unix)]
    Socket(PathBuf),
    /// The store was opened here.
    Here(Router),
}

impl Door {
    /// Opens the way.
    pub async fn open(host: &HostArguments) -> Result<(Self, Config), Failure> {
        let config = host.read(super::key::stand_ins(host))?;
        let socket = config.data.join(SOCKET);
        // A host that runs has the keys already: nothing of them is needed here.
        #[cfg(unix)]
        if tokio::net::UnixStream::connect(&socket).await.is_ok() {
            return Ok((Self::Socket(socket), config));
        }
        let engine = match wiring::operator(&config).await {
            Ok(engine) => engine,
            #[cfg(unix)]
            Err(WiringError::Store(StoreError::Locked(_))) if socket.exists() => {
                return Ok((Self::Socket(socket), config));
            }
            Err(error) => return Err(error.into()),
        };
        Ok((Self::here(engine, &config)?, config))
    }

    fn here(engine: Engine, config: &Config) -> Result<Self, Failure> {
        let state = ServerState::new(engine, &config.public_url)
            .map_err(|error| Failure::Said(error.to_string()))?;
        Ok(Self::Here(control::router(state)))
    }

    /// Sends one request; an answer that is not a success is an error with its own sentence.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Body>, Failure> {
        let wrong = |what: String| Failure::Said(format!("the host could not be asked: {what}"));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request
            .body(body)
            .map_err(|error| wrong(error.to_string()))?;
        let answer = match self {
            Self::Here(router) => match router.clone().oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            },
            #[cfg(unix)]
            Self::Socket(socket) => by_socket(socket, request).await.map_err(wrong)?,
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let problem: Value = serde_json::from_slice(&text(answer).await?).unwrap_or_default();
        let detail = problem.get("detail").and_then(Value::as_str);
        Err(Failure::Said(detail.map_or_else(
            || format!("the host answered with {status}"),
            ToOwned::to_owned,
        )))
    }

    /// The JSON of an answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let answer = self.send(method, path, body).await?;
        let text = text(answer).await?;
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// Waits for the end of the work that was begun, and shows how far it is; gives its report.
    pub async fn until_done(&self) -> Result<Value, Failure> {
        let mut progress = Progress::new();
        loop {
            let status = self.ask(Method::GET, "/v1/vault", None).await?;
            let work = part(&status, "work");
            if work.is_null() {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            if let Some(error) = part(work, "error").as_str() {
                return Err(Failure::Said(error.to_owned()));
            }
            let number = |name: &str| part(work, name).as_u64().unwrap_or(0);
            let total = Some(number("total")).filter(|total| *total > 0);
            progress.at(
                stage(part(work, "stage").as_str().unwrap_or_default()),
                number("done"),
                total,
            );
            // The report is there a moment after the work has ended.
            if part(work, "ended") == &Value::Bool(true) && !part(&status, "report").is_null() {
                return Ok(part(&status, "report").clone());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// A part of a JSON document; null where there is none.
pub fn part<'a>(document: &'a Value, name: &str) -> &'a Value {
    document.get(name).unwrap_or(&Value::Null)
}

/// The stages of work, for the bar.
fn stage(name: &str) -> &'static str {
    const STAGES: [&str; 14] = [
        "adding",
        "waiting",
        "activating",
        "wrapping",
        "sealing",
        "looking",
        "counting",
        "destroying",
        "keys",
        "index",
        "records",
        "rows",
        "changes",
        "beginning",
    ];
    STAGES
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or("working")
}

async fn text(answer: Response<Body>) -> Result<bytes::Bytes, Failure> {
    let limited = http_body_util::Limited::new(answer.into_body(), JSON_MAX);
    let read = limited
        .collect()
        .await
        .map_err(|_| Failure::Said("the host's answer ended early".into()))?;
    Ok(read.to_bytes())
}

/// Writes a body to a file as it comes; how many bytes that were.
pub async fn to_file(
    answer: Response<Body>,
    file: &mut tokio::fs::File,
    what: &'static str,
) -> Result<u64, Failure> {
    use tokio::io::AsyncWriteExt as _;
    let mut progress = Progress::new();
    let mut chunks = answer.into_body().into_data_stream();
    let mut bytes = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Failure::Said("the host ended the backup early".into()))?;
        file.write_all(&chunk)
            .await
            .map_err(|error| Failure::Said(format!("the file could not be written: {error}")))?;
        bytes += chunk.len() as u64;
        progress.at(what, bytes, None);
    }
    Ok(bytes)
}

#[cfg(unix)]
async fn by_socket(
    socket: &std::path::Path,
    request: Request<Body>,
) -> Result<Response<Body>, String> {
    let stream = tokio::net::UnixStream::connect(socket)
        .await
        .map_err(|error| format!("{}: {error}", socket.display()))?;
    let stream = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    Ok(answer.map_err(|error| error.to_string())?.map(Body::new))
}
