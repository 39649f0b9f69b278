//! One batch to the kernel, and what it says to it.
//!
//! It decides when all of it was taken: when every message was acknowledged. It waits for that a few seconds, not for ever.

use std::io::{self, Read as _};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::RedirectError;
use super::message::{Answer, Batch, answers};

/// `AF_NETLINK`.
const NETLINK: i32 = 16;
/// `NETLINK_NETFILTER`.
const NETFILTER: i32 = 12;
/// How long the kernel may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Errors by which the kernel says that it lacks something: `ENOENT`, `EPROTONOSUPPORT`, `EOPNOTSUPP`, `EAFNOSUPPORT`.
const LACKING: [i32; 4] = [2, 93, 95, 97];

/// Sends `batch` and waits until the kernel has taken all of it.
pub(super) fn apply(batch: &Batch) -> Result<(), RedirectError> {
    let mut socket = open().map_err(|error| match error.raw_os_error() {
        Some(number) if LACKING.contains(&number) => RedirectError::Unsupported(error),
        _ => RedirectError::Netlink(error),
    })?;
    // Without an address a datagram of netlink goes to the kernel.
    socket.send(&batch.bytes()).map_err(RedirectError::Netlink)?;
    let mut taken = 0;
    let mut datagram = vec![0; 16 * 1024];
    while taken < batch.acknowledged() {
        let length = socket.read(&mut datagram).map_err(RedirectError::Netlink)?;
        for answer in answers(datagram.get(..length).unwrap_or_default()) {
            judge(answer, batch)?;
            taken += 1;
        }
    }
    Ok(())
}

fn open() -> io::Result<Socket> {
    let socket = Socket::new(Domain::from(NETLINK), Type::RAW, Some(Protocol::from(NETFILTER)))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn judge(answer: Answer, batch: &Batch) -> Result<(), RedirectError> {
    if answer.error == 0 {
        return Ok(());
    }
    let error = io::Error::from_raw_os_error(answer.error);
    if error.kind() == io::ErrorKind::PermissionDenied {
        Err(RedirectError::NotPermitted)
    } else if LACKING.contains(&answer.error) {
        Err(RedirectError::Unsupported(error))
    } else {
        Err(RedirectError::Refused(batch.step(answer.number), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_is_to_be_done() {
        let batch = super::super::rules(&[3000], 8443);
        let judge = |number, error| judge(Answer { number, error }, &batch);
        assert!(judge(1, 0).is_ok());
        assert!(matches!(judge(0, 1), Err(RedirectError::NotPermitted)));
        assert!(matches!(judge(6, 2), Err(RedirectError::Unsupported(_))));
        assert!(matches!(judge(0, 95), Err(RedirectError::Unsupported(_))));
        assert!(matches!(judge(6, 22), Err(RedirectError::Refused("the rule", _))));
        assert!(RedirectError::NotPermitted.hint().contains("NET_ADMIN"));
    }
}
