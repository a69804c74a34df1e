use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000;

fn keys() -> Keys {
    Keys {
        admin: key("adminkey-lab"),
        user: Some(key("userkey-lab")),
    }
}

fn key(text: &str) -> Key {
    Key::new(text.as_bytes()).expect("it is not empty")
}

/// A token with any header and claims, signed by the administrator's key.
fn signed(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = hmac::sign(&key("adminkey-lab").0, signed.as_bytes());
    format!("bearer {signed}.{}", BASE64.encode(signature))
}

fn judged(authorization: &str, now: i64) -> Result<User, String> {
    verify(Some(authorization), &keys(), "GET", "/volumes", now)
        .map_err(|denied| format!("{} {denied}", denied.status()))
}

fn admin(now: i64) -> String {
    let token = sign(User::Admin, &key("adminkey-lab"), "GET", "/volumes", now);
    format!("bearer {token}")
}

#[test]
fn makes_the_recorded_token() {
    assert_eq!(
        qsh("GET", "/volumes"),
        "c162acc9024272120bacfff7709c932cc252337d0a30fa15b025010066662bea"
    );
    assert_eq!(
        admin(NOW),
        "bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
         eyJleHAiOjE3MDAwMDAzMDAsImlhdCI6MTcwMDAwMDAwMCwiaXNzIjoiYWRtaW4iLCJxc2giOiJjMTYyYWNjOTAyNDI3MjEyMGJhY2ZmZjc3MDljOTMyY2MyNTIzMzdkMGEzMGZhMTViMDI1MDEwMDY2NjYyYmVhIn0.\
         rA3wgCVg3u-Ze9h0_KiTes9N3KZc6rNl8jiJ19-RaK8"
    );
    // The first request of the recorded session.
    assert_eq!(
        qsh("GET", "/clusters"),
        "4749a59de87c27c9b2f495c5f1309b2525681dfe30c8a7b83625901b132a9c26"
    );
}

#[test]
fn refuses_as_heketi_was_seen_to() {
    let user = sign(User::User, &key("userkey-lab"), "GET", "/volumes", NOW);
    let other = sign(User::Admin, &key("another"), "GET", "/volumes", NOW);
    let elsewhere = sign(User::Admin, &key("adminkey-lab"), "GET", "/nodes", NOW);
    let header = r#"{"alg":"HS256"}"#;
    let cases = [
        (
            "bearer".to_owned(),
            "400 Authorization header format must be Bearer {token}",
        ),
        (
            "Basic YTpi".to_owned(),
            "400 Authorization header format must be Bearer {token}",
        ),
        (
            "bearer a b".to_owned(),
            "400 Authorization header format must be Bearer {token}",
        ),
        (String::new(), "401 Required authorization token not found"),
        (
            "bearer abc".to_owned(),
            "401 Invalid JWT token: token contains an invalid number of segments",
        ),
        (
            "bearer a.b.c.d".to_owned(),
            "401 Invalid JWT token: token contains an invalid number of segments",
        ),
        (
            format!("bearer {other}"),
            "401 Invalid JWT token: signature is invalid (client and server secrets may not match)",
        ),
        (
            format!("bearer {elsewhere}"),
            "401 Invalid qsh claim in token",
        ),
        (
            admin(NOW - 1000),
            "401 Invalid JWT token: Token is expired by 11m40s",
        ),
        (
            admin(NOW - 305),
            "401 Invalid JWT token: Token is expired by 5s",
        ),
        (
            admin(NOW - 7500),
            "401 Invalid JWT token: Token is expired by 2h0m0s",
        ),
        (
            admin(NOW + 200),
            "401 Invalid JWT token: Token used before issued (client and server clocks may differ)",
        ),
        (
            signed(header, r#"{"iss":"root","exp":1700000300}"#),
            "401 Invalid JWT token: Unknown user",
        ),
        (
            signed(header, r#"{"exp":1700000300}"#),
            "401 Invalid JWT token: Token missing iss claim",
        ),
    ];
    for (authorization, expected) in cases {
        assert_eq!(
            judged(&authorization, NOW),
            Err(expected.to_owned()),
            "{authorization}"
        );
    }
    assert_eq!(
        verify(None, &keys(), "GET", "/volumes", NOW),
        Err(Denied::NoToken)
    );
    assert_eq!(judged(&format!("BEARER {user}"), NOW), Ok(User::User));
    assert_eq!(judged(&admin(NOW + 60), NOW), Ok(User::Admin));
    assert_eq!(
        judged(&admin(NOW - LIFETIME), NOW),
        Ok(User::Admin),
        "the last second"
    );
}

#[test]
fn refuses_what_heketi_would_have_taken() {
    let qsh = qsh("GET", "/volumes");
    let claims = format!(r#"{{"iss":"admin","qsh":"{qsh}"}}"#);
    let endless = signed(r#"{"alg":"HS256"}"#, &claims);
    assert_eq!(
        judged(&endless, NOW),
        Err("401 Invalid JWT token: Token missing exp claim".to_owned())
    );
    for alg in ["none", "HS512", "RS256", "hs256", ""] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        let claims = format!(r#"{{"iss":"admin","qsh":"{qsh}","exp":1700000300}}"#);
        let said = judged(&signed(&header, &claims), NOW).expect_err("not HS256");
        assert_eq!(
            said,
            format!("401 Invalid JWT token: Unexpected signing method: {alg:?}")
        );
    }
}

#[test]
fn reads_times_with_a_fraction_and_a_foreign_order() {
    let qsh = qsh("GET", "/volumes");
    let claims =
        format!(r#"{{"qsh":"{qsh}","iss":"admin","iat":1700000000.75,"exp":1700000000.9,"x":[]}}"#);
    let token = signed(r#"{"typ":"JWT","alg":"HS256"}"#, &claims);
    assert_eq!(judged(&token, NOW), Ok(User::Admin));
    assert!(judged(&token, NOW + 1).is_err());
}

#[test]
fn without_the_second_key_there_is_no_second_user() {
    let alone = Keys {
        user: None,
        ..keys()
    };
    let token = sign(User::User, &key("userkey-lab"), "GET", "/volumes", NOW);
    let judged = verify(
        Some(&format!("bearer {token}")),
        &alone,
        "GET",
        "/volumes",
        NOW,
    );
    assert_eq!(judged, Err(Denied::UnknownUser));
}

#[test]
fn the_second_user_sees_the_list_alone() {
    assert_eq!(User::User.may("/volumes"), Ok(()));
    let denied = User::User.may("/queue/1").expect_err("not the list");
    assert_eq!(
        (denied.status(), denied.to_string().as_str()),
        (401, "Administrator access required")
    );
    assert_eq!(User::Admin.may("/queue/1"), Ok(()));
}

#[test]
fn shows_no_key() {
    let shown = format!("{:?} {:#?}", keys(), key("adminkey-lab"));
    assert!(!shown.contains("lab") && !shown.contains("HMAC"), "{shown}");
    assert!(Key::new(b"").is_err());
}

proptest! {
    #[test]
    fn no_header_is_a_panic(header in ".{0,200}", now in any::<i64>()) {
        let _ = verify(Some(&header), &keys(), "GET", "/", now);
    }

    #[test]
    fn no_claim_is_a_panic(iat in any::<f64>(), exp in any::<f64>(), now in any::<i64>()) {
        let claims = format!(r#"{{"iss":"admin","iat":{iat:e},"exp":{exp:e}}}"#);
        let token = signed(r#"{"alg":"HS256"}"#, &claims);
        prop_assert!(verify(Some(&token), &keys(), "GET", "/", now).is_err());
    }

    #[test]
    fn a_changed_token_is_refused(at in 0usize..300, bit in 0u8..7) {
        let mut octets = admin(NOW).into_bytes();
        let at = "bearer ".len() + at % (octets.len() - "bearer ".len());
        octets[at] ^= 1 << bit;
        let text = String::from_utf8(octets).expect("ASCII stays ASCII");
        prop_assert!(judged(&text, NOW).is_err(), "{}", text);
    }

    #[test]
    fn a_token_of_ours_is_good_for_its_request_alone(path in "/[a-z0-9/]{0,40}", late in 0..=LIFETIME) {
        let token = format!("Bearer {}", sign(User::Admin, &key("k"), "POST", &path, NOW));
        let keys = Keys { admin: key("k"), user: None };
        prop_assert_eq!(verify(Some(&token), &keys, "POST", &path, NOW + late), Ok(User::Admin));
        prop_assert_eq!(verify(Some(&token), &keys, "DELETE", &path, NOW + late), Err(Denied::OtherRequest));
    }
}
