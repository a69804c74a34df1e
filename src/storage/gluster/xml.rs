//! A small tree of what `gluster --xml` prints, bounded in size and depth.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// Largest answer, in octets: 10,000 volumes of some KiB each.
pub const LARGEST: usize = 32 << 20;

/// Elements inside elements; gluster's own go down to seven.
const DEEPEST: usize = 24;

/// One element: its text and what is in it. Attributes are left out, since
/// whatever gluster says in one it also says in an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its own text, with references resolved.
    pub text: String,
    /// What is in it, in order.
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The trimmed text of the first child of this name; "" when it is absent.
    pub fn word(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.trim())
    }

    /// The number in the first child of this name: `N/A`, `-` and absence are none.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.word(name).parse().ok()
    }
}

/// Reads one document. The error says in words what is wrong with it.
pub fn read(text: &str) -> Result<Element, String> {
    if text.len() > LARGEST {
        return Err(format!("{} octets, more than {LARGEST}", text.len()));
    }
    let mut reader = Reader::from_str(text);
    // The last one is the innermost that is still open.
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader
            .read_event()
            .map_err(|error| format!("at octet {}: {error}", reader.error_position()))?;
        let closed = match event {
            Event::Start(start) => {
                if open.len() == DEEPEST {
                    return Err(format!("more than {DEEPEST} elements inside one another"));
                }
                open.push(named(start.name().0));
                None
            }
            Event::Empty(empty) => Some(named(empty.name().0)),
            Event::End(_) => open.pop(),
            Event::Eof => return Err("it ends before its first element does".into()),
            Event::Text(piece) => {
                add(&mut open, &piece);
                None
            }
            Event::CData(piece) => {
                add(&mut open, &piece);
                None
            }
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().ok().flatten();
                match character {
                    Some(character) => add(&mut open, character.encode_utf8(&mut [0; 4])),
                    None => add(
                        &mut open,
                        resolve_predefined_entity(&reference)
                            .ok_or_else(|| format!("unknown reference &{};", &*reference))?,
                    ),
                }
                None
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => None,
        };
        if let Some(element) = closed {
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Ok(element),
            }
        }
    }
}

fn named(name: &str) -> Element {
    Element {
        name: name.to_owned(),
        ..Element::default()
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(innermost) = open.last_mut() {
        innermost.text.push_str(text);
    }
}

/// The answer in XML that a command should have had which prints words alone
/// (`volume barrier`, `volume heal`): `worked` by its exit status.
pub fn envelope(worked: bool, words: &str) -> String {
    let result = if worked { 0 } else { -1 };
    let words = quick_xml::escape::escape(words.trim());
    format!(
        "<cliOutput><opRet>{result}</opRet><opErrno>0</opErrno><opErrstr>{words}</opErrstr></cliOutput>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn text_around_children_and_references_are_kept() {
        let root = read(
            "<?xml version=\"1.0\"?>\n<a><!-- x --><b u='1'>h:/p<name>h:/p</name></b><c/><d>&lt;&#233;&amp;<![CDATA[<]]></d></a>",
        )
        .expect("well formed");
        assert_eq!(root.child("b").map(|b| b.text.as_str()), Some("h:/p"));
        assert_eq!(root.child("b").expect("there").word("name"), "h:/p");
        assert_eq!(root.word("c"), "");
        assert_eq!(root.word("d"), "<é&<");
    }

    #[test]
    fn what_is_no_document_is_an_error_in_words() {
        for (text, words) in [
            ("", "ends before"),
            ("<html>", "ends before"),
            ("plain words", "ends before"),
            ("<a><b></a>", "at octet"),
            ("<a>&unknown;</a>", "unknown reference"),
            (&"<a>".repeat(100_000), "inside one another"),
        ] {
            let error = read(text).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_document_that_is_too_large_is_not_looked_at() {
        let error = read(&" ".repeat(LARGEST + 1)).expect_err("too large");
        assert!(error.contains("octets"), "{error}");
    }

    proptest! {
        #[test]
        fn words_come_back_out_of_the_envelope(words in "\\PC*", worked: bool) {
            let root = read(&envelope(worked, &words)).expect("we made it");
            prop_assert_eq!(root.word("opErrstr"), words.trim());
            prop_assert_eq!(root.number::<i32>("opRet"), Some(if worked { 0 } else { -1 }));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", tags in "[<>/a&;! \\-\\[\\]]{0,60}") {
            let _ = read(&text);
            let _ = read(&tags);
        }
    }
}
