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
mod coded;
mod command_line;
mod crashes;
mod from_source;
mod installed;
mod known;
mod lifecycle;
mod live;
mod new_app;
mod oauth;
mod own_code;
mod plugins;
mod providers_page;
mod quirks;
mod readme;
mod refusals;
mod removal;
mod several_hosts;
mod signin;
mod signin_answers;
mod signin_oauth;
mod signin_peers;
mod signin_signed;
mod triggers;
mod trouble;
mod vault;
mod vendors;
mod window;
mod wit_page;
