//! The development identity provider's pages: discovery, the key set, and signing a browser in and out by cookie.
//!
//! Signing in is choosing a persona; there is no password, since everybody here is invented. It never hands a token
//! to another site: [`super::console`] has checked who asks.

use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use super::personas::{Persona, persona};
use super::token::{Issuer, LIFETIME};
use super::web::{self, Answer, escape, fill};

/// The cookie that the gate reads. Cookies ignore ports (RFC 6265, 8.5), so that one set here reaches the gate on
/// the same host.
pub(super) const COOKIE: &str = "__session";

/// Takes back the cookie of the gate's own sign-in (`login.cookie` in the configuration).
const NO_LOGIN: &str = "__Host-anteroom=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax";

/// Signs the persona named in the form `body` in, and goes back to the page.
pub(super) fn sign_in(issuer: &Issuer, body: &[u8], now: u64) -> Answer {
    let chosen = std::str::from_utf8(body).ok().and_then(|form| web::field(form, "persona"));
    let Some(chosen) = chosen.as_deref().and_then(persona) else {
        return web::answer(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", "no such persona\n");
    };
    match issuer.token(chosen, now) {
        Ok(token) => with_cookie("/", &token, LIFETIME),
        Err(fault) => web::answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", format!("{fault}\n")),
    }
}

/// Signs the browser out, and goes back to the page.
pub(super) fn sign_out() -> Answer {
    signed_out("/")
}

/// Signs the browser out, and sends it to `location`.
pub(super) fn signed_out(location: &str) -> Answer {
    with_cookie(location, "", 0)
}

/// One persona: a form of its own, so that choosing works without any script.
pub(super) fn card(one: &Persona, action: &str, chosen: bool) -> String {
    fill(
        include_str!("assets/console_persona.html"),
        &[
            ("action", &escape(action)),
            ("key", one.key),
            ("initials", one.initials),
            ("name", &escape(one.name)),
            ("role", &escape(&one.role())),
            ("clinic", one.clinic()),
            ("can", &escape(one.can)),
            ("pressed", if chosen { "true" } else { "false" }),
        ],
    )
}

/// Who the browser that sent these headers is signed in as.
pub(super) fn signed_in(issuer: &Issuer, headers: &HeaderMap) -> Option<&'static Persona> {
    let cookies = headers.get_all(http::header::COOKIE);
    let pairs = cookies.iter().filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(';'));
    let token = pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE)?.1;
    issuer.persona_of(token)
}

/// Sets the cookie, and takes back that of a sign-in by the gate, which counts before it.
fn with_cookie(location: &str, value: &str, seconds: u64) -> Answer {
    let mut answer = web::see_other(location);
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer.headers_mut().append(SET_COOKIE, HeaderValue::from_static(NO_LOGIN));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 4_000_000_000;

    #[test]
    fn a_chosen_persona_comes_back_by_cookie() {
        let issuer = Issuer::generate("https://localhost:1".to_owned()).unwrap();
        let answer = sign_in(&issuer, b"persona=front_desk", NOW);
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; Path=/; Max-Age=28800; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
        let mut headers = HeaderMap::new();
        let sent = format!("OHSESSID=visit-1; {}", cookie.split(';').next().unwrap());
        headers.insert(http::header::COOKIE, sent.parse().unwrap());
        assert_eq!(signed_in(&issuer, &headers).unwrap().key, "front_desk");
    }

    #[test]
    fn nobody_signs_in_as_nobody() {
        let issuer = Issuer::generate("https://localhost:1".to_owned()).unwrap();
        for body in [&b""[..], b"persona=", b"persona=root", b"\xff\xfe"] {
            assert_eq!(sign_in(&issuer, body, NOW).status(), StatusCode::BAD_REQUEST);
        }
        assert!(signed_in(&issuer, &HeaderMap::new()).is_none());
        assert!(sign_out().headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    }
}
