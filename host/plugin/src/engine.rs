//! How wasmtime is set up: what is on, how much there is of everything, and the clock that interrupts guests.
//!
//! Instances come from a pool where the address space allows it (starting one then costs microseconds), else they are
//! made as they are needed. Fuel is not used: epochs cost a fraction of it, and the time limit round the whole call is
//! what counts to whoever waits.

use std::time::Duration;

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
/// Kept warm between calls: zeroing this much is cheaper than giving it back to the kernel and faulting it in again.
const KEEP_RESIDENT_BYTES: usize = 1 << 20;

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
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES);
    pool
}

/// A thread of its own: an executor that guests keep busy could not tick for them.
fn start_ticker(engine: &Engine) -> Result<(), PluginError> {
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("keyport-epoch".into())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(drop)
        .map_err(|error| PluginError::Engine(format!("the ticker did not start: {error}")))
}
