//! Routes: their paths, methods, places and conditions, and that no two fit the same paths.

use super::Written;
use super::sessions::terms;
use crate::de::Spanned;
use crate::diagnostic::{Diagnostic, quoted};
use crate::dispatch::{Parameter, Parameters, Source, loosely, tie};
use crate::expr::{Condition, within};
use crate::facts::{Place, parameter_name};
use crate::raw::{Mode, RawResource, RawRoute, RouteAudit};
use crate::roles::{Act, is_act_name};
use crate::route::{Demand, METHODS, Methods, Route, RouteTable};
use crate::session::SessionTerms;
use crate::template::Template;
use crate::words::{list, nearest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A route that was read, before its acts are known.
pub(super) struct Draft<'r> {
    pub(super) id: &'r Spanned<String>,
    pub(super) raw: &'r RawRoute,
    /// `None` where the path is at fault.
    pub(super) template: Option<Template>,
    pub(super) methods: Vec<(Verb, Word<'r>)>,
    pub(super) patient: Option<Place>,
    tenant: Vec<Place>,
    when: Option<Condition>,
    mode: Mode,
    parameters: Parameters,
    session: SessionTerms,
}

/// What is written on the left of a method.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Named(&'static str),
    Every,
}

/// What is written on its right.
#[derive(Clone, Copy)]
pub(super) enum Word<'r> {
    Public,
    Authenticated,
    Act(&'r Spanned<String>),
}

impl<'r> Draft<'r> {
    pub(super) fn acts(&self) -> impl Iterator<Item = &'r Spanned<String>> {
        self.methods.iter().filter_map(|(_, word)| match word {
            Word::Act(name) => Some(*name),
            Word::Public | Word::Authenticated => None,
        })
    }
}

/// Reads every route.
pub(super) fn drafts<'r>(written: &Written<'r>, faults: &mut Vec<Diagnostic>) -> Vec<Draft<'r>> {
    written.routes.iter().map(|(id, raw, policy)| draft(id, raw, raw.mode.unwrap_or(policy.mode), faults)).collect()
}

fn draft<'r>(id: &'r Spanned<String>, raw: &'r RawRoute, mode: Mode, faults: &mut Vec<Diagnostic>) -> Draft<'r> {
    let template = template(&raw.path, faults);
    let methods = methods(id, raw, faults);
    let (patient, tenant) = match (&raw.resource, &template) {
        (Some(resource), Some(template)) => places(resource, template, faults),
        _ => (None, Vec::new()),
    };
    let when = raw.when.as_ref().and_then(|text| match Condition::parse(text) {
        Ok(condition) => Some(condition),
        Err(more) => {
            faults.extend(more);
            None
        }
    });
    let parameters = parameters(raw, faults);
    let session = raw.session.as_ref().map(|said| terms(said.idle, said.absolute, faults)).unwrap_or_default();
    let draft = Draft { id, raw, template, methods, patient, tenant, when, mode, parameters, session };
    form(&draft, faults);
    public(&draft, faults);
    condition(&draft, faults);
    draft
}

fn template(text: &Spanned<String>, faults: &mut Vec<Diagnostic>) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(more) => {
            faults.extend(
                more.into_iter().map(|fault| {
                    Diagnostic::error("bad-path", within(text, fault.range), fault.message).help(fault.help)
                }),
            );
            None
        }
    }
}

/// The longest value of a parameter that a route asks for, in bytes.
const LONGEST_VALUE: usize = 256;

fn parameters(raw: &RawRoute, faults: &mut Vec<Diagnostic>) -> Parameters {
    let mut parameters = Parameters::new();
    for (source, what, asked) in
        [(Source::Query, "query parameter", &raw.query), (Source::Form, "field of a form", &raw.form)]
    {
        for (name, value) in asked {
            if !parameter_name(name) {
                let message = format!("{} is no name of a {what}", quoted(name));
                faults.push(
                    Diagnostic::error("bad-name", name.span, message)
                        .help("1 to 64 letters, digits, `_`, `-`, `.`, `[` and `]`"),
                );
            }
            if value.len() > LONGEST_VALUE || value.chars().any(char::is_control) {
                let message = format!("{} is no value of a {what}", quoted(value));
                faults.push(
                    Diagnostic::error("bad-value", value.span, message)
                        .help("at most 256 bytes without control characters, as the application reads it: decoded"),
                );
            }
            parameters.insert(Parameter { name: name.value.clone(), source }, value.value.clone());
        }
    }
    parameters
}

/// A form comes with a POST, and what is asked of one is asked of it alone.
fn form(draft: &Draft<'_>, faults: &mut Vec<Diagnostic>) {
    if draft.raw.form.is_empty() {
        return;
    }
    let id = quoted(draft.id);
    for method in draft.raw.methods.keys().filter(|method| ["GET", "HEAD", "OPTIONS"].contains(&method.value.as_str()))
    {
        let message = format!("route {id} asks for a form, and {} has none", method.value);
        faults.push(
            Diagnostic::error("bad-method", method.span, message)
                .help("`POST`, or what `app.method_override` makes of one; put the others on a route without `form`"),
        );
    }
    for name in draft.raw.form.keys() {
        if draft.raw.query.keys().any(|one| loosely(one) == loosely(name)) {
            let message = format!("route {id} asks for {} in the query and in a form", quoted(name));
            faults.push(
                Diagnostic::error("bad-name", name.span, message)
                    .help("no request has it in both: it would be ambiguous; write a route for each place"),
            );
        }
        if loosely(name) == "method" && !name.starts_with(char::is_alphanumeric) {
            let message = format!("{} is how forms name another method", quoted(name));
            faults.push(
                Diagnostic::error("bad-name", name.span, message)
                    .help("`app.method_override: form` judges it; write the method under `methods`"),
            );
        }
    }
}

fn methods<'r>(id: &Spanned<String>, raw: &'r RawRoute, faults: &mut Vec<Diagnostic>) -> Vec<(Verb, Word<'r>)> {
    if raw.methods.is_empty() {
        let message = format!("route {} has no methods, so nothing could pass", quoted(id));
        faults.push(Diagnostic::error("no-methods", id.span, message).help("as in `methods: { GET: records.read }`"));
    }
    let mut found = Vec::new();
    for (method, word) in &raw.methods {
        match verb(method) {
            Ok(verb) => found.extend(demand(word, faults).map(|word| (verb, word))),
            Err(fault) => faults.push(fault),
        }
    }
    found
}

fn verb(method: &Spanned<String>) -> Result<Verb, Diagnostic> {
    if method.value == "*" {
        return Ok(Verb::Every);
    }
    if let Some(known) = METHODS.into_iter().find(|known| *known == method.value) {
        return Ok(Verb::Named(known));
    }
    let message = format!("{} is no method that a policy knows", quoted(method));
    let upper = method.value.to_ascii_uppercase();
    let help = match (METHODS.contains(&upper.as_str()), nearest(&upper, METHODS)) {
        (true, _) => format!("methods are upper case: write `{upper}`"),
        (false, Some(near)) => format!("did you mean `{near}`?"),
        (false, None) => format!("there are {}", list(METHODS.into_iter().chain(["\"*\""]), "and")),
    };
    Err(Diagnostic::error("bad-method", method.span, message).help(help))
}

fn demand<'r>(word: &'r Spanned<String>, faults: &mut Vec<Diagnostic>) -> Option<Word<'r>> {
    match word.value.as_str() {
        "public" => return Some(Word::Public),
        "authenticated" => return Some(Word::Authenticated),
        act if is_act_name(act) => return Some(Word::Act(word)),
        _ => {}
    }
    let message = format!("{} is neither `public` nor `authenticated` nor an act", quoted(word));
    let help = match nearest(word, ["public", "authenticated"]) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "an act is lower-case words with dots between, such as `records.read`".to_owned(),
    };
    faults.push(Diagnostic::error("bad-name", word.span, message).help(help));
    None
}

fn places(resource: &RawResource, template: &Template, faults: &mut Vec<Diagnostic>) -> (Option<Place>, Vec<Place>) {
    let params: Vec<String> = template.params().map(str::to_owned).collect();
    let mut place = |text: &Spanned<String>| match Place::parse(text, &params) {
        Ok(place) => Some(place),
        Err(fault) => {
            let message = format!("{} {}", quoted(text), fault.message);
            faults.push(Diagnostic::error("bad-place", text.span, message).help(fault.help));
            None
        }
    };
    let mut patient = resource.patient.as_ref().and_then(&mut place);
    let tenant = resource.tenant.iter().filter_map(place).collect();
    if let (Some(Place::Claim), Some(text)) = (&patient, &resource.patient) {
        let message = "`claim` names the caller's tenant, not a patient";
        faults.push(
            Diagnostic::error("bad-place", text.span, message)
                .help("name where the request says whose record it is, such as `path.patient`"),
        );
        patient = None;
    }
    (patient, tenant)
}

/// A public method has no caller: nothing about one can be asked on its route.
fn public(draft: &Draft<'_>, faults: &mut Vec<Diagnostic>) {
    let public = draft.raw.methods.values().find(|word| word.value == "public");
    let Some(public) = public else { return };
    let names_one = draft.raw.resource.as_ref().is_some_and(|one| one.patient.is_some() || !one.tenant.is_empty());
    let id = quoted(draft.id);
    if names_one {
        let message = format!("route {id} names a resource, and this method is public");
        faults.push(
            Diagnostic::error("public-resource", public.span, message)
                .help("demand `authenticated` or an act, or leave out `resource`"),
        );
    }
    if let (Some(when), Some(condition)) = (&draft.raw.when, &draft.when)
        && condition.reads().caller
    {
        let message = format!("route {id} has a public method, and this condition reads who is asking");
        faults.push(
            Diagnostic::error("unanswerable", when.span, message)
                .help("demand `authenticated` or an act, or put the public method on a route of its own"),
        );
    }
}

/// What `when:` reads must be there on this route.
fn condition(draft: &Draft<'_>, faults: &mut Vec<Diagnostic>) {
    let (Some(text), Some(when)) = (&draft.raw.when, &draft.when) else { return };
    for missing in lacks(when, draft) {
        let message = format!("the condition reads `{}`, and route {} has none", missing.fact, quoted(draft.id));
        faults.push(Diagnostic::error("unanswerable", text.span, message).help(missing.help));
    }
}

/// A fact that a condition reads and a route does not have.
pub(super) struct Missing {
    pub(super) fact: String,
    pub(super) help: String,
}

/// The facts that a condition would never find on a route. Nothing is missing where the route itself is at fault.
pub(super) fn lacks(condition: &Condition, draft: &Draft<'_>) -> Vec<Missing> {
    let mut missing = Vec::new();
    let declared = draft.raw.resource.as_ref().is_some_and(|one| one.patient.is_some());
    if condition.reads().patient && !declared {
        missing.push(Missing {
            fact: "resource.patient".to_owned(),
            help: format!("add `resource: {{ patient: path.NAME }}` to route {}", quoted(draft.id)),
        });
    }
    let Some(template) = &draft.template else { return missing };
    for name in &condition.reads().params {
        if !template.params().any(|param| param == name) {
            missing.push(Missing {
                fact: format!("path.{name}"),
                help: format!("the path of route {} needs a segment `{{{name}}}`", quoted(draft.id)),
            });
        }
    }
    missing
}

/// Reports routes that fit the same requests, and those of one path that spell one parameter in two ways: at both.
pub(super) fn ties(drafts: &[Draft<'_>], faults: &mut Vec<Diagnostic>) {
    let mut shapes: BTreeMap<String, Vec<&Draft<'_>>> = BTreeMap::new();
    for draft in drafts {
        let Some(template) = &draft.template else { continue };
        let same = shapes.entry(template.shape()).or_default();
        faults.extend(placed(draft, draft));
        for first in same.iter() {
            faults.extend(placed(first, draft).or_else(|| placed(draft, first)));
            for (one, other) in [(*first, draft), (draft, *first)] {
                faults.extend(tied(one, other).or_else(|| respelt(one, other)));
            }
        }
        same.push(draft);
    }
}

fn tied(one: &Draft<'_>, other: &Draft<'_>) -> Option<Diagnostic> {
    let (help, what) = if one.parameters.is_empty() && other.parameters.is_empty() {
        ("one path is one route: put all its methods under one, or make one path more specific", "paths")
    } else {
        ("ask for one parameter more in one of them, or for another value of the same one", "requests")
    };
    let message = format!("route {} fits the same {what} as route {}", quoted(one.id), quoted(other.id));
    let fault = Diagnostic::error("route-tie", one.raw.path.span, message).help(help);
    tie(&one.parameters, &other.parameters).then_some(fault)
}

fn respelt(one: &Draft<'_>, other: &Draft<'_>) -> Option<Diagnostic> {
    let alike =
        |name: &str| other.parameters.keys().any(|their| their.name != name && loosely(&their.name) == loosely(name));
    let name = one.raw.query.keys().chain(one.raw.form.keys()).find(|name| alike(name))?;
    let message = format!("route {} spells {} in another way", quoted(other.id), quoted(name));
    Some(
        Diagnostic::error("bad-name", name.span, message)
            .help("two spellings of one parameter are ambiguous: write it as the application does, in all of them"),
    )
}

/// A field that picks a route of the path must stand in the form alone, so the query of none of them can name a resource
/// by it.
fn placed(one: &Draft<'_>, other: &Draft<'_>) -> Option<Diagnostic> {
    let mut places = other.patient.iter().chain(&other.tenant).filter_map(|place| match place {
        Place::Query(name) => Some(loosely(name)),
        Place::Claim | Place::Path(_) | Place::Header(_) => None,
    });
    let name = places.find_map(|place| one.raw.form.keys().find(|name| loosely(name) == place))?;
    let message = format!("route {} finds its resource in the query by {}", quoted(other.id), quoted(name));
    Some(
        Diagnostic::error("bad-name", name.span, message)
            .help("a parameter stands in one place alone, in the query or in the form"),
    )
}

/// The table of all routes that are whole. Used only when there was no fault.
pub(super) fn table(drafts: Vec<Draft<'_>>, acts: &BTreeMap<&str, Arc<Act>>) -> RouteTable {
    let mut table = RouteTable::default();
    for draft in drafts {
        let demand = |word: &Word<'_>| match word {
            Word::Public => Some(Demand::Public),
            Word::Authenticated => Some(Demand::Authenticated),
            Word::Act(name) => acts.get(name.value.as_str()).map(|act| Demand::Act(Arc::clone(act))),
        };
        let mut listed = Vec::new();
        let mut rest = None;
        for (verb, word) in &draft.methods {
            match verb {
                Verb::Every => rest = demand(word),
                Verb::Named(method) => listed.extend(demand(word).map(|demand| (*method, demand))),
            }
        }
        let Some(template) = draft.template else { continue };
        table.insert(Route {
            id: draft.id.value.clone(),
            template,
            methods: Methods::new(&listed, rest.as_ref()),
            mode: draft.mode,
            recorded: match draft.raw.audit {
                None => true,
                Some(RouteAudit::None) => false,
            },
            errors: draft.raw.errors,
            cache: draft.raw.cache,
            session: draft.session,
            background: draft.raw.session.as_ref().is_some_and(|session| session.background),
            patient: draft.patient,
            tenant: draft.tenant,
            when: draft.when,
            parameters: draft.parameters,
            allow: draft.raw.allow.clone(),
        });
    }
    table
}
