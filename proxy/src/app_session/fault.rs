//! Why the application's session stands in the way of a request.

use std::fmt;

/// Why a session cookie of the application is not taken. `Display` is for the log and holds nothing of the cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppSessionFault {
    /// Two cookies of one name: which one counts differs between readers.
    Repeated,
    /// Its value means one thing to some readers and another to others.
    Unclear,
    /// It belongs to somebody else than the credential beside it.
    Foreign,
    /// The application was asked whose it is, and gave no answer that can be read.
    Unvouched(&'static str),
}

impl fmt::Display for AppSessionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppSessionFault::Repeated => f.write_str("the application's session cookie stands twice"),
            AppSessionFault::Unclear => f.write_str("the application's session cookie can be read in two ways"),
            AppSessionFault::Foreign => f.write_str("the application's session cookie belongs to somebody else"),
            AppSessionFault::Unvouched(why) => write!(f, "whoami: {why}"),
        }
    }
}
