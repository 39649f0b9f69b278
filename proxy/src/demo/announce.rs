//! What the demo prints: a picture and ready-made `curl` lines for people, one line of JSON for scripts.
//!
//! Decides words only. Tokens stand in files of the private folder, so that the lines stay short; `--json` is the one
//! place where they are printed.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::error::DemoError;
use super::personas::PERSONAS;
use super::token::Issuer;
use super::tries::Try;

/// From this length on, in bytes, a body stands in a file rather than on the command line.
const LONG_BODY: usize = 200;

/// Where everything is.
pub(super) struct Whereabouts<'a> {
    pub(super) https: u16,
    pub(super) health: u16,
    pub(super) console: &'a str,
    /// The application, `http://127.0.0.1:PORT`.
    pub(super) app: &'a str,
    pub(super) root: &'a Path,
    /// This program, as a shell finds it.
    pub(super) program: &'a str,
}

impl Whereabouts<'_> {
    pub(super) fn gate(&self) -> String {
        format!("https://localhost:{}", self.https)
    }

    /// The health listener speaks plain HTTP.
    pub(super) fn health(&self) -> String {
        format!("http://localhost:{}", self.health)
    }
}

/// The files that the `curl` lines name, below the private folder: (name, contents).
pub(super) fn files(tries: &[Try], issuer: &Issuer, now: u64) -> Result<Vec<(String, String)>, DemoError> {
    let mut files = Vec::new();
    for persona in &PERSONAS {
        let token = issuer.token(persona, now)?;
        files.push((format!("as/{}", persona.key), format!("authorization: Bearer {token}\n")));
    }
    for one in tries {
        if let Some((name, value)) = credential(one) {
            files.push((format!("as/{}", one.name), format!("{name}: {value}\n")));
        }
        if let Some(body) = one.body.as_ref().filter(|body| body.len() > LONG_BODY) {
            files.push((format!("as/{}.json", one.name), body.clone()));
        }
    }
    Ok(files)
}

/// A header of the try's own that carries a token.
fn credential(one: &Try) -> Option<&(&'static str, String)> {
    one.headers.iter().find(|(name, _)| matches!(*name, "authorization" | "cookie"))
}

/// The try as a command, to be run in the private folder.
pub(super) fn curl(one: &Try, gate: &str) -> String {
    let mut words = vec!["curl -i --cacert ca.pem".to_owned()];
    if one.method != "GET" && (one.method != "POST" || one.body.is_none()) {
        words.push(format!("-X {}", one.method));
    }
    if let Some(key) = one.persona {
        words.push(format!("-H @as/{key}"));
    }
    for (name, value) in &one.headers {
        words.push(match credential(one) {
            Some((secret, _)) if secret == name => format!("-H @as/{}", one.name),
            Some(_) | None => format!("-H '{name}: {}'", value.replace('\'', "")),
        });
    }
    match &one.body {
        Some(body) if body.len() > LONG_BODY => words.push(format!("--data-binary @as/{}.json", one.name)),
        Some(body) => words.push(format!("-d '{}'", body.replace('\'', ""))),
        None => {}
    }
    words.push(if one.path == "/" { gate.to_owned() } else { format!("{gate}{}", one.path) });
    let line = words.join(" ");
    if one.repeat == 1 {
        return line;
    }
    let turns: Vec<String> = (1..=one.repeat).map(|turn| turn.to_string()).collect();
    format!("for i in {}; do {line}; done", turns.join(" "))
}

/// The one line of `--json`.
pub(super) fn json(at: &Whereabouts<'_>, tries: &[Try], issuer: &Issuer, now: u64) -> Result<Value, DemoError> {
    let mut personas = Map::new();
    for persona in &PERSONAS {
        let told = json!({
            "token": issuer.token(persona, now)?, "tenant": persona.tenant,
            "roles": persona.roles, "mfa": persona.mfa(),
        });
        personas.insert(persona.key.to_owned(), told);
    }
    let path = |name: &str| at.root.join(name).display().to_string();
    Ok(json!({
        "https": at.gate(), "health": at.health(), "control": path("control.sock"), "ca": path("ca.pem"),
        "config": path("config.yaml"), "audit": path("audit"), "log": path("anteroom.log"),
        "tenant_header": "X-Tenant-Id", "console": at.console, "personas": personas,
        "try": tries.iter().map(Try::to_json).collect::<Vec<_>>(),
    }))
}

/// The text for a person at a terminal.
pub(super) fn text(at: &Whereabouts<'_>, tries: &[Try], color: bool) -> String {
    let ink = Ink { color };
    let (gate, root) = (at.gate(), at.root.display());
    // The picture's columns are as wide as the gate's address.
    let width = gate.len().max("who? which clinic? may they?".len());
    let mut text = format!(
        "
  {title}  everything on loopback, nothing installed, gone with Ctrl-C

    you ── TLS 1.3 ─▶  {name:<width$} ── http ─▶  a sample clinic
                       {gate:<width$}            {app}
                       who? which clinic? may they?
                         │
                         └─▶ the record: {root}/audit

  {terminal}

    cd {root}

",
        title = ink.bold("Anteroom demo"),
        name = "anteroom",
        app = at.app,
        terminal = ink.bold("In another terminal"),
    );
    for one in tries.iter().filter(|one| one.printed) {
        text.push_str(&format!("    {}\n    {}\n", ink.verdict(one), curl(one, &gate)));
    }
    text.push_str(&format!(
        "
    {sent}
    curl -i --cacert ca.pem -H 'sec-fetch-mode: navigate' -H 'sec-fetch-dest: document' {gate}/patients
    {ended}
    {program} revoke --control control.sock --issuer {issuer} --subject 'clinic|ada'

    tail -f audit/*.jsonl              {record}
    cat config.yaml policies/*.yaml    {cause}
    curl {health}/readyz

  {browser}  {console}

    Choose who you are, knock, and watch the record fill. Or open the clinic itself and sign in
    there: {clinic}. Your browser will warn about the certificate of
    each: its authority was made a moment ago, and goes with the demo.

  Ctrl-C ends it and leaves nothing behind.

",
        sent = ink.faint("# 303                     a browser that is nobody yet is sent to sign in"),
        ended = ink.faint("# Dr. Ada has to sign in again, and her tokens are no good any more"),
        issuer = at.console,
        program = at.program,
        record = ink.faint("# the record of each request, as it is written"),
        cause = ink.faint("# what makes all this happen"),
        health = at.health(),
        browser = ink.bold("In a browser"),
        console = ink.link(at.console),
        clinic = ink.link(&format!("{gate}/patients")),
    ));
    text
}

/// Colours, where a terminal shows them.
struct Ink {
    color: bool,
}

impl Ink {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn link(&self, text: &str) -> String {
        self.paint("1;4;36", text)
    }

    /// `# 403 NOT_OWN  a patient reads somebody else's record`
    fn verdict(&self, one: &Try) -> String {
        let (color, told) = match one.expect.code {
            None => ("32", format!("{} let in", one.expect.status)),
            Some(code) => ("31", format!("{} {code}", one.expect.status)),
        };
        format!("{} {}", self.paint(color, &format!("# {told:<23}")), one.title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tries;

    const NOW: u64 = 4_000_000_000;

    fn issuer() -> Issuer {
        Issuer::generate("https://localhost:8444".to_owned()).unwrap()
    }

    fn at() -> Whereabouts<'static> {
        Whereabouts {
            https: 8443,
            health: 9900,
            console: "https://localhost:8444",
            app: "http://127.0.0.1:3000",
            root: Path::new("/tmp/demo"),
            program: "anteroom",
        }
    }

    #[test]
    fn the_json_line_has_the_promised_keys_on_one_line() {
        let issuer = issuer();
        let tries = tries::all(&issuer, NOW).unwrap();
        let value = json(&at(), &tries, &issuer, NOW).unwrap();
        assert!(!value.to_string().contains('\n'));
        let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let promised = [
            "https",
            "health",
            "control",
            "ca",
            "config",
            "audit",
            "log",
            "tenant_header",
            "console",
            "personas",
            "try",
        ];
        assert_eq!(keys, promised);
        assert_eq!(value["https"], "https://localhost:8443");
        assert_eq!(value["personas"]["admin"]["mfa"], true);
        assert_eq!(value["personas"]["no_clinic"]["tenant"], Value::Null);
        assert!(value["personas"].as_object().unwrap().values().all(|one| one["token"].is_string()));
    }

    #[test]
    fn each_file_that_a_curl_line_names_is_written() {
        let issuer = issuer();
        let tries = tries::all(&issuer, NOW).unwrap();
        let files = files(&tries, &issuer, NOW).unwrap();
        for one in &tries {
            let line = curl(one, "https://localhost:8443");
            for named in line.split_whitespace().filter_map(|word| word.strip_prefix('@')) {
                assert!(files.iter().any(|(name, _)| name == named), "{named}");
            }
            assert!(!line.contains("Bearer"), "tokens are not printed: {line}");
            assert!(line.len() < 240, "{line}");
        }
    }

    #[test]
    fn the_text_shows_an_allow_first_and_no_token() {
        let issuer = issuer();
        let tries = tries::all(&issuer, NOW).unwrap();
        let text = text(&at(), &tries, false);
        assert!(text.find("# 200 let in").unwrap() < text.find("# 401 NO_CREDENTIAL").unwrap());
        assert!(text.contains("curl -i --cacert ca.pem -H @as/provider https://localhost:8443/api/patients\n"));
        assert!(!text.contains("Bearer") && !text.contains('\u{1b}'));
    }
}
