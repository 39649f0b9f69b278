//! Buckets: what fits, what is full, and what a flood of addresses cannot do.

use super::*;

fn quota(count: u32, seconds: u64, burst: u32) -> Quota {
    let number = |value| NonZeroU32::new(value).unwrap();
    Quota { count: number(count), per: Duration::from_secs(seconds), burst: number(burst) }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_burst_fits_and_then_the_rate() {
    let limits = Limits::new();
    let quota = quota(60, 60, 3);
    let client = address("203.0.113.9");
    let at = Duration::from_secs;
    for _ in 0..3 {
        assert_eq!(limits.take_address(client, quota, at(10)), Ok(()));
    }
    let full = limits.take_address(client, quota, at(10)).unwrap_err();
    assert_eq!(full.seconds(), 1);
    assert_eq!(limits.take_address(client, quota, at(11)), Ok(()));
    assert!(limits.take_address(client, quota, at(11)).is_err());
    assert_eq!(limits.take_address(address("203.0.113.10"), quota, at(11)), Ok(()));
}

#[test]
fn the_fields_name_the_limit_its_size_and_when_one_more_fits() {
    let number = |value| NonZeroU32::new(value).unwrap();
    let full = |count, per, burst, wait| Full {
        wait: Duration::from_millis(wait),
        limit: "address",
        quota: Quota { count: number(count), per: Duration::from_secs(per), burst: number(burst) },
    };
    for (full, policy, left) in [
        (full(500, 1, 1_000, 2), "\"address\";q=1000;w=2", "\"address\";r=0;t=1"),
        (full(60, 60, 1, 1_000), "\"address\";q=1;w=1", "\"address\";r=0;t=1"),
        (full(1, 3_600, 3, 3_599_001), "\"address\";q=3;w=10800", "\"address\";r=0;t=3600"),
        (full(500, 1, 1, 0), "\"address\";q=1;w=1", "\"address\";r=0;t=1"),
    ] {
        assert_eq!((full.policy_field().as_str(), full.field().as_str()), (policy, left));
    }
}

#[test]
fn one_ipv6_site_is_one_caller_and_a_mapped_address_is_its_ipv4() {
    let limits = Limits::new();
    let quota = quota(1, 60, 1);
    let now = Duration::from_secs(1);
    assert!(limits.take_address(address("2001:db8::1"), quota, now).is_ok());
    assert!(limits.take_address(address("2001:db8::2"), quota, now).is_err());
    assert!(limits.take_address(address("2001:db8:0:1::1"), quota, now).is_ok());
    assert!(limits.take_address(address("192.0.2.1"), quota, now).is_ok());
    assert!(limits.take_address(address("::ffff:192.0.2.1"), quota, now).is_err());
}

#[test]
fn looking_takes_nothing_and_sees_what_was_taken() {
    let limits = Limits::new();
    let quota = quota(1, 10, 2);
    let client = address("203.0.113.9");
    let at = Duration::from_secs;
    for _ in 0..5 {
        assert!(limits.look_refused(client, quota, at(1)).is_ok());
    }
    assert!(limits.take_refused(client, quota, at(1)).is_ok());
    assert!(limits.look_refused(client, quota, at(1)).is_ok());
    assert!(limits.take_refused(client, quota, at(1)).is_ok());
    assert!(limits.look_refused(client, quota, at(1)).is_err());
    assert!(limits.look_refused(client, quota, at(12)).is_ok());
}

#[test]
fn a_flood_of_new_addresses_does_not_start_anew_for_ever() {
    let limits = Limits::new();
    let quota = quota(1, 3600, 1);
    let now = Duration::from_secs(1);
    let passed = (0..BUCKETS as u32 * 3)
        .filter(|number| {
            limits.take_address(IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number)), quota, now).is_ok()
        })
        .count();
    assert!(passed <= CROWDED + (SHARED_WIDTH * SHARED_WIDTH) as usize, "{passed} passed");
    assert!(limits.buckets.len() <= BUCKETS);
}

#[test]
fn eight_threads_share_one_limit() {
    let limits = Arc::new(Limits::new());
    let quota = quota(1, 3600, 100);
    let passed: usize = (0..8)
        .map(|_| {
            let limits = Arc::clone(&limits);
            std::thread::spawn(move || {
                (0..100).filter(|_| limits.take_act(7, quota, Duration::from_secs(1)).is_ok()).count()
            })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(passed, 100);
}
