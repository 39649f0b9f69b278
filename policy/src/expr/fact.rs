//! The names that a condition can read, and of which type each is.
//!
//! A name that is not here does not exist: there is no way to reach anything else of a request or a caller.

use std::fmt;

/// What a condition can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    Subject,
    Issuer,
    Client,
    PrincipalTenant,
    Roles,
    Claim(String),
    ResourceTenant,
    Patient,
    Param(String),
    Method,
    Ip,
    Now,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => f.write_str("principal.subject"),
            Self::Issuer => f.write_str("principal.issuer"),
            Self::Client => f.write_str("principal.client"),
            Self::PrincipalTenant => f.write_str("principal.tenant"),
            Self::Roles => f.write_str("principal.roles"),
            Self::Claim(name) => write!(f, "principal.claims.{name}"),
            Self::ResourceTenant => f.write_str("resource.tenant"),
            Self::Patient => f.write_str("resource.patient"),
            Self::Param(name) => write!(f, "path.{name}"),
            Self::Method => f.write_str("request.method"),
            Self::Ip => f.write_str("client.ip"),
            Self::Now => f.write_str("now"),
        }
    }
}

/// The names that can be written as they are.
pub(super) const KNOWN: [(&str, Fact); 10] = [
    ("principal.subject", Fact::Subject),
    ("principal.issuer", Fact::Issuer),
    ("principal.client", Fact::Client),
    ("principal.tenant", Fact::PrincipalTenant),
    ("principal.roles", Fact::Roles),
    ("resource.tenant", Fact::ResourceTenant),
    ("resource.patient", Fact::Patient),
    ("request.method", Fact::Method),
    ("client.ip", Fact::Ip),
    ("now", Fact::Now),
];

impl Fact {
    /// The fact of this name.
    pub(super) fn named(words: &[String]) -> Option<Self> {
        match words {
            [principal, claims, name] if principal == "principal" && claims == "claims" => {
                Some(Self::Claim(name.clone()))
            }
            [path, name] if path == "path" => Some(Self::Param(name.clone())),
            _ => {
                let whole = words.join(".");
                KNOWN.into_iter().find(|(name, _)| *name == whole).map(|(_, fact)| fact)
            }
        }
    }

    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Claim(_) => Type::Unknown,
            Self::Roles => Type::Texts,
            Self::Now => Type::Int,
            Self::Subject
            | Self::Issuer
            | Self::Client
            | Self::PrincipalTenant
            | Self::ResourceTenant
            | Self::Patient
            | Self::Param(_)
            | Self::Method
            | Self::Ip => Type::Text,
        }
    }

    /// Whether a request that gets as far as a condition may lack it.
    pub(super) fn may_be_missing(&self) -> bool {
        matches!(self, Self::Claim(_) | Self::Client | Self::Patient)
    }
}

/// What a value is, as far as it is known before there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Text,
    Texts,
    Ints,
    /// Of a claim: known when it is read.
    Unknown,
}

impl Type {
    /// As it is said in a message.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a number",
            Self::Text => "a text",
            Self::Texts => "a list of texts",
            Self::Ints => "a list of numbers",
            Self::Unknown => "a claim",
        }
    }

    pub(super) fn can_be(self, other: Self) -> bool {
        self == other || self == Self::Unknown || other == Self::Unknown
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Texts | Self::Ints)
    }
}
