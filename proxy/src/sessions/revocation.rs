//! What is revoked: over the control socket, by the file of revocations, by a provider, and with a credential that has no session.
//!
//! Decides what each is kept under, and whether a name stands for anything here. What then ends is for [`ends`](super::ends) to
//! say.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ends::{End, Full};
use super::key::{Key, Kind};
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
