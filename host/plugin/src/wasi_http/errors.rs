//! Egress's errors as the codes of `wasi:http`. The sentences go to the call's log, see `handler`.

use keyport_egress::{EgressError, Part, Wait};
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use crate::imports::out::Refusal;

/// Of a request that went to egress.
pub fn of(error: &EgressError) -> Error {
    match error {
        EgressError::BadUrl(_) => Error::HttpRequestUriInvalid,
        EgressError::HostNotAllowed { .. }
        | EgressError::ForbiddenHeader(_)
        | EgressError::ForbiddenParameter(_)
        | EgressError::MethodNotAllowed { .. }
        | EgressError::HandleOutOfSlot(_)
        | EgressError::Unsendable(_)
        | EgressError::NoPlaceInBody
        | EgressError::NotSigned(_) => Error::HttpRequestDenied,
        EgressError::IdentityRefused { .. } => Error::TlsCertificateError,
        EgressError::Dns { .. } => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        EgressError::AddressBlocked { .. } => Error::DestinationIpProhibited,
        EgressError::Connect { .. } => Error::ConnectionRefused,
        EgressError::Tls { .. } => Error::TlsProtocolError,
        EgressError::Timeout(Wait::Connecting) => Error::ConnectionTimeout,
        EgressError::Timeout(Wait::Headers) => Error::HttpResponseTimeout,
        EgressError::Timeout(Wait::Body) => Error::ConnectionReadTimeout,
        EgressError::TooLarge { what, limit } => too_large(*what, *limit),
        EgressError::TooManyRedirects(_) => Error::LoopDetected,
        EgressError::BadAnswer(_) => Error::HttpProtocolError,
        EgressError::Broken => Error::HttpResponseIncomplete,
        EgressError::Config(_) => Error::ConfigurationError,
        other => Error::InternalError(Some(other.code().to_owned())),
    }
}

fn too_large(what: Part, limit: u64) -> Error {
    let small = u32::try_from(limit).ok();
    match what {
        Part::RequestHeaders => Error::HttpRequestHeaderSectionSize(small),
        Part::RequestBody => Error::HttpRequestBodySize(Some(limit)),
        Part::ResponseHeaders => Error::HttpResponseHeaderSectionSize(small),
        Part::ResponseBody => Error::HttpResponseBodySize(Some(limit)),
    }
}

/// Of one that did not get there.
pub fn code(refusal: &Refusal) -> ErrorCode {
    match refusal.code {
        "bad_method" => ErrorCode::HttpRequestMethodInvalid,
        "bad_url" => ErrorCode::HttpRequestUriInvalid,
        "too_many_headers" => ErrorCode::HttpRequestHeaderSectionSize(None),
        _ => ErrorCode::HttpRequestDenied,
    }
}
