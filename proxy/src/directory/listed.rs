//! A directory that was read from a file.
//!
//! It finds and does not judge: what is in it was checked when the file was read.

use std::collections::HashMap;

use policy::{Bindings, Principal};

use super::{Said, Told};

/// Subjects with their bindings, by the name of their provider. As large as its file allows, which is 1 MiB.
#[derive(Debug, Default)]
pub struct Listed {
    providers: HashMap<String, HashMap<String, Bindings>>,
}

impl Listed {
    /// Adds one subject of a provider; the one of the same name before it goes.
    pub(crate) fn add(&mut self, provider: &str, subject: &str, bindings: Bindings) {
        self.providers.entry(provider.to_owned()).or_default().insert(subject.to_owned(), bindings);
    }

    /// What is listed of a subject of a provider, byte for byte.
    pub fn find(&self, provider: &str, subject: &str) -> Option<&Bindings> {
        self.providers.get(provider)?.get(subject)
    }

    /// What is said of a caller, as long as this file is the one.
    pub(super) fn told(&self, principal: &Principal) -> Told {
        let said = match self.find(&principal.provider, &principal.subject) {
            Some(bindings) => Said::Listed(bindings.clone()),
            None => Said::Unlisted,
        };
        Told { said, holds: None }
    }

    /// How many subjects there are.
    pub fn subjects(&self) -> usize {
        self.providers.values().map(HashMap::len).sum()
    }
}
