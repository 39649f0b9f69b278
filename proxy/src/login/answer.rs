//! What the provider sends the browser back with (RFC 6749, section 4.1.2).
//!
//! Decides whether it can be read in one way only, and reads it. Whose it is, and what it is worth, is decided elsewhere.

use super::fault::LoginFault;
use crate::pipeline::canonical::form_decoded;

/// The longest value in an answer, in bytes.
const LONGEST: usize = 4_096;

/// What the provider sent the browser back with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    pub(super) code: Option<String>,
    pub(super) state: Option<String>,
    pub(super) iss: Option<String>,
    pub(super) error: Option<String>,
}

impl Answer {
    /// Reads the query of the request that it came with.
    ///
    /// # Errors
    /// [`LoginFault::Answer`] where what counts stands there twice, is no text or too long.
    pub fn read(query: &str) -> Result<Self, LoginFault> {
        let mut answer = Self::default();
        for (name, value) in query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            let place = match form_decoded(name).as_deref() {
                Some("code") => &mut answer.code,
                Some("state") => &mut answer.state,
                Some("iss") => &mut answer.iss,
                Some("error") => &mut answer.error,
                Some(_) => continue,
                None => return Err(LoginFault::Answer("a name is no text")),
            };
            let value = form_decoded(value).filter(|value| value.len() <= LONGEST);
            if place.replace(value.ok_or(LoginFault::Answer("a value is no text or too long"))?).is_some() {
                return Err(LoginFault::Answer("something stands there twice"));
            }
        }
        Ok(answer)
    }
}
