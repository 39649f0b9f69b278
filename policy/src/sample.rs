//! For tests: policies from text, callers, and requests.

use crate::*;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

/// Compiles YAML texts as the files of one policy.
pub(crate) fn compiled(texts: &[&str]) -> Result<Policy, String> {
    let mut sources = Sources::default();
    let mut files = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let file = sources.add(format!("{at}.yaml"), *text);
        let raw = read::<RawPolicy>(&sources, file).map_err(|faults| shown(&faults, &sources))?;
        files.push((file, raw));
    }
    compile(&files).map_err(|faults| shown(&faults, &sources))
}

/// A file's head, and what is to follow it.
pub(crate) fn file(rest: &str) -> String {
    format!("apiVersion: anteroom.dev/v1\nkind: Policy\nmetadata: {{ name: sample }}\n{rest}")
}

/// The policy of one file with this body.
pub(crate) fn policy(rest: &str) -> Policy {
    compiled(&[&file(rest)]).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The faults of one file with this body, a line each: `code at what: message (help)`.
pub(crate) fn faults(rest: &str) -> String {
    match compiled(&[&file(rest)]) {
        Ok(_) => String::new(),
        Err(faults) => faults,
    }
}

fn shown(faults: &[Diagnostic], sources: &Sources) -> String {
    let line = |fault: &Diagnostic| {
        let place = fault.span.map_or(String::new(), |span| {
            let (line, column) = sources.line_column(span);
            format!("{}:{line}:{column} `{}`", sources.name(span.file), sources.slice(span))
        });
        format!("{} at {place}: {} ({})\n", fault.code, fault.message, fault.help.as_deref().unwrap_or(""))
    };
    faults.iter().map(line).collect()
}

/// A caller of tenant `tenant` with these roles and text claims.
pub(crate) fn caller(tenant: &str, roles: &[&str], claims: &[(&str, &str)]) -> Principal {
    Principal {
        issuer: "https://id.example/".into(),
        provider: "clinic".to_owned(),
        subject: "user-1".into(),
        client: None,
        bindings: Bindings::one(TenantId::parse(tenant), roles.iter().map(|role| (*role).to_owned()).collect()),
        claims: claims.iter().map(|(name, text)| ((*name).to_owned(), Claim::Text((*text).to_owned()))).collect(),
        factors: Factors::default(),
        sign_in: SignIn::default(),
    }
}

/// Headers and parameters in the order of the request.
#[derive(Default, Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn form(mut self, name: &str, value: &str) -> Self {
        self.form.push((name.to_owned(), value.to_owned()));
        self
    }
}

fn occurs<'a>(pairs: &'a [(String, String)], name: &str) -> Occurs<'a> {
    let mut found = pairs.iter().filter(|(one, _)| one == name);
    match (found.next(), found.next()) {
        (None, _) => Occurs::Absent,
        (Some((_, value)), None) => Occurs::Once(Cow::Borrowed(value)),
        (Some(_), Some(_)) => Occurs::Repeated,
    }
}

impl RequestFacts for Request {
    fn header(&self, name: &str) -> Occurs<'_> {
        occurs(&self.headers, name)
    }

    fn query(&self, name: &str) -> Occurs<'_> {
        occurs(&self.query, name)
    }

    fn form(&self, name: &str) -> Occurs<'_> {
        occurs(&self.form, name)
    }
}

/// Decides one request: `send` is `GET /path`.
pub(crate) fn ask(policy: &Policy, send: &str, principal: Option<&Principal>, request: &Request) -> Decision {
    decide(&find(policy, send), &facts(send, principal, request))
}

/// The time of every sample, in Unix seconds.
pub(crate) const NOW: u64 = 1_800_000_000;

/// The route of `GET /path`.
pub(crate) fn find<'p>(policy: &'p Policy, send: &str) -> Match<'p> {
    let (method, path) = send.split_once(' ').unwrap();
    match policy.find(method, path, &Request::default()) {
        Found::Route(found) => found,
        other => panic!("{send}: {other:?}"),
    }
}

/// The facts of `GET /path`.
pub(crate) fn facts<'a>(send: &'a str, principal: Option<&'a Principal>, request: &'a Request) -> Facts<'a> {
    let (method, _) = send.split_once(' ').unwrap();
    Facts { method, request, principal, peer: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), now: NOW }
}

/// The code of a decision: `allow`, a reason code, or `observe:` and a reason code.
pub(crate) fn outcome(decision: &Decision) -> String {
    match &decision.verdict {
        Verdict::Granted(_) => "allow".to_owned(),
        Verdict::Denied(denial) => denial.code().to_owned(),
        Verdict::Observed(_, denial) => format!("observe:{}", denial.code()),
    }
}
