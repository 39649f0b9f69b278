//! The gate from the outside: real sockets, real TLS, a file per topic. One binary, since linking the gate is what takes
//! time; each test still runs in a process of its own.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may"
)]

mod abuse;
mod answers;
mod app_cookies;
mod app_directory;
mod app_health;
mod app_lineage;
mod app_login;
mod app_logout;
mod attacks;
mod browser;
mod canary;
mod carriers;
mod cli;
mod client_address;
mod client_certificates;
mod cookie_names;
mod corpus;
mod crash;
mod csp;
mod decide;
mod demo;
mod demo_login;
mod dev_token;
mod directory;
mod drain;
mod examples;
mod explain;
mod explain_token;
mod exposed;
mod floods;
mod forged;
mod forged_sessions;
mod forms;
mod forms_held;
mod framing;
mod fuzz_corpus;
mod grpc;
mod handshakes;
mod headers;
mod hostile_app;
mod identity;
mod inject_manifests;
mod injector;
mod injector_certificate;
mod injector_command;
mod key_sets;
mod keys;
mod limits;
mod login;
mod login_attacks;
mod login_crowd;
mod login_edges;
mod login_ends;
mod login_hangs;
mod login_renewal;
mod login_sessions;
mod login_sign_out;
mod logout;
mod manual;
mod newcomers;
mod one_reading;
mod open_again;
mod open_app_sessions;
mod open_streams;
mod path;
mod policy_tests;
mod presets;
mod providers;
mod record;
mod redirect;
mod reload;
mod rollout;
mod security_txt;
mod session_name;
mod sessions;
mod sign_in_page;
mod slow;
mod snippets;
mod state_damaged;
mod step_up;
mod streams;
mod takeover;
mod telemetry;
mod tls;
mod transports;
mod unsafe_settings;
mod upstream;
mod websocket;
mod websocket_h2;
