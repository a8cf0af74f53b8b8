//! Endpoints that are found out: metadata of an authorization server (RFC 8414, OpenID Connect Discovery), and of a
//! protected resource that names one (RFC 9728; how MCP servers are connected).
//!
//! Everything here is said by a server that somebody typed the address of. So a document counts only for whom it says it is
//! about: `issuer` must be exactly the issuer that was asked, `resource` the resource. Each endpoint is https, without
//! user-info and fragment; where its host leads is checked by egress when it is used, like any other (A21). What is found is
//! pinned in the flow and in the connection.
//!
//! An issuer with a hole (`{tenantid}`; Microsoft's) counts only where the manifest declares exactly that text, and then the
//! `id_token` has to say which tenant it is ([`super::id_token`]).
//!
//! Left out: signed metadata, `logo_uri` and every other link, which are never fetched.

use keyport_manifest::{Discover, Oauth2, PlainRequest, PlainResponse, Scope};
use keyport_vault::Owner;
use serde::Deserialize;
use url::Url;

use super::failure::TokenFailure;
use super::found::Fetch;
use crate::engine::Engine;
use crate::record::Endpoints;

/// The largest text of a metadata document that is used.
const LONGEST_TEXT: usize = 2048;

/// What was found out.
pub(crate) struct Found {
    pub(crate) endpoints: Endpoints,
    /// Where a client is registered (RFC 7591).
    pub(crate) registration: Option<String>,
    /// Whether callbacks always carry `iss` (RFC 9207, 3).
    pub(crate) issuer_required: bool,
    /// What the resource wants to be asked for, where the manifest names no scopes.
    pub(crate) scopes: Vec<String>,
}

/// Metadata of an authorization server: the members that are used, and no others.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint: Option<String>,
    #[serde(default)]
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    registration_endpoint: Option<String>,
    #[serde(default)]
    revocation_endpoint: Option<String>,
    #[serde(default)]
    jwks_uri: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
}

/// Metadata of a protected resource.
#[derive(Deserialize)]
struct Protected {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// What a resource said about itself.
struct Resource {
    uri: Option<String>,
    servers: Vec<String>,
    scopes: Vec<String>,
}

impl Engine {
    /// Finds out where a method signs in; `None` where its manifest writes that down. What is written down beside it counts
    /// more than what was found.
    pub(crate) async fn find_out(
        &self,
        owner: &Owner,
        oauth: &Oauth2,
        scope: &Scope,
    ) -> Result<Option<Found>, TokenFailure> {
        let bad = |_| TokenFailure::misconfigured("bad_discovery_url");
        let Some(at) = oauth.found_at(scope).map_err(bad)? else {
            return Ok(None);
        };
        let resource = match &oauth.discover {
            Some(Discover::Resource(_)) => self.resource(owner, &at).await?,
            _ => Resource {
                uri: None,
                servers: vec![at],
                scopes: Vec::new(),
            },
        };
        // The resource may name several; the first that can be used is. A server that is down is not passed over in silence.
        let mut trouble = TokenFailure::misconfigured("no_authorization_server");
        for issuer in resource.servers.iter().take(4) {
            // A resource names servers of its own choice: none of them may say that it is many.
            let pattern = oauth
                .issuer_pattern
                .as_deref()
                .filter(|_| resource.uri.is_none());
            match self.server(owner, issuer, pattern).await {
                Ok(metadata) => return self.found(oauth, scope, metadata, &resource).map(Some),
                Err(failure) => trouble = failure,
            }
        }
        Err(trouble)
    }

    /// The metadata of an authorization server, by either of the standards.
    async fn server(
        &self,
        owner: &Owner,
        issuer: &str,
        pattern: Option<&str>,
    ) -> Result<Metadata, TokenFailure> {
        let url = https(issuer).ok_or_else(|| TokenFailure::misconfigured("bad_issuer"))?;
        let mut trouble = TokenFailure::misconfigured("no_metadata");
        for at in well_known(&url) {
            match self.document(owner, &at).await {
                Ok(document) => {
                    let metadata: Metadata = serde_json::from_slice(&document)
                        .map_err(|_| TokenFailure::misconfigured("metadata_unreadable"))?;
                    // Exactly, as text: anything else lets a server speak for another one.
                    if metadata.issuer != pattern.unwrap_or(issuer) {
                        return Err(TokenFailure::misconfigured("wrong_issuer"));
                    }
                    return Ok(metadata);
                }
                Err(failure @ (TokenFailure::Down { .. } | TokenFailure::Misconfigured { .. })) => {
                    return Err(failure);
                }
                Err(failure) => trouble = failure,
            }
        }
        Err(trouble)
    }

    /// What a protected resource says: where its metadata is, by a 401 or by its own well-known address.
    async fn resource(&self, owner: &Owner, at: &str) -> Result<Resource, TokenFailure> {
        let url = https(at).ok_or_else(|| TokenFailure::misconfigured("bad_resource"))?;
        // A server that would rather stream than say no is asked at its well-known address.
        let challenge = match self.fetch(owner, &url, get(&url)).await {
            Ok(asked) => challenge(&asked),
            Err(TokenFailure::Down { unseen: false, .. }) => Challenge::default(),
            Err(failure) => return Err(failure),
        };
        let named = challenge
            .metadata
            .as_deref()
            .map(|text| {
                https(text).ok_or_else(|| TokenFailure::misconfigured("bad_resource_metadata"))
            })
            .transpose()?;
        let mut places: Vec<Url> = named.into_iter().collect();
        if places.is_empty() {
            places.extend(inserted(&url, "oauth-protected-resource"));
            if url.path() != "/" {
                places.extend(inserted(&origin_of(&url), "oauth-protected-resource"));
            }
        }
        for place in places {
            match self.document(owner, &place).await {
                Ok(document) => {
                    let said: Protected = serde_json::from_slice(&document)
                        .map_err(|_| TokenFailure::misconfigured("metadata_unreadable"))?;
                    let same =
                        https(&said.resource).is_some_and(|other| same_resource(&other, &url));
                    if !same {
                        return Err(TokenFailure::misconfigured("wrong_resource"));
                    }
                    let mut scopes = challenge.scopes.clone();
                    if scopes.is_empty() {
                        scopes = said.scopes_supported;
                    }
                    return Ok(Resource {
                        uri: Some(said.resource),
                        servers: said.authorization_servers,
                        scopes,
                    });
                }
                Err(TokenFailure::Unreadable { .. }) if challenge.metadata.is_none() => {}
                Err(failure) => return Err(failure),
            }
        }
        // Servers from before RFC 9728 sign people in by themselves.
        Ok(Resource {
            uri: Some(at.to_owned()),
            servers: vec![origin_of(&url).as_str().trim_end_matches('/').to_owned()],
            scopes: challenge.scopes,
        })
    }

    async fn document(&self, owner: &Owner, at: &Url) -> Result<Vec<u8>, TokenFailure> {
        let fetch = Fetch {
            owner,
            url: at,
            at_most: None,
        };
        let kept = self.fetch_document(&fetch, get(at)).await?;
        Ok(kept.document)
    }

    fn found(
        &self,
        oauth: &Oauth2,
        scope: &Scope,
        metadata: Metadata,
        resource: &Resource,
    ) -> Result<Found, TokenFailure> {
        let bad = |_| TokenFailure::misconfigured("bad_token_url");
        let declared = oauth.declared_endpoints(scope).map_err(bad)?;
        let endpoint = |own: Option<Url>, found: Option<String>| match (own, found) {
            (Some(own), _) => Ok(Some(String::from(own))),
            (None, None) => Ok(None),
            (None, Some(text)) => https(&text)
                .map(|url| Some(String::from(url)))
                .ok_or_else(|| TokenFailure::misconfigured("bad_endpoint")),
        };
        // An MCP client must not go on without PKCE, and a server that does not say it has it does not have it.
        let mcp = matches!(oauth.discover, Some(Discover::Resource(_)));
        let s256 = |methods: &Vec<String>| methods.iter().any(|method| method == "S256");
        if mcp
            && !metadata
                .code_challenge_methods_supported
                .as_ref()
                .is_some_and(s256)
        {
            return Err(TokenFailure::misconfigured("no_pkce"));
        }
        let token = endpoint(declared.token, metadata.token_endpoint)?
            .ok_or_else(|| TokenFailure::misconfigured("no_token_endpoint"))?;
        Ok(Found {
            endpoints: Endpoints {
                authorize: endpoint(declared.authorize, metadata.authorization_endpoint)?,
                device: endpoint(declared.device, metadata.device_authorization_endpoint)?,
                token: Some(token),
                refresh: endpoint(declared.refresh, None)?,
                revoke: endpoint(declared.revoke, metadata.revocation_endpoint)?,
                issuer: Some(declared.issuer.unwrap_or(metadata.issuer)),
                jwks: endpoint(None, metadata.jwks_uri)?,
                resource: resource.uri.clone(),
                resources: declared.resources,
                introspect: endpoint(declared.introspect, None)?,
                tenant: None,
                found: true,
                document: metadata.client_id_metadata_document_supported,
            },
            registration: endpoint(None, metadata.registration_endpoint)?,
            issuer_required: metadata.authorization_response_iss_parameter_supported,
            scopes: resource
                .scopes
                .iter()
                .filter(|scope| is_scope(scope))
                .take(100)
                .cloned()
                .collect(),
        })
    }
}

/// An address that may be used: https, no user-info, no fragment, of sane length.
fn https(text: &str) -> Option<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|_| text.len() <= LONGEST_TEXT)?;
    let plain = url.scheme() == "https"
        && url.host_str().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

fn origin_of(url: &Url) -> Url {
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin
}

/// Equal as addresses; a slash at the end of the path is no difference that anybody means.
fn same_resource(a: &Url, b: &Url) -> bool {
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    a.origin() == b.origin() && path(a) == path(b) && a.query() == b.query()
}

/// RFC 8414, 3.1: the well-known part goes between host and path.
fn inserted(url: &Url, name: &str) -> Option<Url> {
    let mut at = url.clone();
    let path = url.path().trim_end_matches('/');
    at.set_path(&format!("/.well-known/{name}{path}"));
    Some(at)
}

/// Where an issuer's metadata may be: inserted (RFC 8414), and appended as OpenID Connect has it.
fn well_known(issuer: &Url) -> Vec<Url> {
    let mut all: Vec<Url> = inserted(issuer, "oauth-authorization-server")
        .into_iter()
        .collect();
    let mut appended = issuer.clone();
    let path = issuer.path().trim_end_matches('/');
    appended.set_path(&format!("{path}/.well-known/openid-configuration"));
    all.push(appended);
    if !path.is_empty() {
        all.extend(inserted(issuer, "openid-configuration"));
    }
    all
}

fn get(url: &Url) -> PlainRequest {
    PlainRequest {
        method: "GET".to_owned(),
        url: url.to_string(),
        headers: vec![
            ("accept".to_owned(), "application/json".to_owned()),
            ("mcp-protocol-version".to_owned(), "2025-06-18".to_owned()),
        ],
        body: None,
    }
}

/// What a 401 asks for (RFC 6750, 3; RFC 9728, 5.1).
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    metadata: Option<String>,
    scopes: Vec<String>,
}

fn challenge(response: &PlainResponse) -> Challenge {
    let mut read = Challenge::default();
    if response.status != 401 {
        return read;
    }
    let headers = response
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    for (_, text) in headers {
        for (name, value) in parameters(text) {
            match name.as_str() {
                "resource_metadata" if read.metadata.is_none() => read.metadata = Some(value),
                "scope" if read.scopes.is_empty() => {
                    read.scopes = value.split_whitespace().map(str::to_owned).collect();
                }
                _ => {}
            }
        }
    }
    read
}

/// The parameters of a challenge (RFC 9110, 11.2), names in lower case, quotes taken off.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before
            .rsplit([' ', ',', '\t'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let value;
        if let Some(quoted) = after.trim_start().strip_prefix('"') {
            let (inside, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            value = inside.to_owned();
            rest = after;
        } else {
            let end = after.find([',', ' ']).unwrap_or(after.len());
            let (bare, after) = after.split_at(end);
            value = bare.to_owned();
            rest = after;
        }
        if !name.is_empty() {
            found.push((name, value));
        }
    }
    found
}

/// RFC 6749, 3.3: printable ASCII without space, quote and backslash.
fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text
            .bytes()
            .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R47: inserted for RFC 8414, appended for OpenID Connect.
    #[test]
    fn r47_metadata_is_looked_for_where_either_standard_has_it() {
        let at = |issuer: &str| -> Vec<String> {
            well_known(&Url::parse(issuer).unwrap())
                .into_iter()
                .map(String::from)
                .collect()
        };
        assert_eq!(
            at("https://a.example"),
            [
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            at("https://a.example/tenant/"),
            [
                "https://a.example/.well-known/oauth-authorization-server/tenant",
                "https://a.example/tenant/.well-known/openid-configuration",
                "https://a.example/.well-known/openid-configuration/tenant"
            ]
        );
    }

    #[test]
    fn a_challenge_is_read_however_its_parameters_are_written() {
        let read = |text: &str| {
            challenge(&PlainResponse {
                status: 401,
                headers: vec![("WWW-Authenticate".into(), text.into())],
                body: Vec::new(),
            })
        };
        assert_eq!(
            read(
                r#"Bearer error="invalid_token", resource_metadata="https://a.example/x?y=z", scope="mcp:tools files""#
            ),
            Challenge {
                metadata: Some("https://a.example/x?y=z".into()),
                scopes: vec!["mcp:tools".into(), "files".into()],
            }
        );
        assert_eq!(
            read("Bearer resource_metadata=https://a.example/x")
                .metadata
                .as_deref(),
            Some("https://a.example/x")
        );
        for odd in ["", "Bearer", "Basic realm=\"x", "=====", "Bearer =\"\""] {
            assert_eq!(read(odd).metadata, None, "{odd}");
        }
    }

    #[test]
    fn an_endpoint_is_a_plain_https_address_or_none() {
        for bad in [
            "http://a.example/t",
            "https://u:p@a.example/t",
            "https://a.example/t#x",
            "javascript:alert(1)",
            "/token",
            "",
        ] {
            assert!(https(bad).is_none(), "{bad}");
        }
        assert!(https("https://a.example/t?x=1").is_some());
        assert!(https(&format!("https://a.example/{}", "x".repeat(3000))).is_none());
    }
}
