use super::*;
use crate::span::Sources;
use serde::Deserialize;
use std::collections::BTreeMap;

fn sources(text: &str) -> (Sources, FileId) {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", text);
    (sources, file)
}

fn direct<T: DeserializeOwned>(text: &str) -> Result<T, (String, String)> {
    let (sources, file) = sources(text);
    let node = crate::parse_tree(&sources, file).unwrap();
    deserialise(&node).map_err(|fault| (sources.slice(fault.span.unwrap()).to_owned(), fault.message))
}

#[derive(Deserialize, JsonSchema, Debug, PartialEq)]
#[serde(try_from = "String")]
struct Even(String);

impl TryFrom<String> for Even {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.len().is_multiple_of(2) { Ok(Self(text)) } else { Err(format!("`{text}` has an odd length")) }
    }
}

#[test]
fn what_a_type_refuses_is_said_at_the_value() {
    let (sources, file) = sources("a: xx\nb: { c: xyz }\n");
    let faults = read::<BTreeMap<String, serde_json::Value>>(&sources, file);
    assert!(faults.is_ok());
    type Nested = BTreeMap<String, BTreeMap<String, Even>>;
    let fault = direct::<Nested>("b: { c: xyz }").unwrap_err();
    assert_eq!(fault, ("xyz".to_owned(), "`xyz` has an odd length".to_owned()));
}

#[test]
fn an_empty_file_is_told_apart() {
    for text in ["", "# nothing\n", "---\n"] {
        let (sources, file) = sources(text);
        let faults = read::<BTreeMap<String, String>>(&sources, file).unwrap_err();
        assert_eq!((faults[0].code, faults[0].message.as_str()), ("empty-file", "the file `t.yaml` is empty"));
    }
}

#[derive(Deserialize, Debug, PartialEq)]
enum Shape {
    Word,
    One(u8),
    Two(u8, u8),
    Named { x: Option<i64> },
}

#[test]
fn variants_are_words_or_maps_with_one_key() {
    assert_eq!(direct::<Shape>("Word"), Ok(Shape::Word));
    assert_eq!(direct::<Shape>("One: 7"), Ok(Shape::One(7)));
    assert_eq!(direct::<Shape>("Two: [1, 2]"), Ok(Shape::Two(1, 2)));
    assert_eq!(direct::<Shape>("Named: { x: -3 }"), Ok(Shape::Named { x: Some(-3) }));
    assert_eq!(direct::<Shape>("Named: { x: }"), Ok(Shape::Named { x: None }));
    for (text, place, message) in [
        ("One", "One", "`One` needs a value: write `One: …`"),
        ("Word: 3", "3", "`Word` takes no value"),
        ("One: 300", "300", "`300` cannot stand here; wanted is u8"),
        ("Other: 1", "Other", "`Other` cannot stand here"),
        ("[1]", "[1", "this is a list, and not a word or a map with one key"),
        ("{ One: 1, Two: 2 }", "{ One: 1, Two: 2", "this map must have exactly one key"),
    ] {
        assert_eq!(direct::<Shape>(text), Err((place.to_owned(), message.to_owned())), "{text}");
    }
}

#[test]
fn numbers_are_read_by_their_spelling() {
    assert_eq!(direct::<u64>("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(direct::<i64>("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(direct::<u8>("0x1F"), Ok(31));
    assert_eq!(direct::<u8>("0o17"), Ok(15));
    assert_eq!(direct::<f64>("1.50"), Ok(1.5));
    assert_eq!(direct::<f64>("2"), Ok(2.0));
    assert!(direct::<u64>("1.5").is_err());
    assert_eq!(direct::<String>("017"), Ok("017".to_owned()), "a leading zero makes it text");
    assert_eq!(direct::<BTreeMap<u16, String>>("404: x"), Ok(BTreeMap::from([(404, "x".to_owned())])));
}

#[test]
fn places_come_through_options_lists_and_keys() {
    type All = BTreeMap<Spanned<String>, Option<Vec<Spanned<Option<u8>>>>>;
    let (sources, file) = sources("ab: [1, 22]\ncd: \n");
    let node = crate::parse_tree(&sources, file).unwrap();
    let all: All = deserialise(&node).unwrap();
    let places: Vec<&str> = all
        .iter()
        .flat_map(|(key, list)| std::iter::once(key.span).chain(list.iter().flatten().map(|one| one.span)))
        .map(|span| sources.slice(span))
        .collect();
    assert_eq!(places, ["ab", "1", "22", "cd"]);
}

#[test]
fn other_formats_give_an_empty_place() {
    let list: Vec<Spanned<u8>> = serde_json::from_str("[1, 2]").unwrap();
    assert_eq!((*list[1], list[1].span.start, list[1].span.end), (2, 0, 0));
    assert_eq!(serde_json::to_string(&list).unwrap(), "[1,2]");
}

#[test]
fn a_part_of_a_text_has_its_place() {
    let (sources, file) = sources("- one two\n- 'one two'\n- \"one two\"\n- \"one\\u0020two\"\n- one\n   two\n");
    let node = crate::parse_tree(&sources, file).unwrap();
    let texts: Vec<Spanned<String>> = deserialise(&node).unwrap();
    let parts: Vec<&str> = texts.iter().map(|text| sources.slice(text.part(4..7))).collect();
    assert_eq!(parts, ["two", "two", "two", "\"one\\u0020two\"", "one\n   two"]);
}
