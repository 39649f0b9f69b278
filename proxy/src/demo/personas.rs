//! The people of the demo: who can be chosen, and what the identity provider says about them.
//!
//! Every one is invented. What they may do is not decided here but in `assets/policies/clinic.yaml`.

/// Somebody to be.
#[derive(Debug)]
pub(super) struct Persona {
    /// The key in `--json`, in forms and in the tries.
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) initials: &'static str,
    pub(super) subject: &'static str,
    /// The clinic the token names, if any.
    pub(super) tenant: Option<&'static str>,
    pub(super) roles: &'static [&'static str],
    /// How they signed in (`amr`, RFC 8176).
    pub(super) factors: &'static [&'static str],
    /// Their own patient number.
    pub(super) patient: Option<&'static str>,
    /// The licence number without which nobody signs a prescription. No real one starts with a zero.
    pub(super) npi: Option<&'static str>,
    /// What to expect, in a line.
    pub(super) can: &'static str,
}

impl Persona {
    /// Whether a second factor was used.
    pub(super) fn mfa(&self) -> bool {
        self.factors.iter().any(|factor| matches!(*factor, "otp" | "hwk" | "mfa"))
    }

    /// The clinic as text.
    pub(super) fn clinic(&self) -> &'static str {
        match self.tenant {
            Some(clinic) => clinic,
            None if self.key == TWO_CLINICS => "two clinics",
            None => "no clinic",
        }
    }

    /// The roles as text, for example "front desk".
    pub(super) fn role(&self) -> String {
        self.roles.join(", ").replace('_', " ")
    }
}

/// The clinician at harbour, in most of the tries.
pub(super) const PROVIDER: &str = "provider";
pub(super) const FRONT_DESK: &str = "front_desk";
pub(super) const PATIENT: &str = "patient";
pub(super) const ADMIN: &str = "admin";
/// An administrator who signed in with a password alone.
pub(super) const ADMIN_PASSWORD: &str = "admin_password";
pub(super) const OTHER_CLINIC: &str = "other_clinic";
pub(super) const NO_CLINIC: &str = "no_clinic";

/// A clinician in one clinic who is at the front desk of the other, as the directory says.
pub(super) const TWO_CLINICS: &str = "two_clinics";
/// A screen that everybody passes, whose session ends soon.
pub(super) const KIOSK: &str = "kiosk";
/// Somebody who has left, and whose tokens are still good.
pub(super) const REVOKED: &str = "revoked";

/// Everybody, in the order of the page.
pub(super) const PERSONAS: [Persona; 10] = [
    Persona {
        key: PROVIDER,
        name: "Dr. Ada Example",
        initials: "AE",
        subject: "clinic|ada",
        tenant: Some("harbour"),
        roles: &["provider"],
        factors: &["pwd", "otp"],
        patient: None,
        npi: Some("0000000001"),
        can: "reads and writes records, signs prescriptions",
    },
    Persona {
        key: FRONT_DESK,
        name: "Frida Counter",
        initials: "FC",
        subject: "clinic|frida",
        tenant: Some("harbour"),
        roles: &["front_desk"],
        factors: &["pwd"],
        patient: None,
        npi: None,
        can: "reads, but writes nothing",
    },
    Persona {
        key: PATIENT,
        name: "Ima Placeholder",
        initials: "IP",
        subject: "clinic|ima",
        tenant: Some("harbour"),
        roles: &["patient"],
        factors: &["pwd"],
        patient: Some("p-101"),
        npi: None,
        can: "reads her own record, p-101, and no other",
    },
    Persona {
        key: ADMIN,
        name: "Addy Minh-Sample",
        initials: "AM",
        subject: "clinic|addy",
        tenant: Some("harbour"),
        roles: &["admin"],
        factors: &["pwd", "otp"],
        patient: None,
        npi: None,
        can: "sees accounts and reports, but no record",
    },
    Persona {
        key: ADMIN_PASSWORD,
        name: "Pat Word-Only",
        initials: "PW",
        subject: "clinic|pat",
        tenant: Some("harbour"),
        roles: &["admin"],
        factors: &["pwd"],
        patient: None,
        npi: None,
        can: "an administrator who forgot the second factor",
    },
    Persona {
        key: OTHER_CLINIC,
        name: "Dr. Hill N. Side",
        initials: "HS",
        subject: "clinic|hill",
        tenant: Some("hillside"),
        roles: &["provider"],
        factors: &["pwd", "otp"],
        patient: None,
        npi: None,
        can: "the other clinic, and no licence on file",
    },
    Persona {
        key: NO_CLINIC,
        name: "Nemo Nowhere",
        initials: "NN",
        subject: "clinic|nemo",
        tenant: None,
        roles: &["provider"],
        factors: &["pwd"],
        patient: None,
        npi: None,
        can: "a valid token that names no clinic",
    },
    Persona {
        key: TWO_CLINICS,
        name: "Dr. Bea Bothways",
        initials: "BB",
        subject: "clinic|bea",
        tenant: None,
        roles: &["provider"],
        factors: &["pwd", "otp"],
        patient: None,
        npi: None,
        can: "writes at harbour, and at hillside only reads: the directory says so",
    },
    Persona {
        key: KIOSK,
        name: "Kay Corridor",
        initials: "KC",
        subject: "clinic|kay",
        tenant: Some("harbour"),
        roles: &["kiosk"],
        factors: &["pwd"],
        patient: None,
        npi: None,
        can: "sees the list, and is signed out after a minute of silence",
    },
    Persona {
        key: REVOKED,
        name: "Dr. Gon Elsewhere",
        initials: "GE",
        subject: "clinic|gon",
        tenant: Some("harbour"),
        roles: &["provider"],
        factors: &["pwd", "otp"],
        patient: None,
        npi: Some("0000000002"),
        can: "left the clinic: the token is good, and revoked",
    },
];

/// Who has this key.
pub(super) fn persona(key: &str) -> Option<&'static Persona> {
    PERSONAS.iter().find(|persona| persona.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_subjects_are_unique() {
        for (at, one) in PERSONAS.iter().enumerate() {
            assert!(PERSONAS.iter().skip(at + 1).all(|two| two.key != one.key && two.subject != one.subject));
            assert!(persona(one.key).is_some());
        }
    }

    #[test]
    fn mfa_is_what_the_factors_say() {
        assert!(persona(ADMIN).unwrap().mfa());
        assert!(!persona(PATIENT).unwrap().mfa());
    }
}
