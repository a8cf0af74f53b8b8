//! `keyport vault`: the keys that everything is sealed with, verification and backups.
//!
//! Works beside a running host (it does the work, this shows it) and on a store that no host has open. A restore goes into an empty
//! store, so it needs no host.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use keyport_vault::RootKey;
use keyport_vault::backup::{Backup, restore};
use serde_json::{Value, json};

use super::operator::{Door, part, to_file};
use super::{Failure, HostArguments, Outcome};
use crate::progress::Progress;
use crate::store;
use crate::wiring::{self, WiringError};

/// `keyport vault …`
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What can be rotated and retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// The keyring's term; owners' keys are wrapped anew
    Terms,
    /// Every owner's key; every secret is sealed anew
    Owners,
    /// The root key; both open until the old one is retired
    Root,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::Owners => "owners",
            Self::Root => "root",
        }
    }
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show which keys there are, how old and how often used, and what is being done
    Status {
        /// Also count every owner's keys
        #[arg(long)]
        owners: bool,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Make new keys, while everything is served; interrupted, it goes on
    Rotate {
        #[arg(value_enum, default_value = "terms")]
        level: Level,
        /// At most so many rows per second
        #[arg(long, value_name = "ROWS")]
        rate: Option<u32>,
        /// With `root`: file with the new root key (`keyport key root FILE` makes one)
        #[arg(long, value_name = "FILE", conflicts_with = "new_root_key_command")]
        new_root_key_file: Option<PathBuf>,
        /// With `root`: command whose output is the new root key, its arguments separated by commas
        #[arg(long, value_name = "COMMAND", value_delimiter = ',')]
        new_root_key_command: Option<Vec<String>>,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Destroy old keys that nothing needs any more
    Retire {
        #[arg(value_enum, default_value = "terms")]
        level: Level,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Open everything and list what does not open; ends with 1 if there is any
    Verify {
        /// At most so many rows per second
        #[arg(long, value_name = "ROWS")]
        rate: Option<u32>,
        /// A backup kept elsewhere: also tells records that were put back to an older state
        #[arg(long, value_name = "BACKUP")]
        against: Option<PathBuf>,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Write a backup; sealed, it opens with the root key and nothing else
    Backup {
        /// The file to make
        file: PathBuf,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Restore a backup into an empty store; interrupted, it goes on when run again
    Restore {
        /// The backup
        file: PathBuf,
        /// Only read it and open everything in it
        #[arg(long)]
        verify_only: bool,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Write a backup that opens with another root key, for another installation
    Export {
        /// The file to make
        file: PathBuf,
        /// File with that root key
        #[arg(long, value_name = "FILE")]
        for_root_key_file: PathBuf,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Restore an export into an empty store, under this installation's root key
    Import {
        /// The export
        file: PathBuf,
        /// File with the root key that it was made for, if that is not the configured one
        #[arg(long, value_name = "FILE")]
        of_root_key_file: Option<PathBuf>,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Destroy an owner's keys: their secrets never open again, here or from a later backup
    DestroyOwner {
        /// The owner
        owner: String,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Print what all rows hash to; the same in two stores that hold the same
    Digest {
        #[command(flatten)]
        host: HostArguments,
    },
}

pub async fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Status { owners, host } => {
            let (door, _) = Door::open(&host).await?;
            let path = format!("/v1/vault?owners={owners}");
            let status = door.ask(Method::GET, &path, None).await?;
            println!(
                "{}",
                serde_json::to_string_pretty(&status).unwrap_or_default()
            );
        }
        Command::Rotate {
            level,
            rate,
            new_root_key_file,
            new_root_key_command,
            host,
        } => {
            let new = match (new_root_key_file, new_root_key_command) {
                (Some(file), _) => Some(RootKey::from_file(file).map_err(WiringError::from)?),
                (None, Some(command)) => {
                    Some(RootKey::from_command(&command).map_err(WiringError::from)?)
                }
                (None, None) => None,
            };
            if (level == Level::Root) != new.is_some() {
                return Err(Failure::Said(
                    "the new root key is given with `rotate root`, and only there: --new-root-key-file FILE".into(),
                ));
            }
            let (door, _) = Door::open(&host).await?;
            let mut body = json!({"what": level.name(), "rate": rate});
            if let Some(new) = new {
                put(
                    &mut body,
                    "root_key",
                    Value::String(new.encoded().to_string()),
                );
                door.send(Method::POST, "/v1/vault/rotate", Some(&body))
                    .await?;
                println!(
                    "Both root keys open. Put the new one into the configuration of every host, then run: keyport vault retire root"
                );
                return Ok(ExitCode::SUCCESS);
            }
            door.send(Method::POST, "/v1/vault/rotate", Some(&body))
                .await?;
            door.until_done().await?;
            println!(
                "Rotated {}. The old keys still open; `keyport vault retire {}` destroys those that nothing needs.",
                level.name(),
                level.name()
            );
        }
        Command::Retire { level, host } => {
            let (door, _) = Door::open(&host).await?;
            let body = json!({"what": level.name()});
            door.send(Method::POST, "/v1/vault/retire", Some(&body))
                .await?;
            if level == Level::Root {
                println!("The old root key opens nothing any more.");
                return Ok(ExitCode::SUCCESS);
            }
            let report = door.until_done().await?;
            println!(
                "Destroyed {} old keys; {} stay, which {} rows need.",
                part(&report, "destroyed"),
                part(&report, "kept"),
                part(&report, "uses")
            );
        }
        Command::Verify {
            rate,
            against,
            host,
        } => return verify(rate, against, &host).await,
        Command::Backup { file, host } => {
            let (door, config) = Door::open(&host).await?;
            let root = wiring::root_key(&config)?;
            let answer = door.send(Method::GET, "/v1/vault/backup", None).await?;
            keep(answer, &file, &root, "backing up, bytes").await?;
        }
        Command::Export {
            file,
            for_root_key_file,
            host,
        } => {
            let root = RootKey::from_file(for_root_key_file).map_err(WiringError::from)?;
            let (door, _) = Door::open(&host).await?;
            let body = json!({"root_key": root.encoded().to_string()});
            let answer = door
                .send(Method::POST, "/v1/vault/export", Some(&body))
                .await?;
            keep(answer, &file, &root, "exporting, bytes").await?;
        }
        Command::Restore {
            file,
            verify_only,
            host,
        } => return into_store(&file, verify_only, None, &host).await,
        Command::Import {
            file,
            of_root_key_file,
            host,
        } => {
            let of = of_root_key_file
                .map(RootKey::from_file)
                .transpose()
                .map_err(WiringError::from)?;
            return into_store(&file, false, of, &host).await;
        }
        Command::DestroyOwner { owner, host } => {
            let (door, _) = Door::open(&host).await?;
            let body = json!({"owner": owner});
            door.send(Method::POST, "/v1/vault/destroy-owner", Some(&body))
                .await?;
            println!("The keys of {owner} are destroyed.");
        }
        Command::Digest { host } => {
            let (door, _) = Door::open(&host).await?;
            let answer = door.ask(Method::GET, "/v1/vault/digest", None).await?;
            println!("{}", part(&answer, "digest").as_str().unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(rate: Option<u32>, against: Option<PathBuf>, host: &HostArguments) -> Outcome {
    let (door, config) = Door::open(host).await?;
    let mut body = json!({"rate": rate});
    if let Some(path) = against {
        let path = std::path::absolute(&path).map_err(|source| Failure::File {
            path: path.clone(),
            source,
        })?;
        let root = wiring::root_key(&config)?;
        put(
            &mut body,
            "against",
            Value::String(path.display().to_string()),
        );
        put(
            &mut body,
            "root_key",
            Value::String(root.encoded().to_string()),
        );
    }
    door.send(Method::POST, "/v1/vault/verify", Some(&body))
        .await?;
    let report = door.until_done().await?;
    Ok(told(&report))
}

fn put(body: &mut Value, name: &str, value: Value) {
    if let Value::Object(map) = body {
        map.insert(name.to_owned(), value);
    }
}

/// Says what verifying found, a line a finding.
fn told(report: &Value) -> ExitCode {
    for finding in part(report, "findings").as_array().into_iter().flatten() {
        let word = |name: &str| part(finding, name).as_str().unwrap_or("-").to_owned();
        println!(
            "{}\t{}\t{}\t{}",
            word("kind"),
            word("owner"),
            word("id"),
            word("what")
        );
    }
    let damaged = part(report, "damaged").as_u64().unwrap_or(0);
    println!(
        "{} records, {} secrets open, {} shut because their owner's keys were destroyed; {damaged} damaged.",
        part(report, "records"),
        part(report, "opened"),
        part(report, "destroyed")
    );
    ExitCode::from(u8::from(damaged > 0))
}

/// Writes a backup beside its name, proves it, then gives it its name.
async fn keep(
    answer: http::Response<axum::body::Body>,
    file: &Path,
    root: &RootKey,
    what: &'static str,
) -> Result<(), Failure> {
    let failed = |source| Failure::File {
        path: file.to_owned(),
        source,
    };
    if file.exists() {
        return Err(Failure::Said(format!(
            "{} exists already; a backup does not replace another",
            file.display()
        )));
    }
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut out = options.open(&part).await.map_err(failed)?;
    let bytes = to_file(answer, &mut out, what).await?;
    out.sync_all().await.map_err(failed)?;
    drop(out);
    let mut progress = Progress::new();
    let backup = Backup::open(&part, root, &mut |done, of| {
        progress.at("proving", done, Some(of));
    })
    .map_err(WiringError::from)?;
    progress.end();
    tokio::fs::rename(&part, file).await.map_err(failed)?;
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    std::fs::File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    println!(
        "Wrote {}: {bytes} bytes, {} rows as of revision {}.",
        file.display(),
        backup.trailer().rows,
        backup.trailer().revision
    );
    Ok(())
}

/// A restore, or with `of` an import: the backup opens with that key and is sealed with the configured one.
async fn into_store(
    file: &Path,
    verify_only: bool,
    of: Option<RootKey>,
    host: &HostArguments,
) -> Outcome {
    let config = host.read(super::key::stand_ins(host))?;
    let own = wiring::root_key(&config)?;
    let mut progress = Progress::new();
    let backup = Backup::open(file, of.as_ref().unwrap_or(&own), &mut |done, total| {
        progress.at("reading", done, Some(total));
    })
    .map_err(WiringError::from)?;
    let contents = backup
        .contents(&mut |done, total| progress.at("opening", done, Some(total)))
        .map_err(WiringError::from)?;
    progress.end();
    let report = serde_json::to_value(&contents.verified).unwrap_or_default();
    let code = told(&report);
    if verify_only {
        println!("Digest {}", contents.digest);
        return Ok(code);
    }
    wiring::private_folder(&config.data)?;
    let store = store::configured(&config).await?;
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let now_ms = u64::try_from(now_ms.as_millis()).unwrap_or(u64::MAX);
    let mut progress = Progress::new();
    let reseal = of.is_some().then_some(&own);
    let restored = restore(&backup, &*store, reseal, now_ms, &mut |done, total| {
        progress.at("restoring", done, Some(total));
    })
    .await
    .map_err(WiringError::from)?;
    progress.end();
    println!(
        "Restored {} rows{}. Digest {}",
        restored.written + restored.found,
        if restored.found > 0 {
            ", some of which an earlier attempt had written"
        } else {
            ""
        },
        contents.digest
    );
    Ok(ExitCode::SUCCESS)
}
