//! An issuer taken apart: an address that is compared letter by letter, and never asked by this name.
//!
//! Decides whether it is one address in its plain form. Never repairs it: an issuer that is nearly right is wrong.

/// The parts of an address.
pub(super) struct Parts<'a> {
    /// `https`, or `http` for what runs on a developer's machine.
    pub(super) scheme: &'a str,
    /// Host, with a port where one is written.
    pub(super) host: &'a str,
    /// All behind it, with the slash at its beginning; empty where there is none.
    pub(super) path: &'a str,
}

/// Takes an issuer apart; `None` where it is no address, or carries a user, a query, a fragment or blanks.
pub(super) fn parts(issuer: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = issuer.split_once("://")?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, ""),
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>".contains(&byte);
    let fine = matches!(scheme, "https" | "http")
        && !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        && path.bytes().all(plain)
        && !path.contains("//");
    fine.then_some(Parts { scheme, host, path })
}

/// The parts of an issuer on the public network.
pub(super) fn public(issuer: &str) -> Option<Parts<'_>> {
    parts(issuer).filter(|parts| parts.scheme == "https")
}

/// The issuer with something behind it, in the place of a slash at its end.
pub(super) fn below(issuer: &str, path: &str) -> Option<String> {
    let whole = parts(issuer)?;
    Some(format!("{}://{}{}{path}", whole.scheme, whole.host, whole.path.strip_suffix('/').unwrap_or(whole.path)))
}

/// Whether it is a directory's id: 32 hexadecimal digits in groups.
pub(super) fn is_guid(text: &str) -> bool {
    let mut groups = text.split('-').map(|group| (group.len(), group.bytes().all(|byte| byte.is_ascii_hexdigit())));
    [8, 4, 4, 4, 12].into_iter().all(|length| groups.next() == Some((length, true))) && groups.next().is_none()
}
