use super::clip::shortened;
use super::*;
use proptest::prelude::*;

fn draft() -> Draft {
    Draft {
        at: 1_795_293_886_123,
        kind: Kind::Answer,
        request: "7f3a".into(),
        trace: Some("4bf9".into()),
        actor: Some(Actor {
            iss: "https://id.clinic.example/".into(),
            sub: "person|5f".into(),
            session: Some("hs:81f0".into()),
            roles: vec!["provider".into()],
            client: Some("web".into()),
            factors: Some(Factors { methods: vec!["pwd".into(), "otp".into()], age_s: Some(312) }),
        }),
        tenant: Some("a".into()),
        patient: Some("hp:5c1e".into()),
        rule: Some("records".into()),
        act: Some("records.read".into()),
        route: Some("GET /api/patients/{patient}/records/**".into()),
        policy: "sha256:9d2c".into(),
        mode: Mode::Enforce,
        decision: Decision::Allow,
        code: None,
        facts: Some(Facts { tenant: Some(TenantFact::Same), own: Some(false) }),
        status: Some(200),
        app_error: None,
        peer: [203, 0, 113, 9].into(),
        counted: None,
    }
}

fn stamp() -> Stamp {
    Stamp { origin: "clinic/a/pod-7/3".into(), replica: "pod-7".into(), seq: 4711, random: [7; 10], aborted: false }
}

fn line(draft: Draft) -> String {
    let mut line = Vec::new();
    Event::stamped(draft, stamp()).append_line(&mut line);
    String::from_utf8(line).unwrap()
}

/// The example of the design, but for facts that no rule makes yet.
#[test]
fn form_is_the_documented_one() {
    assert_eq!(
        line(draft()),
        concat!(
            r#"{"v":1,"id":"01M7ZXNDNB0W3GE1R70W3GE1R7","at":"2026-11-21T20:44:46.123Z","kind":"answer","request":"7f3a","#,
            r#""trace":"4bf9","origin":"clinic/a/pod-7/3","seq":4711,"#,
            r#""actor":{"iss":"https://id.clinic.example/","sub":"person|5f","session":"hs:81f0","roles":["provider"],"client":"web","#,
            r#""factors":{"methods":["pwd","otp"],"age_s":312}},"tenant":"a","patient":"hp:5c1e","rule":"records","#,
            r#""act":"records.read","route":"GET /api/patients/{patient}/records/**","policy":"sha256:9d2c","#,
            r#""mode":"enforce","decision":"allow","code":null,"facts":{"tenant":"same","own":false},"status":200,"#,
            r#""peer":"203.0.113.9","replica":"pod-7"}"#,
            "\n"
        )
    );
}

#[test]
fn what_is_not_known_is_absent_but_for_the_code() {
    let bare = Draft {
        trace: None,
        actor: None,
        tenant: None,
        patient: None,
        rule: None,
        act: None,
        route: None,
        decision: Decision::Deny,
        code: Some("NO_CREDENTIAL".into()),
        facts: None,
        status: None,
        ..draft()
    };
    let text = line(bare);
    for name in ["trace", "actor", "tenant", "patient", "rule", "act", "route", "facts", "status", "aborted", "clipped"]
    {
        assert!(!text.contains(&format!("\"{name}\":")), "{name} in {text}");
    }
    assert!(text.contains(r#""decision":"deny","code":"NO_CREDENTIAL""#));
}

#[test]
fn an_actor_without_a_session_reads_back_without_one() {
    let mut draft = draft();
    draft.actor.as_mut().unwrap().session = None;
    let text = line(draft.clone());
    assert!(!text.contains("session"), "{text}");
    assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), Event::stamped(draft, stamp()));
}

#[test]
fn unknown_fields_are_passed_over() {
    let text = line(draft()).replacen("{\"v\":1", "{\"later\":[1],\"v\":1", 1);
    let event: Event = serde_json::from_str(&text).unwrap();
    assert_eq!(event, Event::stamped(draft(), stamp()));
}

#[test]
fn longest_event_fits_and_says_that_it_was_cut() {
    let long = "\u{1}".repeat(100_000);
    let mut worst = draft();
    worst.request = long.clone();
    worst.trace = Some(long.clone());
    let list = vec![long.clone(); 1000];
    worst.actor = Some(Actor {
        iss: long.clone(),
        sub: long.clone(),
        session: Some(long.clone()),
        roles: list.clone(),
        client: Some(long.clone()),
        factors: Some(Factors { methods: list, age_s: Some(u64::MAX) }),
    });
    worst.tenant = Some(long.clone());
    worst.patient = Some(long.clone());
    worst.rule = Some(long.as_str().into());
    worst.act = Some(long.as_str().into());
    worst.route = Some(long.as_str().into());
    worst.policy = long.as_str().into();
    worst.code = Some(long.into());
    for filling in ["\u{1}", "a", "\"", "é", "🏥"] {
        let mut worst = worst.clone();
        worst.actor.as_mut().unwrap().roles = vec![filling.repeat(10_000); 100];
        worst.route = Some(filling.repeat(10_000).into());
        let stamp = Stamp {
            origin: "o".repeat(ORIGIN_MAX).into(),
            replica: "r".repeat(ORIGIN_MAX).into(),
            seq: u64::MAX,
            random: [255; 10],
            aborted: true,
        };
        let mut line = Vec::new();
        Event::stamped(worst, stamp).append_line(&mut line);
        assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
        let event: Event = serde_json::from_slice(&line).unwrap();
        assert!(event.clipped && event.aborted && event.request.ends_with('…'));
    }
}

proptest! {
    #[test]
    fn cut_texts_keep_to_their_bound(text in any::<String>(), bound in 3usize..64) {
        let written = |text: &str| serde_json::to_string(text).unwrap().len() - 2;
        match shortened(&text, bound) {
            Some(short) => {
                prop_assert!(written(&short) <= bound);
                prop_assert!(text.starts_with(short.strip_suffix('…').unwrap()));
            }
            // What is counted is never less than what serde_json writes.
            None => prop_assert!(written(&text) <= bound),
        }
    }

    #[test]
    fn any_text_stays_one_line_and_reads_back(sub in any::<String>(), route in any::<String>()) {
        let mut draft = draft();
        draft.actor.as_mut().unwrap().sub = sub;
        draft.route = Some(route.into());
        let text = line(draft.clone());
        prop_assert_eq!(text.matches('\n').count(), 1);
        let event: Event = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(event, Event::stamped(draft, stamp()));
    }
}
