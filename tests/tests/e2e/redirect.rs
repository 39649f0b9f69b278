//! `anteroom redirect` in a network namespace that stands for a pod, with a node beside it. Needs root and the programs
//! `ip`, `nft`, `curl` and `python3`; without them it says so and passes.

use std::process::{Command, Stdio};

use e2e::app::App;
use e2e::gate::{Files, Setup};
use e2e::process::{Process, Said, binary};
use e2e::until;
use serde_json::Value;

/// Two namespaces and a wire between them; both go with it.
struct Pod {
    pod: String,
    node: String,
}

/// What the pod and the node are called there.
const POD: [&str; 2] = ["10.89.77.2", "fd00:89:77::2"];
const NODE: [&str; 2] = ["10.89.77.1", "fd00:89:77::1"];

impl Pod {
    /// `None`, and a word on it, where this machine cannot.
    fn new(name: &str) -> Option<Self> {
        for program in ["ip", "nft", "curl", "python3"] {
            if sh(&format!("command -v {program}")).code != Some(0) {
                e2e::skipped(&format!("there is no `{program}`"));
                return None;
            }
        }
        let id = std::process::id();
        let pod = Self { pod: format!("anteroom-{name}-{id}"), node: format!("anteroom-{name}-node-{id}") };
        if sh(&format!("ip netns add {0} && ip netns add {1}", pod.pod, pod.node)).code != Some(0) {
            e2e::skipped("namespaces need root");
            return None;
        }
        let made = sh(&format!(
            "set -e; ip -n {0} link add eth0 type veth peer name pod netns {1}; \
             for of in '{0} eth0 {2} {3}' '{1} pod {4} {5}'; do set -- $of; \
             ip -n $1 link set lo up; ip -n $1 addr add $3/24 dev $2; ip -n $1 addr add $4/64 dev $2 nodad; ip -n $1 link set $2 up; done",
            pod.pod, pod.node, POD[0], POD[1], NODE[0], NODE[1]
        ));
        assert_eq!(made.code, Some(0), "{}", made.err);
        Some(pod)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.pod, program]);
        command
    }

    fn anteroom(&self, arguments: &[&str]) -> Said {
        let mut process = Process::start_as(self.command(binary().to_str().unwrap()).args(arguments));
        let code = process.end().code();
        Said { code, out: process.out(), err: process.err() }
    }

    /// Asks from one of the two; the status, and what curl said.
    fn ask(from: &str, arguments: &str) -> (String, String) {
        let curl = "curl -sS --max-time 10 -o /dev/null -w '%{http_code}'";
        let said = sh(&format!("ip netns exec {from} {curl} {arguments}"));
        (said.out, said.err)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        sh(&format!("ip netns del {}; ip netns del {}", self.pod, self.node));
    }
}

fn sh(line: &str) -> Said {
    let out = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Said { code: out.status.code(), out: text(&out.stdout), err: text(&out.stderr) }
}

#[test]
fn who_comes_to_the_applications_port_reaches_the_gate() {
    let Some(pod) = Pod::new("way") else { return };
    // The application listens on every address, of both families.
    let served = tempfile::tempdir().unwrap();
    std::fs::create_dir(served.path().join("open")).unwrap();
    std::fs::write(served.path().join("open/a"), "ok").unwrap();
    let _app = Process::start_as(
        pod.command("python3").args(["-m", "http.server", "3000", "--bind", "::", "-d"]).arg(served.path()),
    );

    let setup = Setup { way: Some("url: \"http://127.0.0.1:3000\"".to_owned()), ..Setup::default() };
    let files = Files::write(&setup, App::plain().address);
    let config = std::fs::read_to_string(files.path("config.yaml")).unwrap();
    let config = config.replace("https: \"127.0.0.1:0\"", "https: \"[::]:8443\"");
    files.put("config.yaml", &config.replace("health: \"127.0.0.1:0\"", "health: \"[::]:9900\""));
    let mut command = pod.command(binary().to_str().unwrap());
    command.current_dir(files.root()).env("ANTEROOM_POD_IPS", POD.join(","));
    let mut gate = Process::start_as(command.args(["run", "--config", "config.yaml"]));
    gate.line("the gate", |line| line.contains("\"serving\"").then_some(()));

    // The hole: the application answers by itself, and the gate knows.
    let clear = POD.map(|address| format!("http://{}:3000/open/a", bracketed(address)));
    for url in &clear {
        until("the application", || (Pod::ask(&pod.node, url).0 == "200").then_some(()));
    }
    let told = gate.line("the warning", |line| line.contains("can be reached around").then(|| line.to_owned()));
    assert!(POD.iter().all(|address| told.contains(address)), "{told}");

    // Twice, and with another port before: what is there afterwards is the last.
    for ports in ["4000", "3000", "3000"] {
        let said = pod.anteroom(&["redirect", "--ports", ports]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    }
    let rules = sh(&format!("ip netns exec {} nft list ruleset", pod.pod)).out;
    assert_eq!(rules.matches("redirect to :8443").count(), 3, "{rules}");
    assert!(rules.contains("table inet anteroom") && !rules.contains("4000"), "{rules}");

    // By either family, and from the pod itself, the port is the gate's now; loopback is the application's.
    let ca = files.path("ca.pem");
    let over_tls = POD.map(|address| {
        format!("--cacert {} --resolve clinic.example:3000:{address} https://clinic.example:3000/open/a", ca.display())
    });
    for (clear, tls) in clear.iter().zip(&over_tls) {
        assert_eq!(Pod::ask(&pod.node, tls), ("200".to_owned(), String::new()), "{tls}");
        assert_eq!(Pod::ask(&pod.pod, tls), ("200".to_owned(), String::new()), "{tls}");
        assert_eq!(Pod::ask(&pod.node, clear).0, "000", "no answer in clear: {clear}");
        assert_eq!(Pod::ask(&pod.pod, clear).0, "000", "no answer in clear: {clear}");
    }
    for url in ["http://127.0.0.1:3000/open/a", "http://[::1]:3000/open/a"] {
        assert_eq!(Pod::ask(&pod.pod, url).0, "200", "{url}");
    }
    // The client's address is kept.
    let peers = || -> Vec<Value> { files.record().iter().map(|event| event["peer"].clone()).collect() };
    let peers = until("the record", || Some(peers()).filter(|peers| peers.len() >= 4));
    for address in NODE {
        assert!(peers.iter().any(|peer| peer.to_string().contains(address)), "{peers:?}");
    }
    // The look ends at the gate's own listener now.
    gate.line("the hole to be closed", |line| line.contains("no longer").then_some(()));
    let metrics = sh(&format!("ip netns exec {} curl -sS http://{}:9900/metrics", pod.node, POD[0])).out;
    assert!(metrics.contains("\nanteroom_app_exposed 0"), "{metrics}");
    assert!(
        !metrics.contains("anteroom_tls_handshakes_total{result=\"broken_off\"}"),
        "the look is no client: {metrics}"
    );
    gate.signal("TERM");
    assert_eq!(gate.end().code(), Some(0), "{}", gate.out());
}

fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

#[test]
fn without_the_capability_it_says_what_it_needs() {
    let Some(pod) = Pod::new("cap") else { return };
    let mut command = pod.command("setpriv");
    command.args(["--reuid", "65532", "--clear-groups", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]);
    let mut process = Process::start_as(command.arg(binary()).args(["redirect", "--ports", "3000"]));
    assert_eq!(process.end().code(), Some(1), "{}", process.out());
    assert!(process.err().contains("NET_ADMIN"), "{}", process.err());
    assert_eq!(sh(&format!("ip netns exec {} nft list ruleset", pod.pod)).out, "");
}

#[test]
fn what_it_is_given_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let ports: Vec<String> = (1..=17).map(|port: u16| port.to_string()).collect();
    for (arguments, told) in [
        (&["redirect"][..], "--ports"),
        (&["redirect", "--ports", "0"], "not in 1"),
        (&["redirect", "--ports", "3000,x"], "invalid"),
        (&["redirect", "--ports", "3000,8443"], "the gate's own port"),
        (&["redirect", "--ports", &ports.join(",")], "more than 16"),
    ] {
        let said = e2e::process::run(folder.path(), arguments);
        assert!(said.code == Some(2) && said.err.contains(told), "{arguments:?}: {}", said.err);
    }
}
