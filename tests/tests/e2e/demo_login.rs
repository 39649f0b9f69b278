//! The demo as a person in a browser uses it: sent to sign in, in, asked for a second factor, out.

use std::collections::BTreeMap;
use std::process::Command;

use e2e::client::{Answer, Client, Protocol, body};
use e2e::process::binary;
use http::Request;
use serde_json::Value;

use crate::demo::Demo;

/// A browser: one jar of cookies for both ports (RFC 6265, 8.5), which goes where it is sent.
struct Browser<'a> {
    demo: &'a Demo,
    ca: String,
    jar: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    fn new(demo: &'a Demo) -> Self {
        let ca = std::fs::read_to_string(demo.text("ca")).unwrap();
        Self { demo, ca, jar: BTreeMap::new() }
    }

    async fn send(&mut self, method: &str, url: &str, mode: &str, form: &str) -> Answer {
        let (gate, console) = (self.demo.text("https"), self.demo.text("console"));
        let (origin, name) = if url.starts_with(gate) { (gate, "https") } else { (console, "console") };
        let path = url.strip_prefix(origin).unwrap_or_else(|| panic!("sent away, to {url}"));
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", origin.trim_start_matches("https://"))
            .header("cookie", cookies.join("; "))
            .header("sec-fetch-mode", mode)
            .header("sec-fetch-dest", if mode == "navigate" { "document" } else { "empty" })
            .header("sec-fetch-site", "same-origin");
        if method == "POST" {
            request = request.header("origin", origin).header("content-type", "application/x-www-form-urlencoded");
        }
        let mut client = Client::open_at(self.demo.address(name), &self.ca, Protocol::Http1, "localhost").await;
        let answer = client.send(request.body(body(form.to_owned())).unwrap()).await;
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            match line.contains("Max-Age=0") {
                true => self.jar.remove(name),
                false => self.jar.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Goes to `url`, and on to where it is sent; the last address, and what was there.
    async fn go(&mut self, method: &str, url: &str, form: &str) -> (String, Answer) {
        let (mut url, mut answer) = (url.to_owned(), self.send(method, url, "navigate", form).await);
        for _ in 0..6 {
            let location = answer.header("location").to_owned();
            if answer.status != 303 {
                return (url, answer);
            }
            let here = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            url = if location.starts_with('/') { format!("{here}{location}") } else { location };
            answer = self.send("GET", &url, "navigate", "").await;
        }
        panic!("sent around in a circle, at last to {url}");
    }

    /// Goes to `path` of the gate, and chooses a persona where it is asked to.
    async fn sign_in(&mut self, path: &str, persona: &str) -> (String, Answer) {
        let (asked, page) = self.go("GET", &self.demo.gate(path), "").await;
        assert!(asked.starts_with(&format!("{}/authorize?", self.demo.text("console"))), "{asked}");
        assert!(page.text().contains("Dr. Ada Example"), "{}", page.text());
        // A form's redirects are held to the policy of its page.
        let policy = page.header("content-security-policy");
        assert!(policy.ends_with(&format!("form-action 'self' {}", self.demo.text("https"))), "{policy}");
        self.go("POST", &asked, &format!("persona={persona}")).await
    }

    async fn script(&mut self, path: &str) -> Answer {
        self.send("GET", &self.demo.gate(path), "cors", "").await
    }
}

impl Demo {
    fn gate(&self, path: &str) -> String {
        format!("{}{path}", self.text("https"))
    }
}

#[tokio::test]
async fn a_person_signs_in_uses_the_clinic_and_signs_out() {
    let demo = Demo::start();
    let mut browser = Browser::new(&demo);
    assert_eq!(browser.script("/patients").await.status, 401, "no script is sent to sign in");
    let (at, page) = browser.sign_in("/patients/p-101?from=mail", "provider").await;
    assert_eq!((at, page.status.as_u16()), (demo.gate("/patients/p-101?from=mail"), 200), "{}", page.text());
    assert!(page.text().contains("you are <b>clinic|ada</b>") && page.text().contains("action=\"/.anteroom/logout\""));
    let policy = page.header("content-security-policy");
    assert!(policy.contains(&format!("form-action 'self' {};", demo.text("console"))), "{policy}");
    let remaining = browser.script("/.anteroom/session").await;
    let remaining: Value = serde_json::from_slice(&remaining.body).unwrap();
    assert!(remaining["idle_s"].as_u64().unwrap() > 3 * 3_600, "{remaining}");
    let kept = browser.jar.clone();
    let (at, left) = browser.go("POST", &demo.gate("/.anteroom/logout"), "").await;
    assert_eq!((at, left.status.as_u16()), (demo.gate("/"), 200), "by the provider, and back: {}", left.text());
    assert!(!browser.jar.contains_key("__Host-anteroom") && !browser.jar.contains_key("__Host-demo-provider"));
    browser.jar = kept;
    let stolen = browser.script("/patients").await;
    assert_eq!((stolen.status.as_u16(), stolen.code().as_str()), (401, "SESSION_ENDED"));
}

#[tokio::test]
async fn an_administrator_is_asked_for_the_second_factor() {
    let demo = Demo::start();
    let mut browser = Browser::new(&demo);
    let (asked, page) = browser.sign_in("/api/users", "admin_password").await;
    assert!(asked.contains("/authorize?") && page.text().contains("name=\"factor\""), "{asked}: {}", page.text());
    assert!(page.text().contains("Pat Word-Only"));
    let (at, users) = browser.go("POST", &asked, "persona=admin_password&factor=otp").await;
    assert_eq!((at, users.status.as_u16()), (demo.gate("/api/users"), 200), "{}", users.text());
}

#[tokio::test]
async fn a_revoked_session_ends_and_a_new_sign_in_begins_another() {
    let demo = Demo::start();
    let mut browser = Browser::new(&demo);
    assert_eq!(browser.sign_in("/patients", "provider").await.1.status, 200);
    let mut revoke = Command::new(binary());
    revoke.args(["revoke", "--control", demo.text("control"), "--issuer", demo.text("console")]);
    assert!(revoke.args(["--subject", "clinic|ada"]).output().unwrap().status.success());
    let ended = browser.script("/patients").await;
    assert_eq!((ended.status.as_u16(), ended.code().as_str()), (401, "SESSION_ENDED"));
    // Who is locked out for good is so by each way in.
    let mut other = Browser::new(&demo);
    let (_, refused) = other.sign_in("/patients", "revoked").await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("SESSION_ENDED"), "{}", refused.text());
}

#[tokio::test]
async fn a_persona_that_is_chosen_on_the_page_takes_the_place_of_a_sign_in() {
    let demo = Demo::start();
    let mut browser = Browser::new(&demo);
    assert_eq!(browser.sign_in("/patients", "front_desk").await.1.status, 200);
    let (_, page) = browser.go("POST", &format!("{}/sign-in", demo.text("console")), "persona=provider").await;
    assert!(page.text().contains("This browser is <strong>Dr. Ada Example"));
    let (_, list) = browser.go("GET", &demo.gate("/patients"), "").await;
    assert!(list.text().contains("you are <b>clinic|ada</b>"), "{}", list.text());
    let (at, _) = browser.go("POST", &demo.gate("/.anteroom/logout"), "").await;
    assert_eq!(at, demo.gate("/"));
    assert!(!browser.jar.contains_key("__session"));
}
