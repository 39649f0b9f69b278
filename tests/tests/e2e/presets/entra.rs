//! Microsoft Entra ID: two versions, one directory, and groups that do not fit.

use serde_json::{Value, json};

use super::{NOW, Proved, Proves, Refused, Row};

const DIRECTORY: &str = "11111111-2222-3333-4444-555555555555";
const OTHER: &str = "99999999-2222-3333-4444-555555555555";
pub(super) const KEYS: &str = "preset: entra
issuer: https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0
audience: [aaaaaaaa-0000-0000-0000-000000000001]
acr: { mfa: [c1], phishing_resistant: [c2] }";

pub(super) fn good() -> Value {
    json!({
        "iss": format!("https://login.microsoftonline.com/{DIRECTORY}/v2.0"), "aud": "aaaaaaaa-0000-0000-0000-000000000001",
        "sub": "ada", "oid": "o1", "tid": DIRECTORY, "ver": "2.0", "azp": "web", "azpacr": "0", "scp": "records",
        "roles": ["provider"], "sid": "s1", "uti": "u1",
    })
}

fn believed() -> Proved {
    Proved { tenant: Some(DIRECTORY), roles: vec!["provider"], session: Some("s1"), ..Proved::default() }
}

fn two() -> Proved {
    Proved { two: Some(None), ..believed() }
}

#[test]
fn entra_is_believed_for_what_it_says() {
    Row::new(KEYS, good()).holds(vec![
        ("an access token of version 2", json!({}), Proves(believed())),
        ("a context that was met", json!({ "acrs": ["c1"] }), Proves(two())),
        ("one of several contexts", json!({ "acrs": ["c9", "c1"] }), Proves(two())),
        (
            "the stricter of two contexts",
            json!({ "acrs": ["c1", "c2"] }),
            Proves(Proved { unphishable: true, ..two() }),
        ),
        ("a context that is not listed", json!({ "acrs": ["c9"] }), Proves(believed())),
        ("contexts that are no list", json!({ "acrs": "c1" }), Proves(believed())),
        ("contexts that are not all texts", json!({ "acrs": ["c1", 1] }), Proves(believed())),
        ("`acr` of 1 is no second factor", json!({ "acr": "1" }), Proves(believed())),
        ("what the client can do is no factor", json!({ "xms_cc": ["cp1"] }), Proves(believed())),
        (
            "a time that is asked for",
            json!({ "acrs": ["c1"], "auth_time": NOW - 9 }),
            Proves(Proved { two: Some(Some(NOW - 9)), signed_in: Some(NOW - 9), ..believed() }),
        ),
        ("an ID token: no `scp`", json!({ "scp": null, "azpacr": null }), Refused("ID token")),
        ("an ID token, by its nonce", json!({ "nonce": "n" }), Refused("ID token")),
        ("another directory, signed by the same keys", json!({ "tid": OTHER }), Refused("`tid`")),
        (
            "another directory's issuer",
            json!({ "iss": format!("https://login.microsoftonline.com/{OTHER}/v2.0"), "tid": OTHER }),
            Refused("`iss`"),
        ),
        ("version 1 under the issuer of version 2", json!({ "ver": "1.0" }), Refused("`ver`")),
        (
            "the issuer of version 1",
            json!({ "iss": format!("https://sts.windows.net/{DIRECTORY}/"), "ver": "1.0" }),
            Refused("`iss`"),
        ),
        ("no version", json!({ "ver": null }), Refused("`ver`")),
        ("another API", json!({ "aud": "00000003-0000-0000-c000-000000000000" }), Refused("`aud`")),
        ("a token for a key of its own", json!({ "cnf": { "kid": "k" } }), Refused("`cnf`")),
        ("a name that changes is nobody", json!({ "sub": null, "upn": "ada@clinic.example" }), Refused("`sub`")),
        (
            "groups are no roles where `roles` are",
            json!({ "roles": null, "groups": ["g1"] }),
            Proves(Proved { roles: vec![], ..believed() }),
        ),
    ]);
}

#[test]
fn entra_proves_no_role_by_groups_that_stand_elsewhere() {
    let row = Row::new(&format!("{KEYS}\nclaims: {{ roles: groups }}"), good());
    let groups = Proved { roles: vec!["g1"], ..believed() };
    let none = || Proved { roles: vec![], ..believed() };
    row.holds(vec![
        ("groups that fit", json!({ "groups": ["g1"] }), Proves(groups)),
        (
            "too many, said by a place",
            json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": {} } }),
            Proves(none()),
        ),
        (
            "too many, and some all the same",
            json!({ "groups": ["g1"], "_claim_names": { "groups": "src1" } }),
            Proves(none()),
        ),
        ("too many, said by a word", json!({ "groups": ["g1"], "hasgroups": true }), Proves(none())),
        (
            "too many, said by a word of the wrong form",
            json!({ "groups": ["g1"], "hasgroups": "true" }),
            Proves(none()),
        ),
    ]);
}

#[test]
fn entra_proves_no_binding_by_groups_that_stand_elsewhere() {
    let nobody = || Proved { tenant: None, roles: vec![], ..believed() };
    Row::new(&format!("{KEYS}\nclaims: {{ bindings: groups }}"), good()).holds(vec![
        (
            "groups that fit",
            json!({ "groups": ["clinic-a:provider"] }),
            Proves(Proved { tenant: Some("clinic-a"), roles: vec!["provider"], ..believed() }),
        ),
        (
            "too many, and some all the same",
            json!({ "groups": ["clinic-a:provider"], "_claim_names": { "groups": "src1" } }),
            Proves(nobody()),
        ),
        ("too many, said by a word", json!({ "groups": ["clinic-a:provider"], "hasgroups": true }), Proves(nobody())),
    ]);
}

#[test]
fn entra_of_version_1_says_methods() {
    let keys = "preset: entra\nissuer: https://sts.windows.net/11111111-2222-3333-4444-555555555555/\naudience: [\"api://clinic\"]";
    let good = json!({
        "iss": format!("https://sts.windows.net/{DIRECTORY}/"), "aud": "api://clinic", "sub": "ada", "tid": DIRECTORY,
        "ver": "1.0", "appid": "web", "appidacr": "0", "scp": "records", "acr": "1", "amr": ["pwd", "mfa"], "roles": ["provider"],
        "sid": "s1",
    });
    Row::new(keys, good).holds(vec![
        ("`mfa` in `amr`", json!({}), Proves(two())),
        ("a password alone", json!({ "amr": ["pwd"] }), Proves(believed())),
        ("a device that Windows signed in", json!({ "amr": ["wia"] }), Proves(believed())),
        ("a certificate alone", json!({ "amr": ["rsa"] }), Proves(believed())),
        ("no methods", json!({ "amr": null }), Proves(believed())),
    ]);
}
