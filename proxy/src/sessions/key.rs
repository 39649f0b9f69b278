//! Under which name a session, a subject or a credential is kept: a keyed digest, never the name itself.
//!
//! 128 bits of HMAC-SHA-256 under a key of this process, or of its state directory. Whoever does not have the key can neither
//! tell whose digest one is nor find two names that share one.

use aws_lc_rs::hmac;

/// A keyed digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(super) [u8; 16]);

/// What a digest stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session of an issuer.
    Session,
    /// A person or machine of an issuer.
    Subject,
    /// One credential of an issuer (`jti`).
    Credential,
    /// What a person or machine of an issuer has of credentials that name no session.
    Nameless,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Kind::Session => b's',
            Kind::Subject => b'u',
            Kind::Credential => b't',
            Kind::Nameless => b'n',
        }
    }
}

/// Makes the digests.
#[derive(Debug)]
pub struct Digester {
    secret: hmac::Key,
    /// What tells this secret from others, and nothing of it.
    pub(super) mark: [u8; 4],
}

impl Digester {
    /// Under this secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut mark = [0; 4];
        // Shorter than any other text that is digested.
        mark.iter_mut().zip(hmac::sign(&secret, b"mark").as_ref()).for_each(|(to, from)| *to = *from);
        Self { secret, mark }
    }

    /// The digest of a name at an issuer.
    pub fn key(&self, kind: Kind, issuer: &str, name: &str) -> Key {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(&[kind.byte()]);
        // The length goes first, so that no two pairs make one text.
        context.update(&(issuer.len() as u64).to_be_bytes());
        context.update(issuer.as_bytes());
        context.update(name.as_bytes());
        let mut key = [0; 16];
        key.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Key(key)
    }

    /// Eight bytes that only the holder of the secret can make of `text` behind what has the seal `before`.
    pub(super) fn seal(&self, before: [u8; 8], text: &[u8]) -> [u8; 8] {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(b"seal");
        context.update(&before);
        context.update(text);
        let mut seal = [0; 8];
        seal.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        seal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_one_kind_one_issuer_one_name_and_one_secret() {
        let one = Digester::new(&[1; 32]);
        let key = one.key(Kind::Session, "https://a.example/", "s-1");
        assert_eq!(key, one.key(Kind::Session, "https://a.example/", "s-1"));
        for other in [
            one.key(Kind::Subject, "https://a.example/", "s-1"),
            one.key(Kind::Credential, "https://a.example/", "s-1"),
            one.key(Kind::Nameless, "https://a.example/", "s-1"),
            one.key(Kind::Session, "https://a.example", "/s-1"),
            one.key(Kind::Session, "https://a.example/", "s-2"),
            Digester::new(&[2; 32]).key(Kind::Session, "https://a.example/", "s-1"),
        ] {
            assert_ne!(key, other);
        }
    }
}
