//! Generated from `wit/`: the traits that the host implements and the functions that it calls.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "keyport:provider/complete",
    imports: { default: async | trappable },
    exports: { default: async },
});
