//! Client certificates: as the proof of an OAuth client (RFC 8705), and as the way to sign in. The servers are real TLS servers
//! that ask for one and say what they were shown.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Mutex;

use axum::body::Body as AxumBody;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keyport_egress::Resolve;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

struct Loopback;

#[async_trait::async_trait]
impl Resolve for Loopback {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, String> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    host: String,
    path: String,
    authorization: Option<String>,
    body: String,
    /// The client's own certificate, if it showed one.
    shown: Option<Vec<u8>>,
}

struct Stand {
    engine: Engine,
    seen: Arc<Mutex<Vec<Seen>>>,
    authority: CertifiedIssuer<'static, KeyPair>,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Answers `/token` with a token and everything else with the account.
async fn serve(authority: &CertifiedIssuer<'static, KeyPair>, seen: Arc<Mutex<Vec<Seen>>>) -> u16 {
    let key = KeyPair::generate().unwrap();
    let names = ["as.acme.test", "api.acme.test", "files.acme.test"].map(str::to_owned);
    let certificate = CertificateParams::new(names.to_vec())
        .unwrap()
        .signed_by(&key, authority)
        .unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else {
                    return;
                };
                let shown = stream.get_ref().1.peer_certificates();
                let shown = shown.and_then(|all| Some(all.first()?.to_vec()));
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (seen, shown) = (Arc::clone(&seen), shown.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = axum::body::to_bytes(AxumBody::new(body), 1 << 16)
                            .await
                            .unwrap();
                        let text = |name: &str| {
                            let value = parts.headers.get(name)?;
                            Some(value.to_str().unwrap().to_owned())
                        };
                        let path = parts.uri.path().to_owned();
                        seen.lock().unwrap().push(Seen {
                            host: text("host").unwrap_or_default(),
                            authorization: text("authorization"),
                            body: String::from_utf8_lossy(&body).into_owned(),
                            path: path.clone(),
                            shown,
                        });
                        let answer = match path.as_str() {
                            "/token" => r#"{"access_token": "access-token-1", "expires_in": 600}"#,
                            _ => r#"{"id": "ada", "name": "Ada"}"#,
                        };
                        let answer = http::Response::builder()
                            .header("content-type", "application/json")
                            .body(AxumBody::from(answer))
                            .unwrap();
                        Ok::<_, Infallible>(answer)
                    }
                });
                let server = hyper::server::conn::http1::Builder::new();
                server
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
        }
    });
    port
}

impl Stand {
    /// An app whose `auth` is this; `PORT` in it is the server's port.
    async fn new(auth: &str) -> Self {
        let authority = authority();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let port = serve(&authority, Arc::clone(&seen)).await;
        let egress = Egress::new(EgressConfig {
            allow_cidrs: vec!["127.0.0.1/32".parse().unwrap()],
            extra_roots_pem: vec![authority.pem().into_bytes()],
            resolver: Arc::new(Loopback),
            ..EgressConfig::default()
        })
        .unwrap();
        let yaml = format!(
            "
manifest: 1
id: acme
name: Acme
version: 1.0.0
summary: A pretend app.
component: rest
api:
  base_url: https://api.acme.test:PORT
  hosts: [{{ host: 'files.acme.test:PORT', credential: none }}]
auth:
  way:
{auth}
    fields:
      - {{ id: id, label: Client, required: false }}
      - {{ id: certificate, label: Certificate, format: pem, multiline: true, required: false }}
      - {{ id: key, label: Key, secret: true, format: pem, multiline: true, required: false }}
test:
  request: {{ method: GET, path: /me }}
  ok: {{ status: 200, body: $.id }}
  account: {{ id: '{{{{ body.id }}}}', label: '{{{{ body.name }}}}' }}
"
        )
        .replace("PORT", &port.to_string());
        let catalogue = Catalogue::load(vec![AppSource {
            origin: "manifest.yaml".into(),
            manifest_yaml: yaml,
            logo_svg: None,
            component: Arc::from([]),
        }])
        .unwrap_or_else(|error| panic!("{error}"))
        .native();
        let vault = Vault::open(Arc::new(RestlessStore::default()), root_key())
            .await
            .unwrap();
        let engine = Engine::assemble(
            vault,
            egress,
            catalogue,
            Url::parse("http://localhost:4700").unwrap(),
            (
                Arc::new(TestClock(AtomicI64::new(NOW * 1000))),
                Arc::new(OsEntropy),
            ),
            Options::default(),
        )
        .unwrap();
        Self {
            engine,
            seen,
            authority,
        }
    }

    /// A certificate of the servers' own authority, its key, and its bytes.
    fn certify(&self) -> (String, String, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["client".to_owned()])
            .unwrap()
            .signed_by(&key, &self.authority)
            .unwrap();
        (
            certificate.pem(),
            key.serialize_pem(),
            certificate.der().to_vec(),
        )
    }

    async fn connect(&self, fields: &[(&str, &str)]) -> FlowView {
        let new = new_session("u1", SessionKind::Manage);
        let created = self.engine.create_session(&Actor::Host, new).await.unwrap();
        let opened = self.engine.open_session(token_of(&created.url)).await;
        let (_, cookie) = opened.unwrap();
        let session = self
            .engine
            .session_by_cookie(cookie.expose())
            .await
            .unwrap();
        let form = FormSubmit {
            app: "acme".into(),
            method: "way".into(),
            config: None,
            title: None,
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            connection_id: None,
        };
        self.engine.connect_with_form(&session, form).await.unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

const TLS: &str = "    type: oauth2
    label: Client
    grant: client_credentials
    token_url: https://as.acme.test:PORT/token
    client_auth: tls
    client_certificate: { certificate: '{{ credentials.certificate }}', private_key: '{{ credentials.key }}', at: AT }
    client: { operator: false, owner: { id: '{{ credentials.id }}' } }
    refresh: { rotates: never, by: sign_in_again }
    revoke: { none: It ends by itself. }";

#[tokio::test]
async fn a_client_proves_itself_by_its_certificate_and_sends_no_secret() {
    for (at, token, api) in [
        ("both", true, true),
        ("token", true, false),
        ("api", true, true),
    ] {
        let stand = Stand::new(&TLS.replace("AT", at)).await;
        let (certificate, key, der) = stand.certify();
        let fields = [
            ("id", "client-1"),
            ("certificate", certificate.as_str()),
            ("key", &key),
        ];
        let flow = stand.connect(&fields).await;
        assert_eq!(flow.status, FlowStatus::Connected, "{at}: {:?}", flow.error);
        let [asked, tested] = stand.seen().try_into().unwrap();
        assert_eq!(asked.path, "/token");
        assert!(asked.body.contains("client_id=client-1"), "{}", asked.body);
        assert!(!asked.body.contains("client_secret") && asked.authorization.is_none());
        assert!(!asked.body.contains("PRIVATE"));
        // The client's proof at the token endpoint is the certificate, whatever else it is for.
        assert_eq!(asked.shown.as_ref() == Some(&der), token, "{at}");
        assert_eq!(tested.shown.as_ref() == Some(&der), api, "{at}");
        assert_eq!(
            tested.authorization.as_deref(),
            Some("Bearer access-token-1")
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_none_or_anothers_sends_nothing() {
    let stand = Stand::new(&TLS.replace("AT", "both")).await;
    let (certificate, _, _) = stand.certify();
    let (_, strange, _) = stand.certify();
    for (certificate, key) in [
        (certificate.as_str(), strange.as_str()),
        ("", strange.as_str()),
    ] {
        let fields = [
            ("id", "client-1"),
            ("certificate", certificate),
            ("key", key),
        ];
        let flow = stand.connect(&fields).await;
        let error = flow.error.unwrap();
        assert!(error.say.contains("bad_certificate"), "{}", error.say);
        assert!(!error.say.contains("PRIVATE"));
    }
    assert!(stand.seen().is_empty());
}

const MTLS: &str = "    type: mtls
    label: Certificate
    certificate: '{{ credentials.certificate }}'
    private_key: '{{ credentials.key }}'";

#[tokio::test]
async fn a_certificate_signs_in_and_is_shown_to_the_api_alone() {
    let stand = Stand::new(MTLS).await;
    let (certificate, key, der) = stand.certify();
    let flow = stand
        .connect(&[("certificate", &certificate), ("key", &key)])
        .await;
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let id = flow.connection_id.unwrap();
    assert_eq!(stand.seen().last().unwrap().shown.as_ref(), Some(&der));
    assert_eq!(stand.seen().last().unwrap().authorization, None);
    // A host that gets no credential is not shown it.
    let port = stand.seen()[0].host.rsplit_once(':').unwrap().1.to_owned();
    let elsewhere = format!("https://files.acme.test:{port}/f");
    let request = http::Request::get(elsewhere)
        .body(keyport_egress::Body::empty())
        .unwrap();
    let answer = stand
        .engine
        .proxy(&Actor::Host, &id, request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let last = stand.seen().pop().unwrap();
    assert_eq!((last.path.as_str(), last.shown), ("/f", None));
}
