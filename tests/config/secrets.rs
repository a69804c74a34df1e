//! A password shows nowhere: not a letter of it.

use loods::config::check::check;
use loods::config::{self, manifest};
use proptest::prelude::*;

/// Capitals that no message, key or template has, so that any in an output
/// comes from the password.
const LETTERS: &str = "QXZJKW";

/// Texts with a password at `@`, most of them wrong in some way.
const TEXTS: &[&str] = &[
    "peers:\n- my-asn: 0\n  password: @\n",
    "peers:\n- {my-asn: 0, password: @, peer-asn: x}\n",
    "peers:\n- {password: @, my-asn: 0}\n",
    "peers:\n- my-asn: 0\n  password: \"@\"\n",
    "peers:\n- my-asn: 0\n  password: '@'\n",
    "peers:\n- my-asn: 0\n  password: '@\n",
    "peers:\n- my-asn: 0\n  password: \"@\n  peer-asn: 1\n",
    "peers:\n- password: |\n    @\n    @\n  my-asn: 0\n",
    "peers:\n- password: >-\n    @\n\n    @\n  my-asn: 0\n",
    "peers:\n- password: |\n  @\n  my-asn: 0\n",
    "peers:\n- password:\n    @\n    @\n  my-asn: 0\n",
    "peers:\n- password:\n  - @\n  my-asn: 0\n",
    "peers:\n- password: {@: @}\n",
    "peers:\n- password: [@, @]\n",
    "peers:\n- password: [@\n",
    "peers:\n- password: @\n   my-asn: 0\n",
    "peers:\n- password: @\n\tmy-asn: 0\n",
    "peers:\n- password: @\n my-asn: 0\n",
    "peers:\n- password: @\n@\n",
    "peers:\n- password: @ # @\n  my-asn: 0 # was @\n",
    "peers:\n- my-asn: 0 # password @\n",
    "# password: @\npeers: {\n",
    "peers:\n- pasword: @\n  my-asn: 0\n",
    "peers:\n- Password: @\n",
    "peers:\n- \"pass\\x77ord\": @\n  my-asn: 0\n",
    "peers:\n- \"pass\\x77ord\": @\n my-asn: 0\n",
    "peers:\n- password:@\n",
    "peers:\n- password:@\n  my-asn: 0\n",
    "peers:\n- password:@: 1\n",
    "peers: 'password: @'\n",
    "peers: |\n  - password: @\n",
    "peers: {password: @}\n",
    "password: @\n",
    "password: @\npeers: [\n",
    "address-pools:\n- name: a\n  password: @\n",
    "bgp-communities:\n  password: @\n",
    "peers:\n- &p {my-asn: 0, password: @}\n- *p\n",
    "bgp-communities:\n  a: &p @\npeers:\n- password: *p\n",
    "address-pools:\n- name: &p \"@\"\n  protocol: *p\npeers:\n- password: *p\n",
    "address-pools:\n- name: &p \"@\"\n  protocol: *p\npeers:\n- password: *p\n}\n",
    "peers:\n- password: *@\n  my-asn: 0\n",
    "peers:\n- password: &@\n  my-asn: 0\n",
    "peers:\n- password: !@\n  my-asn: 0\n",
    "peers:\n- password: !@ @\n  my-asn: 0\n",
    "peers:\n- my-asn: 1\n  peer-asn: 1\n  peer-address: 192.0.2.1\n  password: @\n",
    "peers:\n- my-asn: 1\n  peer-asn: 1\n  peer-address: 192.0.2.1\n  bfd-profile: a\n  password: '@'\nbfd-profiles: [{name: a}]\n",
    "peers:\n- {my-asn: 1, peer-asn: 1, peer-address: 192.0.2.1, bfd-profile: a, password: \"@\"}\nbfd-profiles: [{name: a}]\n",
    "peers:\n- {my-asn: 1, peer-asn: 1, peer-address: 192.0.2.1, password: '@'}\n- {my-asn: 1, peer-asn: 1, peer-address: 192.0.2.1, password: '@'}\n",
    "peers:\n- password: '@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@'\n",
];

fn shown(text: &str) -> String {
    let mut out = match config::parse(text) {
        Ok(parsed) => {
            let passwords: Vec<_> = parsed
                .config
                .peers
                .iter()
                .map(|peer| &peer.password)
                .collect();
            let mut out = format!("{:?} {:?} {passwords:?}", parsed.notes, parsed.config.peers);
            for note in &parsed.notes {
                out += &format!("{note}\n{}", note.render("note", "config"));
            }
            out
        }
        Err(errors) => format!("{errors:?}\n{errors}\n{}", errors.render("config")),
    };
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    let object = "kind: ConfigMap\nmetadata: {name: config}\n";
    let manifests = [
        text.to_owned(),
        format!("{object}data:\n  config: |\n{indented}"),
        format!("{object}data:\n  config:\n{indented}"),
        format!("{object}data:\n  config: {text:?}\n"),
        format!("{object}data:\n  config: |\n{text}"),
    ];
    for file in &manifests {
        let checked = check([("file.yaml", file.as_bytes())], manifest::KEY);
        out += &format!("{checked:?}\n{checked}");
    }
    out
}

fn assert_no_letter(text: &str) {
    let out = shown(text);
    assert!(
        !out.contains(|c| LETTERS.contains(c)),
        "{text}\nshows it:\n{out}"
    );
}

#[test]
fn templates_have_no_letter_of_a_password() {
    for text in TEXTS {
        assert_no_letter(&text.replace('@', ""));
        assert_no_letter(&text.replace('@', "ordinary"));
    }
}

#[test]
fn plain_passwords_show_nowhere() {
    for text in TEXTS {
        for password in [
            "QXZJKW", "Q X", "Q-X", "QX: ZJ", "Q, X: Z", "Q #X", "QX\"ZJ", "'QX'", "%QX", "Q\\X",
        ] {
            assert_no_letter(&text.replace('@', password));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None,
        max_global_rejects: 100_000, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_password_shows(
        text in proptest::sample::select(TEXTS),
        password in "[QXZJKW]{1,5}([QXZJKW]|[ -/:-@\\[-`{-~]|[ \u{e9}\t\u{1}]){0,20}",
    ) {
        assert_no_letter(&text.replace('@', &password));
    }

    #[test]
    fn no_password_shows_when_the_text_is_damaged(
        template in proptest::sample::select(TEXTS),
        password in "[QXZJKW]{3,12}",
        at in any::<proptest::sample::Index>(),
        junk in "[ -/:-@\\[-`{-~\n\t]{0,3}",
    ) {
        // Texts that name their password in a way that damage undoes: an alias,
        // a comment, a key that is misspelled or has no space after it, a second
        // line at the margin, which a colon makes a key like any other.
        let odd = ["*p", "#", "pass\\x77ord", "pasword", "password:@", "@\n@\n"];
        prop_assume!(!odd.iter().any(|odd| template.contains(odd)));
        let mut text = template.replace('@', &password);
        let at = at.index(text.len());
        let names = text.to_lowercase();
        let inside = names.match_indices("password").any(|(i, _)| (i..i + 10).contains(&at));
        prop_assume!(!inside);
        text.insert_str(at, &junk);
        assert_no_letter(&text);
    }
}
