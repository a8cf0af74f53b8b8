//! The way out: Keyport's own egress, and nothing beside it.
//!
//! Names are resolved once and special addresses dropped, TLS is verified, answers are bounded. An origin may be reached
//! elsewhere (`--origin`), by the egress's own rules: https only on one side, plain http only to this machine on the other.

use std::time::Duration;

use http::Request;
use keyport_egress::{Body, Egress, EgressConfig, EgressError, Limits, Origins, Pass, Purpose};
use keyport_manifest::{AllowedHosts, HostPattern, PlainRequest, PlainResponse};
use url::Url;

use super::super::Failure;

/// Longest wait for one answer.
const WAIT: Duration = Duration::from_secs(20);
/// Largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 2 << 20;

/// The way out.
pub struct Door(Egress);

impl Door {
    /// With some origins elsewhere.
    ///
    /// # Errors
    /// A flag that is none.
    pub fn new(origins: &[String]) -> Result<Self, Failure> {
        let said = |e: &dyn std::fmt::Display| Failure::Said(format!("`--origin`: {e}"));
        let pairs: Vec<(&str, &str)> = origins
            .iter()
            .map(|text| {
                text.split_once('=')
                    .ok_or_else(|| said(&format!("`{text}` is not FROM=TO")))
            })
            .collect::<Result<_, _>>()?;
        let config = EgressConfig {
            origins: Origins::parse(pairs).map_err(|e| said(&e))?,
            limits: limits(),
            ..EgressConfig::default()
        };
        Ok(Self(Egress::new(config).map_err(|e| said(&e))?))
    }

    /// Sends a request within a pass.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(
        &self,
        pass: &Pass,
        request: &PlainRequest,
    ) -> Result<PlainResponse, EgressError> {
        let mut built = Request::builder()
            .method(request.method.as_str())
            .uri(request.url.as_str());
        for (name, value) in &request.headers {
            built = built.header(name.as_str(), value.as_str());
        }
        let body = request.body.clone().map_or_else(Body::empty, Body::from);
        let built = built
            .body(body)
            .map_err(|_| EgressError::BadAnswer("the request cannot be written"))?;
        let answer = self.0.send(pass, built).await?;
        let (parts, body) = answer.into_parts();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        Ok(PlainResponse {
            status: parts.status.as_u16(),
            headers,
            body: body.collect(MAX_ANSWER).await?.to_vec(),
        })
    }

    /// Sends a request to the very origin of its URL, without any credential but what is in it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn plain(&self, request: &PlainRequest) -> Result<PlainResponse, EgressError> {
        let host = Url::parse(&request.url)
            .ok()
            .and_then(|url| HostPattern::of_url(&url).ok());
        let mut hosts = AllowedHosts::none();
        host.into_iter().for_each(|host| hosts.push(host));
        let mut pass = Pass::new("validate", Purpose::Flow, hosts);
        pass.limits = limits();
        self.send(&pass, request).await
    }

    /// GET.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn get(&self, url: &Url) -> Result<PlainResponse, EgressError> {
        self.plain(&PlainRequest {
            method: "GET".to_owned(),
            url: url.to_string(),
            headers: vec![("accept".to_owned(), "*/*".to_owned())],
            body: None,
        })
        .await
    }
}

/// Bounds of every call.
pub fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        total: WAIT,
        response_body: MAX_ANSWER,
        ..Limits::default()
    }
}
