//! How requests are read that two readers could see in two ways.

/// What of them the application is known to read in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Where a request may name another method than its own.
    pub method_override: MethodOverride,
    /// What becomes of headers whose names servers read as others.
    pub unclear_headers: UnclearHeaders,
}

/// Where a request may name another method than its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodOverride {
    /// Nowhere.
    #[default]
    Refuse,
    /// In `X-HTTP-Method-Override`.
    Header,
    /// In the parameter `_method` of the query.
    Query,
    /// In the field `_method` of a plain form.
    Form,
}

/// What becomes of headers whose names servers read as others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnclearHeaders {
    /// The request is refused.
    #[default]
    Refuse,
    /// The application does not get them.
    Strip,
}
