//! Step 2: where a request goes, parsed once and decided once.
//!
//! One parser (`url`, the WHATWG one) reads the URL; the decision is made on its result, and the request
//! that leaves is written from that same result. Two parsers that disagree about where a host ends are how
//! allow-lists are walked around.
//!
//! Everything here is about the *logical* URL, the one that manifests speak of; origin overrides come after.

use http::{Method, Uri};
use url::{Host, Url};

use crate::address::AddressFilter;
use crate::error::{EgressError, UrlFault};
use crate::origins::Origins;
use crate::pass::{Methods, Pass, Purpose};
use crate::place;
use crate::secret::Place;

/// The absolute URL that a request means. A relative one (`/path?query`) is *appended* to the base URL's
/// path, as manifests have it; it cannot leave the base URL's origin, whatever it contains.
pub(crate) fn absolute(base: Option<&Url>, given: &Uri) -> Result<Url, EgressError> {
    let text = given.to_string();
    if given.scheme().is_some() && given.authority().is_some() {
        return Url::parse(&text).map_err(|_| EgressError::BadUrl(UrlFault::Unreadable));
    }
    if given.scheme().is_some() || given.authority().is_some() || !text.starts_with('/') {
        return Err(EgressError::BadUrl(UrlFault::Unreadable));
    }
    let base = base.ok_or(EgressError::BadUrl(UrlFault::NoBase))?;
    let mut url = base.clone();
    url.set_fragment(None);
    url.set_path(&format!(
        "{}{}",
        base.path().trim_end_matches('/'),
        given.path()
    ));
    let query: Vec<&str> = [base.query(), given.query()]
        .into_iter()
        .flatten()
        .filter(|query| !query.is_empty())
        .collect();
    url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
    Ok(url)
}

/// Whether this call may use this method here.
pub(crate) fn check_method(pass: &Pass, method: &Method, url: &Url) -> Result<(), EgressError> {
    let refused = |why| {
        Err(EgressError::MethodNotAllowed {
            method: method.to_string(),
            why,
        })
    };
    // Extension methods keep their case, so `connect` would be another method to us and perhaps not to
    // the upstream.
    let upper = method.as_str().to_ascii_uppercase();
    if upper == "CONNECT" || upper == "TRACE" {
        return refused("it is never sent");
    }
    let reading = *method == Method::GET || *method == Method::HEAD || *method == Method::OPTIONS;
    match &pass.methods {
        Methods::Any => Ok(()),
        _ if reading => Ok(()),
        Methods::ReadOnlyAnd(safe)
            if safe
                .iter()
                .any(|safe| safe.method == *method && safe.path == url.path()) =>
        {
            Ok(())
        }
        _ => refused("this call may only read; the manifest can mark a request as safe"),
    }
}

/// Whether this call may reach this URL.
pub(crate) fn check_url(
    pass: &Pass,
    url: &Url,
    filter: &AddressFilter,
    origins: &Origins,
) -> Result<(), EgressError> {
    let bad = |fault| Err(EgressError::BadUrl(fault));
    if url.scheme() != "https" {
        return bad(UrlFault::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad(UrlFault::UserInfo);
    }
    match url.host() {
        None => return bad(UrlFault::Unreadable),
        Some(Host::Domain("")) => return bad(UrlFault::Unreadable),
        Some(Host::Domain(name)) if name.ends_with('.') => return bad(UrlFault::TrailingDot),
        Some(Host::Domain(_)) => {}
        Some(Host::Ipv4(ip)) if filter.is_excepted(ip.into()) => {}
        Some(Host::Ipv6(ip)) if filter.is_excepted(ip.into()) => {}
        // Overridden: the address itself is never contacted.
        Some(_) if origins.find(url).is_some() => {}
        Some(_) => return bad(UrlFault::IpLiteral),
    }
    let implied = pass
        .base_url
        .as_ref()
        .is_some_and(|base| base.origin() == url.origin());
    if !implied && !pass.hosts.allows(url) {
        return Err(EgressError::HostNotAllowed {
            host: shown_host(url),
            hint: match pass.purpose {
                Purpose::Guest | Purpose::Proxy => {
                    "add it to api.hosts in the manifest and let the operator grant it"
                }
                Purpose::Flow => "pin its origin in the app's configuration",
            },
        });
    }
    Ok(())
}

/// Refuses a query parameter that the host fills in with a credential: two of one name are read
/// differently by different upstreams.
pub(crate) fn check_query(pass: &Pass, url: &Url) -> Result<(), EgressError> {
    if pass.purpose == Purpose::Flow {
        return Ok(());
    }
    for name in place::names(url.query().unwrap_or_default().as_bytes()) {
        // Told by the name that the manifest gives it, whatever the caller's spelling.
        let taken = pass
            .credentials()
            .find_map(|credential| credential.filled_in(Place::Query, &name));
        if let Some(declared) = taken {
            return Err(EgressError::ForbiddenParameter(declared));
        }
    }
    Ok(())
}

/// The URL as the HTTP client takes it, with proof that the client reads the same host and port.
pub(crate) fn wire_uri(url: &Url) -> Result<Uri, EgressError> {
    let unreadable = EgressError::BadUrl(UrlFault::Unreadable);
    let mut url = url.clone();
    url.set_fragment(None);
    let uri = Uri::try_from(url.as_str()).map_err(|_| unreadable.clone())?;
    let same = uri.scheme_str() == Some(url.scheme())
        && uri.host() == url.host_str()
        && uri.port_u16() == url.port()
        && uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
    if same { Ok(uri) } else { Err(unreadable) }
}

/// Host, and port where it is not 443.
pub(crate) fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
