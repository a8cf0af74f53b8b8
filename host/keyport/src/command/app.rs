//! `keyport app`: what apps there are, what each asks for and sends where, and the OAuth client that an operator sets.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use keyport_connect::Actor;
use keyport_connect::view::NewConfiguration;
use keyport_manifest::{AuthMethod, CredentialRef, Manifest};

use super::{Failure, HostArguments, Outcome, key};
use crate::wiring;

/// `keyport app …`
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the apps that this host knows
    List {
        /// Further app folders, as in the configuration
        #[arg(long = "apps", value_name = "FOLDER")]
        folders: Vec<PathBuf>,
    },
    /// Show what an app asks for, where it sends what, and what it can do
    Info {
        /// Its id
        app: String,
        /// Further app folders, as in the configuration
        #[arg(long = "apps", value_name = "FOLDER")]
        folders: Vec<PathBuf>,
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
        Command::List { folders } => {
            for app in wiring::manifests(&folders)? {
                println!("{}\t{}\t{}", app.id, app.name, app.summary);
            }
        }
        Command::Info { app, folders } => info(find(&wiring::manifests(&folders)?, &app)?),
        Command::Configure {
            app,
            client_id,
            origins,
            host,
        } => configure(app, client_id, origins, &host).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn find<'a>(apps: &'a [Manifest], wanted: &str) -> Result<&'a Manifest, Failure> {
    if let Some(app) = apps.iter().find(|app| app.id.as_str() == wanted) {
        return Ok(app);
    }
    let nearest = apps
        .iter()
        .map(|app| {
            (
                strsim::jaro_winkler(app.id.as_str(), wanted),
                app.id.as_str(),
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8);
    let hint = nearest
        .map(|(_, id)| format!(", did you mean `{id}`?"))
        .unwrap_or_default();
    Err(Failure::Said(format!(
        "there is no app `{wanted}`{hint}; `keyport app list` shows them all"
    )))
}

fn info(app: &Manifest) {
    println!(
        "{} ({}) {}\n{}\n",
        app.name, app.id, app.version, app.summary
    );
    println!("Runs in: {}", String::from(app.component.clone()));
    println!("Calls:   {}", app.api.base_url.source());
    for host in &app.api.hosts {
        let credential = match &host.credential {
            CredentialRef::Main => "",
            CredentialRef::None => " (without a credential)",
            CredentialRef::Named(_) => " (with a credential of its own)",
        };
        println!("         {}{credential}", host.host.source());
    }
    if let Some(requires) = &app.requires {
        for (grant, reason) in &requires.grants {
            println!("Asks for: {grant:?}: {reason}");
        }
    }
    println!("\nWays to sign in:");
    for (id, method) in &app.auth {
        println!("  {id}: {} ({})", method.label(), method.kind());
        if let AuthMethod::Oauth2(oauth) = method {
            if let Some(url) = &oauth.authorize_url {
                println!("    authorizes at {}", url.source());
            }
            if let Some(url) = &oauth.token_url {
                println!("    tokens from   {}", url.source());
            }
            let scopes: Vec<&str> = oauth.scopes.default.iter().map(|s| s.source()).collect();
            println!("    scopes        {}", scopes.join(" "));
        }
        for injection in method.injections() {
            println!("    attaches      {:?} {}", injection.place, injection.name);
        }
        for field in app.fields_for(id) {
            println!(
                "    asks for      {}{}",
                field.label,
                if field.secret { " (secret)" } else { "" }
            );
        }
    }
    for (title, names) in [
        (
            "Actions",
            app.actions
                .iter()
                .map(|(id, one)| (id, &one.title))
                .collect::<Vec<_>>(),
        ),
        (
            "Triggers",
            app.triggers
                .iter()
                .map(|(id, one)| (id, &one.title))
                .collect::<Vec<_>>(),
        ),
    ] {
        if !names.is_empty() {
            println!("\n{title}:");
        }
        for (id, name) in names {
            println!("  {id}: {name}");
        }
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
    Ok(())
}
