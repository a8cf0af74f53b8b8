//! The whole program against real parts. Each module is one concern; see `tests/README.md` for what each needs.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod agreement;
mod arrows;
mod authors_page;
mod browser;
mod canary;
mod command_line;
mod new_app;
mod oauth;
mod own_code;
mod quirks;
mod readme;
mod refusals;
mod signin;
mod vendors;
