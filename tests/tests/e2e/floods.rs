//! Floods of HTTP/2 frames, each named after what it is known by: the connection ends, and the others do not notice.

use std::time::{Duration, Instant};

use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::soon;
use e2e::wire::{Ended, Wire, get};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

fn gate() -> Gate {
    let limits = "{ head_time: 1s, least_rate: { per_second: 64KiB, grace: 500ms } }".to_owned();
    Gate::start(Setup { limits, ..Setup::default() }, App::plain())
}

fn ended(gate: &Gate, reason: &str) -> f64 {
    gate.metric("anteroom_connections_ended_total", &[("reason", reason)])
}

/// Somebody else on another connection is served well.
async fn others_are_served(gate: &Gate) {
    let mut client = Client::open(gate, Protocol::Http2).await;
    let started = Instant::now();
    assert_eq!(client.ask("GET", "/open/x", &[]).await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(2));
}

/// Sends `flood` until the connection has ended, and looks why.
async fn is_ended(gate: &Gate, reason: &str, flood: impl AsyncFn(&mut Wire, u32)) {
    let mut wire = Wire::open(gate).await;
    for number in 0..3_000 {
        flood(&mut wire, number).await;
    }
    // Whatever it answered before, an end comes.
    assert_eq!(soon("the end", wire.end_of(u32::MAX)).await, Ended::Closed, "{reason}");
    assert!(reason.is_empty() || ended(gate, reason) >= 1.0, "{reason}");
    others_are_served(gate).await;
}

#[tokio::test]
async fn cve_2023_44487_rapid_reset() {
    let gate = gate();
    // As fast as here, h2 itself is the first to have had enough.
    is_ended(&gate, "", async |wire, _| {
        let stream = wire.start(&get(b"/open/x"), true).await;
        wire.reset(stream).await;
    })
    .await;
}

#[tokio::test]
async fn cve_2024_27316_continuation_frames() {
    let gate = gate();
    for length in [0, 1] {
        is_ended(&gate, "continuation", async |wire, number| match number {
            0 => wire.frame(HEADERS, 0, 1, b"\x82").await,
            _ => wire.frame(CONTINUATION, 0, 1, &vec![0x82; length]).await,
        })
        .await;
    }
}

#[tokio::test]
async fn cve_2019_9512_9513_9515_9518_pings_priorities_settings_and_empty_data() {
    let gate = gate();
    is_ended(&gate, "ping", async |wire, _| wire.frame(PING, 0, 0, &[0; 8]).await).await;
    is_ended(&gate, "settings", async |wire, _| wire.frame(SETTINGS, 0, 0, &[]).await).await;
    is_ended(&gate, "priority", async |wire, _| wire.frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]).await).await;
    is_ended(&gate, "window_update", async |wire, _| wire.frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).await).await;
    is_ended(&gate, "unknown_frame", async |wire, _| wire.frame(0x2a, 0, 0, b"grease").await).await;
    is_ended(&gate, "empty_data", async |wire, number| {
        if number == 0 {
            let mut fields = get(b"/open/x");
            fields[0] = (b":method", b"POST");
            wire.start(&fields, false).await;
        }
        wire.frame(DATA, 0, 1, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn a_block_of_headers_that_stays_open_ends() {
    let gate = gate();
    let mut wire = Wire::open(&gate).await;
    wire.ask(&get(b"/open/x")).await;
    wire.frame(HEADERS, 0, 3, b"\x82").await;
    assert_eq!(soon("the end", wire.end_of(u32::MAX)).await, Ended::Closed);
    assert!(ended(&gate, "header_block") >= 1.0);
}

/// An answer that was handed to h2 as a whole, for a client that lets one byte of it through: it belongs to nobody any more.
#[tokio::test]
async fn an_answer_that_is_never_taken_does_not_stay() {
    let app = App::start(|exchange| exchange.answer("200 OK", "", &"x".repeat(5_000)));
    let limits = "{ least_rate: { per_second: 256KiB, grace: 500ms } }".to_owned();
    let gate = Gate::start(Setup { limits, ..Setup::default() }, app);
    let mut wire = Wire::open(&gate).await;
    // SETTINGS_INITIAL_WINDOW_SIZE: one byte.
    wire.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]).await;
    wire.start(&get(b"/open/x"), true).await;
    assert_eq!(soon("the end", wire.end_of(u32::MAX)).await, Ended::Closed);
    assert!(ended(&gate, "slow_reader") >= 1.0);
}

/// The answers to its pings have nowhere to go. Nothing may grow by them: what is not taken stops what is read.
#[tokio::test]
async fn pings_of_a_client_that_does_not_read_end_with_it() {
    let gate = gate();
    let mut wire = Wire::open(&gate).await;
    let mut sent = 0_u32;
    let flood = async {
        while wire.try_frame(PING, 0, 0, &[0; 8]).await {
            sent += 1;
        }
    };
    soon("the end", flood).await;
    assert!(sent < 100_000, "{sent}");
    assert!(ended(&gate, "ping") >= 1.0);
}

#[tokio::test]
async fn a_stream_of_small_messages_with_pings_and_updates_is_no_flood() {
    let gate = gate();
    let mut wire = Wire::open(&gate).await;
    for round in 0..10 {
        let mut fields = get(b"/open/x");
        fields[0] = (b":method", b"POST");
        let stream = wire.start(&fields, false).await;
        for number in 0..500 {
            wire.data(stream, b"\0\0\0\0\x01x", number == 499).await;
            if number % 2 == 0 {
                wire.frame(PING, 0, 0, &[1; 8]).await;
            }
        }
        assert_eq!(wire.end_of(stream).await, Ended::Answered(b"ok".to_vec()), "{round}");
        wire.widen(0, 100).await;
    }
}
