//! An HTTP answer, as much of it as is needed: is it whole, is it a 200, and
//! who gave it.

/// No whoami answers with more.
const LONGEST: usize = 64 * 1024;

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// From the line `Hostname: …` of the body; empty without one.
    pub hostname: String,
}

/// Reads an answer from the beginning of `input`; `ended` = nothing more will
/// come. `Ok(None)`: it is not whole. `Err`: it is no 200, or no HTTP.
pub fn read(input: &[u8], ended: bool) -> Result<Option<Answer>, ()> {
    let text = String::from_utf8_lossy(input);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        let wrong = input.len() > LONGEST || !begins_alike(input, b"HTTP/1.1 200 ");
        return if wrong { Err(()) } else { Ok(None) };
    };
    let mut lines = head.split("\r\n");
    if !lines.next().unwrap_or_default().starts_with("HTTP/1.1 200") {
        return Err(());
    }
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(())?;
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<usize>().map_err(|_| ())?);
        }
    }
    let begin = head.len() + 4;
    let end = match length {
        Some(length) => begin.saturating_add(length),
        None if ended => input.len(),
        None => usize::MAX,
    };
    if input.len() > LONGEST {
        return Err(());
    }
    let Some(body) = input.get(begin..end) else {
        return Ok(None);
    };
    let body = String::from_utf8_lossy(body);
    let hostname = body
        .lines()
        .find_map(|line| line.strip_prefix("Hostname: "))
        .unwrap_or_default();
    Ok(Some(Answer {
        hostname: hostname.trim().into(),
    }))
}

fn begins_alike(input: &[u8], wanted: &[u8]) -> bool {
    input.iter().zip(wanted).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\nHostname: pod1";

    #[test]
    fn an_answer_is_whole_at_its_length_and_not_before() {
        for end in 0..WHOLE.len() {
            assert_eq!(read(&WHOLE[..end], false), Ok(None), "{end} octets");
        }
        let answer = Answer {
            hostname: "pod1".into(),
        };
        assert_eq!(read(WHOLE, false), Ok(Some(answer)));
    }

    #[test]
    fn without_a_length_it_is_whole_when_the_connection_ends() {
        let open = b"HTTP/1.1 200 OK\r\n\r\nA: b\nHostname: pod2\n";
        assert_eq!(read(open, false), Ok(None));
        assert_eq!(read(open, true).unwrap().unwrap().hostname, "pod2");
    }

    #[test]
    fn an_answer_cut_short_is_not_whole_even_at_the_end() {
        assert_eq!(read(&WHOLE[..WHOLE.len() - 1], true), Ok(None));
    }

    #[test]
    fn another_status_or_no_http_is_wrong() {
        for wrong in [
            &b"HTTP/1.1 503 Service Unavailable\r\n\r\n"[..],
            b"SSH-2.0-x",
            b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        ] {
            assert_eq!(read(wrong, false), Err(()));
        }
    }
}
