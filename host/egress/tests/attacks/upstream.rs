//! Upstreams that record what they see, upstreams that misbehave byte by byte, and passes to reach them.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keyport_egress::{
    Body, Credential, Egress, EgressConfig, EgressError, Injection, Limits, Origins, Pass, Place,
    Purpose, Resolve, Secret,
};
use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One request as an upstream saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counts the upstream's connections from 0.
    pub connection: usize,
    pub line: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A well-behaved HTTP/1.1 server, with or without TLS.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    handshakes: Arc<Mutex<Vec<(HandshakeKind, String)>>>,
    task: JoinHandle<()>,
}

type Answer = Arc<dyn Fn(&Seen) -> Response<Body> + Send + Sync>;

impl Upstream {
    pub async fn start(answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", None, answer).await
    }

    pub async fn start_at(
        at: &str,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, handshakes) = (Arc::default(), Arc::default());
        let (record, record_handshake) = (Arc::clone(&seen), Arc::clone(&handshakes));
        let (answer, connections): (Answer, _) = (Arc::new(answer), AtomicUsize::new(0));
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                let (answer, record, tls) = (Arc::clone(&answer), Arc::clone(&record), tls.clone());
                let record_handshake: Arc<Mutex<Vec<(HandshakeKind, String)>>> =
                    Arc::clone(&record_handshake);
                tokio::spawn(async move {
                    match tls {
                        None => serve(tcp, connection, answer, record).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(tcp).await else {
                                return;
                            };
                            let session = stream.get_ref().1;
                            let suite =
                                format!("{:?}", session.negotiated_cipher_suite().unwrap().suite());
                            record_handshake
                                .lock()
                                .unwrap()
                                .push((session.handshake_kind().unwrap(), suite));
                            serve(stream, connection, answer, record).await;
                        }
                    }
                });
            }
        });
        Self {
            address,
            seen,
            handshakes,
            task,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Kind and cipher suite of every TLS handshake.
    pub fn handshakes(&self) -> Vec<(HandshakeKind, String)> {
        self.handshakes.lock().unwrap().clone()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S>(stream: S, connection: usize, answer: Answer, record: Arc<Mutex<Vec<Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, record) = (Arc::clone(&answer), Arc::clone(&record));
        async move {
            let (parts, body) = request.into_parts();
            let seen = Seen {
                connection,
                line: format!("{} {}", parts.method, parts.uri),
                headers: parts.headers,
                body: body.collect().await?.to_bytes(),
            };
            record.lock().unwrap().push(seen.clone());
            Ok::<_, hyper::Error>(answer(&seen))
        }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// What a raw upstream does after its script.
#[derive(Clone)]
pub enum Then {
    Close,
    Hang,
    Repeat(&'static [u8]),
}

/// An upstream that reads a request's head and then writes what it is told, however wrong.
pub async fn raw(script: impl Into<Vec<u8>>, then: Then) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script = script.into();
    let task = tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let (script, then) = (script.clone(), then.clone());
            tokio::spawn(async move {
                read_head(&mut tcp).await;
                if tcp.write_all(&script).await.is_err() {
                    return;
                }
                match then {
                    Then::Close => {}
                    Then::Hang => std::future::pending().await,
                    Then::Repeat(piece) => while tcp.write_all(piece).await.is_ok() {},
                }
            });
        }
    });
    (url, task)
}

async fn read_head(tcp: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if tcp.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
}

pub fn text(body: impl Into<String>) -> Response<Body> {
    Response::new(Body::from(body.into()))
}

pub fn redirect(status: u16, to: &str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("location", to)
        .body(Body::empty())
        .unwrap()
}

/// A body in these pieces, sent as chunks.
pub fn pieces(parts: Vec<Vec<u8>>) -> Body {
    Body::from_stream(futures_util::stream::iter(
        parts
            .into_iter()
            .map(|part| Ok::<_, EgressError>(Bytes::from(part))),
    ))
}

/// An egress that reaches `https://<name>.example.com` at these plain upstreams.
pub fn egress(overrides: &[(&str, &str)]) -> Egress {
    let origins = overrides
        .iter()
        .map(|(name, url)| (format!("https://{name}.example.com"), *url));
    Egress::new(EgressConfig {
        origins: Origins::parse(origins).unwrap(),
        ..EgressConfig::default()
    })
    .unwrap()
}

/// A pass for `*.example.com` with a bearer token for `api.example.com`.
pub fn pass(purpose: Purpose) -> Pass {
    let mut pass = Pass::new("owner", purpose, "*.example.com".parse().unwrap());
    pass.credential = Some(Credential {
        parts: vec![Injection {
            place: Place::Header,
            name: "Authorization".to_owned(),
            value: Secret::new(format!("Bearer {TOKEN}")),
        }],
        scrub: vec![Secret::new(TOKEN)],
        ..Credential::new("api.example.com".parse().unwrap())
    });
    pass.limits = quick();
    pass
}

pub const TOKEN: &str = "tok_very/secret+value";

/// Short enough for a test that runs into them, long enough for one that does not: `total` is generous,
/// tests that wait for it set their own.
pub fn quick() -> Limits {
    Limits {
        total: Duration::from_secs(20),
        ..Limits::default()
    }
}

pub fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Body::empty()).unwrap()
}

pub async fn read(answer: Response<Body>) -> Result<String, EgressError> {
    let body = answer.into_body().collect(u64::MAX).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// A name server that gives its answers one after the other, and the last one for ever.
pub struct Scripted {
    answers: Vec<Vec<IpAddr>>,
    pub asked: AtomicUsize,
}

impl Scripted {
    pub fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect())
            .collect();
        Arc::new(Self {
            answers,
            asked: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Resolve for Scripted {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, String> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers
            .get(turn.min(self.answers.len() - 1))
            .filter(|answer| !answer.is_empty())
            .cloned()
            .ok_or_else(|| "no such name".to_owned())
    }
}
