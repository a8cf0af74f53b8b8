//! Requests of the host's own to a sign-in server: one request, one host, its answer read whole.
//!
//! Redirects are an answer like any other, and not one that is followed: a 307 would send the client's secret on.

use http::header::AUTHORIZATION;
use keyport_egress::{Body, Pass, Purpose};
use keyport_manifest::{AllowedHosts, HostPattern, PlainRequest, PlainResponse};
use keyport_vault::Owner;
use url::Url;

use super::failure::TokenFailure;
use crate::engine::Engine;

/// The largest token answer: tokens are a few kilobytes.
pub(super) const MAX_ANSWER: u64 = 256 << 10;

impl Engine {
    /// The pass for one request of the host's own to exactly the host of `url`.
    pub(crate) fn own_pass(&self, owner: &Owner, url: &Url) -> Result<Pass, TokenFailure> {
        let host =
            HostPattern::of_url(url).map_err(|_| TokenFailure::misconfigured("bad_token_url"))?;
        let hosts = AllowedHosts::from_iter([host]);
        let mut pass = Pass::new(owner.as_str(), Purpose::Flow, hosts);
        pass.limits.total = self.inner.options.token_request;
        pass.limits.response_body = MAX_ANSWER;
        Ok(pass)
    }

    /// Sends a request of the host's own over a pass of its own.
    pub(crate) async fn send_own(
        &self,
        pass: &Pass,
        request: PlainRequest,
    ) -> Result<PlainResponse, TokenFailure> {
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(request.url.as_str());
        for (name, value) in &request.headers {
            let mut value = http::HeaderValue::from_str(value)
                .map_err(|_| TokenFailure::misconfigured("bad_token_request"))?;
            value.set_sensitive(name.eq_ignore_ascii_case(AUTHORIZATION.as_str()));
            builder = builder.header(name.as_str(), value);
        }
        let request = builder
            .body(request.body.map_or_else(Body::empty, Body::from_bytes))
            .map_err(|_| TokenFailure::misconfigured("bad_token_request"))?;
        let response = self
            .send_plain(pass, request, pass.limits.response_body)
            .await
            .map_err(|error| {
                if error.before_sending() && !error.is_transient() {
                    TokenFailure::misconfigured(error.code())
                } else {
                    TokenFailure::Down {
                        code: error.code().to_owned(),
                        unseen: error.before_sending(),
                        retry_after_ms: None,
                    }
                }
            })?;
        if (300..400).contains(&response.status) {
            return Err(TokenFailure::misconfigured("redirect_refused"));
        }
        Ok(response)
    }

    /// One request, its answer read whole.
    pub(crate) async fn send_plain(
        &self,
        pass: &Pass,
        request: http::Request<Body>,
        limit: u64,
    ) -> Result<PlainResponse, keyport_egress::EgressError> {
        let (parts, body) = self.inner.egress.send(pass, request).await?.into_parts();
        let body = body.collect(limit).await?;
        Ok(PlainResponse {
            status: parts.status.as_u16(),
            headers: parts
                .headers
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.to_string(), value.to_str().ok()?.to_owned()))
                })
                .collect(),
            body: body.to_vec(),
        })
    }
}
