//! Real sockets: TLS as it is negotiated, the refusal of a clear bind, and an end that lets a request finish.

use std::path::PathBuf;
use std::sync::Arc;

use keyport_connect::view::KeyScope;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Server;
use crate::{Listen, ListenError, Tls};

/// A server on a free port of 127.0.0.1, and the way to end it.
struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ListenError>>,
}

impl Running {
    async fn start(server: &Server, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let listen = Listen {
            address,
            tls,
            behind_proxy: false,
        };
        let serving = crate::serve(server.state.clone(), listener, listen, async {
            drop(stopped.await)
        });
        Self {
            address,
            stop,
            ended: tokio::spawn(serving),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the test is a client of our own server on loopback"
    )]
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

/// A certificate for `keyport.example` in files, and what a client needs to trust it.
struct Certificate {
    _folder: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
    roots: RootCertStore,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["keyport.example".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        Self {
            _folder: folder,
            certificate,
            key,
            roots,
        }
    }

    fn tls(&self) -> Tls {
        Tls::from_files(&self.certificate, &self.key).unwrap()
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        version: &'static SupportedProtocolVersion,
        alpn: &str,
    ) -> TlsStream<TcpStream> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // A client that would rather have AES-128: the server's order must win.
        provider
            .cipher_suites
            .sort_by_key(|suite| format!("{:?}", suite.suite()).contains("256"));
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = ServerName::try_from("keyport.example").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap()
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A peer that closes without a TLS good-bye has still sent all that it announced.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: keyport.example\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_aes_256_whatever_the_client_would_rather_have() {
    let (server, certificate) = (Server::new().await, Certificate::new());
    let running = Running::start(&server, Some(certificate.tls())).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = certificate
            .handshake(running.connect().await, version, "http/1.1")
            .await;
        let suite = format!(
            "{:?}",
            stream
                .get_ref()
                .1
                .negotiated_cipher_suite()
                .unwrap()
                .suite()
        );
        assert!(suite.contains("AES_256"), "{suite}");
        let answer = exchange(stream, HEALTH).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"),
            "{answer}"
        );
    }
    let stream = certificate
        .handshake(running.connect().await, &rustls::version::TLS13, "h2")
        .await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn http_2_carries_its_host_and_gets_the_same_answers() {
    let (server, certificate) = (Server::new().await, Certificate::new());
    let running = Running::start(&server, Some(certificate.tls())).await;
    for (host, status) in [("keyport.example", 200), ("evil.example", 421)] {
        let stream = certificate
            .handshake(running.connect().await, &rustls::version::TLS13, "h2")
            .await;
        let (io, executor) = (
            hyper_util::rt::TokioIo::new(stream),
            hyper_util::rt::TokioExecutor::new(),
        );
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
            .await
            .unwrap();
        let driving = tokio::spawn(connection);
        let request = http::Request::get(format!("https://{host}/openapi.json"))
            .body(axum::body::Body::empty())
            .unwrap();
        assert_eq!(
            sender.send_request(request).await.unwrap().status(),
            status,
            "{host}"
        );
        drop(sender);
        let _ = driving.await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_request_that_is_under_way_when_the_end_comes_is_answered() {
    let server = Server::new().await;
    let key = server.key(&KeyScope::ALL).await;
    let running = Running::start(&server, None).await;
    let (body, mut stream) = (
        r#"{"owner":"ada","kind":"manage"}"#,
        running.connect().await,
    );
    let (first, rest) = body.split_at(10);
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nhost: keyport.example\r\nauthorization: {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    // The handler is waiting for the body now.
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(first.as_bytes()).await.unwrap();
    let Running { stop, ended, .. } = running;
    stop.send(()).unwrap();
    let answer = exchange(stream, rest).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn serving_in_the_clear_to_a_network_is_refused_by_what_is_really_bound() {
    let server = Server::new().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let listen = Listen {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        behind_proxy: false,
    };
    let refused = crate::serve(
        server.state.clone(),
        listener,
        listen,
        std::future::pending(),
    )
    .await;
    assert!(matches!(refused, Err(ListenError::ClearBind(_))));
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_told_at_start() {
    let (one, other) = (Certificate::new(), Certificate::new());
    let said = Tls::from_files(&one.certificate, &other.key)
        .err()
        .unwrap()
        .to_string();
    assert!(said.contains("can't be used together"), "{said}");
    let swapped = Tls::from_files(&one.key, &one.certificate)
        .err()
        .unwrap()
        .to_string();
    assert!(
        swapped.contains("cert") || swapped.contains("certificate"),
        "{swapped}"
    );
}
