//! `app.sign_in`: the application's own page to sign in. As written, and compiled.
//!
//! Decides that people are sent to a page of this host that the policies open to everybody, and nowhere else.

use http::Uri;
use policy::{Policy, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use super::raw::RawConfig;
use crate::login::ReturnPath;
use crate::pipeline::{canonical, is_public};
use crate::sign_in_page::SignInPage;

/// The application's own page to sign in.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSignIn {
    /// Its path, and its query where that picks it: `/login`, `/index.php?view=login`. A policy makes it `public`.
    pub page: Spanned<String>,
    /// The parameter in which that page reads where the person wanted to go, as a path of this host: `next`. Left out: it is
    /// not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Spanned<String>>,
}

/// Compiles `app.sign_in`; where something is wrong, it is among the faults.
pub(super) fn compile(config: &RawConfig, policy: Option<&Policy>, faults: &mut Faulty<'_>) -> Option<SignInPage> {
    let raw = config.app.sign_in.as_ref()?;
    let page = page(&raw.page, faults);
    if let (Some(page), Some(policy)) = (&page, policy)
        && !is_public(policy, page)
    {
        let message = format!("no policy opens `{}` to everybody", raw.page.value);
        faults.at(
            raw.page.span,
            "sign-in",
            message,
            "whoever is not signed in has to see it: `methods: { GET: public }`",
        );
    }
    let back = match &raw.back {
        Some(written) => Some(parameter(written, faults)?),
        None => None,
    };
    Some(SignInPage::new(page?, back))
}

/// A path with its query in its plain form, without what has a meaning in HTML.
fn page(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<ReturnPath> {
    let text = written.value.as_str();
    let plain = |uri: &Uri| canonical::target(uri).is_ok_and(|(path, _)| path == uri.path());
    let is_plain = text.parse::<Uri>().is_ok_and(|uri| plain(&uri)) && !text.contains(['"', '\'', '<', '>']);
    let page = ReturnPath::parse(text).ok().filter(|_| is_plain);
    if page.is_none() {
        let message = format!("`{text}` is no path of the application in its plain form");
        faults.at(written.span, "sign-in", message, "write it as `/login`");
    }
    page
}

fn parameter(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<String> {
    let name = &written.value;
    if (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Some(name.clone());
    }
    faults.at(written.span, "sign-in", format!("`{name}` is no name of a parameter"), "write it as `next`");
    None
}
