//! Posting to an address on this machine: HTTP/1.1 by hand, one request a connection. It is all that a pretend vendor needs.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most of an answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// The status of the answer, and its body.
pub(super) async fn post(
    url: &Url,
    headers: &[(&str, String)],
    body: &[u8],
) -> io::Result<(u16, String)> {
    match tokio::time::timeout(PATIENCE, exchange(url, headers, body)).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a vendor is the other side: it calls hosts, on this machine alone, and no host calls through it"
)]
async fn exchange(url: &Url, headers: &[(&str, String)], body: &[u8]) -> io::Result<(u16, String)> {
    let odd = || io::Error::from(io::ErrorKind::InvalidData);
    let address = url.socket_addrs(|| None)?;
    let mut stream = TcpStream::connect(address.as_slice()).await?;
    let host = url.authority();
    let query = url.query().map(|query| format!("?{query}"));
    let target = format!("{}{}", url.path(), query.unwrap_or_default());
    let mut head = format!(
        "POST {target} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    // Whoever refuses a large body may hang up before it is all sent; the answer is there all the same.
    let sent = stream.write_all(body).await;
    let mut answer = Vec::new();
    let read = stream.take(MAX_ANSWER).read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let Some(status) = status else {
        return Err(sent.err().or(read.err()).unwrap_or_else(odd));
    };
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}
