//! What `login` reads of ID tokens.
//!
//! Decides whether such a provider signs people in for the gate at all, and warns of what its ID tokens never say. What they do
//! say is judged elsewhere (`login/exchange.rs`).

use std::collections::BTreeSet;

use policy::Diagnostic;

use super::login::RawLogin;
use super::raw::RawProvider;
use crate::authn::IdTokens;
use crate::config::compile::Faulty;

/// What says who may what, and is not read where a directory alone says it.
const BINDING: [&str; 3] = ["tenant", "roles", "bindings"];

pub(super) fn check(raw: &RawLogin, provider: &RawProvider, bound_elsewhere: bool, faults: &mut Faulty<'_>) {
    let profile = provider.preset.profile();
    let lacks = match profile.id_tokens {
        IdTokens::Of { lacks, .. } => lacks,
        IdTokens::Nowhere(hint) => {
            let message = format!("{} has no place where people could sign in for the gate", profile.title);
            faults.at(raw.client_id.span, "login", message, hint);
            return;
        }
    };
    for (name, path) in &provider.claims {
        // A login's session has a name of the gate's own.
        let is_read = name != "session" && !(bound_elsewhere && BINDING.contains(&name.as_str()));
        if is_read && lacks.contains(&&*top(&path.value)) {
            let title = profile.title;
            let message =
                format!("ID tokens of {title} never have `{}`: who signs in here has no `{name}`", path.value);
            let help = "see what they have on the providers page of the manual";
            faults.found.push(Diagnostic::warning("login", path.span, message).help(help));
        }
    }
}

/// The names at the top of a token that the configuration reads.
pub(super) fn mapped(provider: &RawProvider) -> BTreeSet<String> {
    provider.claims.values().map(|path| top(&path.value)).collect()
}

/// The name at the top of a token where a claim stands or begins.
fn top(path: &str) -> String {
    match path.strip_prefix('/') {
        Some(pointer) => pointer.split('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~"),
        None => path.to_owned(),
    }
}
