//! The application's own page to sign in, and the addresses by which people are sent there.
//!
//! Decides nothing about who is sent: that stands in `pipeline/sign_in.rs`. An address is always one of this very host.

use crate::login::ReturnPath;
use crate::login::cookies::Names;
use crate::outbound::encode_form;

/// What the names of the gate's own cookies begin with where it makes no sessions.
const COOKIES: &str = "__Host-anteroom";

/// Where the application signs people in.
#[derive(Debug)]
pub struct SignInPage {
    target: ReturnPath,
    back: Option<String>,
    names: Names,
}

impl SignInPage {
    /// A page at this address, which reads in its parameter `back` where a person wanted to go.
    pub(crate) fn new(target: ReturnPath, back: Option<String>) -> Self {
        Self { target, back, names: Names::of(COOKIES) }
    }

    /// Its path and query.
    pub(crate) fn target(&self) -> &ReturnPath {
        &self.target
    }

    /// The names of the cookies that are the gate's own.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The address that leads back to `to` from there.
    pub(crate) fn leading_to(&self, to: &ReturnPath) -> String {
        let target = self.target.as_str();
        match &self.back {
            Some(name) if *to != ReturnPath::root() => {
                let sign = if target.contains('?') { '&' } else { '?' };
                format!("{target}{sign}{}", encode_form(&[(name, to.as_str())]))
            }
            Some(_) | None => target.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_one_value_of_one_parameter() {
        let path = |text: &str| ReturnPath::parse(text).unwrap();
        let page = |target: &str, back: Option<&str>| SignInPage::new(path(target), back.map(str::to_owned));
        let to = path("/records?a=b&next=//evil.example");
        let next = page("/login", Some("next"));
        assert_eq!(next.leading_to(&to), "/login?next=%2Frecords%3Fa%3Db%26next%3D%2F%2Fevil.example");
        assert_eq!(next.leading_to(&ReturnPath::root()), "/login");
        let joomla = page("/index.php?view=login", Some("return"));
        assert_eq!(joomla.leading_to(&path("/a")), "/index.php?view=login&return=%2Fa");
        assert_eq!(page("/login", None).leading_to(&to), "/login");
    }
}
