//! Many who sign in at once, while their provider is slow: those of one address keep nobody else out.

use e2e::op::{Browser, Hang, Op};

use crate::newcomers::{from, shake};
use crate::reload::eventually;

/// As many of one address are at the provider at once.
const SHARE: usize = 16;

#[tokio::test]
async fn one_address_leaves_room_at_the_provider_to_others() {
    let op = Op::start();
    let gate = op.gate(op.setup(""));
    let mut sent = Vec::new();
    for _ in 0..SHARE + 2 {
        let mut browser = Browser::new(&gate).await;
        let leads = browser.go("/me").await;
        let back = op.sign_in(leads.header("location"));
        sent.push((browser, back));
    }
    let (elsewhere, path) = sent.pop().unwrap();
    let (mut late, too_many) = sent.pop().unwrap();

    op.does().hangs = Some(Hang::ForAWhile);
    let crowd: Vec<_> = sent
        .into_iter()
        .map(|(mut browser, back)| tokio::spawn(async move { browser.go(&back).await.status.as_u16() }))
        .collect();
    eventually("the crowd at the provider", || (op.does().asked.len() == SHARE).then_some(())).await;
    let refused = late.go(&too_many).await;
    assert_eq!((refused.status.as_u16(), op.does().asked.len()), (503, SHARE), "{refused:?}");

    let mut raw = shake(&gate, from("127.0.0.2", gate.https).await, b"").await.unwrap();
    let cookies: Vec<String> = elsewhere.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let ask = format!(
        "GET {path} HTTP/1.1\r\nhost: clinic.example\r\ncookie: {}\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n\r\n",
        cookies.join("; ")
    );
    let other = tokio::spawn(async move { raw.ask(&ask).await.unwrap().status() });
    eventually("another address there", || (op.does().asked.len() == SHARE + 1).then_some(())).await;
    op.does().hangs = None;
    assert_eq!(other.await.unwrap(), 303);
    for one in crowd {
        assert_eq!(one.await.unwrap(), 303);
    }
}
