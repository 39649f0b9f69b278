//! How a token shows factors, provider by provider, in one answer: which, and when.
//!
//! Decides by a closed list of rules. What a rule does not know for certain is no: a method without a name of its own, a time
//! that is missing, a form that the provider does not document. A time that is there and is none makes the token invalid: who
//! shows no time is held to none, so nobody may get there by a time that cannot be read. A time is never later than the truth: where a provider tells
//! it by the minute, the earliest moment of that minute counts. `iat` is when a token was made, and no proof of anything; only the
//! minutes of Clerk, which were counted then, are counted back from it.

use policy::{Factors, Vouched};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claim_map::ClaimPath;
use super::claims::name;
use super::fault::TokenFault;
use super::jwt::MAX_TIME;
use super::provider::Provider;

/// The most methods or contexts that are read; RFC 8176 names about twenty.
pub(super) const MAX_METHODS: usize = 32;
/// Supabase's names of second factors.
const SUPABASE_SECOND: [&str; 3] = ["totp", "mfa/phone", WEBAUTHN];
/// The one of them that cannot be phished: a browser signs for the page's own origin only.
const WEBAUTHN: &str = "mfa/webauthn";
/// What else at Supabase is a person who signs in. `token_refresh` is not: nobody need be there.
const SUPABASE_FIRST: [&str; 12] = [
    "password",
    "otp",
    "oauth",
    "sso/saml",
    "magiclink",
    "email/signup",
    "email_change",
    "invite",
    "recovery",
    "web3",
    "webauthn",
    "passkey",
];
/// The word of RFC 8176 for two factors by the provider's word.
const TWO: &str = "mfa";

/// How a provider's tokens show factors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FactorRule {
    /// By `amr` (RFC 8176), the values of `acr` that are listed, and `auth_time`.
    #[default]
    Standard,
    /// By `fva` of Clerk: two numbers of minutes. The second one counts, and is there: `-1` is never.
    Clerk,
    /// By `aal` of Supabase with a second factor in `amr`, and that factor's time.
    Supabase,
    /// As `standard`, and by the authentication contexts in `acrs` of Entra.
    Entra,
    /// By `sign_in_second_factor` of Firebase, and `auth_time`.
    Firebase,
    /// Its tokens prove no factor.
    None,
}

/// What a token proves of how its owner signed in.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// The factors, and when the second one was shown.
    pub(super) factors: Factors,
    /// When its owner last signed in or proved anything.
    pub(super) at: Option<u64>,
}

type Claims = Map<String, Value>;

impl FactorRule {
    /// Every rule.
    pub const ALL: [FactorRule; 6] = [
        FactorRule::Standard,
        FactorRule::Clerk,
        FactorRule::Supabase,
        FactorRule::Entra,
        FactorRule::Firebase,
        FactorRule::None,
    ];

    /// What these claims prove.
    ///
    /// # Errors
    /// A time that the rule goes by, and that cannot be read.
    pub(super) fn read(self, claims: &Claims, provider: &Provider) -> Result<Proof, TokenFault> {
        let signed_in = || time(&provider.claims().auth_time, claims);
        let proof = match self {
            FactorRule::Standard => standard(claims, provider, signed_in()?, Vouched::Nothing),
            FactorRule::Entra => standard(claims, provider, signed_in()?, contexts(claims.get("acrs"), provider)),
            FactorRule::Clerk => clerk(claims)?,
            FactorRule::Supabase => supabase(claims)?,
            FactorRule::Firebase => firebase(claims, signed_in()?),
            FactorRule::None => Proof { factors: Factors::default(), at: signed_in()? },
        };
        Ok(Proof { factors: Factors { leeway_s: provider.leeway_s(), ..proof.factors }, at: proof.at })
    }
}

/// A time of signing in: whole seconds from 1970 to 9999. Milliseconds are none, nor is a text.
pub(crate) fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().filter(|seconds| *seconds <= MAX_TIME)
}

fn time(path: &ClaimPath, claims: &Claims) -> Result<Option<u64>, TokenFault> {
    path.find(claims).map(|value| seconds(value).ok_or(TokenFault::Claim("auth_time"))).transpose()
}

/// `amr` and `acr`, where they have their standard form, and `auth_time` (OpenID Connect Core, 2).
fn standard(claims: &Claims, provider: &Provider, at: Option<u64>, besides: Vouched) -> Proof {
    let methods = match provider.claims().amr.find(claims) {
        Some(Value::Array(list)) if list.len() <= MAX_METHODS => {
            list.iter().map(name).collect::<Option<Vec<String>>>().unwrap_or_default()
        }
        Some(_) | None => Vec::new(),
    };
    let context = provider.claims().acr.find(claims).and_then(Value::as_str);
    let vouched = context.map_or(Vouched::Nothing, |context| provider.contexts().vouch(context));
    Proof { factors: Factors { methods, at, vouched: vouched.max(besides), leeway_s: 0 }, at }
}

/// A list of contexts, each of which was met.
fn contexts(list: Option<&Value>, provider: &Provider) -> Vouched {
    let Some(Value::Array(list)) = list else { return Vouched::Nothing };
    if list.len() > MAX_METHODS || !list.iter().all(Value::is_string) {
        return Vouched::Nothing;
    }
    let met = list.iter().filter_map(Value::as_str).map(|context| provider.contexts().vouch(context));
    met.max().unwrap_or_default()
}

/// `fva`: the minutes since the first and the second factor were shown, when the token was made.
fn clerk(claims: &Claims) -> Result<Proof, TokenFault> {
    const FAULT: TokenFault = TokenFault::Claim("fva");
    let Some(ages) = claims.get("fva") else { return Ok(Proof::default()) };
    let Some([first, second]) = ages.as_array().map(Vec::as_slice) else { return Err(FAULT) };
    let is_age = |age: &Value| age.as_u64().is_some() || age.as_i64() == Some(-1);
    if !is_age(first) || !is_age(second) {
        return Err(FAULT);
    }
    let Some(made) = claims.get("iat").and_then(Value::as_u64) else { return Ok(Proof::default()) };
    // A minute that has begun may be over: one more, so that a factor is never younger here than it is.
    let when = |age: &Value| {
        let minutes = age.as_u64()?.checked_add(1)?;
        Some(made.saturating_sub(minutes.saturating_mul(60)))
    };
    let (first, second) = (when(first), when(second));
    let both = first.and(second);
    let methods = both.map(|_| TWO.to_owned()).into_iter().collect();
    Ok(Proof { factors: Factors { methods, at: both, ..Factors::default() }, at: first.max(second) })
}

/// `aal` and the methods in `amr`, as objects with their times, or as texts without.
fn supabase(claims: &Claims) -> Result<Proof, TokenFault> {
    let Some(Value::Array(list)) = claims.get("amr") else { return Ok(Proof::default()) };
    if list.iter().filter_map(|entry| entry.get("timestamp")).any(|time| seconds(time).is_none()) {
        return Err(TokenFault::Claim("amr"));
    }
    if list.len() > MAX_METHODS {
        return Ok(Proof::default());
    }
    let read: Option<Vec<(&str, Option<u64>)>> = list.iter().map(method).collect();
    let read = read.unwrap_or_default();
    let times = |names: &[&str]| {
        let named = read.iter().filter(|(method, _)| names.contains(method));
        named.filter_map(|(_, at)| *at).max()
    };
    let second = times(&SUPABASE_SECOND);
    let newest = times(&SUPABASE_FIRST).max(second);
    let is_two = claims.get("aal").and_then(Value::as_str) == Some("aal2")
        && read.iter().any(|(method, _)| SUPABASE_SECOND.contains(method));
    if !is_two {
        return Ok(Proof { factors: Factors::default(), at: newest });
    }
    // The time is that of the newest second factor, so what it cannot be phished by has to be that very one.
    let vouched = match (second, times(&[WEBAUTHN])) {
        (Some(second), Some(key)) if key == second && times(&["totp", "mfa/phone"]) < Some(key) => {
            Vouched::PhishingResistant
        }
        _ => Vouched::TwoFactors,
    };
    let methods = vec![TWO.to_owned()];
    Ok(Proof { factors: Factors { methods, at: second, vouched, leeway_s: 0 }, at: newest })
}

/// One entry of Supabase's `amr`.
fn method(entry: &Value) -> Option<(&str, Option<u64>)> {
    match entry {
        Value::String(method) => Some((method, None)),
        Value::Object(entry) => {
            let method = entry.get("method").and_then(Value::as_str)?;
            Some((method, Some(entry.get("timestamp").and_then(seconds)?)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// The second factor of this sign-in, by its name.
fn firebase(claims: &Claims, at: Option<u64>) -> Proof {
    let second = claims.get("firebase").and_then(|firebase| firebase.get("sign_in_second_factor"));
    let named = second.and_then(Value::as_str).is_some_and(|second| !second.is_empty());
    let methods = named.then(|| TWO.to_owned()).into_iter().collect();
    Proof { factors: Factors { methods, at, ..Factors::default() }, at }
}
