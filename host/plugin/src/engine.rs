//! How wasmtime is set up: what is on, how much there is of everything, and the clock that interrupts guests.
//!
//! Instances come from a pool where the address space allows it (starting one then costs microseconds), else they are
//! made as they are needed. Fuel is not used: epochs cost a fraction of it, and the time limit round the whole call is
//! what counts to whoever waits.

use std::time::{Duration, Instant};

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::PluginError;
use crate::limits::CallLimits;

/// How often running guests are looked at. One atomic increment; far below any limit.
pub const TICK: Duration = Duration::from_millis(10);

/// Native stack of a guest. Rust guests use some tens of KiB; interpreters recurse more.
const STACK_BYTES: usize = 1 << 20;
/// Stack of the fiber that a guest runs on: the guest's, and room for the host calls that it makes.
const FIBER_BYTES: usize = 3 << 20;
/// What one component may bring: a Rust guest has four core instances, CPython about forty.
const CORE_INSTANCES: u32 = 50;
const MEMORIES: u32 = 4;
const TABLES: u32 = 10;
/// Bytes of the engine's own bookkeeping for one instance; large interpreters need some hundred KiB.
const INSTANCE_BYTES: usize = 4 << 20;
/// What of a table is zeroed between calls in place of being given back to the system: all of it, for a guest's has some
/// hundred elements. Measured: 6 µs of a call.
const TABLE_KEPT_BYTES: usize = 1 << 20;
/// What of a memory is: nothing. A guest's stack is at its beginning and hardly any of it is ever touched, so zeroing by hand
/// writes a megabyte of zeros over zeros, 14 of 45 µs of a call; and what the system takes back comes again as zeros, whatever it
/// was. The third way, zeroing what the kernel says was written (`pagemap_scan`), is 10 µs quicker still and not taken: a page that
/// was swapped out is forgotten by it, and is the next call's to read (wasmtime's pull request 14357).
const MEMORY_KEPT_BYTES: usize = 0;

/// Starts an engine for `calls` calls at a time, and the ticker that ends with it.
pub fn start(calls: u32, limits: &CallLimits) -> Result<Engine, PluginError> {
    let mut pooled = common();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(calls, limits)));
    let engine = match Engine::new(&pooled) {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(%error, "no pool of instances: too little address space; components start more slowly");
            Engine::new(&common()).map_err(|error| PluginError::Engine(format!("{error:#}")))?
        }
    };
    start_ticker(&engine)?;
    Ok(engine)
}

fn common() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK_BYTES);
    config.async_stack_size(FIBER_BYTES);
    // Off: what no supported guest needs. 64-bit memories would pass the limits' arithmetic, relaxed SIMD gives results
    // that differ between machines, and the asynchronous component model has structures that every call would pay for.
    config.wasm_memory64(false);
    config.wasm_relaxed_simd(false);
    config.concurrency_support(false);
    // What a crash is called is all that is told of it, so nothing is kept to find its place in the guest: less code to read
    // and to seal at a start, and less memory per app. (Windows asks for the tables by which a stack is unwound.)
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
    #[cfg(not(windows))]
    config.native_unwind_info(false);
    config
}

fn pool(calls: u32, limits: &CallLimits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(calls)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES))
        .max_core_instance_size(INSTANCE_BYTES)
        .total_memories(calls.saturating_mul(MEMORIES))
        .total_tables(calls.saturating_mul(TABLES))
        .total_stacks(calls)
        .max_memories_per_module(1)
        .max_tables_per_module(TABLES)
        .table_elements(limits.table_elements)
        .max_memory_size(limits.memory_bytes)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_keep_resident(TABLE_KEPT_BYTES);
    pool
}

/// A thread of its own: an executor that guests keep busy could not tick for them.
///
/// Each tick is aimed at its own time and not at a while after the last one: what a sleep is late by would add up over a
/// limit of some seconds. Ticks that were missed (a machine that slept) are not made up for: no guest ran in them.
fn start_ticker(engine: &Engine) -> Result<(), PluginError> {
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("keyport-epoch".into())
        .spawn(move || {
            let mut next = Instant::now();
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                next = following(next, Instant::now());
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        })
        .map(drop)
        .map_err(|error| PluginError::Engine(format!("the ticker did not start: {error}")))
}

/// When the tick after the one that was due at `due` is due.
fn following(due: Instant, now: Instant) -> Instant {
    let next = due + TICK;
    if now.saturating_duration_since(next) > TICK {
        now + TICK
    } else {
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_come_late_do_not_move_the_next_and_a_machine_that_slept_makes_up_for_none() {
        let start = Instant::now();
        let mut due = start;
        // Each sleep is late by a tenth; a limit of 500 ticks is not.
        for _ in 0..500 {
            due = following(due, due + TICK / 10);
        }
        assert_eq!(due, start + 500 * TICK);
        // A tick that is late by more than one: the next is a whole one away, not none.
        let woken = due + Duration::from_secs(3600);
        assert_eq!(following(due, woken), woken + TICK);
    }
}
