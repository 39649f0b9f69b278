//! The gate from the outside: real sockets, real TLS, a file per topic. One binary, since linking the gate is what takes
//! time; each test still runs in a process of its own.

mod browser;
mod canary;
mod cli;
mod crash;
mod decide;
mod demo;
mod drain;
mod examples;
mod explain;
mod headers;
mod identity;
mod limits;
mod manual;
mod path;
mod policy_tests;
mod record;
mod reload;
mod snippets;
mod step_up;
mod takeover;
mod telemetry;
mod tls;
mod upstream;
mod websocket;
mod websocket_h2;
