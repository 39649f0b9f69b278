use super::*;
use crate::sample::{Request, caller, policy};
use crate::span::{Sources, Span};
use crate::{Claim, Facts, Found, Principal};
use proptest::prelude::*;

fn spanned(text: &str) -> Spanned<String> {
    let file = Sources::default().add("x", text);
    Spanned { value: text.to_owned(), span: Span { file, start: 0, end: text.len() } }
}

fn fault(text: &str) -> String {
    match Condition::parse(&spanned(text)) {
        Ok(_) => "fine".to_owned(),
        Err(faults) => faults
            .iter()
            .map(|fault| {
                let place = fault.span.map(|span| text.get(span.start..span.end).unwrap_or("?"));
                format!("[{}] {}; {}\n", place.unwrap_or(""), fault.message, fault.help.as_deref().unwrap_or(""))
            })
            .collect(),
    }
}

fn principal() -> Principal {
    let mut principal = caller("a", &["provider", "night"], &[("patient", "p1"), ("npi", ""), ("group", "g")]);
    principal.claims.insert("level".to_owned(), Claim::Number(3));
    principal.claims.insert("active".to_owned(), Claim::Bool(true));
    principal.claims.insert("sites".to_owned(), Claim::List(vec!["north".to_owned(), "south".to_owned()]));
    principal
}

fn answer(text: &str) -> Result<bool, Unanswered> {
    let policy = policy("routes: { r: { path: '/p/{patient}', methods: { GET: authenticated } } }");
    let Found::Route(found) = policy.find("GET", "/p/p1", &Request::default()) else { panic!("no route") };
    let principal = principal();
    let request = Request::default();
    let facts = Facts {
        method: "GET",
        request: &request,
        principal: Some(&principal),
        peer: "::ffff:203.0.113.9".parse().unwrap(),
        now: 1000,
    };
    let active = principal.bindings.only();
    let env = Env { found: &found, facts: &facts, active, patient: Some("p1") };
    Condition::parse(&spanned(text)).unwrap_or_else(|faults| panic!("{text}: {faults:?}")).holds(&env)
}

#[test]
fn what_holds() {
    for text in [
        "true",
        "!false",
        "resource.tenant == principal.tenant && resource.patient == principal.claims.patient",
        "path.patient == 'p1'",
        "'provider' in principal.roles",
        "!('admin' in principal.roles)",
        "principal.claims.npi == ''",
        "principal.claims.group != \"h\"",
        "principal.claims.group in ['f', 'g']",
        "principal.claims.level in [1, 2, 3]",
        "'north' in principal.claims.sites",
        "principal.claims.level >= 3 && principal.claims.level < 4 && -1 < now",
        "now > 999 && now <= 1000",
        "principal.claims.active",
        "principal.claims.active == true",
        "!has(principal.client) || principal.client == 'web'",
        "has(principal.claims.npi)",
        "!has(principal.claims.absent)",
        "has(resource.patient)",
        "size(principal.roles) == 2 && size(principal.claims.group) == 1 && size('ü') == 1",
        "string(principal.claims.level) == '3' && string(true) == 'true'",
        "client.ip == '203.0.113.9' && client.ip.startsWith('203.0.')",
        "request.method == 'GET' && request.method.endsWith('T') && request.method.contains('E')",
        "principal.issuer == 'https://id.example/' && principal.subject == 'user-1'",
        "'it\\'s' == \"it's\" && 'a\\\\b' == 'a\\\\b'",
        "(true || principal.claims.absent == 'x') && (false || true)",
        " ( ( true ) )\n&& true",
    ] {
        assert_eq!(answer(text), Ok(true), "{text}");
    }
}

#[test]
fn what_does_not_hold() {
    for text in [
        "false",
        "principal.claims.patient == 'p2'",
        "principal.claims.npi != ''",
        "'admin' in principal.roles",
        "principal.claims.level > 3",
        "has(principal.client) && principal.client == 'web'",
        "false && principal.claims.absent == 'x'",
    ] {
        assert_eq!(answer(text), Ok(false), "{text}");
    }
}

#[test]
fn what_has_no_answer() {
    for (text, why) in [
        ("principal.claims.absent == 'x'", "`principal.claims.absent` is missing"),
        ("principal.claims.absent != 'x'", "`principal.claims.absent` is missing"),
        ("principal.client != 'x'", "`principal.client` is missing"),
        ("principal.claims.absent == principal.claims.gone", "`principal.claims.absent` is missing"),
        ("!(principal.claims.absent == 'x' && false)", "`principal.claims.absent` is missing"),
        ("principal.claims.absent == 'x' || true", "`principal.claims.absent` is missing"),
        ("path.other == 'x'", "`path.other` is missing"),
        ("principal.claims.level != '3'", "`==` or `!=`"),
        ("principal.claims.sites != 'north'", "`==` or `!=`"),
        ("principal.claims.sites == principal.claims.sites", "`==` or `!=`"),
        ("principal.claims.group", "a condition"),
        ("!principal.claims.level", "a condition"),
        ("principal.claims.group < 3", "`<` or `>`"),
        ("!('x' in principal.claims.group)", "`in`"),
        ("!(principal.claims.level in principal.claims.sites)", "`in`"),
        ("principal.claims.level.contains('3')", "a search in a text"),
        ("size(principal.claims.level) == 1", "`size`"),
        ("string(principal.claims.sites) == 'x'", "`string`"),
    ] {
        let said = answer(text).unwrap_err().to_string();
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn without_a_caller_nothing_of_one_is_answered() {
    let policy = policy("routes: { r: { path: /p, methods: { GET: public } } }");
    let Found::Route(found) = policy.find("GET", "/p", &Request::default()) else { panic!("no route") };
    let request = Request::default();
    let facts = Facts { method: "GET", request: &request, principal: None, peer: "192.0.2.1".parse().unwrap(), now: 0 };
    let env = Env { found: &found, facts: &facts, active: None, patient: None };
    for text in [
        "!has(principal.claims.blocked)",
        "!has(principal.client)",
        "!has(resource.patient)",
        "resource.tenant != 'x'",
        "principal.tenant != 'x'",
        "!('x' in principal.roles)",
    ] {
        assert!(Condition::parse(&spanned(text)).unwrap().holds(&env).is_err(), "{text}");
    }
}

#[test]
fn faults_have_a_place_and_a_hint() {
    for (text, place, said) in [
        ("", "", "ends where a value"),
        ("true &&", "", "ends where a value"),
        ("now = 1", "=", "`==` compares"),
        ("true & false", "&", "`&&` is the and"),
        ("true and false", "and", "write `&&`"),
        ("now - 1 < 2", "-", "do not calculate"),
        ("'a' + 'b' == 'ab'", "+", "do not calculate"),
        ("true ? false : true", "?", "no `?:`"),
        ("principal.roles[0] == 'x'", "[", "no parts in brackets"),
        ("{'a': 1} == 1", "{", "no maps"),
        ("principal.tenant == null", "null", "has(principal"),
        ("principal.tenat == 'a'", "principal.tenat", "did you mean `principal.tenant`?"),
        ("tenant == 'a'", "tenant", "is not known"),
        ("principal.claims == 'a'", "principal.claims", "a claim has one name"),
        ("principal.claims.a.b == 'a'", "principal.claims.a.b", "a claim has one name"),
        ("path == 'a'", "path", "a segment has one name"),
        ("now == 'x'", "now == 'x'", "a number never equals a text"),
        ("principal.roles == 'x'", "principal.roles == 'x'", "`in` looks into a list"),
        ("principal.tenant < 'b'", "principal.tenant", "compare is a number, and this is a text"),
        ("'a' in 'abc'", "'a' in 'abc'", "never in a text"),
        ("1 in ['a']", "1 in ['a']", "never in a list of texts"),
        ("'a' in []", "[]", "empty list"),
        ("'a' in ['a', 1]", "['a', 1]", "not both"),
        ("'a' in [principal.tenant]", "principal.tenant", "as they are"),
        ("now", "now", "a condition is true or false, and this is a number"),
        ("!now", "now", "turns round"),
        ("!!true", "!!", "says nothing"),
        ("true && 'a'", "'a'", "each side of `&&`"),
        ("principal.roles.exists(r, r == 'x')", "principal.roles.exists(r, r == 'x')", "no loops"),
        ("principal.subject.matches('x')", "principal.subject.matches('x')", "no patterns"),
        ("principal.subject.startswith('x')", "principal.subject.startswith('x')", "did you mean `startsWith`?"),
        ("startsWith('x')", "startsWith('x')", "asked of one text"),
        ("size(now) > 1", "now", "counts a text or a list"),
        ("has(now)", "now", "always there"),
        ("has('a')", "'a'", "asks for a name"),
        ("int('5') == 5", "int('5')", "no function"),
        ("1 < 2 < 3", "<", "two comparisons in a row"),
        ("now == 1.5", "1.5", "no whole number"),
        ("now == 5u", "5u", "no whole number"),
        ("now == 0x10", "0x10", "no whole number"),
        ("now == 007", "007", "no whole number"),
        ("now == 99999999999999999999", "99999999999999999999", "no whole number"),
        ("now == 9223372036854775808", "9223372036854775808", "does not fit"),
        ("'abc", "'abc", "no end"),
        ("'a\\n' == 'x'", "\\n", "escape is not known"),
        ("'''a''' == 'x'", "'''", "another begins"),
        ("(true", "", "`)` is missing"),
        ("true)", ")", "does not belong"),
        ("'a'.b == 'x'", "b", "only a name has parts"),
        ("principal. == 'x'", "==", "after the `.`"),
        ("é == 'x'", "é", "does not belong"),
        ("has(principal.claims.ä)", "ä", "does not belong"),
    ] {
        let shown = fault(text);
        assert!(shown.starts_with(&format!("[{place}] ")), "{text}: {shown}");
        assert!(shown.contains(said), "{text}: {shown}");
    }
}

#[test]
fn all_faults_of_a_condition_come_at_once() {
    let faults = fault("nwo > 1 && principal.tenat == 'a' || !principal.roles");
    assert_eq!(faults.lines().count(), 3, "{faults}");
}

#[test]
fn size_and_depth_are_bounded_and_no_stack_overflows() {
    assert!(fault(&format!("now == {}1", " ".repeat(1024))).contains("too long"));
    assert_eq!(fault(&format!("true{}", "||true".repeat(160))), "fine");
    assert!(fault(&format!("now in [{}1]", "1,".repeat(200))).contains("too large"));
    let nested = |deep: usize| format!("{}true{}", "(".repeat(deep), ")".repeat(deep));
    assert_eq!(fault(&nested(23)), "fine");
    for open in ["(", "[", "!", "-", "!(", "has(", "a.", "a.b(", "true||(", "{", "'", "\\"] {
        for deep in [24, 100, 500, 1024] {
            let text: String = open.repeat(deep).chars().take(1024).collect();
            assert_ne!(fault(&text), "fine");
            assert_ne!(fault(&format!("{text}true")), "fine");
        }
    }
}

#[test]
fn a_place_inside_quotes_is_found_and_an_escaped_text_is_a_whole() {
    let place = |body: &str| {
        let shown = crate::sample::faults(body);
        shown.split('`').nth(1).unwrap_or_default().to_owned()
    };
    let route =
        |when: &str| format!("routes: {{ r: {{ path: /a, methods: {{ GET: authenticated }}, when: {when} }} }}");
    assert_eq!(place(&route("nwo > 1")), "nwo");
    assert_eq!(place(&route("\"nwo > 1\"")), "nwo");
    assert_eq!(place(&route("'nwo > 1'")), "nwo");
    assert_eq!(place(&route("'nwo > 1 && client.ip == ''x'''")), "'nwo > 1 && client.ip == ''x'''");
}

/// Texts made of what conditions are made of, so that many of them are nearly right.
pub(super) fn soup() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "principal",
            "claims",
            "roles",
            "tenant",
            "resource",
            "patient",
            "path",
            "now",
            "has",
            "size",
            "string",
            "startsWith",
            "in",
            "true",
            "false",
            "null",
            ".",
            ",",
            "(",
            ")",
            "[",
            "]",
            "==",
            "!=",
            "<",
            "&&",
            "||",
            "!",
            "'a'",
            "\"b\"",
            "1",
            "-",
            "'",
            "\\",
            " ",
            "é",
            "?",
            "{",
            "principal.roles",
            "principal.claims.patient",
            "principal.claims.level",
            "resource.patient",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

/// Conditions that are right.
pub(super) fn fine() -> impl Strategy<Value = String> {
    let fact = || {
        prop::sample::select(vec![
            "principal.subject",
            "principal.claims.patient",
            "principal.claims.level",
            "principal.claims.sites",
            "principal.claims.absent",
            "principal.client",
            "resource.patient",
            "path.patient",
            "'p1'",
            "'ü'",
            "string(now)",
        ])
    };
    let pair = (fact(), prop::sample::select(vec![" == ", " != ", " in ", ".startsWith", ".contains"]), fact());
    let leaf = prop_oneof![
        pair.prop_map(|(one, how, other)| match how {
            " in " => format!("{one} in principal.claims.sites"),
            how if how.starts_with('.') => format!("{one}{how}({other})"),
            how => format!("{one}{how}{other}"),
        }),
        fact().prop_map(|one| format!("size({one}) <= 3")),
        prop::sample::select(vec![
            "principal.claims.active",
            "has(principal.claims.absent)",
            "principal.claims.level in [1,-2,3]",
            "'g' in ['f','g']",
            "now >= -5",
            "true",
            "false",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" && "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join("||"))),
            inner.prop_map(|one| format!("!({one})")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_condition_or_a_fault(text in soup()) {
        drop(Condition::parse(&spanned(&text)));
    }

    #[test]
    fn a_right_condition_is_read_and_answers_or_not(text in fine()) {
        match Condition::parse(&spanned(&text)) {
            Ok(_) => drop(answer(&text)),
            Err(faults) => {
                prop_assert!(faults.iter().any(|fault| fault.message.contains("too ")), "{text}: {faults:?}");
            }
        }
    }
}
