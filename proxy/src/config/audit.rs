//! `audit` and `redact`: where the record goes and how identifiers stand in it. As written, and compiled. Opens nothing.

use std::path::PathBuf;

use policy::Spanned;
use policy::units::ByteSize;
use redact::PseudonymKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::{Faulty, size};
use super::raw::{RawConfig, RawFile};
use crate::authn::is_one_byte;

/// How identifiers are replaced in the record.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRedact {
    /// The key, of at least 32 bytes, under which a patient becomes a pseudonym. Left out: the record names no patient, and
    /// replicas call a session by different names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pseudonym_key: Option<Spanned<RawFile>>,
}

/// Where the record is written.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAudit {
    /// A folder that this process alone writes; it is made where it is missing. Relative to this file.
    pub directory: Spanned<String>,
    /// How much the record may hold in all; nothing is deleted, and a full record is one that cannot be written.
    #[serde(default = "half_a_gibibyte")]
    pub size: Spanned<ByteSize>,
    /// What happens to a request that cannot be recorded.
    #[serde(default)]
    pub when_unwritable: WhenUnwritable,
    /// The name of this gate in the record, for example `clinic/a/pod-7`. Left out: the host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Spanned<String>>,
}

fn half_a_gibibyte() -> Spanned<ByteSize> {
    Spanned::unplaced(ByteSize(512 * 1024 * 1024))
}

/// What happens to a request that cannot be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnwritable {
    /// It is refused with `NOT_RECORDED`.
    #[default]
    Deny,
}

/// Where the record goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPlan {
    /// The folder.
    pub directory: PathBuf,
    /// Bytes in all.
    pub size: u64,
    /// The name of this gate in the record, where one was given.
    pub origin: Option<String>,
}

pub(super) fn pseudonym_key(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<PseudonymKey> {
    let written = config.redact.pseudonym_key.as_ref()?;
    let bytes = faults.file(&written.file)?;
    let key = PseudonymKey::new(bytes).map_err(|fault| fault.to_string());
    let key = key.and_then(|key| match is_one_byte(bytes.trim_ascii()) {
        true => Err("the pseudonym key is one byte again and again, which is no secret".to_owned()),
        false => Ok(key),
    });
    key.map_err(|fault| faults.at(written.file.span, "secret", fault, "make one with `openssl rand -hex 32`")).ok()
}

pub(super) fn audit_plan(config: &RawConfig, faults: &mut Faulty<'_>) -> Option<AuditPlan> {
    let audit = &config.audit;
    let size = size(&audit.size, 1024 * 1024, 1 << 50, faults);
    let origin = audit.origin.as_ref();
    if let Some(origin) = origin {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/' | b':');
        if origin.value.is_empty() || origin.value.len() > 200 || !origin.value.bytes().all(plain) {
            let hint = "use letters, digits and `- . _ / :`, such as `clinic/a/pod-7`";
            faults.at(origin.span, "origin", format!("`{}` is no name for a record", origin.value), hint);
            return None;
        }
    }
    let directory = faults.base.join(&audit.directory.value);
    Some(AuditPlan { directory, size: size?, origin: origin.map(|origin| origin.value.clone()) })
}
