//! The `keyport` binary: one command line for the three kinds of people who use Keyport.
//!
//! | command | for whom | what it does |
//! |---|---|---|
//! | `dev` | everybody, first | the host, a pretend vendor and a demo platform on this machine; prints one link |
//! | `serve` | operators | the host, from a configuration |
//! | `key` | operators | platform keys: create, list, revoke |
//! | `vault` | operators | rotate and retire keys, verify, back up, restore |
//! | `audit` | operators | export the audit trail, prove it |
//! | `app` | operators, authors | what apps there are and what each asks for; install and remove one; set up an app's OAuth client |
//! | `store` | operators | move from one machine's folder to a shared database, or back |
//! | `new` | authors | an app's folder, from answers or from the vendor's OpenAPI document |
//! | `build` | authors | an app's component, from Rust, JavaScript or Python |
//! | `test` | authors | the component, against fixtures, a vendor's document or a live account |
//! | `validate` | authors | everything that is wrong with a manifest, offline |
//! | `render` | authors | the form and the requests that a manifest produces, secrets as placeholders |
//! | `diff` | authors, operators | what a new version of a manifest breaks for those who used the old one |
//! | `schema` | authors | the JSON Schema of the manifest, and the page that explains every key |
//!
//! This crate holds no rule of the product: `config` reads what the operator sets, `wiring` builds the parts
//! from it, `command/` has a file per command of a host and `author/` one per command of an author, `demo/` is the demo
//! platform, `store` opens the store that was configured, `position` remembers how far it was, `progress` shows how far long work is, `apps` gathers the apps, `asks` says what one asks for, `embedded` is what the build put in, `folders` says where apps lie.
//!
//! The feature `host` (on by default) carries everything that runs a host. Without it authors get their commands without
//! wasmtime, a component or an asynchronous runtime being compiled; the other commands then say that they are not there.

#[cfg(feature = "host")]
mod apps;
mod asks;
mod author;
#[cfg(feature = "host")]
mod command;
#[cfg(feature = "host")]
mod config;
#[cfg(feature = "host")]
mod demo;
mod embedded;
mod folders;
#[cfg(feature = "host")]
mod logs;
#[cfg(feature = "host")]
mod open_files;
#[cfg(feature = "host")]
mod position;
#[cfg(feature = "host")]
mod progress;
#[cfg(feature = "host")]
mod store;
#[cfg(feature = "host")]
mod wiring;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Connect people's app accounts to your platform.
#[derive(Parser)]
#[command(
    name = "keyport",
    version,
    propagate_version = true,
    max_term_width = 110
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an app's folder, from answers or from the vendor's OpenAPI document
    New(Box<author::new::command::Arguments>),
    /// Build an app's component, and print its size, imports and what the app asks for
    Build(author::build::Arguments),
    /// Check manifests: every error at once, with its place and a fix
    Validate(author::validate::Arguments),
    /// Show the form and the requests that a manifest produces, with placeholders for secrets
    Render(author::render::Arguments),
    /// Say what a new version of a manifest breaks for connections of the old one
    Diff(author::diff::Arguments),
    /// Print the JSON Schema of the manifest for editors, or the page that explains every key
    Schema(author::schema::Arguments),
    #[cfg(feature = "host")]
    #[command(flatten)]
    Host(HostCommand),
    #[cfg(not(feature = "host"))]
    #[command(flatten)]
    Absent(AbsentCommand),
}

#[cfg(feature = "host")]
#[derive(Subcommand)]
enum HostCommand {
    /// Run everything on this machine, with a pretend vendor and a demo platform
    Dev(command::dev::Arguments),
    /// Run the host from a configuration
    Serve(command::serve::Arguments),
    /// Create, list and revoke platform keys
    Key(command::key::Arguments),
    /// Run an app's component against its fixtures, the vendor's OpenAPI document, or a live account
    Test(command::test::Arguments),
    /// List apps, install and remove one, show what it asks for, set up its OAuth client
    App(command::app::Arguments),
    /// Copy the store from one machine's folder to a shared database, or back
    Store(command::store::Arguments),
    /// Rotate and retire keys, verify, back up and restore
    Vault(command::vault::Arguments),
    /// Export the audit trail as JSON lines, and prove it
    Audit(command::audit::Arguments),
}

/// The commands that a build for authors alone knows by name, so that it can say where they are.
#[cfg(not(feature = "host"))]
#[derive(Subcommand)]
enum AbsentCommand {
    #[command(hide = true)]
    Dev(Ignored),
    #[command(hide = true)]
    Serve(Ignored),
    #[command(hide = true)]
    Key(Ignored),
    #[command(hide = true)]
    Test(Ignored),
    #[command(hide = true)]
    App(Ignored),
    #[command(hide = true)]
    Store(Ignored),
    #[command(hide = true)]
    Vault(Ignored),
    #[command(hide = true)]
    Audit(Ignored),
}

#[cfg(not(feature = "host"))]
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
struct Ignored {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<std::ffi::OsString>,
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::New(arguments) => ended(author::new::command::run(&arguments)),
        Command::Build(arguments) => ended(author::build::run(&arguments)),
        Command::Validate(arguments) => ended(author::validate::run(&arguments)),
        Command::Render(arguments) => ended(author::render::run(&arguments)),
        Command::Diff(arguments) => ended(author::diff::run(&arguments)),
        Command::Schema(arguments) => ended(author::schema::run(&arguments)),
        #[cfg(feature = "host")]
        Command::Host(command) => host(command),
        #[cfg(not(feature = "host"))]
        Command::Absent(command) => absent(&command),
    }
}

/// An author's command: 0 and 1 are its answers, 2 says that it could not give one.
fn ended(outcome: author::Outcome) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("keyport: {error}");
        ExitCode::from(2)
    })
}

#[cfg(feature = "host")]
fn host(command: HostCommand) -> ExitCode {
    // Before the first key is read.
    if let Err(error) = keyport_vault::harden() {
        eprintln!("keyport: {error}; set LimitCORE=0 for this service");
    }
    open_files::raise();
    let outcome = match command {
        HostCommand::Dev(arguments) => with_runtime(command::dev::run(arguments)),
        HostCommand::Serve(arguments) => with_runtime(command::serve::run(arguments)),
        HostCommand::Key(arguments) => with_runtime(command::key::run(arguments)),
        HostCommand::Test(arguments) => with_runtime(command::test::run(arguments)),
        HostCommand::App(arguments) => with_runtime(command::app::run(arguments)),
        HostCommand::Store(arguments) => with_runtime(command::store::run(arguments)),
        HostCommand::Vault(arguments) => with_runtime(command::vault::run(arguments)),
        HostCommand::Audit(arguments) => with_runtime(command::audit::run(arguments)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("keyport: {error}");
        ExitCode::from(error.exit_code())
    })
}

#[cfg(feature = "host")]
fn with_runtime(work: impl Future<Output = command::Outcome>) -> command::Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(command::Failure::Runtime)?
        .block_on(work)
}

#[cfg(not(feature = "host"))]
fn absent(command: &AbsentCommand) -> ExitCode {
    let name = match command {
        AbsentCommand::Dev(_) => "dev",
        AbsentCommand::Serve(_) => "serve",
        AbsentCommand::Key(_) => "key",
        AbsentCommand::Test(_) => "test",
        AbsentCommand::App(_) => "app",
        AbsentCommand::Store(_) => "store",
        AbsentCommand::Vault(_) => "vault",
        AbsentCommand::Audit(_) => "audit",
    };
    eprintln!(
        "keyport: `{name}` is not in this build, which has the authors' commands alone; build keyport with its default \
         features (without `--no-default-features`) to run a host"
    );
    ExitCode::from(2)
}
