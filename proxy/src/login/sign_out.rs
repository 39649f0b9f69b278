//! Signing out, of the gate and then at the provider (OpenID Connect RP-Initiated Logout 1.0, section 2).
//!
//! Decides where the browser goes next, and what the provider is told there. Some providers want to be shown the person's ID
//! token: where one is wanted, it is kept by the browser, sealed, in a cookie of its own, and shown to nobody else. The session
//! itself is ended elsewhere (`pipeline/own.rs`): it lasts in whatever copy of its cookie there is, until its end or until its
//! name ([`Session::id`]) is revoked.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use super::attempt::Purpose;
use super::{Login, Session, begin, cookies};
use crate::authn::MetadataStore;

/// Where browsers are sent to sign out at the provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum EndSession {
    /// Where its metadata says, if it says so.
    #[default]
    Told,
    /// To this address.
    At(String),
    /// Nowhere: the gate's session ends, and the provider's goes on.
    Nowhere,
}

/// Who signs out.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// The host of the request, one of ours.
    pub host: &'a str,
    /// The path on it that the person comes to at last.
    pub after: &'a str,
    /// The name of the session that ends.
    pub session: Option<&'a str>,
    /// The cookies of the browser.
    pub headers: &'a HeaderMap,
    /// What the provider says about itself, where that is asked.
    pub metadata: Option<&'a MetadataStore>,
    /// The time, monotone.
    pub now: Duration,
}

/// How a person is signed out.
#[derive(Clone, Debug)]
pub struct Logout {
    /// `Set-Cookie`s that take all of ours back.
    pub cookies: Vec<HeaderValue>,
    /// Where the browser goes next.
    pub location: String,
    /// Whether the provider wants to be shown an ID token, and the browser has none of this session.
    pub lacks_hint: bool,
}

/// An ID token, as it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The session's name: it signs out nobody else.
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "t")]
    token: String,
}

impl Login {
    /// What signs a person out: the cookies taken back, and the way by the provider's own sign-out, where it has one.
    pub fn logout(&self, leaving: &Leaving<'_>) -> Logout {
        let cookies = self.names().all().filter_map(cookies::clear).collect();
        let Some(address) = self.end_session(leaving) else {
            return Logout { cookies, location: leaving.after.to_owned(), lacks_hint: false };
        };
        let how = self.settings.sign_out;
        let back = format!("https://{}{}", leaving.host, leaving.after);
        let hint = if how.hint { self.kept_id_token(leaving) } else { None };
        let mut fields = vec![("client_id", &*self.settings.client_id), (how.back, &back)];
        fields.extend(hint.as_deref().map(|hint| ("id_token_hint", hint)));
        let location = begin::with_query(&address, &fields);
        Logout { cookies, location, lacks_hint: how.hint && hint.is_none() }
    }

    fn end_session(&self, leaving: &Leaving<'_>) -> Option<String> {
        match &self.settings.endpoints.end_session {
            EndSession::Told => leaving.metadata?.current(leaving.now)?.end_session_endpoint.clone(),
            EndSession::At(address) => Some(address.clone()),
            EndSession::Nowhere => None,
        }
    }

    /// The cookie of the ID token that a session was made of, at `now` in Unix seconds; `None` where none is wanted. One that
    /// does not fit is not kept, and none of before either.
    pub(super) fn keep_id_token(&self, session: &Session, token: Option<&str>, now: u64) -> Option<HeaderValue> {
        if !self.settings.sign_out.hint || self.settings.endpoints.end_session == EndSession::Nowhere {
            return None;
        }
        let name = &self.names().id_token;
        let kept = token.and_then(|token| {
            let plain = serde_json::to_vec(&Kept { id: session.id.clone(), token: token.to_owned() }).ok()?;
            cookies::set(name, &self.seal(Purpose::IdToken, &plain)?, session.ends.saturating_sub(now))
        });
        kept.or_else(|| cookies::clear(name))
    }

    fn kept_id_token(&self, leaving: &Leaving<'_>) -> Option<String> {
        let text = cookies::find(leaving.headers, &self.names().id_token).ok()??;
        let kept: Kept = serde_json::from_slice(&self.open(Purpose::IdToken, text)?).ok()?;
        (leaving.session == Some(&*kept.id)).then_some(kept.token)
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;
    use crate::authn::{Preset, SignOut};
    use crate::login::LoginSettings;
    use crate::login::tests::{session, settings};

    fn leaving(headers: &HeaderMap) -> Leaving<'_> {
        let host = "clinic.example:8443";
        Leaving { host, after: "/bye", session: Some("ours"), headers, metadata: None, now: Duration::ZERO }
    }

    fn login(change: impl FnOnce(&mut LoginSettings)) -> Login {
        let mut settings = settings();
        change(&mut settings);
        Login::new(settings)
    }

    /// What a browser sends that was given this cookie.
    fn shown(line: &HeaderValue) -> HeaderMap {
        let pair = line.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(pair).unwrap())])
    }

    #[test]
    fn signing_out_takes_all_back_and_goes_by_the_provider() {
        let back = "https%3A%2F%2Fclinic.example%3A8443%2Fbye";
        for (preset, query) in [
            (Preset::Auth0, "post_logout_redirect_uri"),
            (Preset::Clerk, "post_logout_redirect_uri"),
            (Preset::Cognito, "logout_uri"),
            (Preset::Entra, "post_logout_redirect_uri"),
            (Preset::Firebase, "post_logout_redirect_uri"),
            (Preset::Keycloak, "post_logout_redirect_uri"),
            (Preset::Okta, "post_logout_redirect_uri"),
            (Preset::Supabase, "post_logout_redirect_uri"),
            (Preset::Generic, "post_logout_redirect_uri"),
        ] {
            let login = login(|settings| settings.sign_out = preset.profile().sign_out);
            let out = login.logout(&leaving(&HeaderMap::new()));
            assert_eq!(out.location, format!("https://issuer.example/end?client_id=web&{query}={back}"), "{preset:?}");
            assert_eq!(out.cookies.len(), login.names().all().count());
            assert!(out.cookies.iter().all(|line| line.to_str().unwrap().ends_with("; Max-Age=0")));
            assert_eq!(out.lacks_hint, preset == Preset::Okta, "{preset:?}");
        }
    }

    #[test]
    fn signing_out_ends_here_where_the_provider_has_no_place_for_it() {
        for nowhere in [EndSession::Nowhere, EndSession::Told] {
            let login = login(|settings| {
                settings.sign_out = SignOut { hint: true, ..SignOut::STANDARD };
                settings.endpoints.end_session = nowhere;
            });
            let out = login.logout(&leaving(&HeaderMap::new()));
            assert_eq!((&*out.location, out.lacks_hint), ("/bye", false));
        }
    }

    #[test]
    fn the_id_token_is_kept_sealed_for_the_session_that_it_made() {
        let login = login(|settings| settings.sign_out = Preset::Okta.profile().sign_out);
        let line = login.keep_id_token(&session(), Some("head.ada.sign"), 100).unwrap();
        assert!(line.to_str().unwrap().ends_with("Max-Age=100") && !line.to_str().unwrap().contains("ada"));
        let headers = shown(&line);
        let out = login.logout(&leaving(&headers));
        assert!(out.location.ends_with("%2Fbye&id_token_hint=head.ada.sign"), "{}", out.location);
        assert!(!out.lacks_hint);
        let of_another = login.logout(&Leaving { session: Some("another"), ..leaving(&headers) });
        assert!(of_another.lacks_hint && !of_another.location.contains("id_token_hint"));
        // A session's cookie in its place is none.
        let session_line = login.cookie(&session(), 100).unwrap();
        let moved = session_line.to_str().unwrap().replacen("__Host-a=", "__Host-a-id-token=", 1);
        let moved = shown(&HeaderValue::try_from(moved).unwrap());
        assert!(login.logout(&leaving(&moved)).lacks_hint);
    }

    #[test]
    fn one_that_is_too_long_is_not_kept_nor_one_that_nobody_asks_for() {
        let okta = login(|settings| settings.sign_out = Preset::Okta.profile().sign_out);
        for none in [None, Some("x".repeat(3_000))] {
            let line = okta.keep_id_token(&session(), none.as_deref(), 100).unwrap();
            assert_eq!(Some(line), cookies::clear("__Host-a-id-token"));
        }
        assert!(okta.keep_id_token(&session(), Some(&"x".repeat(2_800)), 100).unwrap().len() > 3_000);
        assert_eq!(login(|_| ()).keep_id_token(&session(), Some("a.b.c"), 100), None);
        let alone = login(|settings| {
            settings.sign_out = Preset::Okta.profile().sign_out;
            settings.endpoints.end_session = EndSession::Nowhere;
        });
        assert_eq!(alone.keep_id_token(&session(), Some("a.b.c"), 100), None);
    }
}
