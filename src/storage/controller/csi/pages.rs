//! Lists in pages (pure). A token is the id of the last entry of the page
//! before: what is made or removed between two pages makes neither lose its place.

use tonic::Status;

/// The entries of one page, and the token of the next; "" at the end.
/// `all` is ordered by id.
pub fn page<T>(
    all: Vec<T>,
    id: impl Fn(&T) -> &str,
    most: i32,
    token: &str,
) -> Result<(Vec<T>, String), Status> {
    let most = usize::try_from(most).map_err(|_| {
        Status::invalid_argument(format!("max_entries is {most}: it must not be negative"))
    })?;
    let is_id = |text: &str| text.len() <= 64 && text.bytes().all(|c| c.is_ascii_hexdigit());
    if !is_id(token) {
        return Err(Status::aborted(format!(
            "starting_token '{}' was not given out here: begin without one",
            token.chars().take(64).collect::<String>().escape_default()
        )));
    }
    let mut rest: Vec<T> = all.into_iter().filter(|entry| id(entry) > token).collect();
    let mut next = String::new();
    if most > 0 && rest.len() > most {
        rest.truncate(most);
        next = rest
            .last()
            .map(|last| id(last).to_owned())
            .unwrap_or_default();
    }
    Ok((rest, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tonic::Code;

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("{number:08x}")).collect()
    }

    #[test]
    fn what_was_never_a_token_is_refused() {
        let asked = page(ids(3), |id| id, 0, "invalid-token").expect_err("no token");
        assert_eq!(asked.code(), Code::Aborted);
        let asked = page(ids(3), |id| id, -1, "").expect_err("negative");
        assert_eq!(asked.code(), Code::InvalidArgument);
    }

    proptest! {
        #[test]
        fn all_pages_together_are_the_list(count in 0_usize..20, most in 0_i32..7) {
            let mut token = String::new();
            let mut seen = Vec::new();
            loop {
                let (entries, next) = page(ids(count), |id| id, most, &token).expect("a page");
                prop_assert!(most == 0 || entries.len() <= usize::try_from(most).expect("small"));
                seen.extend(entries);
                if next.is_empty() { break; }
                token = next;
            }
            prop_assert_eq!(seen, ids(count));
        }
    }
}
