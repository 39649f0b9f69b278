//! `headers.csp`: the content policies of every answer. As written, and compiled.
//!
//! Decides which policy browsers enforce and which they only report, where reports go, and what `X-Frame-Options` must say
//! so that it agrees.

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue};
use policy::Spanned;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;
use crate::pipeline::REPORTS;
use crate::runtime::Rollout;

/// `Content-Security-Policy`, in two stages: what browsers enforce, and what they only report.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCsp {
    /// The policy that browsers enforce, beside any that the application sends. Empty: none. What it says in
    /// `frame-ancestors` goes for `X-Frame-Options` too.
    pub enforce: Spanned<String>,
    /// A stricter one to try: browsers enforce nothing of it and report what it would block, and the gate counts the
    /// reports. Empty: none.
    pub observe: Spanned<String>,
}

impl Default for RawCsp {
    fn default() -> Self {
        Self {
            enforce: Spanned::unplaced("object-src 'none'; base-uri 'self'; frame-ancestors 'none'".to_owned()),
            observe: Spanned::unplaced(String::new()),
        }
    }
}

/// What answers carry of it.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Set in place of what the application says.
    pub(super) replaced: Vec<(HeaderName, HeaderValue)>,
    /// Taken out.
    pub(super) removed: Vec<HeaderName>,
    /// Set beside what the application says.
    pub(super) appended: Vec<(HeaderName, HeaderValue)>,
    /// Whether browsers are asked for reports.
    pub(super) reports: bool,
}

pub(super) fn content(raw: &RawCsp, stage: Rollout, faults: &mut Faulty<'_>) -> Option<Content> {
    let enforce = policy(&raw.enforce, faults);
    let observe = policy(&raw.observe, faults);
    let (enforce, observe) = (enforce?, observe?);
    let mut content = Content { reports: !observe.is_empty(), ..Content::default() };
    let name = match stage {
        Rollout::Enforce => CONTENT_SECURITY_POLICY,
        Rollout::Observe => CONTENT_SECURITY_POLICY_REPORT_ONLY,
    };
    content.reports |= stage == Rollout::Observe && !enforce.is_empty();
    for (name, policy) in [(name, enforce), (CONTENT_SECURITY_POLICY_REPORT_ONLY, observe)] {
        if !policy.is_empty() {
            content.appended.push((name, reported(policy, content.reports)?));
        }
    }
    if content.reports {
        let endpoint = HeaderValue::try_from(format!("anteroom=\"{REPORTS}\"")).ok()?;
        content.appended.push((HeaderName::from_static("reporting-endpoints"), endpoint));
    }
    // While the policy is observed, nothing of ours may stop a frame: the application's own word counts.
    if stage == Rollout::Enforce {
        match framing(enforce) {
            Framing::Nobody => content.replaced.push((X_FRAME_OPTIONS, HeaderValue::from_static("DENY"))),
            Framing::Own => content.replaced.push((X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"))),
            // It has no word for a list (RFC 7034), and browsers that know `frame-ancestors` pass over it.
            Framing::Others => content.removed.push(X_FRAME_OPTIONS),
        }
    }
    Some(content)
}

/// One policy, on one line.
fn policy<'r>(written: &'r Spanned<String>, faults: &mut Faulty<'_>) -> Option<&'r str> {
    let text = written.value.trim();
    if text.bytes().any(|byte| !byte.is_ascii() || byte.is_ascii_control()) {
        let hint = "write it on one line, in ASCII";
        faults.at(written.span, "header", "this cannot be the value of a header", hint);
        return None;
    }
    if text.contains(',') {
        let hint = "directives have `;` between them, and the words of one have spaces";
        faults.at(written.span, "header", "a `,` begins a second policy, and both would hold", hint);
        return None;
    }
    Some(text)
}

/// A directive of a policy: its name, and what it says.
fn directives(policy: &str) -> impl Iterator<Item = (&str, &str)> {
    let each = policy.split(';').map(str::trim).filter(|one| !one.is_empty());
    each.map(|one| one.split_once(|blank: char| blank.is_ascii_whitespace()).unwrap_or((one, "")))
}

/// The policy with the place that its reports go to, unless it names one by itself.
fn reported(policy: &str, reports: bool) -> Option<HeaderValue> {
    let own = |name: &str| name.eq_ignore_ascii_case("report-uri") || name.eq_ignore_ascii_case("report-to");
    if !reports || directives(policy).any(|(name, _)| own(name)) {
        return HeaderValue::from_str(policy).ok();
    }
    let policy = policy.trim_end_matches([';', ' ']);
    // Older browsers know the first only; those that know the second pass over the first.
    HeaderValue::try_from(format!("{policy}; report-uri {REPORTS}; report-to anteroom")).ok()
}

/// Who may show our pages in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Nobody,
    Own,
    Others,
}

/// What a policy says of frames. One that says nothing of them leaves the strict word.
fn framing(policy: &str) -> Framing {
    // Of a directive that stands twice the first counts (CSP 3, section 2.2.1).
    let found = directives(policy).find(|(name, _)| name.eq_ignore_ascii_case("frame-ancestors"));
    let Some((_, sources)) = found else { return Framing::Nobody };
    let mut sources = sources.split_ascii_whitespace();
    match (sources.next(), sources.next()) {
        (None, _) => Framing::Nobody,
        (Some(one), None) if one.eq_ignore_ascii_case("'none'") => Framing::Nobody,
        (Some(one), None) if one.eq_ignore_ascii_case("'self'") => Framing::Own,
        (Some(_), _) => Framing::Others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_browsers_read_them() {
        for (policy, expected) in [
            ("", Framing::Nobody),
            ("default-src 'self'", Framing::Nobody),
            ("frame-ancestors", Framing::Nobody),
            ("Frame-Ancestors 'NONE'", Framing::Nobody),
            ("default-src 'self';frame-ancestors\t'self' ;", Framing::Own),
            ("frame-ancestors 'self'; frame-ancestors 'none'", Framing::Own),
            ("frame-ancestors 'self' https://portal.example", Framing::Others),
            ("frame-ancestors https://portal.example", Framing::Others),
            ("x-frame-ancestors 'self'", Framing::Nobody),
        ] {
            assert_eq!(framing(policy), expected, "{policy}");
        }
    }

    #[test]
    fn a_policy_that_names_a_place_for_reports_keeps_it() {
        assert_eq!(reported("script-src 'self'; ", false).unwrap(), "script-src 'self'; ");
        let ours = "script-src 'self'; report-uri /.anteroom/csp-report; report-to anteroom";
        assert_eq!(reported("script-src 'self'; ", true).unwrap(), ours);
        for own in ["script-src 'self'; report-uri /csp", "Report-To mine; script-src 'self'"] {
            assert_eq!(reported(own, true).unwrap(), own);
        }
    }
}
