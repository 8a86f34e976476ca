use super::*;
use futures::executor::block_on;
use proptest::prelude::*;

type Parts = Vec<(Option<String>, Vec<u8>)>;

/// Reads a body that arrives in pieces of a size; returns the whole parts and how it ended.
fn read(body: &[u8], piece: usize, boundary: &str) -> (Parts, Result<(), String>) {
    let pieces: Vec<Result<Bytes, ()>> = body.chunks(piece).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    let mut reader = Reader::new(futures::stream::iter(pieces), boundary);
    let mut parts = Parts::new();
    let outcome = block_on(async {
        while let Some(headers) = reader.next_part().await? {
            let mut content = Vec::new();
            while let Some(chunk) = reader.next_chunk().await? {
                assert!(!chunk.is_empty());
                content.extend_from_slice(&chunk);
            }
            parts.push((headers.content_type, content));
        }
        Ok(())
    });
    (parts, outcome.map_err(|error: Error| error.to_string()))
}

fn every_piece(body: &[u8], boundary: &str) -> (Parts, Result<(), String>) {
    let whole = read(body, body.len().max(1), boundary);
    for piece in 1..body.len() {
        assert_eq!(read(body, piece, boundary), whole, "in pieces of {piece}");
    }
    whole
}

#[test]
fn parts_are_the_same_however_the_body_arrives() {
    let body = b"preamble\r\n--b\r\nContent-Type: application/dicom\r\n\r\none\r\n--b  \r\ncontent-TYPE:x/y\r\n\r\n\r\n--bb two\r\n--b--\r\nepilogue\r\n--b\r\n";
    let (parts, outcome) = every_piece(body, "b");
    assert_eq!(
        parts,
        [
            (Some("application/dicom".to_owned()), b"one".to_vec()),
            (Some("x/y".to_owned()), b"\r\n--bb two".to_vec())
        ]
    );
    assert_eq!(outcome, Ok(()));
}

#[test]
fn look_alikes_inside_a_part_stay_in_it() {
    for inside in [
        "\r\n--",
        "\r\n--b0undary",
        "\r\n--boundaryX\r\n",
        "\r--boundary\r\n",
        "\n--boundary\r\n",
        ".--boundary--\r\n",
        "\r\n--boundary--x",
        "\r\n--boundary \x01\r\n",
        "\r\r\n-",
        "\r\n--boundar",
    ] {
        let body = format!("--boundary\r\n\r\n{inside}.\r\n--boundary--");
        let (parts, outcome) = every_piece(body.as_bytes(), "boundary");
        assert_eq!(outcome, Ok(()), "{inside:?}");
        assert_eq!(parts, [(None, format!("{inside}.").into_bytes())], "{inside:?}");
    }
}

#[test]
fn without_its_last_delimiter_only_the_last_part_is_lost() {
    let (parts, outcome) = every_piece(b"--b\r\n\r\none\r\n--b\r\n\r\ntwo", "b");
    assert_eq!(parts, [(None, b"one".to_vec())]);
    assert_eq!(outcome, Err("the body ends inside part 2".into()));
}

#[test]
fn a_body_without_delimiters_is_refused() {
    assert_eq!(
        every_piece(b"", "b").1,
        Err("no delimiter of the boundary was found".into())
    );
    assert_eq!(
        every_piece(b"DICM and more", "b").1,
        Err("no delimiter of the boundary was found".into())
    );
    let long = vec![b'x'; 3 * MAX_PREAMBLE];
    assert!(read(&long, 4096, "b").1.is_err());
}

#[test]
fn parts_may_be_empty_and_have_no_headers() {
    assert_eq!(
        every_piece(b"--b\r\n\r\n\r\n--b--\r\n", "b"),
        (vec![(None, vec![])], Ok(()))
    );
    assert_eq!(
        every_piece(b"--b\r\nA: b\r\n\r\n--b--\r\n", "b"),
        (vec![(None, vec![])], Ok(()))
    );
    assert_eq!(every_piece(b"--b--\r\n", "b"), (vec![], Ok(())));
}

#[test]
fn endless_headers_are_refused() {
    let body = [b"--b\r\nA: ".as_slice(), &vec![b'x'; 2 * MAX_HEADERS]].concat();
    assert_eq!(
        read(&body, 1000, "b").1,
        Err("the headers of part 1 cannot be read".into())
    );
    assert_eq!(
        read(b"--b\r\nno header\r\n\r\nx\r\n--b--", 7, "b").1,
        Err("the headers of part 1 cannot be read".into())
    );
}

#[test]
fn boundaries_may_be_quoted_and_hold_the_characters_of_the_rfc() {
    let container = |text: &str| MediaType::parse(text).unwrap();
    assert_eq!(
        boundary(&container(r#"multipart/related; boundary="a b:c=d?""#)).unwrap(),
        "a b:c=d?"
    );
    assert_eq!(
        boundary(&container("multipart/related;BOUNDARY=x'()+_,-./")).unwrap(),
        "x'()+_,-./"
    );
    for bad in [
        "multipart/related",
        "multipart/related; boundary=",
        "multipart/related; boundary=\"a \"",
        "multipart/related; boundary=a*b",
    ] {
        assert!(boundary(&container(bad)).is_err(), "{bad}");
    }
}

#[test]
fn what_is_written_can_be_read() {
    let boundary = Boundary::random().unwrap();
    let mut body = Vec::new();
    body.extend_from_slice(&boundary.open(true, "image/jpeg; transfer-syntax=1.2", Some("http://a/b")));
    body.extend_from_slice(b"one");
    body.extend_from_slice(&boundary.open(false, "x/y", None));
    body.extend_from_slice(&boundary.close());
    let (parts, outcome) = read(&body, 5, &boundary.0);
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        parts,
        [
            (Some("image/jpeg; transfer-syntax=1.2".to_owned()), b"one".to_vec()),
            (Some("x/y".to_owned()), vec![])
        ]
    );
    assert!(
        boundary
            .content_type("application/dicom")
            .starts_with("multipart/related; type=\"application/dicom\"; boundary=")
    );
}

proptest! {
    #[test]
    fn any_bytes_come_back_as_they_went_in(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..4), piece in 1_usize..64) {
        let boundary = Boundary("0123456789abcdef0123456789abcdef01234567".into());
        let mut body = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            body.extend_from_slice(&boundary.open(number == 0, "application/dicom", None));
            body.extend_from_slice(part);
        }
        body.extend_from_slice(&boundary.close());
        let (read_back, outcome) = read(&body, piece, &boundary.0);
        prop_assert_eq!(outcome, Ok(()));
        prop_assert_eq!(read_back.into_iter().map(|p| p.1).collect::<Vec<_>>(), parts);
    }

    #[test]
    fn garbage_never_hangs_or_panics(body in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), any::<u8>()], 0..200), piece in 1_usize..16) {
        let _ = read(&body, piece, "b");
    }
}
