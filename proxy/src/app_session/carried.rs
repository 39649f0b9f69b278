//! The session cookies of a request.
//!
//! Decides which of them says whose the session is: the first of the configuration's list, alone. It never picks one of two that
//! share a name, nor a reading of a value that has several.

use super::{AppSessionFault, Held, is_clear};

/// The session cookies of one request, by their names in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(super) cookies: Vec<(String, Held)>,
    /// What was asked for.
    pub(super) path: Box<str>,
}

impl Carried {
    /// With the path of the request, as the browser knows it.
    pub(crate) fn to(self, path: &str) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Each name with what stands under it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.cookies.iter().map(|(name, held)| (name.as_str(), held))
    }

    /// The first of the list, which alone says whose the session is: any other could be added, changed or left out to make one
    /// session look like another. `None` where it is not there.
    ///
    /// # Errors
    /// Where one stands twice, or the first can be read in two ways.
    pub(super) fn first(&self) -> Result<Option<(&str, &str)>, AppSessionFault> {
        if self.iter().any(|(_, held)| *held == Held::Repeated) {
            return Err(AppSessionFault::Repeated);
        }
        let Some((name, Held::Once(value))) = self.iter().next() else { return Ok(None) };
        if is_clear(value) { Ok(Some((name, value))) } else { Err(AppSessionFault::Unclear) }
    }

    pub(super) fn once(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter_map(|(name, held)| match held {
            Held::Once(value) => Some((name, value.as_str())),
            Held::Absent | Held::Repeated => None,
        })
    }
}
