//! The life of a request told instead of lived: which step looked at what, and where it ended.
//!
//! It runs the functions that the steps run, in their order, and decides nothing. It does not count against a limit,
//! write a record or ask the application; whoever reads the result is told so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use certs::ClientTrust;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};
use policy::{Came, Case, Demand, Facts, Found, Match, Outcome, Per, Policy, Principal, Verdict};
use tokio::runtime::Handle;

use super::admit::{self, Named};
use super::bind;
use super::canonical::{self, method};
use super::cors;
use super::cross_site;
use super::decide::{self, Request};
use super::form::{Fields, Written};
use super::identify::{self, Caller, Shown};
use super::login;
use super::reports;
use super::security_txt;
use super::websocket;
use crate::app_session::Held;
use crate::authn::{self, Presented};
use crate::rejection::Rejection;
use crate::request_id::RequestIds;
use crate::runtime::{Provider, Reading, Rollout, Runtime, Voucher};

/// A request that is explained.
#[derive(Debug)]
pub(crate) struct Asked<'r> {
    /// Method, target and headers.
    pub(crate) parts: Parts,
    /// The fields of its form, by name; none where it sends no form.
    pub(crate) form: Vec<(String, String)>,
    /// Who asks, where it is not the credential in the headers that says so.
    pub(crate) caller: Option<Assumed<'r>>,
    /// Whose certificates are believed, where clients are asked for one.
    pub(crate) trust: Option<&'r Arc<ClientTrust>>,
    /// What the connection has shown.
    pub(crate) certificate: Option<Presented>,
    /// Where it comes from.
    pub(crate) peer: IpAddr,
    /// When, in Unix seconds.
    pub(crate) now: u64,
}

/// Someone who is taken for proved.
#[derive(Debug)]
pub(crate) struct Assumed<'r> {
    /// Who.
    pub(crate) principal: Principal,
    /// The provider whose settings apply.
    pub(crate) provider: &'r Provider,
    /// Whether it is what its token says of it, so that a directory may say otherwise.
    pub(crate) by_token: bool,
}

/// How a request fared.
#[derive(Debug)]
pub(crate) struct Explained {
    /// What was looked at, in order; the last one is where it ended.
    pub(crate) steps: Vec<Told>,
    /// What became of it.
    pub(crate) end: End,
    /// The rule that its path picked.
    pub(crate) rule: Option<String>,
}

/// One thing that was looked at.
#[derive(Debug)]
pub(crate) struct Told {
    /// One word for the question.
    pub(crate) name: &'static str,
    /// What became of the request by it.
    pub(crate) outcome: Outcome,
    /// What was seen.
    pub(crate) says: String,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum End {
    /// It would go to the application.
    Allowed,
    /// It would go to the application, because what would refuse it is observed only.
    Observed(Rejection),
    /// It would end here.
    Refused(Rejection),
}

/// Tells how a request would fare.
pub(crate) async fn explain(runtime: &Runtime, asked: Asked<'_>) -> Explained {
    let mut told = Explained { steps: Vec::new(), end: End::Allowed, rule: None };
    if let Err((name, rejection)) = live(runtime, asked, &mut told).await {
        if let Some(name) = name {
            told.ended(name, rejection.detail_or_public());
        }
        told.end = End::Refused(rejection);
    }
    told
}

impl Explained {
    fn saw(&mut self, name: &'static str, says: impl Into<String>) {
        self.steps.push(Told { name, outcome: Outcome::Passed, says: says.into() });
    }

    fn ended(&mut self, name: &'static str, says: String) {
        self.steps.push(Told { name, outcome: Outcome::Ended, says });
    }
}

impl Rejection {
    fn detail_or_public(&self) -> String {
        Some(self.detail()).filter(|detail| !detail.is_empty()).unwrap_or_else(|| self.public().to_owned())
    }
}

/// A rejection, with the name of the step where that has not been told yet.
type Ended = (Option<&'static str>, Rejection);

async fn live(runtime: &Runtime, asked: Asked<'_>, told: &mut Explained) -> Result<(), Ended> {
    let Asked { mut parts, form, caller, trust, certificate, peer, now } = asked;
    let Named { method, host, path, query } =
        admit::named(runtime, None, &mut parts).map_err(|rejection| (Some("request"), rejection))?;
    let fields = form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let read = (path.as_str(), query.as_deref());
    let unclear = |reason| (Some("form"), Rejection::BadFraming(reason));
    let form = formed(&runtime.policy, runtime.reading, (&parts.headers, read), method, fields).map_err(unclear)?;
    let sent = std::mem::replace(&mut parts.method, form.method.clone());
    let sent = if sent == parts.method { String::new() } else { format!(", sent as {sent}") };
    told.saw("request", format!("{} `{path}` of host `{host}`, in one reading{sent}", parts.method));
    if reports::is_reserved(&path) {
        if reports::is_report(runtime, &parts.method, &path) {
            told.saw("report", "the gate takes what browsers report here; it goes no further");
            return Ok(());
        }
        if login::is_page(runtime, &path) {
            told.saw("login", "the gate signs people in here; it goes no further");
            return Ok(());
        }
        return Err((Some("route"), Rejection::NoRoute));
    }
    let preflight = cors::preflight(runtime.browsers.cors.as_ref(), &parts.method, &parts.headers);
    if preflight.map_err(|rejection| (Some("preflight"), rejection))?.is_some() {
        told.saw("preflight", "the list in `cors` answers it; it goes no further");
        return Ok(());
    }
    if security_txt::is_ours(runtime, &parts.method, &path, now) {
        told.saw("security.txt", "the text in `security_txt` answers it; it goes no further");
        return Ok(());
    }
    let asked = Request { headers: &parts.headers, query: query.as_deref(), form: &form.fields };
    let found = route(&runtime.policy, &parts.method, &path, &asked, told)?;
    form.passes(&found).map_err(unclear)?;
    let websocket = websocket::asked(&parts, false, RequestIds::new(0).next())
        .map_err(|rejection| (Some("websocket"), rejection))?;
    let by_token = caller.as_ref().is_none_or(|assumed| assumed.by_token);
    let caller = match caller {
        Some(Assumed { principal, provider, by_token: _ }) => {
            told.saw("credential", format!("none is judged: `{}` is taken for proved", principal.subject));
            let (principal, voucher) = (Arc::new(principal), Voucher::Token(provider));
            Some(Caller::of(principal, voucher))
        }
        None => {
            let shown = identify::shown(trust, certificate.as_ref(), now);
            let shown = shown.map_err(|rejection| (Some("certificate"), rejection))?;
            credential(runtime, (&parts.headers, shown), &found, now, told)?
        }
    };
    let caller = if by_token { directory(runtime, caller, &found, told).await? } else { caller };
    other_site(runtime, &parts, &host, websocket.is_some(), caller.as_ref(), told)?;
    app_cookies(runtime, &parts, caller.as_ref(), told);
    let facts = Facts {
        method: parts.method.as_str(),
        request: &asked,
        principal: caller.as_ref().map(|caller| caller.principal.as_ref()),
        peer,
        now,
    };
    let trace = policy::explain(&found, &facts);
    let steps = trace.steps.into_iter();
    told.steps.extend(steps.map(|step| Told { name: step.name.as_str(), outcome: step.outcome, says: step.says }));
    match trace.decision.verdict {
        Verdict::Granted(_) => {}
        Verdict::Observed(_, denial) => told.end = End::Observed(decide::refused(denial, caller.as_ref())),
        Verdict::Denied(denial) => return Err((None, decide::refused(denial, caller.as_ref()))),
    }
    if let Demand::Act(act) = found.demand()
        && let Some(limit) = act.limit()
    {
        let whose = match limit.per {
            Per::Subject => "caller",
            Per::Address => "address",
        };
        told.saw("limit", format!("{} per {whose}, {} at once: not counted here", limit.rate, limit.burst));
    }
    Ok(())
}

/// Whether a page of another site asks.
fn other_site(
    runtime: &Runtime,
    parts: &Parts,
    host: &str,
    websocket: bool,
    caller: Option<&Caller<'_>>,
    told: &mut Explained,
) -> Result<(), Ended> {
    let place = caller.and_then(|caller| caller.place);
    let asked = cross_site::Asked { parts, host, websocket };
    let certified = caller.is_some_and(|caller| caller.voucher.is_certificate());
    match (cross_site::verdict(runtime, &asked, place, certified), runtime.stages.csrf) {
        (Ok(()), _) => {}
        (Err(detail), Rollout::Observe) => {
            told.steps.push(Told { name: "site", outcome: Outcome::Ended, says: format!("{detail}; only observed") });
            told.end = End::Observed(Rejection::CrossSite(detail));
        }
        (Err(detail), Rollout::Enforce) => return Err((Some("site"), Rejection::CrossSite(detail))),
    }
    Ok(())
}

/// What is known of the application's session cookies beside a caller: here, nothing.
fn app_cookies(runtime: &Runtime, parts: &Parts, caller: Option<&Caller<'_>>, told: &mut Explained) {
    let Some(settings) = runtime.app_session.as_ref().filter(|_| caller.is_some()) else { return };
    for (name, _) in settings.carried(&parts.headers).iter().filter(|(_, held)| *held != &Held::Absent) {
        told.saw("session", format!("cookie `{name}` passes only where the gate saw it set for this caller"));
    }
}

/// The caller by what the directory says, where it speaks for the caller's provider.
async fn directory<'r>(
    runtime: &Runtime,
    caller: Option<Caller<'r>>,
    found: &Match<'_>,
    told: &mut Explained,
) -> Result<Option<Caller<'r>>, Ended> {
    let Some(caller) = caller else { return Ok(None) };
    let Some(directory) = bind::speaking(runtime, &caller.principal) else { return Ok(Some(caller)) };
    let asked = bind::told(runtime, directory, &caller.principal, Duration::ZERO, &Handle::current()).await;
    let principal = match (asked, found.demand()) {
        (Ok((principal, _)), _) => {
            told.saw("directory", "it says of which tenants the caller is, and with which roles");
            principal
        }
        (Err(down), Demand::Public) => {
            told.saw("directory", format!("{down}; on a public method the caller is of no tenant"));
            bind::of_no_tenant(&caller.principal)
        }
        (Err(down), Demand::Authenticated | Demand::Act(_)) => {
            return Err((Some("directory"), Rejection::DirectoryDown(down)));
        }
    };
    Ok(Some(Caller { principal: Arc::new(principal), ..caller }))
}

/// What a policy makes of a case, read as a request is read.
pub(crate) fn case(policy: &Policy, reading: Reading, case: &Case, now: u64) -> Came {
    let read = case.target().parse::<Uri>().map_err(|_| Rejection::BadPath("it is no target of a request"));
    let (path, query) = match read.and_then(|uri| canonical::target(&uri)) {
        Ok(read) => read,
        Err(rejection) => return Came::unread(rejection.detail_or_public()),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in case.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    let sent = Method::from_bytes(case.method().as_bytes()).unwrap_or_default();
    let method = match method::effective(reading.method_override, &sent, &headers, query.as_deref()) {
        Ok(method) => method,
        Err(rejection) => return Came::unread(rejection.detail_or_public()),
    };
    let read = (path.as_str(), query.as_deref());
    let form = match formed(policy, reading, (&headers, read), method, case.form()) {
        Ok(form) => form,
        Err(reason) => return Came::unclear_form(reason),
    };
    let asked = Request { headers: &headers, query: query.as_deref(), form: &form.fields };
    if let Found::Route(found) = policy.find(form.method.as_str(), &path, &asked)
        && let Err(reason) = form.passes(&found)
    {
        return Came::unclear_form(reason);
    }
    case.run(policy, form.method.as_str(), &path, &asked, now)
}

/// The form of these fields, as far as the routes of the path ask.
fn formed<'a>(
    policy: &Policy,
    reading: Reading,
    (headers, (path, query)): (&HeaderMap, (&str, Option<&str>)),
    method: Method,
    fields: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Written, &'static str> {
    let asked = policy.form_asked(path, &Request { headers, query, form: &Fields::none() });
    Written::new(fields, asked, reading, method)
}

/// The route of the path, and the wider ones that are not asked.
fn route<'r>(
    policy: &'r Policy,
    method: &Method,
    path: &str,
    asked: &Request<'_>,
    told: &mut Explained,
) -> Result<Match<'r>, Ended> {
    let known = admit::named_method(method).is_some();
    let found = policy.find(method.as_str(), path, asked);
    let route = match &found {
        Found::Route(found) => found.route(),
        Found::MethodNotAllowed { route, .. } => route,
        Found::NoRoute => return Err((Some("route"), Rejection::NoRoute)),
        Found::Unclear(reason) => return Err((Some("route"), Rejection::BadPath(reason))),
    };
    let wider: Vec<String> =
        policy.fitting(path).filter(|one| one.id() != route.id()).map(|one| format!("`{}`", one.id())).collect();
    let than = match wider.as_slice() {
        [] => "the only one that fits".to_owned(),
        wider => format!("more specific than {}", wider.join(", ")),
    };
    told.rule = Some(route.id().to_owned());
    let query: Vec<String> = route.query().map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let form: Vec<String> = route.form().map(|(name, value)| format!("{name}={value}")).collect();
    let form = if form.is_empty() { String::new() } else { format!(" with the form {}", form.join("&")) };
    told.saw("route", format!("`{}` ({}{query}{form}), {than}", route.id(), route.template()));
    match found {
        Found::Route(found) if known => Ok(found),
        Found::Route(_) | Found::NoRoute | Found::Unclear(_) => Err((
            Some("method"),
            Rejection::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()),
        )),
        Found::MethodNotAllowed { allow, .. } => {
            told.ended("method", format!("the route has {allow}, and no {method}"));
            Err((None, Rejection::MethodNotAllowed(allow.to_owned())))
        }
    }
}

/// The credential in the headers, or else the certificate, judged as the pipeline judges it.
fn credential<'r>(
    runtime: &'r Runtime,
    (headers, shown): (&HeaderMap, Option<Shown<'_>>),
    found: &Match<'_>,
    now: u64,
    told: &mut Explained,
) -> Result<Option<Caller<'r>>, Ended> {
    let is_shown = shown.is_some();
    let judged = identify::signed_in(runtime, headers, now).and_then(|signed_in| {
        if let Some(signed_in) = signed_in {
            return signed_in.caller().map(Some);
        }
        let present = identify::credential(runtime, headers)?;
        let Some((provider, place, token)) = present else { return identify::by_certificate(runtime, shown) };
        let keys = provider.keys.just_fetched().map_err(Rejection::Token)?;
        let verified = authn::verify(&token, &provider.authn, &keys, now).map_err(Rejection::Token)?;
        let principal = Arc::new(authn::principal(&verified, &provider.authn).map_err(Rejection::Token)?);
        Ok(Some(Caller { place: Some(place), ..Caller::of(principal, Voucher::Token(provider)) }))
    });
    match (judged, found.demand()) {
        (Ok(None), _) => {
            let certificate =
                if is_shown { ", and the configuration says of no certificate whom it names" } else { "" };
            let vouches = runtime.app_session.as_ref().is_some_and(|one| one.whoami.is_some());
            let app = if vouches { "; the application is not asked here whose its session is" } else { "" };
            told.saw("credential", format!("there is none in the places that the providers list{certificate}{app}"));
            Ok(None)
        }
        (Ok(Some(caller)), _) => {
            let what = match caller.voucher {
                Voucher::Token(_) => "a valid token",
                Voucher::Login(..) => "a session that the gate made, by a sign-in",
                Voucher::Certificate => "a certificate that is believed,",
                Voucher::AppSession(_) => "the application's session",
            };
            told.saw("credential", format!("{what} of provider `{}`", caller.principal.provider));
            Ok(Some(caller))
        }
        (Err(rejection), Demand::Public) => {
            told.saw(
                "credential",
                format!("{}; on a public method the caller is nobody", rejection.detail_or_public()),
            );
            Ok(None)
        }
        (Err(rejection), Demand::Authenticated | Demand::Act(_)) => Err((Some("credential"), rejection)),
    }
}
