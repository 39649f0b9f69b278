//! The provider's token endpoint (RFC 6749, section 3.2): where codes and refresh tokens become tokens.
//!
//! Decides whether it refused or could not be asked. What it says of a person is believed nowhere before it is verified, and
//! nothing of its own words reaches the log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::fault::LoginFault;
use super::renew::RefreshToken;
use super::{ClientAuth, Login};
use crate::outbound::{self, Endpoint, encode};

/// The largest answer, in bytes.
const LARGEST: usize = 64 * 1024;

/// Where it is, and how a client shows its secret there.
#[derive(Clone, Debug)]
pub(super) struct TokenEndpoint {
    pub address: Endpoint,
    pub auth: ClientAuth,
}

/// What a token endpoint says.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub id_token: Option<String>,
    pub access_token: Option<String>,
    pub refresh_token: Option<RefreshToken>,
}

/// What it says instead.
#[derive(Deserialize)]
struct TokenError {
    error: String,
}

impl Login {
    /// Asks the token endpoint. A client with a secret shows it as RFC 6749 (2.3.1) says, one without names itself.
    pub(super) async fn tokens(&self, at: &TokenEndpoint, grant: &[(&str, &str)]) -> Result<Tokens, LoginFault> {
        let settings = &self.settings;
        let mut fields = grant.to_vec();
        let authorization = match settings.client_secret.as_ref().map(|secret| (secret, at.auth)) {
            Some((secret, ClientAuth::Basic)) => {
                let pair = format!("{}:{}", encode(&settings.client_id), encode(&secret.0));
                let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
                Some(value.map_err(|_| LoginFault::NoExchange("the secret fits no header"))?)
            }
            shown => {
                fields.push(("client_id", &settings.client_id));
                // One way alone (RFC 6749, 2.3): a provider refuses two.
                fields.extend(shown.map(|(secret, _)| ("client_secret", &*secret.0)));
                None
            }
        };
        let reply = at.address.post_form(&fields, authorization, LARGEST).await.map_err(down)?;
        match reply.status {
            StatusCode::OK => serde_json::from_slice(&reply.body)
                .map_err(|_| LoginFault::NoExchange("the answer is not what RFC 6749 says")),
            // RFC 6749, 5.2: a refusal is a 400, or a 401 where the client is not believed; the rest is a provider in trouble.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Err(LoginFault::NoExchange(told(&reply.body))),
            _ => Err(LoginFault::Down("the token endpoint fails")),
        }
    }
}

/// The errors of RFC 6749 (5.2), by their own names; no other text of the provider reaches the log.
fn told(body: &Bytes) -> &'static str {
    let named = serde_json::from_slice::<TokenError>(body).map(|told| told.error);
    match named.as_deref() {
        Ok("invalid_request") => "invalid_request",
        Ok("invalid_client") => "invalid_client",
        Ok("invalid_grant") => "invalid_grant",
        Ok("unauthorized_client") => "unauthorized_client",
        Ok("unsupported_grant_type") => "unsupported_grant_type",
        Ok("invalid_scope") => "invalid_scope",
        Ok(_) | Err(_) => "the token endpoint refuses",
    }
}

fn down(fault: outbound::Fault) -> LoginFault {
    LoginFault::Down(match fault {
        outbound::Fault::Resolve => "its name has no address",
        outbound::Fault::Unlisted => "its address is not public, and `private` does not list it",
        outbound::Fault::Connect => "it cannot be reached",
        outbound::Fault::Tls => "no trusted TLS connection",
        outbound::Fault::Timeout => "it took too long",
        outbound::Fault::Http => "its answer is not HTTP/1.1 or broke off",
        outbound::Fault::Redirect(_) => "it answered with a redirect",
        outbound::Fault::Status(_) => "it answered with another status",
        outbound::Fault::Encoded => "its answer is compressed",
        outbound::Fault::TooLarge(_) => "its answer is too large",
    })
}
