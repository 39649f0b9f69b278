//! An OpenID provider of a few lines, which can be told to lie; and a browser that signs in with it.
//!
//! What it does rightly is what a gate needs: codes that count once, PKCE, a client secret, refresh tokens that change with
//! each use. What a third party's provider does is tried elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anteroom::clock::Clock;
use anteroom::dev_key::DevKey;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use certs::dev::{DevCa, Validity};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::backend::{At, Backend, pipe, streamed};
use crate::client::{Answer, AnyBody, Client, Protocol, body};
use crate::gate::{Gate, Setup};
use crate::issuer::ISSUER;
use crate::issuer::Issuer;

/// The gate's name at the provider, and what proves it.
pub const CLIENT: &str = "clinic:web/1";
/// With signs that have to be written otherwise in the header (RFC 6749, section 2.3.1).
pub const SECRET: &str = "s3cret:%+ example";
/// Where browsers are sent to.
pub const AUTHORIZE: &str = "https://signin.example/authorize";
/// Where browsers are sent to sign out.
pub const END_SESSION: &str = "https://signin.example/end";
/// The session's cookie.
pub const COOKIE: &str = "__Host-anteroom";

/// What was granted and not yet fetched.
#[derive(Clone, Debug)]
struct Grant {
    challenge: String,
    nonce: String,
    back: String,
}

/// How the token endpoint hangs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hang {
    /// It reads what it is asked, and says nothing.
    BeforeTheHead,
    /// It says that all is well, begins, and goes no further.
    AfterTheHead,
    /// It goes on once it does not hang any more.
    ForAWhile,
}

/// What the provider does.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// Who signs in: claims beside those of the protocol.
    pub person: Map<String, Value>,
    /// Claims that are set in ID tokens after all others; null takes one out.
    pub lies: Map<String, Value>,
    /// Members of the token endpoint's answer that are set after all others; null takes one out.
    pub tokens: Map<String, Value>,
    /// The token endpoint's status, where it fails.
    pub fails: Option<u16>,
    /// Whether it takes the client's secret in the form alone.
    pub posts: bool,
    /// How the token endpoint hangs, where it does.
    pub hangs: Option<Hang>,
    /// The time that its tokens are made for, in Unix seconds.
    pub now: u64,
    /// The forms that the token endpoint got, with what stood in `Authorization`.
    pub asked: Vec<(BTreeMap<String, String>, String)>,
    key: Option<DevKey>,
    codes: BTreeMap<String, Grant>,
    refresh: Option<String>,
    made: usize,
}

/// The provider.
pub struct Op {
    /// What it does.
    behaviour: Arc<Mutex<Behaviour>>,
    address: std::net::SocketAddr,
    ca: String,
}

/// Reads `a=b&c=d`.
pub fn pairs(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| anteroom::pipeline::canonical::form_decoded(text).unwrap();
    let split = text.split('&').filter_map(|pair| pair.split_once('='));
    split.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

impl Op {
    /// Starts one.
    pub fn start() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ca = DevCa::generate(Validity::days(now, 3)).unwrap();
        let pair = ca.issue(&["127.0.0.1"], Validity::days(now, 2)).unwrap();
        let pair = certs::load_pair(pair.cert_pem.as_bytes(), pair.key_pem.as_bytes()).unwrap();
        let mut tls = rustls::ServerConfig::clone(&certs::server_config(vec![pair]).unwrap());
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let behaviour = Arc::new(Mutex::new(Behaviour { now, ..Behaviour::default() }));
        let shared = Arc::clone(&behaviour);
        let backend =
            Backend::start(At::Tls(Arc::new(tls)), Protocol::Http1, move |request| token(Arc::clone(&shared), request));
        let op = Self { behaviour, address: backend.address.unwrap(), ca: ca.ca_pem().to_owned() };
        op.person(
            json!({ "sub": "ada.example", "org_id": "a", "roles": ["provider"], "amr": ["pwd"], "auth_time": now }),
        );
        op
    }

    /// The keys of `login` that lead here; `more` begins with a comma where there is more.
    pub fn config(&self, more: &str) -> String {
        format!(
            "login: {{ client_id: \"{CLIENT}\", client_secret: {{ file: client.secret }}, keys: {{ file: login.keys }}, \
             authorization_endpoint: \"{AUTHORIZE}\", token_endpoint: \"https://{}/token\", \
             end_session_endpoint: \"{END_SESSION}\", ca: op-ca.pem, private: [127.0.0.0/8]{more} }}",
            self.address
        )
    }

    /// A gate that signs people in here; `more` are more keys of `login`, a comma before each.
    pub fn setup(&self, more: &str) -> Setup {
        let mut setup = Setup::default();
        setup.provider = format!("{}\n    {}", setup.provider, self.config(more));
        setup.files = vec![
            ("op-ca.pem", self.ca.clone()),
            ("login.keys", format!("{}\n", "0a1b".repeat(16))),
            ("client.secret", format!("{SECRET}\n")),
        ];
        setup
    }

    /// A gate with this setup before a plain application; its tokens are signed by the key that the gate knows.
    pub fn gate(&self, setup: Setup) -> Gate {
        self.before(setup, App::plain())
    }

    /// The same before `app`.
    pub fn before(&self, setup: Setup, app: App) -> Gate {
        let gate = Gate::start(setup, app);
        self.does().key = Some(DevKey::from_pem(gate.issuer().key.pem().as_bytes()).unwrap());
        gate
    }

    /// The same with a clock that stands still, at the time of the provider.
    pub fn still(&self, setup: Setup, app: App) -> Gate {
        let gate = self.before(Setup { clock: Clock::manual(Issuer::new().now * 1_000), ..setup }, app);
        self.does().now = gate.clock().now().unix_seconds();
        gate
    }

    /// What it does, to be changed.
    pub fn does(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap()
    }

    /// Who signs in from now on.
    pub fn person(&self, claims: Value) {
        self.does().person = claims.as_object().unwrap().clone();
    }

    /// What ID tokens say from now on that is not so.
    pub fn lies(&self, claims: Value) {
        self.does().lies = claims.as_object().unwrap().clone();
    }

    /// A person signs in where `location` leads, and is sent back: the path and query of the callback.
    pub fn sign_in(&self, location: &str) -> String {
        let query =
            location.strip_prefix(AUTHORIZE).unwrap_or_else(|| panic!("`{location}`")).strip_prefix('?').unwrap();
        let asked = pairs(query);
        let says = |name: &str| asked.get(name).unwrap_or_else(|| panic!("no `{name}` in {location}")).clone();
        assert_eq!((says("response_type"), says("client_id")), ("code".to_owned(), CLIENT.to_owned()));
        assert_eq!(says("code_challenge_method"), "S256");
        assert!(says("scope").split(' ').any(|scope| scope == "openid"));
        let grant = Grant { challenge: says("code_challenge"), nonce: says("nonce"), back: says("redirect_uri") };
        let mut does = self.does();
        does.made += 1;
        let code = format!("code-{}", does.made);
        let (_, path) = grant.back.split_once("clinic.example").unwrap();
        let iss = anteroom::outbound::encode(ISSUER);
        let back = format!("{path}?code={code}&state={}&iss={iss}", says("state"));
        does.codes.insert(code, grant);
        back
    }
}

async fn token(behaviour: Arc<Mutex<Behaviour>>, request: Request<Incoming>) -> Response<AnyBody> {
    let (parts, form) = request.into_parts();
    let form = Limited::new(form, 64 * 1024).collect().await.unwrap().to_bytes();
    let form = pairs(std::str::from_utf8(&form).unwrap());
    let shown = parts.headers.get("authorization").map_or(String::new(), |value| value.to_str().unwrap().to_owned());
    let hangs = {
        let mut does = behaviour.lock().unwrap();
        does.asked.push((form.clone(), shown.clone()));
        does.hangs
    };
    match hangs {
        Some(Hang::BeforeTheHead) => std::future::pending().await,
        Some(Hang::AfterTheHead) => {
            let (pipe, begun) = pipe();
            tokio::spawn(async move {
                if pipe.send("{\"token_type\":").await {
                    pipe.gone().await;
                }
            });
            return streamed(200, &[("content-type", "application/json")], begun);
        }
        Some(Hang::ForAWhile) => {
            while behaviour.lock().unwrap().hangs.is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        None => {}
    }
    let mut does = behaviour.lock().unwrap();
    let (status, told) = match does.fails {
        Some(status) => (status, json!({ "error": "temporarily_unavailable" })),
        None => match does.granted(&form, &shown) {
            Ok(tokens) => (200, tokens),
            Err(error) => (400, json!({ "error": error, "error_description": "<script>alert(1)</script>" })),
        },
    };
    Response::builder().status(status).header("content-type", "application/json").body(body(told.to_string())).unwrap()
}

impl Behaviour {
    fn granted(&mut self, form: &BTreeMap<String, String>, shown: &str) -> Result<Value, &'static str> {
        let encode = anteroom::outbound::encode;
        let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(CLIENT), encode(SECRET))));
        let says = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let in_form = (says("client_id"), says("client_secret")) == (CLIENT, SECRET);
        let is_client = if self.posts { in_form && shown.is_empty() } else { shown == expected };
        if !is_client || (!self.posts && form.contains_key("client_secret")) {
            return Err("invalid_client");
        }
        let nonce = match says("grant_type") {
            "authorization_code" => {
                let grant = self.codes.remove(says("code")).ok_or("invalid_grant")?;
                let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, says("code_verifier").as_bytes()));
                if grant.challenge != challenge || grant.back != says("redirect_uri") {
                    return Err("invalid_grant");
                }
                Some(grant.nonce)
            }
            "refresh_token" => {
                // One that is used twice ends the family, as OAuth 2.0 Security Best Current Practice wants it.
                let good = self.refresh.take().is_some_and(|token| token == says("refresh_token"));
                if !good {
                    return Err("invalid_grant");
                }
                None
            }
            _ => return Err("unsupported_grant_type"),
        };
        self.made += 1;
        let (access, refresh) = (format!("access-{}", self.made), format!("refresh-{}", self.made));
        self.refresh = Some(refresh.clone());
        let half = digest(&SHA256, access.as_bytes());
        let mut claims = json!({
            "iss": ISSUER, "aud": CLIENT, "iat": self.now, "exp": self.now + 300, "email": "ada@clinic.example",
            "at_hash": URL_SAFE_NO_PAD.encode(&half.as_ref()[..16]),
        });
        let nonce = nonce.map(|nonce| ("nonce".to_owned(), Value::from(nonce)));
        set(&mut claims, nonce.into_iter().chain(self.person.clone()).chain(self.lies.clone()));
        let key = self.key.as_ref().unwrap();
        let id_token = key.sign(key.kid(), claims.as_object().unwrap()).unwrap();
        let mut tokens = json!({
            "token_type": "Bearer", "expires_in": 300, "access_token": access, "refresh_token": refresh, "id_token": id_token,
        });
        set(&mut tokens, self.tokens.clone());
        Ok(tokens)
    }
}

fn set(object: &mut Value, members: impl IntoIterator<Item = (String, Value)>) {
    for (name, value) in members {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(&name);
        } else {
            object[&name] = value;
        }
    }
}

/// A browser in front of a person: it keeps cookies, and says that it navigates.
pub struct Browser {
    /// Its cookies, by name.
    pub jar: BTreeMap<String, String>,
    client: Client,
}

impl Browser {
    /// A new one, without cookies.
    pub async fn new(gate: &Gate) -> Self {
        Self { jar: BTreeMap::new(), client: Client::open(gate, Protocol::Http1).await }
    }

    /// Goes to a page.
    pub async fn go(&mut self, path: &str) -> Answer {
        let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html")];
        self.ask("GET", path, &navigation).await
    }

    /// Presses a button that posts a form to `path`.
    pub async fn press(&mut self, path: &str) -> Answer {
        let form = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "same-origin")];
        self.ask("POST", path, &form).await
    }

    /// A script of a page asks.
    pub async fn fetch(&mut self, method: &str, path: &str) -> Answer {
        let script = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")];
        self.ask(method, path, &script).await
    }

    /// Asks with its cookies, and keeps those that it is given.
    pub async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let answer = self.client.ask(method, path, &headers).await;
        for line in answer.headers.get_all("set-cookie") {
            self.keep(line.to_str().unwrap());
        }
        answer
    }

    fn keep(&mut self, line: &str) {
        let (pair, flags) = line.split_once("; ").unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').unwrap();
        if name.starts_with("__Host-") {
            for flag in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(flags.split("; ").any(|one| one == flag), "`{flag}` is missing: {flags}");
            }
            assert!(pair.len() <= 4_096 && !flags.contains("Domain"), "{} bytes, {flags}", pair.len());
        }
        if flags.contains("Max-Age=0") {
            self.jar.remove(name);
        } else {
            self.jar.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Goes to a page that needs to know who asks, signs in, and comes back: what is answered at last.
    pub async fn sign_in(&mut self, op: &Op, path: &str) -> Answer {
        let sent = self.go(path).await;
        assert_eq!(sent.status, 303, "{sent:?}");
        self.come_back(&op.sign_in(sent.header("location"))).await
    }

    /// Comes back from the provider and follows to where the gate leads.
    pub async fn come_back(&mut self, callback: &str) -> Answer {
        let back = self.go(callback).await;
        if back.status != 303 || !back.header("location").starts_with('/') {
            return back;
        }
        let path = back.header("location").to_owned();
        self.go(&path).await
    }
}
