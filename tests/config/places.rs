//! Where errors point in files: an editor must be able to jump there.

use loods::config::check::{Checked, check};
use loods::config::manifest;

fn check_one(file: &str) -> Checked {
    check([("file.yaml", file.as_bytes())], manifest::KEY)
}

#[test]
fn article_has_one_error_at_its_place() {
    let file = include_str!("../../config/article/config.yaml");
    let checked = check_one(file);
    assert!(!checked.ok);
    assert_eq!(checked.texts.len(), 1);
    assert_eq!(checked.texts[0].errors.len(), 1, "{checked}");
    let error = &checked.texts[0].errors[0];
    let line = file.lines().nth(error.line as usize - 1).unwrap();
    assert_eq!(&line[error.column as usize - 1..], "10.x.x.1");
    expect_test::expect![[r#"
        error: peers[0].peer-address: `10.x.x.1` is not an IP address
          --> file.yaml:10:21
           |
        10 | - peer-address: 10.x.x.1
           |                 ^^^^^^^^
           = write an IPv4 or IPv6 address such as `192.0.2.1`

        file.yaml: ConfigMap metallb-system/config: bad: 1 error
    "#]]
    .assert_eq(&checked.to_string());
}
