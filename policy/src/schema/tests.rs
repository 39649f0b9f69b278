//! Types like those of the real files, read from text with faults in it.

use crate::units::{ByteSize, Period, Rate};
use crate::{Sources, Spanned, read, schema_of};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "read by serde alone")]
struct File {
    api_version: ApiVersion,
    #[serde(default)]
    mode: Mode,
    listen: Option<Listen>,
    #[serde(default)]
    routes: BTreeMap<Spanned<String>, Route>,
    limits: Option<Limits>,
    token: Option<Vec<Source>>,
    client: Option<Client>,
    pair: Option<(String, u16)>,
    secret: Option<FileOnly>,
}

#[derive(Deserialize, JsonSchema, Debug)]
enum ApiVersion {
    #[serde(rename = "anteroom.dev/v1")]
    V1,
}

#[derive(Deserialize, JsonSchema, Debug, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Denies.
    #[default]
    Enforce,
    /// Only records.
    Observe,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde alone")]
struct Listen {
    port: u16,
    backlog: Option<u32>,
    share: Option<f64>,
    address: Option<IpAddr>,
    tls: Option<bool>,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde alone")]
struct Route {
    path: Spanned<String>,
    methods: BTreeMap<String, String>,
    #[schemars(length(min = 1))]
    tenant: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde alone")]
struct Limits {
    idle: Option<Period>,
    body: Option<ByteSize>,
    rate: Option<Rate>,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "read by serde alone")]
enum Source {
    Header(String),
    Cookie { name: String },
    Query(String),
}

/// A word or one of two maps.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "read by serde alone")]
enum Client {
    Peer,
    Header { name: String, sent_by: Vec<String> },
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde alone")]
struct FileOnly {
    file: String,
}

/// Each fault as `line:column code message | help`.
fn faults(text: &str) -> Vec<String> {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", text);
    let found = read::<File>(&sources, file).expect_err("this text has faults");
    let line = |fault: &crate::Diagnostic| {
        let (line, column) = fault.span.map_or((0, 0), |span| sources.line_column(span));
        let help = fault.help.as_deref().map_or(String::new(), |help| format!(" | {help}"));
        format!("{line}:{column} {} {}{help}", fault.code, fault.message)
    };
    found.iter().map(line).collect()
}

/// The faults of a text after the line that every file begins with.
fn within(text: &str) -> Vec<String> {
    faults(&format!("apiVersion: anteroom.dev/v1\n{text}"))
}

#[test]
fn every_fault_of_a_file_is_reported_at_once() {
    let text = "\
apiversion: anteroom.dev/v1
mode: enfroce
listen: { port: 70000, tls: 'true' }
routes:
  records:
    pth: /api
    methods: [GET]
    color: red
  home: { path: / }
limits: { idle: 15, body: 10MB, rate: fast }
";
    let expected = [
        "1:1 unknown-key unknown key `apiversion` | did you mean `apiVersion`?",
        "2:7 unknown-word `mode` cannot be `enfroce` | did you mean `enforce`?",
        "3:17 out-of-range `port` can be at most 65535",
        "3:29 wrong-type `tls` must be true or false, and this is text | write `true` without quotes",
        "6:5 unknown-key unknown key `pth` | did you mean `path`?",
        "7:14 wrong-type `methods` must be a map, and this is a list",
        "8:5 unknown-key unknown key `color` | known here: `path`, `methods` and `tenant`",
        "9:3 missing-key `home` lacks the key `methods`",
        "10:17 bad-unit `15` has no unit | write the unit, such as `15s` for seconds or `15m` for minutes",
        "10:27 bad-unit `10MB` is not a size | write `10MiB`",
        "10:39 bad-unit `fast` is not a rate | write how many in how long, such as `5/s`, `60/m` or `10/30s`",
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn faults_of_the_text_and_of_the_schema_come_together() {
    let text = "listen: { port: 1, tls: yes, port: 2 }\nmode: on\nroutes: x\n";
    let expected = [
        "2:25 ambiguous-word `yes` is read as true by some | write `true`, or `\"yes\"` in quotes when text is meant",
        "2:30 duplicate-key the key `port` stands twice in this map | the first is in line 2, column 11; keep one of the two",
        "3:7 ambiguous-word `on` is read as true by some | write `true`, or `\"on\"` in quotes when text is meant",
        "4:9 wrong-type `routes` must be a map, and this is text",
    ];
    assert_eq!(within(text), expected);
}

#[test]
fn a_key_without_a_value_is_a_fault_even_where_it_may_be_left_out() {
    assert_eq!(
        within("listen:\nmode: ~\n"),
        [
            "2:1 no-value `listen` has no value | wanted is a map; leave the key out if it is not needed",
            "3:1 no-value `mode` has no value | wanted is `enforce` or `observe`; leave the key out if it is not needed",
        ]
    );
}

#[test]
fn missing_keys_are_reported_at_their_map() {
    assert_eq!(faults("mode: observe\n"), ["1:1 missing-key this file lacks the key `apiVersion`"]);
    assert_eq!(within("routes:\n  a: {}\n"), ["3:3 missing-key `a` lacks the keys `path` and `methods`"]);
    assert_eq!(within("token:\n  - cookie: {}\n"), ["3:5 missing-key `cookie` lacks the key `name`"]);
}

#[test]
fn numbers_keep_their_bounds_and_spelling() {
    for (value, fault) in [
        ("port: -1", "2:17 out-of-range `port` must be at least 0"),
        ("port: 1.5", "2:17 out-of-range `port` must be a whole number"),
        ("port: 1e2", "2:17 out-of-range `port` must be a whole number"),
        ("port: 99999999999999999999999999", "2:17 out-of-range `port` can be at most 65535"),
        ("port: 1, backlog: 4294967296", "2:29 out-of-range `backlog` can be at most 4294967295"),
    ] {
        assert_eq!(within(&format!("listen: {{ {value} }}")), [fault]);
    }
    let hint =
        "`port` must be a whole number, and this is text | write numbers without quotes, leading zeros and underscores";
    for value in ["0443", "8_443", "'8443'"] {
        assert_eq!(within(&format!("listen: {{ port: {value} }}")), [format!("2:17 wrong-type {hint}")]);
    }
    assert_eq!(
        within("routes: { a: { path: 5, methods: { GET: true } } }"),
        [
            "2:22 wrong-type `path` must be text, and this is a number | write it in quotes: `\"5\"`",
            "2:41 wrong-type `GET` must be text, and this is true or false",
        ]
    );
}

#[test]
fn lists_report_each_entry() {
    assert_eq!(
        within("routes: { a: { path: /, methods: {}, tenant: [] } }"),
        ["2:46 too-few `tenant` needs at least 1 entry"]
    );
    assert_eq!(
        within("routes: { a: { path: /, methods: {}, tenant: claim } }"),
        ["2:46 wrong-type `tenant` must be a list of texts, and this is text | write it in brackets: `[…]`"]
    );
    assert_eq!(
        within("routes: { a: { path: /, methods: {}, tenant: [x, [z], 3] } }"),
        [
            "2:50 wrong-type an entry of `tenant` must be text, and this is a list",
            "2:55 wrong-type an entry of `tenant` must be text, and this is a number | write it in quotes: `\"3\"`",
        ]
    );
    assert_eq!(
        within("pair: [1, x, z]"),
        [
            "2:7 too-many `pair` can have at most 2 entries",
            "2:8 wrong-type an entry of `pair` must be text, and this is a number | write it in quotes: `\"1\"`",
            "2:11 wrong-type an entry of `pair` must be a whole number, and this is text",
        ]
    );
}

#[test]
fn a_variant_is_chosen_by_its_key() {
    assert_eq!(
        within("token: [{ heder: a }, { cookie: x }, { query: a, header: b }, {}, header]"),
        [
            "2:11 unknown-key unknown key `heder` | did you mean `header`?",
            "2:33 wrong-type `cookie` must be a map with the key `name`, and this is text",
            "2:50 one-of `query` and `header` exclude each other | keep one of the two",
            "2:63 missing-key an entry of `token` needs a key | write one of `header`, `cookie` and `query`",
            "2:67 wrong-type an entry of `token` must be a map with one of the keys `header`, `cookie` and `query`, and this is text | write `header:` and what belongs to it",
        ]
    );
}

#[test]
fn a_word_or_a_map() {
    assert_eq!(within("client: pear"), ["2:9 unknown-word `client` cannot be `pear` | did you mean `peer`?"]);
    assert_eq!(
        within("client: 7"),
        [
            "2:9 wrong-type `client` must be `peer` or a map with the key `header`, and this is a number | write it in quotes: `\"7\"`"
        ]
    );
    assert_eq!(
        within("client: { header: { name: x, sent_bye: [] } }"),
        ["2:30 unknown-key unknown key `sent_bye` | did you mean `sent_by`?"]
    );
    assert_eq!(within("client: { heade: {} }"), ["2:11 unknown-key unknown key `heade` | did you mean `header`?"]);
}

#[test]
fn addresses_are_checked() {
    assert_eq!(
        within("listen: { port: 1, address: 300.1.1.1 }"),
        ["2:29 bad-address `300.1.1.1` is not an IP address | write it as `192.0.2.7` or `2001:db8::7`"]
    );
}

#[test]
fn an_inline_secret_is_neither_told_nor_drawn() {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", "apiVersion: anteroom.dev/v1\nsecret: hunter2\n");
    let found = read::<File>(&sources, file).unwrap_err();
    let drawn = crate::render(&found, &sources, false);
    assert!(
        drawn.contains("`secret` must be a map with the key `file`, and this is text")
            && drawn.contains("secret: *******"),
        "{drawn}"
    );
    assert!(!drawn.contains("hunter2"));
}

#[test]
fn what_is_right_is_read_with_its_places() {
    let mut sources = Sources::default();
    let text = "\
apiVersion: anteroom.dev/v1
mode: observe
routes:
  records: { path: \"/api/{id}\", methods: { GET: read, 404: x }, tenant: [claim] }
limits: { idle: 15m, body: 2MiB, rate: 60/m }
token: [{ header: authorization }, { cookie: { name: s } }]
client: peer
pair: [a, 0x10]
";
    let file = sources.add("t.yaml", text);
    let read: File = read(&sources, file).unwrap();
    assert_eq!(read.mode, Mode::Observe);
    let (name, route) = read.routes.first_key_value().unwrap();
    assert_eq!((sources.slice(name.span), sources.slice(route.path.span)), ("records", "\"/api/{id}\""));
    assert_eq!(route.path.value, "/api/{id}");
    assert_eq!(sources.slice(route.tenant.as_ref().unwrap()[0].span), "claim");
    assert!(read.routes.contains_key("records"), "a place is no part of a name");
    assert_eq!(read.limits.unwrap().idle.unwrap().to_string(), "15m");
    assert_eq!(read.pair.unwrap().1, 16);
    assert!(matches!(read.client, Some(Client::Peer)));
    assert!(
        matches!(read.token.unwrap().as_slice(), [Source::Header(h), Source::Cookie { name }] if h == "authorization" && name == "s")
    );
}

#[test]
fn the_schema_says_how_units_are_written() {
    let schema = schema_of::<Limits>();
    assert_eq!(schema["properties"]["idle"]["format"], "period");
    assert_eq!(schema["properties"]["body"]["examples"][0], "64KiB");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let places = schema_of::<Route>();
    assert_eq!(
        places["properties"]["path"],
        serde_json::json!({ "type": "string" }),
        "a place does not show in a schema"
    );
}

#[test]
fn names_follow_their_pattern() {
    let schema = serde_json::json!({
        "type": "object", "additionalProperties": false,
        "patternProperties": { "^[a-z_]+$": { "type": "string", "pattern": "^/", "examples": ["/api"] } }
    });
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", "good: /x\nbad name: /y\nother: z\n");
    let node = crate::parse_tree(&sources, file).unwrap();
    let mut found = Vec::new();
    crate::check_tree(&node, &schema, &mut found);
    let said: Vec<_> = found.iter().map(|f| (f.code, f.message.as_str(), f.help.as_deref().unwrap())).collect();
    assert_eq!(
        said,
        [
            ("bad-name", "`bad name` cannot be a name here", "it must match `^[a-z_]+$`"),
            ("bad-form", "`z` has not the form that `other` must have", "write it like `/api`"),
        ]
    );
}

#[test]
fn no_file_is_charged_with_more_than_it_can_read() {
    let many: String = (0..500).map(|n| format!("unknown{n}: 1\n")).collect();
    let found = within(&many);
    assert_eq!(found.len(), 201);
    assert!(found[200].starts_with("0:0 more-faults more than 200 faults"));
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let schema = serde_json::json!({ "$ref": "#/$defs/a", "$defs": {
        "a": { "anyOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/b" } } });
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", "a: [1]\n");
    let node = crate::parse_tree(&sources, file).unwrap();
    crate::check_tree(&node, &schema, &mut Vec::new());
}
