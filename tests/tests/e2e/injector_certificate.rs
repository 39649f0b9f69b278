//! The certificate that the injector makes for itself: two replicas, an API server between them, and time that passes.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anteroom::clock::Clock;
use anteroom::injector::{Keeper, Kept, Place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::kube::{ApiServer, HOST, NAME, NAMESPACE, SECRET};
use http::Method;
use rustls::pki_types::{ServerName, UnixTime};
use serde_json::json;

const DAY: Duration = Duration::from_secs(86_400);

fn place(api: &ApiServer) -> Place {
    Place {
        api: api.url(),
        account: api.account().to_path_buf(),
        namespace: NAMESPACE.to_owned(),
        secret: SECRET.to_owned(),
        service: NAME.to_owned(),
        webhook: NAME.to_owned(),
    }
}

fn keeper(api: &ApiServer) -> Keeper {
    Keeper::new(place(api)).unwrap()
}

fn clock() -> Clock {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Clock::manual(u64::try_from(now.as_millis()).unwrap())
}

#[derive(Debug)]
struct At(u64);

impl rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

/// Whether an API server that believes `bundle` at this time shakes hands with what is shown.
async fn is_believed(kept: &Kept, bundle: &str, now: u64) -> bool {
    let mut client = rustls::ClientConfig::clone(&certs::client_config(Some(bundle.as_bytes())).unwrap());
    client.time_provider = Arc::new(At(now));
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let served = tokio_rustls::TlsAcceptor::from(Arc::clone(&kept.tls)).accept(theirs);
    let name = ServerName::try_from(HOST).unwrap();
    let asked = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, ours);
    let (served, asked) = tokio::join!(served, asked);
    served.is_ok() && asked.is_ok()
}

fn in_secret(api: &ApiServer, key: &str) -> String {
    let state = api.state.lock().unwrap();
    let text = state.secret.as_ref().unwrap()["data"][key].as_str().unwrap_or_default().to_owned();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn replicas_that_start_together_share_one_certificate_that_the_api_server_believes() {
    let (api, clock) = (ApiServer::start(), clock());
    let (mut one, mut two) = (keeper(&api), keeper(&api));
    let (one, two) = tokio::join!(one.tend(clock.now()), two.tend(clock.now()));
    let (one, two) = (one.unwrap(), two.unwrap());
    let now = clock.now().unix_seconds();
    assert_eq!((&one.untold, &two.untold), (&None, &None));
    assert_eq!(api.bundle(), in_secret(&api, "ca.crt"));
    assert!(is_believed(&one, &api.bundle(), now).await && is_believed(&two, &api.bundle(), now).await);
    let names = [SECRET, "secrets", NAME];
    for seen in &api.state.lock().unwrap().seen {
        assert!(names.contains(&seen.rsplit('/').next().unwrap()), "{seen}");
    }
}

#[tokio::test]
async fn the_empty_secret_of_the_chart_is_filled_and_the_rest_of_it_stays() {
    let (api, clock) = (ApiServer::start(), clock());
    let metadata = json!({"name": SECRET, "resourceVersion": "1", "labels": {"helm.sh/chart": "x"}});
    api.state.lock().unwrap().secret = Some(json!({"metadata": metadata, "type": "Opaque"}));
    api.state.lock().unwrap().forbidden = vec![(Method::POST, "secrets")];
    let kept = keeper(&api).tend(clock.now()).await.unwrap();
    assert!(is_believed(&kept, &api.bundle(), clock.now().unix_seconds()).await);
    let secret = api.state.lock().unwrap().secret.clone().unwrap();
    assert_eq!(secret["metadata"]["labels"]["helm.sh/chart"], "x");
    assert!(in_secret(&api, "tls.key").contains("PRIVATE KEY"));
    assert!(!in_secret(&api, "ca.crt").contains("PRIVATE KEY") && secret["data"].get("ca.key").is_none());
}

#[tokio::test]
async fn whoever_is_slower_takes_what_the_faster_wrote() {
    let clock = clock();
    let (other, api) = (ApiServer::start(), ApiServer::start());
    keeper(&other).tend(clock.now()).await.unwrap();
    let faster = other.state.lock().unwrap().secret.clone();
    api.state.lock().unwrap().before_write = faster;
    let kept = keeper(&api).tend(clock.now()).await.unwrap();
    assert_eq!(in_secret(&api, "tls.crt"), in_secret(&other, "tls.crt"), "POST met a conflict");
    assert!(is_believed(&kept, &other.bundle(), clock.now().unix_seconds()).await);
    // The same with PUT: the Secret is there and empty when it is read.
    let api = ApiServer::start();
    api.state.lock().unwrap().secret = Some(json!({"metadata": {"resourceVersion": "1"}}));
    api.state.lock().unwrap().before_write = other.state.lock().unwrap().secret.clone();
    keeper(&api).tend(clock.now()).await.unwrap();
    assert_eq!(in_secret(&api, "tls.crt"), in_secret(&other, "tls.crt"), "PUT met a conflict");
}

#[tokio::test]
async fn over_half_a_year_no_moment_comes_at_which_a_replica_is_not_believed() {
    let (api, clock) = (ApiServer::start(), clock());
    let mut replicas = [keeper(&api), keeper(&api), keeper(&api)];
    let mut shown: [Option<Kept>; 3] = [None, None, None];
    let mut ends = std::collections::BTreeSet::new();
    let mut bundles = std::collections::BTreeSet::new();
    // Each replica looks at another time, the last one hours behind the first; the API server may at any moment still
    // believe what it was told last.
    for step in 0..(190 * 6) {
        let place = step % 3;
        let kept = replicas[place].tend(clock.now()).await.unwrap();
        assert_eq!(kept.untold, None);
        let changed =
            ends.insert(kept.not_after) || shown[place].as_ref().is_none_or(|one| one.not_after != kept.not_after);
        shown[place] = Some(kept);
        let is_new = bundles.insert(api.bundle());
        let now = clock.now().unix_seconds();
        // Handshakes take their time: where nothing has changed, a few of them are enough.
        let looked_at = shown.iter().flatten().filter(|_| is_new || changed || step % 30 == 0);
        for kept in looked_at {
            assert!(is_believed(kept, &api.bundle(), now).await, "at step {step}");
        }
        // Mostly four hours; around a renewal minutes, so that its stages are seen.
        let busy = !in_secret(&api, "next.crt").is_empty();
        clock.advance(if busy { Duration::from_secs(100) } else { DAY / 6 });
    }
    assert!(ends.len() >= 3, "three certificates: {ends:?}");
    assert!(bundles.iter().any(|one| one.matches("BEGIN").count() == 2));
    assert_eq!(api.bundle().matches("BEGIN").count(), 1, "the old authority is forgotten");
}

#[tokio::test]
async fn the_next_certificate_waits_until_its_authority_is_known() {
    let (api, clock) = (ApiServer::start(), clock());
    let mut replica = keeper(&api);
    let first = replica.tend(clock.now()).await.unwrap();
    clock.advance(DAY * 61);
    api.state.lock().unwrap().forbidden = vec![(Method::PATCH, NAME)];
    for _ in 0..5 {
        let kept = replica.tend(clock.now()).await.unwrap();
        assert!(kept.untold.unwrap().contains("forbids"), "it says why");
        assert_eq!(kept.not_after, first.not_after, "the old one is shown");
        clock.advance(Duration::from_secs(301));
    }
    api.state.lock().unwrap().forbidden.clear();
    assert_eq!(replica.tend(clock.now()).await.unwrap().not_after, first.not_after, "it is told now");
    clock.advance(Duration::from_secs(299));
    assert_eq!(replica.tend(clock.now()).await.unwrap().not_after, first.not_after);
    clock.advance(Duration::from_secs(1));
    let next = replica.tend(clock.now()).await.unwrap();
    assert!(next.not_after > first.not_after);
    assert!(is_believed(&next, &api.bundle(), clock.now().unix_seconds()).await);
}

#[tokio::test]
async fn a_bundle_that_somebody_changed_is_put_right_and_a_broken_secret_made_anew() {
    let (api, clock) = (ApiServer::start(), clock());
    let mut replica = keeper(&api);
    replica.tend(clock.now()).await.unwrap();
    api.state.lock().unwrap().webhook["webhooks"][1]["clientConfig"]["caBundle"] = json!("b3RoZXI=");
    replica.tend(clock.now()).await.unwrap();
    assert_eq!(api.bundle(), in_secret(&api, "ca.crt"));
    api.state.lock().unwrap().secret.as_mut().unwrap()["data"] = json!({"tls.crt": "AAAA", "mine": "AA=="});
    let kept = replica.tend(clock.now()).await.unwrap();
    assert!(is_believed(&kept, &api.bundle(), clock.now().unix_seconds()).await);
    assert_eq!(api.state.lock().unwrap().secret.as_ref().unwrap()["data"]["mine"], "AA==", "what is not ours stays");
}

#[tokio::test]
async fn faults_say_what_failed_and_show_nothing() {
    let (api, clock) = (ApiServer::start(), clock());
    let fault = |result: Result<Kept, anteroom::injector::KeeperFault>| result.unwrap_err().to_string();
    api.state.lock().unwrap().forbidden = vec![(Method::POST, "secrets")];
    let said = fault(keeper(&api).tend(clock.now()).await);
    assert!(said.contains("cannot be made") && said.contains("forbids") && !said.contains("not even shown"), "{said}");
    api.state.lock().unwrap().token = "token-two".to_owned();
    let said = fault(keeper(&api).tend(clock.now()).await);
    assert!(said.contains("401") && !said.contains("token-one"), "{said}");
    // The kubelet exchanges the token.
    std::fs::write(api.account().join("token"), "token-two").unwrap();
    api.state.lock().unwrap().forbidden.clear();
    keeper(&api).tend(clock.now()).await.unwrap();
    let strange = ApiServer::start();
    std::fs::copy(strange.account().join("ca.crt"), api.account().join("ca.crt")).unwrap();
    assert!(fault(keeper(&api).tend(clock.now()).await).contains("no trusted TLS"));
    std::fs::remove_file(api.account().join("token")).unwrap();
    std::fs::copy(strange.account().join("ca.crt"), api.account().join("ca.crt")).unwrap();
    let gone = Place { api: format!("https://{}", e2e::process::free_port()), ..place(&strange) };
    assert!(fault(Keeper::new(gone).unwrap().tend(clock.now()).await).contains("cannot be reached"));
}
