//! `keyport app`: what apps there are, what each asks for and sends where; installing and removing one; the OAuth client that an
//! operator sets.
//!
//! Installing shows everything that an app asks for before anything is written, and what of it is new where it is installed
//! already. Its component is compiled and started once, with nothing to reach, so that a host's start finds it well. None of
//! this opens the store, so a host may run meanwhile: `dev` takes a change up by itself, `serve` at its next start.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use keyport_connect::Actor;
use keyport_connect::view::NewConfiguration;
use keyport_manifest::{AppId, Component};

use super::{Failure, HostArguments, Outcome, key};
use crate::apps::installed::Installed;
use crate::apps::{self, Known, folder};
use crate::asks::{self, Code};
use crate::author::build;
use crate::author::output::print;
use crate::config::Config;
use crate::folders::MANIFEST;
use crate::wiring;

/// Where `dev` keeps its data, and so where an app is installed if nobody says otherwise.
const USUAL_DATA: &str = ".keyport";

/// `keyport app …`
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Install an app from its folder (manifest.yaml, logo.svg, fixtures/, component.wasm); what it asks for is shown first
    Install {
        /// The app's folder
        folder: PathBuf,
        /// Do not ask; for scripts of somebody who has looked
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Remove an installed app; its connections stay and rest until it is there again
    Remove {
        /// Its id
        app: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        host: HostArguments,
    },
    /// List the apps that this host knows, and where each is from
    List {
        /// Further app folders, as in the configuration
        #[arg(long = "apps", value_name = "FOLDER")]
        folders: Vec<PathBuf>,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Show what an app asks for, where it sends what, and what it can do
    Info {
        /// Its id
        app: String,
        /// Further app folders, as in the configuration
        #[arg(long = "apps", value_name = "FOLDER")]
        folders: Vec<PathBuf>,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Set up an app's OAuth client; the secret is read from standard input
    Configure {
        /// Its id
        app: String,
        /// The OAuth client's id, from the app's developer settings
        #[arg(long)]
        client_id: String,
        /// Origins that the client's secret may be sent to; needed where people type the address themselves
        #[arg(long = "origin", value_name = "ORIGIN")]
        origins: Vec<String>,
        #[command(flatten)]
        host: HostArguments,
    },
}

pub async fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Install { folder, yes, host } => return install(&folder, yes, &host).await,
        Command::Remove { app, yes, host } => return remove(&app, yes, &host),
        Command::List { folders, host } => {
            let mut lines = String::new();
            for Known {
                manifest,
                from,
                code,
            } in known(&host, &folders)?
            {
                let digest = code.as_ref().and_then(|it| it.sha256.as_ref());
                let short = digest.and_then(|it| it.get(..12));
                let digest = short
                    .map(|it| format!(", sha256 {it}…"))
                    .unwrap_or_default();
                lines.push_str(&format!(
                    "{}\t{}\t{}\t{from}{digest}\n",
                    manifest.id, manifest.name, manifest.summary
                ));
            }
            print(&lines)?;
        }
        Command::Info { app, folders, host } => {
            let all = known(&host, &folders)?;
            let Known {
                manifest,
                from,
                code,
            } = find(&all, &app)?;
            let parts = asks::parts(manifest, code.as_ref());
            print!("{}", asks::text(manifest, &parts, None));
            println!("\nFrom: {from}");
        }
        Command::Configure {
            app,
            client_id,
            origins,
            host,
        } => configure(app, client_id, origins, &host).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration, with the data folder of `dev` where nothing names one.
fn config(host: &HostArguments) -> Result<Config, Failure> {
    let mut flags = key::stand_ins(host);
    if host.config.is_none() && host.data.is_none() && std::env::var_os("KEYPORT_DATA").is_none() {
        flags.insert("data".into(), USUAL_DATA.into());
    }
    Ok(host.read(flags)?)
}

fn known(host: &HostArguments, further: &[PathBuf]) -> Result<Vec<Known>, Failure> {
    let config = config(host)?;
    let mut folders = config.apps;
    folders.extend_from_slice(further);
    let (known, left_out) = apps::known(&config.data, &folders)?;
    for app in left_out {
        eprintln!("left out: {}\n{app}", app.origin);
    }
    Ok(known)
}

fn find<'a>(apps: &'a [Known], wanted: &str) -> Result<&'a Known, Failure> {
    if let Some(app) = apps.iter().find(|app| app.manifest.id.as_str() == wanted) {
        return Ok(app);
    }
    let nearest = apps
        .iter()
        .map(|app| app.manifest.id.as_str())
        .map(|id| (strsim::jaro_winkler(id, wanted), id))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8);
    let hint = nearest
        .map(|(_, id)| format!(", did you mean `{id}`?"))
        .unwrap_or_default();
    Err(Failure::Said(format!(
        "there is no app `{wanted}`{hint}; `keyport app list` shows them all"
    )))
}

async fn install(from: &Path, yes: bool, host: &HostArguments) -> Outcome {
    let config = config(host)?;
    from_source(from, yes)?;
    let source = folder::source(from)?;
    let manifest = folder::manifest(&source, Some(from)).map_err(|left_out| {
        Failure::Said(format!(
            "{} cannot be installed; `keyport validate` says more:\n{left_out}",
            from.display()
        ))
    })?;
    if crate::embedded::apps()
        .iter()
        .any(|app| app.id == manifest.id.as_str())
    {
        return Err(Failure::Said(format!(
            "this program has an app `{}` already; give yours another id",
            manifest.id
        )));
    }
    // Started once here, with nothing to reach: what does not start is not installed.
    wiring::private_folder(&config.data)?;
    let loaded = wiring::plugins(&config.data, wiring::code_key_at_hand(&config))?
        .load(manifest.id.as_str(), &source.component)
        .await
        .map_err(|error| Failure::Said(error.to_string()))?;
    let own = matches!(manifest.component, Component::Path(_));
    let code = own.then(|| Code {
        sha256: Some(loaded.sha256().to_owned()),
        // Told by what the host links, in the place of what the file says.
        fetches: loaded.imports_wasi_http(),
    });
    let parts = asks::parts(&manifest, code.as_ref());
    let sha256 = code.and_then(|code| code.sha256);
    let installed = Installed::of(&config.data);
    let before = installed.record(&manifest.id)?;
    // What is there may be older than this program, or spoilt; then everything counts as new.
    let old = folder::source(&installed.folder(&manifest.id))
        .ok()
        .filter(|_| before.is_some())
        .and_then(|old| {
            let manifest = folder::manifest(&old, Some(&installed.folder(&manifest.id))).ok()?;
            Some((apps::code(&manifest, &old.component), manifest))
        });
    let old_digest = before.as_ref().and_then(|it| it.component_sha256.clone());
    let old = old.map(|(code, old)| asks::parts(&old, code.as_ref()));
    print!("{}", asks::text(&manifest, &parts, old.as_deref()));
    if let Some(before) = &before {
        println!("\nVersion {} is installed.", before.version);
        if before.component_sha256 != sha256 {
            println!(
                "Its code is another now: sha256 {}, before {}.",
                sha256.as_deref().unwrap_or("none"),
                old_digest.as_deref().unwrap_or("none"),
            );
        }
    }
    confirm(&format!("Install {}?", manifest.name), yes)?;
    let record = installed.install(from, &source, &manifest)?;
    println!(
        "Installed {} {} in {}.",
        record.id,
        record.version,
        installed.folder(&record.id).display()
    );
    println!("`keyport dev` has it at once, `keyport serve` from its next start on.");
    Ok(ExitCode::SUCCESS)
}

/// Builds the component of a folder that has its source alone. Whoever installs must know that this is not in the sandbox.
fn from_source(from: &Path, yes: bool) -> Result<(), Failure> {
    let text = folder::text(&from.join(MANIFEST))?;
    // What is wrong with a manifest is told when it is read for good.
    let bases = |id: &AppId| apps::base(Some(from), id);
    let Ok(manifest) = keyport_manifest::parse_with(MANIFEST, &text, &bases) else {
        return Ok(());
    };
    let there = folder::component_file(from, &manifest.component).is_none_or(|file| file.is_file());
    if there || !build::has_source(from, &manifest) {
        return Ok(());
    }
    println!(
        "{} has its source and no component. Building it runs what the source says on this machine, outside of the sandbox.\n",
        from.display()
    );
    confirm("Build it?", yes)?;
    build::build(from, &manifest)?;
    Ok(())
}

fn remove(app: &str, yes: bool, host: &HostArguments) -> Outcome {
    let config = config(host)?;
    let installed = Installed::of(&config.data);
    let id = app
        .parse::<AppId>()
        .map_err(|error| Failure::Said(error.to_string()))?;
    if !installed.folder(&id).is_dir() {
        return Err(Failure::Said(format!(
            "{id} is not installed; `keyport app list` says where each app is from"
        )));
    }
    println!("Connections of {id} stay in the store, and cannot be used until it is there again.");
    confirm(&format!("Remove {id}?"), yes)?;
    installed.remove(&id)?;
    println!("Removed {id}.");
    Ok(ExitCode::SUCCESS)
}

/// Asks, unless somebody said yes before. Without a terminal there is nobody to ask.
fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Said(
            "nothing was changed: nobody is there to be asked; look at the above and add --yes"
                .to_owned(),
        ));
    }
    eprint!("\n{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match read.map(|_| answer.trim().to_ascii_lowercase()) {
        Ok(answer) if answer == "y" || answer == "yes" => Ok(()),
        _ => Err(Failure::Said("nothing was changed".to_owned())),
    }
}

async fn configure(
    app: String,
    client_id: String,
    origins: Vec<String>,
    host: &HostArguments,
) -> Result<(), Failure> {
    eprintln!("The client's secret, one line on standard input (empty for none):");
    let mut secret = zeroize::Zeroizing::new(String::new());
    std::io::stdin()
        .read_line(&mut secret)
        .map_err(|error| Failure::Said(format!("the secret could not be read: {error}")))?;
    let secret = secret.trim();
    let new = NewConfiguration {
        client_id: Some(client_id),
        client_secret: (!secret.is_empty()).then(|| secret.to_owned()),
        origins,
        ..NewConfiguration::default()
    };
    let made = key::engine(host)
        .await?
        .configure(&Actor::Host, &app, new)
        .await?;
    println!("Made {} for {}.", made.id, made.app);
    println!(
        "Register this redirect URI (callback URL) at {}:\n\n    {}",
        made.app, made.redirect_uri
    );
    if let Some(webhook) = &made.webhook {
        println!(
            "\nIts events come to this address. {}\n\n    {}\n\nWhere the app signs them with a secret of their own, PATCH /v1/configurations/{} with it as `webhook_secret`.",
            webhook.say, webhook.url, made.id
        );
    }
    Ok(())
}
