//! The way to the provider (OpenID Connect Core 1.0, section 3.1.2.1).
//!
//! Decides what the provider is asked. The address is the configured one; nothing of a request becomes a part of it but the
//! host, which is one of ours.

use http::HeaderValue;

use super::attempt::{self, Ask, Attempt, KEPT, Purpose};
use super::fault::LoginFault;
use super::return_path::ReturnPath;
use super::{Asks, CALLBACK, Login, Prompt, cookies};
use crate::outbound::encode_form;

/// A sign-in that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub location: HeaderValue,
    /// What it has to bring back.
    pub cookie: HeaderValue,
}

impl Login {
    /// Begins a sign-in on `host` (one of ours, with its port) that leads back to `back`.
    ///
    /// # Errors
    /// [`LoginFault::Down`] where nobody knows the way.
    pub fn begin(&self, host: &str, back: ReturnPath, ask: &Ask, asks: &Asks<'_>) -> Result<Begun, LoginFault> {
        let address = self.authorize(asks)?;
        self.begin_at(&address, host, back, ask, asks).ok_or(LoginFault::Down("no randomness"))
    }

    fn begin_at(&self, address: &str, host: &str, back: ReturnPath, ask: &Ask, asks: &Asks<'_>) -> Option<Begun> {
        let [lot] = attempt::drawn()?;
        let (place, order) = attempt::place(&attempt::of_browser(self, asks.headers), lot.into());
        let attempt = Attempt { order, ..Attempt::new(host, back, ask, asks.now.unix_seconds())? };
        let name = self.names().attempts.get(place)?;
        let text = self.seal(Purpose::Attempt, &serde_json::to_vec(&attempt).ok()?)?;
        let settings = &self.settings;
        let (back, challenge) = (callback(host), attempt.challenge());
        // Who is asked for an age has to tell the time of the sign-in (OpenID Connect Core 1.0, section 2).
        let age = if ask.again { Some(0) } else { ask.max_age }.map(|age| age.to_string());
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", &back),
            ("scope", &settings.scopes),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let prompt = if ask.again { Some(Prompt::Login) } else { settings.prompt };
        fields.extend(prompt.map(|prompt| ("prompt", prompt.as_str())));
        fields.extend(ask.contexts.as_ref().map(|(field, says)| (*field, says.as_str())));
        fields.extend(age.as_deref().map(|age| ("max_age", age)));
        let location = HeaderValue::try_from(with_query(address, &fields)).ok()?;
        Some(Begun { location, cookie: cookies::set(name, &text, KEPT)? })
    }
}

/// Where the provider sends browsers back to, on `host`.
pub(super) fn callback(host: &str) -> String {
    format!("https://{host}{CALLBACK}")
}

/// An address with more fields in its query.
pub(super) fn with_query(address: &str, fields: &[(&str, &str)]) -> String {
    let sign = if address.contains('?') { '&' } else { '?' };
    format!("{address}{sign}{}", encode_form(fields))
}
