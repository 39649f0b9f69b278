use super::*;
use proptest::prelude::*;

/// A tree in short: texts in quotes, numbers bare, each with its place's text after an `@` where that differs.
fn short(sources: &Sources, node: &Node) -> String {
    let shown = match &node.value {
        NodeValue::Null => return "null".to_owned(),
        NodeValue::Bool(value) => value.to_string(),
        NodeValue::Number(number) => number.clone(),
        NodeValue::String(text) => format!("{text:?}"),
        NodeValue::Seq(items) => {
            let items: Vec<String> = items.iter().map(|item| short(sources, item)).collect();
            return format!("[{}]", items.join(" "));
        }
        NodeValue::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, node)| format!("{}:{}", key.name, short(sources, node))).collect();
            return format!("{{{}}}", entries.join(" "));
        }
    };
    let place = sources.slice(node.span);
    if place == shown { shown } else { format!("{shown}@{place}") }
}

fn tree(text: &str) -> String {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", text);
    match parse_tree(&sources, file) {
        Ok(node) => short(&sources, &node),
        Err(faults) => {
            let line = |fault: &Diagnostic| {
                let span = fault.span.unwrap();
                let (line, column) = sources.line_column(span);
                format!("{line}:{column} {} {}", fault.code, fault.message)
            };
            faults.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn values_know_their_places() {
    for (text, expected) in [
        ("a: 1\nb: [x, 'y z']\n", "{a:1 b:[\"x\"@x \"y z\"@'y z']}"),
        ("a: \"ü\\n\"\nb: 1.50 # note\n", "{a:\"ü\\n\" b:1.50}"),
        ("a: |\n  one\n  two\nb: true\n", "{a:\"one\\ntwo\\n\"@one\n  two\n b:true}"),
        ("a:\nb: ~\n", "{a:null b:null}"),
        ("- a: 0x1F\n- 017\n- 1_000\n- 1e3\n", "[{a:0x1F} \"017\"@017 \"1_000\"@1_000 1e3]"),
        ("x: &v [1]\nz: *v\n", "{x:[1] z:[1]}"),
        ("404: a\n\"on\": 'off'\n", "{404:\"a\"@a on:\"off\"@'off'}"),
        ("\u{feff}a: ü\r\nb: 5 \r\n", "{a:\"ü\"@ü b:5}"),
        ("a: !!int \"5\"\n", "{a:5@\"5\"}"),
        ("%YAML 1.1\n---\na: TRUE\n", "{a:true@TRUE}"),
        ("# nothing\n", "null"),
    ] {
        assert_eq!(tree(text), expected, "{text:?}");
    }
}

#[test]
fn a_map_reaches_to_the_end_of_what_it_holds() {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", "a:\n  b: 1\n  c: [x, z]\nd: 2\n");
    let node = parse_tree(&sources, file).unwrap();
    let NodeValue::Map(entries) = &node.value else { panic!("a map was read") };
    assert_eq!(sources.slice(entries[0].1.span), "b: 1\n  c: [x, z");
    assert_eq!(sources.slice(entries[1].0.span), "d");
}

#[test]
fn every_duplicate_is_reported_with_both_places() {
    assert_eq!(
        tree("a: 1\nb: { c: 1, c: 2 }\n\"a\": 3\n'a': 4\n"),
        "2:12 duplicate-key the key `c` stands twice in this map\n\
         3:1 duplicate-key the key `a` stands twice in this map\n\
         4:1 duplicate-key the key `a` stands twice in this map"
    );
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", "a: 1\nb: 2\na: 3\n");
    let faults = parse_tree(&sources, file).unwrap_err();
    assert_eq!(faults[0].help.as_deref(), Some("the first is in line 1, column 1; keep one of the two"));
}

#[test]
fn words_that_parsers_disagree_about_are_refused() {
    for word in ["yes", "No", "on", "OFF", "y", "n"] {
        let meant = matches!(word, "yes" | "on" | "y");
        assert_eq!(tree(&format!("a: {word}")), format!("1:4 ambiguous-word `{word}` is read as {meant} by some"));
        assert_eq!(tree(&format!("[{word}]")), format!("1:2 ambiguous-word `{word}` is read as {meant} by some"));
    }
    assert_eq!(tree("no: 1"), "1:1 ambiguous-word the key `no` is read as true or false by some");
    assert_eq!(tree("a: once\nb: \"yes\"\n"), "{a:\"once\"@once b:\"yes\"}");
}

#[test]
fn keys_are_text() {
    assert_eq!(
        tree("? [a, b]\n: c\ntrue: x\nnull: z\n? {a: b}\n: d\n"),
        "1:3 key-not-text a key must be text, and this is a list\n\
         3:1 key-not-text a key must be text, and this is true or false\n\
         4:1 key-not-text a key must be text, and this is nothing\n\
         5:3 key-not-text a key must be text, and this is a map"
    );
}

#[test]
fn what_no_parser_reads_alike_is_refused_by_name() {
    for (text, expected) in [
        ("<<: {a: 1}\n", "1:1 merge-key merge keys are not read"),
        ("a: 1\n---\nb: 2\n", "2:1 second-document a second document begins here"),
        ("a: 1\n...\n---\nb: 2\n", "3:1 second-document a second document begins here"),
        ("a: !mine 5\n", "1:10 tag the tag `!mine` is not read"),
        ("a: *x\n", "1:4 unknown-alias this alias names no anchor above it"),
        ("a: &x [*x]\n", "1:8 unknown-alias this alias stands inside the value that it repeats"),
        ("a: .inf\n", "1:4 bad-number this number is not finite"),
        ("a: 1e999\n", "1:4 bad-number this number is not finite"),
    ] {
        assert_eq!(tree(text), expected, "{text:?}");
    }
}

#[test]
fn text_that_is_no_yaml_has_its_place() {
    for (text, expected) in [
        ("a: 1\nb: c: d\n", "2:5 yaml-syntax this is not YAML: mapping values are not allowed in this context"),
        ("a: 1\n  b: 2\n", "2:4 yaml-syntax this is not YAML: mapping values are not allowed in this context"),
        ("a: [1, 2\nb: 3\n", "2:2 yaml-syntax this is not YAML: illegal placement of `:` indicator"),
        ("ü: @b\n", "1:4 yaml-syntax this is not YAML: unexpected character: `@`"),
        ("- a\n-b\n", "2:1 yaml-syntax this is not YAML: simple key expected `:`"),
    ] {
        assert_eq!(tree(text), expected, "{text:?}");
    }
    for text in ["a: \"open", "a: 'open\n", "{", "a: [", "a: \"\\q\"", "\u{0}", "a: `x`", "--- ]"] {
        assert!(tree(text).contains(" yaml-syntax this is not YAML: "), "{text:?}: {}", tree(text));
    }
}

#[test]
fn limits_hold() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(tree(&nested(DEEPEST)).starts_with("[["));
    for text in [nested(DEEPEST + 1), nested(5000), "- ".repeat(5000), "? ".repeat(5000), "{a: ".repeat(5000)] {
        assert!(tree(&text).contains("too-deep"), "{}", tree(&text));
    }
    let items = |number: usize| format!("[{}]", "x,".repeat(number));
    assert!(tree(&items(MOST_NODES - 2)).starts_with("[\"x\""));
    assert!(tree(&items(MOST_NODES)).contains("too-many-nodes"));
    assert!(tree(&" ".repeat(LARGEST_FILE + 1)).contains("file-too-large"));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]\n";
    assert!(tree(bomb).contains("too-many-aliases"), "{}", tree(bomb));
    let aliases = format!("a: &a x\nb: [{}]\n", "*a,".repeat(MOST_ALIASES + 1));
    assert!(tree(&aliases).contains("too-many-aliases"), "{}", tree(&aliases));
    let anchors: String = (0..=MOST_ALIASES).map(|n| format!("k{n}: &a{n} x\n")).collect();
    assert!(tree(&anchors).contains("too-many-aliases"), "{}", tree(&anchors));
}

#[test]
fn the_faults_of_one_file_are_bounded() {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", "a: yes\n".repeat(20_000));
    let faults = parse_tree(&sources, file).unwrap_err();
    assert_eq!(faults.len(), MOST_FAULTS);
}

#[test]
fn a_syntax_fault_is_drawn_from_our_own_source() {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", "password: hunter2\na: b: c\n");
    let drawn = crate::render(&parse_tree(&sources, file).unwrap_err(), &sources, false);
    let expected = "\
error[yaml-syntax]: this is not YAML: mapping values are not allowed in this context
 --> t.yaml:2:5
  |
2 | a: b: c
  |     ^
  |
  = help: text that holds `: ` must be in quotes; a key of a map must be indented as its neighbours are
";
    assert_eq!(drawn, expected);
}

/// Text made of what YAML gives a meaning to, so that it often gets far.
fn yaml_like() -> impl Strategy<Value = String> {
    let parts = [
        "a",
        "b: ",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "    ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        "\"",
        "\\",
        "|",
        ">",
        "&x ",
        "*x",
        "!!int ",
        "!t ",
        "? ",
        "# c",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "<<: ",
        "yes",
        "true",
        "null",
        "~",
        "1",
        "0x1",
        "1e9",
        "ü",
        "\u{85}",
        "\t",
        "\r\n",
        "\u{feff}",
        "\0",
    ];
    proptest::collection::vec(proptest::sample::select(parts.to_vec()), 0..40).prop_map(|parts| parts.concat())
}

/// Reads and draws whatever comes out; every place lies in the file and on character boundaries.
fn survives(text: &str) -> Result<(), TestCaseError> {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", text);
    match parse_tree(&sources, file) {
        Ok(node) => inside(&sources, &node),
        Err(faults) => {
            prop_assert!(!faults.is_empty());
            let drawn = crate::render(&faults, &sources, true);
            prop_assert!(drawn.contains("t.yaml"));
            prop_assert!(crate::to_json(&faults, &sources).is_array());
            Ok(())
        }
    }
}

fn inside(sources: &Sources, node: &Node) -> Result<(), TestCaseError> {
    let whole = sources.text(node.span.file);
    prop_assert!(whole.get(node.span.start..node.span.end).is_some(), "{:?} of {whole:?}", node.span);
    match &node.value {
        NodeValue::Seq(items) => items.iter().try_for_each(|item| inside(sources, item)),
        NodeValue::Map(entries) => entries.iter().try_for_each(|(key, node)| {
            prop_assert!(whole.get(key.span.start..key.span.end).is_some());
            inside(sources, node)
        }),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => Ok(()),
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        survives(&text)?;
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        survives(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn no_nearly_yaml_panics(text in yaml_like()) {
        survives(&text)?;
    }
}
