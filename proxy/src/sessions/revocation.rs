//! What is revoked: over the control socket, by the file of revocations, by a provider, and with a credential that has no session.
//!
//! Decides what each is kept under, and whether a name stands for anything here. What then ends is for [`ends`](super::ends) to
//! say.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use policy::Principal;

use super::ends::{End, Full, LoggedOut};
use super::key::{Key, Kind};
use super::life::{CLOCK_S, UNENDING_S};
use super::name::Name;
use super::{EndedBy, Sessions};

/// What was revoked by hand or by a file, before its names become digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What it is about.
    pub what: What,
    /// Which sign-ins, and for how long.
    pub end: End,
}

/// What a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// What goes by a name at an issuer.
    Named {
        /// What that is.
        kind: Kind,
        /// The issuer (`iss`).
        issuer: String,
        /// The name of the session, the subject or the credential there.
        name: String,
    },
    /// A session by its name in the record.
    Recorded(Name),
}

impl Revocation {
    /// Of what goes by `name` at `issuer`.
    pub fn named(kind: Kind, issuer: &str, name: String, end: End) -> Self {
        Self { what: What::Named { kind, issuer: issuer.to_owned(), name }, end }
    }
}

/// Why something was not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRevoked {
    /// There is no room for one more.
    Full,
    /// No session goes by this name here.
    Unknown,
}

impl From<Full> for NotRevoked {
    fn from(_: Full) -> Self {
        NotRevoked::Full
    }
}

impl Sessions {
    /// Revokes by name, at once for everybody: remembered tokens, open streams, every worker.
    ///
    /// # Errors
    /// Where there is no room for one more, or nothing goes by that name.
    pub(crate) fn revoke(&self, revocation: &Revocation, now: u64, by: EndedBy) -> Result<(), NotRevoked> {
        self.also_revoke(revocation, now, by)?;
        self.count(by);
        Ok(())
    }

    /// Revokes by name what belongs to something that was ended and counted already.
    ///
    /// # Errors
    /// As [`revoke`](Self::revoke).
    pub(crate) fn also_revoke(&self, revocation: &Revocation, now: u64, by: EndedBy) -> Result<(), NotRevoked> {
        let key = self.digest(&revocation.what).ok_or(NotRevoked::Unknown)?;
        self.ends.say(key, revocation.end, now, by)?;
        self.news.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Ends the credential of a caller that names no session, until it has expired; where the caller has ended too many of them,
    /// with all that the caller has so.
    ///
    /// # Errors
    /// Where there is no room for one more.
    pub(crate) fn log_out(&self, caller: &Principal, credential: &str, now: u64) -> Result<(), Full> {
        let sign_in = &caller.sign_in;
        let expires = sign_in.expires.unwrap_or(now.saturating_add(UNENDING_S));
        let ended = LoggedOut {
            credential: self.digester.key(Kind::Credential, &caller.issuer, credential),
            nameless: self.digester.key(Kind::Nameless, &caller.issuer, &caller.subject),
            at: sign_in.at.map_or(now, |at| at.max(now)),
            until: expires.saturating_add(caller.factors.leeway_s).saturating_add(CLOCK_S),
        };
        self.ends.log_out(ended, now)?;
        self.count(EndedBy::Logout);
        Ok(())
    }

    /// What it is kept under; `None`: no session goes by this name here.
    fn digest(&self, what: &What) -> Option<Key> {
        match what {
            What::Named { kind, issuer, name } => Some(self.digester.key(*kind, issuer, name)),
            What::Recorded(name) => self.digester.named(name),
        }
    }

    /// The file of revocations says these, and no others.
    pub(crate) fn file(&self, revocations: &[Revocation]) {
        let known: Vec<_> = revocations.iter().filter_map(|one| Some((self.digest(&one.what)?, one.end))).collect();
        let unknown = revocations.len().saturating_sub(known.len());
        self.ends.file(known);
        self.news.fetch_add(1, Ordering::AcqRel);
        if self.unknown.swap(unknown, Ordering::Relaxed) != unknown && unknown > 0 {
            // A list for many gates may well name sessions of the others.
            tracing::warn!(
                target: "anteroom",
                count = unknown,
                "the file of revocations names sessions as a gate with another key calls them: none of these ends here"
            );
        }
    }

    /// From now on this is the file of revocations, and this is what it says.
    pub(crate) fn follow(&self, file: Option<(PathBuf, Vec<Revocation>)>) {
        match file {
            // Whoever looks at it has seen what is newer than that, or will.
            Some((path, _)) if self.revoked.load().as_deref() == Some(&path) => {}
            Some((path, list)) => {
                self.revoked.store(Some(Arc::new(path)));
                self.file(&list);
            }
            None => {
                self.revoked.store(None);
                self.file(&[]);
            }
        }
    }

    pub(super) fn revoked_file(&self) -> Option<Arc<PathBuf>> {
        self.revoked.load_full()
    }
}

#[cfg(test)]
mod tests {
    use policy::{Bindings, Factors, SignIn};

    use super::super::life::Fault;
    use super::*;

    #[test]
    fn the_end_of_a_credential_is_kept_until_it_has_expired_and_no_longer() {
        let sessions = Sessions::new(&[7; 32], None);
        let sign_in = SignIn { credential: Some("t-1".into()), expires: Some(5_000), ..SignIn::default() };
        let ada = Principal {
            issuer: "https://idp.example/".into(),
            provider: "clinic".into(),
            subject: "ada.example".into(),
            client: None,
            bindings: Bindings::none(),
            claims: Default::default(),
            factors: Factors { leeway_s: 60, ..Factors::default() },
            sign_in,
        };
        sessions.log_out(&ada, "t-1", 1_000).unwrap();
        let stands = |now| sessions.stands(sessions.others_of(&ada).into_iter(), (None, None), now);
        // The clock may be set back once the end is forgotten, and the leeway raised by a reload.
        sessions.prune(5_060);
        assert_eq!(stands(5_059), Err(Fault::Revoked));
        sessions.prune(5_060 + CLOCK_S);
        assert_eq!(sessions.counts().revocations, 0);
    }
}
