//! `keyport test`: an app's component, run as a host runs it, without the network.
//!
//! Each exchange in `fixtures/` about the test, an action or a trigger is played: the component is called for a connection that
//! nobody made, with marked secrets, through the real egress, whose only way leads to a stand-in of the vendor on this machine.
//! What was sent and what came out is held against the fixture. Instead of fixtures the vendor's OpenAPI document can answer
//! (`--openapi`), or a real account (`--live`), the author's own or one that a running `dev` has connected (`--connection`), whose exchanges become fixtures with `--record`.
//!
//! Two rules of the book are looked at here: the component starts quickly and within its limits (V78), and it leaves other
//! hosts alone and shows no secret (V81).
//!
//! | file | what it is for |
//! |---|---|
//! | `compiled` | compiled components between two runs |
//! | `play` | one call: what is given, what is expected, what came of it |
//! | `same` | when what was sent or came out is what the fixture has |
//! | `script` | plays from fixtures, from the manifest's schemas, and for a live account |
//! | `stage` | an engine over nothing but this app, and the way out that it has |
//! | `mock` | the stand-in of the vendor: scripted answers, or those of a document |
//! | `openapi` | answers that fit a vendor's document |
//! | `relay` | answers of the vendor to an account that a running host has connected |
//! | `record` | what a live account said, as fixtures without secrets |
//!
//! The threats: a component that tells a secret, so everything that leaves it and everything that the vendor would have got is
//! searched; a recording that keeps one, so a witness stands where secrets are not attached yet and are taken out already.
//! Left out: token answers, callbacks, sessions and discovery, which no component does; `keyport validate` runs those fixtures.

mod compiled;
mod mock;
mod openapi;
mod play;
mod record;
mod relay;
mod same;
mod script;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use keyport_manifest::Manifest;
use keyport_plugin::{LoadedApp, PluginConfig, PluginHost};

use super::{Failure, Outcome};
use crate::apps::folder;
use crate::wiring::WiringError;
use mock::{Answers, Mock};
use play::{Play, Played};
use relay::Relay;
use stage::Stage;

/// A start that takes longer is felt in every call (V78). A language runtime takes a few milliseconds.
const START: Duration = Duration::from_secs(1);
/// How often the start is measured; the quickest counts, for this machine may be busy.
const STARTS: usize = 5;

/// Flags of `test`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The app's folder
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Answer from the vendor's OpenAPI document (JSON or YAML; 3.0, 3.1 or Swagger 2.0) instead of from fixtures
    #[arg(long, value_name = "FILE", conflicts_with = "live")]
    openapi: Option<PathBuf>,
    /// Call the vendor, with your own account: KEYPORT_NET_<APP>_<FIELD> in the environment for each field of a way to sign in,
    /// …_ACCESS_TOKEN for OAuth. The test, actions that read, and triggers are called
    #[arg(long)]
    live: bool,
    /// With `--live`: write what was sent and answered to fixtures/recorded.yaml, with secrets replaced
    #[arg(long, requires = "live")]
    record: bool,
    /// With `--live`: a field's value
    #[arg(long = "set", value_name = "FIELD=VALUE", requires = "live")]
    set: Vec<String>,
    /// With `--live`: an origin that is reached elsewhere, such as https://vendor.keyport.test=http://127.0.0.1:4702
    #[arg(long = "origin", value_name = "FROM=TO", requires = "live")]
    origins: Vec<String>,
    /// With `--live`: an account that `keyport dev` has connected, by its id (con_…). Its credentials stay with that host
    #[arg(long, value_name = "ID", requires = "live", conflicts_with_all = ["origins", "method"])]
    connection: Option<String>,
    /// With `--connection`: where that host is
    #[arg(
        long,
        value_name = "URL",
        requires = "connection",
        default_value = "http://localhost:4700"
    )]
    host: String,
    /// With `--connection`: the file with that host's platform key
    #[arg(
        long,
        value_name = "FILE",
        requires = "connection",
        default_value = ".keyport/platform.key"
    )]
    key_file: PathBuf,
    /// The way to sign in; the first that can be used if not said
    #[arg(long, value_name = "ID")]
    method: Option<String>,
    /// Show headers and bodies of every request, not only where something is wrong
    #[arg(long, short)]
    verbose: bool,
}

/// Plays everything and tells what came of it: 0 all as expected, 1 not so.
pub async fn run(arguments: Arguments) -> Outcome {
    let source = folder::source(&arguments.folder)?;
    let manifest = folder::manifest(&source, Some(&arguments.folder)).map_err(|left_out| {
        Failure::Said(format!(
            "the manifest does not hold; `keyport validate` says more:\n{left_out}"
        ))
    })?;
    let plugins = PluginHost::new(PluginConfig {
        cache: compiled::cache(),
        ..PluginConfig::default()
    })
    .map_err(WiringError::from)?;
    let mut wrong = 0;
    // It is kept to the end: whoever loads the component again has what was compiled of it.
    let Some(_kept) = starts(&plugins, manifest.id.as_str(), &source.component).await else {
        return Ok(ExitCode::FAILURE);
    };
    plugins.tidy_cache(SystemTime::now()).await;
    let kept = match arguments.record {
        true => Some(record::Recording::free(&arguments.folder)?),
        false => None,
    };
    let (plays, answers) = plays(&arguments, &manifest).await?;
    if plays.is_empty() {
        println!(
            "There is nothing to play: no exchange in {}/fixtures is about the test, an action or a trigger.",
            arguments.folder.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let mock = match answers {
        Some(answers) => Some(Mock::start(&manifest, &plays, answers).await?),
        None => None,
    };
    let stage = Stage::new(
        &source,
        &arguments.folder,
        plugins,
        mock.as_ref(),
        &arguments.origins,
    )
    .await?;
    let mut recording = record::Recording::default();
    for play in &plays {
        let played = stage.play(play, mock.as_ref()).await?;
        let problems = played.problems(play, &manifest);
        tell(play, &played, &problems, arguments.verbose);
        wrong += usize::from(!problems.is_empty());
        recording.add(play, &played, &problems, &manifest);
    }
    if let Some(file) = kept {
        match recording.len() {
            0 => println!("\nnothing was recorded: no call went as it should"),
            count => {
                recording.write(&file)?;
                println!(
                    "\nwrote {count} exchanges to {}; look them through before you publish them",
                    file.display()
                );
            }
        }
    }
    println!("\n{} played, {wrong} not as expected", plays.len());
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What is played, and who answers; nobody but the vendor where nothing stands in for it.
async fn plays(
    arguments: &Arguments,
    manifest: &Manifest,
) -> Result<(Vec<Play>, Option<Answers>), Failure> {
    let (folder, method) = (&arguments.folder, arguments.method.as_deref());
    if let Some(id) = &arguments.connection {
        let relay = Relay::open(manifest, &arguments.host, &arguments.key_file, id).await?;
        let account = relay.account.as_ref();
        let plays = script::connected(manifest, folder, &relay.method, account, &arguments.set)?;
        return Ok((plays, Some(Answers::Connection(Box::new(relay)))));
    }
    if arguments.live {
        return Ok((
            script::live(manifest, folder, method, &arguments.set)?,
            None,
        ));
    }
    Ok(match &arguments.openapi {
        Some(file) => (
            script::of_schemas(manifest, folder, method)?,
            Some(Answers::Document(openapi::Vendor::read(file)?)),
        ),
        None => (
            script::of_fixtures(manifest, folder)?,
            Some(Answers::Scripted),
        ),
    })
}

/// V78: the component, if it starts and quickly enough.
async fn starts(plugins: &PluginHost, app: &str, component: &[u8]) -> Option<LoadedApp> {
    let (loaded, best) = match quickest(async || plugins.load(app, component).await).await {
        Ok(found) => found,
        Err(error) => {
            println!("error[V78]: the component does not start: {error}");
            return None;
        }
    };
    let size = component.len().div_ceil(1024);
    println!(
        "component: {size} KB, starts in {:.1} ms\n",
        best.as_secs_f64() * 1000.0
    );
    if best > START {
        println!(
            "error[V78]: it takes longer than {} s to start; every call would wait for it",
            START.as_secs()
        );
        return None;
    }
    Some(loaded)
}

/// Starts once, which compiles, and then measures. The first is held meanwhile: compiled code lives as long as somebody has it, and
/// compiling it anew is no part of a start.
async fn quickest<L, E>(start: impl AsyncFn() -> Result<L, E>) -> Result<(L, Duration), E> {
    let first = start().await?;
    let mut best = Duration::MAX;
    for _ in 0..STARTS {
        let began = Instant::now();
        if start().await.is_ok() {
            best = best.min(began.elapsed());
        }
    }
    Ok((first, best))
}

fn tell(play: &Play, played: &Played, problems: &[String], verbose: bool) {
    let mark = if problems.is_empty() { "ok  " } else { "FAIL" };
    let what = play.what.text();
    match play.name == what {
        true => println!("{mark}  {what}"),
        false => println!("{mark}  {} ({what})", play.name),
    }
    for line in played.shown(verbose || !problems.is_empty()) {
        println!("        {line}");
    }
    for problem in problems {
        println!("      {problem}");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::{Rc, Weak};

    use super::*;

    #[tokio::test]
    async fn what_is_compiled_once_is_not_compiled_again_to_measure_a_start() {
        // As the engine does: shared as long as somebody has it.
        let (shared, compiled) = (RefCell::new(Weak::new()), Cell::new(0));
        let start = async || {
            let known: Option<Rc<()>> = shared.borrow().upgrade();
            Ok::<_, ()>(known.unwrap_or_else(|| {
                compiled.set(compiled.get() + 1);
                let new = Rc::new(());
                *shared.borrow_mut() = Rc::downgrade(&new);
                new
            }))
        };
        let (_kept, best) = quickest(start).await.unwrap();
        assert_eq!(compiled.get(), 1);
        assert!(best < Duration::MAX);
    }
}
