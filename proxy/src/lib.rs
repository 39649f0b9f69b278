//! Anteroom: a zero-trust gate in front of one application.
//!
//! It lets a request through only when it can say who is asking, for which tenant, under which rule, and has that on the
//! record. A newcomer opens `pipeline/mod.rs`: the life of a request is one function there.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        reason = "tests may"
    )
)]

mod admin;
pub mod app_session;
pub mod authn;
pub mod cli;
pub mod clock;
pub mod config;
mod cookie_pairs;
pub mod demo;
pub mod denials;
pub mod dev_key;
pub mod directory;
mod expiry;
pub mod exposed;
pub mod framing;
pub mod injector;
pub mod limits;
pub mod login;
mod made_of;
pub mod manual;
pub mod network;
pub mod outbound;
pub mod pace;
pub mod phase;
pub mod pipeline;
mod places;
pub mod redirect;
pub mod rejection;
pub mod reload;
pub mod request_id;
pub mod runtime;
pub mod server;
pub mod sessions;
mod set_cookie;
pub mod shared;
mod sign_in_page;
pub mod telemetry;
pub mod upstream;
