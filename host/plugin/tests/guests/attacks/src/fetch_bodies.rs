//! Bodies that are not what they say: longer or shorter than announced, never ended, given up, endless, many together.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing::{self, Method, OutgoingBody};

const MIB: usize = 1 << 20;

fn post(length: Option<usize>, written: usize, ended: bool) -> Result<Value, String> {
    let headers = length.map(|length| ("content-length".to_owned(), length.to_string().into_bytes()));
    let request = outgoing::to_app(&Method::Post, "/me", &headers.into_iter().collect())?;
    let body = request.body().map_err(|()| "no body".to_owned())?;
    let future = outgoing::send(request, None)?;
    let bytes = vec![b'x'; written];
    let wrote = if ended {
        outgoing::write(body, &bytes, None)
    } else {
        drop(body);
        Ok(())
    };
    // What the host says of the request is the answer, whatever became of the stream.
    let answer = outgoing::wait(&future).map(|answer| json!({ "status": answer.status() }));
    match answer {
        Ok(answer) => wrote.map(|()| answer),
        Err(error) => Err(error),
    }
}

/// A length, and not even a beginning of a body.
fn without(length: usize) -> Result<Value, String> {
    let headers = vec![("content-length".to_owned(), length.to_string().into_bytes())];
    let request = outgoing::to_app(&Method::Post, "/me", &headers)?;
    outgoing::whole(request, None)
}

/// Bodies that fit one by one, all open at a time.
fn together(count: usize) -> Result<Value, String> {
    let mut open = Vec::new();
    for _ in 0..count {
        let request = outgoing::to_app(&Method::Post, "/me", &Vec::new())?;
        let body = request.body().map_err(|()| "no body".to_owned())?;
        let future = outgoing::send(request, None)?;
        let stream = body.write().map_err(|()| "taken".to_owned())?;
        for _ in 0..MIB / 4096 / 2 {
            if stream.blocking_write_and_flush(&[b'x'; 4096]).is_err() {
                break;
            }
        }
        drop(stream);
        open.push((future, body));
    }
    let told = open.into_iter().map(|(future, body)| {
        let _ = OutgoingBody::finish(body, None);
        match outgoing::wait(&future) {
            Ok(answer) => json!(answer.status()),
            Err(error) => json!(error),
        }
    });
    Ok(told.collect())
}

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let told = outgoing::told;
    match input.as_str() {
        Some("endless") => Ok(told(post(None, 64 * MIB / 4, true))),
        Some("together") => Ok(told(together(6))),
        _ => Ok(json!({
            "fits": told(post(Some(5), 5, true)),
            "longer": told(post(Some(5), 6, true)),
            "shorter": told(post(Some(5), 4, true)),
            "none": told(post(Some(5), 0, true)),
            "without": told(without(5)),
            "given_up": told(post(None, 0, false)),
            "too_large": told(post(None, MIB + 1, true)),
        })),
    }
}
