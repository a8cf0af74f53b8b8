//! AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests").
//!
//! Signed are the host, the content type and every `x-amz-*` header; what a proxy on the way may add or change is not.
//! S3 differs twice: its paths are encoded once and not twice, and a body that is not at hand goes out unsigned
//! (`UNSIGNED-PAYLOAD`), which S3 allows over TLS. Every other service must have the body's hash, so its bodies are read
//! first.

use http::{HeaderMap, StatusCode};
use keyport_egress::{Covers, Injection, NotSigned, Place, Secret, Signed, Signer, Unsigned};
use keyport_manifest::HmacAlgorithm;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use zeroize::Zeroizing;

use super::clocks::HostTime;
use super::hmac::mac;
use super::{hex, percent};
use crate::hidden::Hidden;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Access keys: long-lived ones, or a role's with their token.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: Hidden,
    pub(super) session: Option<Hidden>,
}

pub(super) struct Sigv4 {
    pub(super) keys: Keys,
    pub(super) region: String,
    pub(super) service: String,
    pub(super) time: HostTime,
}

impl Sigv4 {
    fn is_s3(&self) -> bool {
        self.service.starts_with("s3")
    }
}

impl Signer for Sigv4 {
    fn covers(&self, _: &HeaderMap) -> Covers {
        if self.is_s3() {
            Covers::BodyAtHand
        } else {
            Covers::Body
        }
    }

    fn fills_in(&self, place: Place, name: &str) -> bool {
        // A caller's own presigned parameters beside our header would be two signatures.
        place == Place::Query
            && [
                "x-amz-signature",
                "x-amz-credential",
                "x-amz-algorithm",
                "x-amz-security-token",
            ]
            .contains(&name.to_ascii_lowercase().as_str())
    }

    fn sign(&self, request: &Unsigned<'_>) -> Result<Signed, NotSigned> {
        let stamp = stamp(self.time.unix())?;
        let payload = request
            .body
            .map_or_else(|| UNSIGNED.to_owned(), |body| hex(&Sha256::digest(body)));
        let mut added = vec![("X-Amz-Date", Hidden::new(stamp.as_str()))];
        if self.is_s3() {
            added.push(("X-Amz-Content-Sha256", Hidden::new(payload.as_str())));
        }
        if let Some(session) = &self.keys.session {
            added.push(("X-Amz-Security-Token", session.clone()));
        }
        let mut signed: Vec<(String, String)> =
            vec![("host".to_owned(), request.authority().into_owned())];
        for (name, value) in request.headers {
            let name = name.as_str();
            let ours = added.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
            if !ours && (name == "content-type" || name.starts_with("x-amz-")) {
                let value = value
                    .to_str()
                    .map_err(|_| NotSigned("a header that is signed holds more than ascii"))?;
                signed.push((name.to_owned(), value.to_owned()));
            }
        }
        signed.extend(
            added
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.expose().to_owned())),
        );
        let canonical = canonical_request(
            request.method.as_str(),
            &canonical_path(request.url.path(), !self.is_s3()),
            request.url.query().unwrap_or_default(),
            &signed,
            &payload,
        );
        let authorization = self.authorization(&stamp, &canonical)?;
        let mut parts: Vec<Injection> = added
            .into_iter()
            .map(|(name, value)| header(name, value.expose()))
            .collect();
        parts.push(header("Authorization", &authorization));
        Ok(Signed {
            parts,
            derived: Vec::new(),
        })
    }

    fn again(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.time.learn_from(status, headers)
    }
}

fn header(name: &str, value: &str) -> Injection {
    Injection {
        place: Place::Header,
        name: name.to_owned(),
        value: Secret::new(value),
    }
}

/// A canonical request and the names of the headers in it.
struct Canonical {
    text: Zeroizing<String>,
    names: String,
}

impl Sigv4 {
    fn authorization(&self, stamp: &str, canonical: &Canonical) -> Result<String, NotSigned> {
        let day = stamp.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let to_sign = format!(
            "{ALGORITHM}\n{stamp}\n{scope}\n{}",
            hex(&Sha256::digest(canonical.text.as_bytes()))
        );
        let mut key = Zeroizing::new(format!("AWS4{}", self.keys.secret.expose()).into_bytes());
        for part in [day, &self.region, &self.service, "aws4_request"] {
            key = Zeroizing::new(mac(HmacAlgorithm::Sha256, &key, part.as_bytes())?);
        }
        let signature = hex(&mac(HmacAlgorithm::Sha256, &key, to_sign.as_bytes())?);
        Ok(format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.keys.id, canonical.names
        ))
    }
}

/// `20150830T123600Z`.
fn stamp(unix: i64) -> Result<String, NotSigned> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    OffsetDateTime::from_unix_timestamp(unix)
        .ok()
        .and_then(|at| at.format(&format).ok())
        .ok_or(NotSigned("the clock is beyond the calendar"))
}

fn canonical_request(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(String, String)],
    payload: &str,
) -> Canonical {
    let mut sorted: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        match sorted.iter_mut().find(|(known, _)| *known == name) {
            // A header that is there more than once counts as one, its values in their order.
            Some((_, all)) => {
                all.push(',');
                all.push_str(&value);
            }
            None => sorted.push((name, value)),
        }
    }
    sorted.sort();
    let names: Vec<&str> = sorted.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = sorted
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let query = canonical_query(query);
    Canonical {
        text: Zeroizing::new(format!(
            "{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}"
        )),
        names,
    }
}

/// The path, each segment encoded once (S3) or twice (all others).
fn canonical_path(path: &str, twice: bool) -> String {
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| {
            let once = percent(&decoded(segment, false));
            if twice {
                percent(once.as_bytes())
            } else {
                once
            }
        })
        .collect();
    let path = segments.join("/");
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (
                percent(&decoded(name, true)),
                percent(&decoded(value, true)),
            )
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn decoded(text: &str, plus_is_space: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' if plus_is_space => out.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
                match (digit(ahead.next()), digit(ahead.next())) {
                    (Some(high), Some(low)) => {
                        out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                        bytes = ahead;
                    }
                    _ => out.push(b'%'),
                }
            }
            other => out.push(other),
        }
    }
    out
}

/// Whether a text can stand in a credential scope and in a host name: a region or a service.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
