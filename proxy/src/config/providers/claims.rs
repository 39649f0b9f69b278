//! `claims` and `tenant` of a provider as written to the mapping that tokens are read by.
//!
//! Decides that nobody is identified by a name that can pass to somebody else, that nothing counts that people write about
//! themselves, and that no sign-in is as young as its token, nor a session as short.

use policy::{Spanned, TenantId};

use super::Faulty;
use super::raw::RawProvider;
use crate::authn::{ClaimMap, ClaimPath, SessionSource, TenantSource};

/// Words for what a provider gives to somebody else one day, or lets people choose, beside all that end in `name`
/// (`preferred_username`, `unique_name`) or are of mail and telephones.
const CHANGING: [&str; 5] = ["alias", "handle", "login", "loginhint", "upn"];
/// Times of a token, and of no sign-in.
const TIMES: [&str; 3] = ["iat", "exp", "nbf"];
/// What else is another one in each token.
const OF_ONE_TOKEN: [&str; 5] = ["jti", "nonce", "at_hash", "c_hash", "s_hash"];

pub(super) fn claims(raw: &RawProvider, bound_elsewhere: bool, faults: &mut Faulty<'_>) -> Option<ClaimMap> {
    let profile = raw.preset.profile();
    let mut map = ClaimMap {
        credential: ClaimPath::at_the_top(profile.credential),
        session: if profile.session.is_none() { SessionSource::SignIn } else { SessionSource::Untold },
        ..ClaimMap::default()
    };
    let mut tenant = None;
    let before = faults.count();
    for (name, written) in &raw.claims {
        let Some(path) = ClaimPath::parse(&written.value) else {
            let hint = "write a name at the top of the token, or a JSON Pointer such as `/realm_access/roles`";
            faults.at(written.span, "claim", format!("`{}` names no claim", written.value), hint);
            continue;
        };
        if let Some(own) = path.steps().iter().find(|step| profile.own_words.contains(&step.as_str())) {
            let message = format!("`{own}` is what people write about themselves at {}", profile.title);
            let hint = "take it from a place that only you can write, such as `app_metadata`";
            faults.at(written.span, "claim", message, hint);
        }
        if let Some(step) = path.steps().iter().find(|step| profile.writable.iter().any(|known| is_named(step, known)))
        {
            let message = format!("`{step}` is an attribute, which {} may let people write themselves", profile.title);
            let hint = "let no app client of the pool write it, or go by another claim, such as `cognito:groups`";
            faults.warn(written.span, "claim", message, hint);
        }
        match name.as_str() {
            "tenant" => tenant = Some(path),
            "roles" => map.roles = Some(path),
            "bindings" => map.bindings = Some(path),
            "subject" => map.subject = subject(path, written, faults),
            "session" => map.session = SessionSource::Claim(session(path, profile.credential, written, faults)),
            "amr" => map.amr = path,
            "acr" => map.acr = path,
            "auth_time" => map.auth_time = sign_in(path, written, faults),
            _ if !is_identifier(name) => {
                let hint = "conditions read it as `principal.claims.NAME`: use letters, digits and `_`";
                faults.at(written.span, "claim", format!("`{name}` is no name for a claim"), hint);
            }
            _ => drop(map.extra.insert(name.clone(), path)),
        }
    }
    map.tenant = one_tenant(raw, tenant, faults);
    let says_tenant = raw.tenant.is_some() || raw.claims.contains_key("tenant");
    match raw.claims.get("bindings") {
        Some(bindings) if says_tenant || raw.claims.contains_key("roles") => {
            let hint = "keep `bindings` alone: it says both";
            faults.at(bindings.span, "claim", "`bindings` and `tenant` or `roles` exclude each other", hint);
        }
        None if !says_tenant && !bound_elsewhere => {
            let what = "nothing says which tenant a caller belongs to";
            faults.at(raw.issuer.span, "tenant", what, profile.tenant_hint);
        }
        Some(_) | None => {}
    }
    // What was filled in tells nothing here: roles beside such a tenant are only ever written.
    if let Some(picked) = profile.picked.filter(|_| is_picked(raw))
        && !raw.claims.contains_key("roles")
        && !bound_elsewhere
    {
        let at = raw.claims.get("tenant").map_or(raw.issuer.span, |tenant| tenant.span);
        let message = format!("people pick `{picked}` themselves, and nothing says which roles they hold in it");
        let hint = "write `claims: { bindings: groups }` for groups named `clinic-a:provider`, keep roles in a `directory`, or \
                    write `roles` where everybody holds the same ones wherever they belong";
        faults.at(at, "claim", message, hint);
    }
    (faults.count() == before).then_some(map)
}

/// Whether the tenant is one that people pick when they ask for a token.
pub(super) fn is_picked(raw: &RawProvider) -> bool {
    let profile = raw.preset.profile();
    let written = raw.claims.get("tenant").map(|tenant| tenant.value.as_str());
    let path = written.or(profile.tenant).and_then(ClaimPath::parse);
    let by_claim = raw.tenant.is_none() && !raw.claims.contains_key("bindings");
    by_claim && path.is_some_and(|path| profile.picked == Some(path.top().as_str()))
}

/// Identity is the issuer and a subject that stays.
fn subject(path: ClaimPath, written: &Spanned<String>, faults: &mut Faulty<'_>) -> ClaimPath {
    check_subject(&path, written, "leave it out for `sub`, or name the provider's own id, such as `oid`", faults);
    path
}

/// Refuses a subject that passes to somebody else; `hint` says what to write instead.
pub(in crate::config) fn check_subject(
    path: &ClaimPath,
    written: &Spanned<String>,
    hint: &str,
    faults: &mut Faulty<'_>,
) {
    if let Some(step) = path.steps().into_iter().find(|step| is_changing(step)) {
        let message = format!("`{step}` can be somebody else's one day, so it identifies nobody");
        faults.at(written.span, "claim", message, hint);
    }
}

/// The time of a sign-in is that of the person, and no refreshed token makes it younger.
fn sign_in(path: ClaimPath, written: &Spanned<String>, faults: &mut Faulty<'_>) -> ClaimPath {
    if let Some(last) = path.steps().pop().filter(|last| TIMES.contains(&last_word(last))) {
        let message = format!("`{last}` is a time of the token, and each new token would be a new sign-in");
        let hint = "leave it out for `auth_time`, or name the claim that says when the person signed in";
        faults.at(written.span, "claim", message, hint);
    }
    path
}

/// A session is longer than its tokens. `credential` is the provider's name of a token.
fn session(path: ClaimPath, credential: &str, written: &Spanned<String>, faults: &mut Faulty<'_>) -> ClaimPath {
    let is_of_token = |word: &str| word == credential || TIMES.contains(&word) || OF_ONE_TOKEN.contains(&word);
    if let Some(last) = path.steps().pop().filter(|last| is_of_token(last_word(last))) {
        let message = format!("`{last}` is another one in each token, so it names no session");
        let hint = "leave it out for `sid`, or name the claim that stays for as long as the person is signed in";
        faults.at(written.span, "claim", message, hint);
    }
    path
}

/// Whether a claim has this name, or begins like this where it ends in a colon.
fn is_named(claim: &str, known: &str) -> bool {
    if known.ends_with(':') { claim.starts_with(known) } else { claim == known }
}

/// The last word of a name, as names that must not collide are written (`https://clinic.example/email`, `cognito:username`).
fn last_word(step: &str) -> &str {
    step.rsplit(['/', ':', '#']).find(|part| !part.is_empty()).unwrap_or_default()
}

/// Whether a step on the way to a claim says that what stands there changes hands.
fn is_changing(step: &str) -> bool {
    let word: String =
        last_word(step).chars().filter(char::is_ascii_alphanumeric).map(|one| one.to_ascii_lowercase()).collect();
    let is_of = |part: &str| word.contains(part);
    word.ends_with("name") || is_of("mail") || is_of("phone") || CHANGING.contains(&word.as_str())
}

fn one_tenant(raw: &RawProvider, claim: Option<ClaimPath>, faults: &mut Faulty<'_>) -> Option<TenantSource> {
    match (claim, &raw.tenant) {
        (claim, None) => claim.map(TenantSource::Claim),
        (None, Some(fixed)) => named(fixed, faults).map(TenantSource::Fixed),
        (Some(_), Some(fixed)) => {
            faults.at(fixed.span, "tenant", "the tenant is said twice", "keep either `tenant` or `claims.tenant`");
            None
        }
    }
}

/// A tenant by its name; a fault where it is none.
pub(super) fn named(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<TenantId> {
    let tenant = TenantId::parse(&written.value);
    if tenant.is_none() {
        let hint = "use 1 to 128 letters, digits and `- . _ : @ |`";
        faults.at(written.span, "tenant", format!("`{}` is no name for a tenant", written.value), hint);
    }
    tenant
}

pub(in crate::config) fn is_identifier(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= 64
        && name.bytes().all(word)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}
