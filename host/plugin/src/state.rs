//! What one store holds: the call, what it has used up, and the limiter that memories and tables ask.

use std::sync::Arc;

use keyport_egress::{Handles, Purpose, Redirects};
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtxView;

use crate::call::{Call, LogLevel};
use crate::engine::TICK;
use crate::exchange::Exchange;
use crate::limits::CallLimits;
use crate::log::{Lines, Sink};
use crate::wasi_http::WasiHttp;

/// A guest went over a limit; the name is the limit's. Ends the guest.
#[derive(Debug, thiserror::Error)]
#[error("over the limit of {0}")]
pub struct OverLimit(pub &'static str);

/// Lives as long as one call.
pub struct State {
    /// The call. Its pass carries the call's own handles.
    pub call: Call,
    /// The token request that is made, if that is what the call is for.
    pub exchange: Option<Exchange>,
    /// The limits of the call.
    pub limits: CallLimits,
    /// Where log lines go.
    pub lines: Arc<Lines>,
    /// HTTP requests so far.
    pub requests: u32,
    /// Uses of secrets so far.
    pub placeholders: u32,
    /// Ticks that the guest may still run.
    pub ticks_left: u64,
    /// Bytes of all linear memories together: a limit for each would be a limit for none.
    memory: usize,
    wasi: WasiCtx,
    /// What `wasi:http` has used.
    pub wasi_http: WasiHttp,
    /// Streams, pollables, and what else a guest has handles of.
    pub table: ResourceTable,
}

impl State {
    /// The state of a new call. The WASI context has nothing in it: no files, environment, arguments or sockets.
    pub fn new(app: &str, mut call: Call, exchange: Option<Exchange>, limits: CallLimits) -> Self {
        // Whatever the pass was made for: it is a component that sends. Only its token requests are answered unscrubbed, as the
        // exchange takes secrets out itself (a renewed token may be the one that went in), and those stay at one address.
        call.pass.purpose = Purpose::Guest;
        call.pass.raw_answer = exchange.is_some();
        if exchange.is_some() {
            call.pass.redirects = Redirects::Return;
        }
        // Placeholders are good for this call only, whatever the pass was used for before.
        call.pass.handles = exchange
            .as_ref()
            .map_or_else(Handles::default, |exchange| exchange.handles.clone());
        let secrets = call.pass.credentials().flat_map(|known| &known.scrub);
        let secrets = secrets.cloned().collect();
        let lines = Arc::new(Lines::new(app, Arc::clone(&call.log), secrets, &limits));
        let wasi = WasiCtx::builder()
            .stdout(Sink::new(Arc::clone(&lines), LogLevel::Debug))
            .stderr(Sink::new(Arc::clone(&lines), LogLevel::Warn))
            .max_random_size(limits.random_bytes)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        let ticks = limits.cpu.as_nanos() / TICK.as_nanos();
        Self {
            call,
            exchange,
            limits,
            lines,
            requests: 0,
            placeholders: 0,
            ticks_left: u64::try_from(ticks).unwrap_or(u64::MAX).max(1),
            memory: 0,
            wasi,
            wasi_http: WasiHttp::new(),
            table,
        }
    }

    /// What wasmtime's own resources of `wasi:http` work on.
    pub fn wasi_http_view(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.wasi_http.hooks,
            table: &mut self.table,
            ctx: &mut self.wasi_http.ctx,
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Growth beyond a limit ends the guest instead of telling it: it could only trap, and the limit would go unnamed.
impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.limits.memory_bytes {
            return Err(OverLimit("memory").into());
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            Err(OverLimit("table elements").into())
        } else {
            Ok(true)
        }
    }
}
