//! The right to one call, built from manifest, configuration and connection.
//!
//! Hosts are those that the manifest names, that the operator grants, *and* that were so when the person agreed: a
//! manifest that grows a host does not widen connections that exist. Credentials are rendered here and handed to
//! egress, which attaches each to its own audience; where an app takes a signature instead, egress gets what signs
//! ([`signing`](crate::signing)). Neither a component nor a proxied request ever holds either.

use indexmap::IndexMap;
use keyport_egress::{Credential, Identity, Injection, Methods, Pass, Place, Purpose, Secret};
use keyport_manifest::{
    AllowedHosts, CertificateAt, CredentialRef, HostPattern, Inject, Manifest, Ref, ResolvedApi,
    Scope, Slot, Template,
};
use keyport_vault::Owner;

use super::scope;
use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::flow::client;
use crate::hidden::Hidden;
use crate::record::{ConfigurationSealed, ConnectionSealed};
use crate::view::AccountView;

/// What a pass is made of.
pub(crate) struct PassParts<'a> {
    pub(crate) entry: &'a AppEntry,
    pub(crate) owner: &'a Owner,
    pub(crate) method: &'a str,
    pub(crate) sealed: &'a ConnectionSealed,
    pub(crate) account: Option<&'a AccountView>,
    /// The app configuration: what the operator grants, and whose client signs.
    pub(crate) config: Option<&'a ConfigurationSealed>,
}

impl Engine {
    /// The pass, and the scope that it was rendered with. Asks an app for temporary keys where its way to sign in has such.
    pub(crate) async fn pass(
        &self,
        parts: &PassParts<'_>,
        purpose: Purpose,
    ) -> Result<(Pass, Scope), ConnectError> {
        let mut scope = parts
            .entry
            .manifest
            .with_variant(&scope::of_connection(parts.sealed, parts.account));
        let api = scope::api(parts.entry, parts.method, &scope)?;
        let hosts = parts.narrowed(&api);
        // Egress lets the base URL's own host through, so whether it may be called is decided here.
        if !hosts.allows(&api.base_url) {
            return Err(ConnectError::misconfigured(
                "host_not_granted",
                "the operator does not allow this app's host, or it has changed since this account was connected",
            ));
        }
        let audience = api.audience(&CredentialRef::Main);
        let arranged = self.arrange(parts, &audience, &mut scope).await?;
        let mut pass = Pass::new(parts.owner.as_str(), purpose, hosts);
        let mut secrets = parts.secrets();
        secrets.extend(parts.app(&mut scope, &audience)?);
        secrets.extend(arranged.scrub);
        let (mut main, further) = parts.credentials(&api, &scope, &secrets)?;
        main.scrub.extend(secrets);
        main.signer = arranged.signer;
        pass.credential = Some(main);
        pass.further = further;
        pass.identity = match arranged.identity {
            None => parts.certificate(&api, &scope)?,
            own => own,
        };
        pass.reserved_headers = parts.entry.manifest.reserved_headers(parts.method);
        pass.fixed_headers = api.headers;
        pass.fixed_query = api.query;
        pass.base_url = Some(api.base_url);
        pass.methods = Methods::Any;
        Ok((pass, scope))
    }

    /// A pass for the host's own request to exactly this host, with the main credential: for what is asked before the API's
    /// address is known.
    pub(crate) async fn pass_to(
        &self,
        parts: &PassParts<'_>,
        host: AllowedHosts,
    ) -> Result<Pass, ConnectError> {
        let manifest = &parts.entry.manifest;
        let mut scope = manifest.with_variant(&scope::of_connection(parts.sealed, parts.account));
        let arranged = self.arrange(parts, &host, &mut scope).await?;
        let own = parts.app(&mut scope, &host)?;
        let mut pass = Pass::new(parts.owner.as_str(), Purpose::Flow, host.clone());
        let which = credential_at(manifest, &scope, &host);
        let mut main = Credential::new(host);
        let auth = parts.entry.method(parts.method)?;
        if !matches!(auth, keyport_manifest::AuthMethod::Hmac(_)) && which != CredentialRef::None {
            for inject in auth.injections() {
                if inject.credential == which && parts.has(&which)? {
                    main.parts.push(injection(inject, &scope)?);
                }
            }
        }
        main.scrub = parts.secrets();
        main.scrub.extend(own);
        main.signer = arranged.signer.filter(|_| which == CredentialRef::Main);
        pass.credential = Some(main);
        pass.identity = arranged.identity;
        // Constants of the API go along where they are known by now.
        for (name, template) in &manifest.api.headers {
            if let Ok(value) = template.render(&scope, Slot::Header) {
                pass.fixed_headers.push((name.clone(), value));
            }
        }
        Ok(pass)
    }
}

impl PassParts<'_> {
    fn narrowed(&self, api: &ResolvedApi) -> AllowedHosts {
        let agreed: Vec<HostPattern> = self
            .sealed
            .hosts
            .iter()
            .filter_map(|host| host.parse().ok())
            .collect();
        let granted: Option<Vec<HostPattern>> = self
            .config
            .and_then(|config| config.grants.hosts.as_ref())
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

    /// The main credential, and one for each name that the injections have, with what is made of these secrets in it.
    fn credentials(
        &self,
        api: &ResolvedApi,
        scope: &Scope,
        secrets: &[Secret],
    ) -> Result<(Credential, Vec<Credential>), ConnectError> {
        let auth = self.entry.method(self.method)?;
        let mut main = for_hosts(api, &CredentialRef::Main);
        let mut named: IndexMap<CredentialRef, Credential> = IndexMap::new();
        // A signature's own injections are the signer's: they are made when the request is.
        let signed = matches!(auth, keyport_manifest::AuthMethod::Hmac(_));
        for inject in auth.injections() {
            let credential = match &inject.credential {
                CredentialRef::None => continue,
                CredentialRef::Main if signed => continue,
                CredentialRef::Main => &mut main,
                name if !self.has(name)? => continue,
                name => named.entry(name.clone()).or_insert_with(|| Credential {
                    scrub: self.second_secrets(),
                    ..for_hosts(api, name)
                }),
            };
            let made = made_of(&inject.value, scope, &[secrets, &credential.scrub].concat());
            credential.scrub.extend(made);
            credential.parts.push(injection(inject, scope)?);
        }
        Ok((main, named.into_values().collect()))
    }

    /// Whether this connection has a credential. One that it lacks (the person agreed to the first token alone) is left out of
    /// its calls.
    fn has(&self, name: &CredentialRef) -> Result<bool, ConnectError> {
        let auth = self.entry.method(self.method)?;
        let second = auth.oauth2().and_then(|oauth| {
            let mut also = oauth.response.also.iter();
            also.find_map(|(id, second)| (second.credential == *name).then_some(id))
        });
        Ok(second.is_none_or(|id| self.sealed.tokens.contains_key(id)))
    }

    /// Puts the OAuth client into the scope, where something that is attached names it (Twitch's `Client-Id`, Facebook's proof
    /// of the secret). The operator's secret is used for pinned hosts only, in whatever form. What is secret of it is given back.
    fn app(&self, scope: &mut Scope, to: &AllowedHosts) -> Result<Vec<Secret>, ConnectError> {
        let auth = self.entry.method(self.method)?;
        let Some(oauth) = auth.oauth2() else {
            return Ok(Vec::new());
        };
        let injections = auth.injections();
        let reads = |name: Option<&str>| {
            let mut all = injections.iter().flat_map(|one| one.value.refs());
            all.any(|at| at.root == "app" && (name.is_none() || at.name() == name))
        };
        if !reads(None) {
            return Ok(Vec::new());
        }
        let Some(keys) = client::of_app(oauth, scope, self.config)? else {
            return Ok(Vec::new());
        };
        scope.set_value("app", "client_id", serde_json::json!(keys.id));
        let Some(secret) = keys
            .secret
            .as_ref()
            .filter(|_| reads(Some("client_secret")))
        else {
            return Ok(Vec::new());
        };
        if let Some(pins) = &keys.pins {
            let pins: Vec<HostPattern> = pins.iter().filter_map(|pin| pin.parse().ok()).collect();
            let pinned = |host: &HostPattern| pins.iter().any(|pin| pin.covers(host));
            if !to.iter().all(pinned) {
                return Err(ConnectError::misconfigured(
                    "client_not_for_this_host",
                    "this app's calls are proven with the OAuth client's secret, and its host is not pinned; the operator has to add it to the configuration",
                ));
            }
        }
        scope.set_value("app", "client_secret", serde_json::json!(secret.expose()));
        Ok(vec![Secret::new(secret.expose())])
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
        let of = |fields: &[keyport_manifest::Field], values: &IndexMap<String, Hidden>| {
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
                .filter(|(id, _)| !is_public(manifest, self.method, id))
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
        if let Some(token) = &self.sealed.oauth1 {
            secrets.push(Secret::new(token.token.expose()));
            secrets.push(Secret::new(token.secret.expose()));
        }
        secrets
    }
}

/// Whether a capture of this way to sign in, of the discovery after it, or of the component's own, may be shown.
pub(crate) fn is_public(manifest: &Manifest, method: &str, id: &str) -> bool {
    let connected = manifest.lifecycle.connected.as_ref();
    if connected.is_some_and(|found| found.captures.iter().any(|own| own == id)) {
        return true;
    }
    let own = manifest.auth.get(method).and_then(|auth| auth.capture(id));
    let found = || {
        manifest
            .discovery
            .iter()
            .filter(|step| step.is_for(method))
            .find_map(|step| step.capture.get(id))
    };
    own.or_else(found).is_some_and(|capture| capture.public)
}

/// Which credential a host gets by its own entry among the API's hosts, as far as that can be made by now.
fn credential_at(manifest: &Manifest, scope: &Scope, host: &AllowedHosts) -> CredentialRef {
    let entries = manifest.api.hosts.iter().filter_map(|entry| {
        let text = entry.host.render(scope, Slot::Host).ok()?;
        let pattern: HostPattern = text.parse().ok()?;
        host.iter()
            .all(|one| pattern.covers(one))
            .then_some((host.iter().any(|one| *one == pattern), &entry.credential))
    });
    // The narrowest line holds.
    let found = entries.max_by_key(|(exact, _)| *exact);
    found.map_or(CredentialRef::Main, |(_, which)| which.clone())
}

/// A credential for the hosts that `api` binds it to. Where one of those lies within a wider pattern of another
/// credential, the narrower line holds.
fn for_hosts(api: &ResolvedApi, which: &CredentialRef) -> Credential {
    let audience = api.audience(which);
    let except = api
        .hosts
        .iter()
        .filter(|host| !audience.iter().any(|own| own == *host))
        .filter(|host| audience.iter().any(|own| own.covers(host)))
        .cloned()
        .collect();
    Credential {
        except,
        ..Credential::new(audience)
    }
}

/// What a template makes of these secrets: a digest or an encoding of one is worth as much to whoever reads it, and an app may
/// repeat it as it may repeat the secret itself.
fn made_of(template: &Template, scope: &Scope, secrets: &[Secret]) -> Vec<Secret> {
    let secret = |text: &str| secrets.iter().any(|one| one.expose() == text);
    let reads = |at: &Ref| {
        let (name, rest) = at.path.split_first()?;
        let value = rest
            .iter()
            .try_fold(scope.get(&at.root, name)?, |value, name| value.get(name));
        value?.as_str().map(secret)
    };
    let expressions = template
        .expressions()
        .filter_map(|source| Template::parse(&format!("{{{{ {source} }}}}")).ok());
    expressions
        .filter(|own| own.refs().iter().any(|at| reads(at) == Some(true)))
        .filter_map(|own| own.render_secret(scope, Slot::Raw).ok())
        .filter(|value| !secret(value.expose()))
        .map(|value| Secret::new(value.expose()))
        .collect()
}

fn injection(inject: Inject, scope: &Scope) -> Result<Injection, ConnectError> {
    let (place, slot) = match inject.place {
        keyport_manifest::Place::Header => (Place::Header, Slot::Header),
        // Egress encodes query parameters and members of a body itself.
        keyport_manifest::Place::Query => (Place::Query, Slot::Raw),
        keyport_manifest::Place::Body => (Place::Body, Slot::Raw),
        keyport_manifest::Place::Cookie => (Place::Cookie, Slot::Header),
    };
    let value = inject.value.render_secret(scope, slot).map_err(|_| {
        ConnectError::invalid(
            "credentials",
            "the credentials hold characters that cannot be sent, or are not complete; enter them again",
        )
    })?;
    Ok(Injection {
        place,
        name: inject.name,
        value: Secret::new(value.expose()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `{host: files.acme.dev, credential: none}` inside `*.acme.dev`: without `except`, the file store would be sent the
    /// credential.
    #[test]
    fn a_narrower_host_of_another_credential_is_left_out() {
        let yaml = "manifest: 1\nid: acme\nname: Acme\nversion: 1.0.0\nsummary: A pretend app.\ncomponent: rest\n\
            api:\n  base_url: https://api.acme.dev\n  hosts: ['*.acme.dev', {host: files.acme.dev, credential: none}, \
            {host: user.acme.dev, credential: user}]\n\
            auth:\n  token:\n    type: bearer\n    label: Token\n\
            test: {none: There is nothing to ask.}\n";
        let manifest = keyport_manifest::parse("m", yaml).unwrap();
        let api = manifest
            .resolve(&Scope::new().with("fields", json!({})))
            .unwrap();
        let url = |host: &str| url::Url::parse(&format!("https://{host}/x")).unwrap();
        let main = for_hosts(&api, &CredentialRef::Main);
        for (host, wanted) in [
            ("api.acme.dev", true),
            ("other.acme.dev", true),
            ("files.acme.dev", false),
            ("user.acme.dev", false),
            ("acme.dev", false),
        ] {
            assert_eq!(main.is_for(&url(host)), wanted, "{host}");
        }
        let user = for_hosts(&api, &CredentialRef::Named("user".into()));
        assert!(user.is_for(&url("user.acme.dev")) && !user.is_for(&url("api.acme.dev")));
    }
}
