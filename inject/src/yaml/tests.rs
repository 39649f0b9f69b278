//! Reading as `kubectl` does, and writing what everybody reads alike.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn value(text: &str) -> Value {
    let read = read(text).unwrap();
    assert_eq!(read.stuck, None, "{text}");
    read.value
}

fn stuck(text: &str) -> String {
    read(text).unwrap().stuck.unwrap().reason
}

#[test]
fn words_mean_what_they_mean_to_kubectl() {
    for (text, meant) in [
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("~", json!(null)),
        ("", json!(null)),
        ("0123", json!(83)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("1_000", json!(1000)),
        ("-5", json!(-5)),
        ("08", json!(8.0)),
        ("1e3", json!(1000.0)),
        ("1.10", json!(1.1)),
        (".5", json!(0.5)),
        ("1:30", json!("1:30")),
        ("2001-01-01", json!("2001-01-01")),
        ("1.2.3", json!("1.2.3")),
        ("10m", json!("10m")),
        ("\"yes\"", json!("yes")),
        ("'0123'", json!("0123")),
        ("!!str 12", json!("12")),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
    ] {
        assert_eq!(value(&format!("a: {text}")), json!({ "a": meant }), "{text}");
    }
}

#[test]
fn what_cannot_be_written_back_is_said() {
    assert!(stuck("a: {b: 1, b: 2}").contains("`b` is written twice"));
    for text in ["a: y", "a: .nan", "a: 18446744073709551616", "a: {yes: 1}", "a: !thing 1", "a: !!binary aGk="] {
        stuck(text);
    }
    assert_eq!(read("a: 1\nb: 2\na: 3").unwrap_err(), Stuck { line: 3, reason: "`a` is written twice".into() });
}

#[test]
fn anchors_and_merges_are_put_in() {
    assert_eq!(
        value("x: &x {a: 1, b: 2}\nv: {<<: *x, b: 3}\nz: [*x]\nw: {<<: [{c: 4}, *x]}"),
        json!({ "x": { "a": 1, "b": 2 }, "v": { "b": 3, "a": 1 }, "z": [{ "a": 1, "b": 2 }], "w": { "c": 4, "a": 1, "b": 2 } })
    );
}

#[test]
fn what_grows_without_end_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..9 {
        let before = format!("*a{}, ", at - 1).repeat(10);
        bomb.push_str(&format!("a{at}: &a{at} [{}]\n", before.trim_end_matches(", ")));
    }
    assert!(read(&bomb).unwrap_err().reason.contains("500000"));
    assert!(read(&"[".repeat(70)).is_err());
    assert!(read("a: &a [*a]").is_err());
}

#[test]
fn what_is_no_yaml_names_the_line() {
    let fault = read("a: 1\nb: [").unwrap_err();
    assert!(fault.line >= 2 && fault.reason.starts_with("this is not YAML"), "{fault:?}");
    assert!(read("a: 1\n...\nb: 2\n").unwrap_err().reason.contains("second document"));
    assert!(read("%YAML 1.2\n---\na: 1\n").is_err());
}

#[test]
fn text_comes_out_as_people_write_it() {
    let out = as_yaml(&json!({
        "plain": "app.kubernetes.io/name", "image": "nginx:1.25", "flag": "--port=80", "amount": "128Mi", "two": "two words",
        "yes": "on", "number": "0123", "float": 1e21, "half": 0.5, "colon": "a: b", "hash": "a #b", "date": "2001-01-01",
        "script": "#!/bin/sh\nset -e\n\necho hi\n", "odd": "tab\there", "list": [{ "a": 1, "b": [2, [3]] }], "none": [], "map": {},
    }));
    assert_eq!(
        out,
        "plain: app.kubernetes.io/name\nimage: nginx:1.25\nflag: \"--port=80\"\namount: 128Mi\ntwo: two words\n\"yes\": \"on\"\n\
         number: \"0123\"\nfloat: 1.0e+21\nhalf: 0.5\ncolon: \"a: b\"\nhash: \"a #b\"\ndate: \"2001-01-01\"\n\
         script: |\n  #!/bin/sh\n  set -e\n\n  echo hi\nodd: \"tab\\there\"\nlist:\n- a: 1\n  b:\n  - 2\n  - - 3\nnone: []\nmap: {}\n"
    );
}

/// Any JSON, with text that YAML readers like to misread.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,12}",
        "[a-z \\n\\t#:'\"|>-]{0,16}",
        "[0-9._eExo+:-]{1,8}",
        Just("yes".to_owned()),
        Just("null".to_owned()),
        Just("~".to_owned()),
        "\\PC{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |float| float.is_finite()).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((text.clone(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in any_json()) {
        let out = as_yaml(&value);
        let again = read(&out);
        prop_assert!(again.is_ok(), "{out}\n{again:?}");
        let again = again.unwrap();
        prop_assert_eq!(&again.value, &value, "{}", out);
        prop_assert_eq!(again.stuck, None);
        let json = as_json(&value);
        prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
        prop_assert_eq!(read(&json).map(|again| again.value), Ok(value));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-c0-9:&*!|>'\"\\[\\]{},# \n\t-]{0,60}") {
        if let Ok(read) = read(&text) {
            as_yaml(&read.value);
        }
    }
}
