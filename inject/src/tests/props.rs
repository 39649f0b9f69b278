//! What holds for every template.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::yaml::any_json;

/// Where odd values are put.
const PLACES: [&str; 18] = [
    "/metadata",
    "/metadata/labels",
    "/metadata/annotations",
    "/spec",
    "/spec/containers",
    "/spec/containers/0",
    "/spec/containers/0/name",
    "/spec/containers/0/ports",
    "/spec/containers/0/ports/0/containerPort",
    "/spec/containers/0/readinessProbe",
    "/spec/containers/0/readinessProbe/httpGet/port",
    "/spec/containers/0/lifecycle",
    "/spec/containers/0/volumeMounts",
    "/spec/initContainers",
    "/spec/initContainers/1",
    "/spec/volumes",
    "/spec/securityContext",
    "/spec/terminationGracePeriodSeconds",
];

fn full() -> Value {
    labelled(json!({
        "containers": [{
            "name": "app", "image": "app:1", "ports": [{ "name": "http", "containerPort": 8080 }],
            "readinessProbe": { "httpGet": { "port": "http" } }, "lifecycle": {}, "volumeMounts": [],
        }],
        "initContainers": [{ "name": "one" }, { "name": "two", "restartPolicy": "Always" }],
        "volumes": [], "securityContext": {}, "terminationGracePeriodSeconds": 30,
    }))
}

/// A template in which up to three places hold anything.
fn odd_template() -> impl Strategy<Value = Value> {
    let odd = (0..PLACES.len(), any_json());
    proptest::collection::vec(odd, 0..3).prop_map(|odds| {
        let mut template = full();
        template["metadata"]["annotations"] = json!({});
        for (place, value) in odds {
            if let Some(at) = template.pointer_mut(PLACES[place]) {
                *at = value;
            }
        }
        template
    })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(all, inside, pod, cluster)| {
        let mut settings = settings();
        settings.asked = if all { Asked::ByDefault } else { Asked::ByLabel };
        settings.mode = if inside { Mode::Container } else { Mode::Native };
        settings.app_address = if pod { AppAddress::Pod } else { AppAddress::Loopback };
        settings.user = if cluster { None } else { Some(65532) };
        settings
    })
}

/// The app's containers without what injection may change.
fn app(template: &Value) -> Vec<Value> {
    let list = |key: &str| template["spec"][key].as_array().cloned().unwrap_or_default();
    let mut containers: Vec<Value> = list("initContainers").into_iter().chain(list("containers")).collect();
    containers.retain(|one| one["name"] != names::CONTAINER);
    for one in containers.iter_mut().filter_map(Value::as_object_mut) {
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            for handler in ["httpGet", "tcpSocket", "grpc"] {
                one.get_mut(probe).and_then(Value::as_object_mut).map(|probe| probe.remove(handler));
            }
        }
        let lifecycle = one.get_mut("lifecycle").and_then(Value::as_object_mut);
        if let Some(lifecycle) = lifecycle {
            lifecycle.remove("preStop");
        }
        if one.get("lifecycle").is_none_or(|lifecycle| lifecycle.is_null() || *lifecycle == json!({})) {
            one.remove("lifecycle");
        }
    }
    containers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn anything_is_answered(template in any_json(), settings in any_settings()) {
        drop(inject(&template, &settings));
    }

    #[test]
    fn injecting_twice_is_injecting_once(template in odd_template(), settings in any_settings()) {
        if let Outcome::Injected(injected) = inject(&template, &settings) {
            prop_assert_eq!(inject(&injected.template, &settings), Outcome::Skipped(Skip::AlreadyThere));
        }
    }

    #[test]
    fn the_app_keeps_everything_else(template in odd_template(), settings in any_settings()) {
        if let Outcome::Injected(injected) = inject(&template, &settings) {
            prop_assert_eq!(app(&injected.template), app(&template));
        }
    }

    #[test]
    fn no_probe_is_added_and_none_is_lost(template in odd_template(), settings in any_settings()) {
        if let Outcome::Injected(injected) = inject(&template, &settings) {
            let probes = |template: &Value| -> Vec<(Value, bool)> {
                let lists = ["initContainers", "containers"].into_iter();
                let all = lists.flat_map(|list| template["spec"][list].as_array().cloned().unwrap_or_default());
                all.filter(|one| one["name"] != names::CONTAINER)
                    .flat_map(|one| ["startupProbe", "readinessProbe", "livenessProbe"].map(|probe| {
                        (one["name"].clone(), one.get(probe).is_some_and(|probe| !probe.is_null()))
                    }))
                    .collect()
            };
            prop_assert_eq!(probes(&injected.template), probes(&template));
        }
    }

    #[test]
    fn manifests_of_any_text_are_taken_or_refused(text in "(---\n)?[a-zA-Z0-9: \n\"{}\\[\\],#&*-]{0,80}") {
        let input = manifests::Input { name: "any".into(), text };
        if let Ok(done) = manifests::inject_manifests(std::slice::from_ref(&input), &settings(), &|_| String::new()) {
            // Nothing in it asks for the gate, so it comes out as it went in, but for a line end.
            prop_assert_eq!(done.text.trim_end(), input.text.trim_end());
        }
    }
}
