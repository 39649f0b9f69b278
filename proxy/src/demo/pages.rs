//! The sample clinic's pages, as a browser sees them.
//!
//! Decides how data looks. Never decides what is shown: [`super::app`] has picked that already.

use super::app::{Exit, Said};
use super::data::{Patient, Record};
use super::web::{escape, fill};

/// What all pages of one request share.
pub(super) struct Frame<'a> {
    pub(super) said: &'a Said,
    /// Where the demo's own page is.
    pub(super) console: &'a str,
    /// Whether one can sign out.
    pub(super) exit: Exit,
}

impl Frame<'_> {
    pub(super) fn welcome(&self) -> String {
        page("Welcome", include_str!("assets/clinic_welcome.html"), self.console)
    }

    pub(super) fn missing(&self) -> String {
        self.with_banner("Not found", "<h2>Not found</h2><p>Nothing under this name in this clinic.</p>")
    }

    /// The list, narrowed to names that hold `search`.
    pub(super) fn patients(&self, patients: impl Iterator<Item = &'static Patient>, search: &str) -> String {
        let wanted = search.to_lowercase();
        let rows = patients.filter(|patient| patient.name.to_lowercase().contains(&wanted)).map(|patient| {
            format!(
                "<tr><td><a href=\"/patients/{id}\">{id}</a></td><td><a href=\"/patients/{id}\">{name}</a></td>\
                 <td>{born}</td><td>{phone}</td><td>{clinic}</td></tr>",
                id = escape(patient.id),
                name = escape(patient.name),
                born = escape(patient.born),
                phone = escape(patient.phone),
                clinic = escape(patient.clinic),
            )
        });
        let rows: String = rows.collect();
        let body = fill(include_str!("assets/clinic_patients.html"), &[("rows", &rows), ("search", &escape(search))]);
        self.with_banner("Patients", &body)
    }

    pub(super) fn patient(&self, patient: &Patient, records: &[Record]) -> String {
        let rows = records.iter().map(|record| {
            format!(
                "<tr><td><a href=\"/patients/{patient}/records/{id}\">#{id}</a></td><td class=\"when\">{date}</td><td>{note}</td>\
                 <td>{by}</td></tr>",
                patient = escape(patient.id),
                id = record.id,
                date = escape(&record.date),
                note = escape(&record.note),
                by = escape(&record.by),
            )
        });
        let rows: String = rows.collect();
        let body = fill(
            include_str!("assets/clinic_patient.html"),
            &[
                ("id", &escape(patient.id)),
                ("name", &escape(patient.name)),
                ("born", &escape(patient.born)),
                ("phone", &escape(patient.phone)),
                ("clinic", &escape(patient.clinic)),
                ("rows", &rows),
            ],
        );
        self.with_banner(patient.name, &body)
    }

    pub(super) fn record(&self, patient: &Patient, record: &Record) -> String {
        let body = fill(
            include_str!("assets/clinic_record.html"),
            &[
                ("patient", &escape(patient.id)),
                ("name", &escape(patient.name)),
                ("id", &record.id.to_string()),
                ("date", &escape(&record.date)),
                ("note", &escape(&record.note)),
                ("by", &escape(&record.by)),
            ],
        );
        self.with_banner("Record", &body)
    }

    /// `body` under the line that says who the request said is asking.
    fn with_banner(&self, title: &str, body: &str) -> String {
        page(title, &format!("{}{body}", self.banner()), self.console)
    }

    fn banner(&self) -> String {
        let Some(user) = &self.said.user else {
            return "<p class=\"who nobody\">Nobody said who you are, so you see every clinic. \
                    This is the old application without a gate.</p>"
                .to_owned();
        };
        let clinic = self.said.clinic.as_deref().unwrap_or("every clinic");
        let roles = self.said.roles.as_deref().unwrap_or("none");
        let logout = match self.exit {
            Exit::Logout => include_str!("assets/clinic_logout.html"),
            Exit::None => "",
        };
        format!(
            "<p class=\"who\">The gate says: you are <b>{}</b>, clinic <b>{}</b>, roles <b>{}</b>.</p>{logout}",
            escape(user),
            escape(clinic),
            escape(roles)
        )
    }
}

/// A whole page; `body` is markup already.
pub(super) fn page(title: &str, body: &str, console: &str) -> String {
    fill(
        include_str!("assets/clinic_layout.html"),
        &[("title", &escape(title)), ("body", body), ("console", &escape(console))],
    )
}
