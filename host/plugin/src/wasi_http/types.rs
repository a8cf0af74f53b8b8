//! `wasi:http/types`: wasmtime's implementation of the resources, behind a counter.
//!
//! Its `fields` have a limit each and none together, and methods, authorities and paths have none: a guest with a thousand
//! handles could fill the host's memory with them. So whatever is written into them is counted over the whole call, and never
//! given back. All else is handed on as it is.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, Duration, ErrorCode, IoError, Method, Scheme, StatusCode,
};
use wasmtime_wasi_http::p2::body::{HostFutureTrailers, HostIncomingBody, HostOutgoingBody};
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest,
    HostOutgoingResponse, HostResponseOutparam,
};
use wasmtime_wasi_http::p2::{HeaderError, HeaderResult, HttpError, HttpResult};
use wasmtime_wasi_http::{FieldMap, RequestOptions};

use crate::state::{OverLimit, State};

/// What one header takes up in the host beside its text.
const ENTRY_BYTES: usize = 128;

type Done<T> = wasmtime::Result<T>;
type Tried<T = ()> = wasmtime::Result<Result<T, ()>>;
type Field = (String, Vec<u8>);
type FutureAnswer = Option<Result<Result<Resource<HostIncomingResponse>, ErrorCode>, ()>>;
type FutureTrailers = Option<Result<Result<Option<Resource<FieldMap>>, ErrorCode>, ()>>;

impl State {
    fn take_header_bytes(&mut self, bytes: usize) -> Result<(), OverLimit> {
        let taken = self.wasi_http.taken.saturating_add(bytes);
        if taken > self.limits.header_bytes {
            return Err(OverLimit("header bytes"));
        }
        self.wasi_http.taken = taken;
        Ok(())
    }

    fn take_fields<'a>(
        &mut self,
        name: &str,
        mut values: impl Iterator<Item = &'a Vec<u8>>,
    ) -> Result<(), OverLimit> {
        values.try_for_each(|value| self.take_header_bytes(name.len() + value.len() + ENTRY_BYTES))
    }
}

/// Methods that are handed on.
macro_rules! as_it_is {
    ($trait:ident: $(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {
        $(fn $name(&mut self, $($arg: $ty),*) -> $out {
            types::$trait::$name(&mut self.wasi_http_view(), $($arg),*)
        })*
    };
}

impl types::Host for State {
    as_it_is! { Host:
        fn http_error_code(error: Resource<IoError>) -> Done<Option<ErrorCode>>;
        fn convert_error_code(error: HttpError) -> Done<ErrorCode>;
        fn convert_header_error(error: HeaderError) -> Done<types::HeaderError>;
    }
}

impl types::HostFields for State {
    fn from_list(&mut self, entries: Vec<Field>) -> HeaderResult<Resource<FieldMap>> {
        for (name, value) in &entries {
            self.take_fields(name, std::iter::once(value))
                .map_err(HeaderError::trap)?;
        }
        types::HostFields::from_list(&mut self.wasi_http_view(), entries)
    }

    fn set(
        &mut self,
        fields: Resource<FieldMap>,
        name: String,
        values: Vec<Vec<u8>>,
    ) -> HeaderResult<()> {
        self.take_fields(&name, values.iter())
            .map_err(HeaderError::trap)?;
        types::HostFields::set(&mut self.wasi_http_view(), fields, name, values)
    }

    fn append(
        &mut self,
        fields: Resource<FieldMap>,
        name: String,
        value: Vec<u8>,
    ) -> HeaderResult<()> {
        self.take_fields(&name, std::iter::once(&value))
            .map_err(HeaderError::trap)?;
        types::HostFields::append(&mut self.wasi_http_view(), fields, name, value)
    }

    /// A copy costs nothing until it is changed, and then all of it.
    fn clone(&mut self, fields: Resource<FieldMap>) -> Done<Resource<FieldMap>> {
        let bytes = self
            .table
            .get(&fields)?
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + ENTRY_BYTES)
            .sum();
        self.take_header_bytes(bytes)?;
        types::HostFields::clone(&mut self.wasi_http_view(), fields)
    }

    as_it_is! { HostFields:
        fn new() -> Done<Resource<FieldMap>>;
        fn get(fields: Resource<FieldMap>, name: String) -> Done<Vec<Vec<u8>>>;
        fn has(fields: Resource<FieldMap>, name: String) -> Done<bool>;
        fn delete(fields: Resource<FieldMap>, name: String) -> HeaderResult<()>;
        fn entries(fields: Resource<FieldMap>) -> Done<Vec<Field>>;
        fn drop(fields: Resource<FieldMap>) -> Done<()>;
    }
}

impl types::HostOutgoingRequest for State {
    fn set_method(&mut self, request: Resource<HostOutgoingRequest>, method: Method) -> Tried {
        if let Method::Other(name) = &method {
            self.take_header_bytes(name.len())?;
        }
        types::HostOutgoingRequest::set_method(&mut self.wasi_http_view(), request, method)
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        path: Option<String>,
    ) -> Tried {
        self.take_header_bytes(path.as_ref().map_or(0, String::len))?;
        types::HostOutgoingRequest::set_path_with_query(&mut self.wasi_http_view(), request, path)
    }

    fn set_scheme(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> Tried {
        if let Some(Scheme::Other(name)) = &scheme {
            self.take_header_bytes(name.len())?;
        }
        types::HostOutgoingRequest::set_scheme(&mut self.wasi_http_view(), request, scheme)
    }

    fn set_authority(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        authority: Option<String>,
    ) -> Tried {
        self.take_header_bytes(authority.as_ref().map_or(0, String::len))?;
        types::HostOutgoingRequest::set_authority(&mut self.wasi_http_view(), request, authority)
    }

    as_it_is! { HostOutgoingRequest:
        fn new(headers: Resource<FieldMap>) -> Done<Resource<HostOutgoingRequest>>;
        fn body(request: Resource<HostOutgoingRequest>) -> Tried<Resource<HostOutgoingBody>>;
        fn method(request: Resource<HostOutgoingRequest>) -> Done<Method>;
        fn path_with_query(request: Resource<HostOutgoingRequest>) -> Done<Option<String>>;
        fn scheme(request: Resource<HostOutgoingRequest>) -> Done<Option<Scheme>>;
        fn authority(request: Resource<HostOutgoingRequest>) -> Done<Option<String>>;
        fn headers(request: Resource<HostOutgoingRequest>) -> Done<Resource<FieldMap>>;
        fn drop(request: Resource<HostOutgoingRequest>) -> Done<()>;
    }
}

impl types::HostOutgoingBody for State {
    as_it_is! { HostOutgoingBody:
        fn write(body: Resource<HostOutgoingBody>) -> Tried<Resource<DynOutputStream>>;
        fn finish(body: Resource<HostOutgoingBody>, trailers: Option<Resource<FieldMap>>) -> HttpResult<()>;
        fn drop(body: Resource<HostOutgoingBody>) -> Done<()>;
    }
}

impl types::HostRequestOptions for State {
    as_it_is! { HostRequestOptions:
        fn new() -> Done<Resource<RequestOptions>>;
        fn connect_timeout(options: Resource<RequestOptions>) -> Done<Option<Duration>>;
        fn set_connect_timeout(options: Resource<RequestOptions>, time: Option<Duration>) -> Tried;
        fn first_byte_timeout(options: Resource<RequestOptions>) -> Done<Option<Duration>>;
        fn set_first_byte_timeout(options: Resource<RequestOptions>, time: Option<Duration>) -> Tried;
        fn between_bytes_timeout(options: Resource<RequestOptions>) -> Done<Option<Duration>>;
        fn set_between_bytes_timeout(options: Resource<RequestOptions>, time: Option<Duration>) -> Tried;
        fn drop(options: Resource<RequestOptions>) -> Done<()>;
    }
}

impl types::HostFutureIncomingResponse for State {
    as_it_is! { HostFutureIncomingResponse:
        fn subscribe(future: Resource<HostFutureIncomingResponse>) -> Done<Resource<DynPollable>>;
        fn get(future: Resource<HostFutureIncomingResponse>) -> Done<FutureAnswer>;
        fn drop(future: Resource<HostFutureIncomingResponse>) -> Done<()>;
    }
}

impl types::HostIncomingResponse for State {
    as_it_is! { HostIncomingResponse:
        fn status(response: Resource<HostIncomingResponse>) -> Done<StatusCode>;
        fn headers(response: Resource<HostIncomingResponse>) -> Done<Resource<FieldMap>>;
        fn consume(response: Resource<HostIncomingResponse>) -> Tried<Resource<HostIncomingBody>>;
        fn drop(response: Resource<HostIncomingResponse>) -> Done<()>;
    }
}

impl types::HostIncomingBody for State {
    as_it_is! { HostIncomingBody:
        fn stream(body: Resource<HostIncomingBody>) -> Tried<Resource<DynInputStream>>;
        fn finish(body: Resource<HostIncomingBody>) -> Done<Resource<HostFutureTrailers>>;
        fn drop(body: Resource<HostIncomingBody>) -> Done<()>;
    }
}

impl types::HostFutureTrailers for State {
    as_it_is! { HostFutureTrailers:
        fn subscribe(trailers: Resource<HostFutureTrailers>) -> Done<Resource<DynPollable>>;
        fn get(trailers: Resource<HostFutureTrailers>) -> Done<FutureTrailers>;
        fn drop(trailers: Resource<HostFutureTrailers>) -> Done<()>;
    }
}

// --- what serving takes; no guest is ever given one of these, but a world may name them

impl types::HostIncomingRequest for State {
    as_it_is! { HostIncomingRequest:
        fn method(request: Resource<HostIncomingRequest>) -> Done<Method>;
        fn path_with_query(request: Resource<HostIncomingRequest>) -> Done<Option<String>>;
        fn scheme(request: Resource<HostIncomingRequest>) -> Done<Option<Scheme>>;
        fn authority(request: Resource<HostIncomingRequest>) -> Done<Option<String>>;
        fn headers(request: Resource<HostIncomingRequest>) -> Done<Resource<FieldMap>>;
        fn consume(request: Resource<HostIncomingRequest>) -> Tried<Resource<HostIncomingBody>>;
        fn drop(request: Resource<HostIncomingRequest>) -> Done<()>;
    }
}

impl types::HostResponseOutparam for State {
    as_it_is! { HostResponseOutparam:
        fn set(out: Resource<HostResponseOutparam>, response: Result<Resource<HostOutgoingResponse>, ErrorCode>) -> Done<()>;
        fn send_informational(out: Resource<HostResponseOutparam>, status: u16, headers: Resource<FieldMap>) -> HttpResult<()>;
        fn drop(out: Resource<HostResponseOutparam>) -> Done<()>;
    }
}

impl types::HostOutgoingResponse for State {
    as_it_is! { HostOutgoingResponse:
        fn new(headers: Resource<FieldMap>) -> Done<Resource<HostOutgoingResponse>>;
        fn status_code(response: Resource<HostOutgoingResponse>) -> Done<StatusCode>;
        fn set_status_code(response: Resource<HostOutgoingResponse>, status: StatusCode) -> Tried;
        fn headers(response: Resource<HostOutgoingResponse>) -> Done<Resource<FieldMap>>;
        fn body(response: Resource<HostOutgoingResponse>) -> Tried<Resource<HostOutgoingBody>>;
        fn drop(response: Resource<HostOutgoingResponse>) -> Done<()>;
    }
}
