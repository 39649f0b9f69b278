//! `app.session`: the session that the application keeps by itself. As written, and compiled.
//!
//! Decides what of it could mean two things (a cookie under two names, a person of nobody's tenant) and refuses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use policy::units::Period;
use policy::{Spanned, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::browsers::is_cookie_name;
use super::compile::{Faulty, period};
use super::providers::claims::{check_subject, is_identifier};
use super::providers::raw::{RawClaims, RawPlace};
use super::raw::{RawConfig, seconds};
use crate::app_session::{AppSession, LONGEST, MOST_COOKIES, PROVIDER, Reads, TenantFrom, Whoami};
use crate::authn::ClaimPath;
use crate::made_of::MadeOf;
use crate::pipeline::{canonical, is_reserved};
use crate::runtime::Renamed;

/// The session that the application keeps by itself.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAppSession {
    /// The cookies by which it knows a person again, by its own names: 1 to 8. Beside a caller whom a credential has proved,
    /// they pass only if the gate saw the application set them for that caller.
    pub cookies: Spanned<Vec<Spanned<String>>>,
    /// How to ask the application whose they are, so that its own login counts. Left out: they prove nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whoami: Option<Spanned<RawWhoami>>,
}

/// How to ask the application whose its session cookies are.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWhoami {
    /// A path of the application that answers a GET with the first of these cookies in JSON: 200 says who it is; 401, 403, a redirect,
    /// and 200 without a subject say nobody. Anything else is no answer, and then nobody is let in by them.
    pub path: Spanned<String>,
    /// Where in the answer what stands: `subject`, `roles` and `tenant`, and names of your own for conditions, as in
    /// `claims` of a provider.
    pub claims: Spanned<RawClaims>,
    /// The tenant of everyone, where the application serves one clinic; instead of `claims.tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Spanned<String>>,
    /// How long an answer is remembered: at most `5m`. That it is nobody is remembered for at most five seconds.
    #[serde(default = "half_a_minute")]
    pub remember: Spanned<Period>,
}

fn half_a_minute() -> Spanned<Period> {
    Spanned::unplaced(seconds(30))
}

/// Compiles `app.session`; where something is wrong, it is among the faults.
pub(super) fn compile(config: &RawConfig, hosts: &[String], faults: &mut Faulty<'_>) -> Option<AppSession> {
    let raw = config.app.session.as_ref()?;
    let cookies = cookies(config, raw, faults);
    let whoami = match &raw.whoami {
        Some(written) => Some(Arc::new(whoami(config, written, hosts, faults)?)),
        None => None,
    };
    Some(AppSession { cookies, whoami })
}

fn cookies(config: &RawConfig, raw: &RawAppSession, faults: &mut Faulty<'_>) -> Vec<String> {
    let written = &raw.cookies;
    if written.value.is_empty() || written.value.len() > MOST_COOKIES {
        let message = format!("`app.session.cookies` names {} cookies", written.value.len());
        faults.at(written.span, "cookie", message, "name 1 to 8, such as `[sessionid]`");
    }
    let mut names: Vec<String> = Vec::new();
    for name in &written.value {
        if !is_cookie_name(&name.value) {
            let hint = "write its exact name, such as `sessionid`";
            faults.at(name.span, "cookie", format!("`{}` is no name of a cookie", name.value), hint);
        }
        if let Some(other) = names.iter().find(|one| canonical::folded(one) == canonical::folded(&name.value)) {
            let message = format!("some readers take `{other}` and `{}` for one cookie", name.value);
            faults.at(
                name.span,
                "cookie",
                message,
                "name it once, or give one of them another name in the application",
            );
        }
        let mut renamed = config.cookies.prefix.iter().map(|(app, prefix)| Renamed::new(&app.value, prefix.compiled()));
        if let Some(one) = renamed.find(|one| one.browser == name.value) {
            let message = format!("`{}` is what browsers call the application's `{}`", name.value, one.app);
            faults.at(
                name.span,
                "cookie",
                message,
                "name it as the application does: the prefix is the browser's alone",
            );
        }
        let reads = |place: &Spanned<RawPlace>| match &place.value {
            RawPlace::Cookie(one) | RawPlace::CookieChunks(one) => {
                let rest = name.value.strip_prefix(one.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.']))
            }
            RawPlace::Header(_) => false,
        };
        if let Some((provider, _)) = config.providers.iter().find(|(_, one)| one.token.iter().flatten().any(reads)) {
            let message = format!("provider `{provider}` reads its token from `{}`", name.value);
            let hint = "name the cookies that the application sets for its own session, not the ones that hold tokens";
            faults.at(name.span, "cookie", message, hint);
        }
        names.push(name.value.clone());
    }
    names
}

fn whoami(
    config: &RawConfig,
    written: &Spanned<RawWhoami>,
    hosts: &[String],
    faults: &mut Faulty<'_>,
) -> Option<Whoami> {
    let raw = &written.value;
    if config.providers.contains_key(PROVIDER) {
        let message = format!("a provider is called `{PROVIDER}`, as the application is where it vouches for a caller");
        faults.at(written.span, "whoami", message, "give the provider another name");
    }
    let target = target(&raw.path, faults);
    let remember = period(&raw.remember, LONGEST, faults);
    // No host is a fault of its own.
    let host = hosts.first()?;
    let reads = reads(raw, format!("{PROVIDER}:{host}"), faults);
    let (target, remember, reads) = (target?, remember?, reads?);
    let made_of = MadeOf::all([format!("{target} {host} {reads:?}")]);
    let generation = made_of.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    Some(Whoami { target, host: HeaderValue::try_from(host.as_str()).ok()?, reads, remember, generation })
}

/// A path, and perhaps a query, that can be read in one way only, as every address of a client.
fn target(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<Uri> {
    let uri = written.value.parse::<Uri>().ok().filter(|_| written.value.starts_with('/'));
    let read = uri.as_ref().and_then(|uri| canonical::target(uri).ok());
    match (uri, read) {
        (Some(uri), Some((path, _))) if path == uri.path() && !is_reserved(&path) => Some(uri),
        _ => {
            let message = format!("`{}` is no path of the application in its plain form", written.value);
            faults.at(written.span, "whoami", message, "write it as `/api/whoami`");
            None
        }
    }
}

fn reads(raw: &RawWhoami, issuer: String, faults: &mut Faulty<'_>) -> Option<Reads> {
    let (mut subject, mut tenant, mut roles, mut extra) = (None, None, None, BTreeMap::new());
    for (name, written) in &raw.claims.value {
        let path = ClaimPath::parse(&written.value);
        if path.is_none() {
            let hint = "write a name at the top of the answer, or a JSON Pointer such as `/user/id`";
            faults.at(written.span, "claim", format!("`{}` names nothing", written.value), hint);
        }
        match name.as_str() {
            "subject" => {
                let hint = "name the application's own id of the person, such as `/user/id`";
                path.iter().for_each(|path| check_subject(path, written, hint, faults));
                subject = path;
            }
            "tenant" => tenant = path.map(TenantFrom::Place),
            "roles" => roles = path,
            _ if !is_identifier(name) => {
                let hint = "conditions read it as `principal.claims.NAME`: use letters, digits and `_`";
                faults.at(written.span, "claim", format!("`{name}` is no name for a claim"), hint);
            }
            _ => extra.extend(path.map(|path| (name.clone(), path))),
        }
    }
    let has = |name: &str| raw.claims.value.contains_key(name);
    if !has("subject") {
        let hint = "say where it stands, as in `subject: /user/id`";
        faults.at(raw.claims.span, "claim", "nothing says who a caller is", hint);
    }
    match (&raw.tenant, has("tenant")) {
        (None, true) => {}
        (Some(fixed), false) => {
            tenant = TenantId::parse(&fixed.value).map(TenantFrom::Fixed);
            if tenant.is_none() {
                let hint = "use 1 to 128 letters, digits and `- . _ : @ |`";
                faults.at(fixed.span, "tenant", format!("`{}` is no name for a tenant", fixed.value), hint);
            }
        }
        (Some(fixed), true) => {
            faults.at(fixed.span, "tenant", "the tenant is said twice", "keep either `tenant` or `claims.tenant`");
        }
        (None, false) => {
            let hint = "add `tenant: /user/clinic`, or `tenant: clinic-a` beside `claims` where there is one clinic";
            faults.at(raw.claims.span, "tenant", "nothing says which tenant a caller belongs to", hint);
        }
    }
    Some(Reads { issuer: issuer.into(), subject: subject?, tenant: tenant?, roles, extra })
}
