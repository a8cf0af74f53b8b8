//! From the values a person typed to the URLs and hosts of their connection.
//!
//! This is where a value may decide *where a secret goes*, so nothing is taken on trust (attack: a sub-domain field filled
//! with `evil.example/`, an origin with user-info, a captured `instance_url` of somebody else's server):
//!
//! 1. every value is checked again by its field's or capture's own declaration;
//! 2. it is rendered in a slot that only takes host characters;
//! 3. the parsed URL must have exactly the host that was rendered, https, and no user-info.
//!
//! Whether the address behind the host is private is the egress's business.

use serde_json::{Map, Value};
use url::Url;

use crate::hosts::{AllowedHosts, HostError, HostPattern};
use crate::model::{
    CredentialRef, Discover, FieldError, Manifest, Oauth2, Oauth2Grant, Revoke, VARIANT_FIELD,
};
use crate::scope::Scope;
use crate::template::{Part, RenderError, Slot, Template};

/// The API of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedApi {
    /// Relative URLs resolve against it.
    pub base_url: Url,
    /// Every host that requests may go to, `base_url`'s first.
    pub hosts: AllowedHosts,
    /// Headers that every request to the API carries.
    pub headers: Vec<(String, String)>,
    /// Query parameters that every request to the API carries.
    pub query: Vec<(String, String)>,
    audiences: Vec<(CredentialRef, HostPattern)>,
}

impl ResolvedApi {
    /// The hosts that get a credential. `base_url`'s host gets the main one.
    #[must_use]
    pub fn audience(&self, credential: &CredentialRef) -> AllowedHosts {
        self.audiences
            .iter()
            .filter(|(c, _)| c == credential)
            .map(|(_, p)| p.clone())
            .collect()
    }
}

/// The OAuth endpoints of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Where the person is sent; grants without a person there have none.
    pub authorize: Option<Url>,
    /// Where a device asks for its code (RFC 8628).
    pub device: Option<Url>,
    /// Where codes are exchanged.
    pub token: Url,
    /// Where tokens are refreshed; the token URL if the manifest names no other.
    pub refresh: Url,
    /// Where tokens are revoked (RFC 7009), if so declared.
    pub revoke: Option<Url>,
    /// Where a token is asked about (RFC 7662), if so declared.
    pub introspect: Option<Url>,
    /// What the token is for (RFC 8707).
    pub resources: Vec<String>,
    /// What `iss` must equal.
    pub issuer: Option<String>,
}

impl Endpoints {
    /// The origins that receive the client's secret or tokens: token, refresh, revoke and introspection, each once. These are what an app
    /// configuration pins.
    #[must_use]
    pub fn secret_origins(&self) -> Vec<String> {
        let mut all = Vec::new();
        let secret = [
            Some(&self.token),
            Some(&self.refresh),
            self.revoke.as_ref(),
            self.introspect.as_ref(),
        ];
        for url in secret.into_iter().flatten() {
            let origin = url.origin().ascii_serialization();
            if !all.contains(&origin) {
                all.push(origin);
            }
        }
        all
    }
}

/// The OAuth endpoints that a manifest writes down, for sign-ins that find out the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeclaredEndpoints {
    /// Where the person is sent.
    pub authorize: Option<Url>,
    /// Where a device asks for its code.
    pub device: Option<Url>,
    /// Where codes are exchanged.
    pub token: Option<Url>,
    /// Where tokens are refreshed, if elsewhere.
    pub refresh: Option<Url>,
    /// Where tokens are revoked (RFC 7009).
    pub revoke: Option<Url>,
    /// Where a token is asked about (RFC 7662).
    pub introspect: Option<Url>,
    /// What the token is for (RFC 8707), as it is written.
    pub resources: Vec<String>,
    /// What `iss` must equal.
    pub issuer: Option<String>,
}

/// Why URLs or hosts could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A typed value is not what its field asks for.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A template lacks a value, or a value is not safe where it stands.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The rendered text is not an https URL whose host is the one that was rendered.
    #[error("`{template}` does not make a safe https address with these values")]
    NotAUrl {
        /// The template, not its result.
        template: String,
    },
    /// The manifest does not write this endpoint down: another grant is used, or it is to be discovered.
    #[error("the manifest declares no `{key}` for this way to sign in")]
    NotDeclared {
        /// The key.
        key: &'static str,
    },
    /// A host entry does not make a host pattern.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Manifest {
    /// The API of a connection: base URL, hosts and what every request carries.
    ///
    /// `scope` holds the public values: `fields`, and `capture` and `credentials` where the manifest uses public ones.
    ///
    /// # Errors
    /// A value that its field refuses or that is not safe in a host; a template without its value.
    pub fn resolve(&self, scope: &Scope) -> Result<ResolvedApi, ResolveError> {
        self.resolved(&self.api.base_url, scope)
    }

    /// The same of a connection that signed in by `method`, which may have a base URL of its own.
    ///
    /// # Errors
    /// As [`Manifest::resolve`].
    pub fn resolve_for(&self, method: &str, scope: &Scope) -> Result<ResolvedApi, ResolveError> {
        self.resolved(self.base_url_for(method), scope)
    }

    fn resolved(&self, base_url: &Template, scope: &Scope) -> Result<ResolvedApi, ResolveError> {
        let scope = self.checked(scope)?;
        let base_url = url_of(base_url, &scope)?;
        let base_host = HostPattern::of_url(&base_url)?;
        let mut audiences = vec![(CredentialRef::Main, base_host)];
        for entry in &self.api.hosts {
            let text = entry.host.render(&scope, host_slot(&entry.host))?;
            audiences.push((entry.credential.clone(), text.parse()?));
        }
        let hosts = audiences.iter().map(|(_, p)| p.clone()).collect();
        let mut headers = Vec::new();
        for (name, template) in &self.api.headers {
            headers.push((name.clone(), template.render(&scope, Slot::Header)?));
        }
        let mut query = Vec::new();
        for (name, template) in &self.api.query {
            query.push((name.clone(), template.render(&scope, Slot::Raw)?));
        }
        Ok(ResolvedApi {
            base_url,
            hosts,
            headers,
            query,
            audiences,
        })
    }

    /// The OAuth endpoints of a connection; `None` where the method does not exist or is not OAuth.
    ///
    /// # Errors
    /// As [`Manifest::resolve`].
    pub fn endpoints(
        &self,
        method: &str,
        scope: &Scope,
    ) -> Result<Option<Endpoints>, ResolveError> {
        match self.auth.get(method).and_then(|m| m.oauth2()) {
            Some(oauth) => oauth.endpoints(&self.checked(scope)?).map(Some),
            None => Ok(None),
        }
    }

    /// A scope of public app fields from typed values: each checked, defaults filled in. Unknown names are ignored; secret
    /// fields are left out.
    ///
    /// # Errors
    /// The first field that refuses its value.
    pub fn public_fields(&self, typed: &Map<String, Value>) -> Result<Scope, FieldError> {
        let mut scope = Scope::new();
        scope.set("fields", Value::Object(Map::new()));
        let text_of = |id: &str| typed.get(id).and_then(Value::as_str);
        let value_of = |id: &str| {
            let default = || self.fields.iter().find(|f| f.id == id)?.default.as_deref();
            text_of(id)
                .filter(|t| !t.trim().is_empty())
                .or_else(default)
        };
        for field in self
            .app_fields()
            .filter(|f| !f.secret && f.is_shown(value_of))
        {
            let text = text_of(&field.id).unwrap_or_default();
            scope.set_value("fields", &field.id, Value::String(field.parse(text)?));
        }
        Ok(self.with_variant(&scope))
    }

    /// What the root `variant` holds: the constants of the chosen variant, or of the default one. `None` where the app has
    /// no variants, or none of that key.
    #[must_use]
    pub fn variant_values(&self, chosen: Option<&str>) -> Option<Value> {
        let variants = self.variants.as_ref()?;
        variants.values(chosen.or(variants.default.as_deref())?)
    }

    /// The scope with the root `variant`, as the stored field of that name chooses it.
    #[must_use]
    pub fn with_variant(&self, scope: &Scope) -> Scope {
        let mut out = scope.clone();
        let chosen = scope.get("fields", VARIANT_FIELD).and_then(Value::as_str);
        if let Some(values) = self.variant_values(chosen) {
            out.set("variant", values);
        }
        out
    }

    /// The scope with every app field and capture checked again by its own declaration, and with the constants of the chosen
    /// variant.
    ///
    /// # Errors
    /// A value that its field refuses, or a captured host that is not of its declared form.
    pub fn checked(&self, scope: &Scope) -> Result<Scope, ResolveError> {
        let mut out = scope.clone();
        let given = |id: &str| scope.get("fields", id).and_then(Value::as_str);
        for field in self.app_fields() {
            if let Some(text) = given(&field.id).map(str::to_owned) {
                out.set_value("fields", &field.id, Value::String(field.parse(&text)?));
            } else if let Some(default) = &field.default {
                out.set_value("fields", &field.id, Value::String(default.clone()));
            }
        }
        if let Some(values) = self.variant_values(given(VARIANT_FIELD)) {
            out.set("variant", values);
        }
        let captures = self
            .auth
            .values()
            .flat_map(crate::model::AuthMethod::captures);
        let found = self.discovery.iter().flat_map(|step| {
            step.capture
                .iter()
                .map(|(id, capture)| (id.as_str(), capture))
        });
        for (id, capture) in captures
            .chain(found)
            .filter(|(_, c)| c.format.is_host_safe())
        {
            if let Some(text) = scope.get("capture", id).and_then(Value::as_str)
                && capture.check(text).is_none()
            {
                return Err(RenderError::Unsafe {
                    expression: format!("capture.{id}"),
                    slot: "host name",
                    reason: "it is not of the declared form",
                }
                .into());
            }
        }
        Ok(out)
    }
}

impl Oauth2 {
    /// The endpoints for these values (`fields`, `capture` as far as they are known). The values are taken as checked;
    /// [`Manifest::endpoints`] checks them again first and is the one to call with anything that a person typed.
    ///
    /// # Errors
    /// A template without its value, or a value that is not safe where it stands.
    pub fn endpoints(&self, scope: &Scope) -> Result<Endpoints, ResolveError> {
        let made = self.declared_endpoints(scope)?;
        let needed = |key: &'static str| ResolveError::NotDeclared { key };
        let token = made.token.ok_or_else(|| needed("token_url"))?;
        match self.grant {
            grant if grant.has_page() && made.authorize.is_none() => {
                return Err(needed("authorize_url"));
            }
            Oauth2Grant::Device if made.device.is_none() => return Err(needed("device_url")),
            _ => {}
        }
        Ok(Endpoints {
            authorize: made.authorize,
            device: made.device,
            refresh: made.refresh.unwrap_or_else(|| token.clone()),
            revoke: made.revoke,
            introspect: made.introspect,
            resources: made.resources,
            issuer: made.issuer,
            token,
        })
    }

    /// The endpoints that are written down and known with these values. Where `discover` is said, the rest is found out; where
    /// one is made of a capture, it is known once that was captured.
    ///
    /// # Errors
    /// A template without its value, or a value that is not safe where it stands.
    pub fn declared_endpoints(&self, scope: &Scope) -> Result<DeclaredEndpoints, ResolveError> {
        // What a callback or an answer has yet to say is not known before it has been said.
        let later = |template: &Template, error: &ResolveError| {
            matches!(error, ResolveError::Render(RenderError::Missing(_)))
                && template.refs().iter().any(|r| r.root == "capture")
        };
        let declared = |template: &Option<Template>| match template {
            None => Ok(None),
            Some(template) => match url_of(template, scope) {
                Err(error) if later(template, &error) => Ok(None),
                made => made.map(Some),
            },
        };
        Ok(DeclaredEndpoints {
            authorize: declared(&self.authorize_url)?,
            device: declared(&self.device_url)?,
            token: declared(&self.token_url)?,
            refresh: declared(&self.refresh_url)?,
            revoke: match &self.revoke {
                Some(Revoke::Rfc7009 { url }) => declared(&Some(url.clone()))?,
                _ => None,
            },
            introspect: declared(&self.introspect_url)?,
            resources: self
                .resources
                .iter()
                .map(|template| resource(template, scope))
                .collect::<Result<_, _>>()?,
            // Compared as text (RFC 9207, 2.4), so it is not brought into another form.
            issuer: match &self.issuer {
                Some(template) => Some(as_written(template, scope)?),
                None => None,
            },
        })
    }

    /// Where the endpoints are found out from: the address as it is written, for an issuer or a resource is compared as text.
    ///
    /// # Errors
    /// As [`Oauth2::declared_endpoints`].
    pub fn found_at(&self, scope: &Scope) -> Result<Option<String>, ResolveError> {
        match &self.discover {
            Some(Discover::Issuer(template) | Discover::Resource(template)) => {
                as_written(template, scope).map(Some)
            }
            None => Ok(None),
        }
    }
}

/// What a token is for: an absolute URI without a fragment (RFC 8707, 2), in its own words.
fn resource(template: &Template, scope: &Scope) -> Result<String, ResolveError> {
    let text = template.render(scope, Slot::Raw)?;
    match Url::parse(&text) {
        Ok(uri) if uri.fragment().is_none() => Ok(text),
        _ => Err(ResolveError::NotAUrl {
            template: template.source().to_owned(),
        }),
    }
}

/// A checked address in the words of its template: what is compared as text is not brought into another form.
fn as_written(template: &Template, scope: &Scope) -> Result<String, ResolveError> {
    let url = url_of(template, scope)?;
    let text = template.render(scope, Slot::Raw)?;
    Ok(if Url::parse(&text).ok().as_ref() == Some(&url) {
        text
    } else {
        url.into()
    })
}

/// Renders a template of a whole URL, each hole by where it stands, and checks what came out.
///
/// # Errors
/// See [`ResolveError`].
pub fn url_of(template: &Template, scope: &Scope) -> Result<Url, ResolveError> {
    let bad = || ResolveError::NotAUrl {
        template: template.source().to_owned(),
    };
    let (text, authority) = render_url(template, scope)?;
    let url = Url::parse(&text).map_err(|_| bad())?;
    let same_host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            url.host_str() == Some(host) && url.port_or_known_default() == port.parse().ok()
        }
        _ => url.host_str() == Some(authority.as_str()) && url.port_or_known_default() == Some(443),
    };
    let clean = url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && same_host;
    if clean { Ok(url) } else { Err(bad()) }
}

/// Where in a URL the next hole stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum UrlPart {
    /// Before anything: the hole is the whole origin.
    Origin,
    /// In the host.
    Host,
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In the fragment, or in the scheme or user-info: nothing may stand there.
    Elsewhere,
}

/// Which part of a URL follows the text `before`.
pub(crate) fn url_part(before: &str) -> UrlPart {
    if before.is_empty() {
        return UrlPart::Origin;
    }
    let rest = match before.split_once("://") {
        Some(("https", rest)) => rest,
        // A hole that was an origin stands for `https://host`.
        _ if before.starts_with('\u{1}') => before,
        _ => return UrlPart::Elsewhere,
    };
    if rest.contains('#')
        || rest
            .split(['/', '?'])
            .next()
            .is_some_and(|a| a.contains('@'))
    {
        UrlPart::Elsewhere
    } else if rest.contains('?') {
        UrlPart::Query
    } else if rest.contains('/') {
        UrlPart::Path
    } else {
        UrlPart::Host
    }
}

/// The parts of a URL that each hole of a template stands in, with the text right after it.
#[cfg(feature = "yaml")]
pub(crate) fn url_holes(template: &Template) -> Vec<(String, UrlPart)> {
    let mut before = String::new();
    let mut holes = Vec::new();
    for part in template.parts() {
        match part {
            Part::Literal(text) => before.push_str(text),
            Part::Expr { source, .. } => {
                holes.push((source.clone(), url_part(&before)));
                before.push('\u{1}');
            }
        }
    }
    holes
}

fn render_url(template: &Template, scope: &Scope) -> Result<(String, String), ResolveError> {
    let bad = || ResolveError::NotAUrl {
        template: template.source().to_owned(),
    };
    let mut shape = String::new();
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Literal(literal) => {
                shape.push_str(literal);
                text.push_str(literal);
            }
            Part::Expr { source, refs } => {
                let part = url_part(&shape);
                let decides_host = matches!(part, UrlPart::Origin | UrlPart::Host);
                // Only what `checked` has checked again may decide where a secret goes.
                if decides_host
                    && !refs
                        .iter()
                        .all(|r| matches!(r.root.as_str(), "fields" | "capture" | "variant"))
                {
                    return Err(bad());
                }
                let slot = match part {
                    UrlPart::Origin => Slot::Base,
                    UrlPart::Host => Slot::Host,
                    UrlPart::Path => Slot::PathSegment,
                    UrlPart::Query => Slot::Query,
                    UrlPart::Elsewhere => return Err(bad()),
                };
                shape.push('\u{1}');
                let hole = Template::parse(&format!("{{{{ {source} }}}}")).map_err(|_| bad())?;
                text.push_str(&hole.render(scope, slot)?);
            }
        }
    }
    let rest = text.strip_prefix("https://").ok_or_else(bad)?;
    let authority = rest
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default()
        .to_owned();
    let path = rest.get(authority.len()..).unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.split('/').any(|s| s == "." || s == "..") {
        return Err(bad());
    }
    Ok((text, authority))
}

/// Host entries are labels under a suffix, or a whole host or origin.
fn host_slot(template: &Template) -> Slot {
    match template.parts().first() {
        Some(Part::Expr { source, .. }) if template.lone_expression() == Some(source.as_str()) => {
            Slot::Raw
        }
        _ => Slot::Host,
    }
}

#[cfg(test)]
mod tests;
