//! Bare wasmtime: the least that runs the same component in the same way.

use std::time::{Duration, Instant};

use keyport_egress::{Body, Handles};
use keyport_plugin::Call;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker, ResourceTable};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreLimits,
    StoreLimitsBuilder, UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "keyport:provider/automation",
    imports: { default: async | trappable },
    exports: { default: async },
});

use keyport::provider::{context, http, log, secrets, types};

struct State {
    call: Call,
    limits: StoreLimits,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl types::Host for State {}

impl http::Host for State {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, types::Note>> {
        let mut sent = ::http::Request::builder()
            .method(request.method.as_str())
            .uri(request.url.as_str());
        for (name, value) in &request.headers {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let sent = sent
            .body(request.body.map_or_else(Body::empty, Body::from))
            .unwrap();
        let answer = self.call.egress.send(&self.call.pass, sent).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect(8 << 20).await.unwrap().to_vec();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        Ok(Ok(http::Response {
            status: parts.status.as_u16(),
            headers,
            body,
            info: Vec::new(),
        }))
    }
}

impl context::Host for State {
    async fn manifest(&mut self) -> wasmtime::Result<String> {
        Ok(self.call.manifest.to_string())
    }

    async fn value(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.call.values.get(&name).cloned())
    }
}

fn no() -> types::Note {
    types::Note {
        code: String::new(),
        say: String::new(),
        retry_after_ms: None,
        data: "null".to_owned(),
    }
}

impl secrets::Host for State {
    async fn handle(&mut self, _: String) -> wasmtime::Result<Result<String, types::Note>> {
        Ok(Err(no()))
    }

    async fn derive(
        &mut self,
        _: String,
        _: Vec<(String, String)>,
    ) -> wasmtime::Result<Result<String, types::Note>> {
        Ok(Err(no()))
    }

    async fn verify(
        &mut self,
        _: String,
        _: Vec<(String, String)>,
        _: Vec<u8>,
        _: String,
    ) -> wasmtime::Result<Result<bool, types::Note>> {
        Ok(Err(no()))
    }
}

impl log::Host for State {
    async fn write(&mut self, _: String, _: String, _: String) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[derive(Clone)]
pub struct Bare {
    engine: Engine,
    pre: InstancePre<State>,
    actions: exports::keyport::provider::actions::GuestIndices,
}

impl Bare {
    pub fn new(wasm: &[u8]) -> Self {
        let (engine, linker) = started();
        let component = Component::from_binary(&engine, wasm).unwrap();
        Self::linked(&engine, &linker, &component)
    }

    /// This many of the same component, each with code and a memory of its own.
    pub fn copies(wasm: &[u8], count: usize) -> Vec<Self> {
        let (engine, linker) = started();
        let code = Component::from_binary(&engine, wasm)
            .unwrap()
            .serialize()
            .unwrap();
        (0..count)
            .map(|_| {
                #[allow(unsafe_code, reason = "what was serialized the line before")]
                // SAFETY: `code` comes from this engine, and nobody else had it.
                let component = unsafe { Component::deserialize(&engine, &code) }.unwrap();
                Self::linked(&engine, &linker, &component)
            })
            .collect()
    }

    fn linked(engine: &Engine, linker: &Linker<State>, component: &Component) -> Self {
        let pre = linker.instantiate_pre(component).unwrap();
        let actions = exports::keyport::provider::actions::GuestIndices::new(&pre).unwrap();
        Self {
            engine: engine.clone(),
            pre,
            actions,
        }
    }

    /// One instance, one call; how long both took.
    pub async fn once(&self, mut call: Call, action: &str) -> Duration {
        let begun = Instant::now();
        call.pass.handles = Handles::default();
        let state = State {
            call,
            limits: StoreLimitsBuilder::new().memory_size(64 << 20).build(),
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1)));
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let guest = self.actions.load(&mut store, &instance).unwrap();
        let answer = guest
            .call_run(&mut store, action, &"{}".to_owned())
            .await
            .unwrap();
        answer.unwrap();
        drop(store);
        begun.elapsed()
    }
}

fn started() -> (Engine, Linker<State>) {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(64)
        .total_core_instances(64 * 50)
        .total_memories(64 * 4)
        .total_tables(64 * 10)
        .total_stacks(64)
        .max_memory_size(64 << 20)
        .table_keep_resident(1 << 20);
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(1 << 20);
    config.async_stack_size(3 << 20);
    config.wasm_memory64(false);
    config.wasm_relaxed_simd(false);
    config.concurrency_support(false);
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
    #[cfg(not(windows))]
    config.native_unwind_info(false);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).unwrap();
    let ticking = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = ticking.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    Automation::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state).unwrap();
    (engine, linker)
}
