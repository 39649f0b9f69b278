//! What a client or an application sends, byte for byte: see `oracle.rs`.

#![no_main]

#[path = "../oracle.rs"]
#[allow(dead_code, reason = "each target uses its own half")]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::framing(bytes));
