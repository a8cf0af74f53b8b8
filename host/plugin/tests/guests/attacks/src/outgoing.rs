//! `wasi:http` as a guest has it, without the manners of a library: every part is what the program says.

use keyport_sdk::{Value, json};
use wasip2::http::outgoing_handler::handle;
pub use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

/// The app that the connection is for.
pub const APP: &str = "api.hostile.test";

pub type Headers = Vec<(String, Vec<u8>)>;

/// The first word of an error's name: `HttpRequestDenied`.
pub fn word(error: impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let name = text.rsplit("ErrorCode::").next().unwrap_or(&text);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric());
    name[..end.unwrap_or(name.len())].to_owned()
}

/// A request, as far as its parts are taken.
pub fn request(
    method: &Method,
    scheme: Option<&Scheme>,
    authority: Option<&str>,
    path: Option<&str>,
    headers: &Headers,
) -> Result<OutgoingRequest, String> {
    let fields = Fields::from_list(headers).map_err(word)?;
    let request = OutgoingRequest::new(fields);
    let part = |name: &str| {
        let name = format!("bad {name}");
        move |()| name
    };
    request.set_method(method).map_err(part("method"))?;
    request.set_scheme(scheme).map_err(part("scheme"))?;
    request
        .set_authority(authority)
        .map_err(part("authority"))?;
    request.set_path_with_query(path).map_err(part("path"))?;
    Ok(request)
}

/// A request to the app.
pub fn to_app(method: &Method, path: &str, headers: &Headers) -> Result<OutgoingRequest, String> {
    request(method, Some(&Scheme::Https), Some(APP), Some(path), headers)
}

pub fn send(
    request: OutgoingRequest,
    options: Option<RequestOptions>,
) -> Result<FutureIncomingResponse, String> {
    handle(request, options).map_err(word)
}

pub fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    loop {
        future.subscribe().block();
        if let Some(answer) = future.get() {
            return answer.map_err(|()| "consumed".to_owned())?.map_err(word);
        }
    }
}

/// The whole body, or why it ended.
pub fn read(answer: &IncomingResponse) -> Result<Vec<u8>, String> {
    let body = answer.consume().map_err(|()| "consumed".to_owned())?;
    let stream = body.stream().map_err(|()| "taken".to_owned())?;
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(piece) => all.extend(piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    match trailers.get() {
        Some(Ok(Ok(None))) => Ok(all),
        other => Err(format!("trailers: {other:?}")),
    }
}

/// Writes a body in pieces and ends it.
pub fn write(body: OutgoingBody, bytes: &[u8], trailers: Option<Fields>) -> Result<(), String> {
    let stream = body.write().map_err(|()| "taken".to_owned())?;
    for piece in bytes.chunks(4096) {
        stream
            .blocking_write_and_flush(piece)
            .map_err(|error| format!("{error:?}"))?;
    }
    drop(stream);
    OutgoingBody::finish(body, trailers).map_err(word)
}

/// One request from its beginning to its end; a body only where there is one.
pub fn whole(request: OutgoingRequest, bytes: Option<&[u8]>) -> Result<Value, String> {
    let body = bytes.map(|_| request.body()).transpose();
    let body = body.map_err(|()| "no body".to_owned())?;
    let future = send(request, None)?;
    if let (Some(body), Some(bytes)) = (body, bytes) {
        write(body, bytes, None)?;
    }
    answered(&wait(&future)?)
}

pub fn answered(answer: &IncomingResponse) -> Result<Value, String> {
    let headers: Vec<(String, String)> = answer
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let body = read(answer)?;
    Ok(
        json!({ "status": answer.status(), "headers": headers, "body": String::from_utf8_lossy(&body) }),
    )
}

/// What came of it, as JSON.
pub fn told(result: Result<Value, String>) -> Value {
    result.unwrap_or_else(|error| json!({ "refused": error }))
}

pub fn get(path: &str) -> Value {
    told(to_app(&Method::Get, path, &Vec::new()).and_then(|request| whole(request, None)))
}
