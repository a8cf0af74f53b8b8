//! The wasmtime engine: load, check, limit and call an app's component.
