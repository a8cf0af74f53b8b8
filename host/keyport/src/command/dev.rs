//! `keyport dev`: the whole thing on one machine, for whoever wants to see it work before reading anything.
//!
//! Three servers on loopback: Keyport, a pretend vendor to connect to, and a demo platform on another site that
//! uses Keyport as a customer's would. Data and the root key live in one folder and survive a restart. An app that changes on
//! the disk is loaded again while everything runs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use keyport_connect::view::{ConfigurationPatch, KeyScope, NewConfiguration};
use keyport_connect::{Actor, Engine};
use keyport_sandbox::{Client, Vendor, VendorConfig};
use keyport_server::{Listen, ServerState};
use keyport_vault::RootKey;
use tokio::net::TcpListener;
use tokio::sync::watch;
use toml::{Table, Value};
use url::Url;

use super::{Failure, HostArguments, Outcome};
use crate::apps::watch::{Folders, Watch};
use crate::config;
use crate::demo::{Demo, Keyport};
use crate::logs;
use crate::wiring::{self, WiringError};

/// The origin in the sandbox vendor's manifests; it exists nowhere else.
const VENDOR_ORIGIN: &str = "https://vendor.keyport.test";
const VENDOR_CLIENT: &str = "keyport-dev";
const DEMO_KEY_NAME: &str = "demo platform";
/// The demo platform's key, for whoever wants to try the API by hand. A new one at each start.
const PLATFORM_KEY_FILE: &str = "platform.key";

/// Flags of `dev`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    host: HostArguments,
    /// Keyport's port; 0 takes a free one
    #[arg(long, default_value_t = 4700)]
    port: u16,
    /// The demo platform's port; 0 takes a free one
    #[arg(long, default_value_t = 4701)]
    platform_port: u16,
    /// The pretend vendor's port; 0 takes a free one
    #[arg(long, default_value_t = 4702)]
    vendor_port: u16,
    /// How long the vendor's access tokens live, in seconds
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    vendor_token_ttl: u64,
    /// Offer the vendor's control routes, which tests use to make it misbehave
    #[arg(long, hide = true)]
    vendor_control: bool,
}

/// Runs until ctrl-c.
pub async fn run(arguments: Arguments) -> Outcome {
    let keyport = loopback(arguments.port).await?;
    let platform = loopback(arguments.platform_port).await?;
    let vendor_listener = loopback(arguments.vendor_port).await?;
    // `localhost` for Keyport and `127.0.0.1` for the platform: to a browser these are two sites.
    let public_url = format!("http://localhost:{}", port(&keyport)?);
    let platform_url = format!("http://127.0.0.1:{}", port(&platform)?);
    let vendor_url = format!("http://127.0.0.1:{}", port(&vendor_listener)?);

    let data = arguments
        .host
        .data
        .clone()
        .unwrap_or_else(|| PathBuf::from(".keyport"));
    let mut flags = Table::new();
    config::put(
        &mut flags,
        &["public_url"],
        Value::String(public_url.clone()),
    );
    config::put(
        &mut flags,
        &["listen"],
        Value::String(address(&keyport)?.to_string()),
    );
    config::put(
        &mut flags,
        &["data"],
        Value::String(data.display().to_string()),
    );
    config::put(
        &mut flags,
        &["origins", VENDOR_ORIGIN],
        Value::String(vendor_url.clone()),
    );
    let own_key = match &arguments.host.root_key_file {
        Some(_) => false,
        None => {
            let file = root_key_file(&data)?;
            config::put(
                &mut flags,
                &["root_key", "file"],
                Value::String(file.display().to_string()),
            );
            true
        }
    };
    let config = arguments.host.read(flags)?;
    logs::start(&config.log);
    let folders = Folders::new(&data, &config.apps);
    let host = wiring::host(&config).await?;

    let secret = random_secret()?;
    let mut client = Client::new(VENDOR_CLIENT, secret.clone());
    client.name = "Keyport (development)".into();
    // The callback ends in the configuration's random id.
    client.redirect_prefixes = vec![format!("{public_url}/oauth/callback/")];
    let vendor = Vendor::new(VendorConfig {
        access_token_ttl: Duration::from_secs(arguments.vendor_token_ttl),
        clients: vec![client],
        control: arguments.vendor_control,
        ..VendorConfig::new(&vendor_url)
    })
    .map_err(|error| Failure::Said(error.to_string()))?;
    configure_vendor(&host.engine, secret).await?;
    let platform_key = demo_key(&host.engine).await?;
    private_file(&data.join(PLATFORM_KEY_FILE), &platform_key)?;
    let own = parse(&platform_url)?;
    let public = parse(&public_url)?;
    let host_name = public_url.trim_start_matches("http://");
    let client = Keyport::new(
        format!("http://{}", address(&keyport)?),
        host_name,
        &platform_key,
    )
    .map_err(|error| Failure::Said(error.to_string()))?;
    let demo =
        Demo::new(&own, &public, client).map_err(|error| Failure::Said(error.to_string()))?;

    announce(&demo, &public_url, &vendor_url, &data, own_key);
    for app in host.catalogue.left_out() {
        eprintln!("\nAn app is left out: {}\n{app}", app.origin);
    }
    let watch = Watch::new(folders, host.catalogue, host.plugins);
    let watching = tokio::spawn(watch.run(|told| eprintln!("{told}")));
    let served = serve_all(
        (host.engine, &data),
        &public,
        (keyport, platform, vendor_listener),
        vendor,
        &demo,
    )
    .await;
    watching.abort();
    served
}

async fn serve_all(
    (engine, data): (Engine, &Path),
    public: &Url,
    (keyport, platform, vendor_listener): (TcpListener, TcpListener, TcpListener),
    vendor: Vendor,
    demo: &Demo,
) -> Outcome {
    let (stop, stopped) = watch::channel(false);
    let until = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the sender is gone, which is the end as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let listen = Listen {
        address: address(&keyport)?,
        tls: None,
        behind_proxy: false,
    };
    let vendor = tokio::spawn(keyport_sandbox::serve(
        vendor_listener,
        vendor,
        until(stopped.clone()),
    ));
    let platform = tokio::spawn(
        axum::serve(platform, demo.router())
            .with_graceful_shutdown(until(stopped.clone()))
            .into_future(),
    );
    let state =
        ServerState::new(engine, public).map_err(|error| Failure::Said(error.to_string()))?;
    let control = keyport_server::control::serve(state.clone(), data);
    let serving = keyport_server::serve(state, keyport, listen, until(stopped));
    let signal = async {
        wiring::shutdown().await;
        // Whoever listens is told; nobody listening means that all have ended.
        let _ = stop.send(true);
    };
    let (served, (), ()) = tokio::join!(serving, signal, control);
    // The host's end is what counts: it has answered its requests and closed its store. The two toys may be cut off.
    platform.abort();
    vendor.abort();
    served.map_err(|error| Failure::Said(format!("serving ended: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

fn announce(demo: &Demo, public_url: &str, vendor_url: &str, data: &Path, own_key: bool) {
    println!("Keyport is running. Open this link to try it:\n");
    println!("    {}\n", demo.entrance());
    println!("  Keyport        {public_url}   (API: {public_url}/docs)");
    println!("  pretend vendor {vendor_url}   (its keys and passwords: {vendor_url}/developer)");
    println!("  data           {}", data.display());
    println!(
        "  platform key   {}",
        data.join(PLATFORM_KEY_FILE).display()
    );
    if own_key {
        println!("  root key       {}", data.join("root.key").display());
    }
    println!("\nStop with ctrl-c.");
}

/// The sandbox app gets the OAuth client that this run's vendor knows.
async fn configure_vendor(engine: &Engine, secret: String) -> Result<(), Failure> {
    let existing = engine.configurations("sandbox").await?;
    match existing.iter().find(|one| one.default) {
        Some(one) => {
            let patch = ConfigurationPatch {
                client_secret: Some(secret),
                ..Default::default()
            };
            engine
                .update_configuration(&Actor::Host, &one.id, None, patch)
                .await?;
        }
        None => {
            let new = NewConfiguration {
                name: Some("Development".into()),
                client_id: Some(VENDOR_CLIENT.into()),
                client_secret: Some(secret),
                ..NewConfiguration::default()
            };
            engine.configure(&Actor::Host, "sandbox", new).await?;
        }
    }
    Ok(())
}

/// A fresh key for each run; those of earlier runs end.
async fn demo_key(engine: &Engine) -> Result<String, Failure> {
    for key in engine
        .list_keys(&Actor::Host)
        .await?
        .iter()
        .filter(|key| key.name == DEMO_KEY_NAME)
    {
        engine.revoke_key(&Actor::Host, &key.id).await?;
    }
    let scopes = [
        KeyScope::Manage,
        KeyScope::Connect,
        KeyScope::Actions,
        KeyScope::Proxy,
    ];
    Ok(engine
        .create_key(&Actor::Host, DEMO_KEY_NAME, &scopes)
        .await?
        .secret)
}

/// Writes a file that only its owner can read, whatever was there before.
fn private_file(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let file = |source| Failure::File {
        path: path.to_owned(),
        source,
    };
    if path.exists() {
        std::fs::remove_file(path).map_err(file)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut open| writeln!(open, "{text}"))
        .map_err(file)
}

fn root_key_file(data: &Path) -> Result<PathBuf, Failure> {
    wiring::private_folder(data)?;
    let file = data.join("root.key");
    if !file.exists() {
        RootKey::generate()
            .and_then(|key| key.write_new_file(&file))
            .map_err(WiringError::from)?;
    }
    Ok(file)
}

async fn loopback(port: u16) -> Result<TcpListener, Failure> {
    wiring::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|source| Failure::Listen {
        address: "127.0.0.1".into(),
        source,
    })
}

fn port(listener: &TcpListener) -> Result<u16, Failure> {
    address(listener).map(|address| address.port())
}

fn parse(url: &str) -> Result<Url, Failure> {
    url.parse()
        .map_err(|error| Failure::Said(format!("{url}: {error}")))
}

fn random_secret() -> Result<String, Failure> {
    use base64::Engine as _;
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| Failure::Said(error.to_string()))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}
