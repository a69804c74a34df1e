//! What `--help` shows. It is an interface: whoever changes it sees it here.
//! `UPDATE_EXPECT=1 cargo test --test cli` writes it anew.

use crate::loods;
use expect_test::expect_file;

#[test]
fn every_command_explains_itself() {
    for command in [
        "",
        "demo",
        "run",
        "check",
        "storage",
        "storage adopt",
        "storage agent",
        "storage certificates",
        "storage controller",
        "storage demo",
        "storage doctor",
        "storage keeper",
        "storage manager",
        "storage migrate",
        "storage node",
    ] {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let called = loods(&arguments, "");
        assert_eq!((called.code, called.errors.as_str()), (Some(0), ""));
        let name = if command.is_empty() { "loods" } else { command };
        let name = name.replace(' ', "-");
        expect_file![format!("help/{name}.txt")].assert_eq(&called.output);
    }
}

#[test]
fn the_version_is_one_line_on_the_output() {
    let called = loods(&["--version"], "");
    assert_eq!(called.code, Some(0));
    assert_eq!(
        called.output,
        concat!("loods ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn no_command_is_answered_with_the_help_and_2() {
    let called = loods(&[], "");
    assert_eq!((called.code, called.output.as_str()), (Some(2), ""));
    assert!(called.errors.contains("Usage: loods"), "{called:?}");
}
