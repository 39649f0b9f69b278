use proptest::prelude::*;
use serde_json::json;

use super::super::sidecar;
use super::*;

fn review(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "clinic",
            "dryRun": false,
            "object": pod,
            "oldObject": null,
        },
    })
}

fn ask(review: &Value, judged: Judged) -> Result<(Outcome, Value), Malformed> {
    let answered = answer(review.to_string().as_bytes(), |_| judged)?;
    let body: Value = serde_json::from_slice(&answered.body).unwrap();
    assert_eq!(body["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(body["kind"], "AdmissionReview");
    Ok((answered.outcome, body["response"].clone()))
}

#[test]
fn the_answer_names_the_question_and_carries_a_patch() {
    let before = json!({"metadata": {}, "spec": {"containers": [{"name": "app"}]}});
    let after =
        json!({"metadata": {}, "spec": {"containers": [{"name": "app"}], "initContainers": [{"name": "anteroom"}]}});
    let judged = Judged::Injected { pod: after.clone(), warnings: vec!["one\nline".to_owned()] };
    let (outcome, response) = ask(&review(&before), judged).unwrap();
    assert_eq!(outcome, Outcome::Injected);
    assert_eq!(response["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    assert_eq!(response["allowed"], true);
    assert_eq!(response["patchType"], "JSONPatch");
    assert_eq!(response["warnings"], json!(["anteroom: one line"]));
    let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let mut made = before;
    json_patch::patch(&mut made, &patch).unwrap();
    assert_eq!(made, after);
}

#[test]
fn what_is_untouched_has_no_patch_and_what_is_refused_has_a_reason() {
    let pod = json!({"spec": {}});
    let (outcome, response) = ask(&review(&pod), Judged::Untouched).unwrap();
    assert_eq!((outcome, response.get("patch"), &response["allowed"]), (Outcome::Untouched, None, &json!(true)));
    let (outcome, response) = ask(&review(&pod), Judged::Refused("host network".to_owned())).unwrap();
    assert_eq!((outcome, response.get("patch"), &response["allowed"]), (Outcome::Refused, None, &json!(false)));
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(response["status"]["message"], "anteroom cannot be injected: host network");
}

#[test]
fn what_is_no_question_is_none() {
    let good = review(&json!({"spec": {}}));
    let with = |path: &str, value: Value| {
        let mut review = good.clone();
        *review.pointer_mut(path).unwrap() = value;
        ask(&review, Judged::Untouched).unwrap_err()
    };
    assert_eq!(with("/apiVersion", json!("admission.k8s.io/v1beta1")), Malformed::Version);
    assert_eq!(with("/kind", json!("Review")), Malformed::NotAReview);
    assert_eq!(with("/request", Value::Null), Malformed::NoRequest);
    assert_eq!(with("/request/uid", json!("")), Malformed::Uid);
    assert_eq!(with("/request/uid", json!("a b")), Malformed::Uid);
    assert_eq!(with("/request/uid", json!("u".repeat(129))), Malformed::Uid);
    assert_eq!(with("/request/operation", json!("UPDATE")), Malformed::NotCreated);
    assert_eq!(with("/request/kind/kind", json!("Deployment")), Malformed::NotAPod);
    assert_eq!(with("/request/kind/group", json!("apps")), Malformed::NotAPod);
    assert_eq!(with("/request/object", Value::Null), Malformed::NotAPod);
    assert_eq!(answer(b"", |_| Judged::Untouched).unwrap_err(), Malformed::NotAReview);
    let many = review(&json!({"spec": {"x": vec![0; PIECES]}}));
    assert_eq!(ask(&many, Judged::Untouched).unwrap_err(), Malformed::TooManyPieces);
    let deep = "[".repeat(PIECES);
    assert_eq!(answer(deep.as_bytes(), |_| Judged::Untouched).unwrap_err(), Malformed::NotAReview);
}

#[test]
fn a_trial_run_is_answered_alike() {
    let pod =
        json!({"metadata": {"labels": {"anteroom.dev/inject": "true"}}, "spec": {"containers": [{"name": "app"}]}});
    let asked = |trial: bool| {
        let mut review = review(&pod);
        review["request"]["dryRun"] = json!(trial);
        answer(review.to_string().as_bytes(), |pod| sidecar::judge(pod, &sidecar::trial())).unwrap().body
    };
    assert_eq!(asked(true), asked(false));
}

/// Any JSON in a pod's places.
fn odd_pod() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z.\u{e9}\u{1f980}\u{0}]{0,4}".prop_map(Value::from),
    ];
    let keys = "(name|ports|hostPort|containerPort|volumeMounts|readinessProbe|httpGet|port|lifecycle|preStop|labels|securityContext)";
    let any = leaf.prop_recursive(5, 60, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    });
    (any.clone(), any.clone(), any.clone(), any).prop_map(|(containers, inits, volumes, annotations)| {
        json!({
            "metadata": {"labels": {"anteroom.dev/inject": "true"}, "annotations": annotations},
            "spec": {"containers": [{"name": "app", "x": containers.clone()}, containers], "initContainers": inits, "volumes": volumes},
        })
    })
}

proptest! {
    #[test]
    fn every_odd_pod_gets_an_answer_that_can_be_applied(pod in odd_pod()) {
        let answered = answer(review(&pod).to_string().as_bytes(), |pod| sidecar::judge(pod, &sidecar::trial())).unwrap();
        let body: Value = serde_json::from_slice(&answered.body).unwrap();
        let response = &body["response"];
        prop_assert_eq!(response["allowed"] == json!(true), answered.reason.is_none());
        if let Some(patch) = response["patch"].as_str() {
            let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
            let mut made = pod;
            json_patch::patch(&mut made, &patch).unwrap();
            prop_assert!(matches!(sidecar::judge(&made, &sidecar::trial()), Judged::Untouched));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(answer(&bytes, |_| Judged::Untouched));
    }

    #[test]
    fn no_broken_review_makes_it_panic(at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400) {
        let mut bytes = review(&json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "x"}]}})).to_string().into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        if let Ok(answered) = answer(&bytes, |pod| sidecar::judge(pod, &sidecar::trial())) {
            prop_assert!(serde_json::from_slice::<Value>(&answered.body).is_ok());
        }
    }
}
