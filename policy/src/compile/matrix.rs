//! Acts: which are demanded, what holds for them, and which roles grant them under which scope.

use super::Written;
use super::paths::{Draft, lacks};
use crate::assurance::Assurance;
use crate::de::Spanned;
use crate::diagnostic::{Diagnostic, quoted};
use crate::expr::Condition;
use crate::raw::{ActAudit, RawAct, RawLimit, RawMfa, RawMfaWord, RawRole};
use crate::roles::{Act, ActGlob, ActLimit, Charges, Grant, NamedScope, Scope};
use crate::tenant::TenantId;
use crate::words::nearest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every act that a route demands, by name, with its grants.
pub(super) fn acts<'r>(
    written: &Written<'r>,
    drafts: &[Draft<'r>],
    faults: &mut Vec<Diagnostic>,
) -> BTreeMap<&'r str, Arc<Act>> {
    let mut acts: BTreeMap<&str, Act> = BTreeMap::new();
    for name in drafts.iter().flat_map(Draft::acts) {
        acts.entry(&name.value).or_insert_with(|| Act {
            name: name.value.as_str().into(),
            phi: false,
            strict: false,
            limit: None,
            mfa: None,
            grants: Vec::new(),
        });
    }
    rules(&written.acts, &mut acts, faults);
    let scopes = scopes(written, faults);
    for (name, role) in &written.roles {
        grants(name, role, &scopes, drafts, &mut acts, faults);
    }
    acts.into_iter().map(|(name, act)| (name, Arc::new(act))).collect()
}

/// The names of the acts that a glob means; none is a fault.
fn meant<'a>(glob: &Spanned<String>, acts: &BTreeMap<&'a str, Act>, faults: &mut Vec<Diagnostic>) -> Vec<&'a str> {
    let Some(parsed) = ActGlob::parse(glob) else {
        let message = format!("{} is no act and no group of acts", quoted(glob));
        faults.push(
            Diagnostic::error("bad-name", glob.span, message)
                .help("lower-case words with dots between, such as `records.read`; `*` stands for a whole word"),
        );
        return Vec::new();
    };
    let found: Vec<&str> = acts.keys().copied().filter(|name| parsed.matches(name)).collect();
    // Without any act the routes are at fault, and say so.
    if found.is_empty() && !acts.is_empty() {
        let message = format!("no route demands {}", quoted(glob));
        let help = match nearest(glob, acts.keys().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name an act that stands under `methods` of a route".to_owned(),
        };
        faults.push(Diagnostic::error("unknown-act", glob.span, message).help(help));
    }
    found
}

/// What `acts` says. Entries add up; two that contradict each other on one act are a fault at the later one.
fn rules(written: &[(&Spanned<String>, &RawAct)], acts: &mut BTreeMap<&str, Act>, faults: &mut Vec<Diagnostic>) {
    let mut said: BTreeMap<&str, Said<'_>> = BTreeMap::new();
    for (glob, rule) in written {
        let limit = rule.limit.as_ref().map(|limit| limited(limit, faults));
        let mfa = rule.mfa.as_ref().map(|mfa| assured(mfa, faults));
        for name in meant(glob, acts, faults) {
            let Some(act) = acts.get_mut(name) else { continue };
            let said = said.entry(name).or_default();
            let contradicts = [
                ("phi", said.phi.state(glob, rule.phi)),
                ("audit", said.audit.state(glob, rule.audit)),
                ("limit", said.limit.state(glob, limit.clone())),
            ];
            for (key, first) in contradicts {
                let Some(first) = first else { continue };
                let message = format!("`{key}` of act `{name}` differs from what {} says", quoted(first));
                faults.push(
                    Diagnostic::error("contradiction", glob.span, message)
                        .help("entries under `acts` add up, so they cannot say two things of one act"),
                );
            }
            act.phi |= rule.phi == Some(true);
            act.strict |= rule.audit == Some(ActAudit::Strict);
            act.limit = act.limit.take().or_else(|| limit.clone());
            // Demands of factors cannot contradict each other: the stricter one holds.
            act.mfa = act.mfa.into_iter().chain(mfa).reduce(Assurance::and);
        }
    }
}

/// What has been said of one act, and by which entry.
#[derive(Default)]
struct Said<'r> {
    phi: Stated<'r, bool>,
    audit: Stated<'r, ActAudit>,
    limit: Stated<'r, ActLimit>,
}

struct Stated<'r, T>(Option<(&'r Spanned<String>, T)>);

impl<T> Default for Stated<'_, T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'r, T: PartialEq> Stated<'r, T> {
    /// Keeps what is stated first; gives the entry that it contradicts.
    fn state(&mut self, by: &'r Spanned<String>, value: Option<T>) -> Option<&'r Spanned<String>> {
        match (&self.0, value) {
            (Some((first, stated)), Some(value)) if *stated != value => Some(*first),
            (Some(_), _) | (None, None) => None,
            (None, Some(value)) => {
                self.0 = Some((by, value));
                None
            }
        }
    }
}

fn limited(limit: &RawLimit, faults: &mut Vec<Diagnostic>) -> ActLimit {
    if let Some(burst) = limit.burst.filter(|burst| burst.value == 0) {
        faults.push(
            Diagnostic::error("bad-limit", burst.span, "a burst of `0` lets nothing pass")
                .help("at least 1; leave it out for as many as the rate counts"),
        );
    }
    let burst = limit.burst.map_or(limit.rate.count, |burst| burst.value);
    ActLimit { per: limit.per, rate: limit.rate, burst }
}

/// What the roles demand of those who hold them, and the tenants of those who act for them.
pub(super) fn charges(written: &Written<'_>, faults: &mut Vec<Diagnostic>) -> Charges {
    let mut charges = Charges::default();
    for (name, role) in &written.roles {
        let mfa = role.mfa.as_ref().map(|mfa| assured(mfa, faults));
        charges.roles.extend(mfa.map(|mfa| (name.value.as_str().into(), mfa)));
    }
    for (name, tenant) in &written.tenants {
        let mfa = assured(&tenant.mfa, faults);
        charges.tenants.extend(TenantId::parse(name).map(|name| (name, mfa)));
    }
    charges
}

fn assured(mfa: &RawMfa, faults: &mut Vec<Diagnostic>) -> Assurance {
    let terms = match mfa {
        RawMfa::Word(RawMfaWord::Required) => return Assurance::default(),
        RawMfa::Word(RawMfaWord::PhishingResistant) => {
            return Assurance { phishing_resistant: true, ..Assurance::default() };
        }
        RawMfa::Map(terms) => terms,
    };
    if let Some(within) = terms.within.filter(|within| within.value.0.as_secs() == 0) {
        let message = format!("no factors are younger than `{}`", within.value);
        faults.push(
            Diagnostic::error("bad-mfa", within.span, message)
                .help("at least `1s`; leave `within` out for factors of any age"),
        );
    }
    Assurance {
        within_s: terms.within.map(|within| within.value.0.as_secs()),
        phishing_resistant: terms.phishing_resistant,
    }
}

fn scopes<'r>(written: &Written<'r>, faults: &mut Vec<Diagnostic>) -> BTreeMap<&'r str, Option<Arc<NamedScope>>> {
    let mut scopes = BTreeMap::new();
    for (name, text) in &written.scopes {
        if matches!(name.value.as_str(), "tenant" | "any_tenant") {
            let message = format!("{} is not free as the name of a scope", quoted(name));
            faults.push(Diagnostic::error("bad-name", name.span, message).help("give it another name"));
        }
        let scope = match Condition::parse(text) {
            Ok(condition) => Some(Arc::new(NamedScope { name: name.value.as_str().into(), condition })),
            Err(more) => {
                faults.extend(more);
                None
            }
        };
        scopes.insert(name.value.as_str(), scope);
    }
    scopes
}

/// Adds what one role can.
fn grants<'r>(
    name: &'r Spanned<String>,
    role: &'r RawRole,
    scopes: &BTreeMap<&str, Option<Arc<NamedScope>>>,
    drafts: &[Draft<'_>],
    acts: &mut BTreeMap<&'r str, Act>,
    faults: &mut Vec<Diagnostic>,
) {
    let mut under: BTreeMap<&str, &Spanned<String>> = BTreeMap::new();
    for (glob, word) in &role.can {
        let meant = meant(glob, acts, faults);
        let scope = scope(word, scopes, faults);
        for act in meant {
            let first = *under.entry(act).or_insert(word);
            if first.value != word.value {
                let message =
                    format!("role {} can `{act}` under {} and under {}", quoted(name), quoted(first), quoted(word));
                faults.push(
                    Diagnostic::error("contradiction", word.span, message)
                        .help("one role gives an act one scope; name the acts one by one, or write two roles"),
                );
            }
            let Some(scope) = &scope else { continue };
            if let Scope::Named(named) = scope {
                readable(named, act, word, drafts, faults);
            }
            if let Some(act) = acts.get_mut(act) {
                grant(act, scope, name);
            }
        }
    }
}

fn scope(
    word: &Spanned<String>,
    scopes: &BTreeMap<&str, Option<Arc<NamedScope>>>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Scope> {
    if word.value == "tenant" {
        return Some(Scope::Tenant);
    }
    if let Some(known) = scopes.get(word.value.as_str()) {
        return known.clone().map(Scope::Named);
    }
    let help = match nearest(word, scopes.keys().copied().chain(["tenant"])) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write `tenant`, or a name that stands under `scopes`".to_owned(),
    };
    let message = format!("scope {} is not known", quoted(word));
    faults.push(Diagnostic::error("unknown-scope", word.span, message).help(help));
    None
}

/// Reports each route to `act` that lacks what the scope reads.
fn readable(scope: &NamedScope, act: &str, word: &Spanned<String>, drafts: &[Draft<'_>], faults: &mut Vec<Diagnostic>) {
    for draft in drafts.iter().filter(|draft| draft.acts().any(|name| name.value == act)) {
        for missing in lacks(scope.condition(), draft) {
            let message = format!(
                "scope `{}` reads `{}`, and route {} to `{act}` has none",
                scope.name,
                missing.fact,
                quoted(draft.id)
            );
            faults.push(Diagnostic::error("unanswerable", word.span, message).help(missing.help));
        }
    }
}

fn grant(act: &mut Act, scope: &Scope, role: &Spanned<String>) {
    let same = |grant: &&mut Grant| match (&grant.scope, scope) {
        (Scope::Tenant, Scope::Tenant) => true,
        (Scope::Named(one), Scope::Named(other)) => one.name == other.name,
        (Scope::Tenant, Scope::Named(_)) | (Scope::Named(_), Scope::Tenant) => false,
    };
    let role: Arc<str> = role.value.as_str().into();
    match act.grants.iter_mut().find(same) {
        Some(grant) if grant.roles.contains(&role) => {}
        Some(grant) => grant.roles.push(role),
        None => act.grants.push(Grant { scope: scope.clone(), roles: vec![role] }),
    }
}
