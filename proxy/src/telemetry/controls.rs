//! What observed controls would have done, counted: for the metrics and for `status`.
//!
//! It decides nothing. Every count stands under a name of a closed list, so no client can make it grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// A control that can be rolled out in observe mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// The attributes of the application's cookies.
    Cookies,
    /// The check of requests from other sites.
    Csrf,
    /// The content policy.
    Csp,
    /// How long browsers remember to use TLS only.
    Hsts,
    /// The masking of the application's own errors.
    Errors,
    /// The limits on how often one may ask.
    Limits,
    /// The limit on the size of a body.
    Body,
}

impl Control {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Control; 7] =
        [Control::Cookies, Control::Csrf, Control::Csp, Control::Hsts, Control::Errors, Control::Limits, Control::Body];

    /// Its name under `rollout`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Control::Cookies => "cookies",
            Control::Csrf => "csrf",
            Control::Csp => "csp",
            Control::Hsts => "hsts",
            Control::Errors => "errors",
            Control::Limits => "limits",
            Control::Body => "body",
        }
    }

    /// Whether the gate can see what it would have broken. What a browser makes of HSTS it never hears.
    pub(crate) fn is_counted(self) -> bool {
        self != Control::Hsts
    }
}

/// How often each control would have acted, since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<[AtomicU64; Control::ALL.len()]>);

impl Counts {
    /// Counts one.
    pub(crate) fn add(&self, control: Control) {
        if let Some(count) = self.0.get(control as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often `control` would have acted.
    pub(crate) fn of(&self, control: Control) -> u64 {
        self.0.get(control as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Shows them as a metric.
    pub(crate) fn show(&self, meter: &Meter) {
        let counts = self.clone();
        let _observed = meter
            .u64_observable_counter("anteroom.observed")
            .with_callback(move |out| {
                for control in Control::ALL.into_iter().filter(|control| control.is_counted()) {
                    out.observe(counts.of(control), &[KeyValue::new("control", control.name())]);
                }
            })
            .build();
    }
}

/// What a browser says of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It blocked something.
    Enforce,
    /// It would have blocked something.
    Report,
    /// It does not say which.
    Unsaid,
}

impl Disposition {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Disposition; 3] = [Disposition::Enforce, Disposition::Report, Disposition::Unsaid];

    /// The disposition that a report names.
    pub(crate) fn of(word: Option<&str>) -> Self {
        match word {
            Some("enforce") => Disposition::Enforce,
            Some("report") => Disposition::Report,
            Some(_) | None => Disposition::Unsaid,
        }
    }

    /// Its name in the metric.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Disposition::Enforce => "enforce",
            Disposition::Report => "report",
            Disposition::Unsaid => "unsaid",
        }
    }
}

/// The directives that reports are counted by; whatever else a report names counts as the last.
const DIRECTIVES: [&str; 23] = [
    "base-uri",
    "child-src",
    "connect-src",
    "default-src",
    "font-src",
    "form-action",
    "frame-ancestors",
    "frame-src",
    "img-src",
    "manifest-src",
    "media-src",
    "object-src",
    "require-trusted-types-for",
    "sandbox",
    "script-src",
    "script-src-attr",
    "script-src-elem",
    "style-src",
    "style-src-attr",
    "style-src-elem",
    "trusted-types",
    "worker-src",
    "other",
];

/// Reports of content policies, by directive and disposition, since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports(Arc<[[AtomicU64; Disposition::ALL.len()]; DIRECTIVES.len()]>);

impl Reports {
    /// How many counts there are.
    #[cfg(test)]
    pub(crate) const SETS: usize = Disposition::ALL.len() * DIRECTIVES.len();

    /// Counts one. `directive` is what the report names: a directive, with its sources in older browsers.
    pub(crate) fn add(&self, directive: &str, disposition: Disposition) {
        let name = directive.split_ascii_whitespace().next().unwrap_or_default();
        let place = DIRECTIVES.iter().position(|one| *one == name).unwrap_or(DIRECTIVES.len() - 1);
        if let Some(count) = self.0.get(place).and_then(|row| row.get(disposition as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was reported, without the zeros.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (&'static str, Disposition, u64)> {
        let rows = DIRECTIVES.iter().zip(self.0.iter());
        rows.flat_map(|(name, row)| {
            let counts = Disposition::ALL.into_iter().zip(row);
            counts.map(|(disposition, count)| (*name, disposition, count.load(Ordering::Relaxed)))
        })
        .filter(|(_, _, count)| *count > 0)
    }

    /// Shows them as a metric.
    pub(crate) fn show(&self, meter: &Meter) {
        let reports = self.clone();
        let _reports = meter
            .u64_observable_counter("anteroom.csp.reports")
            .with_callback(move |out| {
                for (directive, disposition, count) in reports.counted() {
                    let labels =
                        [KeyValue::new("directive", directive), KeyValue::new("disposition", disposition.name())];
                    out.observe(count, &labels);
                }
            })
            .build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_counted_by_what_is_on_the_list() {
        let reports = Reports::default();
        for named in ["script-src-elem", "script-src-elem 'self' https://x", "evil\nname", ""] {
            reports.add(named, Disposition::Report);
        }
        reports.add("img-src", Disposition::of(Some("enforce")));
        let counted: Vec<_> = reports.counted().collect();
        let expected = [
            ("img-src", Disposition::Enforce, 1),
            ("script-src-elem", Disposition::Report, 2),
            ("other", Disposition::Report, 2),
        ];
        assert_eq!(counted, expected);
        assert!(Disposition::ALL.into_iter().enumerate().all(|(place, one)| one as usize == place));
    }

    #[test]
    fn every_control_has_its_own_count() {
        let counts = Counts::default();
        for (place, control) in Control::ALL.into_iter().enumerate() {
            assert_eq!(control as usize, place, "{}", control.name());
            counts.add(control);
            assert!(Control::ALL.into_iter().all(|one| counts.of(one) == u64::from(one as usize <= place)));
        }
    }
}
