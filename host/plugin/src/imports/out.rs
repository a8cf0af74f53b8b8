//! The way out, for both imports that ask for something: `keyport:provider/http` and `wasi:http`.
//!
//! Whichever a guest takes, what leaves is the same request with the same pass, counted by the same counter. What may be asked
//! for is egress's to decide; here are only the limits that egress does not know (requests per call, header count), the one
//! address of a token request, and the translation.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use keyport_egress::{Body, Egress, EgressError, Pass};

use crate::exchange::{Exchange, shown_header};
use crate::state::{OverLimit, State};

/// Why a request was not even handed to egress: a stable word, and a sentence that names what the guest itself gave.
pub(crate) struct Refusal {
    pub code: &'static str,
    pub say: String,
}

/// What a request needs to leave; it may outlive the guest's function, never its store.
pub(crate) struct Way {
    egress: Egress,
    pub pass: Pass,
}

impl Way {
    /// Sends it. The only place of this crate from which anything leaves.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, EgressError> {
        self.egress.send(&self.pass, request).await
    }
}

impl State {
    /// One request more.
    ///
    /// # Errors
    /// Over the limit, which ends the guest.
    pub(crate) fn count_request(&mut self) -> Result<(), OverLimit> {
        self.requests += 1;
        if self.requests > self.limits.requests {
            Err(OverLimit("http requests"))
        } else {
            Ok(())
        }
    }

    /// Whether a request to this URL with so many headers may be handed over.
    pub(crate) fn screen(&self, url: &str, headers: usize) -> Result<(), Refusal> {
        if headers > self.limits.headers {
            return Err(Refusal {
                code: "too_many_headers",
                say: format!("a request has at most {} headers", self.limits.headers),
            });
        }
        match &self.exchange {
            Some(exchange) if !exchange.is_for(url) => Err(Refusal {
                code: "url_not_allowed",
                say:
                    "a token request goes to the token endpoint, whose address is the input's `url`"
                        .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn way(&self) -> Way {
        Way {
            egress: self.call.egress.clone(),
            pass: self.call.pass.clone(),
        }
    }
}

/// A request as egress takes it. Header values are text.
pub(crate) fn request<'a>(
    method: &str,
    url: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: Body,
) -> Result<Request<Body>, Refusal> {
    let refused = |code, say: &str| Refusal {
        code,
        say: say.to_owned(),
    };
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| refused("bad_method", "the method is not one of HTTP"))?;
    let uri: Uri = url.parse().map_err(|_| {
        refused(
            "bad_url",
            "the url is not one; escape what is not allowed in it",
        )
    })?;
    let mut translated = Request::new(body);
    *translated.method_mut() = method;
    *translated.uri_mut() = uri;
    for (name, value) in headers {
        let bad = || {
            refused(
                "bad_header",
                "a header's name or value has characters that are not allowed there",
            )
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let value = HeaderValue::from_str(value).map_err(|_| bad())?;
        translated
            .headers_mut()
            .try_append(header, value)
            .map_err(|_| bad())?;
    }
    Ok(translated)
}

/// An answer of a token endpoint: its tokens become placeholders before the guest sees it. Gives the body, changes the headers.
pub(crate) fn without_tokens(exchange: &Exchange, headers: &mut HeaderMap, body: &[u8]) -> Vec<u8> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let body = exchange.shown(kind, body);
    let hidden: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !shown_header(name.as_str()))
        .cloned()
        .collect();
    for name in hidden {
        headers.remove(name);
    }
    if headers.contains_key(CONTENT_TYPE) {
        // A form was read, and is written as JSON.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    body
}
