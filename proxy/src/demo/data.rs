//! What the sample clinic knows: two clinics, eight patients, their records. Every person in it is invented.
//!
//! Like many an old application it keeps both clinics in one store and filters by a clinic name that somebody else
//! has to get right. It decides nothing about who may see what.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// Notes kept beside those of the start; each further one pushes the oldest of them out.
const MAX_ADDED: usize = 200;
/// The longest note, in characters; what is longer is cut.
const MAX_NOTE: usize = 500;
/// The id of the first added note.
const FIRST_ADDED: u32 = 100;

/// Somebody who is treated at one of the clinics.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Patient {
    pub(super) id: &'static str,
    pub(super) clinic: &'static str,
    pub(super) name: &'static str,
    pub(super) born: &'static str,
    pub(super) phone: &'static str,
}

/// One entry in a patient's file.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Record {
    pub(super) id: u32,
    pub(super) patient: String,
    pub(super) date: String,
    pub(super) note: String,
    pub(super) by: String,
}

/// A prescription that waits for a signature.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Prescription {
    pub(super) id: &'static str,
    pub(super) patient: &'static str,
    pub(super) drug: &'static str,
    pub(super) signed_by: Option<String>,
}

/// Somebody with an account in the old application.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct User {
    pub(super) id: &'static str,
    pub(super) clinic: &'static str,
    pub(super) name: &'static str,
    pub(super) role: &'static str,
}

const fn patient(
    id: &'static str,
    clinic: &'static str,
    name: &'static str,
    born: &'static str,
    phone: &'static str,
) -> Patient {
    Patient { id, clinic, name, born, phone }
}

const PATIENTS: [Patient; 8] = [
    patient("p-101", "harbour", "Ima Placeholder", "1990-01-01", "555-0101"),
    patient("p-102", "harbour", "Otto Fixture", "1961-02-30", "555-0102"),
    patient("p-103", "harbour", "Norma L. Value", "1984-04-04", "555-0103"),
    patient("p-104", "harbour", "Testy McSample", "1970-01-01", "555-0104"),
    patient("p-201", "hillside", "Polly Specimen", "1955-05-05", "555-0105"),
    patient("p-202", "hillside", "Lorem I. Psum", "2001-10-10", "555-0106"),
    patient("p-203", "hillside", "Dora Dummy", "1999-09-09", "555-0107"),
    patient("p-204", "hillside", "Foo Barrington", "1977-07-07", "555-0108"),
];

const USERS: [User; 6] = [
    User { id: "clinic|ada", clinic: "harbour", name: "Dr. Ada Example", role: "provider" },
    User { id: "clinic|frida", clinic: "harbour", name: "Frida Counter", role: "front_desk" },
    User { id: "clinic|addy", clinic: "harbour", name: "Addy Minh-Sample", role: "admin" },
    User { id: "clinic|ima", clinic: "harbour", name: "Ima Placeholder", role: "patient" },
    User { id: "clinic|hill", clinic: "hillside", name: "Dr. Hill N. Side", role: "provider" },
    User { id: "clinic|nemo", clinic: "", name: "Nemo Nowhere", role: "provider" },
];

/// (id, patient, date, note, written by)
const RECORDS: [(u32, &str, &str, &str, &str); 12] = [
    (1, "p-101", "2026-03-02", "Sprained ankle after a sample walk. Rest, ice, example bandage.", "clinic|ada"),
    (2, "p-101", "2026-03-16", "Ankle fine again. Advised against hopping over placeholders.", "clinic|ada"),
    (3, "p-102", "2026-01-12", "Annual check. Blood pressure 120/80, as in every textbook.", "clinic|ada"),
    (4, "p-102", "2026-02-30", "Reports that his birthday never comes. Referred to the calendar.", "clinic|ada"),
    (5, "p-103", "2026-05-05", "All values normal. Suspiciously so.", "clinic|ada"),
    (6, "p-104", "2026-06-01", "Invented cough. Prescribed invented syrup.", "clinic|ada"),
    (7, "p-201", "2026-02-02", "Hearing test passed, then failed, then passed.", "clinic|hill"),
    (8, "p-201", "2026-04-04", "Follow-up for the specimen collection.", "clinic|hill"),
    (9, "p-202", "2026-03-03", "Dolor sit amet. Knee.", "clinic|hill"),
    (10, "p-203", "2026-06-06", "Vaccination against test data.", "clinic|hill"),
    (11, "p-204", "2026-07-07", "Tennis elbow, does not play tennis.", "clinic|hill"),
    (12, "p-204", "2026-07-21", "Has taken up tennis to make sense of it.", "clinic|hill"),
];

const PRESCRIPTIONS: [(&str, &str, &str); 4] = [
    ("rx-1", "p-104", "Invented syrup, 10 ml"),
    ("rx-2", "p-102", "Placebol 5 mg"),
    ("rx-3", "p-201", "Examplamine 20 mg"),
    ("rx-4", "p-204", "Placebol 10 mg"),
];

/// The store. Grows by at most [`MAX_ADDED`] notes of [`MAX_NOTE`] characters.
pub(super) struct Store {
    changing: Mutex<Changing>,
}

struct Changing {
    records: Vec<Record>,
    prescriptions: Vec<Prescription>,
    next: u32,
}

impl Store {
    pub(super) fn new() -> Self {
        let records = RECORDS.map(|(id, patient, date, note, by)| Record {
            id,
            patient: patient.to_owned(),
            date: date.to_owned(),
            note: note.to_owned(),
            by: by.to_owned(),
        });
        let prescriptions =
            PRESCRIPTIONS.map(|(id, patient, drug)| Prescription { id, patient, drug, signed_by: None });
        Self {
            changing: Mutex::new(Changing {
                records: records.into(),
                prescriptions: prescriptions.into(),
                next: FIRST_ADDED,
            }),
        }
    }

    /// The patients of one clinic, or of all when the request names none. That is the leak, and it is on purpose.
    pub(super) fn patients(clinic: Option<&str>) -> impl Iterator<Item = &'static Patient> {
        PATIENTS.iter().filter(move |patient| clinic.is_none_or(|name| patient.clinic == name))
    }

    pub(super) fn patient(id: &str, clinic: Option<&str>) -> Option<&'static Patient> {
        Self::patients(clinic).find(|patient| patient.id == id)
    }

    pub(super) fn users(clinic: Option<&str>) -> impl Iterator<Item = &'static User> {
        USERS.iter().filter(move |user| clinic.is_none_or(|name| user.clinic == name))
    }

    pub(super) fn records(&self, patient: &Patient) -> Vec<Record> {
        self.changing().records.iter().filter(|record| record.patient == patient.id).cloned().collect()
    }

    pub(super) fn record(&self, patient: &Patient, id: &str) -> Option<Record> {
        let id: u32 = id.parse().ok()?;
        self.changing().records.iter().find(|record| record.patient == patient.id && record.id == id).cloned()
    }

    pub(super) fn add(&self, patient: &Patient, note: &str, by: &str) -> Record {
        let mut changing = self.changing();
        let record = Record {
            id: changing.next,
            patient: patient.id.to_owned(),
            date: "today".to_owned(),
            note: note.chars().take(MAX_NOTE).collect(),
            by: by.to_owned(),
        };
        changing.next = changing.next.saturating_add(1);
        if changing.records.len() >= RECORDS.len() + MAX_ADDED {
            changing.records.remove(RECORDS.len());
        }
        changing.records.push(record.clone());
        record
    }

    /// Signs a prescription of a patient of `clinic`.
    pub(super) fn sign(&self, id: &str, clinic: Option<&str>, by: &str) -> Option<Prescription> {
        let mut changing = self.changing();
        let found = changing.prescriptions.iter_mut().find(|one| one.id == id)?;
        Self::patient(found.patient, clinic)?;
        found.signed_by = Some(by.to_owned());
        Some(found.clone())
    }

    /// How many notes the clinic's patients have: the report.
    pub(super) fn notes(&self, clinic: Option<&str>) -> usize {
        self.changing().records.iter().filter(|record| Self::patient(&record.patient, clinic).is_some()).count()
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clinic_filters_and_no_clinic_does_not() {
        assert_eq!(Store::patients(Some("harbour")).count(), 4);
        assert_eq!(Store::patients(Some("hillside")).count(), 4);
        assert_eq!(Store::patients(Some("nowhere")).count(), 0);
        assert_eq!(Store::patients(None).count(), 8);
        assert!(Store::patient("p-201", Some("harbour")).is_none());
    }

    #[test]
    fn notes_are_bounded() {
        let store = Store::new();
        let patient = Store::patient("p-101", None).unwrap();
        for _ in 0..3 * MAX_ADDED {
            store.add(patient, &"x".repeat(2 * MAX_NOTE), "clinic|ada");
        }
        let records = store.records(patient);
        assert_eq!(records.len(), 2 + MAX_ADDED);
        assert!(store.record(patient, "1").is_some(), "the first ones stay");
        assert_eq!(records.last().unwrap().note.len(), MAX_NOTE);
    }

    #[test]
    fn a_prescription_of_another_clinic_is_not_found() {
        let store = Store::new();
        assert!(store.sign("rx-3", Some("harbour"), "clinic|ada").is_none());
        assert_eq!(store.sign("rx-1", Some("harbour"), "clinic|ada").unwrap().signed_by.as_deref(), Some("clinic|ada"));
    }
}
