//! Each preset, as its configuration makes it: good tokens, and what looks like one.
//!
//! A row is a provider as it would be written, the claims of a good token, and what they prove; a case changes some of the
//! claims and says what comes of it. Everything but the algorithm and the place of the keys is as the preset fills it in; its
//! algorithms have rows of their own.

mod algorithms;
mod auth0;
mod bindings;
mod clerk;
mod cognito;
mod configuration;
mod entra;
mod firebase;
mod keycloak;
mod login;
mod okta;
mod requests;
mod step_up;
mod supabase;

use anteroom::authn;
use e2e::gate::{Files, Setup};
use policy::Principal;
use serde_json::{Map, Value, json};

/// The time of every case, in Unix seconds.
const NOW: u64 = 1_795_000_000;

/// A provider, and the claims of a good token of it.
struct Row {
    files: Files,
    good: Value,
    judge: authn::Provider,
}

/// What a token proves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Proved {
    tenant: Option<&'static str>,
    roles: Vec<&'static str>,
    /// More tenants, each with its roles.
    besides: Vec<(&'static str, Vec<&'static str>)>,
    /// Whether there are two factors, and when they were shown.
    two: Option<Option<u64>>,
    unphishable: bool,
    signed_in: Option<u64>,
    session: Option<&'static str>,
}

/// What comes of a token.
#[derive(Debug)]
enum Comes {
    Proves(Proved),
    /// The code, and a part of the reason in the log.
    Refused(&'static str),
}

use Comes::{Proves, Refused};

impl Row {
    /// The provider `keys` (YAML, one key a line), and the claims of a good token.
    fn new(keys: &str, good: Value) -> Self {
        Self::written(&format!("{keys}\n{OURS}"), good)
    }

    /// The same, with nothing beside `keys`.
    fn written(keys: &str, good: Value) -> Self {
        let lines: Vec<String> =
            keys.lines().filter(|line| !line.is_empty()).map(|line| format!("    {line}")).collect();
        let provider = format!("tenant: a\n  row:\n{}{}", lines.join("\n"), any_tenant(keys));
        let files = Files::write(&Setup { provider, ..Setup::default() }, "127.0.0.1:9".parse().unwrap());
        let plan = anteroom::config::prepare(&files.path("config.yaml"))
            .unwrap_or_else(|faults| panic!("{}", policy::render(&faults.diagnostics, &faults.sources, false)));
        let judge = plan.runtime.providers.into_iter().find(|one| one.authn.name() == "row").unwrap().authn;
        Self { files, good, judge }
    }

    /// The same provider as the judge of ID tokens that the gate has fetched as `client`.
    fn of_login(self, client: &str) -> Self {
        Self { judge: self.judge.of_login(client), ..self }
    }

    /// The claims of the good token with these changes; `null` takes one away.
    fn claims(&self, changes: &Value) -> Map<String, Value> {
        let mut claims: Map<String, Value> = self.good.as_object().unwrap().clone();
        claims.entry("exp").or_insert(json!(NOW + 60));
        claims.entry("iat").or_insert(json!(NOW));
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        claims
    }

    /// What a token proves with the claims that these changes make of the good ones.
    fn judged(&self, changes: &Value) -> Result<Principal, String> {
        let key = &self.files.issuer.key;
        let token = key.sign(key.kid(), &self.claims(changes)).unwrap();
        let set = authn::KeySet::from_jwks(key.key_set().to_string().as_bytes()).unwrap();
        self.verdict(&token, &set)
    }

    /// What a token proves by these keys.
    fn verdict(&self, token: &str, keys: &authn::KeySet) -> Result<Principal, String> {
        authn::verify(token, &self.judge, keys, NOW)
            .and_then(|token| authn::principal(&token, &self.judge))
            .map_err(|fault| format!("{} {fault}", fault.code()))
    }

    /// Holds each case to what is said of it.
    fn holds(&self, cases: Vec<(&str, Value, Comes)>) {
        for (says, changes, comes) in cases {
            match (self.judged(&changes), comes) {
                (Ok(principal), Proves(expected)) => assert_eq!(proved(&principal), shown(&expected), "{says}"),
                (Err(reason), Refused(part)) => {
                    assert!(reason.contains(part), "{says}: {reason}");
                    assert!(reason.starts_with("TOKEN_INVALID"), "{says}: {reason}");
                }
                (came, expected) => panic!("{says}: {came:?}, not {expected:?}"),
            }
        }
    }
}

/// What a provider beside another one has to say where a test says nothing of its tenants.
fn any_tenant(keys: &str) -> &'static str {
    let is_said = keys.lines().any(|line| line.starts_with("tenant: ") || line.starts_with("tenants: "));
    if is_said { "" } else { "\n    tenants: any" }
}

/// What no preset can know of a test: a key of its own, and the algorithm of that key.
const OURS: &str = "jwks: { file: jwks.json }\nalgorithms: [ES256]";

/// What a principal proves, as text, in the order of [`Proved`].
fn proved(principal: &Principal) -> [String; 5] {
    let factors = &principal.factors;
    let two = factors.are_two().then_some(factors.at);
    let bindings: Vec<_> = principal.bindings.iter().map(|one| (one.tenant().as_str(), one.roles())).collect();
    [
        format!("{bindings:?}"),
        format!("{two:?}"),
        factors.resist_phishing().to_string(),
        format!("{:?}", principal.sign_in.at),
        format!("{:?}", principal.sign_in.session),
    ]
}

fn shown(expected: &Proved) -> [String; 5] {
    let mut bindings: Vec<_> = expected.tenant.map(|tenant| (tenant, expected.roles.clone())).into_iter().collect();
    bindings.extend(expected.besides.clone());
    [
        format!("{bindings:?}"),
        format!("{:?}", expected.two),
        expected.unphishable.to_string(),
        format!("{:?}", expected.signed_in),
        format!("{:?}", expected.session),
    ]
}
