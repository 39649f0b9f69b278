use std::collections::BTreeMap;

use http::header::COOKIE;
use policy::{Binding, Bindings, Factors, SignIn, TenantId};
use proptest::prelude::*;

use super::*;

fn held(bindings: &[(&str, &str)]) -> Bindings {
    let each = bindings.iter();
    Bindings::of(
        each.map(|(tenant, role)| Binding::new(TenantId::parse(tenant).unwrap(), vec![(*role).into()])).collect(),
    )
    .unwrap()
}

pub(super) fn someone(subject: &str) -> Arc<Principal> {
    Arc::new(Principal {
        issuer: "https://issuer.example/".into(),
        provider: "clinic".into(),
        subject: subject.into(),
        client: None,
        bindings: held(&[("a", "provider")]),
        claims: BTreeMap::new(),
        factors: Factors::default(),
        sign_in: SignIn::default(),
    })
}

pub(super) fn mark(number: u32) -> Mark {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Mark(bytes)
}

/// When everything is asked.
const AT: Now = Now { unix_ms: 1_795_000_000_000, monotone: Duration::from_secs(9) };

fn settings() -> AppSession {
    AppSession { cookies: vec!["sid".into(), "remember".into()], whoami: None }
}

fn with_cookie(line: &str) -> Carried {
    let headers: HeaderMap = [(COOKIE, HeaderValue::try_from(line).unwrap())].into_iter().collect();
    settings().carried(&headers)
}

fn setting(line: &str) -> HeaderMap {
    [(SET_COOKIE, HeaderValue::try_from(line).unwrap())].into_iter().collect()
}

#[test]
fn an_owner_is_issuer_subject_and_tenant() {
    let sessions = AppSessions::new().unwrap();
    let ada = someone("ada");
    let owner = sessions.owner(&ada);
    assert_eq!(owner, sessions.owner(&Principal { bindings: held(&[("a", "other")]), ..(*ada).clone() }));
    for other in [
        Principal { subject: "eve".into(), ..(*ada).clone() },
        Principal { issuer: "https://other.example/".into(), ..(*ada).clone() },
        Principal { bindings: held(&[("b", "provider")]), ..(*ada).clone() },
        Principal { bindings: held(&[("a", "provider"), ("b", "provider")]), ..(*ada).clone() },
        Principal { bindings: Bindings::none(), ..(*ada).clone() },
        Principal { issuer: "https://issuer.example/a".into(), subject: "da".into(), ..(*ada).clone() },
    ] {
        assert_ne!(owner, sessions.owner(&other), "{other:?}");
    }
}

#[test]
fn a_cookie_is_bound_by_its_setting_and_freed_by_its_end() {
    let sessions = AppSessions::new().unwrap();
    let (ada, eve) = (sessions.owner(&someone("ada")), sessions.owner(&someone("eve")));
    let none = with_cookie("theme=dark");
    sessions.answered(&none, Some(ada), true, &setting("sid=1; Path=/app"), AT);
    sessions.answered(&none, Some(ada), true, &setting("theme=light"), AT);
    sessions.answered(&none, None, true, &setting("sid=2"), AT);
    assert_eq!(sessions.belongs("sid", "1", ada), Belongs::Here);
    assert!(
        matches!(sessions.belongs("sid", "1", eve), Belongs::Elsewhere(scope) if scope.path.as_deref() == Some("/app"))
    );
    assert_eq!(sessions.belongs("sid", "2", ada), Belongs::Unknown, "set for nobody");
    assert_eq!(sessions.belongs("remember", "1", ada), Belongs::Unknown, "another name is another cookie");
    assert_eq!(sessions.belongs("theme", "light", ada), Belongs::Unknown);
    // Another value beside it: both are Ada's, until she signs out.
    sessions.answered(&with_cookie("sid=1"), Some(ada), false, &setting("sid=3"), AT);
    assert_eq!(sessions.belongs("sid", "1", ada), Belongs::Here);
    sessions.answered(&with_cookie("sid=3"), Some(ada), false, &setting("sid=; Max-Age=0"), AT);
    assert_eq!(sessions.belongs("sid", "3", ada), Belongs::Unknown);
    // The end of a session counts on a public page too.
    sessions.answered(&with_cookie("sid=1"), None, true, &setting("sid=x; max-age=0"), AT);
    assert_eq!(sessions.belongs("sid", "1", ada), Belongs::Unknown);
}

#[test]
fn an_answer_that_clears_all_cookies_frees_them() {
    let sessions = AppSessions::new().unwrap();
    let ada = sessions.owner(&someone("ada"));
    let clearing = |value: &'static str| {
        [("clear-site-data".parse().unwrap(), HeaderValue::from_static(value))].into_iter().collect()
    };
    for (value, expected) in [
        ("\"cache\"", Belongs::Here),
        ("cookies", Belongs::Here),
        ("\"cache\", \"cookies\"", Belongs::Unknown),
        ("\"*\"", Belongs::Unknown),
    ] {
        sessions.answered(&with_cookie("a=b"), Some(ada), true, &setting("sid=1"), AT);
        sessions.answered(&with_cookie("sid=1"), Some(ada), true, &clearing(value), AT);
        assert_eq!(sessions.belongs("sid", "1", ada), expected, "{value}");
    }
}

#[test]
fn what_was_ended_here_stays_so_until_the_application_sets_it_for_a_later_request() {
    let sessions = AppSessions::new().unwrap();
    let ada = sessions.owner(&someone("ada"));
    let none = with_cookie("a=b");
    sessions.answered(&none, Some(ada), true, &setting("sid=1"), AT);
    sessions.end("sid", "1", ada, AT.monotone);
    assert!(sessions.has_ended("sid", "1") && !sessions.has_ended("sid", "2") && !sessions.has_ended("remember", "1"));
    assert_eq!(sessions.belongs("sid", "1", ada), Belongs::Unknown);
    let (living, ended) = sessions.living(with_cookie("sid=1; remember=1"));
    assert!(ended && living.once().eq([("remember", "1")]));
    // An answer that was on its way, for her and for nobody.
    sessions.answered(&none, Some(ada), true, &setting("sid=1"), AT);
    sessions.answered(&none, None, true, &setting("sid=1"), AT);
    assert!(sessions.has_ended("sid", "1"));
    assert_eq!(sessions.belongs("sid", "1", ada), Belongs::Unknown);
    sessions.answered(
        &none,
        Some(ada),
        true,
        &setting("sid=1"),
        Now { monotone: AT.monotone + Duration::from_millis(1), ..AT },
    );
    assert_eq!((sessions.has_ended("sid", "1"), sessions.belongs("sid", "1", ada)), (false, Belongs::Here));
}

#[test]
fn the_end_of_a_session_is_that_of_all_its_values_and_of_those_on_their_way() {
    let sessions = AppSessions::new().unwrap();
    let ada = sessions.owner(&someone("ada"));
    for owner in [Some(ada), None] {
        let of = |number: u8| format!("{number}{}", if owner.is_some() { "ada" } else { "nobody" });
        let (one, two) = (with_cookie(&format!("sid={}", of(1))), with_cookie(&format!("sid={}", of(2))));
        let sets = |carried: &Carried, number| {
            sessions.answered(carried, owner, true, &setting(&format!("sid={}", of(number))), AT);
        };
        sets(&with_cookie("a=b"), 1);
        sets(&one, 2);
        sets(&two, 3);
        let later = Duration::from_secs(1);
        sessions.end("sid", &of(2), ada, AT.monotone + later);
        // An answer to a request that came with it while it lasted.
        sets(&two, 4);
        for number in 1..=4 {
            assert!(sessions.has_ended("sid", &of(number)), "{}", of(number));
            assert_ne!(sessions.belongs("sid", &of(4), ada), Belongs::Here);
        }
        sets(&with_cookie("a=b"), 5);
        assert!(!sessions.has_ended("sid", &of(5)));
    }
    // One whose setting was not seen.
    sessions.end("sid", "older", ada, AT.monotone);
    sessions.answered(&with_cookie("sid=older"), None, true, &setting("sid=newer"), AT);
    assert!(sessions.has_ended("sid", "newer"));
}

#[test]
fn what_takes_the_place_of_somebodys_cookie_is_theirs() {
    let sessions = AppSessions::new().unwrap();
    let (ada, eve) = (sessions.owner(&someone("ada")), sessions.owner(&someone("eve")));
    sessions.answered(&with_cookie("a=b"), Some(ada), true, &setting("sid=1"), AT);
    sessions.answered(&with_cookie("a=b"), Some(ada), true, &setting("remember=r"), AT);
    sessions.answered(&with_cookie("sid=1"), None, true, &setting("sid=2"), AT);
    sessions.answered(&with_cookie("sid=older; remember=r"), None, false, &setting("sid=3"), AT);
    for value in ["2", "3"] {
        assert_eq!(sessions.belongs("sid", value, ada), Belongs::Here, "{value}");
        assert!(sessions.is_bound(&with_cookie(&format!("sid={value}"))), "{value}");
    }
    // Beside somebody whom a credential proves, it is set for that one.
    sessions.answered(&with_cookie("a=b"), Some(eve), true, &setting("sid=4"), AT);
    assert_eq!(sessions.belongs("sid", "4", eve), Belongs::Here);
}

#[test]
fn a_cookie_that_is_set_again_for_another_one_stays_whose_it_was() {
    let sessions = AppSessions::new().unwrap();
    let (ada, eve) = (sessions.owner(&someone("ada")), sessions.owner(&someone("eve")));
    sessions.answered(&with_cookie("a=b"), Some(ada), true, &setting("sid=1"), AT);
    sessions.answered(&with_cookie("sid=1"), Some(eve), false, &setting("sid=1"), AT);
    assert_eq!(sessions.belongs("sid", "1", ada), Belongs::Here);
}

#[test]
fn two_processes_know_a_cookie_by_two_marks() {
    let (one, two) = (AppSessions::new().unwrap(), AppSessions::new().unwrap());
    assert_ne!(one.owner(&someone("ada")), two.owner(&someone("ada")));
}

#[test]
fn the_name_of_a_session_can_be_told_with_what_every_shell_has() {
    // printf %s sessionid=ab1 | sha256sum | cut -c 1-32
    assert_eq!(hex(lasting("sessionid", "\"a%42-1\"")), "9f168f79e675b3e2e63b9d3aba60ef9a");
}

#[test]
fn a_browser_lets_go_of_a_cookie_where_it_was_set() {
    let scope = Scope { path: Some("/app".into()), domain: Some("clinic.example".into()) };
    let line = let_go("sid", &scope).unwrap();
    assert_eq!(line, "sid=; Max-Age=0; Path=/app; Domain=clinic.example; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(let_go("sid", &Scope::default()).unwrap(), "sid=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
}

/// What happens between three people, an application that sets cookies, and a gate.
#[derive(Clone, Debug)]
enum Step {
    /// The application sets `sid` to this value for this one (3: nobody), who held that one.
    Sets(u8, u8, u8),
    /// It takes `sid` back from this one, who held this value.
    TakesBack(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8, 0..6_u8, 0..6_u8).prop_map(|(who, value, held)| Step::Sets(who, value, held)),
        (0..4_u8, 0..6_u8).prop_map(|(who, held)| Step::TakesBack(who, held)),
    ]
}

proptest! {
    /// Whatever happens, a cookie passes beside a person only if the application has set it for that person.
    #[test]
    fn no_cookie_passes_beside_one_whom_it_was_not_set_for(steps in proptest::collection::vec(step(), 0..40)) {
        let sessions = AppSessions::new().unwrap();
        let people: Vec<Owner> = ["ada", "eve", "joan"].map(|name| sessions.owner(&someone(name))).into();
        let mut set_for = [[false; 3]; 6];
        for step in steps {
            match step {
                Step::Sets(who, value, held) => {
                    let owner = people.get(usize::from(who)).copied();
                    sessions.answered(&with_cookie(&format!("sid={held}")), owner, true, &setting(&format!("sid={value}")), AT);
                    match owner {
                        Some(_) => set_for[usize::from(value)][usize::from(who)] = true,
                        // What takes the place of somebody's is theirs.
                        None => (0..3).for_each(|one| set_for[usize::from(value)][one] |= set_for[usize::from(held)][one]),
                    }
                }
                Step::TakesBack(who, held) => {
                    let owner = people.get(usize::from(who)).copied();
                    sessions.answered(&with_cookie(&format!("sid={held}")), owner, true, &setting("sid=; Max-Age=0"), AT);
                    set_for[usize::from(held)] = [false; 3];
                }
            }
            for (value, set) in set_for.iter().enumerate() {
                let of: Vec<bool> = people
                    .iter()
                    .map(|one| sessions.belongs("sid", &value.to_string(), *one) == Belongs::Here)
                    .collect();
                prop_assert!(of.iter().filter(|one| **one).count() <= 1, "one owner");
                prop_assert!(of.iter().zip(set).all(|(of, set)| !of || *set), "{value}: {of:?} {set:?}");
            }
        }
    }
}
