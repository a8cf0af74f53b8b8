//! Programs that want to go where they may not, or to say what the host says.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyport_egress::{Egress, EgressConfig, Redirects, Resolve};
use serde_json::{Value, json};

use crate::support::{Upstream, attack, call};

/// Every spelling of each header was refused by the same word, and nothing was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn forbidden_headers() {
    let upstream = Upstream::start().await;
    let (mut call, _) = call(&upstream);
    call.pass.reserved_headers = vec!["X-Api-Version".to_owned()];
    let names = [
        "authorization",
        "Authorization",
        "AUTHORIZATION",
        "aUTHORIZATION",
        "cookie",
        "Cookie",
        "COOKIE2",
        "host",
        "Host",
        "HOST",
        "proxy-authorization",
        "Proxy-Anything",
        "proxy_authorization",
        "content-length",
        "Content_Length",
        "transfer-encoding",
        "Transfer_Encoding",
        "connection",
        "te",
        "TE",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "x-api-version",
        "X-API-VERSION",
        "x_api_version",
    ];
    let told = attack("forbidden_headers", call, &json!(names))
        .await
        .unwrap();
    let pairs = told.as_array().unwrap();
    assert_eq!(pairs.len(), names.len());
    for pair in pairs {
        assert_eq!(pair[1], "forbidden_header", "{pair}");
    }
    assert!(upstream.arrived().is_empty());

    // Spellings that are no header names at all.
    let (call, _) = crate::support::call(&upstream);
    let names = [
        "authorization ",
        " authorization",
        "authorization\t",
        "author\u{0}ization",
        "authorization:",
        "x\r\nauthorization",
        "",
        "autho\u{155}ization",
    ];
    let told = attack("forbidden_headers", call, &json!(names))
        .await
        .unwrap();
    for pair in told.as_array().unwrap() {
        assert_eq!(pair[1], "bad_header", "{pair}");
    }
    assert!(upstream.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn foreign_hosts() {
    let upstream = Upstream::start().await;
    let urls = [
        // Elsewhere, and near to the granted name.
        "https://elsewhere.hostile.test/",
        "https://hostile.test/",
        "https://xapi.hostile.test/",
        "https://api.hostile.test.evil.test/",
        "https://api-hostile.test/",
        "https://api.hostile.test:8443/",
        "https://api.hostile.test:80/",
        // Other schemes.
        "http://api.hostile.test/",
        "ftp://api.hostile.test/",
        "file:///etc/passwd",
        "ws://api.hostile.test/",
        "HTTP://API.HOSTILE.TEST/",
        // Who reads the host where.
        "https://api.hostile.test@elsewhere.hostile.test/",
        "https://user:pass@api.hostile.test/",
        "https://elsewhere.hostile.test#@api.hostile.test/",
        "https://elsewhere.hostile.test\\@api.hostile.test/",
        "https://api.hostile.test\\.elsewhere.hostile.test/",
        "https:///elsewhere.hostile.test/",
        "\\\\elsewhere.hostile.test/",
        "https:elsewhere.hostile.test/",
        // The root's dot.
        "https://api.hostile.test./",
        "https://elsewhere.hostile.test./",
        // Addresses in every notation.
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://127.0.0.1.nip.io/",
        "https://localhost/",
        // Other letters that look or map the same.
        "https://api.hostile.te\u{455}t/",
        "https://xn--api-hostile-test/",
        "https://\u{ff45}lsewhere.hostile.test/",
    ];
    let told = attack("foreign_hosts", call(&upstream).0, &json!(urls.to_vec()))
        .await
        .unwrap();
    let pairs = told.as_array().unwrap();
    assert_eq!(pairs.len(), urls.len());
    for pair in pairs {
        let code = pair[1].as_str();
        assert!(
            matches!(code, Some("host_not_allowed" | "bad_url")),
            "{pair} was not refused"
        );
    }
    assert!(upstream.arrived().is_empty(), "{:?}", upstream.arrived());

    // What looks like another host to a browser is a path of the granted one.
    let told = attack(
        "foreign_hosts",
        call(&upstream).0,
        &json!(["//elsewhere.hostile.test/"]),
    )
    .await
    .unwrap();
    assert_eq!(told[0][1], Value::Null);
    assert_eq!(upstream.arrived()[0].line, "GET //elsewhere.hostile.test/");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn redirect_out() {
    let upstream = Upstream::start().await;
    // Returned as it is: the guest may read it, and going there is a request of its own.
    let told = attack("redirect_out", call(&upstream).0, &json!({}))
        .await
        .unwrap();
    assert_eq!(told["status"], 302);
    // Followed: every step of the way is decided anew.
    let (mut following, _) = call(&upstream);
    following.pass.redirects = Redirects::Follow;
    let told = attack("redirect_out", following, &json!({})).await.unwrap();
    assert_eq!(told["refused"], "host_not_allowed");
    let lines: Vec<String> = upstream.arrived().into_iter().map(|a| a.line).collect();
    assert_eq!(lines, ["GET /redirect", "GET /redirect"]);
}

/// Answers with another address each time: the network's own, the machine's, its metadata service, all of them.
struct Rebinding(AtomicUsize);

#[async_trait::async_trait]
impl Resolve for Rebinding {
    async fn resolve(&self, _host: &str) -> Result<Vec<IpAddr>, String> {
        let turns: [&[&str]; 4] = [
            &["10.0.0.7"],
            &["127.0.0.1"],
            &["169.254.169.254", "fd00:ec2::254"],
            &["::ffff:127.0.0.1", "::1", "100.64.0.1", "0.0.0.0"],
        ];
        let turn = turns[self.0.fetch_add(1, Ordering::SeqCst) % turns.len()];
        Ok(turn.iter().map(|text| text.parse().unwrap()).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn rebinding() {
    let upstream = Upstream::start().await;
    let (mut call, _) = call(&upstream);
    call.egress = Egress::new(EgressConfig {
        resolver: Arc::new(Rebinding(AtomicUsize::new(0))),
        ..EgressConfig::default()
    })
    .unwrap();
    let told = attack("rebinding", call, &json!({})).await.unwrap();
    assert_eq!(told, Value::from(vec!["address_blocked"; 4]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn look_around() {
    let upstream = Upstream::start().await;
    let told = attack("look_around", call(&upstream).0, &json!({}))
        .await
        .unwrap();
    assert_eq!(
        told,
        json!({ "env": 0, "args": 0, "root": false, "file": false, "write": false, "tcp": false, "listen": false, "udp": false, "lookup": false })
    );
}
