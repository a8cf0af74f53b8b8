//! Apps as lists, forms and builders see them.

use indexmap::IndexMap;
use keyport_manifest::{
    Action, AuthMethod, Effect, Field, Format, Manifest, Oauth2Grant, Test, Trigger, TriggerKind,
};
use url::Url;

use super::AppEntry;
use crate::configuration::Usable;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::Configuration;
use crate::view::{
    ActionView, AppQuery, AppSummary, AppView, ChoiceView, FieldView, FileView, MethodView, Page,
    ShownWhenView, TriggerView,
};

impl Engine {
    /// The catalogue: by relevance when words are given, by name otherwise.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn apps(&self, query: &AppQuery) -> Result<Page<AppSummary>, ConnectError> {
        let words: Vec<String> = query
            .q
            .iter()
            .flat_map(|q| q.split_whitespace())
            .map(str::to_lowercase)
            .collect();
        let all = self.inner.catalogue.all();
        let mut found: Vec<(u32, String, &AppEntry)> = all
            .iter()
            .filter(|app| {
                query
                    .category
                    .as_ref()
                    .is_none_or(|wanted| app.manifest.categories.contains(wanted))
            })
            .filter_map(|app| {
                let score = relevance(&app.manifest, &words)?;
                Some((score, app.manifest.name.to_lowercase(), app.as_ref()))
            })
            .collect();
        found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));

        let start = match query.cursor.as_deref() {
            None => 0,
            Some(cursor) => cursor.parse::<usize>().map_err(|_| {
                ConnectError::invalid("cursor", "this is not a cursor of this list")
            })?,
        };
        let limit = query.limit.unwrap_or(50).clamp(1, 200);
        let configured = self
            .heads::<Configuration>(Some(&keyport_vault::Owner::keyport()))
            .await?;
        let mut items = Vec::new();
        for (_, _, app) in found.iter().skip(start).take(limit) {
            let has = configured.iter().any(|config| config.clear.app == app.id());
            let usable = self.usable(app).await?;
            items.push(AppSummary {
                id: app.id().to_owned(),
                name: app.manifest.name.clone(),
                summary: app.manifest.summary.clone(),
                categories: app.manifest.categories.clone(),
                logo_url: logo_url(app.id()),
                available: usable.values().any(|usable| *usable == Usable::Yes),
                configured: has,
                testable: test_reason(&app.manifest).is_none(),
            });
        }
        let next = start.saturating_add(limit);
        Ok(Page {
            items,
            next_cursor: (next < found.len()).then(|| next.to_string()),
        })
    }

    /// One app, with everything that its forms need.
    ///
    /// # Errors
    ///
    /// When there is no such app or the store cannot be read.
    pub async fn app(&self, app: &str) -> Result<AppView, ConnectError> {
        let app = self.inner.catalogue.get(app)?;
        let manifest = &app.manifest;
        let usable = self.usable(&app).await?;
        // Whoever brings an OAuth client must know the callback address before, so there must be a configuration.
        let owners_client = manifest
            .auth
            .values()
            .filter_map(AuthMethod::oauth2)
            .any(|oauth| oauth.client.owner.is_some());
        let redirect_uri = if owners_client {
            Some(self.redirect_uri(self.ensure_configuration(&app).await?.id()))
        } else {
            None
        };
        let links = &manifest.links;
        let links = [
            ("home", &links.home),
            ("docs", &links.docs),
            ("support", &links.support),
            ("register", &links.register),
        ]
        .into_iter()
        .filter_map(|(name, url)| Some((name.to_owned(), url.clone()?)))
        .collect::<IndexMap<_, _>>();
        Ok(AppView {
            id: app.id().to_owned(),
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            summary: manifest.summary.clone(),
            categories: manifest.categories.clone(),
            links,
            logo_url: logo_url(app.id()),
            configured: !self.configurations(app.id()).await?.is_empty(),
            testable: test_reason(manifest).is_none(),
            test_reason: test_reason(manifest),
            fields: manifest
                .app_fields()
                .filter(|it| !it.hidden)
                .map(field)
                .collect(),
            methods: manifest
                .auth
                .iter()
                .map(|(id, auth)| {
                    method(
                        id,
                        auth,
                        usable.get(id).unwrap_or(&Usable::Yes),
                        redirect_uri.as_deref(),
                    )
                })
                .collect(),
            actions: manifest
                .actions
                .iter()
                .map(|(id, it)| action(id, it))
                .collect(),
            events: manifest
                .triggers
                .iter()
                .map(|(id, it)| trigger(id, it))
                .collect(),
            origin_override: self.origin_override(manifest),
        })
    }

    /// An app's logo, as SVG.
    ///
    /// # Errors
    ///
    /// When there is no such app or it has none.
    pub fn logo(&self, app: &str) -> Result<bytes::Bytes, ConnectError> {
        self.inner
            .catalogue
            .get(app)?
            .logo
            .clone()
            .ok_or(ConnectError::not_found("logo"))
    }

    /// Where this app's calls really go, if the operator sends one of its fixed origins elsewhere.
    fn origin_override(&self, manifest: &Manifest) -> Option<String> {
        let mut templates = vec![&manifest.api.base_url];
        for auth in manifest.auth.values() {
            if let AuthMethod::Oauth2(oauth) = auth {
                templates.extend(oauth.authorize_url.iter().chain(&oauth.token_url));
            }
        }
        templates
            .into_iter()
            .filter_map(|template| Url::parse(template.as_literal()?).ok())
            .find_map(|url| {
                self.inner
                    .egress
                    .origins()
                    .find(&url)
                    .map(|one| one.to.origin().ascii_serialization())
            })
    }
}

pub(crate) fn logo_url(app: &str) -> String {
    format!("/apps/{app}/logo.svg")
}

/// How well an app fits the words; `None` when one of them is nowhere in it.
fn relevance(manifest: &Manifest, words: &[String]) -> Option<u32> {
    let name = manifest.name.to_lowercase();
    let id = manifest.id.as_str();
    let mut score = 0;
    for word in words {
        let of = |text: &str| text.to_lowercase().contains(word.as_str());
        score += if name.starts_with(word.as_str()) || id == word {
            8
        } else if of(&name) || of(id) || manifest.aliases.iter().any(|alias| of(alias)) {
            4
        } else if manifest.categories.iter().any(|category| of(category)) {
            2
        } else if of(&manifest.summary) {
            1
        } else {
            return None;
        };
    }
    Some(score)
}

fn test_reason(manifest: &Manifest) -> Option<String> {
    match &manifest.test {
        Test::None { reason } => Some(reason.clone()),
        Test::Call(_) | Test::AnyOf(_) | Test::Code => None,
    }
}

fn method(id: &str, auth: &AuthMethod, usable: &Usable, redirect_uri: Option<&str>) -> MethodView {
    let own_client = auth
        .oauth2()
        .is_some_and(|oauth| oauth.client.owner.is_some());
    MethodView {
        id: id.to_owned(),
        label: auth.label().to_owned(),
        help: auth.help().map(str::to_owned),
        kind: auth.kind().to_owned(),
        fields: auth
            .fields()
            .iter()
            .filter(|it| !it.hidden)
            .map(field)
            .collect(),
        available: *usable == Usable::Yes,
        why_not: match usable {
            Usable::Yes => None,
            Usable::No(why) => Some(why.clone()),
        },
        redirects: auth
            .oauth2()
            .is_some_and(|oauth| oauth.grant.has_page() || oauth.grant == Oauth2Grant::Device)
            || is_three_legged(auth),
        device: auth
            .oauth2()
            .is_some_and(|oauth| oauth.grant == Oauth2Grant::Device),
        redirect_uri: redirect_uri.filter(|_| own_client).map(str::to_owned),
    }
}

pub(crate) fn field(field: &Field) -> FieldView {
    FieldView {
        id: field.id.clone(),
        label: field.label.clone(),
        secret: field.secret,
        required: field.required,
        format: (field.format != Format::Text).then(|| field.format.name().to_owned()),
        prefix: field.prefix.clone(),
        suffix: field.suffix.clone(),
        choices: field
            .choices
            .iter()
            .map(|choice| ChoiceView {
                value: choice.value.clone(),
                label: choice.label.clone(),
            })
            .collect(),
        // A secret's default would be a shared secret in a manifest; nothing of the kind is shown.
        default: if field.secret {
            None
        } else {
            field.default.clone()
        },
        example: field.example.clone(),
        help: field.help.clone(),
        help_url: field.help_url.clone(),
        multiline: field.is_multiline(),
        group: field.group.clone(),
        shown_when: field.shown_when.as_ref().map(|when| ShownWhenView {
            field: when.field.clone(),
            values: when.values.clone(),
        }),
        file: field.file.as_ref().map(|file| FileView {
            accept: file.accept.clone(),
            max: field.limit(),
        }),
    }
}

fn action(id: &str, action: &Action) -> ActionView {
    ActionView {
        id: id.to_owned(),
        title: action.title.clone(),
        description: Some(action.description.clone()),
        effect: match action.effect {
            Effect::Read => "read",
            Effect::Write => "write",
        }
        .to_owned(),
        input: action.input.clone(),
        output: action.output.clone(),
        sample: action.sample.clone().unwrap_or_default(),
        choices: action.choices_from.keys().cloned().collect(),
    }
}

fn trigger(id: &str, trigger: &Trigger) -> TriggerView {
    TriggerView {
        id: id.to_owned(),
        title: trigger.title.clone(),
        description: Some(trigger.description.clone()),
        kind: match trigger.kind {
            TriggerKind::Polling => "polling",
            TriggerKind::Webhook => "webhook",
            TriggerKind::WebhookManual => "webhook_manual",
            TriggerKind::WebhookApp => "webhook_app",
        }
        .to_owned(),
        input: trigger.input.clone(),
        output: trigger.output.clone(),
        sample: trigger.sample.clone().unwrap_or_default(),
        choices: trigger.choices_from.keys().cloned().collect(),
    }
}

/// Whether the person goes to the app's own page by OAuth 1.0a.
pub(crate) fn is_three_legged(auth: &AuthMethod) -> bool {
    matches!(auth, AuthMethod::Oauth1(m) if m.grant == keyport_manifest::Oauth1Grant::ThreeLegged)
}
