//! One admission review: a pod that is to be created, and what becomes of it.
//!
//! Decides what counts as a question of the API server (`admission.k8s.io/v1`, CREATE of a pod), and the form of the answer.
//! A pod that asks for the sidecar and cannot have it is refused with the reason; whatever is no such question is answered
//! with an error, which the API server takes for a refusal (`failurePolicy: Fail`). It knows no socket and no clock, keeps
//! nothing between two questions, and does the same for a trial run (`dryRun`) and for a question that is asked again.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::patch;

/// The longest request that is read, in bytes: etcd takes objects of 1.5 MiB.
pub(super) const LONGEST: usize = 2 * 1024 * 1024;
/// The most values that one may hold, counted by the signs that part them: a pod has some hundreds, and each takes up many
/// times its bytes once it is read.
const PIECES: usize = 100_000;
/// The longest id of a question, in bytes; the API server's have 36.
const LONGEST_UID: usize = 128;
/// The most warnings of an answer, and the longest text of one, in characters: the API server cuts there.
const WARNINGS: usize = 8;
const LONGEST_TEXT: usize = 240;
/// The one version of the form.
const VERSION: &str = "admission.k8s.io/v1";

/// What is to become of a pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Judged {
    /// It has not asked for the sidecar, or has it already.
    Untouched,
    /// This is the pod with the sidecar; the warnings are for whoever created it.
    Injected { pod: Value, warnings: Vec<String> },
    /// It asked for the sidecar and cannot have it.
    Refused(String),
}

/// What came of a question, for metrics and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Untouched,
    Injected,
    Refused,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) outcome: Outcome,
    /// The id of the question, fit for the log.
    pub(super) uid: String,
    /// Why it was refused.
    pub(super) reason: Option<String>,
    /// The whole answer as JSON.
    pub(super) body: Vec<u8>,
}

/// Why something is no question. `Display` is fit for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    NotAReview,
    TooManyPieces,
    Version,
    NoRequest,
    Uid,
    NotCreated,
    NotAPod,
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Malformed::NotAReview => "this is no AdmissionReview",
            Malformed::TooManyPieces => "this holds more values than any pod has",
            Malformed::Version => "only `admission.k8s.io/v1` is spoken",
            Malformed::NoRequest => "the review holds no request",
            Malformed::Uid => "the request has no usable `uid`",
            Malformed::NotCreated => "only CREATE is asked for by the webhook's rules",
            Malformed::NotAPod => "only pods are asked for by the webhook's rules",
        })
    }
}

/// A question as it is written; the fields that nothing hangs on are not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: Option<Asked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    uid: String,
    kind: Kind,
    #[serde(default)]
    sub_resource: String,
    operation: String,
    #[serde(default)]
    object: Value,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    group: String,
    version: String,
    kind: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
}

/// Answers a question; `judge` says what is to become of the pod.
///
/// # Errors
/// Where it is none.
pub(super) fn answer(body: &[u8], judge: impl FnOnce(&Value) -> Judged) -> Result<Answered, Malformed> {
    if body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > PIECES {
        return Err(Malformed::TooManyPieces);
    }
    let review: Review = serde_json::from_slice(body).map_err(|_| Malformed::NotAReview)?;
    if review.kind != "AdmissionReview" {
        return Err(Malformed::NotAReview);
    }
    if review.api_version != VERSION {
        return Err(Malformed::Version);
    }
    let asked = review.request.ok_or(Malformed::NoRequest)?;
    if !(1..=LONGEST_UID).contains(&asked.uid.len()) || !asked.uid.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Malformed::Uid);
    }
    if asked.operation != "CREATE" || !asked.sub_resource.is_empty() {
        return Err(Malformed::NotCreated);
    }
    let kind = (asked.kind.group.as_str(), asked.kind.version.as_str(), asked.kind.kind.as_str());
    if kind != ("", "v1", "Pod") || !asked.object.is_object() {
        return Err(Malformed::NotAPod);
    }
    Ok(decided(asked.uid, &asked.object, judge(&asked.object)))
}

fn decided(uid: String, pod: &Value, judged: Judged) -> Answered {
    match judged {
        Judged::Untouched => told(uid, Outcome::Untouched, None, Vec::new(), None),
        Judged::Injected { pod: after, warnings } => {
            let patch = patch::between(pod, &after).and_then(|patch| serde_json::to_vec(&patch).ok());
            match patch {
                Some(patch) => told(uid, Outcome::Injected, Some(patch), warnings, None),
                None => refused(uid, "the change cannot be written as a patch: a fault of the injector"),
            }
        }
        Judged::Refused(reason) => refused(uid, &reason),
    }
}

fn refused(uid: String, reason: &str) -> Answered {
    let reason = format!("anteroom cannot be injected: {}", plain(reason));
    told(uid, Outcome::Refused, None, Vec::new(), Some(reason))
}

fn told(
    uid: String,
    outcome: Outcome,
    patch: Option<Vec<u8>>,
    warnings: Vec<String>,
    reason: Option<String>,
) -> Answered {
    let response = Response {
        uid: &uid,
        allowed: reason.is_none(),
        patch_type: patch.is_some().then_some("JSONPatch"),
        patch: patch.map(|patch| STANDARD.encode(patch)),
        status: reason.as_deref().map(|message| Status { code: 403, reason: "Forbidden", message }),
        warnings: warnings.iter().take(WARNINGS).map(|one| format!("anteroom: {}", plain(one))).collect(),
    };
    // An answer of strings and numbers can always be written; were it not, nothing is an error to the API server.
    let body =
        serde_json::to_vec(&Answer { api_version: VERSION, kind: "AdmissionReview", response }).unwrap_or_default();
    Answered { outcome, uid, reason, body }
}

/// One line of text that fits: names from the pod may stand in it.
fn plain(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(LONGEST_TEXT).collect()
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
