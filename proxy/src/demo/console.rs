//! The demo's own page: choose who to be, send the ready-made requests, watch the record.
//!
//! It decides who may use that page: a browser on this machine that came to it by its own name, and for anything that
//! changes something, from itself. It never decides about a request to the clinic; it sends those through the gate
//! like any other client, and shows what came back.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::announce::curl;
use super::client::{self, Target, Told};
use super::feed::Feed;
use super::idp;
use super::oidc::{self, Codes};
use super::personas::{PERSONAS, Persona, persona};
use super::token::Issuer;
use super::tries::{Group, Try};
use super::web::{self, Answer, CSS, HTML, HangUp, escape, fill};
use crate::clock::Clock;

/// The most tries that run at once; further ones wait.
const MAX_RUNNING: usize = 4;
/// Scripts, styles and connections from this origin only, and nothing inline. What is left out is where forms may lead.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the page needs to know and can do.
pub(super) struct Console {
    pub(super) issuer: Issuer,
    pub(super) clock: Clock,
    pub(super) tries: Vec<Try>,
    pub(super) feed: Arc<Feed>,
    /// The page's own authority, `localhost:PORT`.
    pub(super) authority: String,
    /// The application behind the gate.
    pub(super) app: SocketAddr,
    /// The same application with nothing in front of it and a store of its own, so that what the gate refused does
    /// not turn up behind it after all.
    pub(super) bare: SocketAddr,
    pub(super) connector: TlsConnector,
    /// Where the gate listens, once it does.
    pub(super) gate: OnceLock<SocketAddr>,
    /// The demo's private folder, for the `curl` lines.
    pub(super) folder: String,
    pub(super) running: Semaphore,
    /// The sign-ins by the gate that are under way.
    pub(super) codes: Codes,
}

impl Console {
    pub(super) fn running() -> Semaphore {
        Semaphore::new(MAX_RUNNING)
    }

    /// Answers one request to the page or to the identity provider.
    pub(super) async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, HangUp> {
        let mut answer = match self.admitted(&request) {
            Ok(()) => self.route(request).await,
            Err((status, text)) => web::answer(status, TEXT, text),
        };
        guard(answer.headers_mut(), &self.gate_url());
        Ok(answer)
    }

    /// ORDER: before anything else. Another site's page, or a name that was made to point here, gets nothing.
    fn admitted(&self, request: &Request<Incoming>) -> Result<(), (StatusCode, String)> {
        let header = request.headers().get(HOST).and_then(|value| value.to_str().ok());
        let authority = request.uri().authority().map(http::uri::Authority::as_str).or(header);
        if authority != Some(self.authority.as_str()) {
            return Err((StatusCode::MISDIRECTED_REQUEST, format!("this page is https://{}/\n", self.authority)));
        }
        if request.method() != Method::POST || self.is_own(request.headers()) {
            return Ok(());
        }
        Err((StatusCode::FORBIDDEN, "only from the page itself\n".to_owned()))
    }

    /// Whether a form or a script of this page sent it. A client that is no browser sends neither header.
    fn is_own(&self, headers: &HeaderMap) -> bool {
        let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
        let expected = format!("https://{}", self.authority);
        site && headers.get(ORIGIN).is_none_or(|origin| origin.as_bytes() == expected.as_bytes())
    }

    async fn route(&self, request: Request<Incoming>) -> Answer {
        let ok = StatusCode::OK;
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        match (request.method().as_str(), path.as_str()) {
            ("GET" | "HEAD", "/") => web::answer(ok, HTML, self.page(request.headers())),
            ("GET" | "HEAD", "/console.css") => web::answer(ok, CSS, include_str!("assets/console.css")),
            ("GET" | "HEAD", "/console.js") => {
                web::answer(ok, "text/javascript; charset=utf-8", include_str!("assets/console.js"))
            }
            ("GET" | "HEAD", "/mark.svg" | "/favicon.ico") => {
                web::answer(ok, "image/svg+xml", include_str!("assets/mark.svg"))
            }
            ("GET", "/.well-known/openid-configuration") => web::json(ok, &self.issuer.discovery()),
            ("GET", "/jwks.json") => web::json(ok, &self.issuer.key_set()),
            ("GET", "/events") => self.events(request.headers()),
            ("POST", "/sign-in") => match web::body_of(request).await {
                Ok(body) => idp::sign_in(&self.issuer, &body, self.now()),
                Err(status) => web::answer(status, TEXT, "the form was not read\n"),
            },
            ("POST", "/sign-out") => idp::sign_out(),
            ("GET", "/authorize") => oidc::page(&query, &self.gate_url(), request.headers()),
            ("GET", "/end-session") => oidc::end_session(&query, &self.gate_url()),
            ("POST", "/authorize" | "/token") => match web::body_of(request).await {
                Ok(body) if path == "/token" => oidc::token(&self.issuer, &body, &self.codes, self.now()),
                Ok(body) => oidc::chosen(&query, &self.gate_url(), &body, (&self.issuer, &self.codes), self.now()),
                Err(status) => web::answer(status, TEXT, "the form was not read\n"),
            },
            ("POST", _) => match path.strip_prefix("/try/").and_then(|name| self.named(name)) {
                Some(one) => self.run(one).await,
                None => nothing_here(),
            },
            _ => nothing_here(),
        }
    }

    /// Unix seconds.
    pub(super) fn now(&self) -> u64 {
        self.clock.now().unix_seconds()
    }

    fn named(&self, name: &str) -> Option<&Try> {
        self.tries.iter().find(|one| one.name == name)
    }

    fn events(&self, headers: &HeaderMap) -> Answer {
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let seen = last.and_then(|number| number.parse().ok()).unwrap_or(0);
        let Some(stream) = self.feed.stream(seen) else {
            return web::answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "too many pages are open\n");
        };
        let mut answer = web::answer(StatusCode::OK, "text/event-stream", "");
        *answer.body_mut() = UnsyncBoxBody::new(stream);
        answer
    }

    /// Runs a try through the gate, and for comparison where there is none.
    async fn run(&self, one: &Try) -> Answer {
        let Some(gate) = self.gate.get().copied() else {
            return web::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "the gate is not open yet" }));
        };
        let Ok(_turn) = self.running.acquire().await else { return nothing_here() };
        let token = one.persona.and_then(persona).and_then(|who| self.issuer.token(who, self.now()).ok());
        let through = client::send(&Target::Gate(gate, self.connector.clone()), one, token.as_deref()).await;
        let past = client::send(&Target::App(self.bare), one, token.as_deref()).await;
        let expected = json!({ "status": one.expect.status, "code": one.expect.code });
        let told = json!({
            "name": one.name, "title": one.title.replace('`', ""), "expect": expected, "curl": curl(one, &self.gate_url()),
            "gate": told(&through), "bare": told(&past),
        });
        web::json(StatusCode::OK, &told)
    }

    fn gate_url(&self) -> String {
        self.gate.get().map_or_else(String::new, |gate| format!("https://localhost:{}", gate.port()))
    }

    fn page(&self, headers: &HeaderMap) -> String {
        let signed_in = idp::signed_in(&self.issuer, headers);
        let is = |one: &Persona| signed_in.is_some_and(|current| current.key == one.key);
        let gate = self.gate_url();
        let personas: String = PERSONAS.iter().map(|one| idp::card(one, "/sign-in", is(one))).collect();
        let tries: String = Group::ALL.iter().map(|group| self.group(*group)).collect();
        fill(
            include_str!("assets/console.html"),
            &[
                ("personas", &personas),
                ("signed_in", &welcome(signed_in, &gate)),
                ("tries", &tries),
                ("gate", &escape(&gate)),
                ("app", &escape(&format!("http://{}", self.app))),
                ("folder", &escape(&self.folder)),
            ],
        )
    }

    fn group(&self, group: Group) -> String {
        let buttons: String = self.tries.iter().filter(|one| one.group == group).map(button).collect();
        fill(include_str!("assets/console_group.html"), &[("title", group.title()), ("tries", &buttons)])
    }
}

/// The line under the personas: the way into the clinic, or what is missing for it.
fn welcome(signed_in: Option<&Persona>, gate: &str) -> String {
    match signed_in {
        Some(one) => {
            fill(include_str!("assets/console_signed_in.html"), &[("name", &escape(one.name)), ("gate", &escape(gate))])
        }
        None => fill(include_str!("assets/console_signed_out.html"), &[("gate", &escape(gate))]),
    }
}

fn button(one: &Try) -> String {
    let who = match (one.persona.and_then(persona), one.headers.iter().any(|(name, _)| *name == "cookie")) {
        (Some(who), _) => who.name,
        (None, true) => "a browser",
        (None, false) if one.headers.iter().any(|(name, _)| *name == "authorization") => "a forger",
        (None, false) => "anybody",
    };
    let status = one.expect.status.to_string();
    fill(
        include_str!("assets/console_try.html"),
        &[
            ("name", one.name),
            ("title", &code_spans(&escape(one.title))),
            ("who", &escape(who)),
            ("request", &escape(&format!("{} {}", one.method, one.path))),
            ("kind", if one.expect.code.is_some() { "deny" } else { "allow" }),
            ("status", &status),
            ("code", one.expect.code.unwrap_or("let in")),
        ],
    )
}

/// What stands between backticks becomes code.
fn code_spans(safe: &str) -> String {
    let parts = safe.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

fn told(outcome: &Result<Told, String>) -> Value {
    match outcome {
        Ok(told) => told.to_json(),
        Err(fault) => json!({ "error": fault }),
    }
}

fn nothing_here() -> Answer {
    web::answer(StatusCode::NOT_FOUND, TEXT, "nothing here\n")
}

/// What every answer carries. Signing in leads from a form back to the gate, and browsers hold a form to where it ends.
fn guard(headers: &mut HeaderMap, gate: &str) {
    if let Ok(policy) = HeaderValue::from_str(&format!("{POLICY} {gate}")) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    let fixed = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Without a referrer a form post says `Origin: null`, and would be refused as another site's.
        (REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
