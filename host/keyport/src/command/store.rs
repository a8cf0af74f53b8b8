//! `keyport store`: moving everything from one machine's folder to a shared database, or back.
//!
//! No key is needed and none is touched: rows are copied sealed. The hosts are stopped meanwhile; a folder lets only one
//! process in, and a copy of a database that was in use is noticed and not finished.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use keyport_vault::store::{Copying, copy};
use keyport_vault::{PostgresOptions, PostgresStore, Store};

use super::{Failure, Outcome};
use crate::config::StoreAddress;
use crate::progress::Progress;
use crate::store::{database, folder};
use crate::wiring::{WiringError, private_folder};

/// `keyport store …`
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Copy a store into an empty one; run again, it goes on where it was interrupted
    Copy {
        /// A data folder (its `store`), or postgres://user@host/database
        from: StoreAddress,
        /// The same, and empty
        to: StoreAddress,
        /// File with the password of a database that is copied from
        #[arg(long, value_name = "FILE")]
        from_password_file: Option<PathBuf>,
        /// File with the password of a database that is copied to
        #[arg(long, value_name = "FILE")]
        to_password_file: Option<PathBuf>,
    },
}

pub async fn run(arguments: Arguments) -> Outcome {
    let Command::Copy {
        from,
        to,
        from_password_file,
        to_password_file,
    } = arguments.command;
    if from.0 == to.0 {
        return Err(Failure::Said(
            "source and target are the same; name an empty target".to_owned(),
        ));
    }
    let from = open(from, from_password_file, true).await?;
    let to = open(to, to_password_file, false).await?;
    let mut progress = Progress::new();
    let mut tell = |at| match at {
        Copying::Counting { rows } => progress.at("counting", rows, None),
        Copying::Writing { rows, of } => progress.at("copying", rows, Some(of)),
        Copying::Comparing { rows, of } => progress.at("comparing", rows, Some(of)),
    };
    let copied = copy(&*from, &*to, &mut tell)
        .await
        .map_err(WiringError::from)?;
    progress.end();
    println!(
        "{} {} rows; source and target are the same (SHA-256 {}).",
        if copied.resumed {
            "Went on with an interrupted copy of"
        } else {
            "Copied"
        },
        copied.rows,
        copied.digest
    );
    Ok(ExitCode::SUCCESS)
}

async fn open(
    address: StoreAddress,
    password_file: Option<PathBuf>,
    must_be_there: bool,
) -> Result<Arc<dyn Store>, Failure> {
    if PostgresOptions::is_address(&address.0) {
        let options = database(&address.0, password_file.as_deref())?;
        let store = PostgresStore::open(options)
            .await
            .map_err(WiringError::from)?;
        return Ok(Arc::new(store));
    }
    if password_file.is_some() {
        return Err(Failure::Said(
            "a folder has no password; remove the flag with the password's file".to_owned(),
        ));
    }
    let path = PathBuf::from(&address.0);
    let inner = path.join("store");
    // The data folder that a host is configured with, or the store's own.
    if path.join("STORE").is_file() {
        return Ok(Arc::new(folder(path).await?));
    }
    if must_be_there && !inner.join("STORE").is_file() {
        return Err(Failure::Said(format!(
            "there is no store in {}; name the host's data folder",
            path.display()
        )));
    }
    private_folder(&path)?;
    Ok(Arc::new(folder(inner).await?))
}
