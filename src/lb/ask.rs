//! What a Service asks for: its fields and annotations, understood.

use std::net::IpAddr;

use crate::alloc::{Refusal, Want};
use crate::bgp::types::Family;

use crate::facts::{FamilyPolicy, ServiceFact};

/// What the Service needs, or what is wrong with how it asks.
pub fn want(fact: &ServiceFact) -> Result<Want, Refusal> {
    let mut families: Vec<Family> = Vec::with_capacity(2);
    for &family in &fact.families {
        if !families.contains(&family) {
            families.push(family);
        }
    }
    if fact.family_policy == FamilyPolicy::SingleStack {
        families.truncate(1);
    }
    Ok(Want {
        families,
        policy: fact.family_policy,
        pool: fact.asks.pool.clone().filter(|name| !name.is_empty()),
        addresses: addresses(fact)?,
    })
}

/// The addresses that are asked for by name, at most one of each family.
fn addresses(fact: &ServiceFact) -> Result<Vec<IpAddr>, Refusal> {
    let written = |text: &Option<Box<str>>| text.clone().filter(|text| !text.trim().is_empty());
    let (field, text) = match (
        written(&fact.asks.load_balancer_ip),
        written(&fact.asks.load_balancer_ips),
    ) {
        (None, None) => return Ok(Vec::new()),
        (Some(_), Some(_)) => return Err(Refusal::AskedTwice),
        // The field holds one address; a comma in it does not parse.
        (Some(one), None) => return Ok(vec![parse("spec.loadBalancerIP", &one)?]),
        (None, Some(list)) => ("annotation loadBalancerIPs", list),
    };
    let mut found: Vec<IpAddr> = Vec::with_capacity(2);
    for piece in text.split(',') {
        let address = parse(field, piece)?;
        let same = |other: &&IpAddr| Family::of(**other) == Family::of(address);
        if let Some(&first) = found.iter().find(same) {
            return Err(Refusal::TwoOfOneFamily {
                first,
                second: address,
            });
        }
        found.push(address);
    }
    Ok(found)
}

fn parse(field: &'static str, text: &str) -> Result<IpAddr, Refusal> {
    text.trim().parse().map_err(|_| Refusal::Unparsable {
        field,
        value: text.trim().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Asks;

    fn asking(field: Option<&str>, list: Option<&str>) -> Result<Vec<String>, String> {
        let fact = ServiceFact {
            asks: Asks {
                load_balancer_ip: field.map(Into::into),
                load_balancer_ips: list.map(Into::into),
                ..Asks::default()
            },
            ..ServiceFact::default()
        };
        match addresses(&fact) {
            Ok(found) => Ok(found.iter().map(IpAddr::to_string).collect()),
            Err(refusal) => Err(format!("{}: {refusal}", refusal.word())),
        }
    }

    #[test]
    fn addresses_as_people_write_them() {
        assert_eq!(asking(None, None), Ok(vec![]));
        assert_eq!(asking(Some(""), Some(" ")), Ok(vec![]));
        assert_eq!(
            asking(Some("192.0.2.1"), None),
            Ok(vec!["192.0.2.1".into()])
        );
        assert_eq!(
            asking(None, Some(" 2001:db8::1 , 192.0.2.1")),
            Ok(vec!["2001:db8::1".into(), "192.0.2.1".into()])
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (field, list, word, names) in [
            (
                Some("10.x.x.1"),
                None,
                "unparsableAddress",
                "spec.loadBalancerIP has \"10.x.x.1\"",
            ),
            (
                Some("1.2.3.4,1.2.3.5"),
                None,
                "unparsableAddress",
                "1.2.3.4,1.2.3.5",
            ),
            (
                None,
                Some("1.2.3.4,"),
                "unparsableAddress",
                "annotation loadBalancerIPs has \"\"",
            ),
            (None, Some("1.2.3.4, nein"), "unparsableAddress", "\"nein\""),
            (
                None,
                Some("1.2.3.4,1.2.3.5"),
                "twoAddressesOfOneFamily",
                "1.2.3.5",
            ),
            (
                Some("1.2.3.4"),
                Some("1.2.3.4"),
                "addressAskedTwice",
                "remove one",
            ),
        ] {
            let refused = asking(field, list).expect_err("refused");
            assert!(refused.starts_with(word), "{refused}");
            assert!(refused.contains(names), "{refused}");
        }
    }
}
