//! Step 3: what is added to a request, and to which hosts.
//!
//! The manifest's constants go to every host of the call. A credential goes to its audience and
//! nowhere else: to any other allowed host the request goes without it. Handles become values in their
//! slots only. What signs the whole request comes after all of this, in [`sign`](crate::sign).
//!
//! The order is: look at what the caller wrote (no handle out of its slot), then put values in. The other
//! way round would search the caller's own credential for trouble and find it.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, COOKIE, HeaderValue, USER_AGENT};
use url::Url;
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::error::EgressError;
use crate::handles::{Issued, Placeholders, Slot};
use crate::headers;
use crate::pass::Pass;
use crate::place;
use crate::scrub::Scrubber;
use crate::secret::{Injection, Place};
use crate::slots;

const OUR_NAME: &str = concat!("keyport/", env!("CARGO_PKG_VERSION"));

/// Puts values in place of handles; refuses a handle anywhere else. Gives the body back where it changed.
pub(crate) fn redeem_handles(
    pass: &Pass,
    issued: &[Issued],
    url: &mut Url,
    headers: &mut HeaderMap,
    body: &[u8],
) -> Result<Option<Bytes>, EgressError> {
    let placeholders = Placeholders::of(issued);
    let within: Vec<&Issued> = placeholders.find(body).map(|(_, one)| one).collect();
    let filled = match within.is_empty() {
        true => None,
        false => Some(slots::fill(&placeholders, headers, body)?),
    };
    for handle in issued {
        let placeholder = handle.placeholder.as_bytes();
        if contains(url.path().as_bytes(), placeholder) {
            return Err(EgressError::HandleOutOfSlot("in the url's path"));
        }
        let names = headers
            .keys()
            .any(|name| contains(name.as_str().as_bytes(), placeholder));
        if names {
            return Err(EgressError::HandleOutOfSlot("in a header's name"));
        }
        let in_body = within.iter().any(|one| std::ptr::eq(*one, handle));
        let in_header = redeem_in_headers(handle, headers)?;
        let in_query = redeem_in_query(handle, url)?;
        if (in_header || in_query || in_body) && !meant_for(pass, handle, url) {
            return Err(EgressError::HandleOutOfSlot(
                "in a request to a host that it is not meant for",
            ));
        }
    }
    Ok(filled)
}

fn meant_for(pass: &Pass, handle: &Issued, url: &Url) -> bool {
    match (&handle.audience, &pass.credential) {
        (Some(audience), _) => audience.allows(url),
        (None, Some(credential)) => credential.is_for(url),
        (None, None) => pass
            .base_url
            .as_ref()
            .is_some_and(|base| base.origin() == url.origin()),
    }
}

fn redeem_in_headers(handle: &Issued, headers: &mut HeaderMap) -> Result<bool, EgressError> {
    let mut found = false;
    for (name, value) in headers.iter_mut() {
        let Some(text) = value
            .to_str()
            .ok()
            .filter(|text| text.contains(&handle.placeholder))
        else {
            continue;
        };
        let declared = handle.slots.iter().any(
            |slot| matches!(slot, Slot::Header(slot) if name.as_str().eq_ignore_ascii_case(slot)),
        );
        if !declared {
            return Err(EgressError::HandleOutOfSlot("in a header"));
        }
        let real = Zeroizing::new(text.replace(&handle.placeholder, handle.value.expose()));
        *value = headers::secret_value(name.as_str(), &real)?;
        found = true;
    }
    Ok(found)
}

fn redeem_in_query(handle: &Issued, url: &mut Url) -> Result<bool, EgressError> {
    let Some(query) = url
        .query()
        .filter(|query| query.contains(&handle.placeholder))
    else {
        return Ok(false);
    };
    for piece in query
        .split('&')
        .filter(|piece| piece.contains(&handle.placeholder))
    {
        let name = url::form_urlencoded::parse(piece.as_bytes())
            .next()
            .map(|(name, _)| name);
        let in_value = piece
            .split_once('=')
            .is_some_and(|(name, _)| !name.contains(&handle.placeholder));
        let declared = handle
            .slots
            .iter()
            .any(|slot| matches!(slot, Slot::Query(slot) if name.as_deref() == Some(slot)));
        // Some part pairs at `;`, too: what is behind one would be another parameter to them.
        if !in_value || !declared || piece.contains(';') {
            return Err(EgressError::HandleOutOfSlot("in the url's query"));
        }
    }
    let encoded: String = byte_serialize(handle.value.expose().as_bytes()).collect();
    let real = query.replace(&handle.placeholder, &encoded);
    url.set_query(Some(&real));
    Ok(true)
}

/// Adds the manifest's constants where the caller left room, our name, and the wish for an unencoded
/// answer.
pub(crate) fn constants(
    pass: &Pass,
    url: &mut Url,
    map: &mut HeaderMap,
) -> Result<(), EgressError> {
    for (name, value) in &pass.fixed_headers {
        let value = headers::plain_value(name, value)?;
        map.entry(headers::name(name)?).or_insert(value);
    }
    for (name, value) in &pass.fixed_query {
        if !url.query_pairs().any(|(known, _)| known == name.as_str()) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    map.entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(OUR_NAME));
    map.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(())
}

/// Attaches every credential whose audience the URL is in. Replaces what stands in headers and query; gives the body back,
/// changed where a part belongs into it.
pub(crate) fn credentials(
    pass: &Pass,
    url: &mut Url,
    map: &mut HeaderMap,
    mut body: Option<Bytes>,
) -> Result<Option<Bytes>, EgressError> {
    let at = url.clone();
    for credential in pass.credentials().filter(|known| known.is_for(&at)) {
        body = parts(&credential.parts, url, map, body)?;
    }
    Ok(body)
}

/// Whether some part goes into the body of a request to this URL, so that it has to be at hand.
pub(crate) fn needs_body(pass: &Pass, url: &Url) -> bool {
    pass.credentials()
        .filter(|known| known.is_for(url))
        .flat_map(|known| &known.parts)
        .any(|part| part.place == Place::Body)
}

/// Puts parts in their places.
pub(crate) fn parts(
    parts: &[Injection],
    url: &mut Url,
    map: &mut HeaderMap,
    mut body: Option<Bytes>,
) -> Result<Option<Bytes>, EgressError> {
    for part in parts {
        match part.place {
            Place::Header => {
                let value = headers::secret_value(&part.name, part.value.expose())?;
                map.insert(headers::name(&part.name)?, value);
            }
            Place::Cookie => put_cookie(map, part)?,
            Place::Query => {
                without_parameter(url, &part.name);
                url.query_pairs_mut()
                    .append_pair(&part.name, part.value.expose());
            }
            Place::Body => {
                let bytes = body.as_deref().ok_or(EgressError::NoPlaceInBody)?;
                body = Some(place::put(map, bytes, &part.name, &part.value)?.into());
            }
        }
    }
    Ok(body)
}

/// Every secret that the call knows by now, and what was derived from them, to be searched for in what comes back.
pub(crate) fn scrubber(pass: &Pass) -> Scrubber {
    let known = pass.credentials().flat_map(|known| &known.scrub);
    Scrubber::new(known.chain(&pass.handles.values()))
}

/// Whether a redirect's target spells out a secret of the call towards a host that is not its audience: an
/// upstream that echoes the query in `Location` would otherwise make us deliver the credential ourselves.
pub(crate) fn leaks(pass: &Pass, next: &Url) -> bool {
    let foreign = pass
        .credentials()
        .filter(|known| !known.is_for(next))
        .flat_map(|known| &known.scrub);
    let at_home = pass.credentials().any(|known| known.is_for(next));
    let values = pass.handles.values();
    let rest = values.iter().filter(|_| !at_home);
    let text = next.as_str();
    Scrubber::new(foreign.chain(rest)).text(text) != text
}

/// Adds one pair to the `cookie` header, in place of one of the same name. A value that holds a separator would be read as a
/// second cookie of the upstream's choosing, so it is refused (RFC 6265, 4.1.1 leaves out more; what user agents send is let
/// through).
fn put_cookie(map: &mut HeaderMap, part: &Injection) -> Result<(), EgressError> {
    let unsendable = || EgressError::Unsendable(part.name.clone());
    let value = part.value.expose();
    let one_pair = |text: &str| text.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b';');
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if part.name.is_empty()
        || !part.name.bytes().all(token)
        || !one_pair(value)
        || value.trim() != value
    {
        return Err(unsendable());
    }
    let mut line = Zeroizing::new(String::new());
    for known in map.get_all(COOKIE) {
        let known = known.to_str().map_err(|_| unsendable())?;
        for pair in known.split(';').map(str::trim) {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if !pair.is_empty() && name != part.name {
                line.push_str(pair);
                line.push_str("; ");
            }
        }
    }
    line.push_str(&part.name);
    line.push('=');
    line.push_str(value);
    map.insert(COOKIE, headers::secret_value("cookie", &line)?);
    Ok(())
}

fn without_parameter(url: &mut Url, name: &str) {
    if !url.query_pairs().any(|(known, _)| known == name) {
        return;
    }
    let kept: Vec<&str> = url
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|piece| {
            url::form_urlencoded::parse(piece.as_bytes()).all(|(known, _)| known != name)
        })
        .collect();
    let kept = kept.join("&");
    url.set_query(
        Some(&kept)
            .filter(|kept| !kept.is_empty())
            .map(String::as_str),
    );
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
#[path = "attach_tests.rs"]
mod tests;
