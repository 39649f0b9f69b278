//! The ready-made requests: one for each way in, and one for each way in which somebody is kept out.
//!
//! Each says what it expects, so that a script can check the gate with nothing but this list. It decides nothing: the
//! expectations are the policy of `assets/policies/clinic.yaml` in words.

use serde_json::{Map, Value, json};

use super::error::DemoError;
use super::idp::COOKIE;
use super::personas::{
    ADMIN, ADMIN_PASSWORD, FRONT_DESK, NO_CLINIC, OTHER_CLINIC, PATIENT, PROVIDER, REVOKED, TWO_CLINICS, persona,
};
use super::token::{Issuer, Lie};

/// The question that a try puts to the gate: a heading on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    In,
    Who,
    Clinic,
    May,
    Clear,
    App,
}

impl Group {
    pub(super) const ALL: [Group; 6] = [Group::In, Group::Who, Group::Clinic, Group::May, Group::Clear, Group::App];

    pub(super) fn title(self) -> &'static str {
        match self {
            Group::In => "Let in",
            Group::Who => "Who is asking?",
            Group::Clinic => "For which clinic?",
            Group::May => "May they do that?",
            Group::Clear => "Is it one clear request?",
            Group::App => "Is the application there?",
        }
    }
}

/// What the gate answers: a status, and a reason code where it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expect {
    pub(super) status: u16,
    pub(super) code: Option<&'static str>,
}

/// One ready-made request.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) group: Group,
    /// Whose token goes with it, in `Authorization`.
    pub(super) persona: Option<&'static str>,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Further headers, names in lower case.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
    /// How often it is sent in a row; the last answer counts.
    pub(super) repeat: u8,
    pub(super) expect: Expect,
    /// Whether the terminal shows it too.
    pub(super) printed: bool,
}

impl Try {
    fn get(group: Group, name: &'static str, persona: Option<&'static str>, path: &'static str) -> Self {
        let expect = Expect { status: 200, code: None };
        let (title, method) = ("", "GET");
        let (headers, body, repeat, printed) = (Vec::new(), None, 1, false);
        Self { name, title, group, persona, method, path, headers, body, repeat, expect, printed }
    }

    fn title(self, title: &'static str) -> Self {
        Self { title, ..self }
    }

    fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn note(self, text: &str) -> Self {
        let body = json!({ "note": text }).to_string();
        Self { method: "POST", body: Some(body), ..self }.header("content-type", "application/json")
    }

    fn answers(self, status: u16) -> Self {
        Self { expect: Expect { status, code: None }, ..self }
    }

    fn refused(self, status: u16, code: &'static str) -> Self {
        Self { expect: Expect { status, code: Some(code) }, ..self }
    }

    fn times(self, repeat: u8) -> Self {
        Self { repeat, ..self }
    }

    fn printed(self) -> Self {
        Self { printed: true, ..self }
    }

    /// The form of `--json`.
    pub(super) fn to_json(&self) -> Value {
        let headers: Map<String, Value> =
            self.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "name": self.name, "persona": self.persona, "method": self.method, "path": self.path,
            "headers": headers, "body": self.body, "repeat": self.repeat,
            "expect": { "status": self.expect.status, "code": self.expect.code },
        })
    }
}

/// All tries, with tokens that `issuer` signed at `now` (Unix seconds), or seems to have signed.
pub(super) fn all(issuer: &Issuer, now: u64) -> Result<Vec<Try>, DemoError> {
    let mut tries = let_in(issuer, now)?;
    tries.extend(who(issuer, now)?);
    tries.extend(which_clinic());
    tries.extend(may_they());
    tries.extend(one_clear_request());
    tries.push(
        Try::get(Group::App, "app-down", Some(PROVIDER), "/crash")
            .title("the application dies in the middle of it")
            .refused(502, "APP_DOWN")
            .printed(),
    );
    Ok(tries)
}

fn let_in(issuer: &Issuer, now: u64) -> Result<Vec<Try>, DemoError> {
    let get = |name, persona, path| Try::get(Group::In, name, persona, path);
    let ada = persona(PROVIDER).map(|ada| issuer.token(ada, now)).transpose()?.unwrap_or_default();
    Ok(vec![
        get("public-page", None, "/").title("the public page, by anybody"),
        get("list-patients", Some(PROVIDER), "/api/patients").title("a clinician lists her patients").printed(),
        get("read-record", Some(PROVIDER), "/api/patients/p-101/records/1").title("a clinician reads a record"),
        get("write-record", Some(PROVIDER), "/api/patients/p-103/records")
            .title("a clinician writes a record")
            .note("Seen again. Values still suspiciously normal.")
            .answers(201),
        get("sign-prescription", Some(PROVIDER), "/api/prescriptions/rx-1/sign")
            .title("a clinician signs a prescription")
            .method("POST"),
        get("own-record", Some(PATIENT), "/api/patients/p-101/records")
            .title("a patient reads her own record")
            .printed(),
        get("list-users", Some(ADMIN), "/api/users").title("an administrator lists the accounts"),
        get("session-cookie", None, "/patients")
            .title("a browser with a session cookie opens the list")
            .header("cookie", format!("{COOKIE}={ada}")),
        get("spoofed-identity", Some(PROVIDER), "/debug/headers")
            .title("forged identity headers are replaced by the true ones")
            .header("x-tenant-id", "hillside")
            .header("x-user-id", "clinic|root")
            .header("x-user-roles", "admin")
            .printed(),
    ])
}

fn who(issuer: &Issuer, now: u64) -> Result<Vec<Try>, DemoError> {
    let get = |name| Try::get(Group::Who, name, None, "/api/patients");
    let invalid = |name, title, lie| -> Result<Try, DemoError> {
        Ok(get(name).title(title).header("authorization", bearer(issuer, lie, now)?).refused(401, "TOKEN_INVALID"))
    };
    let ada = persona(PROVIDER).map(|ada| issuer.token(ada, now)).transpose()?.unwrap_or_default();
    Ok(vec![
        get("no-credential").title("no token at all").refused(401, "NO_CREDENTIAL").printed(),
        get("garbage-token")
            .title("a token that is none")
            .header("authorization", "Bearer not.a.token")
            .refused(401, "TOKEN_INVALID"),
        invalid("forged-signature", "signed with somebody else's key", Lie::ForeignKey)?.printed(),
        invalid("altered-claims", "made itself an administrator after signing", Lie::Altered)?,
        invalid("wrong-audience", "issued for another application", Lie::Audience)?,
        invalid("wrong-issuer", "issued by somebody else", Lie::Issuer)?,
        invalid("alg-none", "`alg: none`, no signature", Lie::NoAlgorithm)?.printed(),
        invalid("hs256-public-key", "HS256, with the public key as the secret", Lie::PublicKeyAsSecret)?,
        get("expired-token")
            .title("a token from yesterday")
            .header("authorization", bearer(issuer, Lie::Expired, now)?)
            .refused(401, "TOKEN_EXPIRED")
            .printed(),
        Try::get(Group::Who, "revoked", Some(REVOKED), "/api/patients")
            .title("a good token of somebody who has left")
            .refused(401, "SESSION_ENDED")
            .printed(),
        Try::get(Group::Who, "script-without-session", None, "/api/patients")
            .title("a script of a page, without a session: told so, and sent nowhere")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-dest", "empty")
            .header("sec-fetch-site", "same-origin")
            .refused(401, "NO_CREDENTIAL"),
        Try::get(Group::Who, "no-second-factor", Some(ADMIN_PASSWORD), "/api/users")
            .title("an administrator with a password alone")
            .refused(401, "STEP_UP")
            .printed(),
        Try::get(Group::Who, "stale-factors", None, "/api/prescriptions/rx-1/sign")
            .title("signing with a second factor from yesterday")
            .method("POST")
            .header("authorization", bearer(issuer, Lie::StaleFactors, now)?)
            .refused(401, "STEP_UP"),
        Try::get(Group::Who, "cross-site", None, "/api/prescriptions/rx-1/sign")
            .title("a page of another site signs with a clinician's cookie")
            .method("POST")
            .header("cookie", format!("{COOKIE}={ada}"))
            .header("origin", "https://prizes.example")
            .refused(403, "CROSS_SITE"),
    ])
}

fn bearer(issuer: &Issuer, lie: Lie, now: u64) -> Result<String, DemoError> {
    let token = persona(PROVIDER).map(|ada| issuer.lie(lie, ada, now)).transpose()?.unwrap_or_default();
    Ok(format!("Bearer {token}"))
}

fn which_clinic() -> Vec<Try> {
    let get = |name, persona, path| Try::get(Group::Clinic, name, Some(persona), path);
    vec![
        get("other-clinic-path", PROVIDER, "/api/clinics/hillside/patients")
            .title("another clinic's list, named in the address")
            .refused(403, "TENANT_MISMATCH")
            .printed(),
        get("other-clinic-header", PROVIDER, "/api/patients/p-101/records")
            .title("another clinic, named in a header")
            .header("x-clinic", "hillside")
            .refused(403, "TENANT_MISMATCH"),
        get("other-clinic-guess", PROVIDER, "/api/patients/p-201")
            .title("a guessed number of the other clinic: let through, and the application finds nothing")
            .answers(404),
        get("two-clinics", TWO_CLINICS, "/api/clinics/hillside/patients")
            .title("somebody of two clinics lists one, named in the address"),
        get("two-clinics-none-named", TWO_CLINICS, "/api/patients")
            .title("somebody of two clinics, who names none")
            .refused(403, "NO_TENANT"),
        get("no-clinic", NO_CLINIC, "/api/patients")
            .title("a valid token that names no clinic")
            .refused(403, "NO_TENANT")
            .printed(),
    ]
}

fn may_they() -> Vec<Try> {
    let get = |name, persona, path| Try::get(Group::May, name, Some(persona), path);
    vec![
        get("front-desk-writes", FRONT_DESK, "/api/patients/p-101/records")
            .title("the front desk writes a record")
            .note("May I?")
            .refused(403, "NOT_GRANTED")
            .printed(),
        get("two-clinics-writes", TWO_CLINICS, "/api/patients/p-201/records")
            .title("a clinician of one clinic writes in the other, where she is at the front desk")
            .header("x-clinic", "hillside")
            .note("May I here?")
            .refused(403, "NOT_GRANTED"),
        get("provider-lists-users", PROVIDER, "/api/users")
            .title("a clinician lists the accounts")
            .refused(403, "NOT_GRANTED"),
        get("patient-lists-patients", PATIENT, "/api/patients")
            .title("a patient lists all patients")
            .refused(403, "NOT_GRANTED"),
        get("other-persons-record", PATIENT, "/api/patients/p-102/records")
            .title("a patient reads somebody else's record")
            .refused(403, "NOT_OWN")
            .printed(),
        get("sign-without-licence", OTHER_CLINIC, "/api/prescriptions/rx-3/sign")
            .title("signing a prescription without a licence")
            .method("POST")
            .refused(403, "CONDITION")
            .printed(),
        get("too-often", ADMIN, "/api/reports/monthly")
            .title("the fourth report within a minute")
            .times(4)
            .refused(429, "LIMITED")
            .printed(),
    ]
}

fn one_clear_request() -> Vec<Try> {
    let get = |name, persona, path| Try::get(Group::Clear, name, persona, path);
    // Escaped slashes rather than plain dots: many clients tidy `/../` up before they send it.
    vec![
        get("no-route", None, "/debug/error")
            .title("the debug page that nobody took away")
            .refused(404, "NO_ROUTE")
            .printed(),
        get("wrong-method", Some(PROVIDER), "/api/patients")
            .title("a method that no rule names")
            .method("DELETE")
            .refused(405, "METHOD_NOT_ALLOWED")
            .printed(),
        get("climbing-path", Some(PROVIDER), "/static/..%2F..%2Fapi%2Fusers")
            .title("out of the public folder by `..%2F`")
            .refused(400, "BAD_PATH")
            .printed(),
        get("encoded-slash", Some(PROVIDER), "/api/patients/p-101%2Frecords")
            .title("a slash in disguise")
            .refused(400, "BAD_PATH"),
        get("double-encoding", Some(PROVIDER), "/api/patients/p-101%252Frecords")
            .title("a slash in two disguises")
            .refused(400, "BAD_PATH"),
        get("wrong-host", Some(PROVIDER), "/api/patients")
            .title("another host's name")
            .header("host", "elsewhere.example")
            .refused(400, "BAD_HOST"),
        get("too-large", Some(PROVIDER), "/api/patients/p-101/records")
            .title("a note of five kilobytes, where four are the limit")
            .note(&"la ".repeat(1_700))
            .refused(413, "TOO_LARGE"),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn tries() -> Vec<Try> {
        let issuer = Issuer::generate("https://localhost:1".to_owned()).unwrap();
        all(&issuer, 4_000_000_000).unwrap()
    }

    #[test]
    fn each_try_is_whole() {
        let mut names = BTreeSet::new();
        for one in tries() {
            assert!(names.insert(one.name), "{} twice", one.name);
            assert!(!one.title.is_empty() && one.path.starts_with('/'), "{}", one.name);
            assert!(one.persona.is_none_or(|key| persona(key).is_some()), "{}", one.name);
            assert!((1..=4).contains(&one.repeat));
            assert_eq!(
                one.expect.status < 400 || one.name == "other-clinic-guess",
                one.expect.code.is_none(),
                "{}",
                one.name
            );
            assert!(one.headers.iter().all(|(name, _)| *name == name.to_lowercase()));
        }
    }

    #[test]
    fn every_reason_that_this_gate_knows_is_shown() {
        let shown: BTreeSet<&str> = tries().iter().filter_map(|one| one.expect.code).collect();
        let codes = [
            "APP_DOWN",
            "BAD_HOST",
            "BAD_PATH",
            "CONDITION",
            "CROSS_SITE",
            "LIMITED",
            "METHOD_NOT_ALLOWED",
            "NOT_GRANTED",
            "NOT_OWN",
            "NO_CREDENTIAL",
            "NO_ROUTE",
            "NO_TENANT",
            "SESSION_ENDED",
            "STEP_UP",
            "TENANT_MISMATCH",
            "TOKEN_EXPIRED",
            "TOKEN_INVALID",
            "TOO_LARGE",
        ];
        assert_eq!(shown.into_iter().collect::<Vec<_>>(), codes);
    }

    #[test]
    fn the_json_form_has_the_promised_keys() {
        for one in tries() {
            let json = one.to_json();
            let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["name", "persona", "method", "path", "headers", "body", "repeat", "expect"]);
            assert!(json["headers"].is_object());
        }
    }
}
