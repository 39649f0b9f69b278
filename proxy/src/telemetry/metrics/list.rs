//! Every metric by its name, its labels and its meaning: what the manual shows. It counts nothing.

/// One metric, as the manual lists it.
#[derive(Clone, Copy, Debug)]
pub struct MetricEntry {
    /// The name in the text form.
    pub name: &'static str,
    /// Its labels.
    pub labels: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// Every metric there is.
pub const METRICS: [MetricEntry; 37] = [
    MetricEntry {
        name: "http_server_request_duration_seconds",
        labels: "http_request_method, http_response_status_code, http_route",
        meaning: "how long requests took, from the head to the head of the answer",
    },
    MetricEntry {
        name: "http_server_active_requests",
        labels: "http_request_method",
        meaning: "requests whose answer has not begun",
    },
    MetricEntry {
        name: "http_client_request_duration_seconds",
        labels: "http_request_method, http_response_status_code, error_type",
        meaning: "how long the application took, from the request to the head of its answer; `error_type` is the code of \
                  a request that got none",
    },
    MetricEntry {
        name: "anteroom_requests_total",
        labels: "decision, code, rule",
        meaning: "requests by what was decided",
    },
    MetricEntry {
        name: "anteroom_observed_total",
        labels: "control",
        meaning: "what a control in observe mode would have changed or refused: `cookies`, `csrf`, `csp` (reports of \
                  browsers), `errors`, `limits`, `body`",
    },
    MetricEntry {
        name: "anteroom_csp_reports_total",
        labels: "directive, disposition",
        meaning: "what browsers say a content policy blocked (`enforce`) or would block (`report`); `unsaid` is of older \
                  browsers. Whoever can reach the gate can send reports",
    },
    MetricEntry {
        name: "anteroom_app_exposed",
        labels: "",
        meaning: "1 while the application can be reached around the gate, at its port on an address of the pod; none where \
                  that is not looked at (a unix socket, another machine)",
    },
    MetricEntry { name: "anteroom_connections", labels: "", meaning: "open connections" },
    MetricEntry {
        name: "anteroom_connections_ended_total",
        labels: "reason",
        meaning: "connections that the gate ended for what their clients did: `full`, `address` and `handshakes` were one too \
                  many, `rate` came too soon after others of its address, `proxy_protocol` lacked its header; `slow_reader` took an answer too slowly, which on HTTP/2 may end \
                  that one stream only; `header_block` was a block of headers that stayed open; `continuation`, `settings`, `ping`, \
                  `priority`, `reset`, `window_update`, `empty_data` and `unknown_frame` were floods of such frames; `refused` sent one request after the other that was refused",
    },
    MetricEntry {
        name: "anteroom_tls_handshakes_total",
        labels: "result",
        meaning: "TLS handshakes: `ok`; `timeout`; `broken_off`, where the client hung up; and why others were refused: \
                  `old_version`, `nothing_in_common`, `no_extended_master_secret`, `no_protocol` (ALPN), `unknown_name` (SNI), \
                  `no_certificate`, `bad_certificate` (of a client), `by_the_client` (it does not believe our certificate, most \
                  often), `malformed`",
    },
    MetricEntry {
        name: "anteroom_tls_handshake_duration_seconds",
        labels: "result",
        meaning: "how long TLS handshakes took: `ok`, `failed`, `timeout`",
    },
    MetricEntry { name: "anteroom_record_events_total", labels: "", meaning: "events that are on disk" },
    MetricEntry {
        name: "anteroom_record_denials_counted_total",
        labels: "",
        meaning: "refused requests that stand in the record as a count",
    },
    MetricEntry { name: "anteroom_record_waiting", labels: "", meaning: "events that wait for the disk" },
    MetricEntry { name: "anteroom_record_bytes", labels: "", meaning: "size of the record" },
    MetricEntry {
        name: "anteroom_record_limit_bytes",
        labels: "",
        meaning: "how large the record may become (`audit.size`); a full one closes the gate",
    },
    MetricEntry {
        name: "anteroom_record_failed",
        labels: "",
        meaning: "1 while the record cannot be written or is full",
    },
    MetricEntry {
        name: "anteroom_provider_keys",
        labels: "provider",
        meaning: "keys that a provider's tokens can be checked with; 0 where there are none, or they are too old",
    },
    MetricEntry {
        name: "anteroom_provider_keys_fetched_seconds",
        labels: "provider",
        meaning: "when a provider last gave or confirmed its keys, in Unix time; none before that, nor for keys from a file",
    },
    MetricEntry {
        name: "anteroom_provider_fetch_failures_total",
        labels: "provider",
        meaning: "attempts to fetch a provider's keys that failed",
    },
    MetricEntry { name: "anteroom_sessions", labels: "", meaning: "sessions whose lives are kept, the ended ones too" },
    MetricEntry {
        name: "anteroom_sessions_ended_total",
        labels: "by",
        meaning: "sessions, subjects and tokens that were ended: by `logout`, by their `provider`, over the `control` socket",
    },
    MetricEntry {
        name: "anteroom_sessions_refused_total",
        labels: "reason",
        meaning: "credentials that were refused because their session does not last: `idle`, `absolute`, `ended`, \
                  `replaced` (the browser has signed in anew meanwhile), `revoked`, `forgotten` (so many sessions that the table was full), `nameless` (the credential names none)",
    },
    MetricEntry {
        name: "anteroom_sessions_failed",
        labels: "file",
        meaning: "1 while the `state` of sessions cannot be written, or was moved away, or the file of what is `revoked` cannot be read",
    },
    MetricEntry {
        name: "anteroom_revocations",
        labels: "",
        meaning: "revocations that hold, of the file and of the control socket",
    },
    MetricEntry {
        name: "anteroom_streams",
        labels: "",
        meaning: "requests of known callers that are open: answers on their way, streams of events, WebSockets",
    },
    MetricEntry {
        name: "anteroom_streams_cut_total",
        labels: "reason",
        meaning: "those that were cut: for their session, as above, their `credential`, another `policy` or lesser roles, a provider \
                  without `keys`, a `directory` or the `app` that gave no answer for too long",
    },
    MetricEntry {
        name: "anteroom_directory_subjects",
        labels: "",
        meaning: "subjects that the directory lists, or whose answers are kept where it is a service",
    },
    MetricEntry {
        name: "anteroom_directory_lookups_total",
        labels: "result",
        meaning: "calls to a directory behind an address: it knew the subject (`listed`), did not know it (`unlisted`), or gave \
                  no answer (`failed`)",
    },
    MetricEntry {
        name: "anteroom_certificate_expiry_seconds",
        labels: "certificate",
        meaning: "the last second of a certificate, in Unix time; `certificate` counts those of the configuration from 1",
    },
    MetricEntry {
        name: "anteroom_crl_next_update_seconds",
        labels: "",
        meaning: "the last second for which the CRL of client certificates speaks, in Unix time; none without a CRL",
    },
    MetricEntry {
        name: "anteroom_reload_total",
        labels: "result",
        meaning: "sets of changed files: `done` were swapped in, `refused` were not",
    },
    MetricEntry {
        name: "anteroom_reload_failed",
        labels: "",
        meaning: "1 while the files are not what runs: the last set was refused",
    },
    MetricEntry {
        name: "anteroom_reload_last_good_seconds",
        labels: "",
        meaning: "when the set that runs was swapped in, in Unix time; `time()` less this is its age",
    },
    MetricEntry {
        name: "anteroom_configuration_number",
        labels: "",
        meaning: "a number made of the configuration, the policies and the file of a directory that run, not of the keys and certificates that they name: the same on all replicas that go by the same rules",
    },
    MetricEntry {
        name: "anteroom_telemetry_dropped_total",
        labels: "signal",
        meaning: "what did not reach the collector: spans (`traces`), lines of the log (`logs`), rounds of `metrics`",
    },
    MetricEntry { name: "process_start_time_seconds", labels: "", meaning: "when the gate started, in Unix time" },
];
