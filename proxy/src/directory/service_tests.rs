use policy::{Bindings, TenantId};

use super::*;
use crate::directory::answer::AnswerFault;
use crate::directory::tests::caller;
use crate::outbound::stage::{Stage, answer};

const MAX_AGE: Duration = Duration::from_secs(600);

fn service(stage: &Stage) -> Arc<Service> {
    Arc::new(Service::new(Settings {
        endpoint: stage.endpoint("/bindings"),
        authorization: Some(HeaderValue::from_static("Bearer canary-of-the-directory")),
        max_age: MAX_AGE,
        digest: [0; 32],
    }))
}

fn member_of(tenant: &str) -> Said {
    Said::Listed(Bindings::one(TenantId::parse(tenant), vec!["member".to_owned()]))
}

fn says(tenant: &str) -> Vec<u8> {
    answer("200 OK", &format!(r#"{{"bindings": {{"{tenant}": ["member"]}}}}"#))
}

async fn ask(service: &Arc<Service>, subject: &str, now: u64) -> Result<Said, Down> {
    let told = service.ask(&caller(subject), Duration::from_secs(now), &Handle::current()).await;
    told.map(|told| told.said)
}

#[tokio::test]
async fn a_subject_is_asked_about_once_and_stands_in_no_address() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    for now in [0, 1, 299] {
        assert_eq!(ask(&service, "../auth0|ada&x=1", now).await, Ok(member_of("a")));
    }
    assert_eq!(stage.asked(), 1);
    let request = stage.request();
    assert!(request.starts_with("POST /bindings HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer canary-of-the-directory\r\n"), "{request}");
    let form = "provider=clinic&issuer=https%3A%2F%2Fid.example%2F&subject=..%2Fauth0%7Cada%26x%3D1";
    assert!(request.ends_with(form), "{request}");
    assert!(!format!("{service:?}").contains("canary"), "{service:?}");
}

#[tokio::test]
async fn it_is_asked_again_behind_the_back_of_requests() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    assert_eq!(ask(&service, "ada", 0).await, Ok(member_of("a")));
    stage.say(says("b"));
    assert_eq!(ask(&service, "ada", 300).await, Ok(member_of("a")), "the old one counts, and a new one is asked for");
    let renewed = async {
        while ask(&service, "ada", 301).await != Ok(member_of("b")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), renewed).await.unwrap();
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn a_service_that_is_down_is_no_answer_and_the_last_one_ends_in_time() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    assert_eq!(ask(&service, "ada", 0).await, Ok(member_of("a")));
    for (bytes, down) in [
        (answer("500 Internal Server Error", "{}"), Down::Call(Fault::Status(500))),
        (answer("404 Not Found", r#"{"bindings": null}"#), Down::Call(Fault::Status(404))),
        (answer("302 Found\r\nlocation: https://other.example/", ""), Down::Call(Fault::Redirect(302))),
        (answer("200 OK", "<html>"), Down::Answer(AnswerFault::Json(crate::authn::JsonFault::Syntax))),
        (answer("200 OK", &" ".repeat(CAP + 1)), Down::Call(Fault::TooLarge(CAP))),
    ] {
        stage.say(bytes);
        let subject = format!("{down:?}");
        assert_eq!(ask(&service, &subject, 10).await, Err(down));
        let asked = stage.asked();
        assert_eq!(ask(&service, &subject, 14).await, Err(down), "it is left alone for a moment");
        assert_eq!(stage.asked(), asked);
        assert_eq!(ask(&service, "ada", 299).await, Ok(member_of("a")));
    }
    assert_eq!(ask(&service, "ada", 600).await, Err(Down::Call(Fault::TooLarge(CAP))), "too old is too old");
    let status = service.status();
    assert_eq!((status.listed, status.unlisted, status.failed), (1, 0, 6));
    assert!(status.failure.is_some());
    stage.say(says("b"));
    assert_eq!(ask(&service, "ada", 610).await, Ok(member_of("b")));
    assert_eq!(service.status().failure, None);
}

#[tokio::test]
async fn many_who_wait_for_one_subject_cause_one_call() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let service = Arc::clone(&service);
        waiting.spawn(async move { ask(&service, "ada", 0).await });
    }
    for said in waiting.join_all().await {
        assert_eq!(said, Ok(member_of("a")));
    }
    assert_eq!(stage.asked(), 1);
    assert!(service.flights().is_empty());
}

#[tokio::test]
async fn those_who_wait_are_bounded_and_a_lost_request_loses_no_call() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    let mut waiting = tokio::task::JoinSet::new();
    for at in 0..FLIGHTS + 50 {
        let service = Arc::clone(&service);
        waiting.spawn(async move { ask(&service, &format!("subject-{at}"), 0).await });
    }
    let said = waiting.join_all().await;
    let busy = said.iter().filter(|one| **one == Err(Down::Busy)).count();
    assert_eq!(busy, 50, "{:?}", said.iter().find(|one| one.is_err()));
    assert!(said.iter().all(|one| matches!(one, Ok(_) | Err(Down::Busy))));
    assert_eq!(stage.asked(), FLIGHTS);

    // Whoever asked has gone; the call goes on, and its answer is there for the next one.
    let gone = tokio::time::timeout(Duration::ZERO, ask(&service, "gone", 0)).await;
    assert!(gone.is_err());
    assert_eq!(ask(&service, "gone", 0).await, Ok(member_of("a")));
    assert_eq!(stage.asked(), FLIGHTS + 1);
}

#[tokio::test]
async fn one_subject_does_not_take_every_place() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..WAITING + 50 {
        let service = Arc::clone(&service);
        waiting.spawn(async move { ask(&service, "ada", 0).await });
    }
    let said = waiting.join_all().await;
    assert_eq!(said.iter().filter(|one| **one == Err(Down::Busy)).count(), 50);
    assert_eq!(said.iter().filter(|one| **one == Ok(member_of("a"))).count(), WAITING);
    assert_eq!((stage.asked(), service.room.available_permits()), (1, WAITING));
}

#[tokio::test]
async fn a_runtime_that_ends_leaves_nobody_waiting() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    let background = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = background.handle().clone();
    tokio::task::spawn_blocking(move || drop(background)).await.unwrap();
    let said = service.ask(&caller("ada"), Duration::ZERO, &handle).await;
    assert_eq!(said, Err(Down::Leaving));
    assert!(service.flights().is_empty());
}

#[tokio::test]
async fn whoever_cannot_wait_hears_what_counts_and_the_rest_is_asked_meanwhile() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    let recall = |now| service.recall(&caller("ada"), Duration::from_secs(now), &Handle::current());
    let heard = async |now, said| {
        while recall(now).map(|told| told.said) != said {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(recall(0), None);
    tokio::time::timeout(Duration::from_secs(5), heard(0, Some(member_of("a")))).await.unwrap();
    let holds = Holds { renew: Duration::from_secs(300), until: Duration::from_secs(600) };
    assert_eq!(recall(299), Some(Told { said: member_of("a"), holds: Some(holds) }));
    assert_eq!(stage.asked(), 1);
    stage.say(says("b"));
    assert_eq!(recall(300).map(|told| told.said), Some(member_of("a")));
    tokio::time::timeout(Duration::from_secs(5), heard(301, Some(member_of("b")))).await.unwrap();
    assert_eq!((stage.asked(), recall(900)), (2, None), "too old is too old, and it counts from the question");
}

#[tokio::test]
async fn whoever_cannot_wait_leaves_room_for_those_who_do() {
    let stage = Stage::start(says("a")).await;
    let service = service(&stage);
    for at in 0..FLIGHTS {
        assert_eq!(service.recall(&caller(&format!("subject-{at}")), Duration::ZERO, &Handle::current()), None);
    }
    assert_eq!(service.flights().len(), UNHURRIED);
    assert_eq!(ask(&service, "ada", 0).await, Ok(member_of("a")));
}
