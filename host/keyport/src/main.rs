//! The `keyport` binary: one command line for the three kinds of people who use Keyport.
//!
//! | command | for whom | what it does |
//! |---|---|---|
//! | `dev` | everybody, first | the host, a pretend vendor and a demo platform on this machine; prints one link |
//! | `serve` | operators | the host, from a configuration |
//! | `key` | operators | platform keys: create, list, revoke |
//! | `app` | operators, authors | what apps there are and what each asks for; set up an app's OAuth client |
//! | `validate` | authors | everything that is wrong with a manifest, offline |
//!
//! This crate holds no rule of the product: `config` reads what the operator sets, `wiring` builds the parts
//! from it, `command/` has a file per command, `demo/` is the demo platform, `embedded` what the build put in.

mod command;
mod config;
mod demo;
mod embedded;
mod logs;
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
    /// Run everything on this machine, with a pretend vendor and a demo platform
    Dev(command::dev::Arguments),
    /// Run the host from a configuration
    Serve(command::serve::Arguments),
    /// Check manifests: every error at once, with its place and a fix
    Validate(command::validate::Arguments),
    /// Create, list and revoke platform keys
    Key(command::key::Arguments),
    /// List apps, show what one asks for, set up its OAuth client
    App(command::app::Arguments),
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let outcome = match command_line.command {
        Command::Validate(arguments) => command::validate::run(&arguments),
        Command::Dev(arguments) => with_runtime(command::dev::run(arguments)),
        Command::Serve(arguments) => with_runtime(command::serve::run(arguments)),
        Command::Key(arguments) => with_runtime(command::key::run(arguments)),
        Command::App(arguments) => with_runtime(command::app::run(arguments)),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("keyport: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn with_runtime(work: impl Future<Output = command::Outcome>) -> command::Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(command::Failure::Runtime)?
        .block_on(work)
}
