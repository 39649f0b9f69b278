//! Raw requests from `tests/corpus`, each with its expectation: what is refused never reaches the application, and what
//! reaches it can be read in one way only.

use std::path::Path;
use std::sync::Arc;

use e2e::app::{App, Seen};
use e2e::client::HOST;
use e2e::gate::{Gate, Setup};
use e2e::raw::{Raw, RawAnswer};
use e2e::until;
use e2e::wire::{self, Ended, Wire};
use tokio::io::AsyncWriteExt as _;

/// One case of a file.
#[derive(Debug)]
struct Case {
    number: usize,
    place: String,
    kind: String,
    expected: Expected,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Expected {
    /// It reaches the application, with this target where one is given.
    Pass(Option<String>),
    /// It is refused with this status and one of these codes.
    Refused(u16, Vec<String>),
    /// It is refused somehow, and the connection ends.
    Broken,
}

impl Expected {
    fn of(text: &str) -> Self {
        if text == "broken" {
            return Expected::Broken;
        }
        if let Some(rest) = text.strip_prefix("pass") {
            return Expected::Pass(rest.strip_prefix('=').map(str::to_owned));
        }
        let (status, codes) = text.split_once(':').unwrap_or_else(|| panic!("`{text}` is no expectation"));
        Expected::Refused(status.parse().unwrap(), codes.split(',').map(str::to_owned).collect())
    }
}

fn cases(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let mut class = "";
    let mut cases = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix('[') {
            class = title.trim_end_matches(']');
            continue;
        }
        let mut parts = line.splitn(3, ' ');
        let (kind, expected) = (parts.next().unwrap(), parts.next().unwrap());
        let bytes = bytes(parts.next().unwrap_or_default());
        let place = format!("{file}:{} [{class}] {line}", number + 1);
        let place = place.chars().take(240).collect();
        cases.push(Case { number: cases.len(), place, kind: kind.to_owned(), expected: Expected::of(expected), bytes });
    }
    cases
}

/// The bytes that a text stands for: escapes, `{host}`, and `{text*count}`.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.replace("{host}", HOST);
    while let Some(letter) = rest.chars().next() {
        let repeated = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).and_then(|(inner, behind)| {
            let (what, count) = inner.rsplit_once('*')?;
            Some((bytes(what), count.parse::<usize>().ok()?, behind.to_owned()))
        });
        if let Some((what, count, behind)) = repeated {
            out.extend(what.repeat(count));
            rest = behind;
            continue;
        }
        if letter != '\\' {
            let mut buffer = [0; 4];
            out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
            rest.drain(..letter.len_utf8());
            continue;
        }
        let (byte, length) = match rest.as_bytes()[1] {
            b'r' => (b'\r', 2),
            b'n' => (b'\n', 2),
            b't' => (b'\t', 2),
            b'0' => (0, 2),
            b'\\' => (b'\\', 2),
            b'x' => (u8::from_str_radix(&rest[2..4], 16).unwrap(), 4),
            other => panic!("`\\{}` is no escape in {text}", char::from(other)),
        };
        out.push(byte);
        rest.drain(..length);
    }
    out
}

/// What is sent on HTTP/1.1, where the case is for it.
fn on_http1(case: &Case) -> Option<Vec<u8>> {
    let sent = case.bytes.as_slice();
    let host = format!("Host: {HOST}\r\n");
    Some(match case.kind.as_str() {
        "path" => [b"GET ", sent, b" HTTP/1.1\r\n", host.as_bytes(), b"\r\n"].concat(),
        "head" => [b"GET /open/x HTTP/1.1\r\n", host.as_bytes(), sent, b"\r\n\r\n"].concat(),
        "post" | "form" => {
            let target = if case.kind == "form" { "/admin.php" } else { "/open/x" };
            let head = format!("POST {target} HTTP/1.1\r\n{host}X-Case: {}\r\n", case.number);
            [head.as_bytes(), sent].concat()
        }
        "raw" => sent.to_owned(),
        "h2" | "h2+" => return None,
        other => panic!("`{other}` is no kind: {}", case.place),
    })
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The fields that are sent on HTTP/2, where the case is for it.
fn on_http2(case: &Case) -> Option<Fields> {
    let owned = |(name, value): (&[u8], &[u8])| (name.to_owned(), value.to_owned());
    let usual = |path: &[u8]| -> Fields { wire::get(path).into_iter().map(owned).collect() };
    match case.kind.as_str() {
        "path" => Some(usual(&case.bytes)),
        "h2" => Some(fields(&case.bytes)),
        "h2+" => Some([usual(b"/open/x"), fields(&case.bytes)].concat()),
        _ => None,
    }
}

fn fields(bytes: &[u8]) -> Fields {
    let mut fields = Vec::new();
    let mut rest = bytes;
    loop {
        let end = rest.windows(3).position(|three| three == b" | ");
        let one = &rest[..end.unwrap_or(rest.len())];
        // The name of a pseudo-header begins with the colon that parts the others.
        let start = usize::from(one.starts_with(b":") && !one.starts_with(b": "));
        let colon = one[start..].windows(2).position(|two| two == b": ").map(|at| at + start);
        let colon = colon.unwrap_or_else(|| panic!("no `: ` in {}", one.escape_ascii()));
        fields.push((one[..colon].to_owned(), one[colon + 2..].to_owned()));
        match end {
            Some(end) => rest = &rest[end + 3..],
            None => return fields,
        }
    }
}

/// That an application, whichever parser it has, reads what it got in one way only.
fn is_unambiguous(seen: &Seen, target: Option<&str>, place: &str) {
    let head = &seen.head;
    let body = head.strip_suffix("\r\n\r\n").unwrap();
    assert!(!body.replace("\r\n", "").contains(['\r', '\n', '\0']), "{place}\n{head}");
    let mut words = seen.line().split(' ');
    assert!(matches!(words.next(), Some("GET" | "POST" | "get")), "{place}\n{head}");
    assert!(words.next().is_some_and(|word| target.is_none_or(|target| word == target)), "{place}\n{head}");
    assert_eq!((words.next(), words.next()), (Some("HTTP/1.1"), None), "{place}\n{head}");
    let mut names = Vec::new();
    for line in body.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{place}\n{head}"));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        assert!(!name.is_empty() && name.bytes().all(plain), "`{name}`: {place}\n{head}");
        assert!(!value.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f), "{place}\n{head}");
        names.push(name.to_ascii_lowercase());
    }
    let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
    for once in ["host", "x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
        assert_eq!(count(once), 1, "`{once}`: {place}\n{head}");
    }
    for at_most_once in ["content-length", "transfer-encoding", "authorization", "cookie", "content-type"] {
        assert!(count(at_most_once) <= 1, "`{at_most_once}`: {place}\n{head}");
    }
    assert!(count("content-length") + count("transfer-encoding") <= 1, "{place}\n{head}");
    for never in ["x-tenant-id", "x-user-id", "x-user-roles", "upgrade", "te", "expect"] {
        assert_eq!(count(never), 0, "`{never}`: {place}\n{head}");
    }
    assert!(HOST.eq_ignore_ascii_case(seen.header("host").unwrap().trim_end_matches(":8443")), "{place}\n{head}");
}

/// That the application got what was expected since `before`.
fn reached(gate: &Gate, before: usize, case: &Case) {
    let sent_path = (case.kind == "path").then(|| String::from_utf8_lossy(&case.bytes).into_owned());
    let mut seen = gate.app.seen().split_off(before);
    // What the application has seen of a broken body may come to light only now.
    seen.retain(|one| one.header("x-case").is_none_or(|number| number == case.number.to_string()));
    match &case.expected {
        Expected::Pass(target) => {
            assert_eq!(seen.len(), 1, "{}", case.place);
            is_unambiguous(&seen[0], target.as_deref().or(sent_path.as_deref()), &case.place);
        }
        Expected::Refused(..) => assert!(seen.is_empty(), "{} reached the application: {seen:?}", case.place),
        // The head of a body that breaks later has been passed on by then; it must be whole, and nothing may follow it.
        Expected::Broken => {
            assert!(seen.len() <= 1, "{}: {seen:?}", case.place);
            for one in &seen {
                is_unambiguous(one, Some("/open/x"), &case.place);
                assert!(case.kind == "post", "{} reached the application: {seen:?}", case.place);
            }
        }
    }
}

fn is_dressed(answer: &RawAnswer, place: &str) {
    for name in ["strict-transport-security", "x-content-type-options", "x-request-id"] {
        assert!(!answer.header(name).is_empty(), "no `{name}`: {place}\n{}", answer.head);
    }
}

async fn one_on_http1(gate: Arc<Gate>, case: Case) {
    let place = &case.place;
    let before = gate.app.count();
    let mut raw = Raw::open(&gate).await;
    raw.send(&on_http1(&case).unwrap()).await;
    if matches!(case.expected, Expected::Broken) {
        // A body that ends early: the client has nothing more to say.
        drop(raw.stream.shutdown().await);
    }
    let answer = raw.answer().await;
    match &case.expected {
        Expected::Pass(_) => assert_eq!(answer.as_ref().map(RawAnswer::status), Some(200), "{place}\n{answer:?}"),
        Expected::Refused(status, codes) => {
            let answer = answer.unwrap_or_else(|| panic!("no answer: {place}"));
            assert_eq!(answer.status(), *status, "{place}\n{}", answer.head);
            assert!(codes.contains(&answer.code()), "{place}\n{}", answer.code());
            is_dressed(&answer, place);
        }
        Expected::Broken => {
            if let Some(answer) = answer {
                assert!((400..500).contains(&answer.status()), "{place}\n{}", answer.head);
                assert!(!answer.code().is_empty(), "{place}\n{}", answer.head);
                is_dressed(&answer, place);
            }
            assert!(raw.answer().await.is_none(), "a second answer: {place}");
            // What was begun for it has ended, so that the next case does not see it.
            let active = || gate.metric("http_server_active_requests", &[]);
            until("its request to end", || (active() < 0.5).then_some(()));
        }
    }
    reached(&gate, before, &case);
}

async fn one_on_http2(gate: Arc<Gate>, case: Case) {
    let place = &case.place;
    let before = gate.app.count();
    let fields = on_http2(&case).unwrap();
    let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    let ended = Wire::open(&gate).await.ask(&fields).await;
    let ended_early = matches!(ended, Ended::Reset | Ended::Closed);
    match &case.expected {
        Expected::Pass(_) => assert_eq!(ended, Ended::Answered(b"ok".to_vec()), "{place}"),
        Expected::Refused(_, codes) => assert!(ended_early || codes.contains(&ended.code()), "{place}\n{ended:?}"),
        Expected::Broken => assert!(ended_early || !ended.code().is_empty(), "{place}\n{ended:?}"),
    }
    reached(&gate, before, &case);
}

/// Routes that a form picks, beside those of every gate.
const FORMS: &str = "  listed: { path: /admin.php, methods: { POST: public } }
  viewed: { path: /admin.php, form: { action: view }, methods: { POST: public } }
  deleted: { path: /admin.php, form: { action: delete }, methods: { POST: authenticated } }
";

/// Runs every case of a file that `takes` picks; says which of them failed.
async fn all<F>(file: &str, least: usize, takes: fn(&Case) -> bool, one: impl Fn(Arc<Gate>, Case) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let policy = format!("{}\n{FORMS}", Setup::default().policy.trim_end());
    let gate = Arc::new(Gate::start(Setup { policy, ..Setup::default() }, App::plain()));
    let (mut held, mut failed) = (0, Vec::new());
    for case in cases(file).into_iter().filter(takes) {
        let place = case.place.clone();
        match tokio::spawn(one(Arc::clone(&gate), case)).await {
            Ok(()) => held += 1,
            Err(_) => failed.push(place),
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(held >= least, "only {held} cases in {file}");
}

#[tokio::test]
async fn targets_hold_on_http_1() {
    all("path.txt", 180, |case| on_http1(case).is_some(), one_on_http1).await;
}

#[tokio::test]
async fn targets_hold_on_http_2() {
    all("path.txt", 180, |case| on_http2(case).is_some(), one_on_http2).await;
}

#[tokio::test]
async fn framing_holds() {
    all("framing.txt", 110, |case| on_http1(case).is_some(), one_on_http1).await;
}

#[tokio::test]
async fn heads_hold() {
    all("head.txt", 110, |case| on_http1(case).is_some(), one_on_http1).await;
}

#[tokio::test]
async fn http_2_heads_hold() {
    all("http2.txt", 60, |case| on_http2(case).is_some(), one_on_http2).await;
}

#[tokio::test]
async fn forms_hold() {
    all("forms.txt", 40, |case| on_http1(case).is_some(), one_on_http1).await;
}
