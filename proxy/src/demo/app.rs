//! The sample application behind the gate: "Old Harbour Clinic Suite", in the leaky style of old ones.
//!
//! It believes whatever `X-Tenant-Id`, `X-User-Id` and `X-User-Roles` say, shows everything when nobody says
//! anything, names its software in every answer, sets cookies without flags and prints a stack trace with a patient's
//! name. All of that is on purpose: it is what the gate is for. It never sees a token and never decides who may pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::header::{HeaderName, HeaderValue, SERVER, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::data::{Patient, Store};
use super::pages::{self, Frame};
use super::web::{self, Answer, CSS, HTML, HangUp};

/// The longest search text, in characters.
const MAX_SEARCH: usize = 64;

/// The running application.
pub(super) struct Clinic {
    store: Store,
    visits: AtomicU32,
    /// Where the demo's own page is, for the way back.
    console: String,
    exit: Exit,
}

/// Whether its pages offer to sign out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// By the gate in front of it.
    Logout,
    /// Nobody in front of it is known to do that.
    None,
}

/// Who the request says is asking. Nobody checks it here.
pub(super) struct Said {
    pub(super) clinic: Option<String>,
    pub(super) user: Option<String>,
    pub(super) roles: Option<String>,
}

impl Said {
    fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { clinic: text("x-tenant-id"), user: text("x-user-id"), roles: text("x-user-roles") }
    }

    fn name(&self) -> &str {
        self.user.as_deref().unwrap_or("somebody")
    }
}

/// What a part of the application comes back with.
enum Reply {
    Page(StatusCode, String),
    Data(StatusCode, Value),
    Ready(Answer),
}

const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
const OK: StatusCode = StatusCode::OK;

impl Clinic {
    pub(super) fn new(console: String, exit: Exit) -> Self {
        Self { store: Store::new(), visits: AtomicU32::new(1), console, exit }
    }

    /// Answers one request; `/crash` closes the connection instead, as an application does that has just died.
    pub(super) async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, HangUp> {
        if request.uri().path() == "/crash" {
            return Err(HangUp);
        }
        let reply = self.reply(request).await;
        let mut answer = match reply {
            Reply::Page(status, html) => web::answer(status, HTML, html),
            Reply::Data(status, value) => web::json(status, &value),
            Reply::Ready(answer) => answer,
        };
        self.leak(answer.headers_mut());
        Ok(answer)
    }

    async fn reply(&self, request: Request<Incoming>) -> Reply {
        let said = Said::read(request.headers());
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["healthz"]) => Reply::Data(OK, json!({ "status": "up" })),
            ("GET", ["static", "clinic.css"]) => Reply::Ready(web::answer(OK, CSS, include_str!("assets/clinic.css"))),
            ("GET", ["favicon.ico"]) => {
                Reply::Ready(web::answer(OK, "image/svg+xml", include_str!("assets/clinic.svg")))
            }
            ("GET", ["debug", "headers"]) => Reply::Data(OK, echo(request.headers())),
            ("GET", ["debug", "error"]) => stack_trace(),
            ("GET", ["api", rest @ ..]) => self.api(rest, &said),
            ("POST", ["api", "patients", id, "records"]) => self.add_by_api(id, &said, request).await,
            ("POST", ["api", "prescriptions", id, "sign"]) => self.sign(id, &said),
            ("POST", ["patients", id, "records"]) => self.add_by_form(id, &said, request).await,
            ("GET", rest) => self.page(rest, &said, request.uri().query()),
            _ => Reply::Data(StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "no such thing" })),
        }
    }

    fn api(&self, path: &[&str], said: &Said) -> Reply {
        let clinic = said.clinic.as_deref();
        match path {
            ["patients"] => Reply::Data(OK, patients(clinic)),
            // It never compares the clinic in the path with the caller's.
            ["clinics", named, "patients"] => Reply::Data(OK, patients(Some(named))),
            ["patients", id] => of_patient(id, clinic, |patient| Some(json!(patient))),
            ["patients", id, "records"] => {
                of_patient(id, clinic, |patient| Some(json!({ "records": self.store.records(patient) })))
            }
            ["patients", id, "records", record] => {
                of_patient(id, clinic, |patient| self.store.record(patient, record).map(|found| json!(found)))
            }
            ["users"] => Reply::Data(OK, json!({ "users": Store::users(clinic).collect::<Vec<_>>() })),
            ["reports", "monthly"] => Reply::Data(
                OK,
                json!({ "clinic": clinic, "patients": Store::patients(clinic).count(), "notes": self.store.notes(clinic) }),
            ),
            _ => missing(),
        }
    }

    async fn add_by_api(&self, id: &str, said: &Said, request: Request<Incoming>) -> Reply {
        let body = match web::body_of(request).await {
            Ok(body) => body,
            Err(status) => return Reply::Data(status, json!({ "error": "body not read" })),
        };
        let given: Option<Value> = serde_json::from_slice(&body).ok();
        let note = given.as_ref().and_then(|value| value.get("note")).and_then(Value::as_str);
        let Some(note) = note else {
            return Reply::Data(StatusCode::BAD_REQUEST, json!({ "error": "`note` expected" }));
        };
        match Store::patient(id, said.clinic.as_deref()) {
            Some(patient) => Reply::Data(StatusCode::CREATED, json!(self.store.add(patient, note, said.name()))),
            None => missing(),
        }
    }

    async fn add_by_form(&self, id: &str, said: &Said, request: Request<Incoming>) -> Reply {
        let Some(patient) = Store::patient(id, said.clinic.as_deref()) else {
            return self.no_page(said);
        };
        let body = web::body_of(request).await.unwrap_or_default();
        let note = std::str::from_utf8(&body).ok().and_then(|form| web::field(form, "note")).unwrap_or_default();
        if !note.trim().is_empty() {
            self.store.add(patient, &note, said.name());
        }
        Reply::Ready(web::see_other(&format!("/patients/{}", patient.id)))
    }

    fn sign(&self, id: &str, said: &Said) -> Reply {
        self.store.sign(id, said.clinic.as_deref(), said.name()).map_or_else(missing, |one| Reply::Data(OK, json!(one)))
    }

    fn page(&self, path: &[&str], said: &Said, query: Option<&str>) -> Reply {
        let clinic = said.clinic.as_deref();
        let frame = Frame { said, console: &self.console, exit: self.exit };
        match path {
            [""] => Reply::Page(OK, frame.welcome()),
            ["patients"] => {
                let search: String = query
                    .and_then(|query| web::field(query, "q"))
                    .unwrap_or_default()
                    .chars()
                    .take(MAX_SEARCH)
                    .collect();
                Reply::Page(OK, frame.patients(Store::patients(clinic), &search))
            }
            ["patients", id] => match Store::patient(id, clinic) {
                Some(patient) => Reply::Page(OK, frame.patient(patient, &self.store.records(patient))),
                None => self.no_page(said),
            },
            ["patients", id, "records", record] => {
                let found = Store::patient(id, clinic)
                    .and_then(|patient| self.store.record(patient, record).map(|record| (patient, record)));
                match found {
                    Some((patient, record)) => Reply::Page(OK, frame.record(patient, &record)),
                    None => self.no_page(said),
                }
            }
            _ => self.no_page(said),
        }
    }

    fn no_page(&self, said: &Said) -> Reply {
        Reply::Page(NOT_FOUND, Frame { said, console: &self.console, exit: self.exit }.missing())
    }

    /// What the application tells every stranger about itself, and a cookie that any script may read.
    fn leak(&self, headers: &mut HeaderMap) {
        headers.insert(SERVER, HeaderValue::from_static("HarbourHTTPd/1.3.7 (Unix)"));
        headers.insert(HeaderName::from_static("x-powered-by"), HeaderValue::from_static("ClinicScript/4.1.2"));
        let visit = self.visits.fetch_add(1, Ordering::Relaxed);
        if let Ok(cookie) = HeaderValue::from_str(&format!("OHSESSID=visit-{visit}; Path=/")) {
            headers.insert(SET_COOKIE, cookie);
        }
    }
}

fn patients(clinic: Option<&str>) -> Value {
    json!({ "clinic": clinic, "patients": Store::patients(clinic).collect::<Vec<_>>() })
}

fn of_patient(id: &str, clinic: Option<&str>, show: impl FnOnce(&'static Patient) -> Option<Value>) -> Reply {
    Store::patient(id, clinic).and_then(show).map_or_else(missing, |value| Reply::Data(OK, value))
}

fn missing() -> Reply {
    Reply::Data(NOT_FOUND, json!({ "error": "no such thing" }))
}

/// The headers as the application saw them, each copy on its own, in order.
fn echo(headers: &HeaderMap) -> Value {
    let pairs: Vec<Value> =
        headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect();
    json!({ "headers": pairs })
}

/// What old applications print when something breaks: their insides, and whoever was on the screen.
fn stack_trace() -> Reply {
    let text = pages::page("Error", include_str!("assets/clinic_error.html"), "");
    Reply::Page(StatusCode::INTERNAL_SERVER_ERROR, text)
}
