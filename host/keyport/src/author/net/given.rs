//! What the author gives for looking on the network, and what is made up where nothing is given.
//!
//! A variable names its app (`KEYPORT_NET_ZENDESK_TOKEN`), so that no credential can go to another app's host; one that no app
//! asks for is an error, so that a slip of the hand is not taken for a passed test.

use std::collections::BTreeMap;

use keyport_manifest::{
    AuthMethod, Field, Manifest, Oauth2, ResolvedApi, Scope, Slot, Template, example,
};

use super::super::Failure;
use super::super::render::values::{self, Values};

/// What all variables begin with.
const PREFIX: &str = "KEYPORT_NET_";
/// What stands in for a secret that nobody gave.
const MADE_UP: &str = "keyport-made-up-credential-0123456789";
/// Names that OAuth has beside its fields.
const OAUTH: &[&str] = &[
    "client_id",
    "client_secret",
    "access_token",
    "refresh_token_file",
];

/// What is given for one app.
pub struct Given {
    /// Fields, as typed, by id: of `--set`, else of a variable.
    set: BTreeMap<String, String>,
    /// Everything from variables, by lower-case name.
    from_environment: BTreeMap<String, String>,
}

/// What there is to look at one way to sign in with.
pub struct Look<'m> {
    /// The app.
    pub manifest: &'m Manifest,
    /// The way to sign in.
    pub id: &'m str,
    /// The same.
    pub auth: &'m AuthMethod,
    /// What everybody may see.
    pub public: Scope,
    /// With made-up secrets.
    pub made_up: Scope,
    /// With the author's own secrets; made up where one is not given.
    pub own: Scope,
    /// The API; why it is not known.
    pub api: Result<ResolvedApi, String>,
    /// Whether the author gave what signs in: every required secret, or an access token.
    pub signed_in: bool,
    /// Whether the author gave an OAuth client.
    pub client: bool,
    given: &'m Given,
}

impl Given {
    /// Takes values for an app; `read` gives variables.
    ///
    /// # Errors
    /// `--set` of no field.
    pub fn new(
        manifest: &Manifest,
        set: &[String],
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let mut from_environment = BTreeMap::new();
        for name in names(manifest) {
            if let Some(value) = read(&variable(manifest, &name)) {
                from_environment.insert(name, value);
            }
        }
        let mut set = values::given(manifest, set)?;
        for field in fields(manifest) {
            if let (false, Some(value)) = (field.secret, from_environment.get(&field.id)) {
                set.entry(field.id.clone()).or_insert_with(|| value.clone());
            }
        }
        Ok(Self {
            set,
            from_environment,
        })
    }

    /// The first value that a template reads and nobody gave: it decides where the app is, so nothing can be said without it.
    pub fn unsettled(&self, manifest: &Manifest, template: &Template) -> Option<String> {
        template.refs().into_iter().find_map(|r| {
            let name = r.name().unwrap_or_default();
            let open = match r.root.as_str() {
                "fields" | "credentials" => {
                    let field = fields(manifest).find(|f| f.id == name);
                    !self.set.contains_key(name)
                        && field.is_none_or(|f| f.default.is_none() && f.choices.is_empty())
                }
                "capture" => true,
                _ => false,
            };
            open.then(|| r.to_string())
        })
    }

    /// What there is for one way to sign in.
    ///
    /// # Errors
    /// A sentence: why no values can be had.
    pub fn of_method<'m>(
        &'m self,
        manifest: &'m Manifest,
        id: &'m str,
        auth: &'m AuthMethod,
    ) -> Result<Look<'m>, String> {
        let mine: values::Given = self
            .set
            .iter()
            .filter(|(name, _)| manifest.fields_for(id).any(|f| f.id == **name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let values = Values::new(manifest, id, &mine).map_err(|e| e.to_string())?;
        let field = |name: &str| fields(manifest).find(|f| f.id == name);
        let made_up = |path: &str| {
            let name = path.rsplit('.').next().unwrap_or_default();
            field(name)
                .filter(|_| path.starts_with("fields.") || path.starts_with("credentials."))
                .and_then(|f| example::values(f).into_iter().next())
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| MADE_UP.to_owned())
        };
        let own = |path: &str| {
            let name = path.rsplit('.').next().unwrap_or_default();
            let given = self.from_environment.get(name).cloned();
            given.unwrap_or_else(|| made_up(path))
        };
        let filled = |secret: &dyn Fn(&str) -> String| {
            let mut scope = values.public.clone();
            example::fill_in(&mut scope, manifest, id, &mut |path| secret(path));
            scope
        };
        let secrets: Vec<&Field> = manifest.fields_for(id).filter(|f| f.secret).collect();
        let has = |name: &str| self.from_environment.contains_key(name);
        let all = secrets.iter().all(|f| !f.required || has(&f.id));
        Ok(Look {
            manifest,
            id,
            auth,
            made_up: filled(&made_up),
            own: filled(&own),
            api: match self.unsettled(manifest, manifest.base_url_for(id)) {
                Some(open) => Err(not_known(&open)),
                None => values.api,
            },
            public: values.public,
            signed_in: match auth.oauth2() {
                Some(_) => has("access_token") && all,
                None => all && secrets.iter().any(|f| has(&f.id)),
            },
            client: has("client_id"),
            given: self,
        })
    }
}

impl Look<'_> {
    /// `auth.<id>`.
    pub fn path(&self) -> String {
        format!("auth.{}", self.id)
    }

    /// What a template reads that nobody gave.
    pub fn unsettled(&self, template: &Template) -> Option<String> {
        self.given.unsettled(self.manifest, template)
    }

    /// What the author gave under a name.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.from_environment.get(name).map(String::as_str)
    }

    /// The variable of a name, for messages.
    pub fn variable(&self, name: &str) -> String {
        variable(self.manifest, name)
    }

    /// The OAuth client: its id, its secret, and whether it is the author's.
    pub fn oauth_client(&self, oauth: &Oauth2) -> (String, Option<String>, bool) {
        let own = oauth
            .client
            .owner
            .as_ref()
            .filter(|_| !oauth.client.operator);
        let read = |template: &Template| template.render_secret(&self.own, Slot::Raw).ok();
        match own {
            Some(owner) => (
                read(&owner.id).map_or_else(|| MADE_UP.to_owned(), |id| id.expose().to_owned()),
                owner
                    .secret
                    .as_ref()
                    .and_then(read)
                    .map(|secret| secret.expose().to_owned()),
                self.signed_in,
            ),
            None => (
                self.given("client_id").unwrap_or(MADE_UP).to_owned(),
                Some(self.given("client_secret").unwrap_or(MADE_UP).to_owned())
                    .filter(|_| !self.client || self.given("client_secret").is_some()),
                self.client,
            ),
        }
    }
}

/// What is said where a value decides everything and is not there.
pub fn not_known(open: &str) -> String {
    let name = open.split('.').nth(1).unwrap_or(open);
    if open.starts_with("capture.") {
        format!("not looked at: `{open}` is only known once somebody has signed in")
    } else {
        format!("not looked at: nobody said what `{open}` is; give it with `--set {name}=…`")
    }
}

fn fields(manifest: &Manifest) -> impl Iterator<Item = &Field> {
    manifest
        .app_fields()
        .chain(manifest.auth.values().flat_map(|auth| auth.fields()))
}

fn names(manifest: &Manifest) -> Vec<String> {
    let oauth = manifest.auth.values().any(|auth| auth.oauth2().is_some());
    let mut all: Vec<String> = fields(manifest).map(|f| f.id.clone()).collect();
    if oauth {
        all.extend(OAUTH.iter().map(|&name| name.to_owned()));
    }
    all
}

/// The variable that a value of an app is given by.
pub fn variable(manifest: &Manifest, name: &str) -> String {
    let app = manifest.id.as_str().replace('-', "_");
    format!("{PREFIX}{app}_{name}").to_ascii_uppercase()
}

/// Every variable of ours is one that some app asks for.
///
/// # Errors
/// One that none does.
pub fn all_known(
    manifests: &[&Manifest],
    variables: impl Iterator<Item = String>,
) -> Result<(), Failure> {
    let known: Vec<String> = manifests
        .iter()
        .flat_map(|m| names(m).into_iter().map(|name| variable(m, &name)))
        .collect();
    for name in variables.filter(|name| name.starts_with(PREFIX)) {
        if !known.contains(&name) {
            let near: Vec<&str> = known.iter().map(String::as_str).take(12).collect();
            return Err(Failure::Said(format!(
                "{name} is set, and none of these apps asks for it; they ask for: {}",
                near.join(", ")
            )));
        }
    }
    Ok(())
}
