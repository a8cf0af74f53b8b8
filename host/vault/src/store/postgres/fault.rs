//! What an error of the database means: try again, connect again, unknown, or final.
//!
//! The rule: only what certainly did not happen is tried again. Before COMMIT is sent, a lost connection undoes the
//! transaction, so it is certain; after it, nothing is, whatever the reason given.

use sqlx::Error;

use crate::store::StoreError;

/// Why an attempt did not succeed.
#[derive(Debug)]
pub(super) enum Fault {
    /// It will not succeed by trying again.
    Final(StoreError),
    /// It was undone by the database (40001, 40P01, 55P03) or by ourselves; the connection is good.
    Again(&'static str),
    /// It did not happen, and the connection is of no more use. With `elsewhere`, neither are its neighbours: the server
    /// has become a standby, or has stopped answering.
    Broken { why: String, elsewhere: bool },
    /// COMMIT was sent and no answer came.
    Lost(String),
}

/// SQLSTATEs of transactions that were undone because of others.
const UNDONE: [&str; 3] = ["40001", "40P01", "55P03"];

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let Error::Database(database) = &error else {
            return match error {
                Error::PoolTimedOut => Self::broken(
                    "no connection within 2 seconds: it cannot be reached, or all connections are in use".into(),
                ),
                Error::Io(_)
                | Error::Tls(_)
                | Error::Protocol(_)
                | Error::PoolClosed
                | Error::WorkerCrashed
                | Error::BeginFailed => Self::broken(error.to_string()),
                other => Self::Final(StoreError::Corrupt(format!(
                    "the database answered unexpectedly: {other}"
                ))),
            };
        };
        let code = database.code().unwrap_or_default();
        match code.as_ref() {
            code if UNDONE.contains(&code) => Self::Again("others keep changing the same rows"),
            "25006" => Self::Broken {
                why: "the database takes no writes (a standby, or set to read-only)".into(),
                elsewhere: true,
            },
            // 08: connection; 57P0x: shutting down, crashed, starting; 53300: too many connections;
            // 25P02, 25P03: the transaction was ended for having waited.
            code if code.starts_with("08") || code.starts_with("57P0") || code.starts_with("25P0") || code == "53300" => {
                Self::broken(format!("the database said {code}: {}", database.message()))
            }
            "53100" => Self::Final(StoreError::Unavailable(
                "the database's disk is full; make room there".into(),
            )),
            "42P01" | "42703" => Self::Final(StoreError::Corrupt(
                "the database lacks keyport's tables, or they were altered; restore it from a backup".into(),
            )),
            "42501" => Self::Final(StoreError::Setup(format!(
                "the database's user lacks a permission: {}; see the README of keyport-vault, \"Permissions\"",
                database.message()
            ))),
            code => Self::Final(StoreError::Unavailable(format!(
                "the database said {code}: {}",
                database.message()
            ))),
        }
    }
}

impl Fault {
    pub(super) fn broken(why: String) -> Self {
        Self::Broken {
            why,
            elsewhere: false,
        }
    }

    /// The same once COMMIT was sent: what the database says was undone, was; all else is not known. Above all not 40003
    /// (statement completion unknown), 08007 (transaction resolution unknown), or a server that is shut down while it waits
    /// for its standby: it has committed by then.
    pub(super) fn at_commit(error: Error) -> Self {
        let undone = error
            .as_database_error()
            .and_then(|database| {
                database
                    .code()
                    .map(|code| UNDONE.contains(&code.as_ref()) || code.starts_with("23"))
            })
            .unwrap_or(false);
        if undone {
            Self::Again("others keep changing the same rows")
        } else {
            Self::Lost(error.to_string())
        }
    }
}

/// Why the first connection could not be made, as a sentence that says what to do.
pub(super) fn connecting(error: &Error, address: &str) -> StoreError {
    let setup = |text: String| StoreError::Setup(text);
    match error {
        Error::Tls(why) if why.to_string().contains("does not support TLS") => setup(format!(
            "the database at {address} offers no TLS; switch it on there (`ssl = on`), or, where nobody else is on the network \
             between, say `sslmode=disable` in the address"
        )),
        Error::Tls(why) => setup(format!(
            "the database at {address} could not prove who it is: {why}; name its authority with `sslrootcert=FILE`, and \
             connect by the name that stands in its certificate"
        )),
        Error::Io(why) if why.kind() == std::io::ErrorKind::InvalidData => setup(format!(
            "the database at {address} could not prove who it is: {why}; name its authority with `sslrootcert=FILE`, and \
             connect by the name that stands in its certificate"
        )),
        Error::Io(why) => StoreError::Unavailable(format!(
            "the database at {address} cannot be reached: {why}"
        )),
        Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let said = database.message();
            match code.as_ref() {
                "28P01" | "28000" => setup(format!(
                    "the database at {address} lets us not in: {said}; check user and password (KEYPORT_STORE_PASSWORD, or \
                     `store.password_file`)"
                )),
                "3D000" => setup(format!("{said} at {address}; make it with `createdb`")),
                code => StoreError::Unavailable(format!(
                    "the database at {address} said {code}: {said}"
                )),
            }
        }
        other => setup(format!("the database at {address} cannot be used: {other}")),
    }
}
