//! Generated from `wit/`: the imports once, and one world per export, so that a component exports what it implements
//! and nothing else. (The component tool merges the worlds that a crate uses.)
//!
//! Only `adapter` and `host` touch what is in here; it is public because the export macros expand in another crate.

pub mod connection {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "keyport:provider/provider",
        pub_export_macro: true,
        export_macro_name: "export_connection",
        default_bindings_module: "keyport_sdk::bindings::connection",
    });
}

pub mod actions {
    wit_bindgen::generate!({
        inline: "package keyport:sdk-actions; world part-actions { export keyport:provider/actions@1.0.0; }",
        path: "../../wit",
        with: { "keyport:provider/types@1.0.0": super::connection::keyport::provider::types },
        pub_export_macro: true,
        export_macro_name: "export_actions",
        default_bindings_module: "keyport_sdk::bindings::actions",
    });
}

pub mod triggers {
    wit_bindgen::generate!({
        inline: "package keyport:sdk-triggers; world part-triggers { export keyport:provider/triggers@1.0.0; }",
        path: "../../wit",
        with: { "keyport:provider/types@1.0.0": super::connection::keyport::provider::types },
        pub_export_macro: true,
        export_macro_name: "export_triggers",
        default_bindings_module: "keyport_sdk::bindings::triggers",
    });
}

pub mod lifecycle {
    wit_bindgen::generate!({
        inline: "package keyport:sdk-lifecycle; world part-lifecycle { export keyport:provider/lifecycle@1.0.0; }",
        path: "../../wit",
        with: { "keyport:provider/types@1.0.0": super::connection::keyport::provider::types },
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        default_bindings_module: "keyport_sdk::bindings::lifecycle",
    });
}

pub mod exchange {
    wit_bindgen::generate!({
        inline: "package keyport:sdk-exchange; world part-exchange { export keyport:provider/exchange@1.0.0; }",
        path: "../../wit",
        with: { "keyport:provider/types@1.0.0": super::connection::keyport::provider::types },
        pub_export_macro: true,
        export_macro_name: "export_exchange",
        default_bindings_module: "keyport_sdk::bindings::exchange",
    });
}
