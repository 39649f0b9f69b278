//! How long each text of an event may be, and what becomes of a longer one.
//!
//! Decides the bounds, which add up to less than [`LINE_MAX`](super::LINE_MAX), and where a text is cut. Never looks at what it says.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Actor, Draft};

/// The bounds of the text fields, in bytes as they stand in the line (a quote counts two, a control character six).
mod bound {
    pub(super) const REQUEST: usize = 128;
    pub(super) const TRACE: usize = 64;
    pub(super) const ISSUER: usize = 2048;
    pub(super) const SUBJECT: usize = 1024;
    pub(super) const SESSION: usize = 64;
    pub(super) const CLIENT: usize = 512;
    pub(super) const ROLES: usize = 64;
    pub(super) const ROLE: usize = 128;
    pub(super) const METHODS: usize = 16;
    pub(super) const METHOD: usize = 32;
    pub(super) const TENANT: usize = 256;
    pub(super) const PATIENT: usize = 128;
    pub(super) const RULE: usize = 256;
    pub(super) const ACT: usize = 256;
    pub(super) const ROUTE: usize = 2048;
    pub(super) const POLICY: usize = 128;
    pub(super) const CODE: usize = 64;
}

/// Cuts every text of the draft to its bound; true if one was cut.
pub(super) fn clip(draft: &mut Draft) -> bool {
    let mut clipped = cut(&mut draft.request, bound::REQUEST);
    for (text, bound) in
        [(&mut draft.trace, bound::TRACE), (&mut draft.tenant, bound::TENANT), (&mut draft.patient, bound::PATIENT)]
    {
        clipped |= text.as_mut().is_some_and(|text| cut(text, bound));
    }
    for (text, bound) in [
        (draft.rule.as_mut(), bound::RULE),
        (draft.act.as_mut(), bound::ACT),
        (draft.route.as_mut(), bound::ROUTE),
        (Some(&mut draft.policy), bound::POLICY),
    ] {
        clipped |= text.is_some_and(|text| cut_shared(text, bound));
    }
    if let Some(code) = draft.code.as_mut()
        && let Some(short) = shortened(code, bound::CODE)
    {
        *code = Cow::Owned(short);
        clipped = true;
    }
    if let Some(actor) = draft.actor.as_mut() {
        clipped |= clip_actor(actor);
    }
    clipped
}

fn clip_actor(actor: &mut Actor) -> bool {
    let mut clipped = cut(&mut actor.iss, bound::ISSUER);
    clipped |= cut(&mut actor.sub, bound::SUBJECT);
    for (text, bound) in [(&mut actor.session, bound::SESSION), (&mut actor.client, bound::CLIENT)] {
        clipped |= text.as_mut().is_some_and(|text| cut(text, bound));
    }
    clipped |= cut_list(&mut actor.roles, bound::ROLES, bound::ROLE);
    if let Some(factors) = actor.factors.as_mut() {
        clipped |= cut_list(&mut factors.methods, bound::METHODS, bound::METHOD);
    }
    clipped
}

fn cut_list(list: &mut Vec<String>, count: usize, bound: usize) -> bool {
    let mut clipped = list.len() > count;
    list.truncate(count);
    for text in list {
        clipped |= cut(text, bound);
    }
    clipped
}

fn cut(text: &mut String, bound: usize) -> bool {
    shortened(text, bound).is_some_and(|short| {
        *text = short;
        true
    })
}

fn cut_shared(text: &mut Arc<str>, bound: usize) -> bool {
    shortened(text, bound).is_some_and(|short| {
        *text = short.into();
        true
    })
}

/// The beginning of the text and `…`, together at most `bound` bytes in the line; `None` where the whole text fits.
pub(super) fn shortened(text: &str, bound: usize) -> Option<String> {
    const MARK: char = '…';
    let mut length = 0;
    let mut end = 0; // how much of the text fits together with the mark
    for (at, letter) in text.char_indices() {
        if length + MARK.len_utf8() <= bound {
            end = at;
        }
        length += match letter {
            '"' | '\\' => 2,
            '\0'..='\x1f' => 6,
            _ => letter.len_utf8(),
        };
        if length > bound {
            let mut short = text.get(..end)?.to_owned();
            short.push(MARK);
            return Some(short);
        }
    }
    None
}
