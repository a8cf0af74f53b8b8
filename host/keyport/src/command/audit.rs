//! `keyport audit`: the trail of who did what, as JSON lines, and its proof.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::operator::{Door, part};
use super::{Failure, HostArguments, Outcome};

/// `keyport audit …`
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Print the trail, one JSON document a line, oldest first
    Export {
        /// Begin after this number
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Prove that nothing was edited, deleted, put in or cut off; ends with 1 if something was
    Verify {
        /// An earlier export that was kept elsewhere; its last line must lie on the chain
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
        #[command(flatten)]
        host: HostArguments,
    },
}

pub async fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Export { mut after, host } => {
            let (door, _) = Door::open(&host).await?;
            let mut out = std::io::stdout().lock();
            loop {
                let path = format!("/v1/audit?after={after}&limit=1000");
                let answer = door.send(Method::GET, &path, None).await?;
                let text = answer
                    .into_body()
                    .collect()
                    .await
                    .map_err(|_| Failure::Said("the host's answer ended early".into()))?
                    .to_bytes();
                let last = text
                    .split(|byte| *byte == b'\n')
                    .rfind(|line| !line.is_empty());
                let Some(last) = last else { break };
                let last: Value = serde_json::from_slice(last).unwrap_or_default();
                out.write_all(&text)
                    .map_err(|error| Failure::Said(format!("the output is closed: {error}")))?;
                match part(&last, "seq").as_u64() {
                    Some(seq) if seq > after => after = seq,
                    _ => break,
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { against, host } => {
            let anchor = against.map(anchor).transpose()?;
            let (door, _) = Door::open(&host).await?;
            let body = json!({"anchor": anchor});
            let report = door
                .ask(Method::POST, "/v1/audit/verify", Some(&body))
                .await?;
            for finding in part(&report, "findings").as_array().into_iter().flatten() {
                println!("{}", finding.as_str().unwrap_or_default());
            }
            let wrong = part(&report, "wrong").as_u64().unwrap_or(0);
            println!(
                "{} events are as they were, numbers {} to {}; {} wait to be chained; {wrong} things are wrong.",
                part(&report, "proven"),
                part(&report, "first"),
                part(&report, "last"),
                part(&report, "waiting")
            );
            Ok(ExitCode::from(u8::from(wrong > 0)))
        }
    }
}

/// Number and MAC of an export's last line.
fn anchor(path: PathBuf) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(&path).map_err(|source| Failure::File {
        path: path.clone(),
        source,
    })?;
    let line: Value = text
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_default();
    match (part(&line, "seq").as_u64(), part(&line, "mac").as_str()) {
        (Some(seq), Some(mac)) => Ok(json!({"seq": seq, "mac": mac})),
        _ => Err(Failure::Said(format!(
            "the last line of {} is not one of `keyport audit export`",
            path.display()
        ))),
    }
}
