//! `anteroom explain`: one request or one token, and step by step what the gate would look at, by the very functions that
//! decide.
//!
//! It reads the configuration as `run` does and starts nothing. What it prints holds what the request and the credential
//! say: it is for a terminal, not for a log.

mod token;

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri};
use policy::{Binding, Bindings, Factors, Outcome, Principal, SignIn, TenantId};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};

use super::{ConfigPath, Exit, complain, print, show};
use crate::authn::{self, Presented};
use crate::clock::Clock;
use crate::config::{self, Plan};
use crate::pipeline::explain::{Asked, Assumed, End, Explained, Told, explain};
use crate::runtime::{Place, Provider, Runtime};

/// How long all fetches of keys may take together.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most that is read of a certificate's file, in bytes: what a handshake may bring.
const CERTIFICATE: u64 = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    path: ConfigPath,
    /// Method and target, for example 'GET /api/patients/p1/records/7'; left out, the token alone is judged
    #[arg(required_unless_present = "token")]
    request: Option<String>,
    /// A file with a token, `-` for standard input; with a request it stands where its provider looks first. Keys behind an
    /// address are fetched once
    #[arg(long, group = "who", value_name = "FILE")]
    token: Option<PathBuf>,
    /// The claims of a token that is taken for valid, as a JSON object
    #[arg(long, group = "who", value_name = "JSON")]
    claims: Option<String>,
    /// A PEM file with the certificate that the client shows, and those that lead to its authority
    #[arg(long, value_name = "FILE", conflicts_with_all = ["claims", "as_role", "as_binding"])]
    certificate: Option<PathBuf>,
    /// A role of someone who is taken for proved; may be repeated
    #[arg(long, group = "who", value_name = "ROLE")]
    as_role: Vec<String>,
    /// The tenant of that someone
    #[arg(long, requires = "as_role")]
    tenant: Option<String>,
    /// A tenant and the roles held in it, of someone who is taken for proved; may be repeated
    #[arg(long, group = "who", value_name = "TENANT=ROLES")]
    as_binding: Vec<String>,
    /// What that someone has shown, just now, for example `pwd,otp` (RFC 8176)
    #[arg(long, requires = "who", conflicts_with_all = ["token", "claims"], value_delimiter = ',', value_name = "METHODS")]
    amr: Vec<String>,
    /// The provider that is meant, where there are several
    #[arg(long)]
    provider: Option<String>,
    /// A header of the request, for example `x-clinic: a`; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A field of the form that a POST sends, for example `action=delete`; may be repeated
    #[arg(long = "form", value_name = "NAME=VALUE")]
    form: Vec<String>,
    /// The client's address
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    peer: IpAddr,
    /// The time, in Unix seconds; left out: now
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each step
    Human,
    /// One JSON object
    Json,
}

pub(super) fn run(args: &ExplainArgs) -> Exit {
    let plan = match config::prepare(&args.path.config) {
        Ok(plan) => plan,
        Err(faults) => return show(&faults),
    };
    let clock = Clock::system();
    let now = args.at.unwrap_or_else(|| clock.now().unix_seconds());
    let token = match args.token.as_deref().map(token::read).transpose() {
        Ok(token) => token,
        Err(reason) => return invalid(&reason),
    };
    // Without a header there is no token to judge.
    if token.is_some() || !args.headers.is_empty() {
        for note in fetch_keys(&plan, &clock) {
            complain(&note);
        }
    }
    let explained = match (&args.request, &token) {
        (None, Some(token)) => alone(args, &plan.runtime, token, now),
        (request, token) => {
            // A directory may be behind an address.
            let waiting = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(waiting) => waiting,
                Err(error) => {
                    complain(&format!("error: {error}"));
                    return Exit::Failed;
                }
            };
            asked(args, request.as_deref().unwrap_or_default(), token.as_deref(), &plan, now)
                .map(|asked| waiting.block_on(explain(&plan.runtime, asked)))
        }
    };
    let explained = match explained {
        Ok(explained) => explained,
        Err(reason) => return invalid(&reason),
    };
    let text = match args.format {
        Format::Human => human(args.request.as_deref(), &explained),
        Format::Json => format!("{}\n", in_json(args.request.as_deref(), &explained)),
    };
    match (print(&text), &explained.end) {
        (Exit::Done, End::Refused(_)) => Exit::Denied,
        (exit, _) => exit,
    }
}

fn invalid(reason: &str) -> Exit {
    complain(&format!("error: {reason}"));
    Exit::Invalid
}

/// A token without a request.
fn alone(args: &ExplainArgs, runtime: &Runtime, token: &str, now: u64) -> Result<Explained, String> {
    if !args.headers.is_empty() || !args.form.is_empty() || args.certificate.is_some() {
        return Err("`--header`, `--form` and `--certificate` belong to a request, and there is none".to_owned());
    }
    if runtime.providers.is_empty() || args.provider.is_some() {
        return Ok(token::explain(runtime, Some(the_provider(args, runtime)?), token, now));
    }
    Ok(token::explain(runtime, None, token, now))
}

/// The request that was written on the command line.
fn asked<'r>(
    args: &ExplainArgs,
    request: &str,
    token: Option<&str>,
    plan: &'r Plan,
    now: u64,
) -> Result<Asked<'r>, String> {
    let runtime = &plan.runtime;
    let (method, target) =
        request.split_once(' ').ok_or_else(|| format!("`{request}` is no request; write it as 'GET /path'"))?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
    let target: Uri = target.parse().map_err(|_| format!("`{target}` cannot stand in a request"))?;
    let mut parts =
        Request::builder().method(method).uri(target).body(()).map_err(|error| error.to_string())?.into_parts().0;
    for header in &args.headers {
        let (name, value) =
            header.split_once(':').ok_or_else(|| format!("`{header}` is no header; write it as `name: value`"))?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| format!("`{name}` is no name of a header"))?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| format!("`{value}` is no value of a header"))?;
        parts.headers.append(name, value);
    }
    if let (None, Some(first)) = (parts.headers.get(HOST), runtime.hosts.first()) {
        let host = HeaderValue::try_from(first.as_str()).map_err(|error| error.to_string())?;
        parts.headers.insert(HOST, host);
    }
    if let Some(token) = token {
        carry(token, provider_of_token(args, runtime, token)?, &mut parts)?;
    }
    let mut form = Vec::new();
    for field in &args.form {
        let (name, value) = field
            .split_once('=')
            .ok_or_else(|| format!("`{field}` is no field of a form; write it as `name=value`"))?;
        form.push((name.to_owned(), value.to_owned()));
    }
    if !form.is_empty() && parts.method != Method::POST {
        return Err(format!("a form is read of a POST alone, and this is a {}", parts.method));
    }
    let caller = match (&args.claims, bindings(args)?) {
        (Some(claims), _) => Some(claimed(args, runtime, claims)?),
        (None, None) => None,
        (None, Some(bindings)) => Some(someone(args, runtime, bindings, now)?),
    };
    let trust = plan.shown.trust.as_ref();
    let certificate = match (&args.certificate, trust) {
        (None, _) => None,
        (Some(_), None) => {
            return Err("the configuration asks for no certificate (`tls.client_certificates`)".to_owned());
        }
        (Some(path), Some(_)) => Some(presented(path)?),
    };
    Ok(Asked { parts, form, caller, trust, certificate, peer: args.peer, now })
}

/// The certificate in a file, as a client would show it.
fn presented(path: &Path) -> Result<Presented, String> {
    let name = path.display();
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(CERTIFICATE).read_to_end(&mut pem));
    read.map_err(|error| format!("cannot read `{name}`: {error}"))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(Presented::new(chain)),
        Ok(_) | Err(_) => Err(format!("`{name}` holds no certificate in PEM")),
    }
}

/// Puts a token where its provider looks first.
fn carry(token: &str, provider: &Provider, parts: &mut Parts) -> Result<(), String> {
    let (name, text) = match provider.places.first() {
        Some(Place::Cookie(name) | Place::CookieChunks(name)) => (COOKIE, format!("{name}={token}")),
        Some(Place::Header(name)) if *name != AUTHORIZATION => (name.clone(), token.to_owned()),
        Some(Place::Header(_)) | None => (AUTHORIZATION, format!("Bearer {token}")),
    };
    let value = HeaderValue::try_from(text).map_err(|_| "the token cannot stand in a header".to_owned())?;
    parts.headers.append(name, value);
    Ok(())
}

fn provider_of_token<'r>(args: &ExplainArgs, runtime: &'r Runtime, token: &str) -> Result<&'r Provider, String> {
    let issuer = authn::unverified_issuer(token);
    let by_issuer = runtime.providers.iter().find(|one| issuer.as_deref() == Some(one.authn.issuer()));
    match (&args.provider, by_issuer) {
        (None, Some(provider)) => Ok(provider),
        (Some(_), _) | (None, None) => the_provider(args, runtime),
    }
}

/// The provider that was named, or the first where it does not matter which.
fn the_provider<'r>(args: &ExplainArgs, runtime: &'r Runtime) -> Result<&'r Provider, String> {
    let names = || runtime.providers.iter().map(|one| format!("`{}`", one.authn.name())).collect::<Vec<_>>().join(", ");
    match (&args.provider, runtime.providers.as_slice()) {
        (_, []) => Err("the configuration has no provider, so nobody can be proved".to_owned()),
        (Some(name), all) => all
            .iter()
            .find(|one| one.authn.name() == name)
            .ok_or_else(|| format!("there is no provider `{name}`; there are {}", names())),
        (None, [only]) => Ok(only),
        (None, [_, _, ..]) => Err(format!("say which provider is meant with `--provider`: {}", names())),
    }
}

/// The caller of a token with these claims.
fn claimed<'r>(args: &ExplainArgs, runtime: &'r Runtime, claims: &str) -> Result<Assumed<'r>, String> {
    let claims: Map<String, Value> =
        serde_json::from_str(claims).map_err(|error| format!("`--claims` is no JSON object: {error}"))?;
    let issuer = claims.get("iss").and_then(Value::as_str);
    let by_issuer = runtime.providers.iter().find(|one| issuer == Some(one.authn.issuer()));
    let provider = match (&args.provider, by_issuer) {
        (None, Some(provider)) => provider,
        (Some(_), _) | (None, None) => the_provider(args, runtime)?,
    };
    let principal = authn::assumed(&claims, &provider.authn).map_err(|fault| fault.detail())?;
    Ok(Assumed { principal, provider, by_token: true })
}

/// What someone who is taken for proved is in which tenant; `None` where nobody is.
fn bindings(args: &ExplainArgs) -> Result<Option<Bindings>, String> {
    let tenant = |name: &str| TenantId::parse(name).ok_or_else(|| format!("`{name}` is no name for a tenant"));
    if !args.as_role.is_empty() {
        return Ok(Some(Bindings::one(args.tenant.as_deref().map(tenant).transpose()?, args.as_role.clone())));
    }
    let mut listed = Vec::new();
    for written in &args.as_binding {
        let (name, roles) = written
            .split_once('=')
            .ok_or_else(|| format!("`{written}` is no binding; write it as `clinic-a=provider,admin`"))?;
        let roles = roles.split(',').filter(|role| !role.is_empty()).map(ToOwned::to_owned).collect();
        listed.push(Binding::new(tenant(name)?, roles));
    }
    if listed.is_empty() {
        return Ok(None);
    }
    Bindings::of(listed).map(Some).ok_or_else(|| "`--as-binding` names a tenant twice, or too many".to_owned())
}

/// Someone with these bindings and nothing else.
fn someone<'r>(args: &ExplainArgs, runtime: &'r Runtime, bindings: Bindings, now: u64) -> Result<Assumed<'r>, String> {
    let provider = the_provider(args, runtime)?;
    let at = (!args.amr.is_empty()).then_some(now);
    let principal = Principal {
        issuer: provider.authn.issuer_shared(),
        provider: provider.authn.name().to_owned(),
        subject: "someone".into(),
        client: None,
        bindings,
        claims: std::collections::BTreeMap::new(),
        factors: Factors { methods: args.amr.clone(), at, ..Factors::default() },
        sign_in: SignIn { at, ..SignIn::default() },
    };
    Ok(Assumed { principal, provider, by_token: false })
}

/// Fetches the keys that are behind an address, once; gives a line for each that could not be had.
fn fetch_keys(plan: &Plan, clock: &Clock) -> Vec<String> {
    if plan.key_sources.is_empty() {
        return Vec::new();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![format!("warning: no keys were fetched: {error}")],
    };
    let all = async {
        let mut notes = Vec::new();
        for source in &plan.key_sources {
            if let Err(fault) = authn::fetch_once(&source.source, clock.now()).await {
                notes
                    .push(format!("warning: the keys of provider `{}` could not be fetched: {fault}", source.provider));
            }
        }
        notes
    };
    // The time limit is made on the runtime: outside of one there is no clock for it.
    let fetched = runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await });
    fetched.unwrap_or_else(|_| vec![format!("warning: not all keys were fetched within {} s", PATIENCE.as_secs())])
}

/// `request`: what was asked, where that was not a token alone.
fn human(request: Option<&str>, explained: &Explained) -> String {
    let mut text = request.map_or_else(String::new, |request| format!("{request}\n\n"));
    for Told { name, outcome, says } in &explained.steps {
        let mark = match outcome {
            Outcome::Passed => " ",
            Outcome::Ended => "x",
        };
        text.push_str(&format!("{mark} {name:<10}  {says}\n"));
    }
    text.push_str(&match &explained.end {
        End::Allowed => format!("\n{}\n", if request.is_some() { "allowed" } else { "believed" }),
        End::Observed(rejection) => {
            let (status, code) = (rejection.status().as_u16(), rejection.code());
            format!("\nallowed, because that is only observed; else {status} {code}\n")
        }
        End::Refused(rejection) => {
            let (status, code) = (rejection.status().as_u16(), rejection.code());
            match request {
                Some(_) => format!("\ndenied: {status} {code}\n  {}\n", rejection.remedy().unwrap_or_default()),
                // What can be done about a token alone stands in the step where it ended.
                None => format!("\nrefused: {status} {code}\n"),
            }
        }
    });
    text
}

fn in_json(request: Option<&str>, explained: &Explained) -> Value {
    let steps: Vec<Value> = explained
        .steps
        .iter()
        .map(|step| json!({ "step": step.name, "outcome": step.outcome.as_str(), "says": step.says }))
        .collect();
    let (decision, code, status) = match &explained.end {
        End::Allowed => ("allow", None, None),
        End::Observed(rejection) => ("observe", Some(rejection.code()), None),
        End::Refused(rejection) => ("deny", Some(rejection.code()), Some(rejection.status().as_u16())),
    };
    json!({
        "request": request, "rule": explained.rule, "steps": steps,
        "decision": decision, "code": code, "status": status,
    })
}
