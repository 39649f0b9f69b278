//! What injection promises, one by one. Whole manifests are in `tests/golden`.

use serde_json::{Value, json};

use crate::*;

fn settings() -> Settings {
    Settings::new("anteroom:1", "1.0.0")
}

fn labelled(spec: Value) -> Value {
    json!({ "metadata": { "labels": { "anteroom.dev/inject": "true" } }, "spec": spec })
}

fn simple() -> Value {
    labelled(json!({ "containers": [{ "name": "app", "image": "app:1" }] }))
}

fn done(template: &Value, settings: &Settings) -> Injected {
    match inject(template, settings) {
        Outcome::Injected(injected) => *injected,
        other => panic!("{other:?}"),
    }
}

fn refused(template: &Value, settings: &Settings) -> &'static str {
    match inject(template, settings) {
        Outcome::Refused(refusal) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_gate_comes_first_and_the_rest_keeps_its_order() {
    let mut template = simple();
    template["spec"]["initContainers"] = json!([{ "name": "one" }, { "name": "two" }]);
    let injected = done(&template, &settings()).template;
    let names: Vec<_> = injected["spec"]["initContainers"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["anteroom", "one", "two"]);
    assert_eq!(injected["spec"]["initContainers"][0]["restartPolicy"], "Always");
    let mut inside = settings();
    inside.mode = Mode::Container;
    let injected = done(&template, &inside).template;
    assert_eq!(injected["spec"]["containers"][0]["name"], "anteroom");
    assert_eq!(injected["spec"]["containers"][0].get("restartPolicy"), None);
    assert_eq!(injected["metadata"]["annotations"][names::DEFAULT_CONTAINER], "app");
}

#[test]
fn what_the_kubelet_would_read_as_a_variable_is_kept_from_it() {
    let mut template = simple();
    template["spec"]["containers"][0]["livenessProbe"] = json!({ "httpGet": { "path": "/$(HOME)", "port": 80 } });
    let injected = done(&template, &settings()).template;
    let value = injected["spec"]["initContainers"][0]["env"][1]["value"].as_str().unwrap();
    assert!(value.contains("/$$(HOME)"), "{value}");
}

#[test]
fn who_did_not_ask_hears_of_no_fault() {
    let odd = json!({ "metadata": {}, "spec": { "hostNetwork": true } });
    assert_eq!(inject(&odd, &settings()), Outcome::Skipped(Skip::NotAskedFor));
    let mut everyone = settings();
    everyone.asked = Asked::ByDefault;
    assert_eq!(refused(&odd, &everyone), "no-pod");
}

#[test]
fn anything_but_false_is_the_host_network() {
    for odd in [json!(true), json!("no"), json!(1), json!({})] {
        let mut template = simple();
        template["spec"]["hostNetwork"] = odd;
        assert_eq!(refused(&template, &settings()), "host-network");
    }
    let mut template = simple();
    template["spec"]["hostNetwork"] = json!(null);
    done(&template, &settings());
}

mod props;
