//! The development identity provider's sign-in for the gate: OpenID Connect, authorization code with PKCE.
//!
//! Decides who may get a code (this demo's gate, at its own address) and what a code is good for: one ID token, once, within
//! a minute, for whoever knows the verifier. Signing in is choosing a persona; the second factor is a button. It hands
//! nothing to another site, and ends no session of the gate: that is the gate's own.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use serde_json::{Value, json};

use super::idp;
use super::personas::{PERSONAS, Persona, persona};
use super::token::{Issuer, SignIn};
use super::web::{self, Answer, HTML, escape, field, fill};
use crate::outbound::encode_form;

/// The gate's name here.
pub(super) const CLIENT: &str = "demo-gate";
/// The most codes that wait; the oldest gives way.
const MAX_CODES: usize = 64;
/// How long a code is good for, in seconds.
const CODE_LIFETIME: u64 = 60;
/// The longest `state`, `nonce` and challenge, in bytes.
const LONGEST: usize = 256;
/// Who chose last in this browser, so that the second factor is asked of the same person.
const LAST: &str = "__Host-demo-provider";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the gate asks for (OpenID Connect Core 1.0, section 3.1.2.1).
struct Asked {
    back: String,
    state: String,
    nonce: String,
    challenge: String,
    /// Whether more than a password is asked for.
    stepping: bool,
}

impl Asked {
    /// Reads the query of a request. `None`: it is not of this gate, or not what it asks.
    fn read(query: &str, gate: &str) -> Option<Self> {
        let says = |name| field(query, name).filter(|value| !value.is_empty() && value.len() <= LONGEST);
        let is = |name, expected: &str| says(name).is_some_and(|value| value == expected);
        let back = says("redirect_uri").filter(|back| *back == format!("{gate}/.anteroom/callback"))?;
        let ours = !gate.is_empty()
            && is("client_id", CLIENT)
            && is("response_type", "code")
            && is("code_challenge_method", "S256");
        if !ours || !field(query, "scope")?.split(' ').any(|scope| scope == "openid") {
            return None;
        }
        let stepping = says("max_age").is_some() || says("acr_values").is_some();
        Some(Self { back, state: says("state")?, nonce: says("nonce")?, challenge: says("code_challenge")?, stepping })
    }
}

/// What a code stands for.
struct Grant {
    code: String,
    who: &'static Persona,
    second_factor: bool,
    back: String,
    nonce: String,
    challenge: String,
    at: u64,
}

/// The codes that were given and not yet used.
#[derive(Default)]
pub(super) struct Codes {
    waiting: Mutex<VecDeque<Grant>>,
}

impl Codes {
    fn add(&self, grant: Grant) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MAX_CODES {
            waiting.pop_front();
        }
        waiting.push_back(grant);
    }

    /// The grant of `code`, which counts once, whatever comes of it.
    fn take(&self, code: &str, now: u64) -> Option<Grant> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let place = waiting.iter().position(|grant| grant.code == code)?;
        waiting.remove(place).filter(|grant| now <= grant.at.saturating_add(CODE_LIFETIME))
    }
}

/// `GET /authorize`: the page where one chooses who to be, or shows the second factor.
pub(super) fn page(query: &str, gate: &str, headers: &HeaderMap) -> Answer {
    let Some(asked) = Asked::read(query, gate) else { return refused() };
    match last(headers).filter(|_| asked.stepping) {
        Some(who) => second_factor(who, query),
        None => choice(query),
    }
}

/// `POST /authorize`: somebody was chosen in the form `body`, and goes back to the gate with a code.
pub(super) fn chosen(query: &str, gate: &str, body: &[u8], (issuer, codes): (&Issuer, &Codes), now: u64) -> Answer {
    let Some(asked) = Asked::read(query, gate) else { return refused() };
    let form = std::str::from_utf8(body).unwrap_or_default();
    let Some(who) = field(form, "persona").as_deref().and_then(persona) else {
        return web::answer(StatusCode::BAD_REQUEST, TEXT, "no such persona\n");
    };
    let shown = field(form, "factor").is_some_and(|factor| factor == "otp");
    if asked.stepping && !shown {
        return second_factor(who, query);
    }
    let Some(code) = random() else { return web::answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "no randomness\n") };
    let Asked { back, state, nonce, challenge, .. } = asked;
    let location = format!("{back}?{}", encode_form(&[("code", &code), ("state", &state), ("iss", issuer.url())]));
    codes.add(Grant { code, who, second_factor: shown, back, nonce, challenge, at: now });
    let mut answer = web::see_other(&location);
    remember(&mut answer, who.key, super::token::LIFETIME);
    answer
}

/// `POST /token`: a code and its verifier become an ID token.
pub(super) fn token(issuer: &Issuer, body: &[u8], codes: &Codes, now: u64) -> Answer {
    match redeemed(issuer, std::str::from_utf8(body).unwrap_or_default(), codes, now) {
        Ok(tokens) => web::json(StatusCode::OK, &tokens),
        Err(error) => web::json(StatusCode::BAD_REQUEST, &json!({ "error": error })),
    }
}

fn redeemed(issuer: &Issuer, form: &str, codes: &Codes, now: u64) -> Result<Value, &'static str> {
    let says = |name| field(form, name).unwrap_or_default();
    if says("grant_type") != "authorization_code" {
        return Err("unsupported_grant_type");
    }
    if says("client_id") != CLIENT {
        return Err("invalid_client");
    }
    let grant = codes.take(&says("code"), now).ok_or("invalid_grant")?;
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, says("code_verifier").as_bytes()));
    if grant.challenge != challenge || grant.back != says("redirect_uri") {
        return Err("invalid_grant");
    }
    let sign_in = SignIn { client: CLIENT, nonce: &grant.nonce, second_factor: grant.second_factor };
    let id_token = issuer.id_token(grant.who, &sign_in, now).map_err(|_| "server_error")?;
    // It opens nothing: the gate looks at the ID token alone.
    let access_token = random().ok_or("server_error")?;
    Ok(
        json!({ "token_type": "Bearer", "expires_in": CODE_LIFETIME, "access_token": access_token, "id_token": id_token }),
    )
}

/// `GET /end-session`: the provider forgets who was chosen, and sends the browser back to the gate.
pub(super) fn end_session(query: &str, gate: &str) -> Answer {
    let back = field(query, "post_logout_redirect_uri").filter(|back| *back == format!("{gate}/"));
    let mut answer = idp::signed_out(back.as_deref().unwrap_or("/"));
    remember(&mut answer, "", 0);
    answer
}

fn choice(query: &str) -> Answer {
    let action = format!("/authorize?{query}");
    let personas: String = PERSONAS.iter().map(|one| idp::card(one, &action, false)).collect();
    web::answer(StatusCode::OK, HTML, fill(include_str!("assets/login.html"), &[("personas", &personas)]))
}

fn second_factor(who: &Persona, query: &str) -> Answer {
    let action = format!("/authorize?{query}");
    let values = [("name", &*escape(who.name)), ("key", who.key), ("action", &*escape(&action))];
    web::answer(StatusCode::OK, HTML, fill(include_str!("assets/login_factor.html"), &values))
}

fn refused() -> Answer {
    web::answer(StatusCode::BAD_REQUEST, TEXT, "this provider signs people in for the demo's own gate alone\n")
}

fn last(headers: &HeaderMap) -> Option<&'static Persona> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == LAST).and_then(|(_, key)| persona(key))
}

fn remember(answer: &mut Answer, key: &str, seconds: u64) {
    let cookie = format!("{LAST}={key}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// 192 random bits as text.
fn random() -> Option<String> {
    let mut bytes = [0_u8; 24];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 4_000_000_000;
    const GATE: &str = "https://localhost:8443";
    const VERIFIER: &str = "a-verifier-that-nobody-else-knows";

    fn provider() -> (Issuer, Codes) {
        (Issuer::generate("https://localhost:1".to_owned()).unwrap(), Codes::default())
    }

    fn query(changed: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", "https://localhost:8443/.anteroom/callback"),
            ("scope", "openid"),
            ("state", "s-1"),
            ("nonce", "n-1"),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
        ];
        fields.retain(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        fields.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
        encode_form(&fields)
    }

    fn code_of(answer: &Answer) -> String {
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let location = answer.headers()["location"].to_str().unwrap();
        let (back, query) = location.split_once('?').unwrap();
        assert_eq!(
            (back, field(query, "state").as_deref()),
            ("https://localhost:8443/.anteroom/callback", Some("s-1"))
        );
        field(query, "code").unwrap()
    }

    fn form(code: &str, verifier: &str) -> String {
        encode_form(&[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("code", code),
            ("redirect_uri", "https://localhost:8443/.anteroom/callback"),
            ("code_verifier", verifier),
        ])
    }

    #[test]
    fn a_code_becomes_one_token_for_whoever_knows_the_verifier() {
        let (issuer, codes) = provider();
        let code = || code_of(&chosen(&query(&[]), GATE, b"persona=front_desk", (&issuer, &codes), NOW));
        let first = code();
        let tokens = redeemed(&issuer, &form(&first, VERIFIER), &codes, NOW).unwrap();
        assert_eq!(issuer.persona_of(tokens["id_token"].as_str().unwrap()).unwrap().key, "front_desk");
        assert_eq!(redeemed(&issuer, &form(&first, VERIFIER), &codes, NOW), Err("invalid_grant"), "once");
        let second = code();
        assert_eq!(redeemed(&issuer, &form(&second, "another"), &codes, NOW), Err("invalid_grant"));
        assert_eq!(redeemed(&issuer, &form(&second, VERIFIER), &codes, NOW), Err("invalid_grant"), "it was tried");
        let late = redeemed(&issuer, &form(&code(), VERIFIER), &codes, NOW + CODE_LIFETIME + 1);
        assert_eq!(late, Err("invalid_grant"));
        for _ in 0..2 * MAX_CODES {
            code();
        }
        assert_eq!(codes.waiting.lock().unwrap().len(), MAX_CODES);
    }

    #[test]
    fn a_code_goes_to_the_gate_alone() {
        let (issuer, codes) = provider();
        for changed in [
            ("redirect_uri", "https://localhost:8443.evil.example/.anteroom/callback"),
            ("redirect_uri", ""),
            ("client_id", "another"),
            ("response_type", "token"),
            ("scope", "email"),
            ("code_challenge_method", "plain"),
            ("code_challenge", ""),
            ("nonce", ""),
        ] {
            let query = query(&[changed]);
            assert_eq!(page(&query, GATE, &HeaderMap::new()).status(), StatusCode::BAD_REQUEST, "{changed:?}");
            let answer = chosen(&query, GATE, b"persona=admin", (&issuer, &codes), NOW);
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{changed:?}");
        }
        let nobody = chosen(&query(&[]), GATE, b"persona=root", (&issuer, &codes), NOW);
        assert_eq!(nobody.status(), StatusCode::BAD_REQUEST);
        assert_eq!(end_session("post_logout_redirect_uri=https://evil.example/", GATE).headers()["location"], "/");
    }

    #[test]
    fn a_second_factor_is_asked_for_where_the_gate_asks() {
        let (issuer, codes) = provider();
        let query = query(&[("max_age", "60")]);
        let asked = chosen(&query, GATE, b"persona=admin_password", (&issuer, &codes), NOW);
        assert_eq!(asked.status(), StatusCode::OK, "the page of the second factor");
        let shown = chosen(&query, GATE, b"persona=admin_password&factor=otp", (&issuer, &codes), NOW);
        let grant = codes.take(&code_of(&shown), NOW).unwrap();
        assert!(grant.second_factor && grant.who.key == "admin_password");
    }
}
