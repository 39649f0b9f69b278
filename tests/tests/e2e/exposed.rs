//! Ways around the gate: the application's port on the machine's own addresses.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

use e2e::app::App;
use e2e::client::{Client, Protocol};
use e2e::gate::{Gate, Setup};
use e2e::process::{Served, run};
use e2e::until;
use serde_json::Value;

/// An address of this machine that others could use; none on a machine without a network.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// An application on every address, and the way to it.
fn open_app() -> (App, String) {
    let app = App::start_on(TcpListener::bind("0.0.0.0:0").unwrap(), |exchange| exchange.answer("200 OK", "", "ok"));
    let way = format!("url: \"http://127.0.0.1:{}\"", app.address.port());
    (app, way)
}

fn status(gate: &Served) -> Value {
    let said = run(gate.files.root(), &["status", "--control", "control.sock"]);
    serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}{}", said.out, said.err))
}

#[test]
fn an_application_on_every_address_is_told() {
    let Some(own) = own_address() else { return e2e::skipped("this machine has no network") };
    let (app, way) = open_app();
    let port = app.address.port();
    let gate = Served::start(Setup { way: Some(way), ..Setup::default() }, app);
    let metric = || e2e::gate::metric(gate.health, "anteroom_app_exposed", &[]);
    until("the look", || (metric() > 0.0).then_some(()));
    assert_eq!(status(&gate)["app_exposed"], serde_json::json!([format!("{own}:{port}")]));
    let warned =
        gate.log().into_iter().find(|line| line["message"] == "the application can be reached around the gate");
    let warned = warned.unwrap();
    assert_eq!((&warned["level"], &warned["address"]), (&"warn".into(), &format!("{own}:{port}").into()));
    assert!(warned["detail"].as_str().unwrap().contains("127.0.0.1"), "{warned}");
    assert!(e2e::gate::probe(gate.health, "/readyz").contains(" 200 "), "it is told, and no more");
}

#[test]
fn an_application_on_loopback_is_not() {
    let gate = Served::start(Setup { app: ", exposed: refuse".to_owned(), ..Setup::default() }, App::plain());
    until("readiness", || e2e::gate::probe(gate.health, "/readyz").contains(" 200 ").then_some(()));
    if own_address().is_some() {
        let text = e2e::gate::probe(gate.health, "/metrics");
        assert!(text.contains("\nanteroom_app_exposed 0"), "{text}");
        assert_eq!(status(&gate)["app_exposed"], serde_json::json!([]));
    }
    assert!(!gate.process.out().contains("around the gate"));
}

#[test]
fn where_it_is_refused_the_gate_is_not_ready_until_it_is_closed() {
    let Some(_) = own_address() else { return e2e::skipped("this machine has no network") };
    let (app, way) = open_app();
    let port = app.address.port();
    let setup = Setup { way: Some(way), app: ", exposed: refuse".to_owned(), ..Setup::default() };
    let gate = Served::start(setup, app);
    let ready = || e2e::gate::probe(gate.health, "/readyz");
    assert!(ready().contains(" 503 "), "nobody has looked yet, or it is open: {}", ready());
    until("the look", || ready().ends_with("\r\n\r\nexposed\n").then_some(()));
    assert!(e2e::gate::probe(gate.health, "/livez").contains(" 200 "));
    // A reload to an application on loopback is looked at within a second.
    let closed = App::plain();
    let config = std::fs::read_to_string(gate.files.path("config.yaml")).unwrap();
    let config = config.replace(&format!("127.0.0.1:{port}"), &closed.address.to_string());
    gate.files.put("config.yaml", &config);
    until("readiness", || ready().contains(" 200 ").then_some(()));
    let told = || gate.process.out().contains("the application can no longer be reached around the gate").then_some(());
    until("the line of the log", told);
}

#[test]
fn a_socket_has_no_way_around() {
    let setup = Setup { way: Some("url: \"unix:app.sock\"".to_owned()), ..Setup::default() };
    let gate = Gate::start(Setup { app: ", exposed: refuse".to_owned(), ..setup }, App::plain());
    until("readiness", || gate.shared().unready().is_empty().then_some(()));
    assert!(!gate.probe("/metrics").contains("anteroom_app_exposed "));
}

#[tokio::test]
async fn localhost_is_either_loopback_address() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let app = App::start_on(listener, |exchange| exchange.answer("200 OK", "", "ok"));
        let way = format!("url: \"http://localhost:{}\"", app.address.port());
        let gate = Gate::start(Setup { way: Some(way), ..Setup::default() }, app);
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let answer = Client::open(&gate, protocol).await.ask("GET", "/open/a", &[]).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (200, "ok"), "{address}");
        }
    }
}

/// Runs a command as on a machine without IPv6: a socket of that family is refused with `EAFNOSUPPORT`.
const NO_IPV6: &str = r"
import ctypes, os, platform, struct, sys
number = {'x86_64': 41, 'aarch64': 198}[platform.machine()]
code = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 10), (0x06, 0, 0, 0x50000 | 97), (0x06, 0, 0, 0x7fff0000)]
filter = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in code))
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
program = Program(len(code), ctypes.addressof(filter))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn on_a_machine_without_ipv6_every_address_is_one_of_ipv4() {
    let app = App::plain();
    let setup = Setup::default();
    let files = e2e::gate::Files::write(&setup, app.address);
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    let port = e2e::process::free_port().port();
    let config = config.replace("https: \"127.0.0.1:0\"", "https: \"[::]:0\"");
    files.put("config.yaml", &config.replace("health: \"127.0.0.1:0\"", &format!("health: \"[::]:{port}\"")));
    let mut python = std::process::Command::new("python3");
    python.args(["-c", NO_IPV6]).arg(e2e::process::binary());
    let health = ([127, 0, 0, 1], port).into();
    let gate = Served::start_as(&mut python, files, app, health);
    assert_eq!(gate.https.ip(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    assert!(e2e::gate::probe(health, "/readyz").contains(" 200 "));
}
