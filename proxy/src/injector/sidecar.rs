//! What becomes of a pod, as the crate `inject` says it, in the words of an admission review.

use inject::{Outcome, Settings, Skip};
use serde_json::Value;

use super::review::Judged;

/// Judges a pod as it stands in a review: it has the form of a template.
pub(super) fn judge(pod: &Value, settings: &Settings) -> Judged {
    match inject::inject(pod, settings) {
        Outcome::Injected(done) => {
            let warnings = done.notes.iter().map(ToString::to_string).collect();
            Judged::Injected { pod: done.template, warnings }
        }
        // Whoever is asked again, by us or after another webhook, has it already.
        Outcome::Skipped(Skip::NotAskedFor | Skip::OptedOut | Skip::AlreadyThere) => Judged::Untouched,
        Outcome::Refused(refusal) => Judged::Refused(format!("{refusal}; {}", refusal.hint())),
    }
}

/// Settings for tests.
#[cfg(test)]
pub(super) fn trial() -> Settings {
    Settings::new("registry.example/anteroom:1", "1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"generateName": "records-", "labels": {"anteroom.dev/inject": "true"}},
            "spec": {"containers": [{"name": "app", "image": "records:7", "ports": [{"containerPort": 8080}]}]},
        })
    }

    #[test]
    fn a_pod_is_injected_once() {
        let Judged::Injected { pod: after, .. } = judge(&pod(), &trial()) else { panic!("it is injected") };
        assert_eq!(after["spec"]["initContainers"][0]["name"], "anteroom");
        assert_eq!(judge(&after, &trial()), Judged::Untouched);
    }

    #[test]
    fn what_cannot_be_injected_is_refused_with_a_hint() {
        let mut pod = pod();
        pod["spec"]["hostNetwork"] = json!(true);
        let Judged::Refused(reason) = judge(&pod, &trial()) else { panic!("it is refused") };
        assert!(reason.contains("hostNetwork"), "{reason}");
        pod["metadata"]["labels"] = json!({});
        assert_eq!(judge(&pod, &trial()), Judged::Untouched, "it did not ask");
    }
}
