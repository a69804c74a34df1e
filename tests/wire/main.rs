//! The corpus: octets that peers may send, each with what we make of it.
//!
//! The cases are in `corpus/*.txt`, to be read and extended without knowing
//! Rust. One case:
//!
//! ```text
//! case ORIGIN of two octets (RFC 7606 §7.1)
//! context as4                         any of: as4 ibgp; none = before OPEN
//! update / 40 01 02 00 00 $path $hop / 18 c0 00 02
//! expect UPDATE -192.0.2.0/24
//! fault ORIGIN: wrong length (treat-as-withdraw)
//! ```
//!
//! `let NAME = HEX` names octets for the rest of the file. The octets follow the
//! word that says how they become a message: `raw` all of it; `open`,
//! `notification`, `refresh`, `update-body` without the header; `update` as
//! withdrawn / attributes / NLRI, lengths added. `expect` is the value read, or
//! `refused CODE/SUBCODE DATA`, the NOTIFICATION that we answer. Lines that
//! begin with a blank continue the line above; `#` begins a comment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use loods::bgp::wire::message::Message;
use loods::bgp::wire::{DecodeContext, decode, frame};

/// What a run must find at least, so that a moved folder is no pass.
const CASES_AT_LEAST: usize = 160;

#[test]
fn every_message_of_the_corpus_gets_its_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/corpus");
    let mut cases = 0;
    let mut wrong = String::new();
    for entry in fs::read_dir(&folder).expect("the corpus is beside this file") {
        let path = entry.expect("the corpus can be listed").path();
        let text = fs::read_to_string(&path).expect("corpus files are text");
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        for case in parse(&text) {
            cases += 1;
            let seen = render(&case.message, &case.context);
            if seen != case.expected {
                let (name, want) = (&case.name, case.expected.join("\n    "));
                let seen = seen.join("\n    ");
                writeln!(
                    wrong,
                    "{file}: {name}\n  want\n    {want}\n  seen\n    {seen}"
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(
        cases >= CASES_AT_LEAST,
        "only {cases} cases found in {folder:?}"
    );
}

/// Whatever is cut off or changed in a case, decoding ends and does not panic.
#[test]
fn every_cut_and_every_changed_octet_of_the_corpus_is_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/corpus");
    let mut decoded = 0_u32;
    for entry in fs::read_dir(&folder).expect("the corpus is beside this file") {
        let path = entry.expect("the corpus can be listed").path();
        let text = fs::read_to_string(&path).expect("corpus files are text");
        for case in parse(&text) {
            let mut message = case.message;
            let whole = frame(&message, 65535).is_ok_and(|len| len == Some(message.len()));
            for len in 0..message.len() {
                // Cut in the stream: never a whole message. Cut and honest about
                // its length: anything but a panic.
                let cut = decode(&message[..len], &case.context);
                assert!(!whole || cut.is_err(), "{}", case.name);
                if let Ok(short) = u16::try_from(len).map(u16::to_be_bytes)
                    && len >= 19
                {
                    let mut cut = message[..len].to_vec();
                    cut[16..18].copy_from_slice(&short);
                    let _ = decode(&cut, &case.context);
                }
            }
            for at in 16..message.len() {
                for flip in [0x01, 0x10, 0x80, 0xFF] {
                    message[at] ^= flip;
                    let _ = decode(&message, &case.context);
                    message[at] ^= flip;
                    decoded += 1;
                }
            }
        }
    }
    assert!(decoded > 10_000, "only {decoded} messages were tried");
}

struct Case {
    name: String,
    context: DecodeContext,
    message: Vec<u8>,
    expected: Vec<String>,
}

fn parse(text: &str) -> Vec<Case> {
    let mut names = BTreeMap::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in logical_lines(text) {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if word == "let" {
            let (name, octets) = rest.split_once('=').expect("let NAME = HEX");
            names.insert(format!("${}", name.trim()), hex(octets, &names));
            continue;
        }
        if word == "case" {
            cases.push(Case {
                name: rest.to_owned(),
                context: DecodeContext::default(),
                message: Vec::new(),
                expected: Vec::new(),
            });
            continue;
        }
        let case = cases.last_mut().expect("lines belong to a case");
        match word {
            "context" => {
                for flag in rest.split_whitespace() {
                    match flag {
                        "as4" => case.context.four_octet_as = true,
                        "ibgp" => case.context.ibgp = true,
                        _ => panic!("{}: no context {flag}", case.name),
                    }
                }
            }
            "expect" | "fault" => case.expected.push(rest.to_owned()),
            _ => case.message = message(word, rest, &names),
        }
    }
    for case in &cases {
        let whole = !case.message.is_empty() && !case.expected.is_empty();
        assert!(whole, "{}: octets or verdict are missing", case.name);
    }
    cases
}

/// Without comments, continuations joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        match lines.last_mut() {
            _ if line.is_empty() => {}
            Some(above) if line.starts_with(' ') => above.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

fn message(kind: &str, octets: &str, names: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let (message_type, body) = match kind {
        "raw" => return hex(octets, names),
        "open" => (1, hex(octets, names)),
        "update-body" => (2, hex(octets, names)),
        "notification" => (3, hex(octets, names)),
        "refresh" => (5, hex(octets, names)),
        "update" => {
            let parts: Vec<_> = octets.split('/').map(|part| hex(part, names)).collect();
            let [withdrawn, attributes, nlri] = &parts[..] else {
                panic!("withdrawn / attributes / NLRI");
            };
            let mut body = (withdrawn.len() as u16).to_be_bytes().to_vec();
            body.extend(withdrawn);
            body.extend((attributes.len() as u16).to_be_bytes());
            body.extend(attributes);
            body.extend(nlri);
            (2, body)
        }
        _ => panic!("no kind of message: {kind}"),
    };
    let mut message = vec![0xFF; 16];
    message.extend((body.len() as u16 + 19).to_be_bytes());
    message.push(message_type);
    message.extend(body);
    message
}

/// Octets in hex, blanks between them or not, and names. `xN` repeats the octets
/// of its word: `00x300`.
fn hex(text: &str, names: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut octets = Vec::new();
    for word in text.split_whitespace() {
        if word.starts_with('$') {
            octets.extend(names.get(word).unwrap_or_else(|| panic!("no name {word}")));
            continue;
        }
        let (digits, times) = word.split_once('x').unwrap_or((word, "1"));
        let value: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two hex digits"))
            .collect();
        octets.extend(value.repeat(times.parse().expect("a number of times")));
    }
    octets
}

/// The verdict on a message: its value, and each fault on a line of its own.
fn render(message: &[u8], context: &DecodeContext) -> Vec<String> {
    match decode(message, context) {
        Ok(Message::Open(open)) => {
            let names: Vec<_> = open.capabilities.iter().map(ToString::to_string).collect();
            let (asn, hold, id) = (open.asn, open.hold_time, open.router_id);
            vec![format!(
                "OPEN AS {asn} hold {hold} id {id} [{}]",
                names.join(", ")
            )]
        }
        Ok(Message::Update(update)) => {
            let mut line = "UPDATE".to_owned();
            for prefix in &update.unreach {
                write!(line, " -{prefix}").unwrap();
            }
            for prefix in &update.reach {
                write!(line, " +{prefix}").unwrap();
            }
            if let Some(family) = update.end_of_rib {
                write!(line, " end-of-RIB {family}").unwrap();
            }
            std::iter::once(line).chain(update.faults).collect()
        }
        Ok(Message::Notification(fault)) => vec![format!("NOTIFICATION {fault}")],
        Ok(Message::Keepalive) => vec!["KEEPALIVE".to_owned()],
        Ok(Message::RouteRefresh(Some(family))) => vec![format!("ROUTE-REFRESH {family}")],
        Ok(Message::RouteRefresh(None)) => vec!["ROUTE-REFRESH ignored".to_owned()],
        Err(fault) => {
            let mut line = format!("refused {}/{}", fault.code, fault.subcode);
            for octet in fault.data.iter().take(1) {
                write!(line, " {octet:02x}").unwrap();
            }
            for octet in fault.data.iter().skip(1) {
                write!(line, "{octet:02x}").unwrap();
            }
            vec![line]
        }
    }
}
