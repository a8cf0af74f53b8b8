//! The address of the database: `postgres://user@host:5432/database?sslmode=…`.
//!
//! Read strictly: a parameter that is not known is an error, because a misspelt `sslmode` must not quietly leave the
//! connection open to others. Off this machine the server must prove who it is (`verify-full`) unless the address says
//! otherwise; the modes that fall back without a word (`allow`, `prefer`) are refused.
//!
//! Threat: who sits between host and database. The secrets are sealed, but the clear parts and the password are not, and an
//! old answer put in place of a new one would bring a revoked connection back.

use std::net::IpAddr;
use std::path::PathBuf;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;
use zeroize::Zeroizing;

use crate::store::StoreError;

/// The most connections at once, unless the address says otherwise. A commit holds one for about five round trips.
const CONNECTIONS: u32 = 10;
const CONNECTIONS_MAX: u32 = 500;

/// Where the database is and how to reach it. Has no `Debug`: there may be a password in it.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) connect: PgConnectOptions,
    /// The address without its password, for messages.
    pub(super) shown: String,
    pub(super) connections: u32,
    /// Whether statements may be prepared once per connection. Not behind a pooler that hands out connections by transaction.
    pub(super) prepared: bool,
    /// Said at the start when the connection is not safe from who sits between.
    pub(super) warning: Option<&'static str>,
    password: bool,
}

impl PostgresOptions {
    /// Whether this text is an address of a database at all.
    #[must_use]
    pub fn is_address(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }

    /// Reads an address. A name or password with special characters is percent-encoded; a folder of a Unix socket
    /// stands in `host=`. Further parameters: `sslmode` (`disable`, `require`, `verify-ca`, `verify-full`),
    /// `sslrootcert`, `sslcert`, `sslkey`, `connections`, `pooler=transaction`.
    ///
    /// # Errors
    /// [`StoreError::Setup`] says what to write instead; it never quotes the address.
    pub fn parse(address: &str) -> Result<Self, StoreError> {
        if !Self::is_address(address) {
            return Err(setup(
                "a database's address begins with postgres://, such as postgres://keyport@db.example.com/keyport",
            ));
        }
        let url = Url::parse(address).map_err(|error| {
            setup(&format!(
                "the database's address cannot be read ({error}); write postgres://user@host:5432/database, special characters percent-encoded"
            ))
        })?;
        let mut host = match url.host_str() {
            None | Some("") => None,
            Some(host) => Some(decode(host.trim_start_matches('[').trim_end_matches(']'))?),
        };
        let mut mode = None;
        let mut options = Self {
            connect: PgConnectOptions::new_without_pgpass()
                .extra_float_digits(None)
                .application_name("keyport")
                .port(url.port().unwrap_or(5432)),
            shown: String::new(),
            connections: CONNECTIONS,
            prepared: true,
            warning: None,
            password: false,
        };
        for (name, value) in url.query_pairs() {
            let connect = options.connect.clone();
            options.connect = match name.as_ref() {
                "host" => {
                    host = Some(value.into_owned());
                    connect
                }
                "port" => connect.port(
                    value
                        .parse()
                        .map_err(|_| setup("`port` in the database's address must be a number"))?,
                ),
                "sslmode" => {
                    mode = Some(value.into_owned());
                    connect
                }
                "sslrootcert" => connect.ssl_root_cert(readable(&value)?),
                "sslcert" => connect.ssl_client_cert(readable(&value)?),
                "sslkey" => connect.ssl_client_key(readable(&value)?),
                "connections" => {
                    options.connections = value
                        .parse()
                        .ok()
                        .filter(|count| (2..=CONNECTIONS_MAX).contains(count))
                        .ok_or_else(|| {
                            setup("`connections` in the database's address must be 2 to 500")
                        })?;
                    connect
                }
                "pooler" if value == "transaction" => {
                    options.prepared = false;
                    connect.statement_cache_capacity(0)
                }
                other => {
                    return Err(setup(&format!(
                        "`{other}` in the database's address is unknown or has an unknown value; known are host, port, sslmode, \
                         sslrootcert, sslcert, sslkey, connections and pooler=transaction"
                    )));
                }
            };
        }
        let host = host.ok_or_else(|| {
            setup("the database's address names no host; write postgres://user@host/database, or host=FOLDER for a Unix socket")
        })?;
        let near = is_near(&host);
        let (mode, warning) = tls(mode.as_deref(), near)?;
        options.warning = warning;
        let database = decode(url.path().trim_start_matches('/'))?;
        if database.is_empty() || database.contains('/') {
            return Err(setup(
                "the database's address must end with the name of one database, such as …/keyport",
            ));
        }
        let mut connect = options
            .connect
            .host(&host)
            .ssl_mode(mode)
            .database(&database);
        let user = decode(url.username())?;
        if !user.is_empty() {
            connect = connect.username(&user);
        }
        if let Some(password) = url.password() {
            connect = connect.password(&Zeroizing::new(decode(password)?));
            options.password = true;
        }
        options.shown = format!("{host}:{}/{database}", connect.get_port());
        options.connect = connect.disable_statement_logging();
        Ok(options)
    }

    /// Whether the address itself has a password in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password
    }

    /// The same with a password that comes from elsewhere.
    #[must_use]
    pub fn with_password(mut self, password: &Zeroizing<String>) -> Self {
        self.connect = self.connect.password(password);
        self.password = true;
        self
    }

    /// Host, port and database: what may be shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

fn tls(mode: Option<&str>, near: bool) -> Result<(PgSslMode, Option<&'static str>), StoreError> {
    Ok(match (mode, near) {
        (None, true) => (PgSslMode::Disable, None),
        (None, false) | (Some("verify-full"), _) => (PgSslMode::VerifyFull, None),
        (Some("verify-ca"), _) => (PgSslMode::VerifyCa, None),
        (Some("require"), near) => (
            PgSslMode::Require,
            (!near).then_some(
                "the connection to the database is encrypted, but nobody checks who answers (sslmode=require); use verify-full",
            ),
        ),
        (Some("disable"), near) => (
            PgSslMode::Disable,
            (!near).then_some(
                "the connection to the database is not encrypted (sslmode=disable); whoever is on the network between sees who has which app",
            ),
        ),
        (Some("allow" | "prefer"), _) => {
            return Err(setup(
                "`sslmode=allow` and `sslmode=prefer` give up TLS without a word; write verify-full, or, on a network of your own, disable",
            ));
        }
        (Some(_), _) => {
            return Err(setup(
                "`sslmode` in the database's address must be disable, require, verify-ca or verify-full",
            ));
        }
    })
}

/// Whether nobody can sit between: a Unix socket or this machine.
fn is_near(host: &str) -> bool {
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn readable(path: &str) -> Result<PathBuf, StoreError> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(PathBuf::from(path)),
        Err(error) => Err(setup(&format!(
            "the file {path} that the database's address names cannot be read: {error}"
        ))),
    }
}

fn decode(part: &str) -> Result<String, StoreError> {
    let wrong = || {
        setup(
            "the database's address has a % that is not followed by two hexadecimal digits, or is not UTF-8",
        )
    };
    let mut bytes = part.bytes();
    let mut out = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        out.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(out).map_err(|_| wrong())
}

fn setup(text: &str) -> StoreError {
    StoreError::Setup(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(address: &str) -> String {
        let options = PostgresOptions::parse(address).unwrap();
        format!("{:?}", options.connect.get_ssl_mode())
    }

    #[test]
    fn off_this_machine_the_server_must_prove_who_it_is() {
        for far in [
            "db.example.com",
            "10.0.0.5",
            "[2001:db8::1]",
            "localhost.example.com",
        ] {
            assert_eq!(
                mode(&format!("postgres://u@{far}/d")),
                "VerifyFull",
                "{far}"
            );
        }
        for near in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "%2Fvar%2Frun%2Fpostgresql",
        ] {
            assert_eq!(mode(&format!("postgres://u@{near}/d")), "Disable", "{near}");
        }
        assert_eq!(mode("postgres:///d?host=/var/run/postgresql"), "Disable");
        assert_eq!(
            mode("postgres://u@db.example.com/d?sslmode=verify-ca"),
            "VerifyCa"
        );
    }

    #[test]
    fn what_weakens_the_connection_is_said() {
        for (more, said) in [
            ("", false),
            ("?sslmode=verify-full", false),
            ("?sslmode=require", true),
            ("?sslmode=disable", true),
        ] {
            let options =
                PostgresOptions::parse(&format!("postgres://u@db.example.com/d{more}")).unwrap();
            assert_eq!(options.warning.is_some(), said, "{more}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_with_a_sentence_and_without_its_password() {
        for wrong in [
            "mysql://u:topsecret@h/d",
            "postgres://u:topsecret@h",
            "postgres://u:topsecret@h/",
            "postgres://u:topsecret@h/a/b",
            "postgres://u:topsecret@/d",
            "postgres://u:topsecret%zz@h/d",
            "postgres://u:topsecret@h:port/d",
            "postgres://u:topsecret@h/d?sslmod=disable",
            "postgres://u:topsecret@h/d?sslmode=prefer",
            "postgres://u:topsecret@h/d?sslmode=none",
            "postgres://u:topsecret@h/d?sslrootcert=/no/such/file",
            "postgres://u:topsecret@h/d?connections=0",
            "postgres://u:topsecret@h/d?pooler=session",
        ] {
            let Err(StoreError::Setup(text)) = PostgresOptions::parse(wrong) else {
                panic!("{wrong} is taken");
            };
            assert!(!text.contains("topsecret") && text.len() > 40, "{text}");
        }
    }

    #[test]
    fn what_is_shown_has_no_password() {
        let options =
            PostgresOptions::parse("postgres://keyport:p%40ss@db.example.com:6432/vault").unwrap();
        assert_eq!(options.shown(), "db.example.com:6432/vault");
        assert!(options.has_password());
        assert_eq!(options.connect.get_username(), "keyport");
    }
}
