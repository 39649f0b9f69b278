//! What a preset demands of its provider before anything else is looked at: an issuer in its form, and what only its owner
//! knows.

use policy::Spanned;

use super::Faulty;
use super::raw::RawProvider;
use crate::authn::{KnownAudience, KnownClients, Preset, bare_type};

/// The most clients or audiences of one provider, and the longest name of one, in bytes.
const MOST_NAMES: usize = 256;
const LONGEST_NAME: usize = 256;
/// Kinds of tokens (`typ`) that say something else than who is asking, and which may well name a person: a logout (OpenID Connect
/// Back-Channel Logout 1.0, 2.4), an event (RFC 8417), the proof of a key (RFC 9449), a request (RFC 9101), what a server says of
/// another token (RFC 9701).
const NOT_FOR_ACCESS: [&str; 5] =
    ["logout+jwt", "secevent+jwt", "dpop+jwt", "oauth-authz-req+jwt", "token-introspection+jwt"];

pub(super) fn check(raw: &RawProvider, faults: &mut Faulty<'_>) {
    let profile = raw.preset.profile();
    if let Err(hint) = (profile.check_issuer)(&raw.issuer.value) {
        let message = format!("`{}` is not an issuer of {}", raw.issuer.value, profile.title);
        faults.at(raw.issuer.span, "provider", message, hint);
    }
    // Spaces at an end are lost on the way to the application, which would then see another issuer.
    if raw.issuer.value.trim() != raw.issuer.value || raw.issuer.value.chars().any(char::is_control) {
        let message = "an issuer has no spaces at its ends, and no control characters";
        faults.at(raw.issuer.span, "provider", message, "write it as it stands in tokens");
    }
    audience(raw, faults);
    clients(raw, faults);
    let algorithms = raw.algorithms.as_ref().filter(|list| list.value.is_empty()).map(|list| ("algorithms", list.span));
    let types = raw.types.as_ref().filter(|list| list.value.is_empty()).map(|list| ("types", list.span));
    for (key, span) in algorithms.into_iter().chain(types) {
        let message = format!("`{key}` lists nothing, so nobody could ever sign in");
        faults.at(span, "provider", message, "list at least one, or leave it out for what the preset fills in");
    }
    kinds_of_tokens(raw, faults);
    if let Some(kinds) = &raw.kinds {
        if profile.kinds.is_empty() {
            let message = format!("nothing tells kinds of tokens of `{}` apart", raw.preset.name());
            faults.at(kinds.span, "provider", message, "take `kinds` out");
        } else if kinds.value.is_empty() || kinds.value.iter().any(|kind| !profile.kinds.contains(kind)) {
            let message = format!("only some kinds of tokens of {} can be judged", profile.title);
            let known: Vec<&str> = profile.kinds.iter().map(|kind| kind.name()).collect();
            faults.at(kinds.span, "provider", message, &format!("write one or more of: {}", known.join(", ")));
        }
    }
    if raw.allow_anonymous && !matches!(raw.preset, Preset::Supabase | Preset::Firebase) {
        let hint = "take it out: it is for the presets `supabase` and `firebase`";
        faults.at(raw.issuer.span, "provider", "`allow_anonymous` says nothing of this provider's tokens", hint);
    }
}

fn kinds_of_tokens(raw: &RawProvider, faults: &mut Faulty<'_>) {
    let Some(types) = &raw.types else { return };
    // RFC 6838, section 4.2.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&byte);
    for one in &types.value {
        let bare = bare_type(one);
        if NOT_FOR_ACCESS.contains(&bare.as_str()) {
            let hint = "take it out: such a token would be as good as one for access";
            faults.at(types.span, "provider", format!("tokens of the type `{one}` do not say who is asking"), hint);
        } else if bare.is_empty() || !bare.bytes().all(plain) {
            let hint = "name types as they stand in tokens, one by one: `[at+jwt]`";
            faults.at(types.span, "provider", format!("`{one}` is no type of a token"), hint);
        }
    }
}

fn audience(raw: &RawProvider, faults: &mut Faulty<'_>) {
    let profile = raw.preset.profile();
    match (&raw.audience, profile.audience) {
        (Some(written), _) => {
            names(written, "audience", faults);
            if raw.preset == Preset::Keycloak && written.value.iter().any(|name| name == "account") {
                let hint = "add an audience mapper for this API to a client scope of the realm, and name its audience";
                faults.at(written.span, "provider", "every token of the realm has the audience `account`", hint);
            }
        }
        (None, KnownAudience::Written(what)) => {
            let message = "`audience` is missing; without it a token for another app would pass";
            faults.at(raw.issuer.span, "provider", message, &format!("write {what}"));
        }
        // Which it cannot tell of an issuer that is wrong, and that has been said.
        (None, KnownAudience::OfIssuer(_) | KnownAudience::OfClient) => {}
    }
}

fn clients(raw: &RawProvider, faults: &mut Faulty<'_>) {
    match (&raw.clients, raw.preset.profile().clients) {
        (Some(written), KnownClients::Untold) => {
            let message = format!("tokens of {} do not say who asked for them", raw.preset.profile().title);
            faults.at(written.span, "provider", message, "take `clients` out");
        }
        (Some(written), KnownClients::Told(_) | KnownClients::OfOthers(_) | KnownClients::Demanded(..)) => {
            names(written, "clients", faults);
        }
        (None, KnownClients::Demanded(_, hint)) => {
            let message = "`clients` is missing; without it a token that another program asked for would pass";
            faults.at(raw.issuer.span, "provider", message, hint);
        }
        (None, KnownClients::Untold | KnownClients::Told(_) | KnownClients::OfOthers(_)) => {}
    }
}

fn names(written: &Spanned<Vec<String>>, key: &str, faults: &mut Faulty<'_>) {
    let fits = |name: &String| !name.is_empty() && name.len() <= LONGEST_NAME;
    if written.value.is_empty() || written.value.len() > MOST_NAMES || !written.value.iter().all(fits) {
        let message = format!("`{key}` needs 1 to {MOST_NAMES} names of 1 to {LONGEST_NAME} bytes");
        faults.at(written.span, "provider", message, "list them as they stand in tokens, letter by letter");
    }
}
