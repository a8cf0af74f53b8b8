//! What the operator sets, from four places: built-in defaults, one TOML file, the environment, flags; the later wins.
//!
//! Everything becomes one TOML table first and is read into [`Config`] once, so a key means the same
//! wherever it was written and an unknown one is an error with a suggestion, never silence: a misspelt
//! `behind_proxy` must not quietly leave a host open. The environment is read through a function that the
//! caller passes in, so tests set no process-wide variables.
//!
//! Left out: reading configuration again while running. A changed file counts at the next start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};
use url::Url;

/// Every setting that the environment can carry: variable, place in the file, and how its text is read.
const ENVIRONMENT: &[(&str, &[&str], Shape)] = &[
    ("KEYPORT_PUBLIC_URL", &["public_url"], Shape::Text),
    ("KEYPORT_LISTEN", &["listen"], Shape::Text),
    ("KEYPORT_BEHIND_PROXY", &["behind_proxy"], Shape::Bool),
    ("KEYPORT_DATA", &["data"], Shape::Text),
    ("KEYPORT_STORE", &["store", "url"], Shape::Text),
    (
        "KEYPORT_STORE_PASSWORD_FILE",
        &["store", "password_file"],
        Shape::Text,
    ),
    (
        "KEYPORT_TLS_CERTIFICATE",
        &["tls", "certificate"],
        Shape::Text,
    ),
    ("KEYPORT_TLS_KEY", &["tls", "key"], Shape::Text),
    ("KEYPORT_ROOT_KEY_FILE", &["root_key", "file"], Shape::Text),
    (
        "KEYPORT_ROOT_KEY_COMMAND",
        &["root_key", "command"],
        Shape::List,
    ),
    (
        "KEYPORT_ALLOW_CIDRS",
        &["egress", "allow_cidrs"],
        Shape::List,
    ),
    (
        "KEYPORT_EXTRA_ROOTS",
        &["egress", "extra_roots"],
        Shape::List,
    ),
    ("KEYPORT_APPS", &["apps"], Shape::List),
    (
        "KEYPORT_AUDIT_KEEP_DAYS",
        &["audit", "keep_days"],
        Shape::Number,
    ),
    ("KEYPORT_POSITION", &["position"], Shape::Text),
    ("KEYPORT_LOG_FORMAT", &["log", "format"], Shape::Text),
    ("KEYPORT_LOG_LEVEL", &["log", "level"], Shape::Text),
];

/// The root key itself, base64; read by [`crate::wiring`] and never put into the table, which errors may quote.
pub const ROOT_KEY_VARIABLE: &str = "KEYPORT_ROOT_KEY";
/// The password of the store's database; read by [`crate::store`] and never put into the table either.
pub const STORE_PASSWORD_VARIABLE: &str = "KEYPORT_STORE_PASSWORD";
/// Variables of this family that other programs read: the build, the command line and the tests.
const NOT_OURS: &[&str] = &[
    ROOT_KEY_VARIABLE,
    STORE_PASSWORD_VARIABLE,
    "KEYPORT_COMPONENTS",
    "KEYPORT_CONFIG",
    "KEYPORT_PROOF",
];
const NOT_OURS_PREFIX: &str = "KEYPORT_TEST_";

#[derive(Clone, Copy)]
enum Shape {
    Text,
    Bool,
    Number,
    /// Separated by commas.
    List,
}

/// A configuration that has been read and is complete.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What browsers and the platform call this host, without a path: `https://connect.example.com`.
    pub public_url: Url,
    /// Where to listen, `address:port`.
    pub listen: SocketAddr,
    /// True when a proxy in front of this host speaks TLS; permits a clear bind beyond loopback.
    #[serde(default)]
    pub behind_proxy: bool,
    /// The folder that holds the store and the compile cache.
    pub data: PathBuf,
    /// Where everything is kept, if not in the data folder.
    #[serde(default)]
    pub store: StoreSettings,
    /// Certificate and key, when this host speaks TLS itself.
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    /// Where the root key comes from; the variable `KEYPORT_ROOT_KEY` may stand in for it.
    #[serde(default)]
    pub root_key: RootKeySource,
    /// Exceptions for what may be reached.
    #[serde(default)]
    pub egress: EgressSettings,
    /// Origin overrides, for development, tests and vendors' staging.
    #[serde(default)]
    pub origins: BTreeMap<String, String>,
    /// Folders of further apps, each with a `manifest.yaml`.
    #[serde(default)]
    pub apps: Vec<PathBuf>,
    /// How long the audit trail is kept.
    #[serde(default)]
    pub audit: AuditSettings,
    /// The file that remembers how far the store was; in the data folder if not named.
    #[serde(default)]
    pub position: Option<PathBuf>,
    /// How logs are written.
    #[serde(default)]
    pub log: LogSettings,
}

/// A store that several hosts share.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// The database: `postgres://user@host/database`. Without it the store is in the data folder.
    pub url: Option<StoreAddress>,
    /// A file with the database's password.
    pub password_file: Option<PathBuf>,
}

/// The address of a database. There may be a password in it, so it is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct StoreAddress(pub String);

impl std::str::FromStr for StoreAddress {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(the address of a database)")
    }
}

/// The audit trail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSettings {
    /// For how many days an event is kept.
    pub keep_days: u32,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { keep_days: 400 }
    }
}

/// PEM files of the certificate chain and its private key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// Where the root key comes from; at most one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootKeySource {
    /// A file that only its owner can read.
    pub file: Option<PathBuf>,
    /// A command whose output is the key, base64: any KMS tool can serve.
    pub command: Option<Vec<String>>,
}

/// What the operator permits beyond public addresses and roots.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressSettings {
    /// Private networks that apps may be reached in, as CIDR.
    #[serde(default)]
    pub allow_cidrs: Vec<String>,
    /// PEM files of certificate authorities besides the public ones.
    #[serde(default)]
    pub extra_roots: Vec<PathBuf>,
}

/// How logs are written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// `text` or `json`.
    #[serde(default)]
    pub format: LogFormat,
    /// A filter such as `info` or `keyport=debug`.
    pub level: Option<String>,
}

/// The two shapes of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document a line, for machines.
    Json,
}

/// Why a configuration can't be used; each says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error(
        "can't read the configuration file {path}: {source}; check the path given with --config"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        message: String,
    },
    /// A variable of ours that means nothing.
    #[error("the environment variable {name} is unknown{hint}; remove it or correct its name")]
    UnknownVariable {
        /// Its name.
        name: String,
        /// A suggestion, or nothing.
        hint: String,
    },
    /// A variable whose text can't be read.
    #[error("the environment variable {name} must be `true` or `false`")]
    NotBool {
        /// Its name.
        name: &'static str,
    },
    /// A variable whose text is not a number.
    #[error("the environment variable {name} must be a number")]
    NotNumber {
        /// Its name.
        name: &'static str,
    },
    /// A key is unknown, missing or of the wrong kind.
    #[error("the configuration can't be used: {0}")]
    Meaning(String),
}

/// Reads the configuration: `file` (if any), then the environment, then `flags`.
///
/// `flags` has the same shape as the file. `environment` yields all variables; those that don't start with
/// `KEYPORT_` are passed over.
pub fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: Table,
) -> Result<Config, ConfigError> {
    let mut table = match file {
        Some(path) => read_file(path)?,
        None => Table::new(),
    };
    short_store(&mut table);
    merge(&mut table, from_environment(environment)?);
    merge(&mut table, flags);
    let config: Config = Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Meaning(error.message().to_owned()))?;
    check(&config)?;
    Ok(config)
}

/// `store = "postgres://…"` is short for the table, and is made into it before an error could quote it.
fn short_store(table: &mut Table) {
    if let Some(Value::String(_)) = table.get("store")
        && let Some(url) = table.remove("store")
    {
        put(table, &["store", "url"], url);
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let url = &config.public_url;
    let refuse = |what: &str| Err(ConfigError::Meaning(what.to_owned()));
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return refuse(
            "`public_url` must be an http or https address such as https://connect.example.com",
        );
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return refuse(
            "`public_url` must be an origin only; remove what stands after the host and port",
        );
    }
    if config.store.url.is_none() && config.store.password_file.is_some() {
        return refuse(
            "`store.password_file` is set but no `store.url`; name the database or remove it",
        );
    }
    if config.root_key.file.is_some() && config.root_key.command.is_some() {
        return refuse("`root_key` names both a file and a command; keep one");
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    text.parse::<Table>().map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        message: place(&text, &error),
    })
}

/// The reason with its line and column, without the line itself: there may be a password in it.
fn place(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else {
        return error.message().to_owned();
    };
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    format!("line {line}, column {column}: {}", error.message())
}

fn from_environment(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Table, ConfigError> {
    let mut table = Table::new();
    for (name, text) in environment {
        let ours = name.starts_with("KEYPORT_")
            && !name.starts_with(NOT_OURS_PREFIX)
            && !NOT_OURS.contains(&name.as_str());
        if !ours {
            continue;
        }
        let Some((known, place, shape)) = ENVIRONMENT.iter().find(|(known, ..)| *known == name)
        else {
            return Err(ConfigError::UnknownVariable {
                hint: suggestion(&name),
                name,
            });
        };
        let value = match shape {
            Shape::Text => Value::String(text),
            Shape::Bool => Value::Boolean(
                text.parse()
                    .map_err(|_| ConfigError::NotBool { name: known })?,
            ),
            Shape::Number => Value::Integer(
                text.parse()
                    .map_err(|_| ConfigError::NotNumber { name: known })?,
            ),
            Shape::List => Value::Array(
                text.split(',')
                    .map(|item| Value::String(item.trim().to_owned()))
                    .collect(),
            ),
        };
        put(&mut table, place, value);
    }
    Ok(table)
}

/// The known variable that looks most like `name`, as `, did you mean …?`.
fn suggestion(name: &str) -> String {
    ENVIRONMENT
        .iter()
        .map(|(known, ..)| (strsim::jaro_winkler(name, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.9)
        .map(|(_, known)| format!(", did you mean {known}?"))
        .unwrap_or_default()
}

/// Puts `value` at a place of one or two names.
pub fn put(table: &mut Table, place: &[&str], value: Value) {
    match place {
        [] => {}
        [name] => {
            table.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = table
                .entry(*name)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn merge(into: &mut Table, from: Table) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
