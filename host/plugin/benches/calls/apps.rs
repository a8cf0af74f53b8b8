//! Many apps at once: what each costs to load and to keep, and whether calls get slower for it.
//!
//! Every app is a component of its own (in a real catalogue most share one), so this is the dear end. Calls are measured in two
//! ways: one app called over and over while the others lie there, and all of them in turn, where each call finds the pool's places
//! as another app left them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use keyport_plugin::{Call, CallLimits, CodeCache, LoadedApp, PluginHost};
use serde_json::json;

use crate::bare::Bare;
use crate::host;
use crate::support::{self, Upstream, call};

const APPS: usize = 1_000;
/// Each number of apps is measured this often, in turns.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_millis(800);

/// The same component under another digest: a custom section at its end that nobody reads.
fn variant(wasm: &[u8], n: usize) -> Vec<u8> {
    let name = format!("n{n:05}");
    let mut out = wasm.to_vec();
    out.extend([0, 7, 6]);
    out.extend(name.as_bytes());
    out
}

fn status(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|known| known.starts_with(line));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// Time that this process has computed, over all processors; in hundredths of a second, as the system counts it.
fn computed() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    Duration::from_millis(10 * (ticks(13).unwrap_or(0) + ticks(14).unwrap_or(0)))
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn at_a_time() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// As the host does it at its start: the first `count` of them, as many at a time as there are processors.
async fn load(host: &PluginHost, variants: &Arc<Vec<Vec<u8>>>, count: usize) -> Vec<LoadedApp> {
    let (host, variants) = (host.clone(), Arc::clone(variants));
    futures_util::stream::iter(0..count)
        .map(move |n| {
            let (host, variants) = (host.clone(), Arc::clone(&variants));
            async move { host.load(&format!("app-{n}"), &variants[n]).await.unwrap() }
        })
        .buffered(at_a_time())
        .collect()
        .await
}

/// What is called: an app of ours, or bare wasmtime.
trait Called: Clone + Send + Sync + 'static {
    fn call(&self, call: Call) -> impl Future<Output = ()> + Send;
}

impl Called for LoadedApp {
    async fn call(&self, call: Call) {
        self.action(call, "echo", &json!({})).await.unwrap();
    }
}

impl Called for Bare {
    async fn call(&self, call: Call) {
        self.once(call, "echo").await;
    }
}

/// Calls a second, by as many callers as there are processors, each of whom goes on to the next app after each call.
async fn throughput<T: Called>(apps: &Arc<Vec<T>>, upstream: &Upstream) -> f64 {
    let (call, _) = call(upstream);
    let done = Arc::new(AtomicBool::new(false));
    let turn = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let callers: Vec<_> = (0..at_a_time())
        .map(|_| {
            let (apps, done, turn) = (Arc::clone(apps), Arc::clone(&done), Arc::clone(&turn));
            let call = call.clone();
            tokio::spawn(async move {
                let mut calls = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    let app = &apps[turn.fetch_add(1, Ordering::Relaxed) % apps.len()];
                    app.call(call.clone()).await;
                    calls += 1;
                    if begun.elapsed() > TURN {
                        done.store(true, Ordering::Relaxed);
                    }
                }
                calls
            })
        })
        .collect();
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.unwrap();
    }
    f64::from(calls) / begun.elapsed().as_secs_f64()
}

/// Calls a second to these three sets, measured in turns: the middle of each.
async fn in_turns<T: Called>(sets: [Vec<T>; 3], upstream: &Upstream) -> [f64; 3] {
    let sets = sets.map(Arc::new);
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        for (set, rates) in sets.iter().zip(&mut rates) {
            rates.push(throughput(set, upstream).await);
        }
    }
    rates.map(middle)
}

fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

pub async fn measured() {
    // `KEYPORT_BENCH_FOLDER` keeps the compiled code for the next run: making it takes minutes.
    let own = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("KEYPORT_BENCH_FOLDER")
        .map_or_else(|| own.path().to_owned(), PathBuf::from)
        .join("compiled");
    let cache = || {
        let key = zeroize::Zeroizing::new([7; 32]);
        Some(CodeCache::new(folder.clone(), key))
    };
    let wasm = support::wasm("hostile-acts");
    let upstream = Upstream::start().await;
    let variants: Arc<Vec<Vec<u8>>> = Arc::new((0..APPS).map(|n| variant(&wasm, n)).collect());
    let begun = Instant::now();
    let filling = host(cache(), CallLimits::default());
    load(&filling, &variants, APPS).await;
    drop(filling);
    let kept: u64 = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!(
        "{APPS} different components of {} KB compiled, kept and started once: {:?}, {} KB of code each",
        wasm.len() / 1000,
        begun.elapsed(),
        kept / 1000 / APPS as u64
    );

    // Several times: a start is once, and a single one says little on a machine that does other things as well.
    let mut times = Vec::new();
    let computed_before = computed();
    for _ in 0..TURNS {
        let host = host(cache(), CallLimits::default());
        let begun = Instant::now();
        let apps = load(&host, &variants, APPS).await;
        times.push(begun.elapsed());
        drop(apps);
    }
    times.sort();
    println!(
        "{APPS} apps loaded from the cache in {:?} (median of {TURNS}; the quickest {:?}, the slowest {:?}; {:?} of computing; goal: under 2 s)",
        times[TURNS / 2],
        times[0],
        times[TURNS - 1],
        (computed() - computed_before) / TURNS as u32
    );

    let host = host(cache(), CallLimits::default());
    // The first one makes what all share.
    let first = load(&host, &variants, 1).await;
    throughput(&Arc::new(first.clone()), &upstream).await;
    let before = (status("VmRSS:"), status("RssFile:"), open_files());
    let rest = load(&host, &variants, APPS).await;
    let after = (status("VmRSS:"), status("RssFile:"), open_files());
    println!(
        "each loaded app takes {} KiB of memory ({} KiB of it of files, which the system can take back) and {:.1} open files",
        after.0.saturating_sub(before.0) / APPS,
        after.1.saturating_sub(before.1) / APPS,
        (after.2 as f64 - before.2 as f64) / APPS as f64
    );

    let [one, ten, all] = in_turns([1, 10, APPS].map(|n| rest[..n].to_vec()), &upstream).await;
    println!(
        "calls a second, going round among 1, 10 and {APPS} apps of different code: {one:.0}, {ten:.0} ({:.2}), {all:.0} ({:.2})",
        ten / one,
        all / one
    );
    drop((rest, host, first));
    // What of that is the machine's: other code each time, which no cache of a processor's holds, and another memory to map.
    let bare = Bare::copies(&wasm, APPS);
    let [one, ten, all] = in_turns([1, 10, APPS].map(|n| bare[..n].to_vec()), &upstream).await;
    drop(bare);
    println!(
        "the same on bare wasmtime: {one:.0}, {ten:.0} ({:.2}), {all:.0} ({:.2})",
        ten / one,
        all / one
    );

    // One app, with 1, 10 and all loaded: a host of its own for each.
    let mut hosts = Vec::new();
    for n in [1, 10, APPS] {
        let host = crate::host(cache(), CallLimits::default());
        let apps = load(&host, &variants, n).await;
        hosts.push((host, apps));
    }
    let sets: Vec<Vec<LoadedApp>> = hosts.iter().map(|(_, apps)| apps[..1].to_vec()).collect();
    let [one, ten, all] = in_turns(sets.try_into().ok().unwrap(), &upstream).await;
    println!(
        "calls a second to one app while 1, 10 and {APPS} are loaded: {one:.0}, {ten:.0} ({:.2}), {all:.0} ({:.2}; goal: flat)",
        ten / one,
        all / one
    );
}
