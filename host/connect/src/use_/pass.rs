//! The right to one call, built from manifest, configuration and connection.
//!
//! Hosts are those that the manifest names, that the operator grants, *and* that were so when the person agreed: a
//! manifest that grows a host does not widen connections that exist. The credential is rendered here and handed to
//! egress, which attaches it; neither a component nor a proxied request ever holds it.

use keyport_egress::{Credential, Identity, Injection, Methods, Pass, Place, Purpose, Secret};
use keyport_manifest::{
    AllowedHosts, CertificateAt, CredentialRef, HostPattern, ResolvedApi, Scope, Slot,
};
use keyport_vault::Owner;

use super::scope;
use crate::catalogue::AppEntry;
use crate::error::ConnectError;
use crate::record::ConnectionSealed;
use crate::view::{AccountView, GrantsView};

/// What a pass is made of.
pub(crate) struct PassParts<'a> {
    pub(crate) entry: &'a AppEntry,
    pub(crate) owner: &'a Owner,
    pub(crate) method: &'a str,
    pub(crate) sealed: &'a ConnectionSealed,
    pub(crate) account: Option<&'a AccountView>,
    pub(crate) grants: Option<&'a GrantsView>,
}

impl PassParts<'_> {
    /// The pass, and the scope that it was rendered with.
    pub(crate) fn build(&self, purpose: Purpose) -> Result<(Pass, Scope), ConnectError> {
        let scope = self
            .entry
            .manifest
            .with_variant(&scope::of_connection(self.sealed, self.account));
        let api = scope::api(self.entry, self.method, &scope)?;
        let hosts = self.narrowed(&api);
        // Egress lets the base URL's own host through, so whether it may be called is decided here.
        if !hosts.allows(&api.base_url) {
            return Err(ConnectError::misconfigured(
                "host_not_granted",
                "the operator does not allow this app's host, or it has changed since this account was connected",
            ));
        }
        let mut pass = Pass::new(self.owner.as_str(), purpose, hosts);
        pass.credential = Some(self.credential(&api, &scope, &CredentialRef::Main)?);
        pass.further = self.further(&api, &scope)?;
        pass.identity = self.certificate(&api, &scope)?;
        pass.reserved_headers = self.entry.manifest.reserved_headers(self.method);
        pass.fixed_headers = api.headers;
        pass.fixed_query = api.query;
        pass.base_url = Some(api.base_url);
        pass.methods = Methods::Any;
        Ok((pass, scope))
    }

    fn narrowed(&self, api: &ResolvedApi) -> AllowedHosts {
        let agreed: Vec<HostPattern> = self
            .sealed
            .hosts
            .iter()
            .filter_map(|host| host.parse().ok())
            .collect();
        let granted: Option<Vec<HostPattern>> = self
            .grants
            .and_then(|grants| grants.hosts.as_ref())
            .map(|hosts| hosts.iter().filter_map(|host| host.parse().ok()).collect());
        api.hosts
            .iter()
            .filter(|host| agreed.is_empty() || agreed.iter().any(|known| known.covers(host)))
            .filter(|host| {
                granted
                    .as_ref()
                    .is_none_or(|granted| granted.iter().any(|known| known.covers(host)))
            })
            .cloned()
            .collect()
    }

    /// The certificate that an OAuth client shows at the API too.
    fn certificate(
        &self,
        api: &ResolvedApi,
        scope: &Scope,
    ) -> Result<Option<Identity>, ConnectError> {
        let oauth = self.entry.oauth(self.method).ok();
        let Some(own) = oauth
            .and_then(|oauth| oauth.client_certificate.as_ref())
            .filter(|own| own.at != CertificateAt::Token)
        else {
            return Ok(None);
        };
        let bad = || {
            ConnectError::invalid(
                "credentials",
                "the client certificate cannot be used; enter it and its key again, both in PEM",
            )
        };
        let render = |template: &keyport_manifest::Template| {
            template.render_secret(scope, Slot::Raw).map_err(|_| bad())
        };
        let (certificate, key) = (render(&own.certificate)?, render(&own.private_key)?);
        let audience = api.audience(&CredentialRef::Main);
        Identity::from_pem(certificate.expose(), key.expose(), audience)
            .map(Some)
            .map_err(|_| bad())
    }

    /// The named credentials of the method, each for its own hosts: an app's second token.
    fn further(&self, api: &ResolvedApi, scope: &Scope) -> Result<Vec<Credential>, ConnectError> {
        let mut names: Vec<CredentialRef> = Vec::new();
        for inject in self.entry.method(self.method)?.injections() {
            let named = matches!(inject.credential, CredentialRef::Named(_));
            if named && !names.contains(&inject.credential) {
                names.push(inject.credential);
            }
        }
        // One that this connection lacks (the person agreed to the first token alone) is left out of its calls.
        let there = |name: &&CredentialRef| {
            let second = self.entry.oauth(self.method).ok().and_then(|oauth| {
                let mut also = oauth.response.also.iter();
                also.find_map(|(id, second)| (second.credential == **name).then_some(id))
            });
            second.is_none_or(|id| self.sealed.tokens.contains_key(id))
        };
        names
            .iter()
            .filter(there)
            .map(|name| self.credential(api, scope, name))
            .collect()
    }

    fn credential(
        &self,
        api: &ResolvedApi,
        scope: &Scope,
        which: &CredentialRef,
    ) -> Result<Credential, ConnectError> {
        let auth = self.entry.method(self.method)?;
        let mut parts = Vec::new();
        for inject in auth
            .injections()
            .into_iter()
            .filter(|inject| inject.credential == *which)
        {
            let (place, slot) = match inject.place {
                keyport_manifest::Place::Header => (Place::Header, Slot::Header),
                // Egress encodes query parameters itself.
                keyport_manifest::Place::Query => (Place::Query, Slot::Raw),
                keyport_manifest::Place::Cookie | keyport_manifest::Place::Body => {
                    return Err(ConnectError::misconfigured(
                        "not_run_here",
                        "this version of Keyport does not put credentials into a body or a cookie",
                    ));
                }
            };
            let value = inject.value.render_secret(scope, slot).map_err(|_| {
                ConnectError::invalid(
                    "credentials",
                    "the credentials hold characters that cannot be sent, or are not complete; enter them again",
                )
            })?;
            parts.push(Injection {
                place,
                name: inject.name,
                value: Secret::new(value.expose()),
            });
        }
        Ok(Credential {
            audience: api.audience(which),
            parts,
            scrub: match which {
                CredentialRef::Main => self.secrets(),
                _ => self.second_secrets(),
            },
        })
    }

    /// The second tokens, for scrubbing what comes back.
    fn second_secrets(&self) -> Vec<Secret> {
        let tokens = self.sealed.tokens.values();
        let parts = tokens.flat_map(|token| [Some(&token.access), token.refresh.as_ref()]);
        parts
            .flatten()
            .map(|token| Secret::new(token.expose()))
            .collect()
    }

    /// Every secret value but the second tokens, for scrubbing what comes back.
    fn secrets(&self) -> Vec<Secret> {
        let manifest = &self.entry.manifest;
        let own = manifest
            .auth
            .get(self.method)
            .map(|auth| auth.fields())
            .unwrap_or_default();
        let captures = manifest
            .auth
            .get(self.method)
            .and_then(|auth| auth.oauth2())
            .map(|oauth| &oauth.capture);
        let public = |id: &str| {
            captures
                .and_then(|all| all.get(id))
                .is_some_and(|capture| capture.public)
        };
        let of = |fields: &[keyport_manifest::Field],
                  values: &indexmap::IndexMap<String, crate::hidden::Hidden>| {
            values
                .iter()
                .filter(|(id, _)| fields.iter().any(|field| field.secret && field.id == **id))
                .map(|(_, value)| Secret::new(value.expose()))
                .collect::<Vec<_>>()
        };
        let mut secrets = of(&manifest.fields, &self.sealed.fields);
        secrets.extend(of(own, &self.sealed.credentials));
        secrets.extend(
            self.sealed
                .capture
                .iter()
                .filter(|(id, _)| !public(id))
                .map(|(_, value)| Secret::new(value.expose())),
        );
        if let Some(token) = &self.sealed.token {
            secrets.push(Secret::new(token.access.expose()));
            secrets.extend(
                token
                    .refresh
                    .iter()
                    .map(|refresh| Secret::new(refresh.expose())),
            );
        }
        secrets
    }
}
